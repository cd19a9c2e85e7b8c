"""Ascent on the exact hypergradient: the reference that sampled leaders are held against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from stackelberg_games.exact.objective import leader_objective
from stackelberg_games.learning.ascent import GradientAscent
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.rules.view import PaymentNeeded


@dataclass
class ExactGradient(GradientAscent):
    """Climbs the exact leader objective against a soft-optimal follower; class MODEL, arguments of ``GradientAscent``."""

    information = Information.MODEL
    needs_temperature: ClassVar[bool] = True
    needs_payment: ClassVar[PaymentNeeded] = "known"

    def objective(self, evidence: Evidence) -> Callable[[], Tensor]:
        """The leader's objective itself.

        Raises:
            InformationError: the evidence does not hold the game.
            UnsupportedGameError: the game has no exact objective.
        """
        game, temperature = evidence.require_game(), self.view.temperature
        assert temperature is not None
        return lambda: leader_objective(game, self.commitment, temperature)

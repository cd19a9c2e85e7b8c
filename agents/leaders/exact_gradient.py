"""Ascent on the exact hypergradient: the reference that sampled leaders are held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from stackelberg_games.errors import InformationError
from stackelberg_games.exact.objective import leader_objective
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.learning.leader import GradientLeader


@dataclass
class ExactGradient(GradientLeader):
    """Climbs the exact leader objective against a soft-optimal follower; class MODEL.

    Args:
        learning_rate, actor_steps, hidden: see ``GradientLeader``.
    """

    needs_temperature: ClassVar[bool] = True

    @property
    def information(self) -> Information:
        """MODEL: it reads the game."""
        return Information.MODEL

    def surrogate(self, evidence: Evidence) -> Tensor:
        """The leader's objective itself.

        Raises:
            InformationError: the evidence does not hold the game.
            UnsupportedGameError: the game has no exact objective.
        """
        if evidence.game is None:
            raise InformationError("exact_gradient needs the game, which its evidence does not hold")
        assert self.view.temperature is not None
        return leader_objective(evidence.game, self.commitment, self.view.temperature)

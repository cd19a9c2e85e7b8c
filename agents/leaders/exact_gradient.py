"""Ascent on the exact hypergradient: the reference that sampled leaders are held against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from stackelberg_games.exact.objective import leader_objective
from stackelberg_games.learning.ascent import GradientAscent
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView


@dataclass
class ExactGradient(GradientAscent):
    """Climbs the exact leader objective against a soft-optimal follower; class MODEL.

    Args:
        learning_rate: see ``GradientAscent``.
        actor_steps: see ``GradientAscent``.
        start: see ``GradientAscent``.
    """

    needs_temperature: ClassVar[bool] = True

    @property
    def information(self) -> Information:
        """MODEL: it reads the game."""
        return Information.MODEL

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``; raises ``UnsupportedGameError`` where a judge follows no known rule."""
        view.require_objective()
        super().begin(view, seed=seed, commitment=commitment)

    def objective(self, evidence: Evidence) -> Callable[[], Tensor]:
        """The leader's objective itself.

        Raises:
            InformationError: the evidence does not hold the game.
            UnsupportedGameError: the game has no exact objective.
        """
        game, temperature = evidence.require_game(), self.view.temperature
        assert temperature is not None
        return lambda: leader_objective(game, self.commitment, temperature)

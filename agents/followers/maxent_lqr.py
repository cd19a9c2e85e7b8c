"""Soft-optimal follower of linear-quadratic Gaussian games: the maximum-entropy regulator.

    u ~ N(-L (A x + C a), (tau / 2) (R + gF B'P B)^-1),   L = gF (R + gF B'P B)^-1 B'P

with P from the Riccati equation of ``stackelberg_games.linear.riccati``; the follower of the
linear-quadratic experiments of BC-HG (arXiv 2603.14867).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from stackelberg_games.commitment import Commitment
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.follower import Answer, Follower
from stackelberg_games.game import Game
from stackelberg_games.linear.lqr import LinearGaussianGame


@dataclass
class MaxEntLQR(Follower):
    """Plans with the model of a linear-quadratic Gaussian game, exactly.

    Args:
        temperature: declared tau > 0.
        factor: true over declared temperature, > 0; leaders are told ``temperature``.
    """

    temperature: float = 0.1
    factor: float = 1.0

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and self.factor > 0):
            raise InvalidArgumentError(f"{self}: expected numbers > 0")

    def respond(self, game: Game, commitment: Commitment) -> Answer:
        """The soft-optimal response.

        Raises:
            UnsupportedGameError: the game or the commitment is not linear-Gaussian.
            SolverError: the follower cannot keep its cost finite under this commitment.
        """
        if not isinstance(game, LinearGaussianGame):
            raise UnsupportedGameError(f"MaxEntLQR needs a linear-quadratic game, got {type(game).__name__}")
        with torch.no_grad():
            solved = game.response(commitment, self.factor * self.temperature)
            return Answer(solved.policy(game.plant_of(commitment)))

"""Soft-optimal follower of linear-quadratic Gaussian games: the maximum-entropy regulator.

    u ~ N(-L (A x + C a), (tau / 2) (R + gF B'P B)^-1),   L = gF (R + gF B'P B)^-1 B'P

with P from the Riccati equation of ``stackelberg_games.kinds.riccati``; the follower of the
linear-quadratic experiments of BC-HG (arXiv 2603.14867). Cut short, P is what a number of sweeps of
that equation make of the last P (``start="carry"``) or of a random one (``start="reset"``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.kinds.game import Game
from stackelberg_games.kinds.linear_lever import idle_policy
from stackelberg_games.kinds.linear_quadratic import LinearGaussianGame, linear
from stackelberg_games.kinds.riccati import Plant, SoftRiccati, riccati_sweeps
from stackelberg_games.learning.follower import Answer, Follower
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.rules.commitment import Commitment


@dataclass
class MaxEntLQR(Follower):
    """Plans with the model of a linear-quadratic Gaussian game, exactly.

    Args:
        temperature: declared tau > 0.
        factor: true over declared temperature, > 0; leaders are told ``temperature``.
        sweeps: None for the exact response; else the number of sweeps for each commitment.
        start: where they start: the last P, or Z Z' / n with a standard normal Z.
    """

    temperature: float = 0.1
    factor: float = 1.0
    sweeps: int | None = None
    start: Literal["carry", "reset"] = "carry"

    keeps: ClassVar[tuple[str, ...]] = ("memory", "random")

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and self.factor > 0):
            raise InvalidArgumentError(f"{self}: expected numbers > 0")
        if self.sweeps is not None and self.sweeps < 1:
            raise InvalidArgumentError(f"sweeps={self.sweeps!r}: expected None or an integer >= 1")
        if self.start not in ("carry", "reset"):
            raise InvalidArgumentError(f"start={self.start!r}: expected 'carry' or 'reset'")

    def tracking(self, updates: int) -> MaxEntLQR:
        """Sweeps, carried on from commitment to commitment."""
        return replace(self, sweeps=updates, start="carry")

    def begin(self, game: Game, *, seed: int = 0) -> None:
        """Forget earlier responses.

        Raises:
            UnsupportedGameError: the game is not linear-quadratic.
        """
        self._linear(game)
        self.random = generator(seed, 3)
        self.memory: FloatArray | None = None

    def respond(self, game: Game, commitment: Commitment) -> Answer:
        """The soft-optimal response.

        Raises:
            UnsupportedGameError: the commitment is not linear-Gaussian.
            SolverError: the follower cannot keep its cost finite under this commitment.
        """
        game = self._linear(game)
        with torch.no_grad():
            plant = game.plant_of(commitment)
            if self.sweeps is None:
                return Answer(game.response(commitment, self.factor * self.temperature).policy(plant))
            return Answer(self._swept(game, commitment, plant, self.sweeps).policy(plant))

    @staticmethod
    def _linear(game: Game) -> LinearGaussianGame:
        if not isinstance(game, LinearGaussianGame):
            raise UnsupportedGameError(
                f"MaxEntLQR needs a linear-quadratic game, got {type(game).__name__}; soft_value_iteration plans in "
                "finite games, sb3 and black_box learn by playing"
            )
        return game

    def _swept(self, game: LinearGaussianGame, commitment: Commitment, plant: Plant, sweeps: int) -> SoftRiccati:
        size = len(plant.state)
        if self.memory is None or self.start == "reset":
            draws = self.random.normal(size=(size, size))
            self.memory = draws @ draws.T / size
        acts = commitment.configuration() is None
        policy = linear(commitment) if acts else idle_policy(size)
        start, temperature = torch.tensor(self.memory), self.factor * self.temperature
        solved = riccati_sweeps(plant, policy, game.follower_discount, temperature, start, sweeps)
        self.memory = solved.value.numpy()
        return solved

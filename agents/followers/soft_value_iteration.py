"""Soft-optimal follower: exact by Newton's method, or cut short after a number of sweeps.

The truncated form is the "suboptimal follower" of BC-HG (arXiv 2603.14867): n sweeps of

    QF(s,a,b) <- rF(s,a,b) + gF E_s' sum_a' f(a'|s') tau log sum_b' exp(QF(s',a',b')/tau)

from the last table (``start="carry"``) or from a standard normal one (``start="reset"``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.exact.objective import arrays_under
from stackelberg_games.exact.soft_response import soft_backup, soft_response, soft_sweeps
from stackelberg_games.kinds.embedded import EmbeddedGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.learning.follower import Answer, FiniteFollower
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.play.rollout import PointResponse, TabularResponse
from stackelberg_games.rules.commitment import Commitment


@dataclass
class SoftValueIteration(FiniteFollower):
    """Plans with the model of the game.

    Args:
        temperature: tau > 0.
        sweeps: None for the exact response; else the number of sweeps for each commitment.
        start: where truncated sweeps start: the last table, or a random one.
    """

    temperature: float = 0.05
    sweeps: int | None = None
    start: Literal["carry", "reset"] = "carry"

    keeps: ClassVar[tuple[str, ...]] = ("memory", "random")

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise InvalidArgumentError(f"temperature={self.temperature!r}: expected a number > 0")
        if self.sweeps is not None and self.sweeps < 1:
            raise InvalidArgumentError(f"sweeps={self.sweeps!r}: expected None or an integer >= 1")
        if self.start not in ("carry", "reset"):
            raise InvalidArgumentError(f"start={self.start!r}: expected 'carry' or 'reset'")

    @property
    def planning_temperature(self) -> float:
        """The temperature it really responds at."""
        return self.temperature

    def tracking(self, updates: int) -> SoftValueIteration:
        """Sweeps, carried on from commitment to commitment."""
        return replace(self, sweeps=updates, start="carry")

    def begin(self, game: Game, *, seed: int = 0) -> None:
        """Forget earlier responses."""
        game.check_temperature(self.planning_temperature)
        if not isinstance(game, EmbeddedGame):
            super().begin(game, seed=seed)
        self.random = generator(seed, 3)
        self.memory: FloatArray | None = None

    def respond(self, game: Game, commitment: Commitment) -> Answer:
        """The soft-optimal response, or the truncated one."""
        arrays = arrays_under(game, commitment)
        if self.sweeps is None:
            solved = soft_response(arrays, self.planning_temperature, self.memory)
            self.memory = solved.values
        else:
            if self.memory is None or self.start == "reset":
                self.memory = self.random.normal(size=arrays.follower_reward.shape)
            values, _ = soft_backup(arrays, self.memory, self.planning_temperature)
            solved = soft_sweeps(arrays, self.planning_temperature, values, self.sweeps - 1)
            self.memory = solved.q
        table = TabularResponse(np.ascontiguousarray(solved.policy))
        return Answer(PointResponse(game, table) if isinstance(game, EmbeddedGame) else table, solved)

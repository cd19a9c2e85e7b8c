"""Hill climbing: keep a random change of the commitment if it pays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from stackelberg_games import Evidence, Information, Leader, LeaderView
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.rules.commitment import Commitment, assign, flatten


@dataclass
class HillClimbing(Leader):
    """Sees the returns of its episodes and nothing else; class RETURNS.

    Args:
        step: standard deviation of a change of the parameters, > 0.
        memory: how fast a score is forgotten, in [0, 1); without it, one lucky batch would end the climb.
    """

    step: float = 0.5
    memory: float = 0.9

    def __post_init__(self) -> None:
        if not self.step > 0 or not 0 <= self.memory < 1:
            raise InvalidArgumentError(f"step={self.step!r}, memory={self.memory!r}: expected > 0 and in [0, 1)")

    @property
    def information(self) -> Information:
        """RETURNS."""
        return Information.RETURNS

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``."""
        super().begin(view, seed=seed, commitment=commitment)
        self.best, self.score = flatten(self.commitment), float("-inf")
        self.random = generator(seed, 1)

    def update(self, evidence: Evidence) -> dict[str, float]:
        """Keep what was played if it did well, and try a change of the best."""
        achieved = float(evidence.leader_returns.mean())
        if achieved >= self.score:
            self.best, self.score = flatten(self.commitment), achieved
        else:
            self.score = self.memory * self.score + (1 - self.memory) * achieved
        change = torch.from_numpy(self.random.normal(scale=self.step, size=self.best.numel()))
        assign(self.commitment, self.best + change)
        return {"score": self.score}

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        mine = {"best": self.best, "score": self.score, "random": self.random.bit_generator.state}
        return {**super().state_dict(), **mine}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Leader.load_state_dict``."""
        super().load_state_dict(state)
        self.best, self.score = state["best"], state["score"]
        self.random.bit_generator.state = state["random"]

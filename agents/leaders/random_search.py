"""Random search: the least that a learning leader must beat."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import ClassVar

import torch

from stackelberg_games import checks
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.learning.leader import Leader
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.rules.commitment import Commitment, assign, flatten
from stackelberg_games.rules.view import LeaderView


@dataclass
class RandomSearch(Leader):
    """Scores a random commitment on every batch and recommends the best; class RETURNS.

    Every other batch replays the best one so far, so that a lucky score does not last.

    Args:
        scale: standard deviation of the parameters drawn.
    """

    scale: float = 2.0

    information = Information.RETURNS
    keeps: ClassVar[tuple[str, ...]] = ("best", "total", "count", "replaying", "random")

    def __post_init__(self) -> None:
        checks.number("scale", self.scale, above=0)

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``."""
        super().begin(view, seed=seed, commitment=commitment)
        self.best = copy.deepcopy(self.commitment)
        self.total, self.count, self.replaying = 0.0, 0, True
        self.random = generator(seed, 2)

    @property
    def recommendation(self) -> Commitment:
        """The best commitment so far by its mean score."""
        return self.best

    def update(self, evidence: Evidence) -> dict[str, float]:
        """Compare what was played with the best, and draw the next."""
        score = float(evidence.leader_returns.mean())
        if self.replaying:
            self.total, self.count = self.total + score, self.count + 1
        elif score > self.total / self.count:
            assign(self.best, flatten(self.commitment))
            self.total, self.count = score, 1
        self.replaying = not self.replaying
        drawn = torch.from_numpy(self.random.normal(scale=self.scale, size=flatten(self.best).numel()))
        assign(self.commitment, flatten(self.best) if self.replaying else drawn)
        return {"best_mean_return": self.total / self.count}

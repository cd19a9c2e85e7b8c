"""Evolution strategies with antithetic pairs and rank shaping (Salimans et al., arXiv 1703.03864).

    gradient = 1 / (n sigma) sum_i rank(F_i) eps_i

It needs nothing but its own returns, and is the honest competitor of every decentralised leader.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.stats import rankdata

from stackelberg_games import checks
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.learning.leader import Leader
from stackelberg_games.numerics.adam import Adam
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.rules.commitment import Commitment, assign, flatten
from stackelberg_games.rules.view import LeaderView


@dataclass
class EvolutionStrategies(Leader):
    """Each batch scores one perturbed commitment; every ``2 * pairs`` batches make one step.

    Class RETURNS.

    Args:
        learning_rate: of Adam on the mean.
        sigma: standard deviation of the perturbations.
        pairs: antithetic pairs in a generation.
    """

    learning_rate: float = 0.1
    sigma: float = 0.5
    pairs: int = 4

    information = Information.RETURNS
    keeps: ClassVar[tuple[str, ...]] = ("mean", "optimizer", "noise", "scores", "random")

    def __post_init__(self) -> None:
        if not (self.learning_rate > 0 and self.sigma > 0 and self.pairs >= 1):
            raise InvalidArgumentError(f"{self}: learning_rate and sigma must be > 0, pairs >= 1")

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``."""
        super().begin(view, seed=seed, commitment=commitment)
        self.mean = copy.deepcopy(self.commitment)
        self.optimizer = Adam(self.mean.parameters(), self.learning_rate, maximize=True, fused=False)
        self.random = generator(seed, 2)
        self._new_generation()

    def _new_generation(self) -> None:
        size = flatten(self.mean).numel()
        checks.affordable(f"pairs={self.pairs!r}: a generation", 2 * self.pairs * size)
        half = self.random.normal(size=(self.pairs, size))
        self.noise = np.stack([half, -half], axis=1).reshape(2 * self.pairs, -1)
        self.scores: list[float] = []
        self._perturb()

    def _perturb(self) -> None:
        offset = torch.from_numpy(self.sigma * self.noise[len(self.scores)])
        assign(self.commitment, flatten(self.mean) + offset)

    @property
    def recommendation(self) -> Commitment:
        """The mean of the search distribution."""
        return self.mean

    def update(self, evidence: Evidence) -> dict[str, float]:
        """Score the perturbation that was played; step at the end of a generation."""
        self.scores.append(float(evidence.leader_returns.mean()))
        if len(self.scores) < len(self.noise):
            self._perturb()
            return {}
        ranks = rankdata(self.scores)  # ties share a rank, so equal scores give no gradient
        shaped = (ranks - ranks.mean()) / max(1.0, float(len(ranks) - 1))
        gradient = torch.from_numpy(shaped @ self.noise / (len(ranks) * self.sigma))
        self.optimizer.zero_grad()
        start = 0
        for parameter in self.mean.parameters():
            count = parameter.numel()
            parameter.grad = gradient[start : start + count].view_as(parameter).clone()
            start += count
        self.optimizer.step()
        self._new_generation()
        return {"gradient_norm": float(gradient.norm())}

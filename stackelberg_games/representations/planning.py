"""The leader's objective in an estimated game, for planning: incentives, beliefs and annealing.

Where the leader configures the rewards of an endless MDP, the hypergradient comes from the adjoint
in ``stackelberg_games.exact.adjoint``, and the follower may plan with other transitions than are played.
Everywhere else it comes from automatic differentiation.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.exact.adjoint import reward_weights
from stackelberg_games.exact.objective import best_response, leader_objective
from stackelberg_games.exact.response import Arrays, soft_response
from stackelberg_games.kinds.finite import Tables, TabularGame
from stackelberg_games.kinds.kernel import Kernel
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Lever, Stages, Terms

TOLERANCE = 1e-9
"""On the follower's values while planning; the estimate itself is far less accurate."""


class Incentives:
    """The lever's terms at known stages, as the configuration of an estimated game.

    Attributes:
        base: the estimated game's tables without configuration; set once the game exists.
        share: part of the leader's own terms that counts, in [0, 1].
    """

    base: Tables

    def __init__(self, lever: Lever, known: Stages) -> None:
        self.lever, self.known, self.share = lever, known, 1.0
        cells = np.stack([np.asarray(part) for part in known[:3]])
        unique, first = np.unique(cells, axis=1, return_index=True)  # a reward is written once for all successors
        self.cell = tuple(torch.from_numpy(part) for part in unique)
        self.first = torch.from_numpy(first)
        self.full = tuple(torch.from_numpy(np.asarray(part)) for part in known)

    @property
    def cells(self) -> Stages:
        """One known stage of every known (s, a, b)."""
        return Stages(*(np.asarray(part)[self.first.numpy()] for part in self.known))

    def __call__(self, configuration: Tensor) -> Tables:
        """The estimated game's tables under a configuration."""
        terms = self.lever.terms(configuration, self.known)
        base = self.base
        leader, follower, transition = base.leader_reward, base.follower_reward, base.transition
        if terms.leader_reward is not None:
            leader = leader + torch.zeros_like(leader).index_put(
                self.cell, self.share * terms.leader_reward[self.first]
            )
        if terms.follower_reward is not None:
            follower = follower + torch.zeros_like(follower).index_put(self.cell, terms.follower_reward[self.first])
        if terms.log_transition is not None:
            moved = torch.zeros_like(transition).index_put(self.full, terms.log_transition.exp())
            total = moved.sum(dim=-1, keepdim=True)
            transition = torch.where(total > 0, moved / torch.where(total > 0, total, 1.0), transition)
        return Tables(transition, leader, follower)


class ByDifferentiation:
    """The exact objective of an estimated game by automatic differentiation.

    Args:
        game: the estimate.
        incentives: how its leader's configuration enters, if it configures.
    """

    def __init__(self, game: TabularGame, incentives: Incentives | None) -> None:
        self.game, self.incentives = game, incentives

    def __call__(self, commitment: Commitment, temperature: float, share: float) -> tuple[float, Tensor]:
        """The objective with a share of the leader's cost, and a scalar with its gradient."""
        if self.incentives is not None:
            self.incentives.share = share
        value = leader_objective(self.game, commitment, temperature)
        return float(value.detach()), value

    def response(self, commitment: Commitment, temperature: float) -> FloatArray:
        """The follower's response, ``[S, A, B]``."""
        return best_response(self.game, commitment, temperature).policy


class ByAdjoint:
    """The same where the leader configures nothing but the rewards of an endless MDP.

    Args:
        arrays: the estimate before any configuration.
        start: distribution of the first state, ``[S]``.
        incentives: how the configuration enters.
        believed: transitions that the follower plans with; those of ``arrays`` if None.
    """

    def __init__(
        self, arrays: Arrays, start: FloatArray, incentives: Incentives, believed: Kernel | None = None
    ) -> None:
        self.arrays, self.start, self.believed = arrays, start, believed
        self.lever, self.stages = incentives.lever, incentives.cells
        self.values: FloatArray | None = None

    def rewards(self, configuration: Tensor, share: float = 1.0) -> tuple[Arrays, Terms]:
        """The game under a configuration, and the terms that made it."""
        terms = self.lever.terms(configuration, self.stages)
        leader, follower = self.arrays.leader_reward.copy(), self.arrays.follower_reward.copy()
        for table, term, factor in ((leader, terms.leader_reward, share), (follower, terms.follower_reward, 1.0)):
            if term is not None:
                table[self.stages[:3]] += factor * term.detach().numpy()
        return replace(self.arrays, leader_reward=leader, follower_reward=follower), terms

    def _planned(self, game: Arrays) -> Arrays:
        return game if self.believed is None else replace(game, kernel=self.believed)

    def __call__(self, commitment: Commitment, temperature: float, share: float) -> tuple[float, Tensor]:
        """The objective with a share of the leader's cost, and a scalar with its gradient."""
        configuration = commitment.configuration()
        assert configuration is not None
        game, terms = self.rewards(configuration, share)
        planned = self._planned(game)
        solved = soft_response(planned, temperature, self.values, tolerance=TOLERANCE)
        self.values = solved.values
        other = None if self.believed is None else planned
        value, leader, follower = reward_weights(game, solved.policy, temperature, self.start, other)
        pull = torch.zeros((), dtype=torch.float64)
        for weights, term in ((share * leader, terms.leader_reward), (follower, terms.follower_reward)):
            if term is not None:
                pull = pull + torch.from_numpy(weights[self.stages[:3]]) @ term
        return value, pull

    def response(self, commitment: Commitment, temperature: float) -> FloatArray:
        """The follower's response, ``[S, 1, B]``."""
        configuration = commitment.configuration()
        assert configuration is not None
        with torch.no_grad():
            planned = self._planned(self.rewards(configuration)[0])
        return soft_response(planned, temperature, tolerance=TOLERANCE).policy

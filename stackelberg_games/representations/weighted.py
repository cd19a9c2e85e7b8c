"""Weights of a lever's terms, added up over equal stages."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.hypergradient import Coefficients
from stackelberg_games.rules.lever import Stages, Terms
from stackelberg_games.rules.trajectories import Trajectories


class Weighted(NamedTuple):
    """Weights of the lever's terms at distinct stages, float64 ``[K]`` each."""

    stages: Stages
    leader_reward: FloatArray
    follower_reward: FloatArray
    log_transition: FloatArray

    def surrogate(self, terms: Terms, share: float = 1.0) -> Tensor:
        """Sum of weight times term, a scalar tensor; one backward pass over K distinct stages.

        Args:
            terms: the lever's at these stages.
            share: factor on the leader's own rewards.
        """
        pairs = (
            (share * self.leader_reward, terms.leader_reward),
            (self.follower_reward, terms.follower_reward),
            (self.log_transition, terms.log_transition),
        )
        total = torch.zeros((), dtype=torch.float64)
        for weight, term in pairs:
            if term is not None:
                total = total + torch.from_numpy(weight) @ term
        return total


def distinct(batch: Trajectories, shape: tuple[int, int, int]) -> tuple[Stages, IntArray]:
    """The distinct stages of a batch of a finite game, and the index of every played stage among them.

    Args:
        batch: N episodes.
        shape: numbers of states, leader actions and follower actions.

    Returns:
        K stages, and int64 ``[batch.transitions]`` in the order of ``batch.mask``.
    """
    states, actions, replies = shape
    flat = (batch.states[:, :-1] * actions + batch.leader_actions) * replies + batch.follower_actions
    unique, inverse = np.unique((flat * states + batch.states[:, 1:])[batch.mask], return_inverse=True)
    cells, following = np.divmod(unique, states)
    pairs, reply = np.divmod(cells, replies)
    state, action = np.divmod(pairs, actions)
    return Stages(state, action, reply, following), np.asarray(inverse.ravel())


def collapse(batch: Trajectories, weights: Coefficients, shape: tuple[int, int, int]) -> Weighted:
    """Add up stage weights over equal stages; memory does not depend on the size of theta."""
    stages, index = distinct(batch, shape)
    sums = (
        np.bincount(index, weights=weight[batch.mask], minlength=len(stages.states)) / batch.episodes
        for weight in (weights.leader_reward, weights.follower_reward, weights.log_transition)
    )
    return Weighted(stages, *sums)

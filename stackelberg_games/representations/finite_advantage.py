"""Means over visits in finite games, and the leader's advantages fitted to returns."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackelberg_games.arrays import FloatArray
from stackelberg_games.numerics.randomness import compiled
from stackelberg_games.rules.trajectories import Trajectories, table_of

Shape = tuple[int, int, int]


def averaged(credit: FloatArray, batch: Trajectories, wide: Trajectories, shape: Shape, sees: bool) -> FloatArray:
    """Credits c' of the stages of ``wide`` with c'U = c (E[U | s, a, b] - E[U | s, a]), means over its visits.

    Args:
        credit: c at the stages of ``batch``, ``[N, T]``; zero in padding.
        batch: the episodes that are credited.
        wide: the episodes whose visits are averaged; may be the same.
        shape: numbers of states, leader actions and follower actions.
        sees: whether the follower sees a; where it does not, a is averaged over too.
    """
    owed = table_of(batch, credit, shape) / batch.episodes
    visits = table_of(wide, wide.mask.astype(np.float64), shape)
    if not sees:
        owed, visits = (np.broadcast_to(part.sum(axis=1, keepdims=True), shape) for part in (owed, visits))
    each = owed / np.maximum(visits, 1.0)
    each = each - owed.sum(axis=2, keepdims=True) / np.maximum(visits.sum(axis=2, keepdims=True), 1.0)
    cell = (wide.states[:, :-1], wide.leader_actions, wide.follower_actions)
    return np.asarray(each[cell] * wide.mask * wide.episodes)


def monte_carlo(batch: Trajectories, discount: float, shape: Shape) -> FloatArray:
    """Mean return after (s, a, b) less that after (s, a), ``[S, A, B]``."""
    sums = table_of(batch, returns_to_go(batch, discount), shape)
    visits = table_of(batch, batch.mask.astype(np.float64), shape)
    mean = sums.sum(axis=2, keepdims=True) / np.maximum(visits.sum(axis=2, keepdims=True), 1.0)
    return np.asarray(sums / np.maximum(visits, 1.0) - mean)


def returns_to_go(batch: Trajectories, discount: float) -> FloatArray:
    """Discounted sums of the leader's rewards from each stage on, ``[N, T]``; nothing after the end."""
    out = np.zeros_like(batch.leader_rewards)
    _backward(batch.leader_rewards, batch.lengths, discount, out)
    return out


def sarsa(table: FloatArray, batch: Trajectories, step: float, discount: float, random: np.random.Generator) -> None:
    """One pass of SARSA over the stages of a batch in random order, in place; ``table`` is ``[S, A, B]``."""
    mask = batch.mask
    cell = (batch.states[:, :-1] * table.shape[1] + batch.leader_actions) * table.shape[2] + batch.follower_actions
    last = np.arange(batch.stages)[None, :] == batch.lengths[:, None] - 1
    following = np.where(last, -1, np.roll(cell, -1, axis=1))
    order = random.permutation(batch.transitions)
    rewards = batch.leader_rewards[mask][order]
    _sarsa(cell[mask][order], following[mask][order], rewards, step, discount, table.reshape(-1))


@compiled
def _backward(rewards: Any, lengths: Any, discount: float, out: Any) -> None:
    for i in range(rewards.shape[0]):
        total = 0.0
        for t in range(lengths[i] - 1, -1, -1):
            total = rewards[i, t] + discount * total
            out[i, t] = total


@compiled
def _sarsa(cells: Any, following: Any, rewards: Any, step: float, discount: float, table: Any) -> None:
    for k in range(cells.shape[0]):
        target = rewards[k]
        if following[k] >= 0:
            target += discount * table[following[k]]
        table[cells[k]] += step * (target - table[cells[k]])

"""The backup of the bilevel actor-critic in finite games (Bi-AC; Zhang et al., AAAI 2020, arXiv 1909.03510)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.errors import SolverError, UnsupportedGameError
from stackelberg_games.exact.response import Arrays
from stackelberg_games.kinds.successors import SuccessorLists

MAX_ROUNDS = 1000


def stackelberg_q(arrays: Arrays, response: FloatArray, tried: FloatArray) -> FloatArray:
    """Fixed point of Q(s, a, b) = rL + gL max_i Q(s', i, b_i), b_i = argmax_b g(b | s', i), ``[S, A, B]``.

    By policy iteration.

    Args:
        arrays: the (estimated) game.
        response: g, ``[S, A, B]``.
        tried: bool ``[S, A]``; the maximum runs over these leader actions only.

    Raises:
        SolverError: the iteration did not settle.
        UnsupportedGameError: an undiscounted game goes on for ever.
    """
    states = np.arange(len(arrays.policy))
    replies = response.argmax(axis=2)
    allowed = np.where(tried.any(axis=1, keepdims=True), tried, True)
    values: FloatArray = np.zeros(len(states))
    choice = np.full(len(states), -1)
    for _ in range(MAX_ROUNDS):
        q = arrays.leader_q(values)
        staged = np.take_along_axis(q, replies[:, :, None], axis=2)[:, :, 0]
        greedy = np.where(allowed, staged, -np.inf).argmax(axis=1)
        keep = (choice >= 0) & (staged[states, greedy] <= staged[states, choice] + 1e-12)
        greedy = np.where(keep, choice, greedy)
        if np.array_equal(greedy, choice):
            return np.asarray(q)
        choice = greedy
        try:
            values = _evaluated(arrays, choice, replies)
        except (np.linalg.LinAlgError, SolverError):
            if arrays.leader_discount < 1:
                raise
            raise UnsupportedGameError(
                f"the Stackelberg backup never ends: with leader_discount={arrays.leader_discount:g} every play must "
                "reach a terminal state; use a discount below 1, or a leader with another backup"
            ) from None
    raise SolverError(f"the Stackelberg backup did not settle in {MAX_ROUNDS} rounds")


def _evaluated(arrays: Arrays, choice: IntArray, replies: IntArray) -> FloatArray:
    """The leader's values where it makes a choice in every state, and the follower its reply, ``[S]``."""
    states = np.arange(len(choice))
    cell = (states, choice, replies[states, choice])
    paid = arrays.leader_reward[cell] * arrays.alive
    if isinstance(arrays.kernel, SuccessorLists):
        played = replace(arrays, policy=np.eye(arrays.policy.shape[1])[choice], sees=True)
        return played.system(np.eye(arrays.leader_reward.shape[2])[replies], arrays.leader_discount).solve(paid)
    system = np.eye(len(states)) - arrays.leader_discount * arrays.transition[cell] * arrays.alive[:, None]
    return np.asarray(np.linalg.solve(system, paid))

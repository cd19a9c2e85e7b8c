"""What a follower believes of the transitions, estimated from how it behaves.

A follower may plan with other transitions than those that are played: because its model is old, or
because it reads a slip probability differently. What it believes shows in its actions under the
configurations tried so far. Here the belief is

    P_believed(. | s, b) = sum over b' of C(b, b') P_played(. | s, b'),

a matrix C of action confusions that is common to all states, and C is the maximum of the likelihood

    sum over configurations x and visited (s, b) of n_x(s, b) log((1 - eps) g_x(b | s) + eps / B)

of the observed actions under the soft-optimal response g_x to the rewards under x; eps keeps a few
actions that no belief explains from deciding everything. With weights m = d likelihood / d QF the
gradient takes one solve for each configuration, y (I - gF P_g) = gF m P, and is
gF (m + y g)(s, b) sum over s' of P_played(s' | s, b') V(s'), summed over s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize

from stackelberg_games.arrays import FloatArray
from stackelberg_games.exact.response import Arrays, Factorised
from stackelberg_games.exact.soft_response import soft_response
from stackelberg_games.kinds.kernel import kernel

UNEXPLAINED = 0.02
"""eps: share of the actions that may have any reason."""

FIRST = 0.9
"""Share of its own move in each row of C from which the ascent starts."""

EVALUATIONS = 25


@dataclass
class Behaviour:
    """What a follower did under one configuration.

    Attributes:
        follower_reward: rF under it, ``[S, A, B]``.
        counts: how often each action was taken, ``[S, A, B]``.
        values: the follower's values under the last belief, ``[S]``, or None; a warm start.
    """

    follower_reward: FloatArray
    counts: FloatArray
    values: FloatArray | None = None


def confused(transition: FloatArray, confusion: FloatArray) -> FloatArray:
    """Transitions ``[S, A, B, S]`` in which action b makes the move of b' with probability C(b, b')."""
    return np.ascontiguousarray(np.einsum("bc,sacn->sabn", confusion, transition, optimize=True))


def estimate_confusion(
    arrays: Arrays, temperature: float, behaviours: list[Behaviour], first: FloatArray | None = None
) -> FloatArray:
    """The matrix C ``[B, B]`` of greatest likelihood; rows sum to one.

    Args:
        arrays: the game that is played, with a single leader action; its rewards are not read.
        temperature: tau > 0.
        behaviours: at least one.
        first: where to start, all entries positive.
    """
    replies = arrays.transition.shape[2]
    if first is None:
        first = np.full((replies, replies), (1.0 - FIRST) / max(1, replies - 1))
        np.fill_diagonal(first, FIRST if replies > 1 else 1.0)
    actions = sum(float(behaviour.counts.sum()) for behaviour in behaviours)

    def negative(logits: FloatArray) -> tuple[float, FloatArray]:
        confusion = _rows(logits, replies)
        likelihood, pull = _likelihood(arrays, temperature, behaviours, confusion)
        pull = confusion * (pull - (confusion * pull).sum(axis=1, keepdims=True))
        return -likelihood / actions, -pull.ravel() / actions

    found = minimize(
        negative, np.log(first).ravel(), jac=True, method="L-BFGS-B", options={"maxfun": EVALUATIONS, "ftol": 1e-7}
    )
    return _rows(found.x, replies)


def _rows(logits: FloatArray, size: int) -> FloatArray:
    table = logits.reshape(size, size)
    weights = np.exp(table - table.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _likelihood(
    arrays: Arrays, temperature: float, behaviours: list[Behaviour], confusion: FloatArray
) -> tuple[float, FloatArray]:
    """Log-likelihood of all behaviours and its derivative by C, ``[B, B]``."""
    believed = replace(arrays, kernel=kernel(confused(arrays.transition, confusion)))
    total, pull = 0.0, np.zeros_like(confusion)
    for behaviour in behaviours:
        game = replace(believed, follower_reward=behaviour.follower_reward)
        solved = soft_response(game, temperature, behaviour.values, tolerance=1e-9)
        behaviour.values = solved.values
        mixed = (1.0 - UNEXPLAINED) * solved.policy + UNEXPLAINED / len(confusion)
        total += float((behaviour.counts * np.log(mixed)).sum())
        scores = behaviour.counts * (1.0 - UNEXPLAINED) * solved.policy / mixed
        weights = (scores - scores.sum(axis=2, keepdims=True) * solved.policy) / temperature
        weights += _forwarded(game, weights, solved.policy)
        pull += game.follower_discount * np.einsum("sab,sac->bc", weights, arrays.kernel.expected(solved.values))
    return total, pull


def _forwarded(game: Arrays, weights: FloatArray, policy: Any) -> FloatArray:
    """Weights of QF through the values of the states that follow, ``[S, A, B]``."""
    entering = game.follower_discount * game.kernel.inflow(weights)
    visits = Factorised(game.chain(policy), game.follower_discount).solve_transposed(entering)
    return np.asarray((visits * game.alive)[:, None, None] * game.policy[:, :, None] * policy)

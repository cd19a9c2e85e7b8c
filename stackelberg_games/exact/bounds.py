"""How far computed values can be from the true ones: residuals and rounding, and what carries them on.

Values V that solve V = r_g + discount P_g V up to a residual and a rounding error of at most d(s) in each state
are within (I - discount P_g)^-1 d of the solution, for the inverse has no negative entry. The bound is one of each
state: what happens in states that play from s never enters does not show in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from stackelberg_games.arrays import BoolArray, FloatArray
from stackelberg_games.exact.chain_system import INFLATED
from stackelberg_games.exact.response import Arrays, Response, System

EPSILON = float(np.finfo(np.float64).eps)
SPARE = 32
"""Roundings allowed for beside those of sums: of inputs such as policies, and of elementary functions."""

ROUNDS = 30


def rounding(arrays: Arrays, reward: FloatArray, discount: float, values: FloatArray) -> FloatArray:
    """Bound on the rounding error of ``reward + discount * P values``, averaged or not, ``[S, A, B]``."""
    _, actions, replies = reward.shape
    sizes = np.abs(reward) + discount * arrays.kernel.expected(np.abs(values))
    return np.asarray(EPSILON * (arrays.kernel.terms + actions * replies + SPARE) * sizes)


def evaluation_error(
    arrays: Arrays, reward: FloatArray, discount: float, policy: FloatArray, values: FloatArray, factors: System
) -> FloatArray:
    """Bound on the error of the values of a policy, ``[S]``.

    Args:
        arrays: the game under a commitment.
        reward: what is accumulated, ``[S, A, B]``.
        discount: of the values.
        policy: the follower's, ``[S, A, B]``.
        values: as computed, ``[S]``.
        factors: those of I - discount * chain.
    """
    table = reward + discount * arrays.kernel.expected(values)
    missing = np.abs(arrays.average(table, policy) - values)
    return factors.bound(missing + arrays.average(rounding(arrays, reward, discount, values), policy))


def soft_rounding(arrays: Arrays, solved: Response) -> FloatArray:
    """Bound on the rounding error of one soft backup of a response's values, ``[S]``."""
    replies = solved.policy.shape[2]

    def bound(part: Arrays, rows: slice) -> FloatArray:
        table = rounding(part, part.follower_reward, part.follower_discount, solved.values)
        sums = part.average(table, solved.policy[rows])
        return np.asarray(sums + EPSILON * SPARE * solved.temperature * (1 + replies) * part.alive)

    return _by_parts(arrays, bound)


def _by_parts(arrays: Arrays, of: Callable[[Arrays, slice], FloatArray]) -> FloatArray:
    """What is worked out of the tables ``[S, A, B]``, some states at a time where the game is large, ``[..., S]``."""
    return np.concatenate([of(arrays.part(rows), rows) for rows in arrays.parts()], axis=-1)


def soft_error(arrays: Arrays, solved: Response, updated: FloatArray, factors: System) -> FloatArray:
    """Bound on the error of a soft response's values, ``[S]``.

    u bounds the error where the backup T fulfils T(V + u) <= V + u, and
    T(V + u) = T V + sum_a f(a) tau log sum_b g(b|a) exp(gF (P u)(s, a, b) / tau), which is gF P_g u and a little more.
    In states where that little grows without end u is what holds everywhere: the largest residual of all states
    over 1 - gF.

    Args:
        arrays: the game under a commitment.
        solved: its soft response.
        updated: T V, ``[S]``.
        factors: those of I - gF P_g, at this response or one nearby.
    """
    own = np.abs(updated - solved.values) + soft_rounding(arrays, solved)
    coarse = INFLATED * float(own.max()) / (1 - arrays.follower_discount)
    bound = np.minimum(factors.bound(own), coarse)
    for _ in range(ROUNDS):
        raised, second = _by_parts(arrays, partial(_raised, solved, bound, coarse))
        over = own + raised
        if (over <= bound).all():
            return np.asarray(bound)
        wider = factors.bound(own + second)
        bound = np.minimum(np.maximum(bound, np.where(np.isfinite(wider), wider, coarse)), coarse)
    return np.where(over <= bound, bound, coarse)


def _raised(solved: Response, bound: FloatArray, coarse: float, part: Arrays, rows: slice) -> FloatArray:
    """What values higher by a bound ``[S]`` raise the backup by in some states, and its second order, ``[2, N]``."""
    tau, policy, discount = solved.temperature, solved.policy[rows], part.follower_discount
    leader, compared = part.policy * part.alive[:, None], part.compared(solved.q[rows])
    below = compared - compared.max(axis=2, keepdims=True)
    with np.errstate(over="ignore", invalid="ignore"):
        carried = part.compared(discount * part.kernel.expected(bound))
        raises = np.where(policy > 0, policy * np.expm1(carried / tau), np.exp((below + carried) / tau))
        raised = np.minimum(tau * np.log1p(raises.sum(axis=2)), discount * coarse)
        second = np.maximum(raised - (policy * carried).sum(axis=2), 0.0)
        return np.stack([(leader * raised).sum(axis=1), (leader * second).sum(axis=1)])


def open_change(arrays: Arrays, solved: Response) -> FloatArray:
    """Bound on what the error of the values changes of a soft response, ``[S, A, B]``; infinite where it is open."""
    assert solved.error is not None
    own = rounding(arrays, arrays.follower_reward, arrays.follower_discount, solved.values)
    doubt = arrays.compared(own + arrays.follower_discount * arrays.kernel.expected(solved.error))
    doubt = np.maximum(doubt, (solved.policy * doubt).sum(axis=2, keepdims=True))
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(solved.policy > 0, solved.policy * np.expm1(2 * doubt / solved.temperature), 0.0)


def undecided(arrays: Arrays, solved: Response) -> BoolArray:
    """States in which the error of the values leaves a soft response open by a factor of two or more, ``[S]``."""

    def open_to(part: Arrays, rows: slice) -> Any:
        change = open_change(part, replace(solved, policy=solved.policy[rows]))
        return (change.sum(axis=2) >= 1.0).any(axis=1) & part.alive

    return np.asarray(_by_parts(arrays, open_to))

"""The follower's hard best response in finite games, by policy iteration, and what it does where actions tie.

Two actions tie in a state where the difference of their values is within what double precision leaves open there:
a bound that comes from the solver's residual and from rounding (``stackelberg_games.exact.bounds``), in that state and
in those that follow it under best play. How large values are elsewhere does not matter, and neither do their units.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np

from stackelberg_games.arrays import BoolArray, FloatArray, IntArray
from stackelberg_games.errors import SolverError
from stackelberg_games.exact.bounds import evaluation_error, rounding
from stackelberg_games.exact.chain_system import INFLATED
from stackelberg_games.exact.listed_response import ListedProblem, solve_listed
from stackelberg_games.exact.response import Arrays, Response, overflowed
from stackelberg_games.kinds.successors import SuccessorLists

Ties = Literal["leader", "first", "against"]
MAX_POLICY_ITERATIONS = 1000
ENUMERATED = 4096
"""Choices among tied actions that are all tried where the leader has a horizon."""

NEVER = 1e-30
"""Probabilities of the leader's actions below which they break no tie: a policy's zeros may be stored as such."""


FORBIDDEN = -1e290
"""The reward of moves that may not be made, where no mask can say so."""


class Plan(NamedTuple):
    """An optimal deterministic policy of one player, by policy iteration.

    Attributes:
        policy: ``[S, A, B]``, rows 0 or 1.
        values: ``[S]``.
        table: action values, ``[S, A, B]``.
        doubt: bound on the error of ``table`` as the follower compares its entries, ``[S, A, B]``.
        error: bound on the error of ``values`` as those of the policy, ``[S]``.
        steps: matrices factorised.
    """

    policy: FloatArray
    values: FloatArray
    table: FloatArray
    doubt: FloatArray
    error: FloatArray
    steps: int


def hard_response(arrays: Arrays, ties: Ties = "leader", start: FloatArray | None = None) -> Response:
    """Best response by policy iteration.

    Args:
        arrays: the game under a commitment.
        start: values ``[S]`` to begin with.
        ties: among best responses take the one best for the leader (the strong Stackelberg
            convention) over its horizon, the first in index order, or the one worst for the leader.

    Raises:
        PrecisionError: values overflow.
        SolverError: policy iteration did not settle.
    """
    if any(arrays.offsets):
        inner, lift = arrays.centred()
        return hard_response(inner, ties, None if start is None else start - lift).shifted(lift)
    if ((arrays.policy < NEVER) & (arrays.policy > 0)).any():
        arrays = replace(arrays, policy=np.where(arrays.policy < NEVER, 0.0, arrays.policy))
    everything = np.ones(arrays.follower_reward.shape, dtype=np.bool_)
    found = improve(arrays, arrays.follower_reward, arrays.follower_discount, everything, start)
    best, error = _tied(arrays, found)
    policy, gap = found.policy, 0.0
    if ties == "first":
        policy = _pure(best.argmax(axis=2), best.shape[2])
    elif _contested(arrays, best).any():
        policy, gap = _chosen(arrays, best, 1.0 if ties == "leader" else -1.0)
    updated = (arrays.policy * arrays.compared(found.table).max(axis=2)).sum(axis=1)
    residual = float(np.abs(np.where(arrays.alive, updated - found.values, 0.0)).max())
    return Response(policy, found.table, found.values, 0.0, found.steps, error, gap, residual)


def improve(
    arrays: Arrays, reward: FloatArray, discount: float, allowed: BoolArray, start: FloatArray | None = None
) -> Plan:
    """Howard's policy iteration for the follower's moves within ``allowed``, ``[S, A, B]``, from values ``[S]`` if they are given.

    An action is replaced only by one that is better beyond doubt, so the iteration cannot go in circles.

    Raises:
        PrecisionError: values overflow.
        SolverError: it did not settle.
    """
    values: FloatArray | None = None
    if isinstance(arrays.kernel, SuccessorLists):
        choice, values = _listed(arrays, arrays.kernel, reward, discount, allowed, start)
    else:
        first = reward if start is None else arrays.kernel.ahead(reward, discount, start)
        choice = np.argmax(np.where(allowed, arrays.compared(first), -np.inf), axis=2)
    for steps in range(1, MAX_POLICY_ITERATIONS):
        policy = _pure(choice, reward.shape[2])
        factors = arrays.system(policy, discount)
        if steps > 1 or values is None:
            values = factors.solve(arrays.average(reward, policy))
        table = reward + discount * arrays.kernel.expected(values)
        if not np.isfinite(table).all():
            raise overflowed("values of a hard response", reward)
        error = evaluation_error(arrays, reward, discount, policy, values, factors)
        doubt = rounding(arrays, reward, discount, values) + discount * arrays.kernel.expected(error)
        doubt = arrays.compared(doubt)
        compared = np.where(allowed, arrays.compared(table), -np.inf)
        gains = compared - doubt - _of(compared + doubt, choice)
        better = gains.argmax(axis=2)
        switched = np.where(_of(gains, better)[:, :, 0] > 0, better, choice)
        if np.array_equal(switched, choice):
            return Plan(policy, values, table, doubt, error, steps)
        choice = switched
    raise SolverError(f"policy iteration did not settle in {MAX_POLICY_ITERATIONS} rounds")


def _listed(
    arrays: Arrays,
    lists: SuccessorLists,
    reward: FloatArray,
    discount: float,
    allowed: BoolArray,
    start: FloatArray | None,
) -> tuple[IntArray, FloatArray]:
    """Best moves on lists of successors, ``[S, A]``, and their values, as far as iterations take them."""
    open_to = reward if allowed.all() else np.where(allowed, reward, FORBIDDEN)
    found = solve_listed(ListedProblem(lists, open_to, arrays.policy, arrays.alive, discount, arrays.sees), 0.0, start)
    choice = np.broadcast_to(found.response.argmax(axis=2), reward.shape[:2])
    return choice, found.values


def _pure(choice: IntArray, replies: int) -> FloatArray:
    """Rows that are 1 at the chosen action, ``[S, A, B]``."""
    return np.asarray(np.eye(replies)[choice])


def _of(table: FloatArray, choice: IntArray) -> FloatArray:
    """Entries of a table at the chosen actions, ``[S, A, 1]``."""
    return np.take_along_axis(table, choice[:, :, None], axis=2)


def _tied(arrays: Arrays, found: Plan) -> tuple[BoolArray, FloatArray]:
    """Which actions may be best, ``[S, A, B]``, and a bound on the error of the optimal values, ``[S]``.

    u bounds by how much true values exceed those of the policy where no action that may be best leads to more than
    u with it: the values of a game whose rewards are what the accuracy of each action leaves open. A larger bound
    may let in more actions.
    """
    reward, discount = arrays.follower_reward, arrays.follower_discount
    compared, choice = arrays.compared(found.table), found.policy.argmax(axis=2)
    kept = _of(compared, choice)
    own = rounding(arrays, reward, discount, found.values)
    missing = np.abs(arrays.average(found.table, found.policy) - found.values)
    open_to = own + missing[:, None, None] + compared - kept
    best, error, doubt = found.policy > 0, found.error, found.doubt
    while True:
        wider = best | (compared + doubt >= kept - _of(doubt, choice))
        if np.array_equal(wider, best):
            return best, error
        best = wider
        worst = improve(arrays, open_to, discount, best)
        error = np.maximum(error, INFLATED * (worst.values + worst.error))
        doubt = np.maximum(doubt, arrays.compared(own + discount * arrays.kernel.expected(error)))


def _contested(arrays: Arrays, best: BoolArray) -> BoolArray:
    """Where play may come to a choice among actions that are not the same to the leader, ``[S, A]``."""
    played = (arrays.policy > 0) & arrays.alive[:, None]
    several = np.asarray(played & (best.sum(axis=2) > 1))
    if isinstance(arrays.kernel, SuccessorLists):
        return arrays.kernel.differing(several, best, arrays.leader_reward)
    for state, action in np.argwhere(several).tolist():
        first, *others = [(state, action, reply) for reply in np.flatnonzero(best[state, action]).tolist()]
        reward, row = arrays.leader_reward[first], arrays.kernel.row(first)
        several[state, action] = any(
            arrays.leader_reward[other] != reward or not np.array_equal(arrays.kernel.row(other), row)
            for other in others
        )
    return several


def _chosen(arrays: Arrays, best: BoolArray, sign: float) -> tuple[FloatArray, float]:
    """The policy among tied actions that is best for the leader (worst for ``sign=-1``), and ``Response.tie_gap``."""
    reward = sign * arrays.leader_reward
    if arrays.horizon is None:
        return improve(arrays, reward, arrays.leader_discount, best).policy, 0.0
    assert arrays.initial is not None
    limited = replace(arrays, leader_reward=reward)
    plans, bound = _staged(limited, best)
    values = [_worth(limited, plan) for plan in plans]
    value, choice = max(values), plans[int(np.argmax(values))]
    tolerance = 1e-12 * _worth(replace(limited, leader_reward=np.abs(reward)), choice)
    if bound - value > tolerance:
        value, choice, bound = _searched(limited, best, choice, value, bound)
    return _pure(choice, best.shape[2]), max(0.0, bound - value) if bound - value > tolerance else 0.0


def _staged(arrays: Arrays, best: BoolArray) -> tuple[list[IntArray], float]:
    """Best choices with 1, 2, ... stages left, each one once, and what choosing by stage would bring."""
    assert arrays.initial is not None
    plans: list[IntArray] = []
    values: FloatArray = np.zeros(len(arrays.policy))
    choice = best.argmax(axis=2)
    for _ in range(arrays.horizon or 0):
        table = arrays.leader_q(values)
        compared = np.where(best, arrays.compared(table), -np.inf)
        doubt = arrays.compared(rounding(arrays, arrays.leader_reward, arrays.leader_discount, values))
        gains = compared - doubt - _of(compared + doubt, choice)
        better = gains.argmax(axis=2)
        choice = np.where(_of(gains, better)[:, :, 0] > 0, better, choice)
        if not any(np.array_equal(choice, plan) for plan in plans):
            plans.append(choice)
        values = arrays.average(table, _pure(choice, best.shape[2]))
    return plans, float(arrays.initial @ values)


def _worth(arrays: Arrays, choice: IntArray) -> float:
    """The leader's return over its horizon under a stationary choice."""
    assert arrays.initial is not None
    policy = _pure(choice, arrays.leader_reward.shape[2])
    reward, discount = arrays.average(arrays.leader_reward, policy), arrays.leader_discount
    return float(arrays.initial @ arrays.accumulated(policy, reward, discount, arrays.horizon or 0))


def _searched(
    arrays: Arrays, best: BoolArray, choice: IntArray, value: float, bound: float
) -> tuple[float, IntArray, float]:
    """A better stationary choice among tied actions, its worth and a bound: all are tried, or one cell after another."""
    contested = _contested(arrays, best)
    cells = np.argwhere(contested if arrays.sees else contested.any(axis=1))
    options = [np.flatnonzero(best[cell[0], cell[1] if arrays.sees else 0]).tolist() for cell in cells]

    def changed(cells: IntArray, actions: Sequence[int]) -> IntArray:
        other = choice.copy()
        for cell, action in zip(cells, actions, strict=True):
            other[tuple(cell)] = action
        return other

    if np.prod([float(len(option)) for option in options]) <= ENUMERATED:
        tried = [changed(cells, actions) for actions in itertools.product(*options)]
        worths = [_worth(arrays, other) for other in tried]
        return max(worths), tried[int(np.argmax(worths))], max(worths)
    improving = True
    while improving:
        improving = False
        for cell, option in zip(cells, options, strict=True):
            for action in option:
                other = changed(cell[None], (action,))
                worth = _worth(arrays, other)
                if worth > value + 1e-12 * abs(value):
                    value, choice, improving = worth, other, True
    return value, choice, bound

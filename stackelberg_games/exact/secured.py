"""Strong Stackelberg solutions where the follower's actions change what comes, with a bound from what it can secure.

Whatever the leader commits to, and with any memory, the follower gets at least what it can secure against a leader
that plays against it, v. So where both discount alike the leader's value is at most

    max { J_L : J_F >= v } <= min over w >= 0 of  max over joint plans of (J_L + w J_F)  -  w v,

and each plan is that of a Markov decision process whose actions are pairs of actions. Finding the best stationary
commitment is NP-hard; for each policy of the follower it is a program with bilinear constraints, which is solved
locally from several starts until the bound is met or all policies have been tried.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from stackelberg_games.arrays import BoolArray, FloatArray, IntArray
from stackelberg_games.errors import SolverError
from stackelberg_games.exact.bounds import EPSILON, SPARE
from stackelberg_games.exact.programs import best_mixture
from stackelberg_games.kinds.finite import TabularGame

MAX_POLICIES = 512
STARTS = 3
ROUNDS = 200
CLOSE = 1e-9
"""Of the span of rewards, at which a bound counts as met."""


class Play(NamedTuple):
    """A commitment ``[S, A]`` to which a policy of the follower is a best response, and the leader's value."""

    policy: FloatArray
    value: float


class Endless(NamedTuple):
    """Arrays of an endless game in which both discount alike, of the S states that play can enter.

    Attributes:
        transition: ``[S, A, B, S]``; columns of terminal states are zero.
        leader, follower: rewards, ``[S, A, B]``, zero in terminal states; in units of what they differ by, so that the
            programs are the same whatever the units of the game.
        initial: ``[S]``.
        discount: of both.
        entered: which states of the game they are, bool.
        unit, offset: the leader's rewards are ``unit`` times those here and ``offset``.
    """

    transition: FloatArray
    leader: FloatArray
    follower: FloatArray
    initial: FloatArray
    discount: float
    entered: BoolArray
    unit: float
    offset: float

    @classmethod
    def of(cls, game: TabularGame) -> Endless | None:
        """None of any other game, and where the follower sees the leader's action or has too many policies."""
        if game.horizon is not None or game.leader_discount != game.follower_discount or game.follower_sees_action:
            return None
        entered = game.reachable(game.tables().transition)
        if game.follower_actions ** int(entered.sum()) > MAX_POLICIES:  # of integers, which do not overflow
            return None
        alive = ~game.terminal[entered]
        (leader, unit, offset), (follower, _, _) = (
            _in_units(table[entered] * alive[:, None, None], endless=bool(alive.all()))
            for table in (game.leader_reward, game.follower_reward)
        )
        kernel = game.continuing(game.tables().transition)
        onto = [kernel.expected((np.arange(game.states) == state) * 1.0)[entered] for state in np.flatnonzero(entered)]
        transition = np.stack(onto, axis=-1)
        initial = game.initial_distribution[entered]
        return cls(transition, leader, follower, initial, game.leader_discount, entered, unit, offset)

    def worth(self, value: float) -> float:
        """A value of the leader's in the units of the game."""
        return self.unit * value + self.offset / (1 - self.discount)

    def values(self, joint: FloatArray, reward: FloatArray) -> FloatArray:
        """Values of joint play ``[S, A, B]``, ``[S]`` or with the trailing axes of ``reward``."""
        chain = np.einsum("sab,sabt->st", joint, self.transition)
        paid = np.einsum("sab,sab...->s...", joint, reward)
        return np.asarray(np.linalg.solve(np.eye(len(chain)) - self.discount * chain, paid))

    def ahead(self, reward: FloatArray, values: FloatArray) -> FloatArray:
        """Values of pairs of actions, ``[S, A, B]``."""
        return np.asarray(reward + self.discount * self.transition @ values)


def _in_units(rewards: FloatArray, *, endless: bool) -> tuple[FloatArray, float, float]:
    """Rewards in units of what they differ by, above the least of them where no episode ends; unit and offset."""
    offset = float(rewards.min()) if endless else 0.0
    unit = float(np.ptp(rewards - offset)) or 1.0
    return (rewards - offset) / unit, unit, offset


def secured(game: Endless) -> float:
    """What a policy of the follower secures it against every leader: the most, up to where the iteration settled.

    Hoffman and Karp's iteration: the follower plays optimal mixtures of the matrix games of its values, and the leader
    answers at its worst. Every round gives a policy whose value is a bound from below, wherever the iteration is ended.
    """
    values, best = np.full(len(game.follower), game.follower.min() / (1 - game.discount)), -np.inf
    for _ in range(ROUNDS):
        table = game.ahead(game.follower, values)
        mixtures = np.stack([_guard(matrix) for matrix in table])
        worst = _best_play(game, mixtures[:, None], -game.follower)
        values, reached = np.maximum(values, -worst.values), -worst.bound(game)
        if reached <= best + 1e-13 * abs(best):
            break
        best = reached
    return best


def _guard(matrix: FloatArray) -> FloatArray:
    """The mixture of columns with the greatest minimum over rows of a matrix ``[A, B]``."""
    low = float(matrix.min())
    rows = np.hstack([-(matrix - low), np.ones((len(matrix), 1))])
    # max t with sum_b g(b) m(a, b) >= t, in units where (g, t) sum to one.
    unit = max(float(np.ptp(matrix)), 1e-300)
    rows[:, :-1] /= unit
    found = best_mixture(np.append(np.zeros(matrix.shape[1]), 1.0), rows)
    assert found is not None
    weights = np.maximum(found.point[:-1], 0.0)
    return np.asarray(weights / weights.sum())


class JointPlan(NamedTuple):
    """Joint play, and what it is worth.

    Attributes:
        joint: ``[S, A, B]``.
        values: of what was accumulated, as computed, ``[S]``.
        slack: by how much any other play may be worth more in a state: what one more backup gains, and rounding.
    """

    joint: FloatArray
    values: FloatArray
    slack: float

    def bound(self, game: Endless) -> float:
        """What no play is worth more than."""
        return float(game.initial @ self.values) + self.slack


def _best_play(game: Endless, replies: FloatArray, reward: FloatArray) -> JointPlan:
    """The joint play worth most, by policy iteration, where an action and one of K replies are chosen.

    Args:
        game: the game.
        replies: mixtures of the follower's actions to choose from in each state, ``[S, K, B]``.
        reward: what is accumulated, ``[S, A, B]``.

    Raises:
        SolverError: the iteration did not settle.
    """
    (states, options, _), actions = replies.shape, np.eye(reward.shape[1])
    choice, rows = np.zeros(states, dtype=np.int64), np.arange(states)
    for _ in range(ROUNDS):
        action, reply = np.divmod(choice, options)
        joint = actions[action][:, :, None] * replies[rows, reply][:, None]
        values = game.values(joint, reward)
        table = np.einsum("sab,skb->sak", game.ahead(reward, values), replies).reshape(states, -1)
        better = table.max(axis=1) > table[rows, choice] + 1e-12 * np.abs(table).max()
        if not better.any():
            lost = EPSILON * (states + reward[0].size + SPARE) * float((np.abs(reward).max() + np.abs(values)).max())
            gained = max(float((table.max(axis=1) - values).max()), 0.0)
            return JointPlan(joint, values, (gained + lost) / (1 - game.discount))
        choice = np.where(better, table.argmax(axis=1), choice)
    raise SolverError(f"policy iteration did not settle in {ROUNDS} rounds")


class CuttingPlane(NamedTuple):
    """What a weight on the follower's value proves.

    Attributes:
        leader, follower: values under the joint plan that is worth most at this weight.
        bound: what no commitment is worth more than.
    """

    leader: float
    follower: float
    bound: float


def roof_of_play(game: Endless) -> float:
    """What no commitment is worth more than; see the module's text. The weight is found by cutting planes."""
    least = secured(game)
    left = _line(game, 0.0, least)
    if left.follower >= least:
        return left.bound
    enough = least - EPSILON * SPARE * abs(least)
    weight, right = 1.0, _line(game, 1.0, least)
    best = min(left.bound, right.bound)
    while right.follower < enough and weight < 1e12:
        weight *= 4.0
        right = _line(game, weight, least)
        best = min(best, right.bound)
    for _ in range(ROUNDS):
        gained = right.follower - left.follower
        if gained <= 0:
            break
        line = _line(game, (left.leader - right.leader) / gained, least)
        settled = line.bound >= best - 1e-13 * abs(best)
        best = min(best, line.bound)
        if settled:
            break
        left, right = (line, right) if line.follower < least else (left, line)
    return best


def _line(game: Endless, weight: float, least: float) -> CuttingPlane:
    """From the plan that maximises J_L + ``weight`` J_F, where J_F is at least ``least``."""
    pure = np.broadcast_to(np.eye(game.leader.shape[2]), (len(game.leader), *(game.leader.shape[2],) * 2))
    plan = _best_play(game, pure, game.leader + weight * game.follower)
    both = game.initial @ game.values(plan.joint, np.stack([game.leader, game.follower], axis=3))
    rounding = EPSILON * SPARE * weight * abs(least)
    return CuttingPlane(float(both[0]), float(both[1]), plan.bound(game) - weight * least + rounding)


def plays(game: Endless, limit: float, margin: float) -> Iterator[Play]:
    """Commitments that make a policy of the follower a best response by a margin, each better than those before.

    Args:
        game: the game.
        limit: what no commitment is worth more than; nothing is sought where it is reached.
        margin: by how much in every state no other action may be better, or be worse.

    """
    states, actions, replies = game.leader.shape
    listed = [np.array(one) for one in itertools.product(range(replies), repeat=states)]
    roofs = [_roof(game, policy) for policy in listed]
    best, close = -np.inf, CLOSE * float(np.ptp(game.leader)) / (1 - game.discount)
    draws = np.random.default_rng(0)
    for index in np.argsort(-np.array(roofs), kind="stable"):
        if best >= min(limit, roofs[index]) - close:
            return
        for start in (np.full((states, actions), 1 / actions), *draws.dirichlet(np.ones(actions), (STARTS, states))):
            found = _program(game, listed[index], start, margin)
            if found is not None and found.value > best + close:
                best = found.value
                yield found


def _roof(game: Endless, policy: IntArray) -> float:
    """The leader's value against a policy of the follower that stays as it is."""
    return _best_play(game, np.eye(game.leader.shape[2])[policy][:, None], game.leader).bound(game)


def _program(game: Endless, policy: IntArray, start: FloatArray, margin: float) -> Play | None:
    """A local solution of a policy's program; None where it ends outside of what is allowed."""
    shape = start.shape
    replies = np.eye(game.leader.shape[2])[policy]

    @lru_cache(maxsize=1)  # the objective, the constraints and their slopes are asked for at the same points
    def at_point(flat: bytes) -> tuple[FloatArray, FloatArray]:
        joint = np.frombuffer(flat).reshape(shape)[:, :, None] * replies[:, None]
        chain = np.einsum("sab,sabt->st", joint, game.transition)
        return joint, np.linalg.inv(np.eye(shape[0]) - game.discount * chain)

    def derivatives(flat: FloatArray, reward: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Values ``[S]``, their derivatives ``[S, S, A]``, and values of pairs ``[S, A, B]``."""
        joint, inverse = at_point(np.ascontiguousarray(flat).tobytes())
        values = inverse @ (joint * reward).sum(axis=(1, 2))
        table = game.ahead(reward, values)
        own = (table * replies[:, None]).sum(axis=2)  # [S, A]
        return values, inverse[:, :, None] * own[None], table

    def worth(flat: FloatArray) -> tuple[float, FloatArray]:
        values, slope, _ = derivatives(flat, game.leader)
        return -float(game.initial @ values), -np.einsum("s,sta->ta", game.initial, slope).ravel()

    others = [(s, b) for s in range(shape[0]) for b in range(replies.shape[1]) if b != policy[s]]
    at, to = (np.array(part) for part in zip(*others, strict=True)) if others else (np.empty(0, int),) * 2

    def slack(flat: FloatArray) -> FloatArray:
        values, _, table = derivatives(flat, game.follower)
        averaged = np.einsum("sa,sab->sb", flat.reshape(shape), table)
        return np.asarray(values[at] - averaged[at, to] - margin)

    def slack_slope(flat: FloatArray) -> FloatArray:
        policy_now = flat.reshape(shape)
        _, slope, table = derivatives(flat, game.follower)
        onward = game.discount * np.einsum("sa,sabt->sbt", policy_now, game.transition)[at, to]
        change = slope[at] - np.einsum("kt,tua->kua", onward, slope)
        change[np.arange(len(at)), at] -= table[at, :, to]
        return np.asarray(change.reshape(len(at), -1))

    sums = np.kron(np.eye(shape[0]), np.ones(shape[1]))
    constraints = [
        {"type": "eq", "fun": lambda flat: sums @ flat - 1, "jac": lambda flat: sums},
        {"type": "ineq", "fun": slack, "jac": slack_slope},
    ]
    options = {"maxiter": 200, "ftol": 1e-14}
    bounds = [(0.0, 1.0)] * start.size
    try:
        found = minimize(
            worth, start.ravel(), jac=True, method="SLSQP", bounds=bounds, constraints=constraints, options=options
        )
    except np.linalg.LinAlgError:  # it has strayed to where rows are no distributions
        return None
    point = np.clip(found.x, 0.0, 1.0).reshape(shape)
    point = point / point.sum(axis=1, keepdims=True)
    unit = float(np.ptp(game.follower)) / (1 - game.discount)
    if not np.isfinite(point).all() or (slack(point.ravel()) < -1e-7 * unit).any():
        return None
    return Play(point, -worth(point.ravel())[0])

"""The follower's response on lists of successors: soft, or hard at temperature 0, for games too large for arrays.

Games that mix are solved by value iteration whose common part is shifted away, in some twenty sweeps at any discount; games in
which states know only their neighbours by Newton's method, whose linear systems are solved as far as the residual asks for, with a
sweep of Gauss-Seidel before each step. Some first sweeps show which of the two a game is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from stackelberg_games.arrays import BoolArray, FloatArray
from stackelberg_games.errors import PrecisionError, SolverError
from stackelberg_games.exact.chain_system import ChainSystem
from stackelberg_games.exact.order import side_by_side
from stackelberg_games.kinds.successors import SuccessorLists, unsigned
from stackelberg_games.numerics.randomness import compiled
from stackelberg_games.progress import Advance, patiently

TOLERANCE = 1e-10
"""Of the residual, relative to the temperature."""

ROUNDING = 8 * float(np.finfo(np.float64).eps)
"""Residuals below this share of the largest value are rounding."""

TRIED = 3
FEW = 40
"""Sweeps that are worth waiting for."""

INEXACT = 0.01
"""Share of the residual to which a Newton step is solved."""

STEPS = 300
STALLED = 3
"""Newton steps that gain nothing before rounding is said to stand in the way."""

NEAR = 1e4
"""Times the tolerance: residuals above may rise for a while."""


class ListedProblem(NamedTuple):
    """What the follower faces.

    Attributes:
        lists: successors; nothing leads to a terminal state.
        reward: the follower's, ``[S, A, B]``.
        policy: the leader's, ``[S, A]``.
        alive: bool ``[S]``, false at terminal states.
        discount: the follower's.
        sees: whether it sees the leader's action.
    """

    lists: SuccessorLists
    reward: FloatArray
    policy: FloatArray
    alive: BoolArray
    discount: float
    sees: bool

    @property
    def parts(self) -> tuple[Any, ...]:
        """For compiled code."""
        lists = self.lists
        return lists.first, unsigned(lists.successors), lists.probability, self.reward, self.policy, self.alive


class Solved(NamedTuple):
    """A response on lists.

    Attributes:
        values: VF(s), ``[S]``.
        response: g, ``[S, A, B]``, or ``[S, 1, B]`` where the leader's action is not seen.
        residual: the largest |T V - V|.
        steps: of Newton's method.
        converged: false where the residual stopped falling above the tolerance.
    """

    values: FloatArray
    response: FloatArray
    residual: float
    steps: int
    converged: bool


def solve_listed(problem: ListedProblem, temperature: float, start: FloatArray | None = None) -> Solved:
    """The follower's optimal response and its values.

    Args:
        problem: what it faces.
        temperature: tau; 0 for a hard response, the first of equally good actions.
        start: values ``[S]`` to begin with; zeros if not given.

    Raises:
        PrecisionError: values overflow.
        SolverError: the residual did not fall.
    """
    values: FloatArray = np.zeros(len(problem.policy)) if start is None else np.array(start, dtype=np.float64)
    values *= problem.alive
    with patiently("of the follower's response") as advance:
        values, residual = _swept(problem, temperature, values, Way(advance))
        if residual <= _goal(problem, temperature, values):
            return _answer(problem, temperature, values, 0)
        return _newton(problem, temperature, values, Way(advance))


def _goal(problem: ListedProblem, temperature: float, values: FloatArray) -> float:
    """The residual that will do."""
    return max(TOLERANCE * temperature, ROUNDING * float(np.abs(values).max()))


def _check(problem: ListedProblem, residual: float) -> None:
    if not np.isfinite(residual):
        largest = problem.reward.ravel()[np.abs(problem.reward).argmax()]
        raise PrecisionError(
            f"the follower's values overflow double precision: a reward is {largest:.6g}; express the rewards, and the "
            "temperature with them, in a larger unit"
        )


class Way:
    """How far an iteration is whose residual falls geometrically.

    Args:
        advance: is told in per cent.
    """

    def __init__(self, advance: Advance) -> None:
        self.advance, self.first = advance, 0.0

    def tell(self, residual: float, goal: float) -> None:
        """Where it stands; the first residual is 0 per cent, and the goal 100."""
        self.first = max(self.first, residual)
        if self.first > residual > goal > 0:
            done = int(100 * np.log(self.first / residual) / np.log(self.first / goal))
            self.advance(done, f"residual {residual:.1e} of {goal:.1e}")


def _swept(problem: ListedProblem, temperature: float, values: FloatArray, way: Way) -> tuple[FloatArray, float]:
    """Value iteration while it is quick: values and the last residual."""
    updated = np.empty(len(values))
    spans: list[float] = []
    shift = problem.discount / (1 - problem.discount) if problem.alive.all() else 0.0
    while True:
        low, high = _backup(problem.parts, (problem.discount, temperature, problem.sees), values, updated)
        residual = max(-low, high)
        _check(problem, residual)
        spans.append(high - low)
        goal = _goal(problem, temperature, values)
        way.tell(residual, goal)
        if residual <= goal:
            return values, residual
        values, updated = updated, values
        values += 0.5 * (low + high) * shift * problem.alive
        if len(spans) >= TRIED:
            rate = (spans[-1] / spans[-3]) ** 0.5 if spans[-3] > 0 else 0.0
            if rate >= 1 or (rate > 0 and np.log(0.1 * goal / max(spans[-1], goal)) / np.log(rate) > FEW):
                return values, np.inf
        if len(spans) > TRIED + 2 * FEW:
            return values, np.inf


def _newton(problem: ListedProblem, temperature: float, values: FloatArray, way: Way) -> Solved:
    """Newton's method, a sweep of Gauss-Seidel in every step.

    The policy that a sweep finds has values V_g = T_g V_g with T_g affine, and the sweep leaves the rows of that system behind: what is
    missing at the values swept is what those that came later had not yet seen of each other.
    """
    pattern = problem.lists.pattern
    rows = np.empty(len(pattern.columns))
    changes, missing = np.empty(len(values)), np.empty(len(values))
    out, widest = (changes, rows), int(np.diff(pattern.first).max())
    rules, places = (
        (problem.discount, temperature, problem.sees),
        (pattern.first, unsigned(pattern.columns), pattern.slot),
    )
    order = side_by_side(len(values))
    best, since, last = np.inf, 0, 0.0
    for steps in range(STEPS):
        backwards = steps % 2 == 1
        _check(problem, _improve(problem.parts, places, rules, backwards, values, widest, out))
        residual = _missing(pattern.parts, rows, changes, backwards, missing)
        goal = _goal(problem, temperature, values)
        way.tell(residual, goal)
        since = 0 if residual < 0.5 * best or residual > NEAR * goal else since + 1
        best = min(best, residual)
        if residual <= goal or since >= STALLED:
            solved = _answer(problem, temperature, values, steps)
            if solved.converged or since >= STALLED:
                return solved
        share = min(INEXACT, (residual / last) ** 2 if last > 0 else 1.0)
        last = residual
        values += ChainSystem(pattern, rows, order=order).roughly(missing, max(share * residual, 0.3 * goal))
    raise SolverError(
        f"the follower's response: residual {residual:.3g} after {STEPS} Newton steps, largest value "
        f"{np.abs(values).max():.3g}: raise the temperature or lower follower_discount"
    )


def _answer(problem: ListedProblem, temperature: float, values: FloatArray, steps: int) -> Solved:
    """The response to values, and whether these are its own."""
    response = np.empty((len(values), problem.policy.shape[1] if problem.sees else 1, problem.reward.shape[2]))
    residual = _respond(problem.parts, (problem.discount, temperature, problem.sees), values, response)
    _check(problem, residual)
    return Solved(values, response, residual, steps, residual <= _goal(problem, temperature, values))


@compiled
def _soften(g: Any, row: int, peak: float, temperature: float) -> float:
    """Make a row of action values one of probabilities; returns the soft (or hard) maximum."""
    replies, total = g.shape[1], 0.0
    if temperature == 0.0:
        for b in range(replies):
            hit = total == 0.0 and g[row, b] == peak
            g[row, b] = 1.0 if hit else 0.0
            total += g[row, b]
        return peak
    for b in range(replies):
        g[row, b] = np.exp((g[row, b] - peak) / temperature)
        total += g[row, b]
    inverse = 1.0 / total
    for b in range(replies):
        g[row, b] *= inverse
    soft: float = peak + temperature * np.log(total)
    return soft


@compiled
def _reply(parts: Any, where: Any, table: Any, rules: Any, s: int, g: Any) -> float:
    """T V(s), and the response there in ``g``; the values that entries k lead to are ``table[where[k]]``."""
    first, _, probability, reward, policy, _ = parts
    discount, temperature, sees = rules
    actions, replies = reward.shape[1], reward.shape[2]
    value: float = 0.0
    if not sees:
        for b in range(replies):
            g[0, b] = 0.0
    cell = s * actions * replies
    k = first[cell]
    for a in range(actions):
        peak = -np.inf
        for b in range(replies):
            cell += 1
            end, total = first[cell], 0.0
            while k < end:
                total += probability[k] * table[where[k]]
                k += 1
            q = reward[s, a, b] + discount * total
            if sees:
                g[a, b] = q
                peak = max(peak, q)
            else:
                g[0, b] += policy[s, a] * q
        if sees:
            value += policy[s, a] * _soften(g, a, peak, temperature)
    if not sees:
        peak = -np.inf
        for b in range(replies):
            peak = max(peak, g[0, b])
        value += _soften(g, 0, peak, temperature)
    return value


@compiled
def _backup(parts: Any, rules: Any, values: Any, updated: Any) -> Any:
    """T V; returns the least and the largest difference to V."""
    successors, reward, alive = parts[1], parts[3], parts[5]
    g = np.empty((reward.shape[1] if rules[2] else 1, reward.shape[2]))
    low, high = np.inf, -np.inf
    for s in range(values.shape[0]):
        updated[s] = _reply(parts, successors, values, rules, s, g) if alive[s] else 0.0
        difference = updated[s] - values[s]
        if not np.isfinite(difference):
            return np.nan, np.nan
        low, high = min(low, difference), max(high, difference)
    return low, high


@compiled
def _respond(parts: Any, rules: Any, values: Any, response: Any) -> float:
    """Fills the response; returns the largest |T V - V|."""
    successors, alive, worst = parts[1], parts[5], 0.0
    for s in range(values.shape[0]):
        updated = _reply(parts, successors, values, rules, s, response[s])
        if alive[s]:
            difference = abs(updated - values[s])
            if not np.isfinite(difference):
                return np.nan
            worst = max(worst, difference)
    return worst


@compiled
def _improve(parts: Any, pattern: Any, rules: Any, backwards: bool, values: Any, widest: int, out: Any) -> float:
    """T V state after state, each with what those before it have come to, and the rows of the system of the policy found.

    Returns the largest change.
    """
    entries, _, probability, reward, policy, alive = parts
    first, columns, slot = pattern
    discount, _, sees = rules
    changes, rows = out
    near, row = np.empty(widest), np.empty(widest)
    actions, replies = reward.shape[1], reward.shape[2]
    g = np.empty((actions if sees else 1, replies))
    worst, states = 0.0, values.shape[0]
    for i in range(states):
        s = states - 1 - i if backwards else i
        begin, width = first[s], first[s + 1] - first[s]
        for j in range(width):
            near[j], row[j] = values[columns[begin + j]], 0.0
        changes[s] = 0.0
        if alive[s]:
            updated = _reply(parts, slot, near, rules, s, g)
            changes[s] = updated - values[s]
            if not np.isfinite(changes[s]):
                return np.nan
            values[s] = updated
            worst = max(worst, abs(changes[s]))
            cell = s * actions * replies
            k = entries[cell]
            for a in range(actions):
                for b in range(replies):
                    cell += 1
                    end = entries[cell]
                    weight = -discount * policy[s, a] * (g[a, b] if sees else g[0, b])
                    if weight == 0.0:
                        k = end
                    while k < end:
                        row[slot[k]] += weight * probability[k]
                        k += 1
        for j in range(width):
            rows[begin + j] = row[j]
    return worst


@compiled
def _missing(parts: Any, rows: Any, changes: Any, backwards: bool, out: Any) -> float:
    """T_g V - V after a sweep: what states met later have changed, each in its own row too; returns the largest."""
    first, columns, own = parts
    worst = 0.0
    for s in range(out.shape[0]):
        total = 0.0
        begin, end = (first[s], own[s] + 1) if backwards else (own[s], first[s + 1])
        for place in range(begin, end):
            total -= rows[place] * changes[columns[place]]
        out[s] = total
        worst = max(worst, abs(total))
    return worst

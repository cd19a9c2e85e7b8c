"""The follower's exact soft response in finite games, by Newton's method; for the hard one see ``hard_response``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import PrecisionError, SolverError
from stackelberg_games.exact.bounds import soft_error, soft_rounding, undecided
from stackelberg_games.exact.listed_response import ListedProblem, solve_listed
from stackelberg_games.exact.response import Arrays, Response, System, overflowed
from stackelberg_games.kinds.successors import SuccessorLists
from stackelberg_games.numerics.randomness import compiled

SIMPLIFIED = 0.02
"""Share of the tolerance that must be reached by Newton steps with the matrix of an earlier step."""

CAP = 1e3
"""Temperatures to which residuals are judged at most: a response depends on values divided by the temperature."""


def soft_response(
    arrays: Arrays,
    temperature: float,
    start: FloatArray | None = None,
    *,
    tolerance: float = 1e-12,
    max_steps: int = 100,
) -> Response:
    """Soft-optimal response by soft policy iteration, which is Newton's method on V = T V.

    V <- V + (I - gF P_g)^-1 (T V - V), with T the soft Bellman operator,
    T V(s) = sum_a f(a|s) tau log sum_b exp(QF(s,a,b)/tau) for a follower that sees a, or
    T V(s) = tau log sum_b exp(sum_a f(a|s) QF(s,a,b)/tau) for one that does not.

    Args:
        arrays: the game under a commitment.
        temperature: tau > 0.
        start: values to start from, ``[S]``; zeros if not given.
        tolerance: on the Bellman residual in each state, relative to the value there, or to a thousand
            temperatures where that is less: what the state can tell apart. Where rounding stands in the way
            it is what rounding allows.
        max_steps: bound on the linear solves; several may share a matrix.

    Raises:
        InvalidArgumentError: tau is not positive.
        PrecisionError: values overflow, or the temperature is too small beside them to decide the response.
        SolverError: the tolerance was not reached.
    """
    temperature = checks.number("temperature", temperature, above=0)
    if arrays.offsets[1]:
        inner, lift = arrays.centred()
        start = None if start is None else start - lift
        solved = soft_response(inner, temperature, start, tolerance=tolerance, max_steps=max_steps)
        return solved.shifted(lift)
    states = arrays.policy.shape[0]
    values: FloatArray = np.zeros(states) if start is None else checks.array("start", start, (states,))
    if isinstance(arrays.kernel, SuccessorLists):
        return _listed(arrays, arrays.kernel, temperature, values)
    last, steps, simplified = (np.inf, np.inf), 0, False
    factors: System | None = None
    for _ in range(max_steps + 1):
        q = arrays.follower_q(values)
        updated, policy = soft_backup(arrays, q, temperature)
        error, size = _worst(updated, values, temperature)
        if np.isnan(error):
            raise overflowed("the follower's values", arrays.follower_reward)
        # Where a full step has come below the tolerance it is far below; a simplified one is not.
        if error <= tolerance * (SIMPLIFIED if simplified else 1.0):
            return Response(policy, q, values, temperature, steps)
        if factors is not None and not simplified and error >= 0.5 * last[0]:
            stalled = Response(policy, q, values, temperature, steps)
            if _is_rounding(arrays, stalled, updated, factors):
                return stalled
        # The last matrix once more costs a fraction of a new one; it is taken where two such steps,
        # each gaining at least what the last one gained, would end it.
        simplified = error * min(1.0, size / last[1]) ** 2 <= tolerance * SIMPLIFIED
        if factors is None or not simplified:
            factors, simplified = arrays.system(policy, arrays.follower_discount), False
            steps += 1
        last = error, size
        values = values + factors.solve(updated - values)
    raise SolverError(f"soft response: relative residual {error:.3g} after {max_steps} Newton steps")


def problem_of(arrays: Arrays, lists: SuccessorLists) -> ListedProblem:
    """What the follower faces in a game given as lists."""
    return ListedProblem(
        lists, arrays.follower_reward, arrays.policy, arrays.alive, arrays.follower_discount, arrays.sees
    )


def _listed(arrays: Arrays, lists: SuccessorLists, temperature: float, start: FloatArray) -> Response:
    """The response in a game given as lists, by iterations; what it is of rounding is looked at where it stalls."""
    found = solve_listed(problem_of(arrays, lists), temperature, start)
    policy = found.response if arrays.sees else np.broadcast_to(found.response, arrays.follower_reward.shape)
    q = arrays.follower_q(found.values)
    solved = Response(policy, q, found.values, temperature, found.steps, residual=found.residual)
    if not found.converged:
        updated = soft_backup(arrays, q, temperature)[0]
        if not _is_rounding(arrays, solved, updated, arrays.system(policy, arrays.follower_discount)):
            raise SolverError(
                f"soft response: residual {found.residual:.3g} after {found.steps} Newton steps does not fall; largest value "
                f"{np.abs(found.values).max():.3g}: raise the temperature or lower follower_discount"
            )
    return solved


def _is_rounding(arrays: Arrays, solved: Response, updated: FloatArray, factors: System) -> bool:
    """Whether what is left of the residual is rounding; raise ``PrecisionError`` if that decides the response."""
    if (np.abs(updated - solved.values) > soft_rounding(arrays, solved)).any():
        return False
    certify(arrays, solved, updated, factors)
    return True


def certify(
    arrays: Arrays, solved: Response, updated: FloatArray | None = None, factors: System | None = None
) -> Response:
    """A soft response with a bound on the error of its values.

    Args:
        arrays: the game under a commitment.
        solved: its soft response.
        updated, factors: see ``bounds.soft_error``; made if not given.

    Raises:
        PrecisionError: rounding of the values exceeds what the temperature tells apart, in a state that play
            comes to. What the response is in others shows in ``error`` beside the temperature.
    """
    if arrays.offsets[1]:
        inner, lift = arrays.centred()
        return certify(inner, solved.shifted(-lift)).shifted(lift)
    if updated is None:
        updated = soft_backup(arrays, solved.q, solved.temperature)[0]
    if factors is None:
        factors = arrays.system(solved.policy, arrays.follower_discount)
    residual = float(np.abs(updated - solved.values).max())
    certified = replace(solved, error=soft_error(arrays, solved, updated, factors), residual=residual)
    if (undecided(arrays, certified) & arrays.entered(solved.policy)).any():
        raise PrecisionError(
            f"temperature={solved.temperature!r} is too small for double precision beside values of up to "
            f"{np.abs(solved.values).max():.3g}: their rounding decides the response; raise it, or take temperature=0"
        )
    return certified


def soft_sweeps(arrays: Arrays, temperature: float, start: FloatArray, sweeps: int, tolerance: float = 0.0) -> Response:
    """The response after soft value iteration sweeps from ``start``, ``[S]``: fewer once none changes by ``tolerance``."""
    values: FloatArray = np.array(start, dtype=np.float64)
    for _ in range(sweeps):
        last, (values, _) = values, soft_backup(arrays, arrays.follower_q(values), temperature)
        if np.abs(values - last).max() < tolerance:
            break
    q = arrays.follower_q(values)
    return Response(soft_backup(arrays, q, temperature)[1], q, values, temperature, 0)


def soft_backup(arrays: Arrays, q: FloatArray, temperature: float) -> tuple[FloatArray, FloatArray]:
    """Soft values of a table QF ``[S, A, B]``: T V ``[S]`` and the response ``[S, A, B]``."""
    policy, compared = arrays.policy, q
    if not arrays.sees:
        compared = (policy[:, :, None] * q).sum(axis=1, keepdims=True)
        policy = np.ones((len(policy), 1))
    values, response = np.zeros(len(policy)), np.empty(compared.shape)
    _soft_backup(policy, arrays.alive, compared, temperature, values, response)
    return values, response if arrays.sees else np.broadcast_to(response, q.shape)


@compiled
def _worst(updated: Any, values: Any, temperature: float) -> tuple[float, float]:
    """The largest residual relative to what its state tells apart, and the largest as it is; NaN where a value is not finite."""
    worst, largest = 0.0, 0.0
    for s in range(values.shape[0]):
        if not np.isfinite(updated[s]):
            return np.nan, np.nan
        scale, residual = min(abs(values[s]) + temperature, CAP * temperature), abs(updated[s] - values[s])
        worst, largest = max(worst, residual / scale), max(largest, residual)
    return worst, largest


@compiled
def _soft_backup(policy: Any, alive: Any, q: Any, temperature: float, values: Any, response: Any) -> None:
    states, actions, replies = q.shape
    for s in range(states):
        for a in range(actions):
            peak, total = q[s, a].max(), 0.0
            for b in range(replies):
                response[s, a, b] = np.exp((q[s, a, b] - peak) / temperature)
                total += response[s, a, b]
            for b in range(replies):
                response[s, a, b] /= total
            if alive[s]:
                values[s] += policy[s, a] * (peak + temperature * np.log(total))

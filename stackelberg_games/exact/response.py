"""The follower's exact response in finite games: soft (Newton) and hard (policy iteration).

Conventions: float64 arrays, states S, leader actions A, follower actions B. A follower that does
not see the leader's action has the same response row for every a.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.linalg import lapack

from stackelberg_games import checks
from stackelberg_games.arrays import BoolArray, FloatArray, IntArray
from stackelberg_games.errors import SolverError
from stackelberg_games.kinds.finite import Model, TabularGame
from stackelberg_games.kinds.kernel import Kernel
from stackelberg_games.numerics.randomness import compiled

Ties = Literal["leader", "first", "against"]
TIE_TOLERANCE = 1e-9
MAX_POLICY_ITERATIONS = 1000
SIMPLIFIED = 0.01
"""Share of the tolerance that must be reached by Newton steps with the matrix of an earlier step."""


@dataclass(frozen=True)
class Response:
    """A follower's response and its values.

    Attributes:
        policy: ``[S, A, B]``.
        q: QF, ``[S, A, B]``; where the follower does not see a, this is still r + gF P V for each
            a, and the response maximises its average over the leader's policy.
        values: VF(s), averages over the leader's policy, ``[S]``; zero at terminal states.
        temperature: tau; 0 for a hard response.
        newton_steps: matrices factorised.
    """

    policy: FloatArray
    q: FloatArray
    values: FloatArray
    temperature: float
    newton_steps: int

    @property
    def action_values(self) -> FloatArray:
        """VF(s, a): QF with tau times the entropy, averaged over the response, ``[S, A]``.

        For a follower that sees a it is tau log sum_b exp(QF / tau), or the maximum for a hard response.
        """
        surprise = -np.log(np.where(self.policy > 0, self.policy, 1.0))
        return np.asarray((self.policy * (self.q + self.temperature * surprise)).sum(axis=2))


@dataclass(frozen=True)
class Arrays:
    """A finite game under one commitment, as plain arrays (see ``TabularGame.model``)."""

    policy: FloatArray
    kernel: Kernel
    leader_reward: FloatArray
    follower_reward: FloatArray
    alive: BoolArray
    leader_discount: float
    follower_discount: float
    sees: bool

    @classmethod
    def of(cls, game: TabularGame, model: Model) -> Arrays:
        """Detach a differentiable model."""
        policy, leader, follower = (model[index].detach().numpy() for index in (0, 2, 3))
        kernel, alive = game.continuing(model.transition), ~game.terminal
        discounts = (game.leader_discount, game.follower_discount)
        return cls(policy, kernel, leader, follower, alive, *discounts, game.follower_sees_action)

    @property
    def transition(self) -> FloatArray:
        """The kernel in full, ``[S, A, B, S]``; its terminal columns are zero."""
        return self.kernel.dense

    def leader_q(self, values: FloatArray) -> FloatArray:
        """QL = rL + gL P VL, ``[S, A, B]``."""
        return self.leader_reward + self.leader_discount * self.kernel.expected(values)

    def follower_q(self, values: FloatArray) -> FloatArray:
        """QF = rF + gF P VF, ``[S, A, B]``."""
        return self.follower_reward + self.follower_discount * self.kernel.expected(values)

    def chain(self, response: FloatArray) -> FloatArray:
        """State transitions when both players follow their policies, ``[S, S]``."""
        return self.kernel.chain(self.joint(response))

    def joint(self, response: FloatArray) -> FloatArray:
        """Probability of both actions, ``[S, A, B]``; zero where terminal."""
        return np.asarray((self.policy * self.alive[:, None])[:, :, None] * response)

    def average(self, table: FloatArray, response: FloatArray) -> FloatArray:
        """Expectation of a table ``[S, A, B]`` over both policies, ``[S]``; zero where terminal."""
        return np.asarray((self.joint(response) * table).sum(axis=(1, 2)))


class Factorised:
    """The factors of I - discount * chain, for several right-hand sides; one factorisation serves all.

    Args:
        chain: state transitions ``[S, S]``.
        discount: of what is accumulated along the chain.

    Raises:
        SolverError: the matrix is singular.
    """

    def __init__(self, chain: FloatArray, discount: float) -> None:
        system = -discount * chain
        system.ravel()[:: len(system) + 1] += 1.0
        # Fortran order is what LAPACK takes without a copy: these are the factors of the transpose.
        self._factors, self._pivots, failure = lapack.dgetrf(system.T, overwrite_a=True)
        if failure:
            raise SolverError("I - discount * chain is singular: the chain's states never lose weight")

    def solve(self, vector: FloatArray) -> FloatArray:
        """(I - discount * chain)^-1 vector: what is accumulated from each state, ``[S]``."""
        return np.asarray(lapack.dgetrs(self._factors, self._pivots, vector, trans=1)[0])

    def solve_transposed(self, vector: FloatArray) -> FloatArray:
        """The same for the transposed matrix: discounted visits from a weight of first states, ``[S]``."""
        return np.asarray(lapack.dgetrs(self._factors, self._pivots, vector)[0])


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
        tolerance: on the Bellman residual, relative to the largest value.
        max_steps: bound on the linear solves; several may share a matrix.

    Raises:
        InvalidArgumentError: tau is not positive.
        SolverError: the tolerance was not reached.
    """
    temperature, states = checks.number("temperature", temperature, above=0), arrays.policy.shape[0]
    values: FloatArray = np.zeros(states) if start is None else checks.array("start", start, (states,))
    previous, steps, simplified = np.inf, 0, False
    factors: Factorised | None = None
    for _ in range(max_steps + 1):
        q = arrays.follower_q(values)
        updated, policy = soft_backup(arrays, q, temperature)
        residual = updated - values
        error = float(np.abs(residual).max())
        scale = max(1.0, float(np.abs(values).max()))
        # Where a full step has come below the tolerance it is far below; a simplified one is not.
        converged = error <= tolerance * scale * (SIMPLIFIED if simplified else 1.0)
        stalled = (
            not simplified and error >= 0.5 * previous and error <= 1e4 * np.finfo(float).eps * scale / temperature
        )
        if converged or stalled:
            return Response(policy, q, values, temperature, steps)
        # The last matrix once more costs a fraction of a new one; it is taken where two such steps,
        # each gaining at least what the last one gained, would end it.
        simplified = error * min(1.0, error / previous) ** 2 <= tolerance * scale * SIMPLIFIED
        if factors is None or not simplified:
            factors, simplified = Factorised(arrays.chain(policy), arrays.follower_discount), False
            steps += 1
        previous = error
        values = values + factors.solve(residual)
    raise SolverError(f"soft response: residual {error:.3g} after {max_steps} Newton steps")


def soft_sweeps(arrays: Arrays, temperature: float, start: FloatArray, sweeps: int) -> Response:
    """The response after a number of soft value iteration sweeps from ``start``, ``[S]``."""
    values: FloatArray = np.array(start, dtype=np.float64)
    for _ in range(sweeps):
        values, _ = soft_backup(arrays, arrays.follower_q(values), temperature)
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


def hard_response(arrays: Arrays, ties: Ties = "leader") -> Response:
    """Best response by policy iteration.

    Args:
        arrays: the game under a commitment.
        ties: among best responses take the one best for the leader (the strong Stackelberg
            convention), the first in index order, or the one worst for the leader.

    Raises:
        SolverError: policy iteration did not settle.
    """
    reward, discount = arrays.follower_reward, arrays.follower_discount
    everything = np.ones(reward.shape, dtype=np.bool_)
    policy, values, steps = _improve(arrays, reward, discount, everything)
    q = arrays.follower_q(values)
    averaged = _seen(arrays, q)
    slack = TIE_TOLERANCE * max(1.0, float(np.abs(averaged).max()))
    best = averaged >= averaged.max(axis=2, keepdims=True) - slack
    if ties == "first":
        policy = np.eye(reward.shape[2])[best.argmax(axis=2)]
    else:
        sign = 1.0 if ties == "leader" else -1.0
        policy, _, _ = _improve(arrays, sign * arrays.leader_reward, min(arrays.leader_discount, 1 - 1e-6), best)
    return Response(policy, q, values, 0.0, steps)


def _seen(arrays: Arrays, q: FloatArray) -> FloatArray:
    """Action values as the follower compares them, ``[S, A, B]``."""
    if arrays.sees:
        return q
    return np.broadcast_to((arrays.policy[:, :, None] * q).sum(axis=1, keepdims=True), q.shape)


def _improve(
    arrays: Arrays, reward: FloatArray, discount: float, allowed: BoolArray
) -> tuple[FloatArray, FloatArray, int]:
    """Howard's policy iteration for the follower's moves within ``allowed``, ``[S, A, B]``."""
    values: FloatArray = np.zeros(arrays.policy.shape[0])
    choice: IntArray | None = None
    policy = np.zeros_like(reward)
    identity = np.eye(len(values))
    for steps in range(MAX_POLICY_ITERATIONS):
        q = _seen(arrays, reward + discount * arrays.kernel.expected(values))
        q = np.where(allowed, q, -np.inf)
        greedy = np.argmax(q, axis=2)
        if choice is not None:
            kept = np.take_along_axis(q, choice[:, :, None], axis=2)[:, :, 0]
            slack = 1e-12 * max(1.0, float(np.abs(values).max()))
            greedy = np.where(q.max(axis=2) > kept + slack, greedy, choice)
            if np.array_equal(greedy, choice):
                return policy, values, steps
        choice = greedy
        policy = np.zeros_like(reward)
        np.put_along_axis(policy, choice[:, :, None], 1.0, axis=2)
        chain = identity - discount * arrays.chain(policy)
        values = np.linalg.solve(chain, arrays.average(reward, policy))
    raise SolverError(f"policy iteration did not settle in {MAX_POLICY_ITERATIONS} rounds")

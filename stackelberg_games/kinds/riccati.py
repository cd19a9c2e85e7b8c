"""Linear-Gaussian games in closed form: the soft Riccati response and the leader's value.

    x' = A x + B u + C a + xi,   xi ~ N(0, Xi)
    rF = -(x'Q x + u'R u)
    a  ~ N(K x, W W')            the leader;  u  the follower, who sees a

With y = A x + C a, P the matrix of the follower's value averaged over a, gF its discount and tau its
temperature,

    S = R + gF B'P B,     L = gF S^-1 B'P,     G = gF P - gF^2 P B S^-1 B'P
    P = Q + (A + C K)' G (A + C K)
    u ~ N(-L y, (tau / 2) S^-1)
    VF(x, a) = -(x'Q x + y'G y + c),           VF(x) = E_a VF(x, a) = -(x'P x + v)
    c = gF tr(P Xi) + gF v - (tau / 2) (m log(pi tau) - log det S),   v = c + tr(G C W W' C')

so the closed loop is linear-Gaussian too and both players' expected rewards are Gaussian moments.
All quantities are torch tensors, differentiable in K: the Riccati equation is solved without
gradients, and one differentiable Newton step from the solution carries the implicit derivative.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy, LinearGaussianResponse
from stackelberg_games.errors import InvalidArgumentError, SolverError
from stackelberg_games.kinds.moments import StateReward
from stackelberg_games.numerics.randomness import compiled
from stackelberg_games.numerics.small_matrices import (
    DOUBLINGS,
    combination,
    largest,
    product,
    solution,
    symmetric,
    transposed,
)

SETTLED = 1e-8
"""Share of P by which it may miss its equation before the Newton step, which squares that."""

FADED = 1e-17
"""Entries of a power of the loop's matrix at which moments have settled."""

NEGLIGIBLE = 1e-12
"""Weight of a stage at which an endless sum of moments that do not settle is cut."""

PER_STAGE = 20
"""Numbers held for each stage and entry of the loop's matrix, with what differentiation keeps; measured."""


class Plant(NamedTuple):
    """Dynamics and the follower's cost; float64 tensors.

    Attributes:
        state: A, ``[n, n]``.
        follower: B, ``[n, m]``.
        leader: C, ``[n, k]``.
        noise: Xi, covariance ``[n, n]``.
        state_cost: Q, ``[n, n]``, symmetric positive semidefinite.
        control_cost: R, ``[m, m]``, symmetric positive definite.
    """

    state: Tensor
    follower: Tensor
    leader: Tensor
    noise: Tensor
    state_cost: Tensor
    control_cost: Tensor


class SoftRiccati(NamedTuple):
    """The soft-optimal response and its values; see the module's text.

    Attributes:
        value: P, ``[n, n]``.
        constant: v, a scalar.
        seen_value: G, ``[n, n]``.
        seen_constant: c, a scalar.
        gain: L, ``[m, n]``.
        covariance: (tau / 2) S^-1, ``[m, m]``.
    """

    value: Tensor
    constant: Tensor
    seen_value: Tensor
    seen_constant: Tensor
    gain: Tensor
    covariance: Tensor

    def policy(self, plant: Plant) -> LinearGaussianResponse:
        """The response policy: u = -L (A x + C a) + noise."""
        with torch.no_grad():
            factor = torch.linalg.cholesky(self.covariance)
            gains = (-self.gain @ plant.state, -self.gain @ plant.leader, factor)
        return LinearGaussianResponse(*(part.numpy() for part in gains))

    def average(self, states: Tensor) -> Tensor:
        """VF(x), ``[...]``."""
        return -((states @ self.value) * states).sum(dim=-1) - self.constant


class Loop(NamedTuple):
    """Both players' policies in one linear recursion x' = M x + N(0, N); see ``closed_loop``."""

    matrix: Tensor
    noise: Tensor


def soft_riccati(plant: Plant, policy: LinearGaussianPolicy, discount: float, temperature: float) -> SoftRiccati:
    """The follower's soft-optimal stationary response to a linear-Gaussian leader.

    Args:
        plant: the game.
        policy: the leader's; the result is differentiable in its parameters.
        discount: gF in [0, 1).
        temperature: tau > 0.

    Raises:
        InvalidArgumentError: tau is not positive.
        SolverError: the follower cannot keep its discounted cost finite under this commitment.
    """
    drift = plant.state + plant.leader @ policy.gain
    numbers = [part.detach().numpy() for part in (drift, plant.follower, plant.state_cost, plant.control_cost)]
    solved = solve_riccati(numbers[0], numbers[1], numbers[2], numbers[3], discount)
    value = _newton_step(plant, drift, torch.from_numpy(solved), discount)
    return _response_to(value, plant, policy, discount, temperature)


def riccati_sweeps(
    plant: Plant, policy: LinearGaussianPolicy, discount: float, temperature: float, start: Tensor, sweeps: int
) -> SoftRiccati:
    """The response of a follower that stops after some sweeps of P <- Q + (A + C K)' G (A + C K).

    Args:
        plant, policy, discount, temperature: see ``soft_riccati``.
        start: P before the first sweep, ``[n, n]``, symmetric positive semidefinite.
        sweeps: how many, >= 0. Values are those of a follower who believes in the last P.

    Raises:
        InvalidArgumentError: tau is not positive.
    """
    drift, value = plant.state + plant.leader @ policy.gain, start
    for _ in range(sweeps):
        value = _symmetric(plant.state_cost + drift.T @ _backup(plant, value, discount)[2] @ drift)
    return _response_to(value, plant, policy, discount, temperature)


def _response_to(
    value: Tensor, plant: Plant, policy: LinearGaussianPolicy, discount: float, temperature: float
) -> SoftRiccati:
    """Response and constants that go with P."""
    if not temperature > 0:
        raise InvalidArgumentError(f"temperature={temperature!r}: a soft response needs a number > 0")
    score, gain, seen = _backup(plant, value, discount)
    size = len(plant.control_cost)
    entropy = 0.5 * temperature * (size * math.log(math.pi * temperature) - torch.linalg.slogdet(score).logabsdet)
    shaken = torch.trace(seen @ plant.leader @ policy.covariance @ plant.leader.T)
    fixed = discount * torch.trace(value @ plant.noise) - entropy
    constant = (fixed + shaken) / (1 - discount)
    covariance = 0.5 * temperature * torch.linalg.inv(score)
    return SoftRiccati(value, constant, seen, fixed + discount * constant, gain, _symmetric(covariance))


def _backup(plant: Plant, value: Tensor, discount: float) -> tuple[Tensor, Tensor, Tensor]:
    """S, L and G for a given P."""
    pulled = discount * plant.follower.T @ value
    score = plant.control_cost + pulled @ plant.follower
    gain = torch.linalg.solve(score, pulled)
    return score, gain, _symmetric(discount * value - pulled.T @ gain)


def solve_riccati(
    drift: FloatArray, push: FloatArray, cost: FloatArray, control: FloatArray, discount: float
) -> FloatArray:
    """The stabilising solution P of the discounted Riccati equation: by doubling, or by the QZ method where that fails.

    Args:
        drift, push: A + C K and B.
        cost, control: Q and R.
        discount: gF.

    Raises:
        SolverError: there is none.
    """
    scale = math.sqrt(discount)
    equation = tuple(np.ascontiguousarray(part) for part in (scale * drift, scale * push, cost, control))
    try:
        value, settled, stable = doubled(*equation)
    except (np.linalg.LinAlgError, ZeroDivisionError):  # what grows beyond all bounds
        settled = stable = False
    if not (settled and stable):  # rounding, or an unstable part of the state that costs the follower nothing
        try:
            value = np.ascontiguousarray(scipy.linalg.solve_discrete_are(*equation), dtype=np.float64)
        except (np.linalg.LinAlgError, ValueError) as error:
            raise _unstable(equation[0]) from error
        stable = _checked(value, *equation)[1]
    if not stable:
        raise _unstable(equation[0])
    return np.asarray(value)


@compiled
def doubled(turned: Any, pushed: Any, cost: Any, control: Any) -> Any:
    """P by doubling, whether it solves the equation up to ``SETTLED``, and whether the loop that it closes is stable.

    Raises:
        ZeroDivisionError: what grows beyond all bounds has made a matrix singular.
    """
    value = _doubled(turned, product(pushed, solution(control, transposed(pushed))[0]), cost)
    settled, stable = _checked(value, turned, pushed, cost, control)
    return value, settled, stable


@compiled
def _checked(value: Any, turned: Any, pushed: Any, cost: Any, control: Any) -> Any:
    """Whether P solves the equation up to ``SETTLED``, and whether the loop that it closes is stable."""
    pulled = product(transposed(pushed), value)
    score = combination(1.0, control, 1.0, product(pulled, pushed))
    if not np.isfinite(largest(score)):
        return False, False
    loop = combination(1.0, turned, -1.0, product(pushed, solution(score, product(pulled, turned))[0]))
    backed = combination(1.0, cost, 1.0, product(transposed(turned), product(value, loop)))
    if not np.isfinite(largest(backed)):
        return False, False
    missed = largest(combination(1.0, backed, -1.0, value))
    rates = np.linalg.eigvals(loop.astype(np.complex128)).reshape(1, -1)
    return missed <= SETTLED * largest(value), largest(rates) < 1


def _unstable(matrix: FloatArray) -> SolverError:
    return SolverError(
        "the follower has no finite discounted cost under this commitment: the system is unstable and cannot be "
        f"stabilised (spectral radius {np.abs(np.linalg.eigvals(matrix)).max():.4g} after discounting)"
    )


@compiled
def _doubled(matrix: Any, control: Any, cost: Any) -> Any:
    """P = A'P (I + G P)^-1 A + Q with ``control`` G = B R^-1 B', by structure-preserving doubling; NaN where it does not converge.

    Every iteration doubles the stages that are counted (Anderson, 1978; Chu, Fan, Lin and Wang, 2004).
    """
    ahead, spread, value = matrix, control, cost
    unit = np.eye(len(matrix))
    for _ in range(DOUBLINGS):
        met = combination(1.0, unit, 1.0, product(spread, value))
        moved, carried = solution(met, ahead)[0], solution(met, spread)[0]
        added = symmetric(product(transposed(ahead), product(value, moved)))
        spread = combination(1.0, spread, 1.0, product(product(ahead, carried), transposed(ahead)))
        value = combination(1.0, value, 1.0, added)
        ahead = product(ahead, moved)
        size = largest(value)
        if not np.isfinite(size):
            break
        if largest(added) <= 1e-15 * size:
            return value
    return np.full_like(value, np.nan)


def _newton_step(plant: Plant, drift: Tensor, value: Tensor, discount: float) -> Tensor:
    """P + (I - T')^-1 (T P - P) with T the Riccati operator and T' its derivative at P, held constant.

    T' X = gF M' X M, M = (I - B L) (A + C K): Newton's method of Kleinman (1968) and Hewer (1971).
    """
    value = value.detach()
    _, gain, seen = _backup(plant, value, discount)
    updated = plant.state_cost + drift.T @ seen @ drift
    with torch.no_grad():
        loop = drift - plant.follower @ (gain @ drift)
        system = torch.eye(value.numel(), dtype=torch.float64) - discount * torch.kron(loop.T, loop.T)
    step = torch.linalg.solve(system, (updated - value).reshape(-1)).reshape(value.shape)
    return _symmetric(value + step)


def closed_loop(plant: Plant, policy: LinearGaussianPolicy, response: SoftRiccati) -> Loop:
    """Transition matrix and noise covariance of the state when both follow their policies."""
    left = torch.eye(len(plant.state), dtype=torch.float64) - plant.follower @ response.gain
    pushed = left @ plant.leader
    noise = pushed @ policy.covariance @ pushed.T + plant.follower @ response.covariance @ plant.follower.T
    return Loop(left @ (plant.state + plant.leader @ policy.gain), _symmetric(noise + plant.noise))


def powers(matrix: Tensor, count: int) -> Tensor:
    """M^0 ... M^(count - 1), ``[count, n, n]``, by doubling."""
    stack, square = torch.eye(len(matrix), dtype=torch.float64).unsqueeze(0), matrix
    while len(stack) < count:
        stack = torch.cat([stack, stack[: count - len(stack)] @ square])
        square = square @ square
    return stack


def moments(loop: Loop, mean: Tensor, covariance: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Means ``[count, n]`` and covariances ``[count, n, n]`` of the states x_0 ... x_(count-1)."""
    stack = powers(loop.matrix, count)
    spread = stack @ covariance @ stack.transpose(-1, -2)
    grown = (stack[:-1] @ loop.noise @ stack[:-1].transpose(-1, -2)).cumsum(dim=0)
    return stack @ mean, torch.cat([spread[:1], spread[1:] + grown])


def stage_weights(loop: Loop, discount: float, count: int | None) -> Tensor:
    """Weights ``[K]`` of the moments at the first K stages in a discounted sum over ``count`` stages, or over all.

    Where the loop is stable the moments settle, and the last of them stands for all that follow: K does not grow with the
    number of stages.

    Raises:
        InvalidArgumentError: they do not settle within as many stages as this machine's memory holds.
    """
    if count is not None:
        last = count
    else:  # what is cut where they do not settle
        last = 1 if discount <= NEGLIGIBLE else int(np.ceil(np.log(NEGLIGIBLE) / np.log(discount)))
    settled, power = 1, loop.matrix.detach()
    while settled + 1 < last and bool(power.abs().max() > FADED):
        settled, power = 2 * settled, power @ power
    kept = min(settled + 1, last)
    entries = PER_STAGE * len(loop.matrix) ** 2 * kept
    checks.affordable(f"the moments of {kept:,} stages, which do not settle at discount {discount!r},", entries)
    weights: Tensor = discount ** torch.arange(kept, dtype=torch.float64)
    if kept < last:
        if discount == 1:
            weights[-1] = float(last - kept + 1)
        else:
            endless = count is None or discount == 0
            rest = 1.0 if endless else -np.expm1((last - kept + 1) * np.log(discount))
            weights[-1] *= rest / (1 - discount)
    return weights


def discounted_reward(
    loop: Loop, mean: Tensor, covariance: Tensor, reward: StateReward, discount: float, count: int | None
) -> Tensor:
    """sum_t discount^t E r(x_t) over ``count`` stages, or over all, a scalar; raises like ``stage_weights``."""
    weights = stage_weights(loop, discount, count)
    return weights @ reward.expectation(*moments(loop, mean, covariance, len(weights)))


def discounted_effort(
    loop: Loop,
    mean: Tensor,
    covariance: Tensor,
    policy: LinearGaussianPolicy,
    effort: Tensor,
    discount: float,
    count: int | None,
) -> Tensor:
    """sum_t discount^t E a_t'N a_t over ``count`` stages, or over all, a scalar, for a leader who plays a ~ N(K x, W W').

    Raises like ``stage_weights``.
    """
    weights = stage_weights(loop, discount, count)
    means, covariances = moments(loop, mean, covariance, len(weights))
    second = covariances + means.unsqueeze(-1) * means.unsqueeze(-2)
    each = (second * (policy.gain.T @ effort @ policy.gain)).sum(dim=(-1, -2)) + torch.trace(effort @ policy.covariance)
    total: Tensor = weights @ each
    return total


def _symmetric(matrix: Tensor) -> Tensor:
    return 0.5 * (matrix + matrix.transpose(-1, -2))

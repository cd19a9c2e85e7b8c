"""The soft Riccati response in compiled code, and what the follower's values owe to the leader's gain.

The formulas of ``riccati`` for whoever asks for numbers, and for one derivative in closed form: with D = A + C K,
M = (I - B L) D, N the noise of the closed loop, and any weights W (symmetric) and w,

    <W, dP> + w dv = 2 <C'G D X, dK>,     X = W + w gF / (1 - gF) N + gF M X M'
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from stackelberg_games.arrays import FloatArray
from stackelberg_games.kinds.riccati import Plant, doubled, solve_riccati
from stackelberg_games.numerics.randomness import compiled
from stackelberg_games.numerics.small_matrices import (
    combination,
    largest,
    product,
    sandwiched,
    scaled,
    solution,
    summed_powers,
    symmetric,
    transposed,
)


class LinearLaw(NamedTuple):
    """The leader's policy a ~ N(K x, W W').

    Attributes:
        gain: K, ``[k, n]``.
        covariance: W W', ``[k, k]``.
    """

    gain: FloatArray
    covariance: FloatArray


class PlantArrays(NamedTuple):
    """A ``Plant`` in arrays."""

    state: FloatArray
    follower: FloatArray
    leader: FloatArray
    noise: FloatArray
    state_cost: FloatArray
    control_cost: FloatArray

    @classmethod
    def of(cls, plant: Plant) -> PlantArrays:
        """The numbers of a plant."""
        return cls(*(np.ascontiguousarray(part.detach().numpy()) for part in plant))


class ClosedReply(NamedTuple):
    """A response u ~ N(-L y, covariance) to y = A x + C a, and the loop that it closes.

    Attributes:
        gain: L, ``[m, n]``.
        covariance: ``[m, m]``.
        loop: M, ``[n, n]``.
        noise: N, ``[n, n]``.
    """

    gain: FloatArray
    covariance: FloatArray
    loop: FloatArray
    noise: FloatArray


class FollowerValues(NamedTuple):
    """What goes with a soft-optimal response; see ``SoftRiccati``, where these are explained.

    Attributes:
        value: P.
        constant: v.
        seen_value: G.
    """

    value: FloatArray
    constant: float
    seen_value: FloatArray


def respond(
    plant: PlantArrays, law: LinearLaw, discount: float, temperature: float
) -> tuple[ClosedReply, FollowerValues]:
    """The follower's soft-optimal response and its values.

    Args:
        plant: the game.
        law: the leader's.
        discount: gF in [0, 1).
        temperature: tau > 0.

    Raises:
        SolverError: the follower cannot keep its discounted cost finite under this commitment.
    """
    try:
        value, settled = _solved(plant, law, discount)
    except (np.linalg.LinAlgError, ZeroDivisionError):
        settled = False
    if not settled:
        drift = plant.state + plant.leader @ law.gain
        value = solve_riccati(drift, plant.follower, plant.state_cost, plant.control_cost, discount)
    value, constant, seen, gain, covariance = _response_to(value, plant, law, discount, temperature)
    return closed(plant, law, gain, covariance), FollowerValues(value, constant, seen)


def closed(plant: PlantArrays, law: LinearLaw, gain: FloatArray, covariance: FloatArray) -> ClosedReply:
    """A response with gain L and a covariance, and the loop that it closes."""
    return ClosedReply(gain, covariance, *_loop(plant, law, gain, covariance))


def value_slope(
    plant: PlantArrays,
    law: LinearLaw,
    reply: ClosedReply,
    worth: FollowerValues,
    discount: float,
    weights: FloatArray,
    weight: float,
) -> FloatArray:
    """The derivative of <W, P> + w v in the leader's gain, ``[k, n]``.

    Args:
        plant, law, discount: see ``respond``.
        reply, worth: what it gave.
        weights: W, ``[n, n]``, symmetric.
        weight: w.
    """
    always = weights + weight * discount / (1 - discount) * reply.noise
    return 2 * np.asarray(_value_slope(plant, law, reply.loop, worth.seen_value, discount, always))


@compiled
def _solved(plant: Any, law: Any, discount: float) -> Any:
    scale = math.sqrt(discount)
    turned, pushed = scaled(scale, _drift(plant, law)), scaled(scale, plant.follower)
    value, settled, stable = doubled(turned, pushed, plant.state_cost, plant.control_cost)
    return value, settled and stable


@compiled
def _drift(plant: Any, law: Any) -> Any:
    """D = A + C K."""
    return combination(1.0, plant.state, 1.0, product(plant.leader, law.gain))


@compiled
def _response_to(value: Any, plant: Any, law: Any, discount: float, temperature: float) -> Any:
    """A Newton step from P, and response and values that go with it; see ``riccati``."""
    drift = _drift(plant, law)
    gain, seen = _backup(value, plant, discount)[:2]
    updated = combination(1.0, plant.state_cost, 1.0, sandwiched(transposed(drift), seen))
    scale = math.sqrt(discount)
    loop = combination(scale, drift, -scale, product(plant.follower, product(gain, drift)))
    missed = symmetric(combination(1.0, updated, -1.0, value))
    value = combination(1.0, value, 1.0, summed_powers(transposed(loop), missed))
    gain, seen, score = _backup(value, plant, discount)
    unit, size = largest(score), len(score)  # in its own unit a determinant neither overflows nor vanishes
    inverse, volume = solution(scaled(1.0 / unit, score), np.eye(size))
    entropy = 0.5 * temperature * (size * (math.log(math.pi * temperature) - math.log(unit)) - math.log(volume))
    shaken = np.trace(product(seen, sandwiched(plant.leader, law.covariance)))
    constant = (discount * np.trace(product(value, plant.noise)) - entropy + shaken) / (1 - discount)
    return value, constant, seen, gain, scaled(0.5 * temperature / unit, symmetric(inverse))


@compiled
def _backup(value: Any, plant: Any, discount: float) -> Any:
    """L, G and S for a given P."""
    pushed = product(transposed(plant.follower), value)
    score = combination(1.0, plant.control_cost, discount, product(pushed, plant.follower))
    gain = solution(score, scaled(discount, pushed))[0]
    seen = symmetric(combination(discount, value, -discount, product(transposed(pushed), gain)))
    return gain, seen, score


@compiled
def _loop(plant: Any, law: Any, gain: Any, covariance: Any) -> Any:
    left = combination(1.0, np.eye(len(plant.state)), -1.0, product(plant.follower, gain))
    pushed = product(left, plant.leader)
    noise = combination(1.0, sandwiched(pushed, law.covariance), 1.0, sandwiched(plant.follower, covariance))
    return product(left, _drift(plant, law)), combination(1.0, noise, 1.0, plant.noise)


@compiled
def _value_slope(plant: Any, law: Any, loop: Any, seen: Any, discount: float, always: Any) -> Any:
    occupied = summed_powers(scaled(math.sqrt(discount), loop), always)
    return product(transposed(plant.leader), product(seen, product(_drift(plant, law), occupied)))

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
    except np.linalg.LinAlgError:
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
    return np.asarray(_value_slope(plant, law, reply.loop, worth.seen_value, discount, always))


@compiled
def _solved(plant: Any, law: Any, discount: float) -> Any:
    scale = math.sqrt(discount)
    turned = scale * (plant.state + plant.leader @ law.gain)
    value, settled, stable = doubled(turned, scale * plant.follower, plant.state_cost, plant.control_cost)
    return value, settled and stable


@compiled
def _response_to(value: Any, plant: Any, law: Any, discount: float, temperature: float) -> Any:
    """A Newton step from P, and response and values that go with it; see ``riccati``."""
    drift = plant.state + plant.leader @ law.gain
    _, gain, seen = _backup(value, plant, discount)
    missed = plant.state_cost + np.ascontiguousarray(drift.T) @ seen @ drift - value
    loop = np.ascontiguousarray((drift - plant.follower @ (gain @ drift)).T)
    system = np.eye(value.size) - discount * np.kron(loop, loop)
    value = _symmetric(value + np.linalg.solve(system, missed.ravel()).reshape(value.shape))
    score, gain, seen = _backup(value, plant, discount)
    entropy = 0.5 * temperature * (len(score) * math.log(math.pi * temperature) - np.linalg.slogdet(score)[1])
    shaken = np.trace(seen @ (plant.leader @ law.covariance @ np.ascontiguousarray(plant.leader.T)))
    constant = (discount * np.trace(value @ plant.noise) - entropy + shaken) / (1 - discount)
    return value, constant, seen, gain, _symmetric(0.5 * temperature * np.linalg.inv(score))


@compiled
def _backup(value: Any, plant: Any, discount: float) -> Any:
    """S, L and G for a given P."""
    pulled = discount * np.ascontiguousarray(plant.follower.T) @ value
    score = plant.control_cost + pulled @ plant.follower
    gain = np.linalg.solve(score, pulled)
    return score, gain, _symmetric(discount * value - np.ascontiguousarray(pulled.T) @ gain)


@compiled
def _loop(plant: Any, law: Any, gain: Any, covariance: Any) -> Any:
    left = np.eye(len(plant.state)) - plant.follower @ gain
    pushed = left @ plant.leader
    noise = pushed @ law.covariance @ np.ascontiguousarray(pushed.T)
    noise += plant.follower @ covariance @ np.ascontiguousarray(plant.follower.T)
    return left @ (plant.state + plant.leader @ law.gain), _symmetric(noise + plant.noise)


@compiled
def _value_slope(plant: Any, law: Any, loop: Any, seen: Any, discount: float, always: Any) -> Any:
    system = np.eye(always.size) - discount * np.kron(loop, loop)
    occupied = np.linalg.solve(system, always.ravel()).reshape(always.shape)
    drift = plant.state + plant.leader @ law.gain
    return 2.0 * np.ascontiguousarray(plant.leader.T) @ seen @ drift @ occupied


@compiled
def _symmetric(matrix: Any) -> Any:
    return 0.5 * (matrix + matrix.T)

"""Linear-quadratic Gaussian Stackelberg games: rules, compiled play, and exact objectives.

The mathematics is in ``riccati``, the leader's rewards are in ``moments``.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy, LinearGaussianResponse
from stackelberg_games.errors import InvalidActionError, InvalidArgumentError, InvalidGameError, UnsupportedGameError
from stackelberg_games.kinds.moments import StateReward
from stackelberg_games.kinds.riccati import (
    Loop,
    Plant,
    SoftRiccati,
    closed_loop,
    discounted_effort,
    discounted_reward,
    moments,
    soft_riccati,
    stage_weights,
)
from stackelberg_games.kinds.vector import VectorGame
from stackelberg_games.numerics.randomness import Lane, Streams, compiled
from stackelberg_games.numerics.rows import product, quadratic
from stackelberg_games.numerics.threads import in_own_modes
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Ledger
from stackelberg_games.rules.rules import Step, check_horizon
from stackelberg_games.rules.trajectories import Trajectories, check_affordable
from stackelberg_games.rules.view import LeaderView

_CHUNK = 128  # episodes simulated at a time, so that the noise stays in the cache


class Dynamics(NamedTuple):
    """x' = A x + B u + C a + xi with xi ~ N(0, D D').

    Attributes:
        state, follower, leader: A ``[n, n]``, B ``[n, m]``, C ``[n, k]``.
        noise: D as a number or ``[n, n]``.
        start: mean of the first state, ``[n]``.
        start_std: its deviation, a number or a factor ``[n, n]``.
    """

    state: ArrayLike
    follower: ArrayLike
    leader: ArrayLike
    start: ArrayLike
    start_std: ArrayLike = 0.0
    noise: ArrayLike = 0.0


class Cost(NamedTuple):
    """The follower's cost x'Q x + u'R u, and its share in the leader's reward.

    Attributes:
        state: Q ``[n, n]``, symmetric positive semidefinite.
        control: R ``[m, m]``, symmetric positive definite.
        shared: s in rL = r(x) - s (x'Q x + u'R u).
    """

    state: ArrayLike
    control: ArrayLike
    shared: float = 0.0


class LinearGaussianGame(VectorGame):
    """A game with linear dynamics, a quadratic follower and a leader who is paid for the state, and may pay for its action.

    Both players are paid for the state before the stage. Actions are unbounded. Episodes never
    terminate.

    Args:
        dynamics: see ``Dynamics``.
        cost: the follower's; see ``Cost``.
        reward: the leader's, of the state before the stage.
        effort: N ``[k, k]``, symmetric positive semidefinite: the leader pays a'N a for its action a; nothing if not given.
        leader_discount, follower_discount, horizon: see ``Game``.
        name: id.

    Raises:
        InvalidGameError: a shape is wrong, a number is not finite, Q or N is not positive semidefinite
            or R not positive definite.
    """

    @in_own_modes
    def __init__(
        self,
        dynamics: Dynamics,
        cost: Cost,
        reward: StateReward,
        *,
        effort: ArrayLike | None = None,
        leader_discount: float = 0.99,
        follower_discount: float = 0.95,
        horizon: int | None = 100,
        name: str = "linear_gaussian-v0",
    ) -> None:
        self.start = _array("start", dynamics.start, 1)
        size = len(self.start)
        self.state_matrix = _array("A", dynamics.state, 2, (size, size))
        self.follower_matrix = _array("B", dynamics.follower, 2, (size, None))
        self.leader_matrix = _array("C", dynamics.leader, 2, (size, None))
        self.start_factor = _factor("start_std", dynamics.start_std, size)
        self.noise_factor = _factor("noise", dynamics.noise, size)
        replies = self.follower_matrix.shape[1]
        self.state_cost = _array("Q", cost.state, 2, (size, size))
        self.control_cost = _array("R", cost.control, 2, (replies, replies))
        self.shared = float(cost.shared)
        reward.check(size)
        self.reward, pushes = reward, self.leader_matrix.shape[1]
        self.effort = None if effort is None else _array("effort", effort, 2, (pushes, pushes))
        _check_definite("Q", self.state_cost, -1e-12)
        _check_definite("R", self.control_cost, 0.0)
        if self.effort is not None:
            _check_definite("effort", self.effort, -1e-12)
        super().__init__(
            name,
            _line(size),
            _line(self.leader_matrix.shape[1]),
            _line(replies),
            leader_discount=leader_discount,
            follower_discount=follower_discount,
            horizon=horizon,
        )

    @property
    def plant(self) -> Plant:
        """Dynamics and cost as tensors."""
        parts = (self.state_matrix, self.follower_matrix, self.leader_matrix)
        noise = self.noise_factor @ self.noise_factor.T
        return Plant(*(torch.tensor(part) for part in (*parts, noise, self.state_cost, self.control_cost)))

    def plant_of(self, commitment: Commitment) -> Plant:
        """The plant under a commitment; its own unless the leader configures it."""
        return self.plant

    def initial(self, streams: Streams) -> FloatArray:
        """First states, ``[N, n]``."""
        noise = streams.normal(Lane.ENVIRONMENT, 0, len(self.start))
        return np.asarray(self.start + product(noise, self.start_factor))

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Streams, stage: int) -> Step:
        """Play one stage in every episode.

        Raises:
            InvalidActionError: an action has the wrong shape or is not finite.
        """
        leader = _vectors("leader", leader_actions, (len(states), self.leader_matrix.shape[1]))
        follower = _vectors("follower", follower_actions, (len(states), self.follower_matrix.shape[1]))
        following = product(states, self.state_matrix) + product(follower, self.follower_matrix)
        following = following + product(leader, self.leader_matrix)
        if self.noise_factor.any():
            drawn = streams.normal(Lane.ENVIRONMENT, stage + 1, len(self.start))
            following = following + product(drawn, self.noise_factor)
        paid = -quadratic(states, self.state_cost) - quadratic(follower, self.control_cost)
        earned = self.reward.value(states) + self.shared * paid
        if self.effort is not None:
            earned = earned - quadratic(leader, self.effort)
        return Step(following, earned, paid, np.zeros(len(states), dtype=np.bool_))

    def simulate(
        self, commitment: Commitment, follower_policy: Any, streams: Streams, stages: int
    ) -> Trajectories | None:
        """Compiled play of linear-Gaussian policies; None for others.

        Raises:
            InvalidGameError: states or rewards leave the range of floating-point numbers.
        """
        if not isinstance(commitment, LinearGaussianPolicy) or not isinstance(follower_policy, LinearGaussianResponse):
            return None
        episodes, n = len(streams.episodes), len(self.start)
        check_affordable(episodes, stages)
        k, m = self.leader_matrix.shape[1], self.follower_matrix.shape[1]
        out = (
            np.empty((episodes, stages + 1, n)),
            np.empty((episodes, stages, k)),
            np.empty((episodes, stages, m)),
            np.empty((episodes, stages)),
            np.empty((episodes, stages)),
        )
        policies = (commitment.gain.detach().numpy(), follower_policy.state_gain, follower_policy.action_gain)
        matrices = (self.state_matrix, self.follower_matrix, self.leader_matrix, self.state_cost, self.control_cost)
        for first in range(0, episodes, _CHUNK):
            part = slice(first, first + _CHUNK)
            drawn = Streams(streams.seed, streams.episodes[part])
            noises = (
                self._noise(drawn, Lane.LEADER, 0, stages, commitment.factor.numpy()),
                self._noise(drawn, Lane.FOLLOWER, 0, stages, follower_policy.factor),
                self._noise(drawn, Lane.ENVIRONMENT, 1, stages, self.noise_factor),
            )
            _simulate(matrices, policies, noises, self.initial(drawn), tuple(array[part] for array in out[:4]))
            if not np.isfinite(out[3][part]).all():
                raise InvalidGameError("the states left the range of floating-point numbers: this loop is unstable")
            out[4][part] = self.reward.value(out[0][part, :-1])
        states, leader_actions, follower_actions, follower_rewards, leader_rewards = out
        if self.shared:
            leader_rewards += self.shared * follower_rewards
        if self.effort is not None:
            leader_rewards -= quadratic(leader_actions, self.effort)
        lengths = np.full(episodes, stages, dtype=np.int64)
        ends = np.zeros(episodes, dtype=np.bool_)
        return Trajectories(states, leader_actions, follower_actions, leader_rewards, follower_rewards, lengths, ends)

    @staticmethod
    def _noise(streams: Streams, lane: Lane, skipped: int, stages: int, factor: FloatArray) -> FloatArray:
        """Noise of a lane in all stages, ``[N, T, d]``; ``[N, 0, d]`` where there is none."""
        size = len(factor)
        if not factor.any():
            return np.empty((len(streams.episodes), 0, size))
        drawn = streams.normal(lane, 0, (stages + skipped) * size)
        if size == 1:
            drawn *= factor[0, 0]
        shaped = drawn.reshape(len(drawn), stages + skipped, size)[:, skipped:]
        return np.ascontiguousarray(shaped if size == 1 else product(shaped, factor))

    def response(self, commitment: Commitment, temperature: float) -> SoftRiccati:
        """The follower's soft-optimal response to a linear-Gaussian commitment, differentiable.

        Raises:
            UnsupportedGameError: the commitment is of another class.
            SolverError: see ``soft_riccati``.
        """
        return soft_riccati(self.plant, linear(commitment), self.follower_discount, temperature)

    def leader_objective(
        self,
        commitment: Commitment,
        temperature: float,
        *,
        discount: float | None = None,
        horizon: int | None = None,
    ) -> Tensor:
        """The leader's expected return against the soft-optimal follower, a scalar tensor.

        ``backward()`` gives the exact hypergradient.

        Args:
            commitment: a ``LinearGaussianPolicy``.
            temperature: of the follower, > 0.
            discount: overrides the leader's discount; 1 is allowed with a finite horizon.
            horizon: overrides the game's horizon.

        Raises:
            InvalidArgumentError: the discount is out of range, or see ``riccati.stage_weights``.
            UnsupportedGameError, SolverError: see ``response``.
        """
        policy = linear(commitment)
        response = self.response(policy, temperature)
        loop = closed_loop(self.plant, policy, response)
        discount = self.leader_discount if discount is None else discount
        horizon = self.horizon if horizon is None else check_horizon(horizon)
        if not (0 <= discount < 1 or (discount == 1 and horizon is not None)):
            raise InvalidArgumentError(f"discount={discount!r}: expected [0, 1), or 1 with a finite horizon")
        start = torch.tensor(self.start), torch.from_numpy(self.start_factor @ self.start_factor.T)
        total = discounted_reward(loop, *start, self.reward, discount, horizon)
        if self.shared:
            total = total + self.shared * self._expected_cost(loop, policy, response, discount, horizon)
        if self.effort is not None:
            total = total - discounted_effort(loop, *start, policy, torch.tensor(self.effort), discount, horizon)
        return total

    def _expected_cost(
        self, loop: Loop, policy: LinearGaussianPolicy, response: SoftRiccati, discount: float, horizon: int | None
    ) -> Tensor:
        """The follower's expected reward over the leader's horizon and discount."""
        plant = self.plant
        start = torch.tensor(self.start), torch.from_numpy(self.start_factor @ self.start_factor.T)
        weights = stage_weights(loop, discount, horizon)
        means, covariances = moments(loop, *start, len(weights))
        second = covariances + means.unsqueeze(-1) * means.unsqueeze(-2)
        gain = -response.gain @ (plant.state + plant.leader @ policy.gain)
        pushed = response.gain @ plant.leader @ policy.factor
        spread = pushed @ pushed.T + response.covariance
        cost = plant.state_cost + gain.T @ plant.control_cost @ gain
        each = (second * cost).sum(dim=(-1, -2)) + torch.trace(plant.control_cost @ spread)
        return -(weights @ each)

    def view(self, temperature: float | None = None, ledger: Ledger | None = None) -> LeaderView:
        """What a leader is told: what its own action costs it, too."""
        return replace(super().view(temperature, ledger), effort=self.effort)

    def fingerprint(self) -> str:
        """A hash of all matrices and the reward."""
        text = hashlib.sha256(super().fingerprint().encode())
        for part in (self.start, self.start_factor, self.noise_factor, *self.plant):
            text.update(np.asarray(part).tobytes())
        text.update(repr((self.reward, self.shared)).encode())
        if self.effort is not None:
            text.update(self.effort.tobytes())
        return text.hexdigest()


def linear(commitment: Commitment) -> LinearGaussianPolicy:
    """``commitment`` if it is linear-Gaussian; ``UnsupportedGameError`` if not."""
    if not isinstance(commitment, LinearGaussianPolicy):
        raise UnsupportedGameError(f"a LinearGaussianPolicy is needed, got {type(commitment).__name__}")
    return commitment


@compiled
def _simulate(matrices: Any, policies: Any, noises: Any, start: Any, out: Any) -> None:
    drift, push, pull, state_cost, control_cost = matrices
    gain, state_gain, action_gain = policies
    leader_noise, follower_noise, noise = noises
    states, leader, follower, rewards = out
    n, m, k = drift.shape[0], push.shape[1], pull.shape[1]
    noisy, shaken, soft = noise.shape[1] > 0, leader_noise.shape[1] > 0, follower_noise.shape[1] > 0
    for i in range(start.shape[0]):
        for d in range(n):
            states[i, 0, d] = start[i, d]
        for t in range(rewards.shape[1]):
            for d in range(k):
                value = leader_noise[i, t, d] if shaken else 0.0
                for j in range(n):
                    value += gain[d, j] * states[i, t, j]
                leader[i, t, d] = value
            cost = 0.0
            for d in range(m):
                value = follower_noise[i, t, d] if soft else 0.0
                for j in range(n):
                    value += state_gain[d, j] * states[i, t, j]
                for j in range(k):
                    value += action_gain[d, j] * leader[i, t, j]
                follower[i, t, d] = value
            for d in range(m):
                for j in range(m):
                    cost += control_cost[d, j] * follower[i, t, d] * follower[i, t, j]
            for d in range(n):
                value = noise[i, t, d] if noisy else 0.0
                for j in range(n):
                    value += drift[d, j] * states[i, t, j]
                    cost += state_cost[d, j] * states[i, t, d] * states[i, t, j]
                for j in range(m):
                    value += push[d, j] * follower[i, t, j]
                for j in range(k):
                    value += pull[d, j] * leader[i, t, j]
                states[i, t + 1, d] = value
            rewards[i, t] = -cost


def _array(name: str, values: ArrayLike, rank: int, shape: tuple[int | None, ...] | None = None) -> FloatArray:
    """A frozen, finite array of the wanted shape; None in ``shape`` stands for any positive number."""
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidGameError(f"{name}={values!r} is not an array of numbers") from error
    wanted = shape or (None,) * rank
    fits = array.ndim == rank and all(w in (None, got) for w, got in zip(wanted, array.shape, strict=True))
    if not fits or array.size == 0 or not np.isfinite(array).all():
        raise InvalidGameError(f"{name} has shape {array.shape}: expected finite numbers of shape {wanted}")
    array.setflags(write=False)
    return array


def _factor(name: str, values: ArrayLike, size: int) -> FloatArray:
    """A number times the identity, or a matrix."""
    scalar = np.ndim(np.asarray(values)) == 0
    return _array(name, np.eye(size) * np.asarray(values) if scalar else values, 2, (size, size))


def _check_definite(name: str, matrix: FloatArray, bound: float) -> None:
    lowest = float(np.linalg.eigvalsh(matrix).min())
    if not np.allclose(matrix, matrix.T) or lowest <= bound:
        kind = "positive definite" if bound == 0 else "positive semidefinite"
        raise InvalidGameError(f"{name} must be symmetric and {kind}; its smallest eigenvalue is {lowest:.4g}")


@cache
def _line(size: int) -> gymnasium.spaces.Box:
    return gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float64)


def _vectors(player: str, actions: Any, shape: tuple[int, int]) -> FloatArray:
    array = np.asarray(actions)
    if array.shape != shape or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise InvalidActionError(f"{player} actions {actions!r}: expected finite numbers of shape {shape}")
    return array.astype(np.float64, copy=False)

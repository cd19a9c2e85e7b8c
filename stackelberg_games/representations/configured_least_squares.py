"""Quadratic critics of a linear game that the leader configures, and their estimation from trajectories.

    x' = A(c) x + B u + xi,   rL = -x'M x - u'N u - cost(c),   rF = -x'Q x - u'R u,   u = F x + e

with e of covariance Sigma. At a fixed policy of the follower and with K = A + B F, all values are
quadratic forms:

    VL_k(x) = -x'W_k x + ...,  W_k = sum_{i<k} gL^i (K^i)'(M + F'N F) K^i      k stages left
    VF(x)   = -x'P x - v,      P = Q + F'R F + gF K'P K

By the envelope theorem the derivative of VF at a soft-optimal F is that of P at F held fixed, so
neither the Riccati equation nor the temperature is needed for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.gaussian import box_sizes
from stackelberg_games.errors import InformationError, SolverError, UnsupportedGameError
from stackelberg_games.kinds.linear_lever import LinearLever, LinearObjective
from stackelberg_games.kinds.riccati import Plant, powers
from stackelberg_games.numerics.rows import product
from stackelberg_games.representations.least_squares import Regression, pairs, products, unpack
from stackelberg_games.representations.quadratic_features import centred
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView


@dataclass(frozen=True)
class ConfiguredCritics:
    """A configured linear game, true or estimated, under one policy of the follower; float64 arrays.

    Attributes:
        state: A at the current configuration, ``[n, n]``.
        push: B, ``[n, m]``.
        gain: F, ``[m, n]``.
        spread: Sigma, ``[m, m]``.
        noise: covariance of xi, ``[n, n]``.
        leader_cost: M ``[n, n]`` and N ``[m, m]``.
        follower_cost: Q ``[n, n]`` and R ``[m, m]``, or None where they are not observed.
        leader_discount, follower_discount: gL and gF.
        horizon: stages of an episode.
    """

    state: FloatArray
    push: FloatArray
    gain: FloatArray
    spread: FloatArray
    noise: FloatArray
    leader_cost: tuple[FloatArray, FloatArray]
    follower_cost: tuple[FloatArray, FloatArray] | None
    leader_discount: float
    follower_discount: float
    horizon: int

    @cached_property
    def loop(self) -> FloatArray:
        """K = A + B F, ``[n, n]``."""
        return self.state + self.push @ self.gain

    @cached_property
    def leader_values(self) -> FloatArray:
        """W_0 ... W_(H-1) by stages left, ``[H, n, n]``."""
        stage, control = self.leader_cost
        bent = stage + self.gain.T @ control @ self.gain
        stack = np.asarray(powers(torch.from_numpy(self.loop * self.leader_discount**0.5), self.horizon).numpy())
        grown = np.cumsum(stack.transpose(0, 2, 1) @ bent @ stack, axis=0)
        return np.concatenate([np.zeros_like(grown[:1]), grown[:-1]])

    @cached_property
    def follower_value(self) -> FloatArray:
        """P, ``[n, n]``.

        Raises:
            InformationError: the follower's rewards were not observed.
            SolverError: its discounted cost is not finite.
        """
        if self.follower_cost is None:
            raise InformationError("the follower's value needs its rewards, which this leader does not observe")
        stage, control = self.follower_cost
        return self._lyapunov(self.loop.T, stage + self.gain.T @ control @ self.gain)

    def value_gradient(self, occupied: FloatArray) -> FloatArray:
        """D tr(P X) / dA for a symmetric X, ``[n, n]``.

        With Y = X + gF K Y K' it is 2 gF P K Y.
        """
        reached = self._lyapunov(self.loop, occupied)
        return np.asarray(2 * self.follower_discount * self.follower_value @ self.loop @ reached)

    def _lyapunov(self, matrix: FloatArray, constant: FloatArray) -> FloatArray:
        """Y = C + gF M Y M'."""
        scaled = self.follower_discount**0.5 * matrix
        if not np.isfinite(scaled).all() or np.abs(np.linalg.eigvals(scaled)).max() >= 1:
            raise SolverError("the follower's discounted cost is not finite under its observed policy")
        system = np.eye(constant.size) - np.kron(scaled, scaled)
        solved = np.linalg.solve(system, constant.ravel()).reshape(constant.shape)
        return np.asarray(0.5 * (solved + solved.T))

    def leader_forms(self, batch: Trajectories) -> tuple[FloatArray, FloatArray]:
        """Slope and curvature, as ``centred`` takes them, of -QL_t in the follower's action."""
        left = self.leader_discount * self.leader_values[self.horizon - 1 - np.arange(batch.stages)]
        control = self.leader_cost[1]
        joint = control @ self.gain + self.push.T @ left @ self.loop
        slope = (joint @ batch.states[:, :-1, :, None])[..., 0]
        return np.asarray(slope), np.asarray(control + self.push.T @ left @ self.push)

    def benefit(self, batch: Trajectories) -> FloatArray:
        """B_t = QL_t - E_u QL_t at the visited stages, ``[N, T]``."""
        error = batch.follower_actions - product(batch.states[:, :-1], self.gain)
        return centred(error, self.spread, *self.leader_forms(batch)) * batch.mask


class ConfiguredLinearEstimator:
    """Least squares on everything observed so far; the follower's policy on the last batch alone.

    Args:
        view: what the leader knows of the game.
        lever: carries observed stages from one configuration to another.
        reference: the configuration to carry them to.

    Raises:
        UnsupportedGameError: a space is not a flat Box, or there is no horizon.
    """

    def __init__(self, view: LeaderView, lever: LinearLever, reference: Tensor) -> None:
        self.view, self.lever, self.reference = view, lever, reference.detach().clone()
        self.n, _, self.m = box_sizes(view)
        if view.horizon is None:
            raise UnsupportedGameError("a configured linear game needs a horizon")
        squares = 1 + pairs(self.n) + pairs(self.m)
        self.parts = {
            "dynamics": Regression(self.n + self.m, self.n),
            "leader": Regression(squares, 1),
            "follower": Regression(squares, 1),
        }
        self.starts = np.zeros((self.n, self.n))
        """Sums of products of first states."""
        self.episodes = 0

    def observe(self, batch: Trajectories, configuration: Tensor) -> None:
        """Take in a batch that was played under a configuration."""
        played = batch.mask
        states, actions = batch.states[:, :-1][played], batch.follower_actions[played]
        with torch.no_grad():
            moved = self.lever.shift(configuration, self.reference, torch.tensor(states)).numpy()
            cost = float(self.lever.cost(configuration))
        following = batch.states[:, 1:][played] - moved
        self.parts["dynamics"].add(np.concatenate([states, actions], axis=1), following)
        squares = np.concatenate([np.ones((len(states), 1)), products(states), products(actions)], axis=1)
        self.parts["leader"].add(squares, batch.leader_rewards[played][:, None] + cost)
        if batch.follower_rewards is not None:
            self.parts["follower"].add(squares, batch.follower_rewards[played][:, None])
        self.starts = self.starts + batch.states[:, 0].T @ batch.states[:, 0]
        self.episodes += batch.episodes

    @property
    def silent(self) -> bool:
        """Whether nothing has been seen of the follower's rewards."""
        return not self.parts["follower"].count

    def plant(self) -> tuple[Plant, LinearObjective]:
        """The fitted game at the reference, and the leader's objective in it.

        Raises:
            InformationError: the follower's rewards were not observed.
        """
        assert self.view.horizon is not None
        if self.silent:
            raise InformationError("planning needs the follower's rewards, which this leader does not observe")
        state, push = np.split(self.parts["dynamics"].solve().T, [self.n], axis=1)
        idle = np.zeros((self.n, 1))
        dynamics = self.parts["dynamics"]
        noise = dynamics.residual() * max(1, dynamics.count - dynamics.features) / dynamics.count  # the likeliest
        parts = (state, push, idle, noise, *self.costs("follower"))
        plant = Plant(*(torch.from_numpy(np.ascontiguousarray(part)) for part in parts))
        state_cost, control_cost = (torch.from_numpy(part) for part in self.costs("leader"))
        start = torch.from_numpy(self.starts / self.episodes)
        return plant, LinearObjective(state_cost, control_cost, start, self.view.leader_discount, self.view.horizon)

    def critics(
        self, batch: Trajectories, configuration: Tensor, read: tuple[FloatArray, FloatArray] | None = None
    ) -> ConfiguredCritics:
        """Critics at a configuration under the follower's policy: as ``read``, F and Sigma, or as played in ``batch``."""
        assert self.view.horizon is not None
        identity = torch.eye(self.n, dtype=torch.float64)
        with torch.no_grad():
            moved = self.lever.shift(configuration, self.reference, identity).numpy().T
        state, push = np.split(self.parts["dynamics"].solve().T, [self.n], axis=1)
        if read is None:
            answered = Regression(self.n, self.m)
            answered.add(batch.states[:, :-1][batch.mask], batch.follower_actions[batch.mask])
            read = answered.solve().T, answered.residual()
        return ConfiguredCritics(
            state + moved,
            push,
            *read,
            self.parts["dynamics"].residual(),
            self.costs("leader"),
            None if self.silent else self.costs("follower"),
            self.view.leader_discount,
            self.view.follower_discount,
            self.view.horizon,
        )

    def costs(self, part: str) -> tuple[FloatArray, FloatArray]:
        """Costs of states ``[n, n]`` and of actions ``[m, m]`` of a player."""
        costs = -self.parts[part].solve()[1:, 0]
        return unpack(costs[: pairs(self.n)], self.n), unpack(costs[pairs(self.n) :], self.m)

    def state_dict(self) -> dict[str, Any]:
        """The statistics."""
        stored = {name: {"factor": part.factor, "count": part.count} for name, part in self.parts.items()}
        starts = {"starts": self.starts, "episodes": self.episodes}
        return {"parts": stored, "reference": self.reference.numpy(), **starts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the statistics."""
        self.reference = torch.from_numpy(np.array(state["reference"]))
        self.starts, self.episodes = np.array(state["starts"]), int(state["episodes"])
        for name, stored in state["parts"].items():
            self.parts[name].restore(np.array(stored["factor"]), int(stored["count"]))

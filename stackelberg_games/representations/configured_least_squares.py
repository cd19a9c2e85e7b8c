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
from stackelberg_games.kinds.linear_lever import LinearLever
from stackelberg_games.kinds.riccati import powers
from stackelberg_games.numerics.rows import product
from stackelberg_games.representations.least_squares import Regression, pairs, products, unpack
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

    def centred(self, batch: Trajectories, slope: FloatArray, curvature: FloatArray) -> FloatArray:
        """-(z'H z - E_u z'H z) at the visited stages, ``[N, T]``, for a form with z = (x, u), u = F x + e.

        Args:
            batch: N episodes of T stages.
            slope: (H_ux + H_uu F) x, ``[N, T, m]``.
            curvature: H_uu, ``[T, m, m]`` or ``[1, m, m]``.
        """
        error = batch.follower_actions - product(batch.states[:, :-1], self.gain)
        bent = (error[..., None, :] @ curvature.transpose(0, 2, 1))[..., 0, :]
        mean = np.einsum("tij,ij->t", curvature, self.spread)
        return np.asarray(mean - ((bent + 2 * slope) * error).sum(axis=2)) * batch.mask

    def leader_forms(self, batch: Trajectories) -> tuple[FloatArray, FloatArray]:
        """Slope and curvature, as ``centred`` takes them, of -QL_t in the follower's action."""
        left = self.leader_discount * self.leader_values[self.horizon - 1 - np.arange(batch.stages)]
        control = self.leader_cost[1]
        joint = control @ self.gain + self.push.T @ left @ self.loop
        slope = (joint @ batch.states[:, :-1, :, None])[..., 0]
        return np.asarray(slope), np.asarray(control + self.push.T @ left @ self.push)

    def benefit(self, batch: Trajectories) -> FloatArray:
        """B_t = QL_t - E_u QL_t at the visited stages, ``[N, T]``."""
        return self.centred(batch, *self.leader_forms(batch))


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

    def critics(self, batch: Trajectories, configuration: Tensor) -> ConfiguredCritics:
        """Critics at a configuration under the policy that the follower played in ``batch``."""
        assert self.view.horizon is not None
        identity = torch.eye(self.n, dtype=torch.float64)
        with torch.no_grad():
            moved = self.lever.shift(configuration, self.reference, identity).numpy().T
        state, push = np.split(self.parts["dynamics"].solve().T, [self.n], axis=1)
        answered = Regression(self.n, self.m)
        answered.add(batch.states[:, :-1][batch.mask], batch.follower_actions[batch.mask])
        return ConfiguredCritics(
            state + moved,
            push,
            answered.solve().T,
            answered.residual(),
            self.parts["dynamics"].residual(),
            self._costs("leader"),
            self._costs("follower") if self.parts["follower"].count else None,
            self.view.leader_discount,
            self.view.follower_discount,
            self.view.horizon,
        )

    def _costs(self, part: str) -> tuple[FloatArray, FloatArray]:
        costs = -self.parts[part].solve()[1:, 0]
        return unpack(costs[: pairs(self.n)], self.n), unpack(costs[pairs(self.n) :], self.m)

    def state_dict(self) -> dict[str, Any]:
        """The statistics."""
        stored = {name: {"factor": part.factor, "count": part.count} for name, part in self.parts.items()}
        return {"parts": stored, "reference": self.reference.numpy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the statistics."""
        self.reference = torch.from_numpy(np.array(state["reference"]))
        for name, stored in state["parts"].items():
            self.parts[name].restore(np.array(stored["factor"]), int(stored["count"]))


def fitted_advantages(
    critics: ConfiguredCritics, batch: Trajectories, targets: FloatArray, discount: float = 0.0
) -> FloatArray:
    """Advantages of an action value that is quadratic in z = (x, u), fitted by least squares, ``[N, T]``.

    Args:
        critics: for the follower's policy, over which the fit is centred.
        batch: N episodes.
        targets: with a discount the rewards, without one the returns, ``[N, T]``.
        discount: bootstraps from the next stage, which gives the fixed point of SARSA with linear
            features (LSTD-Q; Bradtke and Barto 1996, Lagoudakis and Parr 2003). The last stages are
            then left out: episodes are cut, and do not end.
    """
    n = critics.state.shape[0]
    features = _features(np.concatenate([batch.states[:, :-1], batch.follower_actions], axis=2))
    used = batch.mask.copy()
    if discount:
        used[np.arange(batch.episodes), batch.lengths - 1] = False
    now, then = features[used], np.roll(features, -1, axis=1)[used]
    scale = np.maximum(np.linalg.norm(now, axis=0), np.finfo(float).tiny)
    now, then = now / scale, then / scale
    if discount:
        system = (now.T @ (now - discount * then), now.T @ targets[used])
    else:
        system = (now, targets[used])
    solved = np.linalg.lstsq(*system, rcond=1e-12)[0] / scale
    form = -unpack(solved[1:], n + critics.push.shape[1])
    joint = form[n:, :n] + form[n:, n:] @ critics.gain
    return critics.centred(batch, product(batch.states[:, :-1], joint), form[None, n:, n:])


def averaged(batch: Trajectories, credit: FloatArray) -> FloatArray:
    """Credits c' of stages with c'U = c'(fit of U on (x, u) - fit of U on x), ``[N, T]``.

    Fits are least squares with quadratic features over all stages of the batch, as averages over
    visits are in finite games.

    Args:
        batch: N episodes.
        credit: c, ``[N, T]``.
    """
    states, played = batch.states[:, :-1][batch.mask], credit[batch.mask]
    joint = np.concatenate([states, batch.follower_actions[batch.mask]], axis=1)
    out = np.zeros_like(credit)
    out[batch.mask] = _fit(_features(joint), played) - _fit(_features(states), played)
    return out


def _features(rows: FloatArray) -> FloatArray:
    """One and all products of two coordinates, ``[..., 1 + pairs]``."""
    flat = products(rows.reshape(-1, rows.shape[-1]))
    return np.concatenate([np.ones((len(flat), 1)), flat], axis=1).reshape(*rows.shape[:-1], -1)


def _fit(features: FloatArray, targets: FloatArray) -> FloatArray:
    """Least-squares fit of targets, at the rows themselves."""
    scale = np.maximum(np.linalg.norm(features, axis=0), np.finfo(float).tiny)
    basis, _ = np.linalg.qr(features / scale)
    return np.asarray(basis @ (basis.T @ targets))

"""Hypergradient estimates where the leader configures linear dynamics.

The noise of the dynamics is small, so scores of log P are of no use; their pathwise twins are. With
d x_{t+1} = dA x_t at a held action and the quadratic critics of ``configured_critics``,

    direct    sum_t gL^t [ -d cost + gL grad VL(x_{t+1})' dA x_t ]
    response  (1/tau) sum_t c_t dQF(x_t, u_t)

    dQF(x_t, u_t) = sum_{k>=t} gF^{k-t} gF grad VF(x_{k+1})' dA x_k   (unrolled along the trajectory)

where the credits c_t tell the methods apart: the discounted benefit gL^t B_t for the covariance
hypergradient; for HPGD and SoBiRL an estimated advantage or the return, with dQF(x, u) - dVF(x) from
regressions on (x, u) and on x. Everything is linear in dA, so a batch collapses to one matrix
G of the size of A, and the estimate is the gradient of <G, A(c)> - weight * cost(c).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import SolverError, UnsupportedGameError
from stackelberg_games.hypergradient import influence, traces
from stackelberg_games.kinds.linear_lever import LinearLever
from stackelberg_games.numerics.rows import product
from stackelberg_games.representations.configured_least_squares import ConfiguredCritics, ConfiguredLinearEstimator
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView

Response = Callable[[ConfiguredCritics, Trajectories], FloatArray]
"""From critics and a batch to the response part of G, ``[n, n]``."""


class ConfiguredLinearForm:
    """What a gradient leader is where it configures linear dynamics.

    Args:
        view: what the leader knows of the game.
        lever: of the game.
        commitment: the first one.
        response: the response part of G; None for the direct row alone.

    Raises:
        UnsupportedGameError: the commitment configures nothing; or see ``ConfiguredLinearEstimator``.
    """

    def __init__(
        self, view: LeaderView, lever: LinearLever, commitment: Commitment, response: Response | None = None
    ) -> None:
        self.lever, self.response = lever, response
        self.estimator = ConfiguredLinearEstimator(view, lever, _configuration(commitment))
        self.pull: FloatArray = np.zeros((self.estimator.n, self.estimator.n))
        self.expense = 0.0

    def observe(self, batch: Trajectories, commitment: Commitment, share: float = 1.0) -> None:
        """Learn from a batch and collapse it; no step where the estimated follower has no finite cost.

        Args:
            batch: N episodes.
            commitment: that was played.
            share: of its own cost that the leader counts.
        """
        configuration = _configuration(commitment)
        self.estimator.observe(batch, configuration)
        critics = self.estimator.critics(batch, configuration)
        discounts = critics.leader_discount ** np.arange(batch.stages) * batch.mask
        try:
            self.pull = direct(critics, batch)
            if self.response is not None:
                self.pull = self.pull + self.response(critics, batch)
            self.expense = share * float(discounts.sum()) / batch.episodes
        except SolverError:  # too little was seen
            self.pull, self.expense = np.zeros_like(self.pull), 0.0

    def surrogate(self, commitment: Commitment) -> Tensor:
        """Scalar whose gradient is the estimate at the commitment that was observed."""
        configuration = _configuration(commitment)
        identity = torch.eye(len(self.pull), dtype=torch.float64)
        moved = self.lever.shift(configuration, configuration.detach(), identity)  # row i: (A - A_0) e_i
        gained = (torch.from_numpy(self.pull.T.copy()) * moved).sum()
        return gained - self.expense * self.lever.cost(configuration)

    def state_dict(self) -> dict[str, Any]:
        """The estimates."""
        return self.estimator.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the estimates."""
        self.estimator.load_state_dict(state)


def _configuration(commitment: Commitment) -> Tensor:
    configuration = commitment.configuration()
    if configuration is None:
        raise UnsupportedGameError(f"{type(commitment).__name__} configures nothing; this game needs a configuration")
    return configuration


def direct(critics: ConfiguredCritics, batch: Trajectories) -> FloatArray:
    """The direct part of G: sum_t gL^{t+1} grad VL(x_{t+1}) x_t', averaged over episodes."""
    values = critics.leader_values[critics.horizon - 1 - np.arange(batch.stages)]
    slope = -2 * np.einsum("tij,ntj->nti", values, batch.states[:, 1:])
    discounts = critics.leader_discount ** np.arange(1, batch.stages + 1) * batch.mask
    return _outer(slope, batch.states[:, :-1], discounts) / batch.episodes


def covariance_response(
    critics: ConfiguredCritics,
    batch: Trajectories,
    temperature: float,
    *,
    bootstrap: bool = True,
    trace_decay: float = 1.0,
    centre: bool = True,
) -> FloatArray:
    """The response part of G by the covariance hypergradient.

    Args:
        critics: of both players.
        batch: N episodes.
        temperature: tau > 0.
        bootstrap: take dVF at the next state from the critic, and its covariance with QL over the
            follower's action in closed form. False unrolls dQF along the trajectory.
        trace_decay, centre: of the unrolled form, see ``hypergradient.influence``.
    """
    if bootstrap:
        discounts = critics.leader_discount ** np.arange(batch.stages) * batch.mask
        return _bootstrapped(critics, batch, discounts / (temperature * batch.episodes))
    trace = influence(
        batch,
        critics.benefit(batch),
        leader_discount=critics.leader_discount,
        follower_discount=critics.follower_discount,
        temperature=temperature,
        trace_decay=trace_decay,
        centre=centre and batch.episodes > 1,
    )
    return _unrolled(critics, batch, trace.after, trace.carry) / batch.episodes


def credited_response(
    critics: ConfiguredCritics, batch: Trajectories, temperature: float, credit: FloatArray
) -> FloatArray:
    """(1/tau) sum_t c_t dQF(x_t, u_t) for credits ``[N, T]``, unrolled, averaged over episodes."""
    _, after, carry = traces(np.ascontiguousarray(credit), batch.lengths, 1.0, critics.follower_discount)
    return _unrolled(critics, batch, after, carry) / (temperature * batch.episodes)


def _unrolled(critics: ConfiguredCritics, batch: Trajectories, after: FloatArray, carry: FloatArray) -> FloatArray:
    """sum_t w_t gF grad VF(x_{t+1}) x_t', and beyond the end u_H dVF(x_H)."""
    slope = -2 * critics.follower_discount * product(batch.states[:, 1:], critics.follower_value)
    along = _outer(slope, batch.states[:, :-1], after * batch.mask)
    last = batch.states[np.arange(batch.episodes), batch.lengths]
    return along - critics.value_gradient(_occupied(critics, last, carry))


def _occupied(critics: ConfiguredCritics, states: FloatArray, weights: FloatArray) -> FloatArray:
    """X with sum of weights times (x'P x + v) = tr(P X) + what does not depend on P."""
    gamma = critics.follower_discount
    shaken = critics.noise + critics.push @ critics.spread @ critics.push.T
    spread = gamma / (1 - gamma) * float(weights.sum()) * shaken
    return np.asarray((states * weights[:, None]).T @ states + spread)


def _bootstrapped(critics: ConfiguredCritics, batch: Trajectories, weights: FloatArray) -> FloatArray:
    """sum_t w_t gF Cov_u(QL, d VF(x_{t+1})) with the covariance over the follower's action in closed form.

    With u = F x + e, QL - E_u QL = -(e'H e - tr(H Sigma)) - 2 e'g and d VF(x_{t+1}) quadratic in e:
    E[B e] = -2 Sigma g and E[B (e e' - Sigma)] = -2 Sigma H Sigma for e ~ N(0, Sigma).
    """
    states = batch.states[:, :-1]
    slope, curvature = critics.leader_forms(batch)
    pushed = critics.push @ critics.spread
    moved = -2 * product(slope, pushed)
    along = -2 * _outer(product(moved, critics.follower_value), states, weights)
    crossed = _outer(product(states, critics.loop), moved, weights)
    bent = np.einsum("t,tij->ij", weights.sum(axis=0), curvature)
    spread = crossed + crossed.T - 2 * pushed @ bent @ pushed.T
    return critics.follower_discount * (along - critics.value_gradient(spread))


def _outer(left: FloatArray, right: FloatArray, weights: FloatArray) -> FloatArray:
    """Sum of weight l r' over all stages, ``[n, n]``."""
    flat = (left * weights[..., None]).reshape(-1, left.shape[-1])
    return np.asarray(flat.T @ right.reshape(-1, right.shape[-1]))

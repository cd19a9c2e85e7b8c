"""Least squares of linear dynamics that the leader configures, and the hypergradient on their quadratic critics.

The noise of the dynamics is small, so scores of log P are of no use; their pathwise twins are. With
d x_{t+1} = dA x_t at a held action and the quadratic critics of ``configured_least_squares``,

    direct    sum_t gL^t [ -d cost + gL grad VL(x_{t+1})' dA x_t ]
    response  sum_t c_t dQF(x_t, u_t)

    dQF(x_t, u_t) = sum_{k>=t} gF^{k-t} gF grad VF(x_{k+1})' dA x_k   (unrolled along the trajectory)

Everything is linear in dA, so a batch collapses to one matrix G of the size of A, and a row is the
gradient of <G, A(c)>. For credits that are multiples of the benefit the covariance with dVF(x_{t+1}) over the
follower's action is a closed form ("bootstrap").
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.gaussian import LinearGaussianResponse
from stackelberg_games.errors import InformationError, InvalidArgumentError, SolverError, UnsupportedGameError
from stackelberg_games.exact.linear_players import configured_objectives
from stackelberg_games.hypergradient import Influence
from stackelberg_games.kinds.linear_lever import LinearLever, idle_policy
from stackelberg_games.kinds.riccati import soft_riccati
from stackelberg_games.learning.information import Evidence
from stackelberg_games.numerics.rows import product
from stackelberg_games.representations.configured_least_squares import ConfiguredCritics, ConfiguredLinearEstimator
from stackelberg_games.representations.nothing import Nothing
from stackelberg_games.representations.protocol import Credit, Fitted, Manner, Needs, Representation, Values
from stackelberg_games.representations.quadratic_features import averaged, fitted_advantages
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView


class ConfiguredLinear(Representation):
    """Fits of dynamics and rewards at one configuration, which the lever carries to every other.

    Args:
        view, commitment, needs, seed: see ``Representation``.
        ramp: updates over which the leader phases in what its own configuration costs it; 0 counts it from the start.

    Raises:
        InvalidArgumentError: ``ramp`` is negative.
        UnsupportedGameError: the leader does not configure linear dynamics, or there is no horizon.
    """

    adjoints = ("bootstrap", "unroll")
    reads = ("none", "policy")
    planning = ("rate", "steps", "explore", "starts", "reach")
    manner = Manner(rate=0.1, steps=20, keeps=True, fresh=True, lane=8)

    keeps: ClassVar[tuple[str, ...]] = ("fit", "updates")

    def __init__(self, view: LeaderView, commitment: Commitment, needs: Needs, seed: int = 0, *, ramp: int = 0) -> None:
        super().__init__(view, commitment, needs, seed)
        if isinstance(ramp, bool) or not isinstance(ramp, int | np.integer) or ramp < 0:
            raise InvalidArgumentError(f"ramp={ramp!r}: expected an integer >= 0")
        if not isinstance(view.lever, LinearLever):
            raise UnsupportedGameError("configured_linear needs linear dynamics that the leader configures")
        if needs.reads != "none" and not needs.players:
            raise UnsupportedGameError(
                f"reads={needs.reads!r}: the fitted game gives the follower's policy and values; set reads='none'"
            )
        self.lever, self.ramp, self.updates = view.lever, ramp, 0
        self.fit = ConfiguredLinearEstimator(view, view.lever, configuration_of(commitment))

    @classmethod
    def fits(cls, view: LeaderView, commitment: Commitment) -> bool:
        """Where the leader configures linear dynamics."""
        return isinstance(view.lever, LinearLever)

    @classmethod
    def settings(cls, view: LeaderView, needs: Needs) -> tuple[str, ...]:
        """``ramp``, for whoever asks for values."""
        return ("ramp",) if needs.values and not needs.players else ()

    @property
    def share(self) -> float:
        """How much of what its own configuration costs it the leader counts by now."""
        return 1.0 if self.ramp == 0 else min(1.0, self.updates / self.ramp)

    def observe(self, evidence: Evidence, commitment: Commitment) -> None:
        """Add a batch to the fits, and work out the critics at the configuration that was played."""
        self.batch, configuration = evidence.require_trajectories(), configuration_of(commitment)
        self.fit.observe(self.batch, configuration)
        if self.needs.follower and self.fit.silent:
            raise InformationError("the follower's rewards are needed, and these trajectories do not hold them")
        self.cost_share = self.share
        self.updates += 1
        self.critics: ConfiguredCritics | None = None
        if self.needs.values:
            read = _read(evidence) if self.needs.reads == "policy" else None
            try:
                self.critics = self.fit.critics(self.batch, configuration, read)
                if self.needs.follower:
                    _ = self.critics.follower_value  # asked for here, so that no row is half done
            except SolverError:  # the estimated follower has no finite cost: too little was seen
                self.critics = None

    def at(self, commitment: Commitment) -> Values:
        """See ``Representation.at``; the critics are those of the configuration that was played."""
        if self.critics is None:
            return Nothing(self.batch, self.view, commitment)
        return ConfiguredLinearValues(self, self.critics, configuration_of(commitment))

    def fitted(self) -> ConfiguredLinearModel:
        """The fitted game."""
        return ConfiguredLinearModel(self)


def _read(evidence: Evidence) -> tuple[FloatArray, FloatArray]:
    """Gain and covariance of the follower's policy u = F x + e."""
    response = evidence.follower_policy
    if not isinstance(response, LinearGaussianResponse):
        raise UnsupportedGameError(
            f"a linear-Gaussian follower is read here, and this one plays a {type(response).__name__}; set reads='none'"
        )
    return response.state_gain, response.factor @ response.factor.T


def configuration_of(commitment: Commitment) -> Tensor:
    """The configuration of a commitment; ``UnsupportedGameError`` where it has none."""
    configuration = commitment.configuration()
    if configuration is None:
        raise UnsupportedGameError(f"{type(commitment).__name__} configures nothing; this game needs a configuration")
    return configuration


class ConfiguredLinearModel(Fitted):
    """The fitted game under any configuration: response and objective from the soft Riccati equation."""

    def __init__(self, learned: ConfiguredLinear) -> None:
        self.view, self._lever, self._reference = learned.view, learned.lever, learned.fit.reference
        self._plant, self._objective = learned.fit.plant()

    def objective(self, commitment: Commitment, temperature: float, share: float = 1.0) -> tuple[float, Tensor]:
        """See ``Fitted.objective``."""
        configuration, size = configuration_of(commitment), len(self._plant.state)
        identity = torch.eye(size, dtype=torch.float64)
        moved = self._plant.state + self._lever.shift(configuration, self._reference, identity).T
        plant = self._plant._replace(state=moved)
        answer = soft_riccati(plant, idle_policy(size), self.view.follower_discount, temperature)
        value = self._objective(plant, answer, share * self._lever.cost(configuration))
        return float(value.detach()), value


class ConfiguredLinearValues(Values):
    """Quadratic critics, and the lever that moves them.

    Args:
        learned: the fits.
        critics: at the configuration that was played.
        configuration: to differentiate in.
    """

    def __init__(self, learned: ConfiguredLinear, critics: ConfiguredCritics, configuration: Tensor) -> None:
        self.view, self.batch, self.critics = learned.view, learned.batch, critics
        self._learned, self._configuration = learned, configuration
        identity = torch.eye(len(critics.state), dtype=torch.float64)
        moved = learned.lever.shift(configuration, configuration.detach(), identity)  # row i: (A - A_0) e_i
        self._terms = moved.reshape(-1), learned.lever.cost(configuration).reshape(1)
        self._moved, self._cost = self._terms[0].view(moved.shape), self._terms[1].view(())

    @property
    def terms(self) -> tuple[Tensor, ...]:
        """What the configuration makes of the dynamics, and what it costs."""
        return () if self._learned.needs.players else self._terms

    def benefit(self) -> Credit:
        """See ``Values.benefit``."""
        return Credit(self.critics.benefit(self.batch), None, np.ones(self.batch.mask.shape))

    def direct(self) -> Tensor:
        """See ``Values.direct``."""
        batch, critics = self.batch, self.critics
        values = critics.leader_values[critics.horizon - 1 - np.arange(batch.stages)]
        slope = -2 * np.einsum("tij,ntj->nti", values, batch.states[:, 1:])
        pull = _outer(slope, batch.states[:, :-1], self.view.leader_discount * self.discounts)
        expense = self._learned.cost_share * float(self.discounts.sum()) / batch.episodes
        return self._along(pull / batch.episodes) - expense * self._cost

    def unrolled(self, trace: Influence, credit: Credit, batch: Trajectories) -> Tensor:
        """See ``Values.unrolled``: sum_t w_t gF grad VF(x_{t+1}) x_t', and beyond the end u_H dVF(x_H)."""
        critics, discount = self.critics, self.view.follower_discount
        slope = -2 * discount * product(batch.states[:, 1:], critics.follower_value)
        along = _outer(slope, batch.states[:, :-1], trace.after * batch.mask)
        last = batch.states[np.arange(batch.episodes), batch.lengths]
        return self._along((along - critics.value_gradient(_occupied(critics, last, trace.carry))) / batch.episodes)

    def bootstrapped(self, credit: Credit) -> Tensor:
        """See ``Values.bootstrapped``: gF sum_t w_t Cov_u(QL, d VF(x_{t+1})) in closed form, for credits w_t B_t.

        With u = F x + e, QL - E_u QL = -(e'H e - tr(H Sigma)) - 2 e'g and d VF(x_{t+1}) quadratic in e:
        E[B e] = -2 Sigma g and E[B (e e' - Sigma)] = -2 Sigma H Sigma for e ~ N(0, Sigma).
        """
        if credit.weights is None:
            raise UnsupportedGameError("the adjoint 'bootstrap' is for credits that are multiples of the benefit")
        critics, states, weights = self.critics, self.batch.states[:, :-1], credit.weights / self.batch.episodes
        slope, curvature = critics.leader_forms(self.batch)
        pushed = critics.push @ critics.spread
        moved = -2 * product(slope, pushed)
        along = -2 * _outer(product(moved, critics.follower_value), states, weights)
        crossed = _outer(product(states, critics.loop), moved, weights)
        bent = np.einsum("t,tij->ij", weights.sum(axis=0), curvature)
        spread = crossed + crossed.T - 2 * pushed @ bent @ pushed.T
        return self._along(self.view.follower_discount * (along - critics.value_gradient(spread)))

    def truncated(self, credit: Credit) -> Tensor:
        """See ``Values.truncated``; nothing, as no reward of the follower's depends on the configuration."""
        return 0.0 * self._configuration.sum()

    def averaged(self, credit: Credit, wide: Trajectories) -> Credit:
        """See ``Values.averaged``; means are least squares with quadratic features of (x, u), and of x."""
        return Credit(averaged(wide.states[:, :-1], wide.follower_actions, wide.mask, credit.at))

    def advantage(self, how: str, wide: Trajectories) -> Credit:
        """See ``Values.advantage``; SARSA is its fixed point with quadratic features of (x, u) (LSTD-Q)."""
        faced, law = wide.states[:, :-1], (self.critics.gain, self.critics.spread)
        return Credit(fitted_advantages(how, wide, faced, *law, self.view.leader_discount))

    def players(self) -> tuple[Tensor, Tensor, Tensor]:
        """See ``Values.players``; the parameters are gain and factor (F, S) of the response, side by side."""
        plant, objective = self._learned.fit.plant()
        factor = np.linalg.cholesky(self.critics.spread)
        response = torch.from_numpy(np.concatenate([self.critics.gain, factor], axis=1)).requires_grad_()
        state = torch.from_numpy(self.critics.state) + self._moved.T
        discount, plant = self.view.follower_discount, plant._replace(state=state)
        both = configured_objectives(plant, objective, self._cost, response, discount, self.temperature)
        return *both, response

    def _along(self, pull: FloatArray) -> Tensor:
        """<G, A(c)>, up to a constant."""
        return (torch.from_numpy(pull.T.copy()) * self._moved).sum()


def _occupied(critics: ConfiguredCritics, states: FloatArray, weights: FloatArray) -> FloatArray:
    """X with sum of weights times (x'P x + v) = tr(P X) + what does not depend on P."""
    gamma = critics.follower_discount
    shaken = critics.noise + critics.push @ critics.spread @ critics.push.T
    spread = gamma / (1 - gamma) * float(weights.sum()) * shaken
    return np.asarray((states * weights[:, None]).T @ states + spread)


def _outer(left: FloatArray, right: FloatArray, weights: FloatArray) -> FloatArray:
    """Sum of weight l r' over all stages, ``[n, n]``."""
    flat = (left * weights[..., None]).reshape(-1, left.shape[-1])
    return np.asarray(flat.T @ right.reshape(-1, right.shape[-1]))

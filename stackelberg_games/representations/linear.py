"""Least squares of a linear-quadratic game, and the pathwise hypergradient on its critics.

Where the leader's action is reparameterised, a_t = K s_t + W eps_t, the score terms of the
estimator have pathwise twins, whose variance does not grow as the leader's noise shrinks:

    direct    sum_t gL^t VL_t(s_t, a_t)                  differentiated through a_t
    response  sum_t u_t VF(s_t, a_t)                     differentiated through a_t,
              u_0 = 0,  u_{t+1} = gF (u_t + c_t)

With a horizon H the leader's values count the H - t stages left. The follower looks beyond H, so
u_H VF_theta(s_H) is added, which is what its later stages would give in expectation.

Where a critic knows the *gradient* of the follower's value, the unrolled influence can be replaced by
it at once ("bootstrap", as TD(0) stands to Monte Carlo):

    response  gF sum_t c_t [ VF_theta(s_{t+1}) - E_b VF_theta(s_{t+1}) ]

with VF_theta(s) averaged over the leader's action. The subtracted expectation is a control variate where
c_t has mean zero given (s_t, a_t). The mean is the same; the variance is that of one stage.

In a linear-quadratic game all critics are closed forms: with y the state before the follower's push,
M and S_i the closed loop and its i-step covariance,

    QL_t(x, a, u) = r(x) + sum_{i < H-t-1} gL^{i+1} E r(N(M^i y', S_i + M^i Xi M^i')),  y' = A x + C a + B u
    VL_t(x, a)    = the same with y' = (I - B L)(A x + C a) and the spread of u added
    VF(x, a)      = -(x'Q x + y'G y + c),                                               y = A x + C a

With the maximum over the leader's next action and the mode of the reply, V(x) = r(x) + gL max_a V(z) at
z = (I - B L)(A x + C a). Where the leader can steer to the same states z from everywhere, the maximum does
not depend on x, so that nothing beyond the next stage depends on a. Elsewhere there is no closed form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.first import linear_spaces
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy, LinearGaussianResponse
from stackelberg_games.errors import InformationError, InvalidGameError, SolverError, UnsupportedGameError
from stackelberg_games.exact.linear_players import linear_objectives
from stackelberg_games.hypergradient import Influence
from stackelberg_games.kinds.linear_quadratic import Cost, LinearGaussianGame, linear
from stackelberg_games.kinds.riccati_compiled import (
    ClosedReply,
    FollowerValues,
    LinearLaw,
    PlantArrays,
    closed,
    respond,
    value_slope,
)
from stackelberg_games.learning.information import Evidence
from stackelberg_games.learning.weighted_sum import WeightedSum
from stackelberg_games.representations.least_squares import LinearEstimator
from stackelberg_games.representations.linear_critic import LeaderCritic, StagesAhead
from stackelberg_games.representations.linear_response import FittedResponse
from stackelberg_games.representations.nothing import Nothing
from stackelberg_games.representations.protocol import (
    STACKELBERG,
    Credit,
    Fitted,
    Manner,
    Needs,
    Representation,
    Values,
)
from stackelberg_games.representations.quadratic_features import averaged, fitted_advantages
from stackelberg_games.representations.surprise import Surprise
from stackelberg_games.rules.commitment import Commitment, add_gradient
from stackelberg_games.rules.trajectories import Trajectories, powers
from stackelberg_games.rules.view import LeaderView

_NEGLIGIBLE = 1e-6  # weight at which the leader's values are cut where there is no horizon

OUTSIDE = 0.05
"""Share of the drift that may lie outside of what the leader steers; fits to noisy data leave some."""


class Linear(Representation):
    """Fits of dynamics and rewards; of the follower's response too, where its reasons are not asked for.

    Args:
        view, commitment, needs, seed: see ``Representation``.
        memory: factor in [0, 1] by which the fit of the follower's response fades from batch to batch.

    Raises:
        UnsupportedGameError: the spaces are not flat unbounded Boxes, or the commitment is not linear-Gaussian.
    """

    adjoints = ("bootstrap", "unroll")
    reads = ("none", "policy")
    planning = ("rate", "steps", "explore", "starts", "reach")
    manner = Manner(rate=0.1, steps=20, keeps=True)
    rivals = (0.5, 2.0)

    def __init__(
        self, view: LeaderView, commitment: Commitment, needs: Needs, seed: int = 0, *, memory: float = 0.8
    ) -> None:
        super().__init__(view, commitment, needs, seed)
        linear(commitment)
        if needs.reads != "none" and needs.follower:
            raise UnsupportedGameError(
                f"reads={needs.reads!r}: in linear-quadratic games the fitted game gives the follower's policy and values "
                "in closed form, so there is no variant that reads them; set reads='none'"
            )
        self.fit = LinearEstimator(view)
        self.replied = FittedResponse(self.fit.n, self.fit.m, memory)
        self.read: tuple[FloatArray, FloatArray] | None = None
        self._known: Known | None = None  # until the next batch

    @classmethod
    def fits(cls, view: LeaderView, commitment: Commitment) -> bool:
        """Where all spaces are flat Boxes, actions have no bounds, and the commitment is linear-Gaussian."""
        return view.lever is None and linear_spaces(view) and isinstance(commitment, LinearGaussianPolicy)

    @classmethod
    def settings(cls, view: LeaderView, needs: Needs) -> tuple[str, ...]:
        """``memory`` where the response is fitted to what was seen of it, and not the one that solves the fitted game."""
        return ("memory",) if needs.values and not needs.follower and needs.reads == "none" else ()

    def observe(self, evidence: Evidence, commitment: Commitment) -> None:
        """Add a batch to the fits."""
        batch = evidence.require_trajectories()
        self.batch, self._known = batch, None
        asked = self.needs.follower or self.needs.players or not self.needs.values
        self.fit.observe(batch if asked else batch.without_follower_rewards())
        if asked and self.fit.silent:
            raise InformationError("the follower's rewards are needed, and these trajectories do not hold them")
        if self.needs.reads == "policy":
            self.read = _read(evidence, self.fit.game(self._idle()))
        elif self.needs.values and not self.needs.follower:
            self.replied.observe(self.fit.game(self._idle()), batch)

    def _idle(self) -> Cost:
        """A cost that nothing which follows reads."""
        return Cost(np.zeros((self.fit.n, self.fit.n)), np.eye(self.fit.m))

    def at(self, commitment: Commitment) -> Values:
        """See ``Representation.at``; the critics move with the commitment."""
        try:
            return LinearValues(self, linear(commitment))
        except (InvalidGameError, SolverError):  # too little was seen, or no stable response is in sight
            return Nothing(self.batch, self.view, commitment)

    def known(self) -> Known:
        """What the last batch tells whatever the commitment is."""
        if self._known is None:
            game = self.fit.game(None if self.needs.follower else self._idle())
            self._known = Known.of(game, self.batch, self.needs.backup == STACKELBERG)
        return self._known

    def answer(self, law: LinearLaw) -> tuple[ClosedReply, FollowerValues | None]:
        """The follower's response in the fitted game, and its values where they are asked for."""
        plant = self.known().plant
        if not self.needs.follower:
            return closed(plant, law, *self.replied.solve()), None
        assert self.view.temperature is not None
        return respond(plant, law, self.view.follower_discount, self.view.temperature)

    def surprise(self, commitment: Commitment) -> Surprise:
        """See ``Representation.surprise``; the gain is that of every temperature, and the covariance is in proportion."""
        game, policy = self.fit.game(), linear(commitment)
        with torch.no_grad():
            answer = game.response(policy, 1.0)
        batch, played = self.batch, self.batch.mask
        pushed = (
            batch.states[:, :-1][played] @ game.state_matrix.T + batch.leader_actions[played] @ game.leader_matrix.T
        )
        missed = batch.follower_actions[played] + pushed @ answer.gain.numpy().T
        total = float((missed * np.linalg.solve(answer.covariance.numpy(), missed.T).T).sum())
        return Surprise(lambda temperature: 0.5 * (total / temperature + missed.size * float(np.log(temperature))))

    def response(self) -> tuple[FloatArray, FloatArray]:
        """Gain and factor of the follower's policy, as it was read or as it was seen."""
        if self.read is not None:
            return self.read
        gain, covariance = self.replied.solve()
        return gain, np.linalg.cholesky(covariance)

    def fitted(self) -> LinearModel:
        """The fitted game.

        Raises:
            InvalidGameError: the data do not determine it.
        """
        return LinearModel(self.fit.game())

    def state_dict(self) -> dict[str, Any]:
        """The fits."""
        return {"fit": self.fit.state_dict(), "replied": self.replied.moments}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Representation.load_state_dict``."""
        self._known = None
        self.fit.load_state_dict(state["fit"])
        self.replied.moments = np.array(state["replied"])


class LinearModel(Fitted):
    """A fitted linear-quadratic game."""

    def __init__(self, game: LinearGaussianGame) -> None:
        self.game = game

    def objective(self, commitment: Commitment, temperature: float, share: float = 1.0) -> tuple[float, Tensor]:
        """See ``Fitted.objective``."""
        value = self.game.leader_objective(commitment, temperature)
        return float(value.detach()), value


class Known(NamedTuple):
    """What a batch tells whatever the commitment is; rows are in the order of ``ahead``.

    Attributes:
        game: the fitted one.
        plant: its own.
        ahead: the rewards that the leader's values count after each stage.
        decay: gL^(i+1), ``[K]``.
        states: x, ``[n, R]``.
        pushed: A x + C a, ``[n, R]``.
        reached: the same and the reply's B u, ``[n, R]``.
        following: the next states, ``[n, R]``.
        discounts: gL^t, ``[N, T]``; zero in padding.
    """

    game: LinearGaussianGame
    plant: PlantArrays
    ahead: StagesAhead
    decay: FloatArray
    states: FloatArray
    pushed: FloatArray
    reached: FloatArray
    following: FloatArray
    discounts: FloatArray

    @classmethod
    def of(cls, game: LinearGaussianGame, batch: Trajectories, next_only: bool) -> Known:
        """Of a fitted game and a batch; ``next_only`` where values end with the next stage."""
        left = game.stages(_NEGLIGIBLE) - np.arange(batch.stages)
        ahead = StagesAhead.of(np.broadcast_to(np.minimum(left, 2) if next_only else left, batch.mask.shape))
        states, actions = ahead.rows(batch.states[:, :-1]), ahead.rows(batch.leader_actions)
        pushed = game.state_matrix @ states + game.leader_matrix @ actions
        reached = pushed + game.follower_matrix @ ahead.rows(batch.follower_actions)
        decay, following = game.leader_discount ** np.arange(1.0, ahead.most + 1), ahead.rows(batch.states[:, 1:])
        discounts = powers(game.leader_discount, batch.stages) * batch.mask
        return cls(game, PlantArrays.of(game.plant), ahead, decay, states, pushed, reached, following, discounts)


class LinearValues(Values):
    """Critics in closed form at a commitment.

    Args:
        learned: the fits.
        policy: the commitment; its parameters receive the gradients.

    Raises:
        InvalidGameError: the data do not determine the game.
        SolverError: the follower has no stable response.
        UnsupportedGameError: the backup has no closed form.
    """

    def __init__(self, learned: Linear, policy: LinearGaussianPolicy) -> None:
        self.view, self.batch, self._learned, self._policy = learned.view, learned.batch, learned, policy
        if learned.needs.players:
            return
        factor = policy.factor.numpy()
        self._law = LinearLaw(policy.gain.detach().numpy(), factor @ factor.T)
        self.known, (self.reply, self._worth) = learned.known(), learned.answer(self._law)
        game, push, noise = self.known.game, self.known.plant.follower, self.known.plant.noise
        self._kept = np.eye(len(push)) - push @ self.reply.gain
        if learned.needs.backup == STACKELBERG:
            if game.effort is not None:
                raise UnsupportedGameError(
                    "the backup of the maximum over the leader's action and the mode of the reply has no closed form where "
                    "the leader pays for its action"
                )
            _check_steering(self._kept @ game.state_matrix, self._kept @ game.leader_matrix)
        self._critic = LeaderCritic.of(game, self._law, self.reply, self.known.decay)
        self._answered = self._kept @ self.known.pushed
        spread = noise + push @ self.reply.covariance @ push.T
        self._values, self._slopes = self._critic.future(self._answered, spread, self.known.ahead)

    def benefit(self) -> Credit:
        """See ``Values.benefit``."""
        known = self.known
        reached, _ = self._critic.future(known.reached, known.plant.noise, known.ahead, sloped=False)
        return Credit(known.ahead.back(reached - self._values))

    def direct(self) -> WeightedSum:
        """See ``Values.direct``."""
        known, game = self.known, self.known.game
        pulls = (self._kept @ game.leader_matrix).T @ self._slopes
        if game.effort is not None:
            pulls = pulls - 2 * game.effort @ known.ahead.rows(self.batch.leader_actions)
        return self._through_actions(known.discounts, pulls)

    @property
    def discounts(self) -> FloatArray:
        """See ``Values.discounts``."""
        return super().discounts if self._learned.needs.players else self.known.discounts

    def unrolled(self, trace: Influence, credit: Credit, batch: Trajectories) -> WeightedSum:
        """See ``Values.unrolled``; with the follower's value beyond the end of the trajectories."""
        assert self._worth is not None
        known, carried = self.known, trace.carry / batch.episodes
        seen = self._through_actions(trace.before, -2 * known.plant.leader.T @ self._worth.seen_value @ known.pushed)
        last = batch.states[np.arange(batch.episodes), batch.lengths]
        return seen + self._follower_values((last.T * carried) @ last, float(carried.sum()))

    def bootstrapped(self, credit: Credit) -> WeightedSum:
        """See ``Values.bootstrapped``."""
        following, expected = self.known.following, self._answered
        owed = self.view.follower_discount / self.batch.episodes * credit.at.ravel()[self.known.ahead.order]
        return self._follower_values((following * owed) @ following.T - (expected * owed) @ expected.T, 0.0)

    def _through_actions(self, weights: FloatArray, pulls: FloatArray) -> WeightedSum:
        """Mean over the episodes of weighed values that the commitment moves by its actions alone.

        Args:
            weights: ``[N, T]``.
            pulls: derivatives of the values by the leader's actions, ``[k, R]``.
        """
        each = weights.ravel()[self.known.ahead.order] / self.batch.episodes
        return WeightedSum(self._pull, {"gain": (pulls * each) @ self.known.states.T})

    def _follower_values(self, products: FloatArray, total: float) -> WeightedSum:
        """Sum of weights times VF(x), differentiated through what the commitment makes of VF.

        Args:
            products: sum of weights times x x', ``[n, n]``.
            total: of the weights.
        """
        assert self._worth is not None
        worth, discount = self._worth, self.view.follower_discount
        slope = value_slope(self.known.plant, self._law, self.reply, worth, discount, products, total)
        return WeightedSum(self._pull, {"gain": -slope})

    def _pull(self, weights: Mapping[str, FloatArray]) -> None:
        """The slope of a sum in the gain, ``[k, n]``, is the weight that it is given."""
        add_gradient(self._policy.gain, weights["gain"])

    def truncated(self, credit: Credit) -> WeightedSum:
        """See ``Values.truncated``; nothing, as no reward at (s, a, b) depends on the commitment."""
        return WeightedSum(self._pull, {"gain": np.zeros_like(self._law.gain)})

    def averaged(self, credit: Credit, wide: Trajectories) -> Credit:
        """See ``Values.averaged``; means are least squares with quadratic features of (y, u), and of y."""
        return Credit(averaged(self._pushed(), wide.follower_actions, wide.mask, credit.at))

    def advantage(self, how: str, wide: Trajectories) -> Credit:
        """See ``Values.advantage``; SARSA is its fixed point with quadratic features of (y, u) (LSTD-Q)."""
        law, discount = (-self.reply.gain, self.reply.covariance), self.view.leader_discount
        return Credit(fitted_advantages(how, wide, self._pushed(), *law, discount))

    def _pushed(self) -> FloatArray:
        """A x + C a, ``[N, T, n]``."""
        game = self.known.game
        return self.batch.states[:, :-1] @ game.state_matrix.T + self.batch.leader_actions @ game.leader_matrix.T

    def players(self) -> tuple[Tensor, Tensor, Tensor]:
        """See ``Values.players``; the parameters are gain and factor (L, F) of the response, side by side."""
        game, (gain, factor) = self._learned.fit.game(), self._learned.response()
        response = torch.cat([torch.from_numpy(gain), torch.from_numpy(factor)], dim=1).requires_grad_()
        return *linear_objectives(game, self._policy, response, self.temperature), response


def _check_steering(drift: FloatArray, steering: FloatArray) -> None:
    """Refuse games in which z = drift x + steering a covers other states from one x than from another."""
    outside = drift - steering @ (np.linalg.pinv(steering, rcond=OUTSIDE) @ drift)
    if np.linalg.norm(outside) > OUTSIDE * np.linalg.norm(drift):
        raise UnsupportedGameError(
            "the backup of the maximum over the leader's action and the mode of the reply has no closed form in a "
            "linear-quadratic game whose leader cannot steer the state to the same places from everywhere in one stage: "
            "the columns of (I - B L) A leave the range of (I - B L) C"
        )


def _read(evidence: Evidence, game: LinearGaussianGame) -> tuple[FloatArray, FloatArray]:
    """Gain L and factor F of the follower's policy u = -L (A x + C a) + F eps."""
    response = evidence.follower_policy
    if not isinstance(response, LinearGaussianResponse):
        raise UnsupportedGameError(
            f"a linear-Gaussian follower is read here, and this one plays a {type(response).__name__}; set reads='none'"
        )
    seen = np.concatenate([response.state_gain, response.action_gain], axis=1)
    moves = np.concatenate([game.state_matrix, game.leader_matrix], axis=1)
    return np.asarray(-seen @ np.linalg.pinv(moves, rcond=1e-9)), np.array(response.factor)

"""BC-HG: the decentralised covariance hypergradient (arXiv 2603.14867).

    direct    sum_t gL^t AL_t d log f_t
    response  (1/tau) sum_t u_t AF_t d log f_t,   u_{t+1} = gF w_t,   w_t = u_t + gL^t B_t

with the benefit B = QL - E_b QL. Where the leader configures the game, the terms of its lever enter
too, (1/tau) sum_t w_t [ d rF_t + gF VF(s_{t+1}) d log P_t ] beside the direct ones. The published
code reads the follower's policy and soft values; this leader estimates both from the trajectories
unless told otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np

from stackelberg_games.agents.leaders.bchg_continuous import PathwiseForm
from stackelberg_games.agents.leaders.neural import ByNetworks, NeuralCovariance, NeuralDirect
from stackelberg_games.agents.leaders.policy_gradient import PolicyGradient
from stackelberg_games.agents.leaders.unrewarded import Unrewarded
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InformationError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.exact.critics import CriticTables
from stackelberg_games.hypergradient import Coefficients, coefficients, influence
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.representations.configured_linear import Response, covariance_response
from stackelberg_games.representations.pathwise import Pathwise
from stackelberg_games.rules.trajectories import Trajectories

Privilege = Literal["none", "policy", "values"]
CLASSES = {
    "none": Information.TRAJECTORIES,
    "policy": Information.FOLLOWER_POLICY,
    "values": Information.FOLLOWER_VALUES,
}


@dataclass
class BCHG(Unrewarded, ByNetworks, PathwiseForm, PolicyGradient):
    """Covariance hypergradient ascent.

    Args:
        learning_rate, actor_steps, hidden: see ``GradientLeader``.
        memory: factor by which the estimate of the follower's policy fades from batch to batch.
        reads: what it reads of the follower: ``"none"`` (class TRAJECTORIES), ``"policy"``
            (FOLLOWER_POLICY) or ``"values"`` too (FOLLOWER_VALUES, as the published code does).
        trace_decay: see ``hypergradient.influence``.
        centre: see ``hypergradient.influence``; has no effect on batches of a single episode.
        bootstrap: in linear-quadratic games, see ``Pathwise`` and ``covariance_response``.
        smoothing, critic_steps: see ``ByNetworks``.
        follower_rewards: ``"observed"``, or ``"unobserved"``: inferred from the follower's actions
            (``Unrewarded``), in finite and in linear-quadratic games; not needed where the leader
            configures known rewards only.
    """

    reads: Privilege = "none"
    trace_decay: float = 1.0
    centre: bool = True

    needs_follower_rewards: ClassVar[bool] = True
    needs_temperature: ClassVar[bool] = True
    responds: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reads not in CLASSES:
            raise InvalidArgumentError(f"reads={self.reads!r}: expected one of {', '.join(CLASSES)}")

    @property
    def information(self) -> Information:
        """TRAJECTORIES with the follower's rewards, or what ``reads`` asks for."""
        return CLASSES[self.reads]

    def rewards_are_idle(self) -> bool:
        """Where the leader configures known rewards, all that it reads is its own values and the lever."""
        configures = self.commitment.configuration() is not None
        return configures and self.acts is None and not self.moves_transitions

    def critics(self, evidence: Evidence) -> CriticTables:
        """Critics of both players, estimated but for what is read."""
        if evidence.require_trajectories().follower_rewards is None:
            raise InformationError("bchg needs the follower's rewards in its trajectories")
        assert self.view.temperature is not None
        response = follower_q = None
        if self.reads != "none":
            response = evidence.require_table("bchg")
        if self.reads == "values":
            assert evidence.follower_values is not None
            follower_q = evidence.follower_values.q
        if follower_q is None and self.acts is None and not self.moves_transitions:
            follower_q = np.zeros(self.estimator.recent.shape)  # nothing that follows reads the follower's values
        return self.estimator.tables(
            self.policy_table(), self.view.temperature, response=response, follower_q=follower_q
        )

    def neural_form(self) -> NeuralDirect:
        """See ``ByNetworks``."""
        return NeuralCovariance(
            self.learning_rate, self.actor_steps, self.hidden, self.estimation, self.trace_decay, self.centre
        )

    def pathwise(self, temperature: float) -> Pathwise:
        """The form for linear-quadratic games."""
        return Pathwise(temperature, True, self.bootstrap, self.trace_decay, self.centre)

    def linear_response(self) -> Response:
        """See ``PolicyGradient``; reads nothing of the follower."""
        if self.reads != "none":
            raise UnsupportedGameError(f"reads={self.reads!r}: bchg reads nothing of the follower in continuous games")
        assert self.view.temperature is not None
        return partial(
            covariance_response,
            temperature=self.view.temperature,
            bootstrap=self.bootstrap,
            trace_decay=self.trace_decay,
            centre=self.centre,
        )

    def _options(self, batch: Trajectories) -> dict[str, Any]:
        return {
            "leader_discount": self.view.leader_discount,
            "follower_discount": self.view.follower_discount,
            "temperature": self.view.temperature,
            "trace_decay": self.trace_decay,
            "centre": self.centre and batch.episodes > 1,
        }

    def policy_weights(self, evidence: Evidence, tables: CriticTables) -> FloatArray:
        """Direct and response weights of log f, ``[S, A]``."""
        batch = evidence.require_trajectories()
        trace = influence(batch, tables.benefit_at(batch), **self._options(batch))
        return super().policy_weights(evidence, tables) + tables.response_weights(batch, trace)

    def coefficients(self, batch: Trajectories, tables: CriticTables) -> Coefficients:
        """Stage weights of the lever's terms, the response included."""
        if not self.moves_transitions:
            trace = influence(batch, tables.benefit_at(batch), **self._options(batch))
            direct = super().coefficients(batch, tables)
            return direct._replace(follower_reward=trace.after, carry=trace.carry)
        return coefficients(batch, tables.at(batch, transitions=True), **self._options(batch))

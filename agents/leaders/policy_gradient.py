"""Naive policy gradient: the direct term alone, as if the follower did not respond.

    sum_t gL^t [ AL(s_t, a_t) d log f(a_t | s_t) + d rL + gL VL(s_{t+1}) d log P ]

with the last two terms where the leader configures the game.
Sutton, McAllester, Singh and Mansour, NeurIPS 1999; the "Naive-PGD" baseline of BC-HG
(arXiv 2603.14867). Its fixed points are those of a follower frozen at its current response.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from torch import Tensor

from stackelberg_games.agents.leaders.neural import ByNetworks, NeuralDirect
from stackelberg_games.agents.leaders.policy_gradient_linear import LinearDirect
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.tabular import DiscretePolicy
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.exact.critics import CriticTables
from stackelberg_games.hypergradient import Coefficients
from stackelberg_games.kinds.linear_lever import LinearLever
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.learning.leader import GradientLeader
from stackelberg_games.representations.configured_counts import ConfiguredEstimator, beyond
from stackelberg_games.representations.configured_linear import ConfiguredLinearForm, Response
from stackelberg_games.representations.counts import TabularEstimator
from stackelberg_games.representations.weighted import Weighted
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView


@dataclass
class PolicyGradient(GradientLeader):
    """Actor-critic on the leader's own return; class TRAJECTORIES.

    Args:
        learning_rate, actor_steps, hidden: see ``GradientLeader``.
        memory: factor by which the estimate of the follower's policy fades from batch to batch.
        spread: deviation of the first parameters of a configuration; the game's own if None.
        ramp: updates over which the leader phases in what its own configuration costs it. Without
            that cost it first learns to steer the follower, which it could not where not spending
            anything is a local optimum. 0 counts the cost from the start.
    """

    memory: float = 0.8
    spread: float | None = None
    ramp: int = 0

    responds: ClassVar[bool] = False
    """Whether the weights beyond the end of the trajectories include the follower's response."""

    @property
    def information(self) -> Information:
        """TRAJECTORIES; the follower's rewards are not used."""
        return Information.TRAJECTORIES

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``."""
        self.linear_form: ConfiguredLinearForm | None = None
        if isinstance(view.lever, LinearLever):
            super().begin(view, seed=seed, commitment=commitment)
            self.updates = 0
            self.linear_form = ConfiguredLinearForm(view, view.lever, self.commitment, self.linear_response())
            return
        view.sizes()
        super().begin(view, seed=seed, commitment=commitment)
        configured = self.commitment.configuration() is not None
        if configured and view.lever is None:
            raise UnsupportedGameError(f"{type(self).__name__} cannot configure a game that offers no lever")
        self.estimator = ConfiguredEstimator(view, self.memory) if configured else TabularEstimator(view, self.memory)
        self.updates = 0

    def linear_response(self) -> Response | None:
        """The response row where linear dynamics are configured; none for this leader."""
        return None

    def first_commitment(self, view: LeaderView, seed: int) -> Commitment:
        """See ``GradientLeader``; with ``spread`` a configuration's parameters differ more."""
        if view.lever is not None and self.spread is not None:
            return view.lever.commitment(seed, self.spread)
        return super().first_commitment(view, seed)

    @property
    def acts(self) -> DiscretePolicy | None:
        """The per-stage policy, or None where the leader only configures."""
        policy = self.commitment.policy if isinstance(self.commitment, Configuration) else self.commitment
        return policy if isinstance(policy, DiscretePolicy) else None

    def observe(self, evidence: Evidence) -> None:
        """Update the critics and the weights that multiply log f and the lever's terms."""
        batch = evidence.require_trajectories()
        configuration = self.commitment.configuration()
        if self.linear_form is not None:
            self.linear_form.observe(batch, self.commitment, self.share)
            self.updates += 1
            return
        if isinstance(self.estimator, ConfiguredEstimator):
            assert configuration is not None
            self.estimator.share = self.share
            self.estimator.observe_under(batch, configuration)
        else:
            self.estimator.observe(batch)
        tables = self.critics(evidence)
        self.updates += 1
        if self.acts is not None:
            self.weights = torch.from_numpy(self.policy_weights(evidence, tables))
        self.pulls = self.lever_weights(batch, tables) if configuration is not None else []

    @property
    def share(self) -> float:
        """How much of what its own configuration costs it the leader counts by now."""
        return 1.0 if self.ramp == 0 else min(1.0, self.updates / self.ramp)

    def critics(self, evidence: Evidence) -> CriticTables:
        """Critics at the current commitment."""
        return self.estimator.tables(self.policy_table(), 0.0)

    def policy_table(self) -> FloatArray:
        """The leader's own policy, ``[S, A]``."""
        with torch.no_grad():
            return np.asarray(self.commitment.probabilities().numpy())

    def policy_weights(self, evidence: Evidence, tables: CriticTables) -> FloatArray:
        """Weights of log f, ``[S, A]``."""
        return tables.direct_weights(evidence.require_trajectories(), self.view.leader_discount)

    def coefficients(self, batch: Trajectories, tables: CriticTables) -> Coefficients:
        """Stage weights of the lever's terms: the direct row alone."""
        discounts = self.view.leader_discount ** np.arange(batch.stages) * batch.mask
        none = np.zeros(discounts.shape)
        transition = none
        if self.moves_transitions:
            values = tables.at(batch, transitions=True).leader_next_value
            assert values is not None
            transition = discounts * self.view.leader_discount * values
        return Coefficients(none, none, discounts, none, transition, np.zeros(batch.episodes))

    @property
    def moves_transitions(self) -> bool:
        """Whether the leader configures the transitions."""
        return self.view.lever is not None and self.view.lever.moves_transitions

    def lever_weights(self, batch: Trajectories, tables: CriticTables) -> list[Weighted]:
        """Weights of the lever's terms at the visited stages, and in the endless play beyond them."""
        assert isinstance(self.estimator, ConfiguredEstimator)
        weights = self.coefficients(batch, tables)
        pulls = [self.estimator.collapse(batch, weights)]
        if batch.terminated.all():
            return pulls
        last = batch.states[np.arange(batch.episodes), batch.lengths]
        cut = np.where(batch.terminated, 0.0, 1.0 / batch.episodes)

        def starts(weight: FloatArray) -> FloatArray:
            return np.asarray(np.bincount(last, weights=weight * cut, minlength=len(tables.policy)), dtype=np.float64)

        leader = None if self.view.horizon is not None else starts(self.view.leader_discount**batch.lengths)
        temperature = (self.view.temperature or 0.0) if self.responds else 0.0
        if leader is not None or temperature > 0:
            arrays = self.estimator.arrays(tables.policy)
            pulls.append(beyond(self.estimator, arrays, tables, temperature, leader, starts(weights.carry)))
        return pulls

    def surrogate(self, evidence: Evidence) -> Tensor:
        """The weights times log f and the lever's terms."""
        if self.linear_form is not None:
            return self.linear_form.surrogate(self.commitment)
        policy, estimator = self.acts, self.estimator
        total = torch.zeros((), dtype=torch.float64)
        if policy is not None:
            total = total + (self.weights * policy.log_probabilities()).sum()
        if isinstance(estimator, ConfiguredEstimator):
            return total + estimator.surrogate(self.pulls, self._configuration)
        if policy is None:
            raise UnsupportedGameError(f"{type(self).__name__} needs a policy over finitely many actions")
        return total

    def _configuration(self) -> Tensor:
        configuration = self.commitment.configuration()
        assert configuration is not None
        return configuration

    def state_dict(self) -> dict[str, Any]:
        """Commitment, optimiser and counts."""
        kept = self.estimator if self.linear_form is None else self.linear_form
        return {**super().state_dict(), "estimator": kept.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Leader.load_state_dict``."""
        super().load_state_dict(state)
        (self.estimator if self.linear_form is None else self.linear_form).load_state_dict(state["estimator"])
        self.updates = state["updates"]


@dataclass
class NaivePolicyGradient(ByNetworks, PolicyGradient):
    """Ascent on the direct term, in the form that fits the game; class TRAJECTORIES.

    Args:
        learning_rate, actor_steps, hidden: see ``GradientLeader``.
        memory: factor by which the estimate of the follower's policy fades from batch to batch.
        spread, ramp: of a configuration, see ``PolicyGradient``.
        smoothing, critic_steps: see ``ByNetworks``.
    """

    def other_form(self, view: LeaderView) -> GradientLeader | None:
        """Networks where neither of the other two fits, the pathwise form where states and actions are real."""
        form = super().other_form(view)
        if form is not None or not isinstance(view.state_space, gymnasium.spaces.Box) or view.lever is not None:
            return form
        return LinearDirect(self.learning_rate, self.actor_steps, self.hidden, self.memory)

    def neural_form(self) -> NeuralDirect:
        """See ``ByNetworks``."""
        return NeuralDirect(self.learning_rate, self.actor_steps, self.hidden, self.estimation)

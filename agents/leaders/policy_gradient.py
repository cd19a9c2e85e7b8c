"""Naive policy gradient: the direct term alone, as if the follower did not respond.

    sum_t gL^t AL(s_t, a_t) d log f(a_t | s_t)

Sutton, McAllester, Singh and Mansour, NeurIPS 1999; the "Naive-PGD" baseline of BC-HG
(arXiv 2603.14867). Its fixed points are those of a follower frozen at its current response.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.commitment import Commitment, DiscretePolicy
from stackelberg_games.critics import CriticTables
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.estimation import TabularEstimator
from stackelberg_games.game import FloatArray, LeaderView
from stackelberg_games.information import Evidence, Information
from stackelberg_games.leader import GradientLeader


@dataclass
class PolicyGradient(GradientLeader):
    """Actor-critic on the leader's own return; class TRAJECTORIES.

    Args:
        learning_rate, actor_steps, hidden: see ``GradientLeader``.
        memory: factor by which the estimate of the follower's policy fades from batch to batch.
    """

    memory: float = 0.8

    @property
    def information(self) -> Information:
        """TRAJECTORIES; the follower's rewards are not used."""
        return Information.TRAJECTORIES

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``."""
        super().begin(view, seed=seed, commitment=commitment)
        self.estimator = TabularEstimator(view, self.memory)

    def observe(self, evidence: Evidence) -> None:
        """Update the critics and the table of weights that multiplies log f."""
        batch = evidence.require_trajectories()
        self.estimator.observe(batch)
        tables = self.critics(evidence)
        self.weights = torch.from_numpy(self.policy_weights(evidence, tables))

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

    def surrogate(self, evidence: Evidence) -> Tensor:
        """The weights times log f."""
        if not isinstance(self.commitment, DiscretePolicy):
            raise UnsupportedGameError(f"{type(self).__name__} needs a policy over finitely many actions")
        return (self.weights * self.commitment.log_probabilities()).sum()

    def state_dict(self) -> dict[str, Any]:
        """Commitment, optimiser and counts."""
        return {**super().state_dict(), "estimator": self.estimator.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Leader.load_state_dict``."""
        super().load_state_dict(state)
        self.estimator.load_state_dict(state["estimator"])

"""SoBiRL: score-form hypergradient from the returns of whole trajectories (arXiv 2405.19697).

    direct    sum_t gL^t d rL
    response  (1/tau) G sum_t [ dQF(s_t, b_t) - dVF(s_t) ],   G = sum_t gL^t rL_t

The public code replaces dQF - dVF by its first term, d rF(s, b) - E_b d rF(s, b), and so drops what
the configuration changes later. Where rewards do not depend on the follower's action, as in Four
Rooms, that leaves nothing at all; ``truncated=True`` shows it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stackelberg_games.agents.leaders.hpgd import HPGD
from stackelberg_games.agents.leaders.policy_gradient import PolicyGradient
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.exact.critics import CriticTables
from stackelberg_games.representations.configured_counts import ConfiguredEstimator, by_successor
from stackelberg_games.representations.configured_least_squares import ConfiguredCritics
from stackelberg_games.representations.configured_linear import Response
from stackelberg_games.representations.weighted import Weighted
from stackelberg_games.rules.trajectories import Trajectories, table_of


@dataclass
class SoBiRL(HPGD):
    """SoBiRL in configurable MDPs, finite or linear; class TRAJECTORIES.

    Args:
        learning_rate, actor_steps, hidden, memory, spread, ramp: see ``PolicyGradient``.
        estimation, sarsa_step, oracle_transitions: not used by SoBiRL.
        truncated: the one-step scores of the public code.
        baseline: subtract from each return the mean of the other episodes', which leaves the mean
            of the estimate and lowers its variance.
    """

    truncated: bool = False
    baseline: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.estimation != "monte_carlo":
            raise InvalidArgumentError(f"estimation={self.estimation!r}: SoBiRL knows 'monte_carlo' only")

    def lever_weights(self, batch: Trajectories, tables: CriticTables) -> list[Weighted]:
        """The direct row as in ``PolicyGradient``, and the response row."""
        direct = PolicyGradient.lever_weights(self, batch, tables)
        credit = self._credit(batch)
        if self.truncated:
            return [*direct, self._truncated(batch, credit, tables)]
        return [*direct, self.response_row(credit, batch, batch, tables)]

    def linear_response(self) -> Response | None:
        """See ``PolicyGradient``; truncated scores vanish where no reward depends on the configuration."""
        return None if self.truncated else super().linear_response()

    def linear_credit(self, critics: ConfiguredCritics, batch: Trajectories) -> FloatArray:
        """The return of the whole episode at every stage, ``[N, T]``."""
        return self._credit(batch) * batch.episodes

    def _credit(self, batch: Trajectories) -> FloatArray:
        returns = batch.leader_returns(self.view.leader_discount)
        if self.baseline and batch.episodes > 1:
            returns = returns - (returns.sum() - returns) / (batch.episodes - 1)
        return np.asarray(returns[:, None] * batch.mask / batch.episodes)

    def _truncated(self, batch: Trajectories, credit: FloatArray, tables: CriticTables) -> Weighted:
        assert isinstance(self.estimator, ConfiguredEstimator)
        assert self.view.temperature is not None
        owed = table_of(batch, credit, self.estimator.shape)
        weights = (owed - tables.response * owed.sum(axis=2, keepdims=True)) / self.view.temperature
        return by_successor(self.estimator, weights)

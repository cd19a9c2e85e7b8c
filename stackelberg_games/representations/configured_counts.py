"""Critics of a configured finite game, estimated from trajectories and the leader's own lever.

What is estimated is the part that the configuration does not touch: rewards are stored without the
incentives that were in force when they were paid, and where the configuration moves the
transitions, their probabilities are read off the lever at the observed successors. The estimate
can then be asked for under any configuration, not only the one that was played.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.exact.critics import CriticTables
from stackelberg_games.exact.response import Arrays, Factorised
from stackelberg_games.hypergradient import Coefficients
from stackelberg_games.kinds.kernel import Kernel, SparseKernel
from stackelberg_games.representations.counts import TabularEstimator
from stackelberg_games.representations.weighted import Weighted, collapse
from stackelberg_games.rules.lever import Stages, Terms
from stackelberg_games.rules.trajectories import Trajectories, mark, table_of
from stackelberg_games.rules.view import LeaderView


class ConfiguredEstimator(TabularEstimator):
    """Counts of what was observed under changing configurations.

    Args:
        view: what the leader knows; it must hold a lever.
        memory: see ``TabularEstimator``. Where the rewards without incentives change with the
            configuration (``constant_base`` is false) all counts fade by it, not the follower's only.

    Attributes:
        share: part of the lever's leader rewards that counts, in [0, 1]; below 1 while a leader
            phases in what its own configuration costs it.
    """

    def __init__(self, view: LeaderView, memory: float = 0.8) -> None:
        super().__init__(view, memory)
        assert view.lever is not None
        self.lever = view.lever
        self.configuration = torch.zeros(0, dtype=torch.float64)
        self.share = 1.0
        self._at_hand: tuple[Stages, Terms] | None = None
        self._seen = np.zeros(self.visits.shape, dtype=np.bool_)
        self._learn()

    def observe_under(self, batch: Trajectories, configuration: Tensor) -> None:
        """Add a batch that was played under a configuration, which becomes the current one."""
        if mark(batch, self._seen):
            self._learn()
        self.consider(configuration)
        if not self.lever.constant_base:
            for counts in (self.visits, self.totals, self.leader_rewards, self.follower_rewards):
                counts *= self.memory
        self._add(batch, self._incentives)

    def _learn(self) -> None:
        """List the stages seen: all of them, and one for each (s, a, b)."""
        self._flat = np.flatnonzero(self._seen)
        self._known = Stages(*np.unravel_index(self._flat, self.visits.shape))
        self._rows = self._flat // self.visits.shape[3]
        self._first = np.searchsorted(self._rows, np.arange(self.recent.size + 1))
        shown = self._first[:-1][np.diff(self._first) > 0]
        self._cells = Stages(*(part[shown] for part in self._known))

    def consider(self, configuration: Tensor) -> None:
        """Make a configuration the current one; the estimate follows, and ``surrogate`` after it."""
        self.configuration = configuration.detach()
        stages = self._known if self.lever.moves_transitions else self._cells
        terms = self.lever.terms(configuration, stages)
        self._at_hand = (stages, terms) if configuration.requires_grad else None
        cell = stages[:3]

        def table(term: Tensor | None) -> FloatArray | None:
            if term is None:
                return None
            values = np.zeros(self.shape)
            values[cell] = term.detach().numpy()
            return values

        self._incentives = (table(terms.leader_reward), table(terms.follower_reward))
        self._probability = None if terms.log_transition is None else terms.log_transition.detach().exp().numpy()

    def surrogate(self, pulls: list[Weighted], configuration: Callable[[], Tensor]) -> Tensor:
        """Sum of weights times the lever's terms, a scalar tensor.

        Where the configuration observed was differentiable, its terms serve the first call after it; an
        ascent step later there is another configuration, which is asked for.

        Args:
            pulls: the weights.
            configuration: gives x as it is now.
        """
        at_hand, self._at_hand = self._at_hand, None
        now: Tensor | None = None
        total = torch.zeros((), dtype=torch.float64)
        for pull in pulls:
            if at_hand is not None and pull.stages is at_hand[0]:
                terms = at_hand[1]
            else:
                now = configuration() if now is None else now
                terms = self.lever.terms(now, pull.stages)
            total = total + pull.surrogate(terms, self.share)
        return total

    @property
    def known(self) -> Stages:
        """All distinct stages observed so far."""
        return self._known

    def collapse(self, batch: Trajectories, weights: Coefficients) -> Weighted:
        """Stage weights added up over equal stages; where rewards alone are configured, over equal (s, a, b)."""
        if self.lever.moves_transitions:
            return collapse(batch, weights, self.shape)
        leader, follower = (
            table_of(batch, weight, self.shape)[self._cells[:3]] / batch.episodes
            for weight in (weights.leader_reward, weights.follower_reward)
        )
        return Weighted(self._cells, leader, follower, np.zeros(len(leader)))

    def arrays(self, policy: FloatArray) -> Arrays:
        """The estimated game under the leader's policy and the current configuration."""
        plain = super().arrays(policy)
        changes: dict[str, Any] = {}
        leader, follower = self._incentives
        if leader is not None:
            changes["leader_reward"] = plain.leader_reward + self.share * leader
        if follower is not None:
            changes["follower_reward"] = plain.follower_reward + follower
        return replace(plain, **changes)

    def kernel(self) -> Kernel:
        """The transitions under the current configuration, where it moves them; else the estimated ones."""
        successors = np.asarray(self._known.next_states)
        weights = self.visits.ravel()[self._flat] if self._probability is None else self._probability
        totals = np.bincount(self._rows, weights, minlength=self.recent.size)[self._rows]
        probability = np.divide(weights, totals, out=np.zeros(len(weights)), where=totals > 0)
        return SparseKernel(self.shape, self._first, successors, probability * self.alive[successors])

    def state_dict(self) -> dict[str, Any]:
        """The counts, and the current configuration."""
        return {**super().state_dict(), "configuration": self.configuration.numpy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the counts; the lever is told again which stages are known."""
        super().load_state_dict(state)
        self._seen[:] = self.visits > 0
        self._learn()
        self.lever.restore(self._known)
        if len(state["configuration"]):
            self.consider(torch.from_numpy(np.array(state["configuration"])))


def beyond(
    estimator: ConfiguredEstimator,
    arrays: Arrays,
    tables: CriticTables,
    temperature: float,
    leader_start: FloatArray | None,
    follower_start: FloatArray,
) -> Weighted:
    """Weights of the lever's terms in the play that follows given states, in the estimated game.

    The exact adjoint of the estimate: with the discounted occupancies dL of ``leader_start`` and
    W = dL f g B / tau, the follower's occupancy dF starts from ``follower_start`` + gF W P, and

        leader reward  dL f g,     follower reward  W + dF f g,
        log P          gL VL(s') (dL f g P) + gF VF(s') ((W + dF f g) P).

    Args:
        estimator: the stages known, at the current configuration.
        arrays: the estimated game there.
        tables: critics there; with ``leader_start`` of the endless game.
        temperature: tau; 0 leaves the response out.
        leader_start: weight of each state for the leader, ``[S]``; None where its objective has
            ended and only the follower's plan goes on.
        follower_start: weight of each state for the follower, already divided by tau, ``[S]``.
    """
    joint = arrays.joint(tables.response)
    chain = arrays.kernel.chain(joint)
    stages = estimator.known
    cell, following = stages[:3], stages.next_states
    probability = arrays.transition[tuple(stages)]
    ends = ~arrays.alive[following]  # their columns are zero in the estimate; the stage still pays
    if ends.any():
        probability = probability + ends * _ending(estimator, stages)
    leader_weights = np.zeros(len(following))
    log_transition = np.zeros(len(following))
    answer = np.zeros_like(joint)
    entering = follower_start
    if leader_start is not None:
        system = Factorised(chain, arrays.leader_discount)
        occupancy = system.solve_transposed(leader_start)
        direct = occupancy[:, None, None] * joint
        leader_weights = direct[cell] * probability
        log_transition += leader_weights * arrays.leader_discount * tables.leader_values[following]
        if temperature > 0:
            answer = direct * tables.benefit / temperature
            entering = entering + arrays.follower_discount * arrays.kernel.inflow(answer)
    if temperature > 0:
        if leader_start is None or arrays.follower_discount != arrays.leader_discount:
            system = Factorised(chain, arrays.follower_discount)
        occupancy = system.solve_transposed(entering)
        answer = answer + occupancy[:, None, None] * joint
    follower_weights = answer[cell] * probability
    log_transition += follower_weights * arrays.follower_discount * tables.follower_values[following]
    return Weighted(stages, leader_weights, follower_weights, log_transition)


def by_successor(estimator: ConfiguredEstimator, follower_reward: FloatArray) -> Weighted:
    """Weights ``[S, A, B]`` of the follower's reward terms, shared out over the successors observed."""
    stages = estimator.known
    none = np.zeros(len(stages.states))
    return Weighted(stages, none, follower_reward[stages[:3]] * _ending(estimator, stages), none)


def _ending(estimator: ConfiguredEstimator, stages: Stages) -> FloatArray:
    """Observed frequency of each known stage's successor."""
    return np.asarray(estimator.visits[tuple(stages)] / estimator.weights[stages[:3]])

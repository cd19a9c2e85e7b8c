"""Critics of a configured finite game, estimated from trajectories and the leader's own lever.

What is estimated is the part that the configuration does not touch: rewards are stored without the
incentives that were in force when they were paid, and where the configuration moves the
transitions, their probabilities are read off the lever at the observed successors. The estimate
can then be asked for under any configuration, not only the one that was played.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.critics import CriticTables
from stackelberg_games.estimation import TabularEstimator
from stackelberg_games.game import FloatArray, LeaderView
from stackelberg_games.hypergradient import Terms
from stackelberg_games.lever import Stages, Weighted, distinct
from stackelberg_games.response import Arrays
from stackelberg_games.trajectories import Trajectories


class ConfiguredEstimator(TabularEstimator):
    """Counts of what was observed under changing configurations.

    Args:
        view: what the leader knows; it must hold a lever.
        memory: see ``TabularEstimator``. Where the rewards without incentives change with the
            configuration (``constant_base`` is false) all counts fade by it, not the follower's only.
    """

    def __init__(self, view: LeaderView, memory: float = 0.8) -> None:
        super().__init__(view, memory)
        assert view.lever is not None
        self.lever = view.lever
        self.starts = np.zeros(len(self.alive))
        self.configuration = torch.zeros(0, dtype=torch.float64)
        self._known: tuple[int, Stages] | None = None

    def observe_under(self, batch: Trajectories, configuration: Tensor) -> None:
        """Add a batch that was played under a configuration, which becomes the current one."""
        self.configuration = configuration.detach()
        stages, index = distinct(batch, self.shape)
        with torch.no_grad():
            terms = self.lever.terms(configuration, stages)
        if not self.lever.constant_base:
            for counts in (self.visits, self.leader_rewards, self.follower_rewards):
                counts *= self.memory
        mask = batch.mask

        def base(rewards: FloatArray | None, term: Tensor | None) -> Any:
            if rewards is None or term is None:
                return rewards
            stripped = rewards.copy()
            stripped[mask] -= term.numpy()[index]
            return stripped

        leader = base(batch.leader_rewards, terms.leader_reward)
        follower = base(batch.follower_rewards, terms.follower_reward)
        self.observe(replace(batch, leader_rewards=leader, follower_rewards=follower))
        self.starts += np.bincount(batch.states[:, 0], minlength=len(self.starts))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of states, leader actions and follower actions."""
        states, actions, replies, _ = self.visits.shape
        return states, actions, replies

    @property
    def known(self) -> Stages:
        """All distinct stages observed so far."""
        count = int(np.count_nonzero(self.visits))
        if self._known is None or self._known[0] != count:
            self._known = (count, Stages(*np.nonzero(self.visits)))
        return self._known[1]

    def arrays(self, policy: FloatArray) -> Arrays:
        """The estimated game under the leader's policy and the current configuration."""
        plain = super().arrays(policy)
        stages = self.known
        with torch.no_grad():
            terms = self.lever.terms(self.configuration, stages)
        return apply(plain, stages, terms)

    def state_dict(self) -> dict[str, Any]:
        """The counts, and the current configuration."""
        return {**super().state_dict(), "starts": self.starts, "configuration": self.configuration.numpy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the counts; the lever is told again which stages are known."""
        super().load_state_dict(state)
        self.configuration = torch.from_numpy(np.array(state["configuration"]))
        self._known = None
        self.lever.restore(self.known)


def apply(plain: Arrays, stages: Stages, terms: Terms) -> Arrays:
    """Add the lever's terms at known stages to an estimate made without them."""
    cell = stages[:3]
    changes: dict[str, Any] = {}
    for name in ("leader_reward", "follower_reward"):
        term: Tensor | None = getattr(terms, name)
        if term is not None:
            incentive = np.zeros_like(plain.leader_reward)
            incentive[cell] = term.numpy()
            changes[name] = getattr(plain, name) + incentive
    if terms.log_transition is not None:
        transition = np.zeros_like(plain.transition)
        transition[tuple(stages)] = terms.log_transition.exp().numpy()
        total = transition.sum(axis=-1, keepdims=True)
        changes["transition"] = transition / np.where(total > 0, total, 1.0) * plain.alive
    return replace(plain, **changes)


def beyond(
    estimator: ConfiguredEstimator,
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
        estimator: the estimated game at the current configuration.
        tables: critics there; with ``leader_start`` of the endless game.
        temperature: tau; 0 leaves the response out.
        leader_start: weight of each state for the leader, ``[S]``; None where its objective has
            ended and only the follower's plan goes on.
        follower_start: weight of each state for the follower, already divided by tau, ``[S]``.
    """
    arrays = estimator.arrays(tables.policy)
    joint = tables.policy[:, :, None] * tables.response * arrays.alive[:, None, None]
    chain = arrays.chain(tables.response)
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
    identity = np.eye(len(chain))
    if leader_start is not None:
        occupancy = np.linalg.solve((identity - arrays.leader_discount * chain).T, leader_start)
        direct = occupancy[:, None, None] * joint
        leader_weights = direct[cell] * probability
        log_transition += leader_weights * arrays.leader_discount * tables.leader_values[following]
        if temperature > 0:
            answer = direct * tables.benefit / temperature
            entering = entering + arrays.follower_discount * np.tensordot(answer, arrays.transition, 3)
    if temperature > 0:
        occupancy = np.linalg.solve((identity - arrays.follower_discount * chain).T, entering)
        answer = answer + occupancy[:, None, None] * joint
    follower_weights = answer[cell] * probability
    log_transition += follower_weights * arrays.follower_discount * tables.follower_values[following]
    return Weighted(stages, leader_weights, follower_weights, log_transition)


def _ending(estimator: ConfiguredEstimator, stages: Stages) -> FloatArray:
    """Observed frequency of each known stage's successor."""
    visits = estimator.visits
    return np.asarray(visits[tuple(stages)] / visits.sum(axis=3)[stages[:3]])

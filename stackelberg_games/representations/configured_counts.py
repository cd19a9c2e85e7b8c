"""Counts of a configured finite game, from trajectories and the leader's own lever.

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

from stackelberg_games.arrays import BoolArray, FloatArray, IntArray
from stackelberg_games.exact.response import Arrays
from stackelberg_games.kinds.finite import Tables
from stackelberg_games.kinds.kernel import Kernel, SparseKernel
from stackelberg_games.kinds.successors import SuccessorLists
from stackelberg_games.representations.counts import TabularEstimator
from stackelberg_games.representations.visits import ListedVisits
from stackelberg_games.rules.lever import Lever, Stages, Terms
from stackelberg_games.rules.trajectories import Trajectories, check_played, mark, table_of
from stackelberg_games.rules.view import LeaderView


class ConfiguredEstimator(TabularEstimator):
    """Counts of what was observed under changing configurations.

    Args:
        view: what the leader knows of the game.
        lever: how its configuration enters.
        memory: see ``TabularEstimator``. Where the rewards without incentives change with the
            configuration (``constant_base`` is false) all counts fade by it, not the follower's only.

    Attributes:
        known: all distinct stages observed so far.
        asked: the stages at which the lever is asked: those known, or one of every (s, a, b) where rewards
            alone are configured, which do not tell successors apart.
        share: part of the lever's leader rewards that counts, in [0, 1]; below 1 while a leader
            phases in what its own configuration costs it.
    """

    def __init__(self, view: LeaderView, lever: Lever, memory: float = 0.8) -> None:
        super().__init__(view, memory)
        self.lever = lever
        self.configuration = torch.zeros(0, dtype=torch.float64)
        self.share = 1.0
        self._seen: BoolArray | ListedVisits = (
            ListedVisits() if isinstance(self.visits, ListedVisits) else np.zeros(self.visits.shape, dtype=np.bool_)
        )
        self._incentives: tuple[FloatArray | None, FloatArray | None] = (None, None)
        self._probability: FloatArray | None = None
        self._learn()

    def observe_under(self, batch: Trajectories, configuration: Tensor) -> None:
        """Add a batch that was played under a configuration, which becomes the current one."""
        self.admit(batch)
        self.consider(configuration)
        if not self.lever.constant_base:
            visits = self.visits.counts if isinstance(self.visits, ListedVisits) else self.visits
            for counts in (visits, self.totals, self.leader_rewards, self.follower_rewards):
                counts *= self.memory
        self._add(batch, self._incentives)

    def admit(self, batch: Trajectories) -> None:
        """Ask the lever about the stages of a batch, whether that is counted or not."""
        if isinstance(self._seen, ListedVisits):
            check_played(batch, self.shape)
            new = self._seen.add(self._seen.keys_of(Stages.of(batch), self.shape))
        else:
            new = mark(batch, self._seen)
        if new:
            self._learn()

    def _learn(self) -> None:
        """List the stages seen: all of them, and one for each (s, a, b)."""
        if isinstance(self._seen, ListedVisits):
            self._flat, self._rows, following = self._seen.keys, self._seen.cells, self._seen.successors
        else:
            self._flat = np.flatnonzero(self._seen)
            self._rows, following = np.divmod(self._flat, self.shape[0])
        cells: Any = np.unravel_index(self._rows, self.shape)
        self.known = Stages(cells[0], cells[1], cells[2], following)
        self._first = np.searchsorted(self._rows, np.arange(self.recent.size + 1))
        shown = self._first[:-1][np.diff(self._first) > 0]
        self.asked = self.known if self.lever.moves_transitions else Stages(*(part[shown] for part in self.known))

    def terms(self, configuration: Tensor) -> Terms:
        """The lever's terms at the stages ``asked`` about."""
        return self.lever.terms(configuration, self.asked)

    def consider(self, configuration: Tensor) -> None:
        """Make a configuration the current one; the estimate follows."""
        self.configuration = configuration.detach()
        with torch.no_grad():
            terms = self.terms(self.configuration)
        self._incentives = (self._table(terms.leader_reward), self._table(terms.follower_reward))
        self._probability = None if terms.log_transition is None else terms.log_transition.exp().numpy()

    def _table(self, term: Tensor | None) -> FloatArray | None:
        if term is None:
            return None
        values = np.zeros(self.shape)
        values[self.asked[:3]] = term.numpy()
        return values

    def collapse(self, batch: Trajectories, weights: FloatArray) -> FloatArray:
        """Weights of the stages played, ``[N, T]``, added up over equal stages ``asked`` about; mean over episodes."""
        if not self.lever.moves_transitions:
            return np.asarray(table_of(batch, weights, self.shape)[self.asked[:3]] / batch.episodes)
        index = np.searchsorted(self._flat, self._numbers(Stages.of(batch)))
        return np.bincount(index, weights[batch.mask], minlength=len(self._flat)) / batch.episodes

    def spread(self, table: FloatArray) -> FloatArray:
        """Weights ``[S, A, B]`` at the stages ``asked`` about, shared out over the successors observed."""
        weights = table[self.asked[:3]]
        return np.asarray(weights * self.frequency(self.known) if self.lever.moves_transitions else weights)

    def frequency(self, stages: Stages) -> FloatArray:
        """Observed frequency of each stage's successor."""
        if isinstance(self.visits, ListedVisits):
            return np.asarray(self.visits.of(self._numbers(stages)) / self.weights[stages[:3]])
        return np.asarray(self.visits[tuple(stages)] / self.weights[stages[:3]])

    def _numbers(self, stages: Stages) -> IntArray:
        """What stages are looked up by."""
        if isinstance(self._seen, ListedVisits):
            return self._seen.keys_of(stages, self.shape)
        index: Any = tuple(stages)
        return np.asarray(np.ravel_multi_index(index, (*self.shape, self.shape[0])))

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

    def differentiable(self, arrays: Arrays, terms: Terms) -> Tables:
        """The tables of an estimate, differentiable in the lever's terms at the stages ``asked`` about."""
        cells = tuple(torch.from_numpy(np.asarray(part)) for part in self.asked[:3])
        transition, leader, follower = map(
            torch.from_numpy, (arrays.transition, arrays.leader_reward, arrays.follower_reward)
        )
        if terms.leader_reward is not None:
            leader = leader + _moved(leader, cells, self.share * terms.leader_reward)
        if terms.follower_reward is not None:
            follower = follower + _moved(follower, cells, terms.follower_reward)
        if terms.log_transition is not None:
            index = (*cells, torch.from_numpy(np.asarray(self.known.next_states)))
            weights = torch.zeros_like(transition).index_put(index, terms.log_transition.exp())
            total = weights.sum(dim=-1, keepdim=True)
            transition = weights / torch.where(total > 0, total, 1.0) * torch.from_numpy(arrays.alive)
        return Tables(transition, leader, follower)

    def kernel(self) -> Kernel:
        """The transitions under the current configuration, where it moves them; else the estimated ones."""
        successors = np.asarray(self.known.next_states)
        if self._probability is not None:
            weights = self._probability
        elif isinstance(self.visits, ListedVisits):
            weights = self.visits.of(self._flat)
        else:
            weights = self.visits.ravel()[self._flat]
        totals = np.bincount(self._rows, weights, minlength=self.recent.size)[self._rows]
        probability = np.divide(weights, totals, out=np.zeros(len(weights)), where=totals > 0)
        probability = probability * self.alive[successors]
        if isinstance(self._seen, ListedVisits):
            return SuccessorLists(self.shape, self._first, successors.astype(np.int32), probability, brief=True)
        return SparseKernel(self.shape, self._first, successors, probability)

    def state_dict(self) -> dict[str, Any]:
        """The counts, and the current configuration."""
        return {**super().state_dict(), "configuration": self.configuration.numpy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the counts."""
        state = dict(state)
        configuration = torch.from_numpy(np.array(state.pop("configuration")))
        super().load_state_dict(state)
        if isinstance(self.visits, ListedVisits):
            assert isinstance(self._seen, ListedVisits)
            self._seen.keys, self._seen.counts = self.visits.keys.copy(), self.visits.counts.copy()
        else:
            self._seen = self.visits > 0
        self._learn()
        if len(configuration):
            self.consider(configuration)


def _moved(table: Tensor, cells: tuple[Tensor, ...], term: Tensor) -> Tensor:
    """What a term adds to a table that holds its value already: nothing, with its gradient; once for each cell."""
    flat = torch.from_numpy(np.ravel_multi_index([cell.numpy() for cell in cells], tuple(table.shape)))
    unique, first = np.unique(flat.numpy(), return_index=True)
    change = (term - term.detach())[torch.from_numpy(first)]
    return torch.zeros(table.numel(), dtype=torch.float64).index_put((torch.from_numpy(unique),), change).view_as(table)

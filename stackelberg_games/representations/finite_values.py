"""What a finite game is worth at a batch of episodes: critics in tables, differentiable in the commitment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.tabular import DiscretePolicy
from stackelberg_games.exact.critics import CriticTables
from stackelberg_games.exact.pair import Pair
from stackelberg_games.exact.players import Objectives
from stackelberg_games.exact.response import Arrays
from stackelberg_games.hypergradient import Influence
from stackelberg_games.kinds.successors import SuccessorLists
from stackelberg_games.learning.weighted_sum import Total, WeightedSum
from stackelberg_games.representations.configured_counts import ConfiguredEstimator
from stackelberg_games.representations.counts import TabularEstimator
from stackelberg_games.representations.finite_advantage import averaged, monte_carlo
from stackelberg_games.representations.finite_beyond import Beyond
from stackelberg_games.representations.protocol import Credit, Needs, Values
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.trajectories import Trajectories, table_of
from stackelberg_games.rules.view import LeaderView


class Learned(Protocol):
    """What the values are read from; see ``representations.finite``.

    Attributes:
        once: what was worked out of the batch and does not depend on the commitment.
    """

    view: LeaderView
    needs: Needs
    batch: Trajectories
    once: dict[str, Any]
    arrays: Arrays
    pair: Pair
    tables: CriticTables
    counts: TabularEstimator
    starts: FloatArray
    sarsa: FloatArray | None

    @property
    def lever(self) -> ConfiguredEstimator | None:
        """The counts, where the leader configures the game."""

    @property
    def probable(self) -> FloatArray:
        """The response over the replies that were ever seen."""


def acting(commitment: Commitment) -> DiscretePolicy | None:
    """The per-stage policy over finitely many actions; None where the leader only configures."""
    policy = commitment.policy if isinstance(commitment, Configuration) else commitment
    return policy if isinstance(policy, DiscretePolicy) else None


class FiniteValues(Values):
    """Critics in tables.

    Args:
        learned: the counts and critics.
        commitment: to differentiate in.
    """

    lasting = True

    def __init__(self, learned: Learned, commitment: Commitment) -> None:
        self.view, self.batch = learned.view, learned.batch
        self._learned, self._lever, self._commitment = learned, learned.lever, commitment
        self._policy = acting(commitment)

    @property
    def tables(self) -> CriticTables:
        """Critics at the commitment that was played."""
        return self._learned.tables

    @property
    def _moves(self) -> bool:
        return self._lever is not None and self._lever.lever.moves_transitions

    def _row(self, **weights: FloatArray | None) -> WeightedSum:
        """Weights of log f, and of the lever's terms at the stages that it was asked about, by name."""
        return WeightedSum(self._pull, {name: weight for name, weight in weights.items() if weight is not None})

    def _pull(self, weights: Mapping[str, FloatArray]) -> None:
        """Differentiate in the commitment as it stands; a gradient of zero where nothing depends on it."""
        terms = dict(weights)
        scores = terms.pop("log_policy", None)
        if self._policy is not None and scores is not None:
            self._policy.pull(scores)
        if terms and self._lever is not None:
            self._lever.lever.pull(self._commitment, self._lever.asked, terms)
        first = next(iter(self._commitment.parameters()))
        if first.grad is None:
            first.grad = torch.zeros_like(first)

    def benefit(self) -> Credit:
        """See ``Values.benefit``."""
        once = self._learned.once
        if "benefit" not in once:
            once["benefit"] = Credit(self.tables.benefit_at(self.batch), self.tables.benefit)
        credit: Credit = once["benefit"]
        return credit

    def direct(self) -> Total:
        """See ``Values.direct``."""
        once, total = self._learned.once, self._row()
        if self._policy is not None:
            if "direct" not in once:
                once["direct"] = self.tables.direct_weights(self.batch, self.view.leader_discount)
                if self._occupied is not None:
                    once["direct"] += self._occupied[:, None] * self.tables.policy * self.tables.leader_advantage
            total = self._row(log_policy=once["direct"])
        if self._lever is None:
            return total
        moved = None
        if self._moves:
            moved = self.discounts * self.view.leader_discount * self.tables.leader_next(self.batch)
        total += self._pulled(self.batch, leader=self.discounts, moved=moved)
        if self._occupied is None:
            return total
        weights = self._occupied[:, None, None] * self._learned.pair.joint
        return total + self._pulled_beyond(weights, self.tables.leader_values, self.view.leader_discount, leader=True)

    def unrolled(self, trace: Influence, credit: Credit, batch: Trajectories) -> Total:
        """See ``Values.unrolled``."""
        following, after = None, None
        if credit.table is not None and not batch.terminated.all():
            entering = self._beyond.at_ends(batch, trace.carry)
            whole = float(np.abs(credit.at).sum()) / batch.episodes
            following, own = self._beyond.owed(credit.table, self._occupied, entering, whole)
            if self._lever is not None or not self.tables.sees:
                after = self._beyond.at_stages(following, own)
        total = self._row()
        if self._policy is not None:
            weights = self.tables.response_weights(batch, trace)
            beyond = following if self.tables.sees else after
            total = self._row(log_policy=weights if beyond is None else weights + self.tables.owing(beyond))
        if self._lever is None:
            return total
        moved = None
        if self._moves:
            moved = trace.after * self.view.follower_discount * self.tables.follower_next(batch)
        total += self._pulled(batch, follower=trace.after, moved=moved)
        if after is None:
            return total
        return total + self._pulled_beyond(after, self.tables.follower_values, self.view.follower_discount)

    def truncated(self, credit: Credit) -> Total:
        """See ``Values.truncated``; nothing where no reward of the follower's is configured."""
        if self._lever is None:
            return self._row()
        owed = table_of(self.batch, credit.at, self._lever.shape) / self.batch.episodes
        weights = owed - self.tables.response * owed.sum(axis=2, keepdims=True)
        return self._row(follower_reward=self._lever.spread(weights))

    def averaged(self, credit: Credit, wide: Trajectories) -> Credit:
        """See ``Values.averaged``."""
        return Credit(averaged(credit.at, self.batch, wide, self._learned.counts.shape, self.tables.sees))

    def advantage(self, how: str, wide: Trajectories) -> Credit:
        """See ``Values.advantage``."""
        if how == "sarsa":
            assert self._learned.sarsa is not None
            table = self._learned.sarsa - (self.tables.response * self._learned.sarsa).sum(axis=2, keepdims=True)
        else:
            table = monte_carlo(wide, self.view.leader_discount, self._learned.counts.shape)
        cell = (self.batch.states[:, :-1], self.batch.leader_actions, self.batch.follower_actions)
        return Credit(table[cell] * self.batch.mask)

    def players(self) -> tuple[Tensor, Tensor, Tensor]:
        """See ``Values.players``; the parameters are the response's logits."""
        objectives = self._objectives(self.view.horizon)
        logits = objectives.logits(self._learned.probable)
        return *objectives(self._commitment.probabilities(), logits, self.temperature), logits

    def both_returns(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Values.both_returns``."""
        objectives = self._objectives(None)
        leader, follower = objectives.returns(self._commitment.probabilities(), logits, self.temperature)
        return leader, objectives.initial @ follower

    def _objectives(self, horizon: int | None) -> Objectives:
        learned, configuration = self._learned, self._commitment.configuration()
        tables = None
        if self._lever is not None and configuration is not None:
            tables = self._lever.differentiable(learned.arrays, self._lever.terms(configuration))
        starts = torch.from_numpy(learned.starts / learned.starts.sum())
        return Objectives(learned.arrays, starts, horizon, tables)

    # Sums over stages.

    def _pulled(
        self,
        batch: Trajectories,
        *,
        leader: FloatArray | None = None,
        follower: FloatArray | None = None,
        moved: FloatArray | None = None,
    ) -> WeightedSum:
        """Weights ``[N, T]`` of the lever's terms at the stages of a batch."""
        assert self._lever is not None
        collapse = self._lever.collapse
        return self._terms(*(None if part is None else collapse(batch, part) for part in (leader, follower, moved)))

    def _terms(self, leader: FloatArray | None, follower: FloatArray | None, moved: FloatArray | None) -> WeightedSum:
        """Weights of the lever's terms at the stages that it was asked about; of its costs, a share counts."""
        assert self._lever is not None
        share = None if leader is None else self._lever.share * leader
        return self._row(leader_reward=share, follower_reward=follower, log_transition=moved)

    @property
    def _beyond(self) -> Beyond:
        once = self._learned.once
        if "beyond" not in once:
            once["beyond"] = Beyond(self._learned.pair, self.view.horizon is None)
        beyond: Beyond = once["beyond"]
        return beyond

    @property
    def _occupied(self) -> FloatArray | None:
        """The leader's discounted visits after the end, ``[S]``; None where its play ends with the trajectory."""
        once = self._learned.once
        if "occupied" not in once:
            once["occupied"] = self._beyond.occupied(self.batch)
        occupied: FloatArray | None = once["occupied"]
        return occupied

    def _pulled_beyond(
        self, weights: FloatArray, values: FloatArray, discount: float, *, leader: bool = False
    ) -> WeightedSum:
        """Weights ``[S, A, B]`` of a player's reward terms after the end, and of log P with its values ``[S]``."""
        lever, arrays = self._lever, self._learned.arrays
        assert lever is not None
        if not self._moves:
            at = weights[lever.asked[:3]]
            return self._terms(at if leader else None, None if leader else at, None)
        following = lever.known.next_states
        if isinstance(arrays.kernel, SuccessorLists):
            probability = arrays.kernel.probability  # an entry for each stage known, in their order
        else:
            probability = arrays.transition[tuple(lever.known)]
        ends = ~arrays.alive[following]  # their columns are zero in the estimate; the stage still pays
        if ends.any():
            probability = probability + ends * lever.frequency(lever.known)
        at = weights[lever.known[:3]] * probability
        return self._terms(at if leader else None, None if leader else at, at * discount * values[following])

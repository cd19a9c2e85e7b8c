"""Critics of a finite game estimated from trajectories alone.

Transitions and rewards do not change between updates, so every observed stage keeps counting. The
follower's policy does change, so its counts fade. The values of both players are those of the
estimated game under the leader's own (known) policy and the follower's estimated one: the tabular
solution that LSTD(0) has on the same data.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.exact.critics import CriticTables, leader_q
from stackelberg_games.exact.pair import Pair
from stackelberg_games.exact.response import Arrays
from stackelberg_games.kinds.kernel import DenseKernel, Kernel
from stackelberg_games.numerics.averages import averages, entropies, means, shares
from stackelberg_games.numerics.randomness import compiled
from stackelberg_games.numerics.stateful import Stateful
from stackelberg_games.representations.visits import ListedVisits, is_large, too_large
from stackelberg_games.rules.lever import Stages
from stackelberg_games.rules.trajectories import Trajectories, check_played
from stackelberg_games.rules.view import LeaderView

ESTIMATED = 1e-9
"""Of the linear systems of large estimated games, relative: their values are known to a hundredth at best."""


@compiled
def _count(batch: Any, lengths: Any, known: Any, out: Any) -> None:
    states, leader, follower, leader_rewards, follower_rewards = batch
    known_leader, known_follower = known
    totals, recent, leader_reward, follower_reward = out
    for i in range(lengths.shape[0]):
        for t in range(lengths[i]):
            s, a, b = states[i, t], leader[i, t], follower[i, t]
            totals[s, a, b] += 1.0
            recent[s, a, b] += 1.0
            leader_reward[s, a, b] += leader_rewards[i, t] - known_leader[s, a, b]
            follower_reward[s, a, b] += follower_rewards[i, t] - known_follower[s, a, b]


@compiled
def _count_transitions(batch: Any, lengths: Any, visits: Any) -> None:
    states, leader, follower = batch
    for i in range(lengths.shape[0]):
        for t in range(lengths[i]):
            visits[states[i, t], leader[i, t], follower[i, t], states[i, t + 1]] += 1.0


class TabularEstimator(Stateful):
    """Counts of what was observed, and the critics that follow from them.

    Args:
        view: what the leader knows of the game; its spaces must be discrete.
        memory: factor in [0, 1] by which the follower's action counts fade from batch to batch.

    Raises:
        InvalidArgumentError: ``memory`` is outside [0, 1].
        UnsupportedGameError: a space is not discrete.

    Attributes:
        visits: how often every stage was observed, ``[S, A, B, S]``; in large games a list of the stages that were.
        totals: the same without regard to the next state, ``[S, A, B]``.
        recent: faded counts of the follower's actions, ``[S, A, B]``.
    """

    visits: FloatArray | ListedVisits
    keeps: ClassVar[tuple[str, ...]] = ("visits", "totals", "recent", "leader_rewards", "follower_rewards", "alive")

    def __init__(self, view: LeaderView, memory: float = 0.8) -> None:
        if not 0 <= memory <= 1:
            raise InvalidArgumentError(f"memory={memory!r}: expected a number in [0, 1]")
        states, leader, follower = view.sizes()
        self.view, self.memory = view, memory
        large = is_large((states, leader, follower))
        self.visits = ListedVisits() if large else np.zeros((states, leader, follower, states))
        self.totals = np.zeros((states, leader, follower))
        self.recent = np.zeros_like(self.totals)
        self.leader_rewards = np.zeros_like(self.recent)
        self.follower_rewards = np.zeros_like(self.recent)
        self.alive = np.ones(states, dtype=np.bool_)
        self._nothing = np.zeros_like(self.recent)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of states, leader actions and follower actions."""
        states, actions, replies = self.totals.shape
        return states, actions, replies

    @property
    def counted(self) -> FloatArray:
        """``visits`` as an array.

        Raises:
            UnsupportedGameError: the game is too large for it.
        """
        if isinstance(self.visits, ListedVisits):
            raise too_large(self.shape)
        return self.visits

    def observe(self, batch: Trajectories) -> None:
        """Add a batch; without follower rewards theirs count as zero.

        Raises:
            InvalidArgumentError: a state or an action does not exist.
        """
        check_played(batch, self.shape)
        self._add(batch, (None, None))

    def _add(self, batch: Trajectories, known: tuple[FloatArray | None, FloatArray | None]) -> None:
        """Count a batch, but for the parts of both players' rewards ``[S, A, B]`` that the leader knows."""
        self.recent *= self.memory
        follower_rewards, follower_known = batch.follower_rewards, known[1]
        if follower_rewards is None:
            follower_rewards, follower_known = np.zeros_like(batch.leader_rewards), None
        nothing = self._nothing
        _count(
            (batch.states, batch.leader_actions, batch.follower_actions, batch.leader_rewards, follower_rewards),
            batch.lengths,
            (nothing if known[0] is None else known[0], nothing if follower_known is None else follower_known),
            (self.totals, self.recent, self.leader_rewards, self.follower_rewards),
        )
        if isinstance(self.visits, ListedVisits):
            self.visits.add(self.visits.keys_of(Stages.of(batch), self.shape))
        else:
            played = (batch.states, batch.leader_actions, batch.follower_actions)
            _count_transitions(played, batch.lengths, self.visits)
        ends = batch.states[np.arange(batch.episodes), batch.lengths]
        self.alive[ends[batch.terminated]] = False

    def follower_policy(self) -> FloatArray:
        """Estimated response ``[S, A, B]``; uniform over the actions ever seen, or over all, without recent data."""
        if self.view.follower_sees_action:
            return np.asarray(shares(self.recent, self.totals))
        return np.asarray(shares(self._pooled(self.recent), self._pooled(self.totals)))

    @staticmethod
    def _pooled(counts: Any) -> FloatArray:
        """Counts summed over leader actions that the follower does not see."""
        return np.broadcast_to(counts.sum(axis=1, keepdims=True), counts.shape)

    def arrays(self, policy: FloatArray) -> Arrays:
        """The estimated game under the leader's policy ``[S, A]``; unvisited stages lead nowhere and pay nothing."""
        return Arrays(
            policy,
            self.kernel(),
            means(self.leader_rewards, self.totals),
            means(self.follower_rewards, self.totals),
            self.alive,
            self.view.leader_discount,
            self.view.follower_discount,
            self.view.follower_sees_action,
            tolerance=ESTIMATED,
        )

    def kernel(self) -> Kernel:
        """The estimated transitions; columns of terminal states are zero."""
        if isinstance(self.visits, ListedVisits):
            share = self.visits.counts / self.weights.ravel()[self.visits.cells]
            return self.visits.lists(self.shape, share * self.alive[self.visits.successors])
        return DenseKernel(self.visits * (self.alive / self.weights[..., None]))

    @property
    def weights(self) -> FloatArray:
        """What sums over observations are divided by, ``[S, A, B]``: ``totals``, which may have faded, or 1."""
        return np.where(self.totals > 0, self.totals, 1.0)

    def tables(
        self,
        pair: Pair,
        temperature: float,
        follower_q: FloatArray | None = None,
    ) -> CriticTables:
        """Critics of the estimated game at both players' policies.

        Args:
            pair: the estimated game under the leader's policy, see ``arrays``, and the follower's.
            temperature: tau >= 0, weight of the entropy in the follower's values.
            follower_q: its soft values QF where they are given; estimated otherwise.
        """
        arrays, policy, response = pair.arrays, pair.arrays.policy, pair.response
        surprise = temperature * entropies(response)
        if follower_q is None:
            open_to = averages(policy[None], surprise[None, None])[0, 0] * self.alive
            reward = pair.average(arrays.follower_reward) + open_to
            follower_q = arrays.follower_q(pair.follower_values(reward, beside=self.view.horizon is None))
        action_values = averages(response, follower_q[None])[0] + surprise
        _neutralise(action_values, policy, self.totals)
        values = averages(policy[None], action_values[None, None])[0, 0] * self.alive
        return CriticTables(
            leader_q(pair, self.view.horizon),
            follower_q,
            action_values,
            values,
            response,
            policy,
            self.alive,
            self.view.follower_sees_action,
            self.view.horizon,
        )


@compiled
def _neutralise(action_values: Any, policy: Any, totals: Any) -> None:
    """Give leader actions that were never tried the value of their state, so that they carry no signal."""
    states, actions, replies = totals.shape
    tried = np.empty(actions, dtype=np.bool_)
    for s in range(states):
        weight, mean = 0.0, 0.0
        for a in range(actions):
            most = 0.0
            for b in range(replies):
                most = max(most, totals[s, a, b])
            tried[a] = most > 0.0
            share = policy[s, a] if tried[a] else 0.0
            weight += share
            mean += share * action_values[s, a]
        mean /= weight if weight > 0.0 else 1.0
        for a in range(actions):
            action_values[s, a] = action_values[s, a] if tried[a] else mean

"""Counts of the states seen of a large game, and the excerpt of them that a batch of episodes can come to.

Values depend on nothing but what can follow, so an excerpt that is closed under the transitions seen has the same critics and
occupancies as the whole, however much was seen elsewhere. Whatever is done with a batch goes by the excerpt: counts are
found by hashing, fade when they are next looked at, and are never gone through as a whole.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from stackelberg_games.arrays import BoolArray, FloatArray, IntArray
from stackelberg_games.kinds.kernel import Kernel
from stackelberg_games.kinds.successors import SuccessorLists
from stackelberg_games.numerics.randomness import compiled
from stackelberg_games.numerics.stateful import Stateful
from stackelberg_games.representations.counts import TabularEstimator
from stackelberg_games.representations.visits import SHIFT
from stackelberg_games.rules.trajectories import Trajectories

TABLES = ("totals", "recent", "leader_rewards", "follower_rewards")
ROOM = 1024
"""States and transitions that there is room for at first."""

SPREAD = 0x9E3779B97F4A7C15 - 2**64
"""Odd, and without pattern: keys times it differ in their upper bits."""


class Excerpt(TabularEstimator):
    """Counts of some states, gathered from a tally.

    Args:
        view: what the leader knows of the game, its states those of the excerpt.
        memory: of the tally.

    Attributes:
        listed: the transitions seen, in compressed sparse rows: where those of every cell begin, the states that followed,
            in any order, and how often of all times; zero where these are terminal.
    """

    listed: tuple[IntArray, IntArray, FloatArray]

    def kernel(self) -> Kernel:
        """See ``TabularEstimator.kernel``."""
        return SuccessorLists(self.shape, *self.listed, brief=True)

    def observe(self, batch: Trajectories) -> None:
        """Nothing: the tally has counted the batch before the excerpt was gathered."""


class Tally(Stateful):
    """Counts of the states seen, which are numbered as they come.

    Args:
        sizes: numbers of the actions of leader and follower.
        memory: see ``TabularEstimator``.

    Attributes:
        states: seen so far.
        updates: batches counted.
        totals, recent, leader_rewards, follower_rewards, alive: see ``TabularEstimator``; with room for more states.
        faded: update up to which ``recent`` has faded in each state.
        keys: of the transitions seen, in any order; see ``ListedVisits``.
        times: how often each was seen.
        room: transitions that there is room for; when there is none they are sorted, and sums over them are taken in that order.
    """

    keeps: ClassVar[tuple[str, ...]] = (*TABLES, "alive", "faded", "keys", "times", "states", "updates", "room")

    def __init__(self, sizes: tuple[int, int], memory: float) -> None:
        self.sizes, self.memory = sizes, memory
        self.states = self.updates = self.room = self._listed = 0
        self.totals, self.recent, self.leader_rewards, self.follower_rewards = (np.zeros((0, *sizes)) for _ in TABLES)
        self.alive: BoolArray = np.zeros(0, dtype=np.bool_)
        self.faded, self._newest, self._place = (np.zeros(0, dtype=np.int64) for _ in range(3))
        self.keys, self._before = (np.zeros(0, dtype=np.int64) for _ in range(2))
        self.times: FloatArray = np.zeros(0)
        self._slots: IntArray = np.zeros(0, dtype=np.int64)

    def grow(self, states: int) -> None:
        """Make room for more states, which were never seen."""
        self.states = states
        if states <= len(self.alive):
            return
        room = max(2 * len(self.alive), states, ROOM)
        for name in TABLES:
            setattr(self, name, _longer(getattr(self, name), room, 0.0))
        self.alive = _longer(self.alive, room, True)
        self.faded = _longer(self.faded, room, 0)
        self._newest, self._place = _longer(self._newest, room, -1), _longer(self._place, room, -1)

    def add(self, batch: Trajectories, entered: IntArray) -> None:
        """Count a batch whose actions exist, in states ``[N, T + 1]`` that do; without follower rewards theirs count as zero."""
        self.updates += 1
        self._make_room(batch.transitions)
        rewards = batch.follower_rewards
        self._listed = _add(
            (entered, batch.leader_actions, batch.follower_actions, batch.lengths),
            (batch.leader_rewards, np.zeros_like(batch.leader_rewards) if rewards is None else rewards),
            (self.totals, self.recent, self.leader_rewards, self.follower_rewards),
            (self.memory, self.faded, self.updates),
            (self.keys, self.times, self._before, self._newest, self._slots),
            self._listed,
        )
        ends = entered[np.arange(batch.episodes), batch.lengths]
        self.alive[ends[batch.terminated]] = False

    def following(self, states: IntArray) -> IntArray:
        """States of a batch and all that were seen to follow them, in the order in which they are come to, ``[M]``."""
        queue = np.empty(self.states, dtype=np.int64)
        near = queue[: _reach(states.ravel(), self.keys, self._before, self._newest, self._place, queue)]
        self._place[near] = -1
        return near

    def gather(self, near: IntArray, excerpt: Excerpt, states: IntArray) -> IntArray:
        """Give an excerpt the counts of some states ``[M]``, closed under what was seen to follow them.

        Returns:
            The numbers that ``states``, of those, have in the excerpt.
        """
        for name in TABLES:
            setattr(excerpt, name, getattr(self, name).take(near, axis=0))
        _fade(excerpt.recent, self.memory, self.updates - self.faded[near])
        excerpt.alive = self.alive[near]
        self._place[near] = np.arange(len(near))
        cells = self.sizes[0] * self.sizes[1]
        first, successors = np.zeros(len(near) * cells + 1, dtype=np.int64), np.empty(self._listed, dtype=np.int32)
        shares: FloatArray = np.empty(self._listed)
        linked = (self.keys, self.times, self._before, self._newest, self._place)
        seen = (excerpt.totals.reshape(-1), excerpt.alive)
        found = _gather(near, linked, cells, seen, (first, successors, shares))
        excerpt.listed = (first, successors[:found], shares[:found])
        numbers = self._place[states]
        self._place[near] = -1
        return np.asarray(numbers)

    def state_dict(self) -> dict[str, Any]:
        """See ``Stateful``; without the room for more."""
        kept = super().state_dict()
        for name in (*TABLES, "alive", "faded"):
            kept[name] = kept[name][: self.states]
        return {**kept, "keys": self.keys[: self._listed], "times": self.times[: self._listed]}

    def load_state_dict(self, state: Any) -> None:
        """See ``Stateful``."""
        super().load_state_dict(state)
        self._newest, self._place = (np.full(self.states, -1) for _ in range(2))
        self._listed = len(self.keys)
        self.keys, self.times = (_longer(part, self.room, 0) for part in (self.keys, self.times))
        self._index()

    def _make_room(self, more: int) -> None:
        """Make room for so many transitions; those of a state get next to each other."""
        needed = self._listed + more
        if needed > self.room:
            self.room = max(2 * self.room, needed, ROOM)
            order = np.argsort(self.keys[: self._listed])
            self.keys, self.times = (_longer(part[order], self.room, 0) for part in (self.keys, self.times))
            self._index()

    def _index(self) -> None:
        """Link the transitions of each state, and find all of them by their keys."""
        self._before = np.empty(self.room, dtype=np.int64)
        self._slots = np.full(1 << (2 * max(self.room, 1)).bit_length(), -1)
        cells = self.sizes[0] * self.sizes[1]
        self._newest[:] = -1
        _index(self.keys[: self._listed], cells, self._before, self._newest, self._slots)


def _longer(array: Any, room: int, filling: Any) -> Any:
    """An array with room for more, filled up."""
    more = np.full((room - len(array), *array.shape[1:]), filling, dtype=array.dtype)
    return np.concatenate([array, more])


@compiled
def _find(key: int, keys: Any, slots: Any) -> int:
    """The place in ``slots`` of a key, or the free one that it is to take."""
    mask = slots.shape[0] - 1
    place: int = ((key * SPREAD) >> 20) & mask
    while slots[place] >= 0 and keys[slots[place]] != key:
        place = (place + 1) & mask
    return place


@compiled
def _index(keys: Any, cells: int, before: Any, newest: Any, slots: Any) -> None:
    for k in range(keys.shape[0]):
        slots[_find(keys[k], keys, slots)] = k
        s = (keys[k] >> SHIFT) // cells
        before[k] = newest[s]
        newest[s] = k


@compiled
def _add(played: Any, rewards: Any, tables: Any, fading: Any, listed: Any, size: int) -> int:
    """Count every stage; returns how many transitions are listed then."""
    states, leader, follower, lengths = played
    totals, recent, leader_reward, follower_reward = tables
    memory, faded, now = fading
    keys, times, before, newest, slots = listed
    actions, replies = totals.shape[1:]
    for i in range(lengths.shape[0]):
        for t in range(lengths[i]):
            s, a, b = states[i, t], leader[i, t], follower[i, t]
            if faded[s] != now:
                share = memory ** (now - faded[s])
                for j in range(actions):
                    for k in range(replies):
                        recent[s, j, k] *= share
                faded[s] = now
            totals[s, a, b] += 1.0
            recent[s, a, b] += 1.0
            leader_reward[s, a, b] += rewards[0][i, t]
            follower_reward[s, a, b] += rewards[1][i, t]
            key = (((s * actions + a) * replies + b) << SHIFT) + states[i, t + 1]
            place = _find(key, keys, slots)
            if slots[place] < 0:
                slots[place] = size
                keys[size], times[size], before[size], newest[s] = key, 0.0, newest[s], size
                size += 1
            times[slots[place]] += 1.0
    return size


@compiled
def _reach(states: Any, keys: Any, before: Any, newest: Any, place: Any, queue: Any) -> int:
    """Breadth first; marks in ``place`` what it finds and returns how many states these are."""
    begin, end = 0, 0
    for i in range(states.shape[0]):
        if place[states[i]] < 0:
            place[states[i]] = 0
            queue[end] = states[i]
            end += 1
    while begin < end:
        k = newest[queue[begin]]
        begin += 1
        while k >= 0:
            n = keys[k] & ((1 << SHIFT) - 1)
            if place[n] < 0:
                place[n] = 0
                queue[end] = n
                end += 1
            k = before[k]
    return end


@compiled
def _fade(recent: Any, memory: float, times: Any) -> None:
    for s in range(times.shape[0]):
        if times[s] > 0:
            share = memory ** times[s]
            for a in range(recent.shape[1]):
                for b in range(recent.shape[2]):
                    recent[s, a, b] *= share


@compiled
def _gather(near: Any, linked: Any, cells: int, seen: Any, out: Any) -> int:
    """Transitions of some states, with the numbers that these have among themselves; returns how many."""
    keys, times, before, newest, place = linked
    (totals, alive), (first, successors, shares) = seen, out
    for i in range(near.shape[0]):
        k, own = newest[near[i]], (i - near[i]) * cells
        while k >= 0:
            first[(keys[k] >> SHIFT) + own + 1] += 1
            k = before[k]
    found = 0
    for cell in range(1, first.shape[0]):
        found += first[cell]
        first[cell] = found - first[cell]  # where the next of its transitions goes, which in the end is its end
    for i in range(near.shape[0]):
        k, own = newest[near[i]], (i - near[i]) * cells
        while k >= 0:
            cell, following = (keys[k] >> SHIFT) + own, place[keys[k] & ((1 << SHIFT) - 1)]
            j = first[cell + 1]
            first[cell + 1] = j + 1
            successors[j] = following
            shares[j] = times[k] * (1.0 / totals[cell]) if alive[following] else 0.0
            k = before[k]
    return found

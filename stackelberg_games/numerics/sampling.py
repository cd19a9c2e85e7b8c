"""Sampling from finite distributions: cumulative tables that compiled code searches."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Literal, NamedTuple

import numpy as np

from stackelberg_games.arrays import BoolArray, FloatArray, IntArray
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.numerics.randomness import Lane, compiled, one_uniform

ROW_SUM_TOLERANCE = 1e-8

SUMMED = 2**22
"""Listed probabilities that are always kept as sums."""

FEW = 16
"""Successors of a cell that are summed up when one is drawn, where there are more: sums would take as much memory again."""

ENVIRONMENT = int(Lane.ENVIRONMENT)


Summing = Literal[True] | None


class Sampler(NamedTuple):
    """Flat tables for compiled sampling; a cell is the flat index of (s, a, b).

    Attributes:
        actions: numbers of leader and follower actions (A, B).
        first: ``[S * A * B + 1]``; what can follow cell c are the entries from ``first[c]`` up to ``first[c + 1]``.
        initial: cumulative distribution of the first state, ``[S]``.
        successors: ``[K]``, states that can follow, cell after cell.
        chances: ``[K]``, their cumulative probabilities (see ``cumulative``), or these themselves.
        leader_reward, follower_reward: ``[S * A * B]``.
        terminal: bool ``[S]``.
        summing: True where the chances are no sums, and are summed up when one is drawn; else None, which compiled code
            tells from True before it runs.
    """

    actions: tuple[int, int]
    first: IntArray
    initial: FloatArray
    successors: IntArray
    chances: FloatArray
    leader_reward: FloatArray
    follower_reward: FloatArray
    terminal: BoolArray
    summing: Summing


@compiled
def pick(cumulative: Any, start: int, width: int, u: float) -> int:
    """Index of the first of ``width`` entries from ``start`` that lies above ``u``.

    Tables are flat: a slice would cost as much as the search.
    """
    low, high = 0, width - 1
    while high - low > 8:
        middle = (low + high) // 2
        if u < cumulative[start + middle]:
            high = middle
        else:
            low = middle + 1
    while low < high and u >= cumulative[start + low]:
        low += 1
    return low


@compiled
def pick_summing(probability: Any, start: int, width: int, u: float) -> int:
    """``pick`` by probabilities, which are summed up to the bit as ``cumulative`` does it."""
    total, last = 0.0, width - 1
    for k in range(width):
        total += probability[start + k]
        if probability[start + k] > 0:
            last = k
    reached = 0.0
    for k in range(last):
        reached += probability[start + k]
        if u < reached / total:
            return k
    return last


@compiled
def draw(chances: Any, start: int, width: int, summing: Summing, u: float) -> int:
    """``pick`` of cumulative chances, or ``pick_summing`` of probabilities."""
    if summing is None:
        return pick(chances, start, width, u)
    return pick_summing(chances, start, width, u)


@compiled
def follow(sampler: Any, cell: int, u: float) -> int:
    """The state that follows a cell with draw ``u``."""
    start = sampler.first[cell]
    width = sampler.first[cell + 1] - start
    found: int = sampler.successors[start + draw(sampler.chances, start, width, sampler.summing, u)]
    return found


@compiled
def step(states: Any, leader: Any, follower: Any, u: Any, sampler: Any, out: Any) -> bool:
    """Play one stage of N episodes with draws ``u`` and fill ``out``; false at the first state or action that is out of range."""
    next_states, leader_rewards, follower_rewards, terminated = out
    leader_count, follower_count = sampler.actions
    for i in range(states.shape[0]):
        if not (0 <= leader[i] < leader_count and 0 <= follower[i] < follower_count):
            return False
        if not 0 <= states[i] < sampler.terminal.shape[0]:
            return False
        cell = (states[i] * leader_count + leader[i]) * follower_count + follower[i]
        next_states[i] = follow(sampler, cell, u[i])
        leader_rewards[i] = sampler.leader_reward[cell]
        follower_rewards[i] = sampler.follower_reward[cell]
        terminated[i] = sampler.terminal[next_states[i]]
    return True


class OneEpisode(NamedTuple):
    """``step`` for a single episode, without arrays; see ``rules.OneByOne``."""

    sampler: Sampler
    numbered: bool

    def first(self, seed: int, episode: int) -> int:
        """The first state."""
        return bisect_right(self.sampler.initial, one_uniform(seed, episode, ENVIRONMENT, 0))

    def play(
        self, state: int, leader_action: int, follower_action: int, seed: int, episode: int, stage: int
    ) -> tuple[int, float, float, bool]:
        """Next state, both rewards, and whether it is terminal."""
        (leaders, followers), first, _, successors, chances, leader_reward, follower_reward, terminal, summing = (
            self.sampler
        )
        cell = (state * leaders + leader_action) * followers + follower_action
        found, last = first.item(cell), first.item(cell + 1) - 1
        if found < last:
            u = one_uniform(seed, episode, ENVIRONMENT, stage + 1)
            if summing is None:
                found = bisect_right(chances, u, found, last)
            else:
                found += pick_summing(chances, found, last + 1 - found, u)
        following = successors.item(found)
        return following, leader_reward.item(cell), follower_reward.item(cell), terminal.item(following)


def cumulative(probabilities: FloatArray) -> FloatArray:
    """Cumulative sums along the last axis that never pick an entry of probability zero."""
    sums = np.empty(probabilities.shape)
    width = probabilities.shape[-1]
    accumulate(np.ascontiguousarray(probabilities).reshape(-1, width), sums.reshape(-1, width))
    return sums


@compiled
def accumulate(rows: Any, sums: Any) -> None:
    """See ``cumulative``; of rows ``[N, K]`` into ``sums``."""
    width = rows.shape[1]
    for i in range(rows.shape[0]):
        total, last = 0.0, width - 1
        for k in range(width):
            total += rows[i, k]
            sums[i, k] = total
            if rows[i, k] > 0:
                last = k
        for k in range(width):
            sums[i, k] = 1.0 if k >= last else sums[i, k] / total


def cumulative_lists(first: IntArray, probability: FloatArray) -> FloatArray:
    """The same for lists of entries from ``first[c]`` up to ``first[c + 1]``, ``[K]``."""
    sums = np.empty(len(probability))
    _accumulate_lists(first, probability, sums)
    return sums


@compiled
def _accumulate_lists(first: Any, probability: Any, sums: Any) -> None:
    for c in range(first.shape[0] - 1):
        total, last = 0.0, first[c + 1] - 1
        for k in range(first[c], first[c + 1]):
            total += probability[k]
            sums[k] = total
            if probability[k] > 0:
                last = k
        for k in range(first[c], first[c + 1]):
            sums[k] = 1.0 if k >= last else sums[k] / total


@compiled
def all_finite(values: Any) -> bool:
    """Whether no entry is infinite or NaN; a small array is looked at in a fifth of NumPy's time."""
    for value in values.flat:
        if not np.isfinite(value):
            return False
    return True


@compiled
def _distributions(rows: Any) -> bool:
    for i in range(rows.shape[0]):
        total = 0.0
        for k in range(rows.shape[1]):
            if not rows[i, k] >= 0:
                return False
            total += rows[i, k]
        if not abs(total - 1.0) <= ROW_SUM_TOLERANCE:
            return False
    return True


def check_probabilities(name: str, values: FloatArray) -> None:
    """Raise ``InvalidGameError`` unless every row along the last axis is a distribution."""
    if values.size and _distributions(np.ascontiguousarray(values).reshape(-1, values.shape[-1])):
        return
    if not np.isfinite(values).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise InvalidGameError(f"{name}{list(where)} is {values[where]}: expected a probability")
    if (values < 0).any():
        where = tuple(int(i) for i in np.argwhere(values < 0)[0])
        raise InvalidGameError(f"{name}{list(where)} is {values[where]}: a probability is >= 0")
    sums = values.sum(axis=-1)
    wrong = np.abs(sums - 1.0) > ROW_SUM_TOLERANCE
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        row = f"{name}{list(where)}" if where else name
        raise InvalidGameError(f"{row} sums to {float(sums[where]):.12g}, not to 1; normalise the row")

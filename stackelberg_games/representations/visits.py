"""How often every transition of a finite game was seen: an array where that is small, else a list of those that were."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.kinds.successors import SuccessorLists
from stackelberg_games.numerics.stateful import Stateful
from stackelberg_games.rules.lever import Stages

DENSE_BYTES = 2**27
"""Arrays [S, A, B, S] of counts are made up to this size."""

SHIFT = 31
"""Bits of a transition's key that hold the next state."""


class ListedVisits(Stateful):
    """Counts of the transitions seen, by keys that grow with the cell and then with the next state.

    Args:
        keys: int64 ``[K]``, ascending; none at first.
        counts: ``[K]``.
    """

    keeps: ClassVar[tuple[str, ...]] = ("keys", "counts")

    def __init__(self, keys: IntArray | None = None, counts: FloatArray | None = None) -> None:
        self.keys: IntArray = np.zeros(0, dtype=np.int64) if keys is None else keys
        self.counts: FloatArray = np.zeros(0) if counts is None else counts

    @property
    def cells(self) -> IntArray:
        """The cell of every transition, ``[K]``."""
        return self.keys >> SHIFT

    @property
    def successors(self) -> IntArray:
        """The state that followed, ``[K]``."""
        return self.keys & ((1 << SHIFT) - 1)

    @staticmethod
    def keys_of(stages: Stages, shape: tuple[int, ...]) -> IntArray:
        """Keys of transitions, ``[M]``."""
        cells: Any = np.ravel_multi_index(tuple(stages[:3]), shape[:3])  # type: ignore[arg-type]
        return np.asarray((cells.astype(np.int64) << SHIFT) + stages.next_states)

    def add(self, keys: IntArray) -> bool:
        """Count transitions ``[M]``; whether one of them is new."""
        found, times = np.unique(keys, return_counts=True)
        places = np.searchsorted(self.keys, found)
        known = np.zeros(len(found), dtype=np.bool_)
        inside = places < len(self.keys)
        known[inside] = self.keys[places[inside]] == found[inside]
        self.counts[places[known]] += times[known]
        fresh = ~known
        if fresh.any():
            self.keys = np.insert(self.keys, places[fresh], found[fresh])
            self.counts = np.insert(self.counts, places[fresh], times[fresh])
        return bool(fresh.any())

    def places(self, keys: IntArray) -> IntArray:
        """Where transitions that were counted stand in the list, ``[M]``."""
        return np.searchsorted(self.keys, keys)

    def of(self, keys: IntArray) -> FloatArray:
        """How often transitions were seen, ``[M]``."""
        places = np.minimum(self.places(keys), max(len(self.keys) - 1, 0))
        if not len(self.keys):
            return np.zeros(len(keys))
        return np.where(self.keys[places] == keys, self.counts[places], 0.0)

    def first(self, cells: int) -> IntArray:
        """Where the transitions of every cell begin, ``[cells + 1]``."""
        begins = np.zeros(cells + 1, dtype=np.int64)
        np.cumsum(np.bincount(self.cells, minlength=cells), out=begins[1:])
        return begins

    def lists(self, shape: tuple[int, int, int], probability: FloatArray) -> SuccessorLists:
        """A kernel of the transitions seen."""
        cells = shape[0] * shape[1] * shape[2]
        return SuccessorLists(shape, self.first(cells), self.successors.astype(np.int32), probability, brief=True)


def is_large(shape: tuple[int, int, int]) -> bool:
    """Whether an array of all transitions would be too large to count in."""
    return 8.0 * shape[0] ** 2 * shape[1] * shape[2] > DENSE_BYTES


def too_large(shape: tuple[int, int, int]) -> UnsupportedGameError:
    """The error to raise where a leader needs that array all the same."""
    states, actions, replies = shape
    size = 8.0 * states**2 * actions * replies / 1e9
    return UnsupportedGameError(
        f"a game of {states} states is too large for what this leader learns, {size:,.1f} GB as an array "
        f"{[*shape, states]} of all transitions; bchg, hpgd and policy_gradient learn in large games"
    )

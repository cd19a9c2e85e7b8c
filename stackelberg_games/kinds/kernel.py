"""Transition kernels P(s' | s, a, b) of finite games, as full arrays or as lists of possible successors.

Columns of terminal states hold zeros, so that values beyond the end vanish. Whoever asks need not
know the form: a game whose states have few successors is answered in time proportional to their
number, and one in which everything can follow everything by matrix products.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.numerics.randomness import compiled

SPARSE_BELOW = 0.125
"""Share of possible successors below which lists are faster than matrix products."""


class Kernel(ABC):
    """A transition kernel of S states, A leader actions and B follower actions."""

    dense: FloatArray
    """All probabilities, ``[S, A, B, S]``."""

    terms: int
    """The largest number of successors over which ``expected`` sums."""

    @abstractmethod
    def row(self, cell: tuple[int, int, int]) -> FloatArray:
        """Probabilities of the next state after (s, a, b), ``[S]``."""

    @abstractmethod
    def part(self, rows: slice) -> Kernel:
        """What ``expected`` and ``terms`` need of some of the states."""

    @abstractmethod
    def expected(self, values: FloatArray) -> FloatArray:
        """Expectation over the next state of values ``[S]``, ``[S, A, B]``."""

    def ahead(self, reward: FloatArray, discount: float, values: FloatArray) -> FloatArray:
        """``reward`` ``[S, A, B]`` and what values ``[S]`` of the next state are expected to be, discounted; made once, ``[S, A, B]``."""
        table = self.expected(values)
        table *= discount
        table += reward
        return table

    @abstractmethod
    def expected_each(self, values: FloatArray) -> FloatArray:
        """The same of values ``[S, S]`` that differ by the state before, ``[S, A, B]``."""

    @abstractmethod
    def inflow(self, weights: FloatArray) -> FloatArray:
        """What flows into every state where weights ``[S, A, B]`` flow out, ``[S]``."""

    @abstractmethod
    def chain(self, joint: FloatArray) -> FloatArray:
        """Sum over a and b of ``joint`` ``[S, A, B]`` times P, ``[S, S]``."""


@dataclass(frozen=True)
class DenseKernel(Kernel):
    """A kernel as an array, ``[S, A, B, S]``."""

    dense: FloatArray

    @property
    def terms(self) -> int:  # type: ignore[override]
        """See ``Kernel.terms``."""
        return int(self.dense.shape[-1])

    def part(self, rows: slice) -> DenseKernel:
        """See ``Kernel.part``."""
        return DenseKernel(self.dense[rows])

    def row(self, cell: tuple[int, int, int]) -> FloatArray:
        """See ``Kernel.row``."""
        return np.asarray(self.dense[cell])

    def expected(self, values: FloatArray) -> FloatArray:
        """See ``Kernel.expected``."""
        return np.asarray(self.dense @ values)

    def expected_each(self, values: FloatArray) -> FloatArray:
        """See ``Kernel.expected_each``."""
        states = len(values)
        found = self.dense.reshape(states, -1, states) @ values[:, :, None]
        return np.asarray(found.reshape(self.dense.shape[:3]))

    def inflow(self, weights: FloatArray) -> FloatArray:
        """See ``Kernel.inflow``."""
        return np.asarray(weights.reshape(-1) @ self.dense.reshape(weights.size, -1))

    def chain(self, joint: FloatArray) -> FloatArray:
        """See ``Kernel.chain``."""
        states = len(joint)
        return np.asarray((joint.reshape(states, 1, -1) @ self.dense.reshape(states, -1, states))[:, 0])


@dataclass(frozen=True)
class SparseKernel(Kernel):
    """A kernel as lists of successors, cell after cell (compressed sparse rows).

    Args:
        shape: numbers of states, leader actions and follower actions.
        first: int64 ``[S * A * B + 1]``; the successors of cell c, the flat index of (s, a, b), are
            the entries from ``first[c]`` up to ``first[c + 1]``.
        successors: states, int64 ``[K]``.
        probability: ``[K]``.
    """

    shape: tuple[int, int, int]
    first: IntArray
    successors: IntArray
    probability: FloatArray

    @classmethod
    def of(cls, dense: FloatArray) -> SparseKernel:
        """The same kernel as an array ``[S, A, B, S]``."""
        *shape, states = dense.shape
        rows = dense.reshape(-1, states)
        cells, successors = np.nonzero(rows)
        first = np.searchsorted(cells, np.arange(len(rows) + 1))
        return cls((shape[0], shape[1], shape[2]), first, successors, rows[cells, successors])

    @property
    def cells(self) -> IntArray:
        """The cell of every entry, ``[K]``; made each time, for in large games it takes as much as the lists."""
        return np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))

    @cached_property
    def dense(self) -> FloatArray:  # type: ignore[override]
        """All probabilities, ``[S, A, B, S]``."""
        rows = np.zeros((len(self.first) - 1, self.shape[0]))
        np.add.at(rows, (self.cells, self.successors), self.probability)  # a successor may be listed twice
        return rows.reshape(*self.shape, self.shape[0])

    @cached_property
    def terms(self) -> int:  # type: ignore[override]
        """See ``Kernel.terms``."""
        return int(_longest(self.first))

    @cached_property
    def reach(self) -> int:
        """How far the number of a successor is from that of its state, at most; impossible ones do not count."""
        return int(_farthest(self.first, self.successors, self.probability, self.shape[1] * self.shape[2]))

    def part(self, rows: slice) -> SparseKernel:
        """See ``Kernel.part``."""
        cells, states = self.shape[1] * self.shape[2], range(self.shape[0])[rows]
        listed = self.first[states.start * cells : states.stop * cells + 1]
        made = SparseKernel((len(states), *self.shape[1:]), listed, self.successors, self.probability)
        vars(made)["terms"] = self.terms  # the largest of all cells
        return made

    def row(self, cell: tuple[int, int, int]) -> FloatArray:
        """See ``Kernel.row``."""
        index = int(np.ravel_multi_index(cell, self.shape))
        listed = slice(self.first[index], self.first[index + 1])
        out = np.zeros(self.shape[0])
        np.add.at(out, self.successors[listed], self.probability[listed])  # a successor may be listed twice
        return out

    def expected(self, values: FloatArray) -> FloatArray:
        """See ``Kernel.expected``."""
        out = np.empty(self.shape)
        _expected(self.first, self.successors, self.probability, values, out.reshape(-1))
        return out

    def ahead(self, reward: FloatArray, discount: float, values: FloatArray) -> FloatArray:
        """See ``Kernel.ahead``."""
        out = np.empty(self.shape)
        _ahead((self.first, self.successors, self.probability), reward, discount, values, out)
        return out

    def expected_each(self, values: FloatArray) -> FloatArray:
        """See ``Kernel.expected_each``."""
        out = np.empty(self.shape)
        _expected_each(self.first, self.successors, self.probability, values, out.reshape(len(out), -1))
        return out

    def inflow(self, weights: FloatArray) -> FloatArray:
        """See ``Kernel.inflow``."""
        out = np.zeros(self.shape[0])
        _inflow(self.first, self.successors, self.probability, weights.reshape(-1), out)
        return out

    def chain(self, joint: FloatArray) -> FloatArray:
        """See ``Kernel.chain``."""
        out = np.zeros((self.shape[0], self.shape[0]))
        _chain(self.first, self.successors, self.probability, joint.reshape(len(out), -1), out)
        return out


def kernel(dense: FloatArray) -> Kernel:
    """The faster form of an array ``[S, A, B, S]`` whose terminal columns are zero."""
    return SparseKernel.of(dense) if np.count_nonzero(dense) < SPARSE_BELOW * dense.size else DenseKernel(dense)


@compiled
def _longest(first: Any) -> int:
    longest = 0
    for cell in range(first.shape[0] - 1):
        longest = max(longest, first[cell + 1] - first[cell])
    return longest


@compiled
def _farthest(first: Any, successors: Any, probability: Any, cells: int) -> int:
    farthest = 0
    for cell in range(first.shape[0] - 1):
        for k in range(first[cell], first[cell + 1]):
            if probability[k] != 0:
                farthest = max(farthest, abs(successors[k] - cell // cells))
    return farthest


@compiled
def _expected(first: Any, successors: Any, probability: Any, values: Any, out: Any) -> None:
    for cell in range(out.shape[0]):
        total = 0.0
        for k in range(first[cell], first[cell + 1]):
            total += probability[k] * values[successors[k]]
        out[cell] = total


@compiled
def _ahead(lists: Any, reward: Any, discount: float, values: Any, out: Any) -> None:
    first, successors, probability = lists
    cell, k = 0, first[0]
    for s in range(out.shape[0]):
        for a in range(out.shape[1]):
            for b in range(out.shape[2]):
                cell += 1
                end, total = first[cell], 0.0
                while k < end:
                    total += probability[k] * values[successors[k]]
                    k += 1
                out[s, a, b] = total * discount + reward[s, a, b]


@compiled
def _expected_each(first: Any, successors: Any, probability: Any, values: Any, out: Any) -> None:
    states, actions = out.shape
    for s in range(states):
        for a in range(actions):
            total, cell = 0.0, s * actions + a
            for k in range(first[cell], first[cell + 1]):
                total += probability[k] * values[s, successors[k]]
            out[s, a] = total


@compiled
def _inflow(first: Any, successors: Any, probability: Any, weights: Any, out: Any) -> None:
    for cell in range(weights.shape[0]):
        for k in range(first[cell], first[cell + 1]):
            out[successors[k]] += weights[cell] * probability[k]


@compiled
def _chain(first: Any, successors: Any, probability: Any, joint: Any, out: Any) -> None:
    states, actions = joint.shape
    for s in range(states):
        for a in range(actions):
            cell = s * actions + a
            for k in range(first[cell], first[cell + 1]):
                out[s, successors[k]] += joint[s, a] * probability[k]

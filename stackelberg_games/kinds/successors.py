"""Transition kernels of games too large for arrays: lists of successors that are never laid out in full.

The states that can follow a state, whatever both players do, make its row of the game's *pattern*, which is found once.
The chain of states under two policies is one number for each place of the pattern.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, NoReturn

import numpy as np

from stackelberg_games.arrays import BoolArray, FloatArray, IntArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.kinds.kernel import SparseKernel
from stackelberg_games.numerics.randomness import compiled

SHORT = 16
"""States that follow one, up to which they are sorted by insertion."""

DENSE_BYTES = 2**28
"""Arrays [S, A, B, S] and [S, S] of games given as lists are made up to this size."""


class Pattern(NamedTuple):
    """Which states can follow a state; every state is listed among its own successors.

    Attributes:
        first: int64 ``[S + 1]``; the places of state s are those from ``first[s]`` up to ``first[s + 1]``.
        columns: the states that follow, ascending within a row, int32 ``[N]``.
        diagonal: the place of every state in its own row, int64 ``[S]``.
        slot: for every entry of the lists its place within the row of its state, ``[K]``.
    """

    first: IntArray
    columns: IntArray
    diagonal: IntArray
    slot: IntArray

    @property
    def parts(self) -> tuple[Any, Any, Any]:
        """``first``, ``columns`` and ``diagonal`` for compiled code, which need not ask whether they count from the end."""
        return unsigned(self.first), unsigned(self.columns), unsigned(self.diagonal)


def unsigned(indices: IntArray) -> Any:
    """The same indices, all of them >= 0, as numbers without a sign."""
    return indices.view(f"u{indices.itemsize}")


@dataclass(frozen=True)
class SuccessorLists(SparseKernel):
    """Successors of every cell (s, a, b), in compressed sparse rows; solved by iterations, never as an array.

    Args:
        shape: see ``SparseKernel``.
        first: see ``SparseKernel``.
        successors: int32 ``[K]``; a state may be listed twice, its probabilities are added.
        probability: see ``SparseKernel``.
        brief: whether it is asked so little that its pattern is not worth finding: that of an estimate, which the next batch changes.
        found: what was found out about the successors, whatever their probabilities.
    """

    brief: bool = False
    found: dict[str, Pattern] = field(default_factory=dict, repr=False, compare=False)

    @property
    def pattern(self) -> Pattern:
        """Which states can follow which; found once."""
        if "pattern" not in self.found:
            self.found["pattern"] = _pattern_of(self)
        return self.found["pattern"]

    def with_probability(self, probability: FloatArray) -> SuccessorLists:
        """The same successors with other probabilities ``[K]``."""
        return SuccessorLists(self.shape, self.first, self.successors, probability, self.brief, self.found)

    def ending_in(self, terminal: BoolArray) -> SuccessorLists:
        """The kernel whose terminal states are worth nothing: no probability leads to them."""
        if not terminal.any():
            return self
        return self.with_probability(self.probability * ~terminal[self.successors])

    @cached_property
    def dense(self) -> FloatArray:  # type: ignore[override]
        """All probabilities, ``[S, A, B, S]``, of a small game.

        Raises:
            InvalidArgumentError: they would take more than ``DENSE_BYTES``.
        """
        shape = (*self.shape, self.shape[0])
        if 8 * np.prod([float(n) for n in shape]) > DENSE_BYTES:
            _refuse("transition", shape, "game.kernel or game.row(s, a, b)")
        return super().dense

    def listed(self, cell: tuple[int, int, int]) -> tuple[IntArray, FloatArray]:
        """States that can follow (s, a, b), each once and ascending, and their probabilities."""
        index = int(np.ravel_multi_index(cell, self.shape))
        entries = slice(int(self.first[index]), int(self.first[index + 1]))
        states, places = np.unique(self.successors[entries], return_inverse=True)
        chances = np.bincount(places, weights=self.probability[entries], minlength=len(states))
        return states.astype(np.int64), chances.astype(np.float64)

    def chain(self, joint: FloatArray) -> FloatArray:
        """See ``Kernel.chain``.

        Raises:
            InvalidArgumentError: the game is too large for an array of pairs of states.
        """
        self.check_pairs()
        return super().chain(joint)

    def check_pairs(self) -> None:
        """Raise ``InvalidArgumentError`` where an array of pairs of states would take more than ``DENSE_BYTES``."""
        if 8.0 * self.shape[0] ** 2 > DENSE_BYTES:
            _refuse("the chain of states", (self.shape[0],) * 2, "what goes by lists: sg.exact's values, bchg")

    def entries(self, states: Any, leader: Any, follower: Any, following: Any) -> IntArray:
        """Numbers of the entries that list transitions, ``[M]``; -1 where there is none.

        Of entries that list the same state the first with a positive probability counts, or the first of all.
        """
        cells = np.ravel_multi_index((states, leader, follower), self.shape)
        out = np.empty(len(cells), dtype=np.int64)
        _entries(self.first, self.successors, self.probability, cells, np.asarray(following), out)
        return out

    def differing(self, cells: BoolArray, options: BoolArray, reward: FloatArray) -> BoolArray:
        """Which of some cells ``[S, A]`` have options ``[S, A, B]`` that differ in a reward or in what follows."""
        out = np.array(cells)
        _differing((self.first, self.successors, self.probability), options, reward, out)
        return out

    def reached(self, states: BoolArray, allowed: FloatArray | None, ends: BoolArray) -> BoolArray:
        """States that play can come to from some, ``[S]``.

        Args:
            states: where it begins, ``[S]``.
            allowed: weights ``[S, A, B]``, positive in the cells that count; None for all.
            ends: states that nothing follows, ``[S]``.
        """
        found = np.array(states)
        queue = np.empty(self.shape[0], dtype=np.int64)
        everywhere: FloatArray = np.broadcast_to(1.0, self.shape)
        weights = (everywhere if allowed is None else allowed).reshape(self.shape[0], -1)
        _reach(self.first, self.successors, self.probability, weights, ends, found, queue)
        return found


def _refuse(what: str, shape: tuple[int, ...], instead: str) -> NoReturn:
    size = 8 * float(np.prod([float(n) for n in shape])) / 1e9
    raise InvalidArgumentError(
        f"{what} of this game would take {size:,.1f} GB as an array {list(shape)}; use {instead}"
    )


def _pattern_of(lists: SuccessorLists) -> Pattern:
    states = lists.shape[0]
    per_state = len(lists.first[:-1]) // states
    widest = int((lists.first[per_state::per_state] - lists.first[:-1:per_state]).max())
    slot: Any = np.empty(
        len(lists.successors), np.uint8 if widest < 255 else np.uint16 if widest < 65535 else np.uint32
    )
    first, mark = np.zeros(states + 1, dtype=np.int64), np.full(states, -1, dtype=np.int64)
    _count_pattern(lists.first, lists.successors, per_state, first, mark)
    columns, diagonal = np.empty(first[-1], dtype=np.int32), np.empty(states, dtype=np.int64)
    mark[:] = -1
    _fill_pattern(lists.first, lists.successors, per_state, first, mark, (columns, diagonal, slot))
    return Pattern(first, columns, diagonal, slot)


@compiled
def _count_pattern(lists: Any, successors: Any, per_state: int, first: Any, mark: Any) -> None:
    for s in range(mark.shape[0]):
        mark[s] = s
        count = 1
        for k in range(lists[s * per_state], lists[(s + 1) * per_state]):
            if mark[successors[k]] != s:
                mark[successors[k]] = s
                count += 1
        first[s + 1] = first[s] + count


@compiled
def _sort(columns: Any, begin: int, end: int) -> None:
    """Sort a part of an array: by insertion where it is short."""
    if end - begin > SHORT:
        columns[begin:end].sort()
        return
    for i in range(begin + 1, end):
        column, j = columns[i], i
        while j > begin and columns[j - 1] > column:
            columns[j] = columns[j - 1]
            j -= 1
        columns[j] = column


@compiled
def _fill_pattern(lists: Any, successors: Any, per_state: int, first: Any, mark: Any, out: Any) -> None:
    columns, diagonal, slot = out
    for s in range(mark.shape[0]):
        begin = first[s]
        mark[s] = begin
        columns[begin] = s
        end = begin + 1
        for k in range(lists[s * per_state], lists[(s + 1) * per_state]):
            if mark[successors[k]] < begin:
                mark[successors[k]] = begin
                columns[end] = successors[k]
                end += 1
        _sort(columns, begin, end)
        for place in range(begin, end):
            mark[columns[place]] = place
        diagonal[s] = mark[s]
        for k in range(lists[s * per_state], lists[(s + 1) * per_state]):
            slot[k] = mark[successors[k]] - begin


@compiled
def _entries(first: Any, successors: Any, probability: Any, cells: Any, following: Any, out: Any) -> None:
    for i in range(cells.shape[0]):
        out[i] = -1
        for k in range(first[cells[i]], first[cells[i] + 1]):
            if successors[k] == following[i]:
                if out[i] < 0:
                    out[i] = k
                if probability[k] > 0.0:
                    out[i] = k
                    break


@compiled
def _differing(lists: Any, options: Any, reward: Any, out: Any) -> None:
    """``out`` keeps the cells whose options are not all like the first of them."""
    states, actions, replies = reward.shape
    for s in range(states):
        for a in range(actions):
            if not out[s, a]:
                continue
            out[s, a] = False
            first = -1
            for b in range(replies):
                if not options[s, a, b]:
                    continue
                if first < 0:
                    first = b
                    continue
                cell = (s * actions + a) * replies
                if reward[s, a, b] != reward[s, a, first] or not _alike(lists, cell + first, cell + b):
                    out[s, a] = True
                    break


@compiled
def _alike(lists: Any, one: int, other: int) -> bool:
    """Whether two cells lead to the same states with the same probabilities, a few listed by each."""
    first, successors, _ = lists
    for cell in (one, other):
        for k in range(first[cell], first[cell + 1]):
            if _chance(lists, one, successors[k]) != _chance(lists, other, successors[k]):
                return False
    return True


@compiled
def _chance(lists: Any, cell: int, state: int) -> float:
    first, successors, probability = lists
    total = 0.0
    for k in range(first[cell], first[cell + 1]):
        if successors[k] == state:
            total += probability[k]
    return total


@compiled
def _reach(first: Any, successors: Any, probability: Any, weights: Any, ends: Any, found: Any, queue: Any) -> None:
    """Breadth first; ``found`` holds the first states and gains those that follow."""
    states, per_state = weights.shape
    begin, end = 0, 0
    for s in range(states):
        if found[s]:
            queue[end] = s
            end += 1
    while begin < end:
        s = queue[begin]
        begin += 1
        if ends[s]:
            continue
        for c in range(per_state):
            if not weights[s, c] > 0.0:
                continue
            for k in range(first[s * per_state + c], first[s * per_state + c + 1]):
                n = successors[k]
                if probability[k] > 0.0 and not found[n]:
                    found[n] = True
                    queue[end] = n
                    end += 1

"""The triangles of a square sparse matrix, each in rows of its own: a sweep through one of them does not fetch the other from memory."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from stackelberg_games.arrays import FloatArray
from stackelberg_games.kinds.successors import Pattern
from stackelberg_games.numerics.randomness import compiled

FULL = 2**32
"""Entries beyond which their places need 64 bits."""


class Triangle(NamedTuple):
    """What stands on one side of the diagonal, in compressed sparse rows.

    Attributes:
        first: where every row begins, and where the last one ends, unsigned ``[S + 1]``.
        columns: uint32 ``[N]``.
        values: ``[N]``.
    """

    first: Any
    columns: Any
    values: Any


class Triangles(NamedTuple):
    """A matrix E + L + U.

    Attributes:
        lower: L.
        upper: U.
        excess: E - 2, ``[S]``; see ``chain_system``.
    """

    lower: Triangle
    upper: Triangle
    excess: Any


def triangles(pattern: Pattern, entries: FloatArray, precision: Any = np.float64) -> Triangles:
    """A matrix of entries ``[N]`` at the places of a pattern, its numbers in a precision."""
    states, below = len(pattern.diagonal), int(_below(pattern.first, pattern.diagonal))
    parts = empty_triangles(states, below, len(entries) - states - below, precision)
    _split(pattern.parts, entries, parts)
    return parts


def empty_triangles(states: int, below: int, above: int, precision: Any = np.float64) -> Triangles:
    """Room for so many entries below the diagonal and above."""
    places = np.uint32 if below + above < FULL else np.uint64
    lower, upper = (
        Triangle(np.zeros(states + 1, dtype=places), np.empty(count, dtype=np.uint32), np.empty(count, dtype=precision))
        for count in (below, above)
    )
    return Triangles(lower, upper, np.empty(states, dtype=precision))


@compiled
def _below(first: Any, diagonal: Any) -> int:
    count = 0
    for s in range(diagonal.shape[0]):
        count += diagonal[s] - first[s]
    return count


@compiled
def _split(parts: Any, entries: Any, out: Any) -> None:
    first, columns, own = parts
    (begins, before, under), (ends, after, over), excess = out
    below, above = 0, 0
    for s in range(excess.shape[0]):
        for place in range(first[s], own[s]):
            before[below], under[below] = columns[place], entries[place]
            below += 1
        excess[s] = entries[own[s]] - 2.0
        for place in range(own[s] + 1, first[s + 1]):
            after[above], over[above] = columns[place], entries[place]
            above += 1
        begins[s + 1], ends[s + 1] = below, above

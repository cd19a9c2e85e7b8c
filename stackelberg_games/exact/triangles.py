"""The triangles of a square sparse matrix, each in rows of its own: a sweep through one of them does not fetch the other from memory."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from stackelberg_games.arrays import FloatArray
from stackelberg_games.exact.order import Order
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


def scaled_triangles(
    pattern: Pattern, entries: FloatArray, order: Order, pivots: FloatArray, narrow: int, precision: Any = np.float64
) -> Triangles:
    """The system I + entries, its rows divided by the pivots that elimination without fill leaves in an order; see ``chain_system``.

    Args:
        pattern: which states can follow which.
        entries: of -discount * chain at the places of the pattern, ``[N]``; they become those of the scaled system.
        order: of the rows.
        pivots: ``[S]``, where those of the states go.
        narrow: entries of a row up to which its pivot takes in what elimination leaves.
        precision: of the triangles.
    """
    parts = _room(pattern, order, precision)
    _arrange(pattern.parts, entries, order, pivots, narrow, parts)
    return parts


def triangles(pattern: Pattern, scaled: FloatArray, order: Order, precision: Any = np.float64) -> Triangles:
    """A matrix of entries ``[N]`` at the places of a pattern, its rows and columns in an order."""
    parts = _room(pattern, order, precision)
    _arrange(pattern.parts, scaled, order, np.empty(0), 0, parts)
    return parts


def _room(pattern: Pattern, order: Order, precision: Any) -> Triangles:
    """Room for what stands on either side of the diagonal."""
    states, entries = len(pattern.diagonal), len(pattern.columns)
    below = int(_below(pattern.parts, order.place))
    places = np.uint32 if entries < FULL else np.uint64
    lower, upper = (
        Triangle(np.zeros(states + 1, dtype=places), np.empty(count, dtype=np.uint32), np.empty(count, dtype=precision))
        for count in (below, entries - states - below)
    )
    return Triangles(lower, upper, np.empty(states, dtype=precision))


@compiled
def _below(parts: Any, place: Any) -> int:
    """How many entries lead to states that come before their own."""
    first, columns, own = parts
    count = 0
    for s in range(own.shape[0]):
        for k in range(first[s], first[s + 1]):
            count += place[columns[k]] < place[s]
    return count


@compiled
def _arrange(parts: Any, entries: Any, order: Any, pivots: Any, narrow: int, out: Any) -> None:
    """Fill the triangles; without pivots, of rows that are scaled already."""
    first, columns, own = parts
    (begins, before, under), (ends, after, over), excess = out
    states, place = order
    a, b, scale = 0, 0, pivots.shape[0] > 0
    for i in range(states.shape[0]):
        s, low, high = states[i], a, b
        for k in range(first[s], first[s + 1]):
            j = place[columns[k]]
            if j < i:
                before[a], under[a] = j, entries[k]
                a += 1
            elif j > i:
                after[b], over[b] = j, entries[k]
                b += 1
        begins[i + 1], ends[i + 1] = a, b
        if not scale:
            excess[i] = entries[own[s]] - 2.0
            continue
        whole = 1.0 + entries[own[s]]
        pivot = whole
        if first[s + 1] - first[s] <= narrow:
            for k in range(low, a):
                for back in range(ends[before[k]], ends[before[k] + 1]):
                    if after[back] == i:
                        pivot -= under[k] * over[back]
            if not pivot > 0.0:  # of rows that sum to more than one
                pivot = whole
        inverse = 1.0 / pivot
        for k in range(low, a):
            under[k] *= inverse
        for k in range(high, b):
            over[k] *= inverse
        entries[own[s]] = whole
        for k in range(first[s], first[s + 1]):
            entries[k] *= inverse
        excess[i], pivots[s] = whole * inverse - 2.0, pivot

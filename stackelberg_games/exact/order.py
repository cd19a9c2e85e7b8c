"""An order of the states of a chain in which elimination without fill leaves little out.

A walk goes on from each state to the likeliest of those that were not met yet, and back where there is none; states are numbered as they are
left. All that follows a state has gone before it then, but for the states on the way to it: what has no way back is eliminated exactly, and what is
likely to be played on lies side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.exact.triangles import Triangles, empty_triangles
from stackelberg_games.kinds.successors import Pattern
from stackelberg_games.numerics.randomness import compiled


def arranged(pattern: Pattern, entries: FloatArray, pivots: FloatArray, narrow: int) -> tuple[IntArray, Triangles]:
    """States in the order in which such a walk leaves them ``[S]``, and the triangles of the scaled system in that order.

    Args:
        pattern: which states can follow which.
        entries: probabilities times a number below zero, ``[N]``; they become the entries of the scaled system.
        pivots: ``[S]``, where those of the states go.
        narrow: entries of a row up to which its pivot takes in what elimination leaves.
    """
    states = len(pattern.diagonal)
    order, place = np.empty(states, dtype=np.int64), np.full(states, -1, dtype=np.int64)
    below = _walk(pattern.parts, entries, place, order)
    parts = empty_triangles(states, below, len(entries) - states - below)
    _arrange(pattern.parts, entries, (order, place), pivots, narrow, parts)
    return order, parts


@compiled
def _walk(parts: Any, entries: Any, place: Any, order: Any) -> int:
    """Returns how many entries lead to states that come before their own."""
    first, columns, _ = parts
    path, left, below = np.empty(place.shape[0], dtype=np.int64), 0, 0
    for begin in range(place.shape[0]):
        if place[begin] >= 0:
            continue
        path[0], depth, place[begin] = begin, 0, place.shape[0]
        while depth >= 0:
            s, following, likely, before = path[depth], -1, 0.0, 0
            for k in range(first[s], first[s + 1]):
                met = place[columns[k]]
                before += 0 <= met < left
                if entries[k] < likely and met < 0:
                    following, likely = columns[k], entries[k]
            if following >= 0:
                depth += 1
                path[depth], place[following] = following, place.shape[0]
            else:
                order[left], place[s] = s, left
                left += 1
                depth -= 1
                below += before
    return below


@compiled
def _arrange(parts: Any, entries: Any, numbers: Any, pivots: Any, narrow: int, out: Any) -> None:
    first, columns, own = parts
    order, place = numbers
    (begins, before, under), (ends, after, over), excess = out
    a, b = 0, 0
    for i in range(order.shape[0]):
        s, low, high = order[i], a, b
        whole = 1.0 + entries[own[s]]
        for k in range(first[s], first[s + 1]):
            j = place[columns[k]]
            if j < i:
                before[a], under[a] = j, entries[k]
                a += 1
            elif j > i:
                after[b], over[b] = j, entries[k]
                b += 1
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
        begins[i + 1], ends[i + 1], excess[i], pivots[s] = a, b, whole * inverse - 2.0, pivot

"""An order of the states of a chain in which elimination without fill leaves little out.

A walk goes on from each state to the likeliest of those that were not met yet, and back where there is none; states are numbered as they are
left. All that follows a state has gone before it then, but for the states on the way to it: what has no way back is eliminated exactly, and what is
likely to be played on lies side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.kinds.successors import SHORT, Pattern
from stackelberg_games.numerics.randomness import compiled


def walked(pattern: Pattern, entries: FloatArray) -> tuple[IntArray, Pattern, FloatArray]:
    """States in the order in which such a walk leaves them ``[S]``; the pattern in that order, without slots, and its entries.

    Args:
        pattern: which states can follow which.
        entries: probabilities times a number below zero, ``[N]``.
    """
    states = len(pattern.diagonal)
    order, place = np.empty(states, dtype=np.int64), np.full(states, -1, dtype=np.int64)
    _walk(pattern.parts, entries, place, order)
    moved = Pattern(*(np.empty_like(part) for part in pattern[:3]), pattern.slot[:0])
    numbers = np.empty_like(entries)
    _move(pattern.parts, entries, (order, place), moved[:3], numbers)
    return order, moved, numbers


@compiled
def _walk(parts: Any, entries: Any, place: Any, order: Any) -> None:
    first, columns, _ = parts
    path, left = np.empty(place.shape[0], dtype=np.int64), 0
    for begin in range(place.shape[0]):
        if place[begin] >= 0:
            continue
        path[0], depth, place[begin] = begin, 0, 0
        while depth >= 0:
            s, following, likely = path[depth], -1, 0.0
            for k in range(first[s], first[s + 1]):
                if entries[k] < likely and place[columns[k]] < 0:
                    following, likely = columns[k], entries[k]
            if following >= 0:
                depth += 1
                path[depth], place[following] = following, 0
            else:
                order[left], place[s] = s, left
                left += 1
                depth -= 1


@compiled
def _move(parts: Any, entries: Any, numbers: Any, moved: Any, out: Any) -> None:
    """Rows in another order, their columns ascending by the numbers that they have in it."""
    first, columns, _ = parts
    (order, place), (begins, after, own) = numbers, moved
    begins[0], end = 0, 0
    for i in range(order.shape[0]):
        s, begin = order[i], end
        if first[s + 1] - first[s] > SHORT:
            row = place[columns[first[s] : first[s + 1]]]
            for k in np.argsort(row):
                after[end], out[end] = row[k], entries[first[s] + k]
                end += 1
        else:
            for k in range(first[s], first[s + 1]):
                j, column = end, place[columns[k]]
                while j > begin and after[j - 1] > column:
                    after[j], out[j] = after[j - 1], out[j - 1]
                    j -= 1
                after[j], out[j] = column, entries[k]
                end += 1
        begins[i + 1] = end
        for k in range(begin, end):
            if after[k] == i:
                own[i] = k

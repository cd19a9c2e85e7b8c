"""Orders in which the rows of a chain's system are swept through.

*Side by side.* Where states that follow each other have numbers next to each other, each row waits for the one before it, and the processor with
it. States from several places far apart take turns here, so that one is worked on while others wait; memory is still gone through as it is stored.

*The likeliest first.* A walk goes on from each state to the likeliest of those that were not met yet, and back where there is none; states are
numbered as they are left. All that follows a state has gone before it then, but for the states on the way to it: what has no way back, as much of
what was seen of a game a few times, is eliminated exactly, and elimination without fill leaves little out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.kinds.successors import Pattern
from stackelberg_games.numerics.randomness import compiled

LANES = 4
"""Places from which states take turns; more gain nothing more."""


class Order(NamedTuple):
    """An order of S states.

    Attributes:
        states: which comes when, ``[S]``.
        place: when each comes, ``[S]``.
    """

    states: IntArray
    place: IntArray


def likeliest_first(pattern: Pattern, entries: FloatArray) -> Order:
    """The order in which such a walk leaves the states.

    Args:
        pattern: which states can follow which.
        entries: probabilities times a number below zero, ``[N]``.
    """
    states = len(pattern.diagonal)
    order, place = np.empty(states, dtype=np.int64), np.full(states, -1, dtype=np.int64)
    _walk(pattern.parts, entries, place, order)
    return Order(order, place)


def side_by_side(states: int) -> Order:
    """The order in which states from several places take turns."""
    length = -(-states // LANES)
    order: IntArray = np.arange(LANES * length).reshape(LANES, length).T.ravel()
    order = order[order < states]
    place = np.empty_like(order)
    place[order] = np.arange(states)
    return Order(order, place)


@compiled
def _walk(parts: Any, entries: Any, place: Any, order: Any) -> None:
    first, columns, _ = parts
    path, left = np.empty(place.shape[0], dtype=np.int64), 0
    for begin in range(place.shape[0]):
        if place[begin] >= 0:
            continue
        path[0], depth, place[begin] = begin, 0, place.shape[0]
        while depth >= 0:
            s, following, likely = path[depth], -1, 0.0
            for k in range(first[s], first[s + 1]):
                if entries[k] < likely and place[columns[k]] < 0:
                    following, likely = columns[k], entries[k]
            if following >= 0:
                depth += 1
                path[depth], place[following] = following, place.shape[0]
            else:
                order[left], place[s] = s, left
                left += 1
                depth -= 1

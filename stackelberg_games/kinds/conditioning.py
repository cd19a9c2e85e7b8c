"""What of a finite game decides nothing: states that play never enters, and a constant in all rewards.

A constant c in every reward of a game that never ends adds c / (1 - discount) to all values alike. Where it is
large beside what tells actions apart it costs the digits of the difference, so solvers take it out and add it to
the result.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stackelberg_games.arrays import BoolArray, FloatArray, IntArray

LARGE = 64.0
"""A constant is taken out where it is more than so many times the usual distance of rewards from it."""

HUGE = 1e280
"""Rewards beyond may overflow when they are added up; states that are never entered are then left out."""


class Condition(NamedTuple):
    """What of a game is left out when it is solved.

    Attributes:
        kept: indices of the states that play can enter where the others are left out; None where all are kept.
        offsets: constants in all of the leader's and all of the follower's rewards of those states, to be
            taken out; zero where an episode may end, since there a constant weighs how long it is.
    """

    kept: IntArray | None
    offsets: tuple[float, float]


NOTHING = Condition(None, (0.0, 0.0))


def condition(rewards: tuple[FloatArray, FloatArray], entered: BoolArray | None, terminal: BoolArray) -> Condition:
    """What to leave out of a game.

    Args:
        rewards: the leader's and the follower's, ``[S, A, B]`` each.
        entered: the states that play can enter, ``[S]``; None for all.
        terminal: those in which it ends, ``[S]``.
    """
    if entered is None or entered.all():
        if terminal.any():
            return NOTHING
        return Condition(None, (common_offset(rewards[0]), common_offset(rewards[1])))
    offsets = (0.0, 0.0)
    if not terminal[entered].any():
        offsets = (common_offset(rewards[0][entered]), common_offset(rewards[1][entered]))
    huge = any(np.abs(table[~entered]).max() > HUGE for table in rewards)
    return Condition(np.flatnonzero(entered) if huge or (any(offsets) and terminal.any()) else None, offsets)


def reachable(transition: FloatArray, initial: FloatArray, terminal: BoolArray) -> BoolArray:
    """States that play can enter from ``initial``, whatever both players do, ``[S]``."""
    follows = (transition > 0).any(axis=(1, 2)) & ~terminal[:, None]
    found = np.asarray(initial > 0)
    while True:
        entered = found | follows[found].any(axis=0)
        if np.array_equal(entered, found):
            return entered
        found = entered


def common_offset(rewards: FloatArray) -> float:
    """The constant to take out of rewards, one of them; 0 where most of them have no large one in common."""
    flat = rewards.ravel()
    centre = float(np.partition(flat, flat.size // 2)[flat.size // 2])
    if centre == 0.0:
        return 0.0
    with np.errstate(over="ignore"):
        apart = np.abs(flat - centre)
    usual = float(np.partition(apart, apart.size // 2)[apart.size // 2])
    return centre if np.isfinite(apart).all() and abs(centre) > LARGE * usual else 0.0

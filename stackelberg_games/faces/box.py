"""Batches of real actions, checked against the Box they must lie in."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidActionError


def checked(player: str, actions: Any, space: gymnasium.Space[Any], count: int) -> FloatArray:
    """The actions as float64 ``[N, d]``.

    Args:
        player: for the message.
        actions: one for each episode.
        space: a flat Box.
        count: N.

    Raises:
        InvalidActionError: the shape is wrong, or an action is not a finite vector inside the Box.
    """
    assert isinstance(space, gymnasium.spaces.Box)
    array, shape = np.asarray(actions), (count, *space.shape)
    if array.shape != shape or array.dtype.kind not in "iuf":
        raise InvalidActionError(f"{player} actions {checks.shown(actions)}: expected numbers of shape {shape}")
    array = array.astype(np.float64, copy=False)
    inside = np.isfinite(array) & (array >= space.low) & (array <= space.high)
    if not inside.all():
        wrong = int(np.argmin(inside.all(axis=1)))
        raise InvalidActionError(
            f"{player} action {array[wrong].tolist()} of episode {wrong}: expected a point in {space}"
        )
    return array

"""Which actions are allowed: masks as environments give them, and states that carry the leader's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from stackelberg_games.arrays import BoolArray

KEY = "action_mask"
"""Under which PettingZoo's environments put a mask, in a Dict observation or in an info."""

FORBIDDEN = -1e9
"""The logit of a forbidden action: finite, so that it can be multiplied by zero, with probability zero."""


class MaskedBox(gymnasium.spaces.Box):
    """A flat Box of states whose last coordinates say which of the leader's actions are allowed, 1 or 0.

    Networks read it as the Box that it is; policies over finitely many actions give no probability to
    those with a 0.

    Args:
        box: of the state, without the mask.
        choices: number of the leader's actions.
    """

    def __init__(self, box: gymnasium.spaces.Box, choices: int) -> None:
        low, high = (np.concatenate([side, np.full(choices, k)]) for k, side in enumerate((box.low, box.high)))
        dtype: Any = box.dtype
        super().__init__(low.astype(dtype), high.astype(dtype), dtype=dtype)
        self.choices = choices

    def __eq__(self, other: object) -> bool:
        """Whether the other space is a masked one of the same bounds and number of actions."""
        return isinstance(other, MaskedBox) and self.choices == other.choices and super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]  # as of every Box

    def __repr__(self) -> str:
        """As the Box, with the number of choices."""
        return f"Masked{super().__repr__()[:-1]}, {self.choices} choices)"


def allowed(space: gymnasium.Space[Any], states: Any) -> BoolArray | None:
    """Which actions are allowed in states ``[..., n]``, bool ``[..., A]``; None where states say nothing of it."""
    if not isinstance(space, MaskedBox):
        return None
    return np.asarray(np.asarray(states)[..., -space.choices :] > 0)


def mask_of(observation: Any, info: Any) -> Any:
    """The mask, from the observation or else from the info; None where there is none."""
    for place in (observation, info):
        if isinstance(place, Mapping) and KEY in place:
            return place[KEY]
    return None

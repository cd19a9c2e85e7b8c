"""Vectors that stand for the elements of a space, as networks read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.rules.masks import MaskedBox


class Features:
    """Coordinates of a flat Box, or one-hot codes of a Discrete space.

    Args:
        space: a flat Box or a Discrete space.

    Attributes:
        size: numbers in a vector.
        scale: largest absolute value of every coordinate, 1 where there is no bound; float64 ``[size]``.

    Raises:
        UnsupportedGameError: the space is of another kind.
    """

    def __init__(self, space: gymnasium.Space[Any]) -> None:
        self.space = space
        if isinstance(space, gymnasium.spaces.Discrete):
            self.size = int(space.n)
            self.scale: FloatArray = np.ones(self.size)
        elif isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 1:
            self.size = int(space.shape[0])
            largest = np.maximum(np.abs(space.low), np.abs(space.high)).astype(np.float64)
            self.scale = np.where(np.isfinite(largest) & (largest > 0), largest, 1.0)
        else:
            raise UnsupportedGameError(f"{space}: networks read a flat Box or a Discrete space")

    @property
    def discrete(self) -> bool:
        """Whether the elements are codes."""
        return isinstance(self.space, gymnasium.spaces.Discrete)

    def __call__(self, values: Any) -> FloatArray:
        """The vectors of elements ``[...]`` or ``[..., size]``, float64 ``[..., size]``.

        Raises:
            InvalidArgumentError: a shape is wrong, a number is not finite or a code is out of range.
        """
        array = np.asarray(values)
        if isinstance(self.space, gymnasium.spaces.Discrete):
            codes = array - int(self.space.start)
            if array.dtype.kind not in "iu" or (codes < 0).any() or (codes >= self.size).any():
                raise InvalidArgumentError(f"{values!r}: expected elements of {self.space}")
            rows = np.zeros((*codes.shape, self.size))
            np.put_along_axis(rows, codes[..., None], 1.0, axis=-1)
            return rows
        if array.ndim < 1 or array.shape[-1] != self.size or array.dtype.kind not in "iuf":
            raise InvalidArgumentError(f"vectors of shape {array.shape}: expected numbers [..., {self.size}]")
        if not np.isfinite(array).all():
            raise InvalidArgumentError("a vector holds a number that is not finite")
        return array.astype(np.float64, copy=False)


def describe(space: gymnasium.Space[Any]) -> list[Any]:
    """Plain lists that ``rebuild`` makes the space of again."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return ["Discrete", int(space.n), int(space.start)]
    assert isinstance(space, gymnasium.spaces.Box)
    choices = [space.choices] if isinstance(space, MaskedBox) else []
    return ["Box", space.low.tolist(), space.high.tolist(), str(space.dtype), *choices]


def rebuild(description: Sequence[Any]) -> gymnasium.Space[Any]:
    """The space that ``describe`` described."""
    if description[0] == "Discrete":
        return gymnasium.spaces.Discrete(int(description[1]), start=int(description[2]))
    dtype: Any = np.dtype(description[3])
    box = gymnasium.spaces.Box(np.array(description[1], dtype), np.array(description[2], dtype), dtype=dtype)
    if len(description) == 4:
        return box
    choices = int(description[4])
    return MaskedBox(gymnasium.spaces.Box(box.low[:-choices], box.high[:-choices], dtype=dtype), choices)

"""Coordinates of a game of vectors, and grids of states in them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackelberg_games.arrays import FloatArray, IntArray


def _same(values: Any) -> FloatArray:
    return np.asarray(values, dtype=np.float64)


@dataclass(frozen=True)
class Chart:
    """Coordinates in which a box covers the states that play comes to.

    Attributes:
        low, high: ends of the box, ``[d]`` each, finite.
        periodic: of every coordinate, whether its two ends are the same place.
        coordinates: from states ``[N, n]`` to coordinates ``[N, d]``; the same numbers if not given.
        states: back, from coordinates to states.
    """

    low: FloatArray
    high: FloatArray
    periodic: tuple[bool, ...]
    coordinates: Callable[[Any], FloatArray] = _same
    states: Callable[[Any], FloatArray] = _same


class Grid:
    """Equally spaced points of a chart, and multilinear interpolation between them.

    Args:
        chart: the coordinates.
        points: along each of them; a periodic one has no point at its upper end.

    Attributes:
        states: at the points, ``[S, n]``.
    """

    def __init__(self, chart: Chart, points: tuple[int, ...]) -> None:
        self.chart, self.points = chart, points
        axes = [
            np.linspace(low, high, count, endpoint=not round_)
            for low, high, count, round_ in zip(chart.low, chart.high, points, chart.periodic, strict=True)
        ]
        mesh = np.meshgrid(*axes, indexing="ij")
        self.states = chart.states(np.stack([part.ravel() for part in mesh], axis=1))
        self._strides = [int(np.prod(points[axis + 1 :])) for axis in range(len(points))]

    def corners(self, states: FloatArray) -> tuple[IntArray, FloatArray]:
        """The points around states ``[N, n]`` and their weights, ``[N, 2^d]`` each; beyond an end, those of the end."""
        found = self.chart.coordinates(states)
        below, above, share = [], [], []
        for axis, (count, stride) in enumerate(zip(self.points, self._strides, strict=True)):
            low, high, round_ = self.chart.low[axis], self.chart.high[axis], self.chart.periodic[axis]
            place = (found[:, axis] - low) / (high - low) * (count if round_ else count - 1)
            place = place if round_ else np.clip(place, 0, count - 1)
            first = np.floor(place) if round_ else np.minimum(np.floor(place), count - 2)
            share.append(place - first)
            whole = first.astype(np.int64)
            below.append(whole % count * stride)
            above.append((whole + 1) % count * stride)
        numbers = np.empty((len(states), 2 ** len(self.points)), dtype=np.int64)
        weights = np.empty(numbers.shape)
        for k, sides in enumerate(itertools.product((False, True), repeat=len(self.points))):
            numbers[:, k] = sum(above[axis] if side else below[axis] for axis, side in enumerate(sides))
            weights[:, k] = np.prod([share[i] if side else 1 - share[i] for i, side in enumerate(sides)], axis=0)
        return numbers, weights

"""Learning curves of several runs: on common points, and with a band over the runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.settings import checked

Curve = tuple[FloatArray, FloatArray]
"""Where it was measured, rising, and the values there, ``([P], [P])``."""


class ConfidenceBand(NamedTuple):
    """A curve with a pointwise band; every field is ``[P]``."""

    value: FloatArray
    low: FloatArray
    high: FloatArray


@checked
def median_band(runs: FloatArray, *, confidence: float = 0.95) -> ConfidenceBand:
    """Median over runs at every point of a curve, between two of the runs' order statistics.

    The band holds the distribution's median with the given confidence, whatever the distribution;
    with fewer runs than that takes (six for 95 %) it reaches from the lowest to the highest.

    Examples:
        >>> import numpy as np
        >>> from stackelberg_games.learning.curves import median_band
        >>> runs = np.arange(10.0)[:, None] + np.array([0.0, 100.0])  # ten runs, two points
        >>> band = median_band(runs)
        >>> band.value, band.low, band.high
        (array([  4.5, 104.5]), array([  1., 101.]), array([  8., 108.]))

    Args:
        runs: ``[n, P]``.
        confidence: in (0, 1).
    """
    from scipy.stats import binom  # takes half a second to load, in every worker of a tournament

    tail = (1 - checks.number("confidence", confidence, above=0, below=1)) / 2
    runs = checks.array("runs", runs, 2, finite=False)
    if not len(runs):
        raise InvalidArgumentError("runs holds no run: expected at least one")
    ordered = np.sort(runs, axis=0)
    outside = max(0, int(binom.ppf(tail, len(runs), 0.5)) - 1)  # left out at either end
    return ConfidenceBand(np.median(runs, axis=0), ordered[outside], ordered[len(runs) - 1 - outside])


def aligned(curves: Sequence[Curve], *, hold: bool) -> tuple[FloatArray, FloatArray]:
    """The points at which any curve was measured, ``[P]``, and every curve there, ``[runs, P]``.

    Between its points a curve keeps the last value. The points start where every curve has one. Where there
    are far more of them than in any curve, equal steps take their place.

    Args:
        curves: of the runs.
        hold: whether a curve that ends before the others is held at its last value; else the points end with it.
    """
    if not curves or any(not len(places) for places, _ in curves):
        return np.empty(0), np.empty((len(curves), 0))
    start, most = max(places[0] for places, _ in curves), max(len(places) for places, _ in curves)
    end = (max if hold else min)(places[-1] for places, _ in curves)
    grid = np.unique(np.concatenate([places for places, _ in curves]))
    grid = grid[(grid >= start) & (grid <= end)]
    if len(grid) > 2 * most:
        grid = np.linspace(start, grid[-1], most)
    values = [np.asarray(v)[np.searchsorted(places, grid, side="right") - 1] for places, v in curves]
    return grid.astype(float), np.array(values, dtype=float).reshape(len(curves), len(grid))

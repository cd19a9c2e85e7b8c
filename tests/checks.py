"""Statistical decisions, in one place so that every test rejects by the same rule."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from stackelberg_games.arrays import FloatArray

FALSE_ALARM = 1e-4
"""Chance that a correct program fails one statistical check."""


def mean_p_value(samples: FloatArray, expected: FloatArray) -> float:
    """Joint z-test of all coordinates of a mean (Hotelling's T squared, in its F form).

    Directions in which the samples do not vary must agree to rounding.
    """
    count = len(samples)
    deviation = samples.mean(axis=0) - expected
    variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(samples, rowvar=False)) / count)
    scale = max(float(np.abs(samples).max()), 1e-300)
    kept = variances > 1e-10 * variances.max()
    if variances.max() < (1e-12 * scale) ** 2:
        kept[:] = False
    along = axes.T @ deviation
    if np.abs(along[~kept]).max(initial=0.0) > 1e-4 * np.sqrt(variances.max()) + 1e-9 * scale:
        return 0.0
    freedom = int(kept.sum())
    statistic = (along[kept] ** 2 / variances[kept]).sum() * (count - freedom) / (max(freedom, 1) * (count - 1))
    return float(stats.f.sf(statistic, freedom, count - freedom)) if freedom else 1.0


def look_uniform(p_values: ArrayLike) -> bool:
    """Whether p-values of independent true hypotheses could be these."""
    values = np.asarray(p_values, dtype=float)
    smallest = float(values.min()) * len(values)
    return bool(stats.kstest(values, "uniform").pvalue > FALSE_ALARM and smallest > FALSE_ALARM)


def counts_p_value(counts: ArrayLike, probabilities: ArrayLike) -> float:
    """Chi-squared test of counts ``[..., K]`` against rows of probabilities ``[..., K]``.

    Rare cells are pooled until 5 counts are expected. Returns 0 where something of probability
    zero was counted.
    """
    observed, rows = np.asarray(counts, dtype=float), np.asarray(probabilities, dtype=float)
    if observed[rows == 0].any():
        return 0.0
    expected = observed.sum(axis=-1, keepdims=True) * rows
    width = observed.shape[-1]
    parts = [_pooled(*pair) for pair in zip(observed.reshape(-1, width), expected.reshape(-1, width), strict=True)]
    freedom = sum(len(part) - 1 for part in parts if part)
    return float(stats.chi2.sf(sum(sum(part) for part in parts if len(part) > 1), freedom)) if freedom else 1.0


def _pooled(observed: FloatArray, expected: FloatArray) -> list[float]:
    """Terms of the statistic of one row, from the rarest cell on."""
    terms, seen, wanted = [], 0.0, 0.0
    for k in np.argsort(expected):
        seen, wanted = seen + observed[k], wanted + expected[k]
        if wanted >= 5:
            terms.append((seen - wanted) ** 2 / wanted)
            seen = wanted = 0.0
    return terms

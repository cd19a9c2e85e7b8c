"""Statistics of tournaments: pure functions from scores to estimates with intervals.

Scores come as *strata*: one array of runs for each task (a game with a follower), ``[n_k]`` or, for
several leaders that met the same random numbers, ``[n_k, leaders]``. Runs are resampled within
their task only, and leaders of one run together (paired).

Intervals are stratified bootstrap percentiles (Agarwal et al., "Deep RL at the edge of the
statistical precipice", NeurIPS 2021), stretched about the estimate: plain percentiles are too narrow
for few runs, because a resample has variance (n-1)/n of the sample's and because its tails are
normal, not Student's (Hesterberg, "What teachers should know about the bootstrap", American
Statistician 2015, section 5.3). ``docs/tournaments.md`` has the measured coverage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.errors import InvalidArgumentError

Strata = Sequence[FloatArray]
Statistic = Callable[..., FloatArray]
RESAMPLES = 2000


class Estimate(NamedTuple):
    """A number and its interval; the ends are NaN where there are fewer than two runs."""

    value: float
    low: float
    high: float

    def overlaps(self, other: Estimate) -> bool:
        """Whether the intervals share a point; an unknown interval overlaps everything."""
        return not (self.low > other.high or other.low > self.high)


def interquartile_mean(values: FloatArray, axis: int = -1) -> FloatArray:
    """Mean of the middle half along an axis: a quarter of the runs is left out at either end."""
    return np.asarray(stats.trim_mean(values, 0.25, axis=axis))


def bootstrap(
    strata: Strata, statistic: Statistic, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """A statistic of all tasks together, with a stratified bootstrap interval.

    Args:
        strata: one array for each task, ``[n_k]`` or ``[n_k, ...]``.
        statistic: called with resampled strata ``[B, n_k, ...]``, returns ``[B]``.
        confidence: of the interval, in (0, 1).
        resamples: B.
        seed: of the resampling.

    Raises:
        InvalidArgumentError: a stratum is empty or holds NaN, or ``confidence`` is out of range.
    """
    check_strata(strata)
    value = float(statistic(*(runs[None] for runs in strata))[0])
    counts = [len(runs) for runs in strata]
    if min(counts) < 2:
        return Estimate(value, float("nan"), float("nan"))
    found = stats.bootstrap(
        tuple(np.arange(n) for n in counts),  # indices, so that leaders of one run stay together
        lambda *rows, axis: statistic(*(runs[index] for runs, index in zip(strata, rows, strict=True))),
        n_resamples=resamples,
        batch=max(1, 2_000_000 // sum(runs.size for runs in strata)),
        vectorized=True,
        axis=-1,
        method="percentile",
        confidence_level=_checked(confidence),
        rng=np.random.default_rng(seed),
    )
    factor = stretch(confidence, strata)
    low, high = (value + factor * (float(end) - value) for end in found.confidence_interval)
    return Estimate(value, low, high)


def stretch(confidence: float, strata: Strata) -> float:
    """By how much percentiles must be stretched to make up for few runs; 1 for many.

    The product of sqrt(sum v_k / sum v_k (n_k - 1)/n_k), v_k being task k's share in the variance of
    a mean over all runs, and of the ratio of Student's quantile, with the degrees of freedom of
    Satterthwaite for that variance, to the normal one.
    """
    counts = np.array([len(runs) for runs in strata], dtype=float)
    shares = np.array([runs.reshape(len(runs), -1).var(axis=0, ddof=1).mean() * len(runs) for runs in strata])
    if not shares.sum() > 0:
        return 1.0
    shares /= shares.sum()
    freedom = 1.0 / (shares**2 / (counts - 1)).sum()
    narrow = (shares * (counts - 1) / counts).sum()
    level = 0.5 + _checked(confidence) / 2
    return float(stats.t.ppf(level, freedom) / stats.norm.ppf(level) / narrow**0.5)


def _checked(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise InvalidArgumentError(f"confidence={confidence!r}: expected a number in (0, 1)")
    return confidence


def check_strata(strata: Strata) -> None:
    """Raise ``InvalidArgumentError`` unless there are strata, none empty, all finite."""
    if not strata or any(len(runs) == 0 for runs in strata):
        raise InvalidArgumentError("expected at least one task and at least one run of each")
    if not all(np.isfinite(runs).all() for runs in strata):
        raise InvalidArgumentError("scores hold NaN or infinity; leave missing runs out")


def iqm(strata: Strata, **options: float) -> Estimate:
    """Interquartile mean over all runs of all tasks; ``options`` go to ``bootstrap``."""
    return bootstrap(strata, lambda *runs: interquartile_mean(np.concatenate(runs, axis=-1)), **options)  # type: ignore[arg-type]


def mean(strata: Strata, **options: float) -> Estimate:
    """Mean over tasks of the mean over runs; every task counts the same."""
    return bootstrap(strata, lambda *runs: np.mean([r.mean(axis=-1) for r in runs], axis=0), **options)  # type: ignore[arg-type]


def probability_of_improvement(ours: Strata, theirs: Strata, **options: float) -> Estimate:
    """Probability that a run of ours beats an independent run of theirs on the same task.

    Ties count half; averaged over tasks. Runs with the same index met the same random numbers and
    are resampled together.

    Raises:
        InvalidArgumentError: the numbers of runs differ.
    """
    if [len(runs) for runs in ours] != [len(runs) for runs in theirs]:
        raise InvalidArgumentError("both leaders need the same runs of the same tasks")
    wins = [0.5 + 0.5 * np.sign(x[:, None] - y[None, :]) for x, y in zip(ours, theirs, strict=True)]

    def statistic(*rows: IntArray) -> FloatArray:
        shares = []
        for table, index in zip(wins, rows, strict=True):
            weights = _multiplicity(index[..., 0].astype(np.int64), len(table))
            shares.append(((weights @ table) * weights).sum(axis=-1) / len(table) ** 2)
        return np.asarray(np.mean(shares, axis=0))

    numbers = [np.arange(float(len(runs)))[:, None] for runs in ours]
    pairs = [np.stack([x, y], axis=-1) for x, y in zip(ours, theirs, strict=True)]
    check_strata(pairs)
    found = bootstrap(numbers, statistic, **options)  # type: ignore[arg-type]
    return Estimate(found.value, max(found.low, 0.0), min(found.high, 1.0))  # a probability


def _multiplicity(index: IntArray, count: int) -> FloatArray:
    """How often each run was drawn: ``[B, n]`` indices to ``[B, count]`` weights."""
    flat = (index + count * np.arange(len(index))[:, None]).ravel()
    return np.bincount(flat, minlength=count * len(index)).reshape(len(index), count).astype(float)


class Band(NamedTuple):
    """A curve with pointwise intervals; every field is ``[P]``."""

    value: FloatArray
    low: FloatArray
    high: FloatArray


def iqm_band(runs: FloatArray, *, confidence: float = 0.95, resamples: int = 500, seed: int = 0) -> Band:
    """Interquartile mean over runs at every point of a curve, with pointwise bootstrap intervals.

    Args:
        runs: ``[n, P]``.
        confidence, resamples, seed: see ``bootstrap``.
    """
    value = interquartile_mean(runs, axis=0)
    if len(runs) < 2:
        unknown = np.full(len(value), np.nan)
        return Band(value, unknown, unknown)
    index = np.random.default_rng(seed).integers(len(runs), size=(resamples, len(runs)))
    parts = np.array_split(index, max(1, index.size * runs.shape[1] // 2_000_000))
    samples = np.concatenate([interquartile_mean(runs[part], axis=1) for part in parts])
    return Band(value, *_stretched(value, samples, confidence, [runs]))


def _stretched(
    value: FloatArray, samples: FloatArray, confidence: float, strata: Strata
) -> tuple[FloatArray, FloatArray]:
    """Ends of the interval at every point, from resamples ``[B, P]``."""
    tail = (1 - _checked(confidence)) / 2
    ends = value + stretch(confidence, strata) * (np.quantile(samples, [tail, 1 - tail], axis=0) - value)
    return ends[0], ends[1]


class Profile(NamedTuple):
    """A performance profile; every field is ``[thresholds]``."""

    thresholds: FloatArray
    fraction: FloatArray
    low: FloatArray
    high: FloatArray


def performance_profile(
    strata: Strata, thresholds: FloatArray, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Profile:
    """Fraction of runs with a score above each threshold, with pointwise bootstrap intervals.

    Every task counts the same.
    """
    check_strata(strata)
    above = [runs[:, None] > thresholds for runs in strata]
    fraction = np.mean([table.mean(axis=0) for table in above], axis=0)
    if min(len(runs) for runs in strata) < 2:
        unknown = np.full(len(thresholds), np.nan)
        return Profile(thresholds, fraction, unknown, unknown)
    draws = np.random.default_rng(seed)
    samples = np.zeros((resamples, len(thresholds)))
    for table in above:
        weights = draws.multinomial(len(table), np.full(len(table), 1 / len(table)), size=resamples)
        samples += weights @ table.astype(float) / len(table) / len(above)
    low, high = _stretched(fraction, samples, confidence, strata)
    return Profile(thresholds, fraction, np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0))


def ranks(estimates: Sequence[Estimate]) -> list[int]:
    """Rank of each estimate: one more than the number whose interval lies wholly above.

    Overlapping intervals therefore tie; equal ranks may be shared by many.
    """
    return [1 + sum(other.low > mine.high for other in estimates) for mine in estimates]

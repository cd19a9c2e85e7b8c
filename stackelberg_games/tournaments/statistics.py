"""Statistics of tournaments: pure functions from scores to estimates with intervals.

Scores come as tables ``[tasks, runs]``, NaN where a run is missing. Tasks (a game with a follower) are
fixed and count the same; runs of a task are independent, and runs of different leaders with the same
index met the same random numbers.

Nothing is resampled: three to ten runs say too little of a distribution for a bootstrap, which then
promises far more than it keeps. The intervals here hold for every distribution of bounded scores, have
a width even where all runs agree, and are wide where there are few runs. ``docs/tournaments.md`` has
their measured coverage and widths.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaincinv

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.learning.curves import median_band
from stackelberg_games.settings import checked

TIE = 1e-9
"""Scores that differ by no more than this are tied: exact payoffs are not exact beyond."""
OPPOSED = 0.75
"""Share of the runs that a comparison counts as independent; see ``probability_of_improvement``."""
STAKES = 20.0 ** np.arange(1, 4)
"""Bets against a mean, divided by the root of the number of runs. Any are valid; these make short intervals."""


ENOUGH = 6
"""Runs that an interval of a median takes at 95 %, whatever the distribution."""


class Estimate(NamedTuple):
    """A number and its interval."""

    value: float
    low: float
    high: float


def median(runs: FloatArray) -> Estimate:
    """Median of the distribution of runs ``[n]`` with its 95 % interval; see ``learning.curves.median_band``. NaN without runs."""
    if not len(runs):
        return Estimate(*[float("nan")] * 3)
    return Estimate(*(float(end[0]) for end in median_band(runs[:, None])))


def check_scores(scores: FloatArray) -> FloatArray:
    """Finite scores, or NaN where a run is missing.

    Raises:
        InvalidArgumentError: the table is not ``[tasks, runs]``, a task has no run, or a score is infinite.
    """
    table = checks.array("scores", scores, finite=False)
    if table.ndim != 2 or not len(table) or not (~np.isnan(table)).any(axis=1).all():
        raise InvalidArgumentError("expected a table [tasks, runs] with at least one run of every task")
    if np.isinf(table).any():
        raise InvalidArgumentError("scores hold infinity; a missing run is NaN")
    return table


def _tail(confidence: float) -> float:
    """Chance of missing the truth that each end of an interval may take."""
    return (1 - checks.number("confidence", confidence, above=0, below=1)) / 2


def _trials(counts: FloatArray) -> float:
    """As how many runs unequal counts of them count, every task having the same weight: the fewest of any task."""
    return float(len(counts) * counts.min())


def clopper_pearson(
    share: FloatArray | float, trials: float, confidence: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Ends of the exact interval of a probability, of the shape of ``share``.

    Args:
        share: of the trials that succeeded; of real numbers of trials too, by the beta distribution.
        trials: > 0. Of independent trials with different probabilities, the interval holds their
            mean: their sum varies less than a binomial one (Hoeffding, Annals of Mathematical
            Statistics 1956).
        confidence: in (0, 1).
    """
    tail, won = _tail(confidence), np.asarray(share, dtype=float) * trials
    lost = trials - won
    with np.errstate(invalid="ignore"):  # the beta quantile of no successes is NaN, and its limit 0
        low, high = betaincinv(won, lost + 1, tail), betaincinv(won + 1, lost, 1 - tail)
    tiny = 1e-12 * trials
    return np.asarray(np.where(won <= tiny, 0.0, low)), np.asarray(np.where(lost <= tiny, 1.0, high))


@checked
def bounded_mean(scores: FloatArray, low: float, high: float, *, confidence: float = 0.95) -> Estimate:
    """Mean over tasks of the mean over runs, with an interval for any distribution between two bounds.

    Put scores on [0, 1] and let m be a candidate for the mean. For every stake b >= 0 the product over
    runs of (1 + b x) / (1 + b m) has expectation at most 1 if the true mean is at most m: each factor's
    is (1 + b m_k) / (1 + b m), and the product of these is largest where all tasks have the same mean.
    So has the average over ``STAKES``, and m is too low where that exceeds 2 / (1 - confidence) (Markov;
    "Estimating means of bounded random variables by betting", Waudby-Smith and Ramdas, JRSS B 2024).
    Runs of a task that has more of them than others are weighted down to the fewest.

    Args:
        scores: ``[tasks, runs]``, NaN for missing runs.
        low, high: bounds that no score can leave, whatever happens.
        confidence: that the interval holds the mean, at least; in (0, 1).

    Raises:
        InvalidArgumentError: a score is out of bounds, a task has no run, or ``confidence`` is out of range.
    """
    table = check_scores(scores)
    known = ~np.isnan(table)
    counts = known.sum(axis=1)
    if not (low < high and np.nanmin(table) >= low and np.nanmax(table) <= high):
        raise InvalidArgumentError(f"bounds {low!r} and {high!r}: expected scores between them")
    tail, trials, unit = _tail(confidence), _trials(counts), (table - low) / (high - low)
    ends, stakes = [], STAKES / trials**0.5
    for side in (unit, 1 - unit):
        side = np.where(known, side, 0.0)
        growth = np.log1p(stakes[:, None, None] * side).sum(axis=-1) / counts  # [stakes, tasks]
        middle = float((side.sum(axis=1) / counts).mean())
        ends.append(_least_mean(trials * growth.mean(axis=-1), trials, stakes, middle, np.log(1 / tail)))
    value = float(np.mean(np.where(known, table, 0.0).sum(axis=1) / counts))
    return Estimate(value, low + (high - low) * ends[0], high - (high - low) * ends[1])


def _least_mean(growth: FloatArray, trials: float, stakes: FloatArray, middle: float, bar: float) -> float:
    """The lowest mean below ``middle`` that bets with log-growth ``[stakes]`` do not refute."""

    def excess(mean: float) -> float:
        wealth = np.logaddexp.reduce(growth - trials * np.log1p(stakes * mean)) - np.log(len(stakes))
        return float(wealth - bar)

    return 0.0 if excess(0.0) <= 0 else float(brentq(excess, 0.0, middle, xtol=1e-12))


class Comparison(NamedTuple):
    """One leader against another.

    Attributes:
        value: probability that a run of the one beats a run of the other with another seed, on the
            same task; ties count half, tasks the same.
        low, high: its interval.
        won: pairs of runs that were won, ties counted half.
        pairs: how many there are.
        runs: of the leader with fewer of them, over all tasks.
        same_seed: share won in the pairs of the same seed, which met the same random numbers; NaN
            where there are none.
        by_task: share won in the pairs of each task.
    """

    value: float
    low: float
    high: float
    won: float
    pairs: int
    runs: int
    same_seed: float
    by_task: tuple[float, ...]

    @property
    def tally(self) -> str:
        """``350.5 of 540``: pairs won of all pairs."""
        return f"{self.won:,.1f}".removesuffix(".0") + f" of {self.pairs:,}"

    @property
    def ahead(self) -> int:
        """Tasks on which more than half of the pairs were won."""
        return sum(share > 0.5 for share in self.by_task)

    @property
    def beats(self) -> bool:
        """Whether all pairs say so: the interval lies above a half, and most pairs of the same seed are not lost."""
        return self.low > 0.5 and not self.same_seed < 0.5

    def reversed(self) -> Comparison:
        """The other leader against the one."""
        return self._replace(
            value=1 - self.value,
            low=1 - self.high,
            high=1 - self.low,
            won=self.pairs - self.won,
            same_seed=1 - self.same_seed,
            by_task=tuple(1 - share for share in self.by_task),
        )


@checked
def probability_of_improvement(ours: FloatArray, theirs: FloatArray, *, confidence: float = 0.95) -> Comparison:
    """Probability that a run of ours beats an independent run of theirs on the same task.

    Only pairs of different seeds are averaged: runs of the same seed share random numbers. The
    interval is Clopper and Pearson's for as many trials as there are runs, times ``OPPOSED``: if leaders
    are independent or share their luck, the variance is at most that of a trial a run (van Dantzig,
    Indagationes Mathematicae 1951); if what helps one hurts the other, it can be 4/3 of it.

    Args:
        ours, theirs: ``[tasks, runs]``, the same column for the same seed; NaN for missing runs.
        confidence: in (0, 1).

    Raises:
        InvalidArgumentError: the tables differ in shape, or a task has no pair of different seeds.
    """
    first, second = check_scores(ours), check_scores(theirs)
    if first.shape != second.shape:
        raise InvalidArgumentError("both leaders need tables [tasks, runs] of the same shape")
    ahead = first[:, :, None] - second[:, None, :]
    met = ~np.isnan(ahead)
    wins = np.where(met, 0.5 + 0.5 * np.sign(np.where(np.abs(ahead) <= TIE, 0.0, ahead)), 0.0)
    same, own = (np.einsum("kss->ks", table).sum(axis=1) for table in (met, wins))
    pairs, won = met.sum(axis=(1, 2)) - same, wins.sum(axis=(1, 2)) - own
    if not pairs.all():
        raise InvalidArgumentError("expected runs of different seeds on every task")
    counts = np.minimum(*((~np.isnan(table)).sum(axis=1) for table in (first, second)))
    shares = won / pairs
    low, high = clopper_pearson(shares.mean(), OPPOSED * _trials(counts), confidence)
    return Comparison(
        float(shares.mean()),
        float(low),
        float(high),
        won=float(won.sum()),
        pairs=int(pairs.sum()),
        runs=int(counts.sum()),
        same_seed=float(own.sum() / same.sum()) if same.any() else float("nan"),
        by_task=tuple(shares.tolist()),
    )


class Profile(NamedTuple):
    """A performance profile; every field is ``[thresholds]``."""

    thresholds: FloatArray
    fraction: FloatArray
    low: FloatArray
    high: FloatArray


@checked
def performance_profile(scores: FloatArray, thresholds: FloatArray, *, confidence: float = 0.95) -> Profile:
    """Fraction of runs with a score above each threshold, with pointwise Clopper-Pearson intervals.

    Every task counts the same.
    """
    table, thresholds = check_scores(scores), checks.array("thresholds", thresholds, 1)
    counts = (~np.isnan(table)).sum(axis=1)
    above = (table[:, :, None] > thresholds).sum(axis=1) / counts[:, None]
    fraction = above.mean(axis=0)
    return Profile(thresholds, fraction, *clopper_pearson(fraction, _trials(counts), confidence))

"""How often the 95 % intervals of tournaments hold the truth, over simulated tournaments.

    python benchmarks/coverage.py [TOURNAMENTS] [ratings]

Prints one row for each distribution of scores, number of tasks and number of runs, with the
coverage of the interquartile mean, the mean, the probability of improvement over a shifted rival,
a point of the performance profile, in per cent; with ``ratings``, that of Bradley-Terry ratings
among four leaders instead.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from scipy import stats

from stackelberg_games.tournaments import statistics
from stackelberg_games.tournaments.ratings import bradley_terry, pairwise_wins, rate
from stackelberg_games.tournaments.statistics import Estimate

Sampler = Callable[[np.random.Generator, int, int], np.ndarray]
SCORES: dict[str, Sampler] = {
    "normal, alike": lambda r, n, k: r.normal(0.0, 1.0, n),
    "normal, apart": lambda r, n, k: r.normal(3.0 * k, 1.0, n),
    "normal, unequal spread": lambda r, n, k: r.normal(0.0, 1.0 + 0.5 * k, n),
    "uniform": lambda r, n, k: r.uniform(0.0, 1.0, n),
    "near the optimum, beta(8, 2)": lambda r, n, k: r.beta(8.0, 2.0, n),
    "exponential": lambda r, n, k: r.exponential(1.0, n),
    "half fail: 0 or 1, with noise": lambda r, n, k: (r.random(n) < 0.5) + 0.05 * r.normal(size=n),
}
SIZES = ((1, 5), (1, 10), (3, 5), (3, 10), (6, 10), (3, 30))
SHIFT = 0.5
MANY = 1_000_000
NAMES = ("IQM", "mean", "improvement", "profile")


def rivals(sampler: Sampler, draws: np.random.Generator, tasks: int, runs: int, scales: list[float]) -> np.ndarray:
    """Scores of four leaders, each half a standard deviation above the one before, ``[tasks, runs, 4]``."""
    shifts = SHIFT * np.arange(4)
    return np.stack(
        [
            np.stack([sampler(draws, runs, k) + shift * scale for shift in shifts], axis=-1)
            for k, scale in enumerate(scales)
        ]
    )


def true_rating(sampler: Sampler, tasks: int, runs: int, scales: list[float]) -> float:
    """Rating of the best of ``rivals`` if every pair won exactly as often as expected."""
    expected = np.zeros((4, 4))
    for row in rivals(sampler, np.random.default_rng(9), tasks, 100_000, scales):
        expected += pairwise_wins(row) * runs / len(row)
    return float(bradley_terry(expected)[-1])


def truths(sampler: Sampler, tasks: int) -> tuple[float, float, float, float, float]:
    """Four population values, and the threshold of the profile (the median of task 0)."""
    draws = np.random.default_rng(123)
    pools = [sampler(draws, MANY // tasks, k) for k in range(tasks)]
    scales = [pool.std() for pool in pools]
    better = np.mean(
        [
            np.mean(pool + SHIFT * scale > sampler(draws, len(pool), k))
            for k, (pool, scale) in enumerate(zip(pools, scales, strict=True))
        ]
    )
    threshold = float(np.median(pools[0]))
    profile = np.mean([(pool > threshold).mean() for pool in pools])
    middle = float(stats.trim_mean(np.concatenate(pools), 0.25))
    return middle, float(np.mean([pool.mean() for pool in pools])), float(better), float(profile), threshold


def covered(sampler: Sampler, tasks: int, runs: int, tournaments: int) -> list[float]:
    """Share of tournaments whose interval holds the truth, for each of ``NAMES``."""
    *wanted, threshold = truths(sampler, tasks)
    scales = [float(sampler(np.random.default_rng(k), MANY // 10, k).std()) for k in range(tasks)]
    draws = np.random.default_rng([runs, tasks])
    hits = np.zeros(len(NAMES))
    for seed in range(tournaments):
        ours = [sampler(draws, runs, k) for k in range(tasks)]
        theirs = [sampler(draws, runs, k) - SHIFT * scale for k, scale in enumerate(scales)]
        profile = statistics.performance_profile(ours, np.array([threshold]), resamples=1000, seed=seed)
        found = (
            statistics.iqm(ours, resamples=1000, seed=seed),
            statistics.mean(ours, resamples=1000, seed=seed),
            statistics.probability_of_improvement(ours, theirs, resamples=1000, seed=seed),
            Estimate(float(profile.fraction[0]), float(profile.low[0]), float(profile.high[0])),
        )
        hits += [e.low <= truth <= e.high for e, truth in zip(found, wanted, strict=True)]
    return list(hits / tournaments)


def rating_covered(sampler: Sampler, tasks: int, runs: int, tournaments: int) -> list[float]:
    """Share of tournaments whose interval holds the true rating of the best of ``rivals``."""
    scales = [float(sampler(np.random.default_rng(k), MANY // 10, k).std()) for k in range(tasks)]
    truth = true_rating(sampler, tasks, runs, scales)
    draws = np.random.default_rng([runs, tasks, 4])
    found = [rate(rivals(sampler, draws, tasks, runs, scales), seed=k)[-1] for k in range(tournaments)]
    return [float(np.mean([e.low <= truth <= e.high for e in found]))]


def main() -> None:
    """Print the table."""
    tournaments = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    names, study = (("rating",), rating_covered) if "ratings" in sys.argv else (NAMES, covered)
    print(f"| scores | tasks | runs | {' | '.join(names)} |")
    print("|---|---|---|" + "---|" * len(names))
    for label, sampler in SCORES.items():
        for tasks, runs in SIZES:
            shares = study(sampler, tasks, runs, tournaments)
            print(f"| {label} | {tasks} | {runs} | " + " | ".join(f"{100 * s:.1f}" for s in shares) + " |", flush=True)


if __name__ == "__main__":
    main()

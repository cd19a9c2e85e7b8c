"""What the statistics of tournaments promise and keep, over simulated tournaments whose truth is known.

    python benchmarks/tournament_statistics.py [--tournaments 1000] [--workers 2] [--out docs/data/tournament_statistics.json]

Two leaders meet in 1, 3 or 10 games with 3, 5 or 10 seeds. Six distributions of regrets; the luck of
the two in a seed is opposed, independent or shared (a Gaussian copula of a given correlation); all
matches are played, or 30 % of them are missing at random. In each of these cells so many tournaments
are simulated, and for every interval that a report prints the share that held the truth is stored,
with the mean width. Then twice as many random tournaments of two to five leaders, every other one
truncated, go through results, leaderboard and headline: none may be contradicted by the pairs of runs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import norm

sys.path.insert(0, str(Path(__file__).parent.parent))
from stackelberg_games import __version__
from stackelberg_games.arrays import FloatArray
from stackelberg_games.learning.curves import median_band
from stackelberg_games.tournaments import statistics
from stackelberg_games.tournaments.payoffs import FLOOR
from stackelberg_games.tournaments.results import Results
from stackelberg_games.tournaments.verdict import verdict
from tests.made_up import made_up

DISASTER = 6267.0
"""A regret far beyond the floor of scores."""
REGRETS: dict[str, tuple[Callable[[FloatArray], FloatArray], float]] = {
    "normal": (lambda u: 0.3 + 0.1 * norm.ppf(u), 0.1),
    "exponential": (lambda u: -0.1 * np.log1p(-u), 0.07),
    "lognormal, deviation 2": (lambda u: 0.05 * np.exp(2 * norm.ppf(u)), 0.1),
    "one in twenty fails": (lambda u: np.where(u > 0.95, DISASTER, 0.05 + 0.01 * norm.ppf(u)), 0.01),
    "half fail": (lambda u: 0.9 * (u > 0.5) + 0.05 + 0.01 * norm.ppf(u), 0.01),
    "two values, many ties": (lambda u: 0.5 * (u > 0.4), 0.0),
}
"""Quantile functions of regret, and by how much the second leader's is worse."""
SPREADS = (1.0, 2.0, 0.5)
"""The games' scales of regret, over and over."""
GAPS = (1.0, 1.0, -0.5)
"""By how many gaps the second leader is worse in these games: it is better in the third."""
CORRELATIONS = (-0.9, -0.5, 0.0, 0.5, 0.9)
SEEDS, GAMES, MISSING = (3, 5, 10), (1, 3, 10), (0.0, 0.3)
STATISTICS = ("score", "pairs", "profile", "median")
BAR = 0.95
POINTS = 400_000


class Cell(NamedTuple):
    """One kind of tournament."""

    regrets: str
    games: int
    seeds: int
    correlation: float
    missing: float


class Truth(NamedTuple):
    """Of the first leader in one game: mean score, chance against the second, share above the median of the first game."""

    mean: float
    better: float
    above: float
    median: float


def grid() -> Iterator[Cell]:
    """All cells."""
    for values in itertools.product(REGRETS, GAMES, SEEDS, CORRELATIONS, MISSING):
        yield Cell(*values)


def scores_of(regrets: str, game: int, luck: FloatArray, second: float = 0.0) -> FloatArray:
    """Scores of a leader from the quantiles of its luck, without bounds; ``second`` times the gap is lost."""
    quantile, gap = REGRETS[regrets]
    kind = game % len(SPREADS)
    return np.asarray(1.0 - SPREADS[kind] * (quantile(luck) + second * GAPS[kind] * gap))


@cache
def truth(regrets: str, game: int) -> Truth:
    """By integration over quantiles."""
    luck = (np.arange(POINTS) + 0.5) / POINTS
    ours, theirs = scores_of(regrets, game, luck), np.sort(scores_of(regrets, game, luck, 1.0))
    less, no_more = (np.searchsorted(theirs, ours + shift) for shift in (-statistics.TIE, statistics.TIE))
    bounded = np.clip(ours, FLOOR, 1.0)
    return Truth(
        float(bounded.mean()),
        float((less + no_more).mean() / 2 / POINTS),
        float((bounded > threshold(regrets)).mean()),
        float(np.quantile(bounded, 0.5, method="inverted_cdf")),
    )


@cache
def threshold(regrets: str) -> float:
    """Where profiles are judged: a little below the median score of the first game."""
    return float(scores_of(regrets, 0, np.array(0.55)))


def luck(draws: np.random.Generator, correlation: float, shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    """Quantiles of two leaders' luck, the same entry for the same seed."""
    ours = draws.normal(size=shape)
    theirs = correlation * ours + (1 - correlation**2) ** 0.5 * draws.normal(size=shape)
    return np.asarray(norm.cdf(ours)), np.asarray(norm.cdf(theirs))


def play(draws: np.random.Generator, cell: Cell) -> tuple[FloatArray, FloatArray]:
    """Scores of two leaders without bounds, ``[games, seeds]``, NaN where a match is missing."""
    pair = luck(draws, cell.correlation, (cell.games, cell.seeds))
    found = []
    for leader, quantiles in enumerate(pair):
        table = np.array([scores_of(cell.regrets, g, row, float(leader)) for g, row in enumerate(quantiles)])
        found.append(np.where(draws.random(table.shape) < cell.missing, np.nan, table))
    return found[0], found[1]


def intervals(cell: Cell, draws: np.random.Generator) -> dict[str, tuple[float, float, float]]:
    """Truth and ends of every interval of one tournament, on the tasks that the leaders have in common."""
    ours, theirs = play(draws, cell)
    runs, others = ~np.isnan(ours), ~np.isnan(theirs)
    games = np.flatnonzero(runs.sum(axis=1) * others.sum(axis=1) > (runs & others).sum(axis=1))
    found: dict[str, tuple[float, float, float]] = {}
    if not len(games):
        return found
    truths = [truth(cell.regrets, g % len(SPREADS)) for g in games]
    ours, theirs = ours[games], theirs[games]
    bounded = np.clip(ours, FLOOR, 1.0)
    score = statistics.bounded_mean(bounded, FLOOR, 1.0)
    pairs = statistics.probability_of_improvement(ours, theirs)
    profile = statistics.performance_profile(bounded, np.array([threshold(cell.regrets)]))
    found["score"] = float(np.mean([t.mean for t in truths])), score.low, score.high
    found["pairs"] = float(np.mean([t.better for t in truths])), pairs.low, pairs.high
    found["profile"] = float(np.mean([t.above for t in truths])), float(profile.low[0]), float(profile.high[0])
    curve = bounded[0][~np.isnan(bounded[0])]
    if len(curve) >= 6:  # with fewer the report calls it a range
        band = median_band(curve[:, None])
        found["median"] = truths[0].median, float(band.low[0]), float(band.high[0])
    return found


def study(cell: Cell, number: int, tournaments: int) -> dict[str, Any]:
    """Coverage and mean width of every interval in one cell; None where none was printed."""
    draws = np.random.default_rng([2026, number])
    rows = [intervals(cell, draws) for _ in range(tournaments)]
    record: dict[str, Any] = cell._asdict()
    for name in STATISTICS:
        ends = np.array([row[name] for row in rows if name in row]).reshape(-1, 3)
        held = (ends[:, 1] <= ends[:, 0] + 1e-6) & (ends[:, 0] - 1e-6 <= ends[:, 2])
        record[name] = None
        if len(ends):
            width = round(float(np.mean(ends[:, 2] - ends[:, 1])), 4)
            record[name] = {"coverage": round(float(held.mean()), 5), "width": width, "tournaments": len(ends)}
    return record


def least(tournaments: int) -> float:
    """The lowest coverage that a correct interval is granted: 95 % less three standard errors."""
    return float(BAR - 3 * (BAR * (1 - BAR) / tournaments) ** 0.5)


def tournament(draws: np.random.Generator, truncated: bool) -> tuple[Results, str, FloatArray]:
    """A random tournament with 2 to 5 leaders of one class, its regrets, and how many gaps each leader is behind."""
    leaders, games, seeds = (int(draws.integers(low, high)) for low, high in ((2, 6), (1, 11), (3, 11)))
    regrets, shared = str(draws.choice(list(REGRETS))), float(draws.choice([0.0, 0.5, 0.9]))
    behind = draws.uniform(0.0, 10.0, size=leaders)
    behind = behind.round() if draws.random() < 0.5 else behind  # some are equal
    common, own = draws.normal(size=(games, 1, 1, seeds)), draws.normal(size=(games, leaders, 1, seeds))
    quantiles = norm.cdf(shared**0.5 * common + (1 - shared) ** 0.5 * own)
    payoffs = np.empty(quantiles.shape)
    for g, j in np.ndindex(games, leaders):
        payoffs[g, j] = 10.0 * scores_of(regrets, g, quantiles[g, j], behind[j])
    whole = made_up(payoffs, classes=["TRAJECTORIES"], points=0, held_out=())
    keys = [row.key for row in whole.rows if row.seed is not None]
    lost = set(draws.permutation(keys)[: int(draws.integers(1, len(keys)))] if truncated else ())
    outcomes = {row.key: row.outcome for row in whole.rows if row.outcome is not None and row.key not in lost}
    return Results(whole.plan, outcomes), regrets, behind


def contradictions(results: Results, winner: str) -> list[str]:
    """Leaders that the pairs of runs, counted one by one, do not put behind the winner, or with a higher mean score."""
    scores, found = results.scores()[:, :, 0], []
    first = results.leaders.index(winner)
    for j, other in enumerate(results.leaders):
        if j == first:
            continue
        apart, same = [], []
        for g, (s, t) in itertools.product(range(len(scores)), np.ndindex(2 * scores.shape[-1:])):
            ahead = 0.5 + 0.5 * float(np.sign(results.payoffs()[g, first, 0, s] - results.payoffs()[g, j, 0, t]))
            (same if s == t else apart).append(ahead)
        shares = np.mean(apart), np.mean(same), np.mean(apart + same)
        if min(shares[0], shares[2]) <= 0.5 or shares[1] < 0.5 or scores[:, j].mean() > scores[:, first].mean():
            found.append(other)
    return found


def headlines(seed: int, tournaments: int) -> dict[str, int]:
    """What the headlines of random tournaments said, and how many were contradicted or wrong.

    A winner is wrong if some other leader's chance against it is at least a half; a tournament is
    decidable if that holds of all leaders but one.
    """
    draws = np.random.default_rng([2027, seed])
    said = ("truncated", "named too early", "whole", "winner", "tied", "divided", "decidable", "contradicted", "wrong")
    counts = dict.fromkeys(said, 0)
    for number in range(tournaments):
        truncated = number % 2 == 0
        results, regrets, behind = tournament(draws, truncated)
        found, games = verdict(results, results.leaderboard()), len(results.games)
        if truncated:
            counts["truncated"] += 1
            counts["named too early"] += found.state not in ("incomplete", "no scores")
            continue
        best = [leader for j, leader in enumerate(results.leaders) if _best(regrets, behind, j, games)]
        counts["whole"] += 1
        counts[found.state] += 1
        counts["decidable"] += bool(best)
        if found.state == "winner":
            assert found.first is not None
            counts["contradicted"] += bool(contradictions(results, found.first.leader))
            counts["wrong"] += found.first.leader not in best
    return counts


def _best(regrets: str, behind: FloatArray, leader: int, games: int) -> bool:
    """Whether a leader's true chance against every other one, over all games, is above a half."""
    quantiles = (np.arange(4000) + 0.5) / 4000
    for other in range(len(behind)):
        chances = []
        for g in range(min(games, len(SPREADS))):
            ours, theirs = (scores_of(regrets, g, quantiles, behind[j]) for j in (leader, other))
            ahead = np.searchsorted(np.sort(theirs), ours - 1e-9) + np.searchsorted(np.sort(theirs), ours + 1e-9)
            chances.append(float(ahead.mean()) / 2 / len(quantiles))
        weights = [len(range(g, games, len(SPREADS))) for g in range(len(chances))]
        if other != leader and not np.average(chances, weights=weights) > 0.5 + 1e-9:
            return False
    return True


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, print what fell below the bar, and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tournaments", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("docs/data/tournament_statistics.json"))
    chosen = parser.parse_args(arguments)
    count, all_cells = chosen.tournaments, list(grid())
    with ProcessPoolExecutor(chosen.workers) as pool:
        cells = list(pool.map(study, all_cells, range(len(all_cells)), itertools.repeat(count)))
        parts = list(pool.map(headlines, range(20), itertools.repeat(count // 10)))
    stored = {
        "command": f"python benchmarks/tournament_statistics.py --tournaments {count}",
        "version": __version__,
        "date": date.today().isoformat(),
        "tournaments": count,
        "headlines": {name: sum(part[name] for part in parts) for name in parts[0]},
        "cells": [],
    }
    for cell in cells:
        for name in STATISTICS:
            if cell[name] is not None and cell[name]["coverage"] < least(cell[name]["tournaments"]):
                print("below the bar:", name, cell)
    print(stored["headlines"])
    lines = ",\n  ".join(json.dumps(cell) for cell in cells)
    chosen.out.write_text(json.dumps(stored, indent=1).replace('"cells": []', f'"cells": [\n  {lines}\n ]') + "\n")


if __name__ == "__main__":
    main()

"""Who won, by how much, how sure: rankings of a tournament within information classes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.learning.information import Information
from stackelberg_games.tournaments import statistics
from stackelberg_games.tournaments.match import OWN
from stackelberg_games.tournaments.ratings import alpha_rank, rate
from stackelberg_games.tournaments.results import Player, Results
from stackelberg_games.tournaments.statistics import Estimate, ranks

UNKNOWN = Estimate(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Standing:
    """One leader in its information class.

    Attributes:
        leader: label.
        information: its class.
        rank: one more than the number of leaders of the class whose intervals lie wholly above;
            None where a task has no finished run.
        score: interquartile mean over all runs of all tasks.
        mean_score: mean over tasks of the mean over runs.
        improvement: probability that one of its runs beats one of the next leader in the list;
            None for the last.
        rating: Bradley-Terry, within the class; None where it is alone.
        runs: finished matches.
        failed: matches that failed.
        transitions, follower_transitions, cpu_seconds: means over finished matches.
    """

    leader: str
    information: Information
    rank: int | None
    score: Estimate
    mean_score: Estimate
    improvement: Estimate | None
    rating: Estimate | None
    runs: int
    failed: int
    transitions: float
    follower_transitions: float
    cpu_seconds: float


def leaderboard(results: Results, *, confidence: float = 0.95, seed: int = 0) -> dict[Information, list[Standing]]:
    """Standings by information class, the class with the least information first, best leader first.

    Leaders share a rank where their intervals overlap.

    Args:
        results: of a tournament.
        confidence: of all intervals.
        seed: of the bootstrap.
    """
    classes = sorted(set(results.information.values()))
    return {
        information: _standings(
            results, [m for m in results.leaders if results.information[m] == information], confidence, seed
        )
        for information in classes
    }


def _standings(results: Results, members: list[str], confidence: float, seed: int) -> list[Standing]:
    options: dict[str, Any] = {"confidence": confidence, "seed": seed}
    scores, means = {}, {}
    for member in members:
        strata = results.strata(member)
        scores[member] = UNKNOWN if strata is None else statistics.iqm(strata, **options)
        means[member] = UNKNOWN if strata is None else statistics.mean(strata, **options)
    order = sorted(members, key=lambda m: (np.isnan(scores[m].value), -np.nan_to_num(scores[m].value), m))
    ranked = [member for member in order if not np.isnan(scores[member].value)]
    places = dict(zip(ranked, ranks([scores[member] for member in ranked]), strict=True))
    rated = ratings(results, "leader", ranked, **options) if len(ranked) > 1 else {}
    following = dict(itertools.pairwise(ranked))
    standings = []
    for member in order:
        rows = [row for row in results.rows if row.leader == member and row.outcome is not None]
        standings.append(
            Standing(
                member,
                results.information[member],
                places.get(member),
                scores[member],
                means[member],
                improvement(results, member, following[member], **options) if member in following else None,
                rated.get(member),
                sum(row.outcome.status == "done" for row in rows if row.outcome),
                sum(row.outcome.status == "failed" for row in rows if row.outcome),
                **results.costs(member),
            )
        )
    return standings


def improvement(results: Results, one: str, other: str, **options: Any) -> Estimate:
    """Probability that a run of one leader beats one of the other on the same task."""
    paired = results.paired_strata(one, other)
    return UNKNOWN if paired is None else statistics.probability_of_improvement(*paired, **options)


def improvement_table(results: Results, members: list[str], **options: Any) -> list[list[Estimate]]:
    """``improvement`` of every leader (row) over every other (column)."""
    table = [[UNKNOWN] * len(members) for _ in members]
    for i, one in enumerate(members):
        for j in range(i + 1, len(members)):
            found = improvement(results, one, members[j], **options)
            table[i][j] = found
            table[j][i] = Estimate(1 - found.value, 1 - found.high, 1 - found.low)
    return table


def ratings(
    results: Results, player: Player, members: list[str] | None = None, *, confidence: float = 0.95, seed: int = 0
) -> dict[str, Estimate]:
    """Bradley-Terry ratings of one role, with bootstrap intervals.

    Leaders are compared by their payoffs in the same game, against the same follower, with the same
    seed; followers by theirs in the same game, against the same leader, with the same seed. Seeds
    are resampled within games and opponents; NaN where there is a single seed.

    Args:
        results: of a tournament.
        player: the role.
        members: who is compared; everybody of the role if not given.
        confidence: of the intervals.
        seed: of the bootstrap.
    """
    members = (results.leaders if player == "leader" else results.followers) if members is None else members
    contests = results.contests(player, members).reshape(-1, len(results.seeds), len(members))
    return dict(zip(members, rate(contests, confidence=confidence, seed=seed), strict=True))


def alpha_rank_masses(results: Results, game: str, *, alpha: float = 10.0) -> FloatArray:
    """Alpha-rank's mass of every (leader, follower) profile of one game, ``[L, F]``.

    Mean payoffs with the follower as trained, each role's on the scale from its worst to its best.

    Raises:
        InvalidArgumentError: there is no such game, or a mean payoff is missing.
    """
    if game not in results.games:
        raise InvalidArgumentError(f"game={game!r}: expected one of {', '.join(results.games)}")
    tables = []
    players: tuple[Player, Player] = ("leader", "follower")
    for player in players:
        table = results.payoffs(player, OWN)[results.games.index(game)].mean(axis=-1)
        span = float(np.ptp(table))
        tables.append((table - table.min()) / (span if span > 0 else 1.0))
    return alpha_rank(*tables, alpha=alpha)

"""Who is ahead of whom, by how much, how sure: rankings of a tournament within information classes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.learning.information import Division
from stackelberg_games.settings import checked
from stackelberg_games.tournaments.match import OWN
from stackelberg_games.tournaments.payoffs import FLOOR, Payoffs, Progress, Role
from stackelberg_games.tournaments.ratings import alpha_rank, bradley_terry
from stackelberg_games.tournaments.statistics import Comparison, Estimate, bounded_mean, probability_of_improvement

UNKNOWN = Estimate(float("nan"), float("nan"), float("nan"))
PairedComparisons = Mapping[tuple[str, str], Comparison]


@dataclass(frozen=True)
class Standing:
    """One leader in its information class.

    Attributes:
        leader: label.
        information: its class.
        rank: one more than the number of leaders of the class that beat it; None until every match of
            the class is finished.
        score: mean over the class's common tasks of the mean over runs; NaN without any.
        tasks: how many these are.
        improvement: its runs against those of the next leader in the list; None for the last, and
            where there are no pairs of different seeds.
        rating: Bradley-Terry, within the class; None where it has met nobody.
        progress: of its matches.
        transitions, follower_transitions, cpu_seconds: means over finished matches.
    """

    leader: str
    information: Division
    rank: int | None
    score: Estimate
    tasks: int
    improvement: Comparison | None
    rating: float | None
    progress: Progress
    transitions: float
    follower_transitions: float
    cpu_seconds: float


@checked
def leaderboard(results: Payoffs, *, confidence: float = 0.95) -> dict[Division, list[Standing]]:
    """Standings by information class, the class with the least information first, best leader first.

    The list is in the order of ranks, then of scores. Leaders share a rank where none beats the other.

    Args:
        results: of a tournament.
        confidence: of all intervals.
    """
    return {i: _standings(results, members, confidence) for i, members in classes(results).items()}


def classes(results: Payoffs) -> dict[Division, list[str]]:
    """Leaders by information class, in the tournament's order."""
    found = sorted(set(results.information.values()))
    return {i: [m for m in results.leaders if results.information[m] == i] for i in found}


def complete(results: Payoffs, members: Sequence[str]) -> bool:
    """Whether every match of these leaders is finished, and so is every reference player's that has a say."""
    progress = results.progress(members)
    return progress.finished == progress.planned and not results.progress(results.references).missing


def common_tasks(results: Payoffs, members: Sequence[str], against: str | None = None) -> list[int]:
    """Tasks, as indices into ``results.tasks``, on which every leader that has finished a match has a run."""
    runs = [~np.isnan(results.score_table(member, against)) for member in members]
    shared = [table.any(axis=1) for table in runs if table.any()]
    return np.flatnonzero(np.all(shared, axis=0)).tolist() if shared else []


@checked
def mean_score(
    results: Payoffs, member: str, tasks: Sequence[int], against: str | None = None, *, confidence: float = 0.95
) -> Estimate:
    """Score of a leader on some tasks; unknown where it has no run on one of them, or there are none."""
    table = results.score_table(member, against)[list(tasks)]
    if not len(table) or np.isnan(table).all(axis=1).any():
        return UNKNOWN
    return bounded_mean(table, FLOOR, results.ceiling(against), confidence=confidence)


@checked
def compare(
    results: Payoffs, members: Sequence[str], player: Role = "leader", *, confidence: float = 0.95
) -> dict[tuple[str, str], Comparison]:
    """Every player of a role against every other, each pair on the tasks that both have runs of.

    Leaders are compared by their payoffs in the same game, against the same follower; followers by
    theirs in the same game, against the same leader. Pairs without runs of different seeds on a
    common task are left out.
    """
    table: dict[tuple[str, str], Comparison] = {}
    contests = results.contests(player, members)
    for (i, one), (j, other) in itertools.combinations(enumerate(members), 2):
        ours, theirs = contests[..., i], contests[..., j]
        runs, others = ~np.isnan(ours), ~np.isnan(theirs)
        pairs = runs.sum(axis=1) * others.sum(axis=1) - (runs & others).sum(axis=1)
        if (pairs > 0).any():
            found = probability_of_improvement(ours[pairs > 0], theirs[pairs > 0], confidence=confidence)
            table[one, other], table[other, one] = found, found.reversed()
    return table


def ratings(table: PairedComparisons, members: Sequence[str]) -> dict[str, float]:
    """Bradley-Terry ratings from comparisons; players without any are left out.

    A comparison counts as many contests as it has runs.
    """
    met = [one for one in members if any((one, other) in table for other in members)]
    if not met:
        return {}
    wins = np.zeros((len(met), len(met)))
    for (i, one), (j, other) in itertools.permutations(enumerate(met), 2):
        if (one, other) in table:
            wins[i, j] = table[one, other].value * table[one, other].runs
    return dict(zip(met, bradley_terry(wins).tolist(), strict=True))


def _standings(results: Payoffs, members: list[str], confidence: float) -> list[Standing]:
    tasks = common_tasks(results, members)
    scores = {member: mean_score(results, member, tasks, confidence=confidence) for member in members}
    table = compare(results, members, confidence=confidence)
    ranks: dict[str, int | None] = dict.fromkeys(members)
    if tasks and complete(results, members):
        ranks |= {m: 1 + sum(table[o, m].beats for o in members if (o, m) in table) for m in members}
    order = sorted(members, key=lambda m: (ranks[m] or 0, -np.nan_to_num(scores[m].value, nan=-np.inf), m))
    rated = ratings(table, members)
    return [
        Standing(
            member,
            results.information[member],
            ranks[member],
            scores[member],
            len(tasks),
            table.get((member, following)),
            rated.get(member),
            results.progress([member]),
            **results.costs(member),
        )
        for member, following in zip(order, [*order[1:], ""], strict=True)
    ]


@checked
def alpha_rank_masses(results: Payoffs, game: str, *, alpha: float = 10.0) -> FloatArray:
    """Alpha-rank's mass of every (leader, follower) profile of one game, ``[L, F]``.

    Mean payoffs with the follower as trained, each role's on the scale from its worst to its best.

    Raises:
        InvalidArgumentError: there is no such game, or a mean payoff is missing.
    """
    checks.choice("game", game, results.games)
    tables = []
    players: tuple[Role, Role] = ("leader", "follower")
    for player in players:
        table = results.payoffs(player, OWN)[results.games.index(game)].mean(axis=-1)
        span = float(np.ptp(table))
        tables.append((table - table.min()) / (span if span > 0 else 1.0))
    return alpha_rank(*tables, alpha=alpha)

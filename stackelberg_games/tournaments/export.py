"""Results as files: tidy CSV, Parquet, and a manifest of what was run with which versions."""

from __future__ import annotations

import io
import json
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from stackelberg_games import checks, files
from stackelberg_games.errors import MissingExtraError
from stackelberg_games.tournaments.leaderboard import classes, common_tasks, compare, leaderboard, mean_score
from stackelberg_games.tournaments.payoffs import FLOOR, Payoffs, Row

MANIFEST = "manifest.json"
_PACKAGES = ("stackelberg-games", "numpy", "scipy", "torch", "numba", "pettingzoo", "gymnasium", "joblib")
TidyRow = dict[str, Any]
_HEAD = {
    "key": "of the match: SHA-256 of everything that decides its outcome",
    "game": "label",
    "leader": "label of the leader or reference player",
    "follower": "label of the follower that the leader trained against",
    "seed": "of the match; missing for reference players",
}
COLUMNS: dict[str, dict[str, str]] = {
    "results": {
        **_HEAD,
        "information": "class of the leader; missing for reference players",
        "against": "what responded to the final commitment: `best response`, `as trained`, or a held-out follower",
        "leader_payoff": "discounted return of the leader: exact where `standard_error` is missing",
        "follower_payoff": "discounted return of the follower",
        "follower_gap": "what the follower's own objective lacks to its best response",
        "score": "`leader_payoff` on the scale from uniform random play (0) to the exact optimum (1), cut at -1 and 2",
        "episodes": "fresh episodes that the payoffs are means of; missing where they are exact",
        "standard_error": "of `leader_payoff`; missing where it is exact",
    },
    "matches": {
        **_HEAD,
        "status": "`done`, `failed`, `unavailable` (a reference player that is not known here) or `missing`",
        "information": "class of the leader",
        "transitions": "stages that leader and follower played",
        "follower_transitions": "stages that the follower played by itself to learn",
        "note": "how a reference player was found, or why it is unavailable",
        "error": "traceback of a failed match",
    },
    "standings": {
        "information": "class; leaders are ranked within it",
        "leader": "label",
        "rank": "one more than the number of leaders of the class that beat it; missing until all matches are finished",
        "score": "mean over the tasks that the class has in common",
        "low": "lower end of the 95 % interval of `score`",
        "high": "upper end",
        "tasks": "games times followers that the score is a mean over",
        "rating": "Bradley-Terry, within the class",
        "planned": "matches",
        "finished": "matches",
        "failed": "matches",
        "missing": "matches that were not played",
        "transitions": "mean over finished matches",
        "follower_transitions": "mean over finished matches",
    },
    "overview": {
        "information": "class; one table across all of them",
        "leader": "label",
        "rank": "within the class, as in `standings`",
        "score": "mean over the tasks that all leaders have in common, whatever they see",
        "low": "lower end of its 95 % interval",
        "high": "upper end",
        "tasks": "games times followers that the score is a mean over",
        "beats": "labels of the leaders that it beats, of any class",
        "beaten_by": "labels of those that beat it",
        "transitions": "mean over finished matches",
        "follower_transitions": "mean over finished matches",
    },
    "comparisons": {
        "information": "class of both",
        "leader": "the one",
        "other": "the other",
        "value": "probability that a run of the one beats a run of the other with another seed, ties half",
        "low": "lower end of its 95 % interval",
        "high": "upper end",
        "won": "pairs of runs won, ties half",
        "pairs": "pairs of different seeds",
        "runs": "of the leader with fewer of them",
        "same_seed": "share won in pairs of the same seed",
        "tasks": "that both have runs on",
        "ahead": "tasks on which more than half of the pairs were won",
    },
    "curves": {
        **_HEAD,
        "transitions": "spent when it was measured",
        "leader_payoff": "against the exact best response where it is known, else the mean of what was played",
    },
    "costs": {
        "key": "of the match",
        "cpu_seconds": "of the worker",
        "wall_seconds": "of the worker; timings are the only figures that differ between two runs",
    },
}
"""What the columns of every table mean."""


def tables(results: Payoffs) -> dict[str, list[TidyRow]]:
    """Tidy tables by name.

    ``results`` has a row for each match and measurement, ``matches`` one for each match, ``standings``
    one for each leader, ``overview`` likewise but across classes, ``comparisons`` one for each pair of a
    class, ``curves`` one for each point of a learning curve: these do not depend on the machine, the number of workers or interruptions.
    ``costs`` holds the timings, which do.
    """
    return {
        "results": list(_measurements(results)),
        "matches": [_match(row) for row in results.rows],
        "standings": list(_standings(results)),
        "overview": list(_overview(results)),
        "comparisons": list(_comparisons(results)),
        "curves": list(_points(results)),
        "costs": [_cost(row) for row in results.rows],
    }


def write_csv(results: Payoffs, folder: str | Path) -> list[Path]:
    """Write a CSV file for each table of ``tables``, and ``manifest.json``.

    Floats come back exactly; texts that a spreadsheet would take for formulas are written behind an apostrophe
    (see ``files.write_csv``).

    Raises:
        CheckpointError: the folder cannot be written to.
    """
    place, written = checks.path("folder", folder), []
    for name, rows in tables(results).items():
        written.append(place / f"{name}.csv")
        columns = list(COLUMNS[name])
        files.write_csv(written[-1], columns, ([row[column] for column in columns] for row in rows))
    written.append(place / MANIFEST)
    files.write_atomically(written[-1], json.dumps(manifest(results), indent=2).encode())
    return written


def write_parquet(results: Payoffs, folder: str | Path) -> list[Path]:
    """Write the tables of ``tables`` as Parquet files.

    Raises:
        MissingExtraError: pyarrow is not installed.
        CheckpointError: the folder cannot be written to.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet") from error
    place, written = checks.path("folder", folder), []
    for name, rows in tables(results).items():
        buffer = io.BytesIO()
        parquet.write_table(pyarrow.Table.from_pylist(rows), buffer)
        written.append(place / f"{name}.parquet")
        files.write_atomically(written[-1], buffer.getvalue())
    return written


def manifest(results: Payoffs) -> dict[str, Any]:
    """Versions, seeds, settings, rules and the keys of all matches."""
    rows = results.rows
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        "platform": platform.platform(),
        "matches": {
            "planned": len(rows),
            "finished": sum(row.outcome is not None and row.outcome.status != "failed" for row in rows),
            "failed": len(results.failures),
            "missing": results.missing,
        },
        **{key: value for key, value in results.plan.items() if key != "matches"},
        "keys": [row.key for row in rows],
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _head(row: Row) -> TidyRow:
    return {"key": row.key, "game": row.game, "leader": row.leader, "follower": row.follower, "seed": row.seed}


def _match(row: Row) -> TidyRow:
    outcome = row.outcome
    return _head(row) | {
        "status": "missing" if outcome is None else outcome.status,
        "information": outcome and outcome.information,
        "transitions": outcome and outcome.transitions,
        "follower_transitions": outcome and outcome.follower_transitions,
        "note": outcome.note if outcome else "",
        "error": outcome.error if outcome else "",
    }


def _cost(row: Row) -> TidyRow:
    outcome = row.outcome
    return {
        "key": row.key,
        "cpu_seconds": outcome and outcome.cpu_seconds,
        "wall_seconds": outcome and outcome.wall_seconds,
    }


def _standings(results: Payoffs) -> Iterator[TidyRow]:
    for information, rows in leaderboard(results).items():
        for s in rows:
            score = dict(zip(("score", "low", "high"), map(_known, s.score), strict=True))
            facts = {"rank": s.rank, **score, "tasks": s.tasks, "rating": s.rating, **s.progress._asdict()}
            facts |= {name: _known(getattr(s, name)) for name in ("transitions", "follower_transitions")}
            yield {"information": information.name, "leader": s.leader, **facts}


def _overview(results: Payoffs) -> Iterator[TidyRow]:
    """Leaders of all classes on the tasks that they have in common, the best score first."""
    tasks = common_tasks(results, results.leaders)
    pairs = compare(results, results.leaders)
    ranks = {s.leader: s.rank for rows in leaderboard(results).values() for s in rows}
    scores = {leader: mean_score(results, leader, tasks) for leader in results.leaders}
    for leader in sorted(results.leaders, key=lambda label: -np.nan_to_num(scores[label].value, nan=-np.inf)):
        beats = [other for (one, other), found in pairs.items() if one == leader and found.beats]
        beaten_by = [one for (one, other), found in pairs.items() if other == leader and found.beats]
        yield {
            "information": results.information[leader].name,
            "leader": leader,
            "rank": ranks[leader],
            **dict(zip(("score", "low", "high"), map(_known, scores[leader]), strict=True)),
            "tasks": len(tasks),
            "beats": ", ".join(beats),
            "beaten_by": ", ".join(beaten_by),
            **{name: _known(results.costs(leader)[name]) for name in ("transitions", "follower_transitions")},
        }


def _comparisons(results: Payoffs) -> Iterator[TidyRow]:
    for information, members in classes(results).items():
        for (one, other), found in compare(results, members).items():
            facts = {name: value for name, value in found._asdict().items() if name != "by_task"}
            facts |= {"same_seed": _known(found.same_seed), "tasks": len(found.by_task), "ahead": found.ahead}
            yield {"information": information.name, "leader": one, "other": other, **facts}


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def _measurements(results: Payoffs) -> Iterator[TidyRow]:
    low, high, _ = results.anchors
    for row in results.rows:
        if row.outcome is None:
            continue
        at = results.games.index(row.game), results.followers.index(row.follower)
        span = high[at] - low[at]
        for found in row.outcome.evaluations:
            score = np.clip((found.leader_payoff - low[at]) / span, FLOOR, results.ceiling(found.follower))
            yield _head(row) | {
                "information": row.outcome.information,
                "against": found.follower,
                "leader_payoff": found.leader_payoff,
                "follower_payoff": found.follower_payoff,
                "follower_gap": found.gap,
                "score": None if np.isnan(score) else float(score),
                "episodes": found.episodes,
                "standard_error": found.standard_error,
            }


def _points(results: Payoffs) -> Iterator[TidyRow]:
    for row in results.rows:
        if row.outcome is not None:
            for spent, value in zip(*row.outcome.curve, strict=True):
                yield _head(row) | {"transitions": spent, "leader_payoff": value}

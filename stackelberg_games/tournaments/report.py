"""The report of a tournament: one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from stackelberg_games.arrays import FloatArray
from stackelberg_games.learning.information import Information
from stackelberg_games.numerics.checkpoint import write_atomically
from stackelberg_games.tournaments import leaderboard as boards
from stackelberg_games.tournaments import statistics
from stackelberg_games.tournaments.charts import UNKNOWN, Level, Line, line_chart, number
from stackelberg_games.tournaments.export import manifest
from stackelberg_games.tournaments.leaderboard import Standing
from stackelberg_games.tournaments.match import OWN
from stackelberg_games.tournaments.results import DETERMINISTIC, OPTIMUM, UNIFORM, Results, mean_known
from stackelberg_games.tournaments.statistics import Estimate

TEMPLATE = "report_template.html"
SHOWN_FAILURES = 20
PROFILE_POINTS = 61
SEES = {
    Information.RETURNS: "sees only its own returns",
    Information.TRAJECTORIES: "sees trajectories, nothing of the follower",
    Information.FOLLOWER_POLICY: "reads the follower's policy",
    Information.FOLLOWER_VALUES: "reads the follower's policy and values",
    Information.MODEL: "reads the whole game",
}


@dataclass(frozen=True)
class Cell:
    """A cell of a heat map: text, shade in [0, 1] or None, and what the hover says."""

    text: str
    shade: float | None
    tip: str
    sort: float


@dataclass(frozen=True)
class Heat:
    """A heat map as a table: rows of (name, colour index or None for a reference, cells)."""

    title: str
    columns: list[str]
    rows: list[tuple[str, int | None, list[Cell]]]
    hue: str
    note: str = ""


def write_report(results: Results, path: str | Path, title: str = "Stackelberg tournament") -> None:
    """Write the report of a tournament as one self-contained HTML file.

    Args:
        results: of a tournament; unfinished ones are reported as far as they came.
        path: of the file.
        title: heading of the page.

    Raises:
        CheckpointError: the file cannot be written.
    """
    write_atomically(Path(path), render(results, title).encode())


def render(results: Results, title: str = "Stackelberg tournament") -> str:
    """The report's HTML."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = number
    environment.filters["soft"] = lambda label: Markup("_<wbr>").join(map(escape, label.split("_")))
    template = environment.from_string((files("stackelberg_games.tournaments") / TEMPLATE).read_text(encoding="utf-8"))
    standings = results.leaderboard()
    colours = {leader: index for index, leader in enumerate(results.leaders)}
    references = {label: results.reference_score(label) for label in results.references}
    answers = headline(results, standings)
    axis = _axis(standings, references)
    return template.render(
        title=title,
        headline=answers,
        standings=standings,
        order=sorted(standings, key=lambda information: (information != answers.get("class"), information)),
        sees=SEES,
        references=references,
        axis=axis,
        place=lambda value: 100 * (value - axis[0]) / (axis[1] - axis[0]),
        colours=colours,
        results=results,
        games=[_game(results, game, colours) for game in results.games],
        robustness=robustness(results, colours),
        profiles=[
            (i, _profile(results, members, colours)) for i, members in scored_classes(results) if len(members) > 1
        ],
        improvements=[
            _improvements(results, i, members, colours) for i, members in scored_classes(results) if len(members) > 1
        ],
        followers=_followers(results),
        failures=results.failures[:SHOWN_FAILURES],
        counts=manifest(results)["matches"],
        totals=_totals(results),
        manifest=json.dumps(_settings(results), indent=2),
    )


def headline(results: Results, standings: dict[Information, list[Standing]]) -> dict[str, Any]:
    """Who won, by how much, how sure and at what cost, in the class the project is about.

    That is TRAJECTORIES, or the class with the most leaders where nobody plays in it.
    """
    known = {i: [s for s in rows if s.rank is not None] for i, rows in standings.items()}
    classes = [i for i, rows in known.items() if rows]
    if not classes:
        return {"winner": None}
    home = Information.TRAJECTORIES
    chosen = home if home in classes else max(classes, key=lambda i: len(known[i]))
    first, *others = known[chosen]
    tied = [s.leader for s in others if s.rank == 1]
    return {
        "winner": first,
        "class": chosen,
        "tied": tied,
        "next": others[0] if others else None,
        "margin": first.score.value - others[0].score.value if others else None,
        "others": [(i, known[i][0]) for i in classes if i != chosen],
    }


def scored_classes(results: Results) -> list[tuple[Information, list[str]]]:
    """Leaders that have a score, by information class."""
    classes = sorted(set(results.information.values()))
    scored = [m for m in results.leaders if results.strata(m) is not None]
    return [(i, [m for m in scored if results.information[m] == i]) for i in classes]


def _axis(standings: dict[Information, list[Standing]], references: dict[str, float]) -> tuple[float, float]:
    """Ends of the scale of scores: 0 and 1, and whatever else is needed, but not below -1."""
    values = [0.0, 1.0, *references.values()]
    for rows in standings.values():
        values += [end for s in rows for end in s.score if np.isfinite(end)]
    finite = [value for value in values if np.isfinite(value)]
    low, high = max(min(finite), -1.0), min(max(finite), 2.0)
    return low - 0.04 * (high - low), high + 0.04 * (high - low)


def _game(results: Results, game: str, colours: dict[str, int]) -> dict[str, Any]:
    entry = results.plan["games"][results.games.index(game)]
    rules = results.plan["rules"][game]
    charts = []
    for follower in results.followers:
        charts.append((follower, learning_chart(results, game, follower, colours)))
    return {
        "name": game,
        "id": entry["id"],
        "settings": ", ".join(f"{key} = {value}" for key, value in entry["settings"].items()),
        "rules": rules,
        "anchors": sorted(set(results.anchors.source[results.games.index(game)])),
        "payoff": payoff_heat(results, game, colours),
        "regret": regret_heat(results, game, colours),
        "charts": charts,
    }


def learning_lines(results: Results, game: str, follower: str, colours: dict[str, int]) -> list[Line]:
    """The curves of ``learning_chart``."""
    lines = []
    for leader, colour in colours.items():
        grid, runs = results.curves(game, follower, leader)
        if len(grid):
            lines.append(Line(leader, colour, grid, *statistics.iqm_band(runs)))
    return lines


def learning_chart(results: Results, game: str, follower: str, colours: dict[str, int]) -> str:
    """Payoff against transitions for every leader: interquartile mean over seeds with its band."""
    lines = learning_lines(results, game, follower, colours)
    at = results.games.index(game), results.followers.index(follower)
    styles = ((OPTIMUM, "optimum"), (DETERMINISTIC, "deterministic"), (UNIFORM, "uniform"))
    levels = [Level(label, float(results.reference(label)[at]), style) for label, style in styles]
    return line_chart(lines, levels, x_label="transitions", y_label="leader payoff")


def payoff_heat(results: Results, game: str, colours: dict[str, int]) -> Heat:
    """Mean payoff of every leader against every follower in one game."""
    g = results.games.index(game)
    rows = _heat_rows(results, results.payoffs()[g], {r: results.reference(r)[g] for r in results.references}, colours)
    return Heat("Leader payoff", results.followers, rows, "payoff", "mean over seeds")


def regret_heat(results: Results, game: str, colours: dict[str, int]) -> Heat:
    """Mean regret of every leader against every follower in one game."""
    g = results.games.index(game)
    best = results.reference(OPTIMUM)[g]
    references = {r: best - results.reference(r)[g] for r in results.references}
    rows = _heat_rows(results, results.regret()[g], references, colours)
    return Heat("Regret", results.followers, rows, "regret", "exact optimum minus payoff")


def _heat_rows(
    results: Results, table: FloatArray, references: dict[str, FloatArray], colours: dict[str, int]
) -> list[tuple[str, int | None, list[Cell]]]:
    """Rows for leaders ``[L, F, S]`` and reference players ``[F]``; shades span each column."""
    everything = np.concatenate([mean_known(table), *(v[None] for v in references.values())])
    lows, highs = (_column(end, everything) for end in (np.min, np.max))

    def shade(value: float, f: int) -> float | None:
        span = highs[f] - lows[f]
        return None if not np.isfinite(value) or not span > 0 else float((value - lows[f]) / span)

    rows: list[tuple[str, int | None, list[Cell]]] = []
    for label, values in references.items():
        tips = [f"{label} against {f}: {number(v, 6)}" for f, v in zip(results.followers, values, strict=True)]
        cells = [Cell(number(v), shade(v, f), tips[f], float(v)) for f, v in enumerate(values)]
        rows.append((label, None, cells))
    for leader, runs in zip(results.leaders, table, strict=True):
        cells = []
        for f, follower in enumerate(results.followers):
            known = runs[f][~np.isnan(runs[f])]
            value = float(known.mean()) if len(known) else float("nan")
            tip = f"{leader} against {follower}: no finished match"
            if len(known):
                low, high = known.min(), known.max()
                tip = (
                    f"{leader} against {follower}: mean {number(value, 6)}, from {number(low, 5)} to {number(high, 5)}"
                )
                tip += f" in {len(known)} runs"
            cells.append(Cell(number(value), shade(value, f), tip, value))
        rows.append((leader, colours[leader], cells))
    return rows


def robustness(results: Results, colours: dict[str, int]) -> Heat:
    """Mean score of every leader against every measuring follower; seen in training or not."""
    columns = [m for m in results.measures if np.isfinite(results.payoffs(against=m)).any()]
    rows: list[tuple[str, int | None, list[Cell]]] = []
    for label in results.references:
        found = [Estimate(results.reference_score(label, m), float("nan"), float("nan")) for m in columns]
        rows.append((label, None, [_score_cell(label, m, e) for m, e in zip(columns, found, strict=True)]))
    for leader, colour in colours.items():
        found = []
        for measure in columns:
            strata = results.strata(leader, measure)
            found.append(boards.UNKNOWN if strata is None else statistics.mean(strata, resamples=1000))
        rows.append((leader, colour, [_score_cell(leader, m, e) for m, e in zip(columns, found, strict=True)]))
    return Heat("Mean score against", columns, rows, "payoff")


def _score_cell(label: str, measure: str, found: Estimate) -> Cell:
    shade = None if np.isnan(found.value) else float(np.clip(found.value, 0, 1))
    return Cell(
        f"{found.value:.2f}" if shade is not None else UNKNOWN,
        shade,
        f"{label} against {measure}: {interval(found)}",
        found.value,
    )


def interval(found: Estimate) -> str:
    """An estimate with its interval in words."""
    if np.isnan(found.value):
        return "not known"
    if np.isnan(found.low):
        return f"{number(found.value)} (no interval from a single run)"
    return f"{number(found.value)}, 95 % interval {number(found.low)} to {number(found.high)}"


def profile_lines(results: Results, members: Sequence[str], colours: dict[str, int]) -> list[Line]:
    """Performance profiles of leaders, thresholds from the worst run, at least 0, to the best."""
    lines = []
    for member in members:
        strata = results.strata(member)
        assert strata is not None
        thresholds = np.linspace(0.0, 1.0, PROFILE_POINTS)
        profile = statistics.performance_profile(strata, thresholds, resamples=1000)
        lines.append(Line(member, colours[member], *profile))
    return lines


def _profile(results: Results, members: Sequence[str], colours: dict[str, int]) -> str:
    return line_chart(profile_lines(results, members, colours), x_label="score above", y_label="fraction of runs")


def _improvements(
    results: Results, information: Information, members: list[str], colours: dict[str, int]
) -> tuple[Information, Heat]:
    table = boards.improvement_table(results, members, resamples=1000)
    rows: list[tuple[str, int | None, list[Cell]]] = []
    for i, member in enumerate(members):
        cells = []
        for j, other in enumerate(members):
            found = table[i][j]
            tip = f"a run of {member} beats one of {other} with probability {interval(found)}"
            shown = Cell("", None, "", -1.0) if i == j else Cell(f"{found.value:.2f}", found.value, tip, found.value)
            cells.append(shown)
        rows.append((member, colours[member], cells))
    return information, Heat("Probability that a run of … beats one of", members, rows, "payoff")


def _followers(results: Results) -> list[dict[str, Any]]:
    rated = boards.ratings(results, "follower") if len(results.followers) > 1 else {}
    gaps, payoffs = results.follower_gap(), results.payoffs("follower", OWN)
    rows = []
    for f, follower in enumerate(results.followers):
        gap, payoff = (mean_known(table[:, :, f].reshape(1, -1))[0] for table in (gaps, payoffs))
        spent = [
            r.outcome.follower_transitions
            for r in results.rows
            if r.follower == follower and r.seed is not None and r.outcome
        ]
        entry = results.plan["followers"][f]
        rows.append(
            {
                "name": follower,
                "id": entry["id"],
                "gap": float(gap),
                "payoff": float(payoff),
                "rating": rated.get(follower),
                "transitions": float(np.mean(spent)) if spent else float("nan"),
            }
        )
    return rows


def _totals(results: Results) -> dict[str, float]:
    done = [row.outcome for row in results.rows if row.outcome is not None]
    return {
        "transitions": float(sum(outcome.transitions for outcome in done)),
        "follower_transitions": float(sum(outcome.follower_transitions for outcome in done)),
        "cpu_seconds": sum(outcome.cpu_seconds for outcome in done),
    }


def _settings(results: Results) -> dict[str, Any]:
    facts = manifest(results)
    del facts["keys"]
    return facts


def _column(end: Any, table: FloatArray) -> list[float]:
    columns = [column[np.isfinite(column)] for column in table.T]
    return [float(end(column)) if len(column) else float("nan") for column in columns]

"""The report of a tournament: one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.files import write_atomically
from stackelberg_games.learning.curves import median_band
from stackelberg_games.learning.information import Division, Empowered, Information
from stackelberg_games.learning.powers import Power
from stackelberg_games.tournaments import export, statistics
from stackelberg_games.tournaments import leaderboard as boards
from stackelberg_games.tournaments.charts import UNKNOWN, Level, Line, line_chart, number, percent
from stackelberg_games.tournaments.download import downloads
from stackelberg_games.tournaments.export import manifest
from stackelberg_games.tournaments.leaderboard import Standing
from stackelberg_games.tournaments.match import OWN
from stackelberg_games.tournaments.payoffs import CEILING, DETERMINISTIC, FLOOR, OPTIMUM, UNIFORM, Payoffs, mean_known
from stackelberg_games.tournaments.statistics import Comparison, Estimate
from stackelberg_games.tournaments.verdict import upsets, verdict

TEMPLATE, STYLE = "report_template.html", "report_style.css"
SHOWN_FAILURES = 20
PROFILE_POINTS = 61
NEAR = 0.01
"""Share of the optimum up to which what is to be gained beyond uniform random play is called next to nothing."""
SEES = {
    Information.RETURNS: "sees only its own returns",
    Information.TRAJECTORIES: "sees trajectories, nothing of the follower",
    Information.FOLLOWER_POLICY: "reads the follower's policy",
    Information.FOLLOWER_VALUES: "reads the follower's policy and values",
    Information.MODEL: "reads the whole game",
}
DOES = {Power.PAY: "pays followers", Power.TRAIN: "trains a follower of its own"}


@dataclass(frozen=True)
class Cell:
    """A cell of a heat map: text, shade in [0, 1] or None, what the hover says, and a second line."""

    text: str
    shade: float | None
    tip: str
    sort: float
    note: str = ""


@dataclass(frozen=True)
class Heat:
    """A heat map as a table: rows of (name, colour index or None for a reference, cells)."""

    title: str
    columns: list[str]
    rows: list[tuple[str, int | None, list[Cell]]]
    hue: str
    note: str = ""


def write_report(results: Payoffs, path: str | Path, title: str = "Stackelberg tournament") -> None:
    """Write the report of a tournament as one self-contained HTML file.

    Args:
        results: of a tournament; unfinished ones are reported as far as they came.
        path: of the file.
        title: heading of the page.

    Raises:
        CheckpointError: the file cannot be written.
    """
    write_atomically(checks.path("path", path), render(results, title).encode())


def render(results: Payoffs, title: str = "Stackelberg tournament") -> str:
    """The report's HTML."""
    template = template_of(TEMPLATE)
    standings = boards.leaderboard(results)
    colours = {leader: index for index, leader in enumerate(results.leaders)}
    answer = verdict(results, standings)
    axis = _axis(standings)
    members = scored_classes(results)
    return template.render(
        title=title,
        verdict=answer,
        standings=standings,
        order=sorted(standings, key=lambda information: (information != answer.information, information)),
        best={i: next(s for s in standings[i] if s.leader in names) for i, names in members},
        upsets=upsets(results),
        above_optimum=results.above_optimum(),
        sees={i: _sees(i) for i in standings},
        references={i: reference_rows(results, i) for i in standings},
        axis=axis,
        bounds=(FLOOR, results.ceiling(), CEILING),
        place=lambda value: 100 * (value - axis[0]) / (axis[1] - axis[0]),
        colours=colours,
        results=results,
        games=[_game(results, game, colours) for game in results.games],
        robustness=robustness(results, colours),
        profiles=[(i, _profile(results, names, colours)) for i, names in members if len(names) > 1],
        comparisons=[pairs_heat(results, names, colours) for _, names in members if len(names) > 1],
        followers=_followers(results),
        failures=results.failures[:SHOWN_FAILURES],
        counts=manifest(results)["matches"],
        totals=_totals(results),
        downloads=downloads(export.tables(results), export.COLUMNS),
        given=_given(results),
        manifest=json.dumps(_settings(results), indent=2),
    )


def template_of(name: str) -> Template:
    """A packaged page, with the style that all of them share."""
    folder = files("stackelberg_games.tournaments")
    loader = FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8"))
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = number
    environment.filters["percent"] = percent
    environment.filters["pairs"] = pairs
    environment.filters["unbroken"] = lambda text: text.replace(" %", "\N{NO-BREAK SPACE}%")
    environment.filters["soft"] = lambda label: Markup("_<wbr>").join(map(escape, label.split("_")))
    environment.globals["style"] = Markup((folder / STYLE).read_text(encoding="utf-8"))
    return environment.get_template(name)


def _sees(information: Division) -> str:
    """What leaders of a class see, and what else they do."""
    if not isinstance(information, Empowered):
        return SEES[information]
    return ", ".join([SEES[information.information], *sorted(DOES[power] for power in information.powers)])


def scored_classes(results: Payoffs) -> list[tuple[Division, list[str]]]:
    """Information classes that have a score, with the leaders that do."""
    found = []
    for information, members in boards.classes(results).items():
        tasks = boards.common_tasks(results, members)
        scored = [m for m in members if not np.isnan(boards.mean_score(results, m, tasks).value)]
        found += [(information, scored)] if scored else []
    return found


def reference_rows(results: Payoffs, information: Division) -> list[tuple[str, float]]:
    """Mean scores of the reference players on the common tasks of a class."""
    tasks = boards.common_tasks(results, boards.classes(results)[information])
    return [(label, results.reference_score(label, tasks=tasks)) for label in results.references]


def _axis(standings: dict[Division, list[Standing]]) -> tuple[float, float]:
    """Ends of the scale of scores: 0 and 1, and whatever else is needed."""
    ends = [end for rows in standings.values() for s in rows for end in s.score if np.isfinite(end)]
    low, high = min(0.0, *ends, 0.0), max(1.0, *ends, 1.0)
    return low - 0.04 * (high - low), high + 0.04 * (high - low)


def _game(results: Payoffs, game: str, colours: dict[str, int]) -> dict[str, Any]:
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
        "near": _near(results, results.games.index(game)),
        "anchors": sorted(set(results.anchors.source[results.games.index(game)])),
        "payoff": payoff_heat(results, game, colours),
        "regret": regret_heat(results, game, colours),
        "charts": charts,
    }


def _near(results: Payoffs, game: int) -> str:
    """What is to be said where uniform random play is next to optimal; empty elsewhere."""
    if not {OPTIMUM, UNIFORM} <= {*results.references}:
        return ""
    best, uniform = (results.reference(label)[game] for label in (OPTIMUM, UNIFORM))
    near = [f for f, (high, low) in enumerate(zip(best, uniform, strict=True)) if high - low < NEAR * abs(high)]
    against = ", ".join(results.followers[f] for f in near)
    return (
        f"Uniform random play is within {NEAR:.0%} of the optimum against {against}: there is next to nothing to gain."
        if near
        else ""
    )


def learning_lines(results: Payoffs, game: str, follower: str, colours: dict[str, int]) -> list[Line]:
    """The curves of ``learning_chart``."""
    lines = []
    for leader, colour in colours.items():
        grid, runs = results.curves(game, follower, leader)
        if len(grid):
            lines.append(Line(leader, colour, grid, *median_band(runs)))
    return lines


def learning_chart(results: Payoffs, game: str, follower: str, colours: dict[str, int]) -> str:
    """Payoff against transitions for every leader: median over seeds with its band."""
    lines = learning_lines(results, game, follower, colours)
    at = results.games.index(game), results.followers.index(follower)
    styles = ((OPTIMUM, "optimum"), (DETERMINISTIC, "deterministic"), (UNIFORM, "uniform"))
    levels = [Level(label, float(results.reference(label)[at]), style) for label, style in styles]
    return line_chart(lines, levels, x_label="transitions", y_label="leader payoff")


def payoff_heat(results: Payoffs, game: str, colours: dict[str, int]) -> Heat:
    """Mean payoff of every leader against every follower in one game."""
    g = results.games.index(game)
    rows = _heat_rows(results, results.payoffs()[g], {r: results.reference(r)[g] for r in results.references}, colours)
    return Heat("Leader payoff", results.followers, rows, "payoff", "mean over seeds")


def regret_heat(results: Payoffs, game: str, colours: dict[str, int]) -> Heat:
    """Mean regret of every leader against every follower in one game."""
    g = results.games.index(game)
    best = results.reference(OPTIMUM)[g]
    references = {r: best - results.reference(r)[g] for r in results.references}
    rows = _heat_rows(results, results.regret()[g], references, colours)
    return Heat("Regret", results.followers, rows, "regret", "exact optimum minus payoff")


def _heat_rows(
    results: Payoffs, table: FloatArray, references: dict[str, FloatArray], colours: dict[str, int]
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


def robustness(results: Payoffs, colours: dict[str, int]) -> Heat:
    """Mean score of every leader against every measuring follower, on the tasks all leaders have runs of."""
    columns = [m for m in results.measures if np.isfinite(results.payoffs(against=m)).any()]
    shared = {m: boards.common_tasks(results, results.leaders, m) for m in columns}
    rows: list[tuple[str, int | None, list[Cell]]] = []
    for label in results.references:
        means = [results.reference_score(label, m, shared[m]) for m in columns]
        found = [Estimate(value, float("nan"), float("nan")) for value in means]
        rows.append((label, None, [_score_cell(label, m, e) for m, e in zip(columns, found, strict=True)]))
    for leader, colour in colours.items():
        found = [boards.mean_score(results, leader, shared[m], m) for m in columns]
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
        return number(found.value)
    return f"{number(found.value)}, 95 % interval {number(found.low)} to {number(found.high)}"


def pairs(found: Comparison) -> str:
    """A comparison in words."""
    tasks = len(found.by_task)
    text = f"{found.tally} pairs of different seeds won, more than half of them on {found.ahead} of {tasks} "
    text += f"task{'s' if tasks > 1 else ''}; 95 % interval {percent(found.low)} to {percent(found.high)}"
    return text if np.isnan(found.same_seed) else f"{text}; pairs of the same seed: {percent(found.same_seed)}"


def profile_lines(results: Payoffs, members: Sequence[str], colours: dict[str, int]) -> list[Line]:
    """Performance profiles of leaders on their common tasks, for thresholds from 0 to 1."""
    lines, tasks = [], boards.common_tasks(results, members)
    for member in members:
        thresholds = np.linspace(0.0, 1.0, PROFILE_POINTS)
        profile = statistics.performance_profile(results.score_table(member)[tasks], thresholds)
        lines.append(Line(member, colours[member], *profile))
    return lines


def _profile(results: Payoffs, members: Sequence[str], colours: dict[str, int]) -> str:
    return line_chart(profile_lines(results, members, colours), x_label="score above", y_label="fraction of runs")


def pairs_heat(results: Payoffs, members: Sequence[str], colours: dict[str, int]) -> Heat:
    """Share of pairs of runs that every leader (row) wins against every other (column)."""
    table = boards.compare(results, members)
    rows: list[tuple[str, int | None, list[Cell]]] = []
    for member in members:
        cells = []
        for other in members:
            found = table.get((member, other))
            if found is None:
                cells.append(Cell("" if member == other else UNKNOWN, None, "", -1.0))
                continue
            tip = f"{member} against {other}: {pairs(found)}"
            cells.append(Cell(percent(found.value), found.value, tip, found.value, found.tally))
        rows.append((member, colours[member], cells))
    return Heat("Pairs of runs won against", list(members), rows, "payoff", "different seeds, same task")


def _followers(results: Payoffs) -> list[dict[str, Any]]:
    rated = boards.ratings(boards.compare(results, results.followers, "follower"), results.followers)
    payoffs = results.payoffs("follower", OWN)
    known = ~np.isnan(payoffs)
    shared = known[:, :, known.any(axis=(0, 1, 3))].all(axis=2, keepdims=True)  # matches that all of them have finished
    gaps, payoffs = (np.where(shared, table, np.nan) for table in (results.follower_gap(), payoffs))
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


def _totals(results: Payoffs) -> dict[str, float]:
    done = [row.outcome for row in results.rows if row.outcome is not None]
    return {
        "transitions": float(sum(outcome.transitions for outcome in done)),
        "follower_transitions": float(sum(outcome.follower_transitions for outcome in done)),
        "cpu_seconds": sum(outcome.cpu_seconds for outcome in done),
    }


def _given(results: Payoffs) -> dict[str, Any]:
    """The settings that some leader was given, and which."""
    rows = results.plan["leaders"]
    return {"keys": list(dict.fromkeys(key for row in rows for key in row["settings"])), "rows": rows}


def _settings(results: Payoffs) -> dict[str, Any]:
    facts = manifest(results)
    del facts["keys"]
    return facts


def _column(end: Any, table: FloatArray) -> list[float]:
    columns = [column[np.isfinite(column)] for column in table.T]
    return [float(end(column)) if len(column) else float("nan") for column in columns]

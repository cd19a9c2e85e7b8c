"""The report of a sweep: one self-contained HTML file that looks like that of a tournament."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from stackelberg_games import checks
from stackelberg_games.files import write_atomically
from stackelberg_games.tournaments.download import downloads
from stackelberg_games.tournaments.report import template_of
from stackelberg_games.tournaments.sweep_results import SWEEP_COLUMNS, SweepResults, cell

TEMPLATE = "sweep_template.html"


def write_sweep_report(found: SweepResults, path: str | Path, title: str = "Stackelberg sweep") -> None:
    """Write the report of a sweep, finished or not.

    Args:
        found: what came of it.
        path: of the file.
        title: heading of the page.

    Raises:
        CheckpointError: the file cannot be written.
    """
    write_atomically(checks.path("path", path), render_sweep(found, title).encode())


def render_sweep(found: SweepResults, title: str = "Stackelberg sweep") -> str:
    """The report's HTML."""
    lines = found.summary().splitlines()
    columns = {name: [*known, *found.settings] for name, known in SWEEP_COLUMNS.items()}
    tables = {
        name: [{key: cell(value) for key, value in row.items()} for row in rows]
        for name, rows in found.tables().items()
    }
    return template_of(TEMPLATE).render(
        title=title,
        claim=_claim(found),
        seeds=f"{lines[0]}. {lines[-1][:1].upper()}{lines[-1][1:]}.",
        failed=sum(run.status == "failed" for run in found.runs),
        tasks=_tasks(found),
        downloads=downloads(tables, columns),
        summary=found.summary(),
        version=found.plan["version"],
    )


def _claim(found: SweepResults) -> str:
    """What was chosen, in a sentence."""
    if not found.chosen:
        return "Nothing is chosen yet"
    chosen = [_settings(found.points[number]["values"]) for number in found.chosen.values()]
    return f"Chosen: {chosen[0]}" if len(chosen) == 1 else f"Chosen in {len(chosen)} tasks: {'; '.join(chosen)}"


def _settings(values: dict[str, Any]) -> str:
    shown = (f"{value:.4g}" if isinstance(value, float) else str(value) for value in values.values())
    return ", ".join(f"{name} = {value}" for name, value in zip(values, shown, strict=True))


def _tasks(found: SweepResults) -> list[dict[str, Any]]:
    """Points by task, best first, each with its place on the task's axis."""
    rows = found.tables()["points"]
    tasks = []
    for task in dict.fromkeys(point["task"] for point in found.points):
        mine = [row for row in rows if found.points[row["point"]]["task"] == task]
        ends = [row[end] for row in mine for end in ("low", "high") if math.isfinite(row[end])]
        shown = sorted(
            mine, key=lambda row: (row["purpose"] == "tuning", -row["mean"] if math.isfinite(row["mean"]) else math.inf)
        )
        numbers = {row["point"] for row in mine}
        tasks.append(
            {
                "title": found.faced(min(numbers)),
                "points": len(numbers),
                "rows": [_row(found, row, ends) for row in shown],
            }
        )
    return tasks


def _row(found: SweepResults, row: dict[str, Any], ends: list[float]) -> dict[str, Any]:
    low, width = min(ends, default=0.0), (max(ends, default=0.0) - min(ends, default=0.0)) or 1.0
    places = [100 * (row[name] - low) / width for name in ("low", "median", "high")]
    return {
        **row,
        "settings": _settings(found.points[row["point"]]["values"]),
        "place": places if all(map(math.isfinite, places)) else None,
        "given_up": row["point"] in found.given_up,
    }

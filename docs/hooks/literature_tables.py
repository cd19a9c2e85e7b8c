"""Tables of what leaders of different classes reach on games of the literature, and of why."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from tables import stored


def literature(name: str) -> str:
    """Mean share of the way to the optimum and how many seeds reach it, a row for each game; bold where nine of ten do."""
    data = stored(name)
    leaders = list(dict.fromkeys((row["leader"], row["information"]) for row in data["rows"]))
    cells = {(row["setting"], row["leader"]): row for row in data["rows"]}
    lines = [
        f"| game | optimum | {' | '.join(f'{leader}<br>`{seen}`' for leader, seen in leaders)} |",
        "|---|---|" + "---|" * len(leaders),
    ]
    for setting in dict.fromkeys(row["setting"] for row in data["rows"]):
        optimum = next(row["optimum"] for row in data["rows"] if row["setting"] == setting)
        shown = " | ".join(_share(cells.get((setting, leader))) for leader, _ in leaders)
        lines.append(f"| {setting} | {optimum:g} | {shown} |")
    seeds = max(row["seeds"] for row in data["rows"])
    note = f"Up to {seeds} seeds; leaders that draw nothing have one; empty where a leader refuses, or where memory is none of its settings or hardly counts. Stored by `{data['command']}`, {data['date']}."
    return "\n".join([*lines, "", f"<small>{note}</small>"])


SPAN = 1.0
"""Of values, where the first commitment is as good as optimal and they are not positive."""


def _share(row: dict[str, Any] | None) -> str:
    """A cell: the share, or the distance where the first commitment is optimal."""
    if row is None:
        return ""
    near, allowed = row["optimum"], _allowed(row["optimum"], row["start"])
    reached, count = sum(value >= near - allowed for value in row["final"]), len(row["final"])
    text = f"{row['mean'][-1] - near:+.2g}"
    if row["shares"] is not None:
        text = f"{100 * sum(row['shares']) / count:.1f} %"
    text += f", {reached}/{count}"
    return f"**{text}**" if 10 * reached >= 9 * count else text


def _allowed(near: float, start: float) -> float:
    """How far from an optimum still counts as reaching it."""
    return 0.01 * (near if min(start, near) > 0 else near - start if near - start > 1e-3 else SPAN)


def reasons(name: str) -> str:
    """How many seeds reach the optimum in each variant, by how much the median is short, and gradients where noise alone led."""
    data = stored(name)
    starts = {row["setting"]: row["start"] for row in stored("literature")["rows"]}
    cells = {(row["setting"], row["leader"], row["variant"]): row for row in data["rows"]}
    variants = list(dict.fromkeys(variant for _, _, variant in cells))
    lines = [
        f"| game, leader | {' | '.join(variants)} | gradient, bias, deviation |",
        "|---|" + "---|" * (len(variants) + 1),
    ]
    for setting, leader in dict.fromkeys(key[:2] for key in cells):
        shown = [_short(cells.get((setting, leader, variant)), starts[setting]) for variant in variants]
        end = cells.get((setting, leader, "unbiased"))
        norms = (
            ""
            if end is None
            else f"{end['exact_norm']:.2g}, {end['bias']:.2g} ± {end['bias_error']:.2g}, {end['deviation']:.2g}"
        )
        lines.append(f"| {setting}, {leader} | {' | '.join(shown)} | {norms} |")
    return "\n".join([*lines, "", f"<small>Stored by `{data['command']}`, {data['date']}.</small>"])


def _short(row: dict[str, Any] | None, start: float) -> str:
    """``7/10, 0.86``: how many reach it, and by how much the median is short, in units of what still counts."""
    if row is None:
        return ""
    allowed = _allowed(row["optimum"], start)
    short = sorted((row["optimum"] - value) / allowed for value in row["final"])
    return f"{sum(gap <= 1 for gap in short)}/{len(short)}, {short[len(short) // 2]:.2g}"


def windows(name: str) -> str:
    """Values at the end against the constants of leaders that shape the follower, a table for each leader."""
    data = stored(name)
    parts = []
    for leader in dict.fromkeys(row["leader"] for row in data["rows"]):
        rows = [row for row in data["rows"] if row["leader"] == leader]
        columns = list(dict.fromkeys(json.dumps(row["settings"]) for row in rows))
        lines = [
            f"**`{leader}`**, {data['updates'][leader]} updates of the commitment",
            "",
            f"| game | optimum | {' | '.join(_settings(json.loads(column)) for column in columns)} |",
            "|---|---|" + "---|" * len(columns),
        ]
        for game in dict.fromkeys(row["game"] for row in rows):
            cells = {json.dumps(row["settings"]): row["value"] for row in rows if row["game"] == game}
            optimum = next(row["optimum"] for row in rows if row["game"] == game)
            shown = ["refuses" if cells[column] is None else f"{cells[column]:.3f}" for column in columns]
            lines.append(f"| {game} | {optimum:.3f} | {' | '.join(shown)} |")
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, f"<small>Stored by `{data['command']}`, {data['date']}.</small>"])


def _settings(settings: dict[str, Any]) -> str:
    """Settings of a column in short."""
    if "weight" in settings:
        return f"w = {settings['weight']:g}"
    if "annealing" in settings:
        return "annealed, 10 to 1000"
    if "practice" in settings:
        return f"practice {settings['practice']}"
    size = f"η {settings['step_size']:g}" if "step_size" in settings else "η by curvature"
    return f"{size}, K {settings['lookahead']}"


def remembered(name: str) -> str:
    """Values at the end by how much of older replies is remembered, and what the rest gains on the most, seed by seed."""
    data = stored(name)
    memories = list(dict.fromkeys(row["memory"] for row in data["rows"]))
    cells = {(row["game"], row["memory"]): np.array(row["final"]) for row in data["rows"]}
    most, *less = memories
    heads = [
        f"memory {memories[0]:g}",
        *(f"{memory:g}" for memory in less),
        *(f"{memory:g} less {most:g}" for memory in less),
    ]
    lines = [f"| game | first | {' | '.join(heads)} |", "|---|" + "---|" * (len(heads) + 1)]
    for row in data["rows"]:
        if row["memory"] != most:
            continue
        game, first = row["game"], cells[row["game"], most]
        shown = [f"{cells[game, memory].mean():.4f}" for memory in memories]
        gains = [cells[game, memory] - first for memory in less]
        shown += [f"{gain.mean():+.4f} ± {gain.std(ddof=1) / len(gain) ** 0.5:.4f}" for gain in gains]
        lines.append(f"| {game} | {row['start']:.4f} | {' | '.join(shown)} |")
    seeds = sorted({len(row["final"]) for row in data["rows"]}, reverse=True)
    note = f"Means over {' or '.join(map(str, seeds))} seeds; differences with their standard errors. Stored by `{data['command']}`, {data['date']}."
    return "\n".join([*lines, "", f"<small>{note}</small>"])

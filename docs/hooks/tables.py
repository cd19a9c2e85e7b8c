"""Tables from stored measurements, as Markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent.parent / "data"
EXPLANATION = (
    "Every estimate starts from nothing: critics and gradient come from the same transitions. Figures are relative to "
    "the norm of the exact hypergradient, over {} independent estimates; *noise* is the bias that an unbiased "
    "estimator would show by chance. On the toy game the commitment is *p* = 0.25, on the random game a random policy, "
    "in Four Rooms (a small floor plan, discount 0.9, temperature 0.02) and in thermal control a random configuration."
)
OPTIMA_LEGEND = (
    "Leader's discounted return against the follower that is optimal at the temperature; the first commitment is the "
    "uniform policy, or the game's standard configuration. What is proved cannot be passed by more than the gap; the "
    "best of many ascents on the exact hypergradient can, all the more where few of them agree."
)
LEGEND = "*Deviation* is the standard deviation of one estimate, *cosine* the mean over single estimates."


def stored(name: str) -> Any:
    """A stored measurement, or None."""
    file = DATA / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def optima(game: str) -> str:
    """Exact optima of a game; empty where none is stored."""
    data = stored("optima")
    rows = [] if data is None else [row for row in data["rows"] if row["game"] == game]
    if not rows:
        return ""
    lines = [
        "## Exact optimum",
        "",
        "| settings | temperature | best known | first commitment | evidence |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        given = ", ".join(f"`{name}={value!r}`" for name, value in row["settings"].items()) or "defaults"
        numbers = f"{row['temperature']:g} | {row['value']:.4f} | {_small(row['uniform'])}"
        lines.append(f"| {given} | {numbers} | {row['evidence']} |")
    commands = " and ".join(f"`{command}`" for command in dict.fromkeys(row["command"] for row in rows))
    lines += ["", OPTIMA_LEGEND, f"Computed by {commands}."]
    return "\n".join(lines)


def _small(value: float) -> str:
    """A number to four decimals, without a negative zero."""
    return f"{0.0 if abs(value) < 5e-5 else value:.4f}"


def gradients(leader: str) -> str:
    """Measured bias and deviation of a leader's gradient; empty where none is stored."""
    data = stored("gradients")
    rows = [] if data is None else [row for row in data["rows"] if row["leader"] == leader]
    if not rows:
        return ""
    lines = ["## Measured bias and deviation", "", EXPLANATION.format(data["batches"])]
    for game in dict.fromkeys(row["game"] for row in rows):
        lines += ["", f"**`{game}`**", "", *_gradient_table([row for row in rows if row["game"] == game])]
    lines += ["", LEGEND, f"Measured by `{data['command']}`."]
    return "\n".join(lines)


def _gradient_table(rows: list[dict[str, Any]]) -> list[str]:
    """One table; a variant is named in its first row only."""
    varied = any(row["variant"] for row in rows)
    lines = [
        f"|{' variant |' if varied else ''} transitions | bias | noise | deviation | cosine |",
        f"|{'---|' if varied else ''}---|---|---|---|---|",
    ]
    shown = None
    for row in rows:
        named = f"`{row['variant']}`" if row["variant"] else "default"
        variant = f" {'' if named == shown else named} |" if varied else ""
        shown = named
        cells = " | ".join(_figure(row[name]) for name in ("bias", "bias_error", "deviation", "single_cosine"))
        lines.append(f"|{variant} {row['transitions']:,} | {cells} |")
    return lines


def _figure(value: float) -> str:
    return "0" if abs(value) < 1e-12 else f"{value:.3g}"

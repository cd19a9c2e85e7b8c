"""Windows of the penalty method, LOLA and contextual followers. Run with ``python docs/figures/shaping.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from style import FAINT, FOLLOWER, INK, LEADER, TOTAL, figure, save

DATA = Path(__file__).parent.parent / "data" / "shaping_windows.json"
COLORS = {0.1: FOLLOWER, 1.0: LEADER, 5.0: TOTAL}


def drawn(axes: Any, rows: list[dict[str, Any]], at: Any, color: str, label: str | None) -> None:
    """Values at the end against a number of the settings, with the range since half of the updates; failures as crosses."""
    points = sorted((at(row["settings"]), row) for row in rows)
    ended = [(x, row) for x, row in points if row["value"] is not None]
    axes.plot([x for x, _ in ended], [row["value"] for _, row in ended], "-o", color=color, markersize=3.5, label=label)
    if len(ended) > 1:
        low, high = ([row[name] for _, row in ended] for name in ("least", "largest"))
        axes.fill_between([x for x, _ in ended], low, high, color=color, alpha=0.15, linewidth=0)
    lost = [x for x, row in points if row["value"] is None]
    if lost:
        axes.plot(lost, [0.03] * len(lost), "x", color=color, markersize=6, transform=axes.get_xaxis_transform())


def main() -> None:
    """A row for each leader, a column for each game."""
    rows = json.loads(DATA.read_text())["rows"]
    games = list(dict.fromkeys(row["game"] for row in rows))
    made, panels = figure(10.5, 7.2, nrows=3, ncols=len(games))
    for column, game in enumerate(games):
        mine = [row for row in rows if row["game"] == game]
        penalty, lola, contextual = (
            [row for row in mine if row["leader"] == name] for name in ("penalty", "lola", "contextual")
        )
        top, middle, bottom = panels[:, column]
        top.set_title(game, fontsize=11)
        fixed = [row for row in penalty if "weight" in row["settings"]]
        drawn(top, fixed, lambda settings: settings["weight"], LEADER, "fixed weight")
        for row in penalty:
            if "weight" not in row["settings"]:
                top.axhline(row["value"], color=TOTAL, linewidth=1, linestyle="--", label="annealed")
        for step, color in COLORS.items():
            of = [row for row in lola if row["settings"].get("step_size") == step]
            drawn(middle, of, lambda settings: settings["lookahead"] * settings["step_size"], color, f"η = {step:g}")
        for row in lola:
            if "step_size" not in row["settings"] and row["value"] is not None:
                middle.axhline(row["value"], color=INK, linewidth=1, linestyle="--", label="1 / curvature, K = 100")
        drawn(bottom, contextual, lambda settings: settings["practice"], LEADER, None)
        for axes, label in ((top, "weight w"), (middle, "K η"), (bottom, "practice")):
            axes.axhline(mine[0]["optimum"], color=FAINT, linewidth=1, linestyle=":")
            axes.set_xscale("log")
            axes.set_xlabel(label, fontsize=9)
            axes.tick_params(labelsize=8)
    for axes, name in zip(panels[:, 0], ("penalty", "lola", "contextual"), strict=True):
        axes.set_ylabel(f"{name}: value")
    panels[0, 1].legend(frameon=False, fontsize=7)
    panels[1, 1].legend(frameon=False, fontsize=7)
    save(made, "shaping_windows")


if __name__ == "__main__":
    main()

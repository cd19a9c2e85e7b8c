"""Bodies that leaders designed, and what they are worth: from ``docs/data/cheetah_design.json``. Run with ``python docs/figures/cheetah.py``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from style import FAINT, FOLLOWER, INK, LEADER, TOTAL, figure, save

from stackelberg_games.envs.cheetah_design_v0 import SEGMENTS, CheetahDesign, at_rest

DATA = Path(__file__).parents[1] / "data" / "cheetah_design.json"
COLOURS = {"fixed": FAINT, "random_search": FOLLOWER, "evolution_strategies": LEADER}
NAMES = {"fixed": "usual body", "random_search": "random_search", "evolution_strategies": "evolution_strategies"}


def main() -> None:
    """One row of bodies for every seed, and the returns beside them."""
    data = json.loads((Path(sys.argv[1]) if len(sys.argv) > 1 else DATA).read_text())
    seeds = sorted({row["seed"] for row in data["rows"]})
    made, axes = figure(10, 1.6 * len(seeds) + 0.6, nrows=len(seeds), ncols=4, squeeze=False)
    for line, seed in zip(axes, seeds, strict=True):
        rows = {row["leader"]: row for row in data["rows"] if row["seed"] == seed}
        for axis, name in zip(line, COLOURS, strict=False):
            game = CheetahDesign().configured(torch.tensor(rows[name]["longer"], dtype=torch.float64))
            for part, one, other, radius in at_rest(game.body):
                colour = COLOURS[name] if part in SEGMENTS else INK
                style = {"solid_capstyle": "round", "linewidth": 60 * radius}
                axis.plot([one[0], other[0]], [one[1], other[1]], color=colour, alpha=0.8, **style)
            axis.axhline(0, color=FAINT, linewidth=0.8)
            axis.set(xlim=(-1.0, 1.1), ylim=(-0.1, 1.3), aspect="equal", xticks=[], yticks=[])
            axis.spines[["left", "bottom"]].set_visible(False)
            if seed == seeds[0]:
                axis.set_title(NAMES[name], fontsize=9)
        line[0].text(-0.98, 1.15, f"seed {seed}", fontsize=9, color=INK)
        for place, (name, colour) in enumerate(COLOURS.items()):
            row = rows[name]
            line[3].errorbar(row["return"], -place, xerr=2 * row["error"], fmt="o", color=colour, capsize=2)
        before = rows["fixed"]["before"]
        line[3].axvline(before["return"], color=TOTAL, linewidth=0.8, linestyle=":")
        line[3].set(yticks=[], ylim=(-2.6, 0.6))
        line[3].tick_params(labelsize=8)
        if seed == seeds[0]:
            line[3].text(before["return"] + 0.08, -2.4, "usual body, before", fontsize=7, color=TOTAL)
    spread = [row["return"] for row in data["rows"]] + [row["before"]["return"] for row in data["rows"]]
    for line in axes:
        line[3].set_xlim(min(spread) - 0.4, max(spread) + 0.8)
    axes[0][3].set_title("leader's return, two standard errors", fontsize=9)
    axes[-1][3].set_xlabel("metres, less the cost of the legs", fontsize=8)
    save(made, "cheetah_design")


if __name__ == "__main__":
    main()

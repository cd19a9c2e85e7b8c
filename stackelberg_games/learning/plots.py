"""Figures of runs. matplotlib is imported on first use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stackelberg_games import checks, files
from stackelberg_games.learning.run import Run
from stackelberg_games.settings import checked

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")


@checked
def learning_curves(
    groups: Mapping[str, Sequence[Run]], path: str | Path, *, optimum: float | None = None, title: str = ""
) -> None:
    """Draw the exact leader value against transitions: every run thin, the group's mean thick.

    Args:
        groups: runs by label.
        path: of the picture; its suffix decides the format.
        optimum: drawn as a dashed line.
        title: above the figure.

    Raises:
        InvalidArgumentError: there is no such format of pictures.
        CheckpointError: the folder cannot be written to.
    """
    from matplotlib.figure import Figure

    target = checks.path("path", path)
    figure = Figure(figsize=(7, 4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for colour, (label, runs) in zip(COLOURS * len(groups), groups.items(), strict=False):
        curves = [_curve(run) for run in runs]
        for transitions, values in curves if len(curves) > 1 else []:
            axes.plot(transitions, values, color=colour, alpha=0.25, linewidth=0.8)
        lengths = {len(curve[0]) for curve in curves}
        if len(lengths) == 1:
            mean = np.mean([curve[1] for curve in curves], axis=0)
            axes.plot(curves[0][0], mean, color=colour, linewidth=2, label=label)
    if optimum is not None:
        axes.axhline(optimum, color="0.3", linestyle="--", linewidth=1, label=f"exact optimum {optimum:.4g}")
    axes.set_xlabel("transitions played")
    axes.set_ylabel("leader value (exact)")
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.ticklabel_format(axis="x", style="plain")
    axes.margins(x=0.01)
    axes.legend(frameon=False, fontsize=9)
    files.save_figure(figure, target)


def _curve(run: Run) -> tuple[Any, Any]:
    name = "recommended_value" if any("recommended_value" in row for row in run.history) else "leader_value"
    rows = [row for row in run.history if name in row]
    return np.array([row["transitions"] for row in rows]), np.array([row[name] for row in rows])

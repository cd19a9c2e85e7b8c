"""The figure of a reproduction: ours as lines, published values as points, the optimum as a dashed line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stackelberg_games import files
from stackelberg_games.learning.plots import COLOURS
from stackelberg_games.reproductions.reproduction import Reproduction, Summary

_END = 1.035  # where the end of a published curve stands that reaches beyond ours, in shares of the axis
_PANEL = (4.2, 3.1)  # inches


def save(reproduction: Reproduction, folder: str | Path) -> list[Path]:
    """Write the data, and the figure as PNG and SVG; returns what was written."""
    files = reproduction.save(folder)
    pictures = [Path(folder) / f"{reproduction.study.name}.{suffix}" for suffix in ("png", "svg")]
    draw(reproduction, pictures)
    return [*files, *pictures]


def draw(reproduction: Reproduction, paths: Sequence[Path]) -> None:
    """Draw the figure into files; the suffix decides the format."""
    from matplotlib.figure import Figure

    rows = reproduction.summaries()
    study = reproduction.study
    titles = list(dict.fromkeys(_panel(reproduction, row) for row in rows)) or [""]
    columns = min(study.columns, len(titles))
    height = -(-len(titles) // columns)
    size = (max(7.0, _PANEL[0] * columns), _PANEL[1] * height + 1.4)
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    panels = figure.subplots(height, columns, squeeze=False)
    colours = dict(zip(study.entries, COLOURS * len(study.entries), strict=False))
    for axes, title in zip(panels.flat, titles, strict=False):
        members = [row for row in rows if _panel(reproduction, row) == title]
        if not members:  # every run failed
            continue
        (_draw_ends if study.abscissa else _draw_curves)(reproduction, axes, members, colours)
        axes.set_title(title, loc="left", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in list(panels.flat)[len(titles) :]:
        axes.set_axis_off()
    seeds = max((len(row.values) for row in rows), default=0)
    length = "" if reproduction.fraction == 1 else f" at {reproduction.fraction:g} of the published length"
    figure.suptitle(f"{study.title}: {seeds} seed{'s' * (seeds != 1)}{length}", x=0.01, ha="left", fontsize=11)
    figure.supylabel(study.vertical, fontsize=9)
    _legend(figure, panels)
    for path in paths:
        files.save_figure(figure, path)


def _panel(reproduction: Reproduction, row: Summary) -> str:
    setting = reproduction.study.settings[row.setting]
    return setting.panel or row.setting


def _draw_curves(reproduction: Reproduction, axes: Any, rows: Sequence[Summary], colours: dict[str, str]) -> None:
    """Values against published updates, mean and standard error over seeds."""
    setting = reproduction.study.settings[rows[0].setting]
    end = setting.updates * reproduction.fraction
    for row in rows:
        colour = colours[row.leader]
        axes.plot(row.updates, row.mean, color=colour, linewidth=1.8, label=_label(row))
        axes.fill_between(row.updates, row.mean - row.error, row.mean + row.error, color=colour, alpha=0.2, linewidth=0)
        _draw_published(axes, row, end, colour)
    _draw_optimum(axes, setting.optimum)
    axes.set_xlim(0, end)
    axes.set_xlabel(f"updates of {setting.unit:,} transitions" if setting.unit > 1 else "updates", fontsize=9)


def _draw_published(axes: Any, row: Summary, end: float, colour: str) -> None:
    """Points where ours reach too, and the end of the published curve beside the axis."""
    if row.published is None:
        return
    style = {
        "color": colour,
        "fmt": "o",
        "markersize": 4.5,
        "markerfacecolor": "white",
        "linewidth": 1,
        "clip_on": False,
    }
    within = [i for i, update in enumerate(row.published.updates) if update <= end]
    for i in within:
        drawn = axes.errorbar(row.published.updates[i], row.published.values[i], row.published.errors[i], **style)
        drawn.lines[0].set_gid("published")
    last = len(row.published.updates) - 1
    if last not in within:
        # A transform with data on one axis only has no errorbar; the band is drawn as a line.
        value, error = row.published.values[last], row.published.errors[last]
        beside = {"transform": axes.get_yaxis_transform(), "clip_on": False, "color": colour}
        axes.plot([_END] * 2, [value - error, value + error], linewidth=1, **beside)
        axes.plot([_END], [value], ">", markersize=5, markerfacecolor="white", gid="published, at its end", **beside)
        axes.update_datalim([(0.0, value - error), (0.0, value + error)])
        axes.autoscale_view()


def _draw_ends(reproduction: Reproduction, axes: Any, rows: Sequence[Summary], colours: dict[str, str]) -> None:
    """Values at the end against a number of the setting."""
    settings = reproduction.study.settings
    for leader in dict.fromkeys(row.leader for row in rows):
        mine = sorted((row for row in rows if row.leader == leader), key=lambda row: settings[row.setting].at or 0)
        at = [settings[row.setting].at for row in mine]
        means, errors = (np.array([getattr(row, name)[-1] for row in mine]) for name in ("mean", "error"))
        axes.errorbar(at, means, errors, color=colours[leader], marker="o", markersize=3.5, label=_label(mine[0]))
    _draw_optimum(axes, settings[rows[0].setting].optimum)
    axes.set_xscale("log")
    ticks = sorted({float(settings[row.setting].at or 0) for row in rows})
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_xlabel(reproduction.study.abscissa, fontsize=9)


def _draw_optimum(axes: Any, optimum: float | None) -> None:
    if optimum is not None:
        axes.axhline(optimum, color="0.3", linestyle="--", linewidth=1, label="best known value")


def _label(row: Summary) -> str:
    return f"{row.leader} [{row.information.lower().replace('_', ' ')}]"


def _legend(figure: Any, panels: Any) -> None:
    """One legend for all panels."""
    found: dict[str, Any] = {}
    for axes in panels.flat:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    found = {label: found[label] for label in sorted(found, key=lambda label: label == "best known value")}
    for label, marker in (("published", "o"), ("published, at its end", ">")):
        if any(line.get_gid() == label for axes in panels.flat for line in axes.get_lines()):
            (found[label],) = panels.flat[0].plot([], [], marker, color="0.4", markerfacecolor="white", markersize=4.5)
    columns = max(2, min(len(found), int(figure.get_size_inches()[0] // 2.3)))
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=columns, frameon=False, fontsize=8)

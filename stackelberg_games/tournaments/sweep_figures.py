"""Figures of a sweep: payoffs against a setting, and learning curves of its points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.learning.curves import Curve, aligned, median_band
from stackelberg_games.learning.plots import COLOURS, Canvas
from stackelberg_games.tournaments.charts import Line
from stackelberg_games.tournaments.figures import draw_lines

Purpose = Literal["tuning", "report"]


class Swept(Protocol):
    """``SweepResults``, as far as it is drawn."""

    points: list[dict[str, Any]]

    def payoffs(self, point: int, purpose: Purpose = "tuning") -> FloatArray:
        """The leader's payoff in every finished run of a point."""

    def curves(self, point: int, purpose: Purpose = "tuning") -> list[Curve]:
        """The learning curve of every finished run of a point that has one."""

    def faced(self, point: int) -> str:
        """What the leader of a point faces, in words."""

    def described(self, point: int, beside: Sequence[int] = ()) -> str:
        """The searched settings of a point, in words: those in which it differs from others, or all."""


def draw_setting(found: Swept, name: str, canvas: Canvas) -> Any:
    """The leader's payoff in every run for tuning against one setting; returns the axes."""
    _, (drawn,) = canvas(6, 3.6, 1)
    values = [point["values"].get(name) for point in found.points]
    numbers = all(checks.is_number(value) for value in values)
    places = values if numbers else [str(value) for value in values]
    for colour, members in enumerate(tasks(found.points).values()):
        _draw_medians(found, drawn, members, places, COLOURS[colour % len(COLOURS)])
    if numbers and min(values) > 0 and max(values) > 10 * min(values):
        drawn.set_xscale("log")
    drawn.set_xlabel(name)
    drawn.set_ylabel("leader payoff, runs for tuning")
    drawn.legend(frameon=False, fontsize=8)
    return drawn


def _draw_medians(found: Swept, axes: Any, members: Sequence[int], places: Sequence[Any], colour: str) -> None:
    """One task: every run, and a line that joins the medians."""
    by_place: dict[Any, list[float]] = {}
    for number in members:
        by_place.setdefault(places[number], []).extend(found.payoffs(number).tolist())
    known = {place: paid for place, paid in by_place.items() if paid}
    for place, paid in known.items():
        axes.plot([place] * len(paid), paid, "o", color=colour, alpha=0.35, markersize=4)
    order = sorted(known) if known and not isinstance(next(iter(known)), str) else list(known)
    label = found.faced(members[0])
    axes.plot(order, [float(np.median(known[place])) for place in order], color=colour, linewidth=2, label=label)


def draw_points(found: Swept, points: Sequence[int], purpose: Purpose, canvas: Canvas) -> Any:
    """Learning curves of points, median over seeds with its band; returns axes ``[tasks]``.

    Raises:
        InvalidArgumentError: none of them has a curve.
    """
    panels = {task: [n for n in members if n in points] for task, members in tasks(found.points).items()}
    panels = {task: members for task, members in panels.items() if members}
    lines = {
        task: [line for n in members if (line := _line(found, n, members, purpose))] for task, members in panels.items()
    }
    if not any(lines.values()):
        raise InvalidArgumentError(
            f"purpose={purpose!r}: no run of these points has a learning curve; finished runs have where training.points is not 0"
        )
    _, axes = canvas(1.2 + 3.6 * len(panels), 3.4, len(panels))
    for axis, (task, members) in zip(axes, panels.items(), strict=True):
        draw_lines(axis, lines[task])
        axis.set_xlabel("transitions")
        axis.set_title(found.faced(members[0]).replace(", against ", "\nagainst "), loc="left", fontsize=9)
        axis.legend(frameon=False, fontsize=7)
    axes[0].set_ylabel(f"leader payoff, {'seeds for tuning' if purpose == 'tuning' else 'seeds for reporting'}")
    return axes


def _line(found: Swept, point: int, beside: Sequence[int], purpose: Purpose) -> Line | None:
    """The median over the runs of a point, named by what differs; its colour is the point's, whatever is beside it."""
    curves = found.curves(point, purpose)
    if not curves:
        return None
    grid, values = aligned(curves, hold=True)
    return Line(found.described(point, beside), point, grid, *median_band(values))


def tasks(points: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    """Numbers of the points of every task."""
    found: dict[str, list[int]] = {}
    for number, point in enumerate(points):
        found.setdefault(point["task"], []).append(number)
    return found

"""Pictures of floor plans: the configuration as a heat map, and where the follower spends its time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle, Rectangle
from matplotlib.patheffects import withStroke

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.floors.plan import MOVES, FloorPlan

WALL, SHELF, FREE, INK = "#3d444d", "#c9b79c", "#f6f8fa", "#24292f"
LEADER, FOLLOWER, TARGET, ROBOT = "#7b4fc9", "#1a8f6a", "#e8833a", "#2f6fde"
LETTERED = 60
"""Rows or columns of a floor up to which its marks are letters."""

FADED = 0.55  # exponent of both scales: small amounts stay visible


class Mark(NamedTuple):
    """A cell with a letter.

    Attributes:
        cell: its number.
        letter: what is written in it.
        target: whether the leader's reward depends on it; drawn as a frame.
    """

    cell: int
    letter: str
    target: bool = False


class FloorScene(NamedTuple):
    """What a picture of a floor shows.

    Attributes:
        marks: letters and frames.
        heat: what the configuration puts on each cell, ``[cells]``; None to leave it out.
        barriers: passages (cell, move) ``[P, 2]`` and how much each is hindered, in [0, 1], ``[P]``.
        occupancy: share of the follower's time in each cell, ``[cells]``; None to leave it out.
        robot: the cell that the follower is in, or None.
        temperature: of the follower whose occupancy is shown, for the legend.
    """

    marks: tuple[Mark, ...]
    heat: FloatArray | None = None
    barriers: tuple[IntArray, FloatArray] | None = None
    occupancy: FloatArray | None = None
    robot: int | None = None
    temperature: float | None = None


def draw_floor(axes: Any, plan: FloorPlan, scene: FloorScene, *, explained: bool = True) -> None:
    """Draw a floor on empty axes, row 0 at the top, and below it what the colours mean if ``explained``."""
    rows, columns = plan.numbers.shape
    legend = _legend(scene) if explained else []
    line_height = max(0.75, rows / 34, columns / 42)  # in cells, of which large floors have many in a line of text
    below = 0.5 + (line_height * (len(legend) + 0.2) if legend else 0.0)
    axes.set(xlim=(-0.6, columns - 0.4), ylim=(rows - 0.4 + below, -0.6), aspect="equal")
    extent = (-0.5, columns - 0.5, rows - 0.5, -0.5)
    axes.imshow(_ground(plan, scene.heat), extent=extent, interpolation="nearest", aspect="equal")
    axes.set(xlim=(-0.6, columns - 0.4), ylim=(rows - 0.4 + below, -0.6))
    if scene.occupancy is not None:
        _draw_occupancy(axes, plan, scene.occupancy)
    if scene.barriers is not None:
        _draw_barriers(axes, plan, *scene.barriers)
    if max(rows, columns) > LETTERED:
        _draw_dots(axes, plan, scene.marks)
    else:
        for mark in scene.marks:
            _draw_mark(axes, plan, mark)
    if scene.robot is not None:
        row, column = plan.cells[scene.robot]
        radius = max(0.33, rows / 80)
        axes.add_patch(Circle((column, row), radius, facecolor=ROBOT, edgecolor="white", linewidth=1.5, zorder=6))
    for line, (color, words) in enumerate(legend):
        below_wall = line_height * (line + 0.7) - 0.4
        axes.text(-0.5, rows + below_wall, words, color=color, fontsize=8.5, va="center", parse_math=False)


def _legend(scene: FloorScene) -> list[tuple[str, str]]:
    lines = []
    if scene.heat is not None:
        least = scene.heat.min()
        amount = f"{least:.3g} to {scene.heat.max():.3g}" if least < 0 else f"{scene.heat.sum():.3g} in all"
        lines.append((LEADER, f"shade: what the leader sets, {amount}"))
    if scene.barriers is not None:
        lines.append((LEADER, f"bars: steps the leader hinders, up to {scene.barriers[1].max(initial=0):.0%}"))
    if scene.occupancy is not None:
        whose = "the follower" if scene.temperature is None else f"a follower at temperature {scene.temperature:g}"
        lines.append((FOLLOWER, f"discs: where {whose} spends its time"))
    if any(mark.target for mark in scene.marks):
        lines.append((TARGET, "frame: where the leader is paid or pays"))
    return lines


def _ground(plan: FloorPlan, heat: FloatArray | None) -> FloatArray:
    """Colours of all places, ``[rows, columns, 3]``."""
    image = np.empty((*plan.numbers.shape, 3))
    image[:] = to_rgb(WALL)
    image[plan.shelves] = to_rgb(SHELF)
    free = np.broadcast_to(to_rgb(FREE), (plan.size, 3))
    above = None if heat is None else heat - min(0.0, float(heat.min()))
    if above is not None and above.max() > 0:
        share = (above / above.max())[:, None] ** FADED
        free = (1 - 0.85 * share) * free + 0.85 * share * np.array(to_rgb(LEADER))
    image[tuple(plan.cells.T)] = free
    return image


def _draw_occupancy(axes: Any, plan: FloorPlan, occupancy: FloatArray) -> None:
    sizes = 0.62 * (occupancy / max(float(occupancy.max()), 1e-300)) ** FADED
    seen = sizes > 0.05
    discs = EllipseCollection(
        sizes[seen],
        sizes[seen],
        np.zeros(int(seen.sum())),
        units="x",
        offsets=plan.cells[seen][:, ::-1],
        offset_transform=axes.transData,
        facecolors=FOLLOWER,
        alpha=0.75,
        zorder=3,
    )
    axes.add_collection(discs)


def _draw_barriers(axes: Any, plan: FloorPlan, passages: IntArray, hindered: FloatArray) -> None:
    """A bar across each passage, on the side from which it is hard to pass."""
    seen = hindered > 0.02
    centres = plan.cells[passages[seen, 0]][:, ::-1].astype(np.float64)
    ahead = MOVES[passages[seen, 1]][:, ::-1].astype(np.float64)
    across = ahead[:, ::-1]
    middle = centres + 0.40 * ahead
    segments = np.stack((middle - 0.36 * across, middle + 0.36 * across), axis=1)
    colors = [(*to_rgb(LEADER), alpha) for alpha in 0.15 + 0.85 * hindered[seen]]
    axes.add_collection(LineCollection(list(segments), colors=colors, linewidths=3.2, zorder=4))


def _draw_dots(axes: Any, plan: FloorPlan, marks: tuple[Mark, ...]) -> None:
    """Marks of a floor whose cells are too small for letters: squares for what the leader is paid for, dots for the rest."""
    for target, color, shape in ((True, TARGET, "s"), (False, INK, ".")):
        cells = [mark.cell for mark in marks if mark.target == target]
        size = (220 / max(plan.numbers.shape)) ** 2
        axes.scatter(*plan.cells[cells].T[::-1], s=size, c=color, marker=shape, linewidths=0, zorder=5)


def _draw_mark(axes: Any, plan: FloorPlan, mark: Mark) -> None:
    row, column = plan.cells[mark.cell]
    if mark.target:
        frame = Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor=TARGET, linewidth=2.4)
        frame.set_zorder(5)
        axes.add_patch(frame)
    letter = axes.text(
        column, row, mark.letter, color=INK, fontsize=10, weight="bold", ha="center", va="center", zorder=7
    )
    letter.set_path_effects([withStroke(linewidth=2.0, foreground="white")])

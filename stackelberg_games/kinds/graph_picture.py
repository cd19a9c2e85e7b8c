"""A finite game as a graph of its states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle
from matplotlib.path import Path

from stackelberg_games.arrays import BoolArray, FloatArray
from stackelberg_games.rules.drawing import FAINT, HERE, INK, LARGEST_GRAPH, MOVED, PALE, SIZE, SMALLEST_FONT
from stackelberg_games.rules.scene import Scene


class Drawn(Protocol):
    """What is read of a finite game."""

    states: int
    terminal: BoolArray
    state_labels: Sequence[str]

    @property
    def transition(self) -> FloatArray:
        """``[S, A, B, S]``."""


class _Layout(NamedTuple):
    """Where states are drawn.

    Attributes:
        positions: ``[S, 2]``, around the origin.
        radius: of a state, in the same units.
        extent: half the width and height that hold everything.
        pull: how much transitions bend towards the origin; keeps them off the states of a circle.
    """

    positions: FloatArray
    radius: float
    extent: tuple[float, float]
    pull: float


def _circle(states: int) -> _Layout:
    """States on a circle, the first at the top, clockwise."""
    angles = np.pi / 2 - 2 * np.pi * np.arange(states) / states
    positions = np.stack((np.cos(angles), np.sin(angles)), axis=1) * (states > 1)
    radius = min(0.18, 0.84 * np.sin(np.pi / states)) if states > 1 else 0.3
    reach = 1.08 + 2.6 * radius  # holds the loops
    return _Layout(positions, radius, (reach, reach), 0.25)


def _cells(states: int) -> _Layout:
    """States as cells of a grid, row by row."""
    columns = int(np.ceil(np.sqrt(states * 1.2)))
    rows = -(-states // columns)
    index = np.arange(states)
    positions = np.stack((index % columns - (columns - 1) / 2, (rows - 1) / 2 - index // columns), axis=1)
    return _Layout(positions.astype(float), 0.42, (columns / 2 + 0.5, rows / 2 + 0.5), 0.0)


class GraphPicture:
    """A finite game: its states, the transitions that are possible, and the last one made."""

    def __init__(self, game: Drawn) -> None:
        self.game = game
        self.small = game.states <= LARGEST_GRAPH
        self.layout = _circle(game.states) if self.small else _cells(game.states)
        if self.small:
            self.chances = game.transition.mean(axis=(1, 2))

    def draw_background(self, axes: Any) -> None:
        """Nodes and possible transitions; fainter where less likely under uniform play."""
        self._frame(axes)
        if self.small:
            crowd = min(1.0, 12 / self.game.states)
            for i, j in np.argwhere(self.chances):
                if not self.game.terminal[i]:
                    alpha = min(1.0, (0.2 + 0.6 * self.chances[i, j]) * crowd)
                    axes.add_patch(self._arrow(int(i), int(j), FAINT, max(0.5, crowd), alpha))
            for state in range(self.game.states):
                self._node(axes, state, PALE, INK)
        else:
            cells = [self._cell(state) for state in range(self.game.states)]
            edges = np.where(self.game.terminal, INK, FAINT)
            width = min(1.0, 8 / self.layout.extent[0])
            axes.add_collection(PatchCollection(cells, facecolors=PALE, edgecolors=edges, linewidths=width))

    def draw(self, axes: Any, scene: Scene) -> None:
        """The current state, where it can lead now, and the transition that led to it."""
        self._frame(axes)
        state = int(scene.state)
        if self.small:
            self._draw_prospects(axes, state, scene.pending)
        if scene.played is not None:
            last = int(scene.played.state)
            axes.add_patch(self._arrow(last, state, MOVED, 2.6, 1.0, zorder=4))
            self._node(axes, last, "#fbe3d0", INK)
        self._node(axes, state, HERE, "white")

    def _draw_prospects(self, axes: Any, state: int, pending: Any) -> None:
        """Transitions out of the state, given the leader's pending action if there is one."""
        if self.game.terminal[state]:
            return
        rows = self.game.transition[state] if pending is None else self.game.transition[state, pending]
        chances = rows.reshape(-1, self.game.states).mean(axis=0)
        for target in np.flatnonzero(chances):
            axes.add_patch(self._arrow(state, int(target), HERE, 1.4, 0.25 + 0.6 * chances[target], zorder=3))

    def _frame(self, axes: Any) -> None:
        width, height = self.layout.extent
        axes.set(xlim=(-width, width), ylim=(-height, height), aspect="equal")

    def _node(self, axes: Any, state: int, face: str, ink: str) -> None:
        (x, y), radius = self.layout.positions[state], self.layout.radius
        shape = Circle((x, y), radius) if self.small else self._cell(state)
        terminal = bool(self.game.terminal[state])
        shape.set(facecolor=face, edgecolor=INK if terminal else FAINT, linewidth=2.2 if terminal else 1.0, zorder=5)
        axes.add_patch(shape)
        if self.small:
            diameter = radius * 0.96 * SIZE[1] * 72 / self.layout.extent[1]  # in points
            name = self.game.state_labels[state]
            if len(name) * SMALLEST_FONT > 1.1 * diameter:
                name = str(state)  # the panel has the whole name
            size = min(14.0, 1.1 * diameter / max(len(name), 2))
            axes.text(x, y, name, color=ink, fontsize=size, ha="center", va="center", zorder=6, parse_math=False)

    def _cell(self, state: int) -> Rectangle:
        (x, y), radius = self.layout.positions[state], self.layout.radius
        return Rectangle((x - radius, y - radius), 2 * radius, 2 * radius)

    def _arrow(self, i: int, j: int, color: str, width: float, alpha: float, zorder: float = 2) -> FancyArrowPatch:
        path = self._loop(i) if i == j else self._curve(i, j)
        style = "-|>,head_length=4,head_width=2.2"
        return FancyArrowPatch(path=path, arrowstyle=style, color=color, linewidth=width, alpha=alpha, zorder=zorder)

    def _curve(self, i: int, j: int) -> Path:
        """A bend to the left, so that the two directions between a pair do not overlap."""
        start, end = self.layout.positions[i], self.layout.positions[j]
        along = end - start
        control = (1 - self.layout.pull) * (start + end) / 2 + 0.14 * np.array([along[1], -along[0]])
        points = [_towards(start, control, self.layout.radius), control, _towards(end, control, self.layout.radius)]
        return Path(points, [Path.MOVETO, Path.CURVE3, Path.CURVE3])

    def _loop(self, i: int) -> Path:
        """A loop on the outer side of a state that follows itself."""
        centre, radius = self.layout.positions[i], self.layout.radius
        outward = np.arctan2(centre[1], centre[0]) if centre.any() else np.pi / 2
        spread = (0.55, 0.42, -0.42, -0.55)
        reach = (radius, 3.2 * radius, 3.2 * radius, radius)
        points = [
            centre + r * np.array([np.cos(outward + s), np.sin(outward + s)])
            for s, r in zip(spread, reach, strict=True)
        ]
        return Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])


def _towards(start: FloatArray, end: FloatArray, distance: float) -> FloatArray:
    return np.asarray(start + (end - start) * distance / np.linalg.norm(end - start))

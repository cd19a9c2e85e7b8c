"""Pictures of a running episode: text, an image drawn by Matplotlib, and a window."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle
from matplotlib.path import Path
from numpy.typing import NDArray

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import MissingExtraError
from stackelberg_games.faces.configuration_picture import draw_strip, in_words
from stackelberg_games.faces.episode import Scene
from stackelberg_games.game import Game
from stackelberg_games.tabular import TabularGame

Image = NDArray[np.uint8]
SIZE, DPI = (9.0, 5.4), 100
SMALLEST_FONT = 7.0
LARGEST_GRAPH = 30  # states; more are drawn as cells
INK, FAINT, PALE = "#24292f", "#8b949e", "#eef1f4"
HERE, MOVED, LEADER_COLOR, FOLLOWER_COLOR = "#2f6fde", "#e8833a", "#7b4fc9", "#1a8f6a"


class Renderer:
    """Draws scenes of one game; what does not change is drawn once.

    Args:
        game: any game.
        fps: pace of the window.
    """

    def __init__(self, game: Game, fps: float) -> None:
        self.game, self.fps = game, fps
        self._picture: _Picture | None = None
        self._window: _Window | None = None

    def render(self, mode: str, scene: Scene) -> str | Image | None:
        """A scene in one of the render modes.

        Raises:
            MissingExtraError: human mode without pygame.
        """
        if mode == "ansi":
            return text(self.game, scene)
        if self._picture is None:
            self._picture = _Picture(self.game)
        frame = self._picture.draw(scene)
        if mode == "rgb_array":
            return frame
        if self._window is None:
            self._window = _Window(self.game.name, self.fps)
        self._window.show(frame)
        return None

    def close(self) -> None:
        """Close the window."""
        if self._window is not None:
            self._window.close()
            self._window = None


def text(game: Game, scene: Scene) -> str:
    """The scene in a few lines of text."""
    return "\n".join([f"{game.name}  {_clock(scene)}", *(f"{k:<9} {v}" for k, v in _facts(game, scene))])


def _facts(game: Game, scene: Scene) -> list[tuple[str, str]]:
    """Captions and values, in the order in which they are read."""
    facts = [("state", label(game, scene.state)), ("now", scene.status)]
    if scene.pending is not None:
        facts[1] = ("now", f"{scene.status}, having seen {_short(scene.pending)}")
        if not game.follower_sees_action:
            facts[1] = ("now", f"{scene.status}; leader_0 has moved unseen")
    if scene.configuration is not None:
        facts.append(("set", in_words(scene.configuration)))
    if scene.played is not None:
        state, leader, follower, rewards = scene.played
        moved = "" if leader is None else f"leader {_short(leader)}, "
        facts.append(("last", f"in {label(game, state)}: {moved}follower {_short(follower)}"))
        facts.append(("rewards", f"leader {rewards[0]:+.3f}, follower {rewards[1]:+.3f}"))
    facts.append(("returns", f"leader {scene.returns[0]:+.3f}, follower {scene.returns[1]:+.3f}"))
    return facts


def _clock(scene: Scene) -> str:
    return f"stage {scene.stage}" + ("" if scene.horizon is None else f" of {scene.horizon}")


def label(game: Game, state: Any) -> str:
    """Name of a state: its label in a finite game, else its numbers."""
    return game.state_labels[int(state)] if isinstance(game, TabularGame) else _short(state)


def _short(value: Any) -> str:
    """An action or a state in little space."""
    if value is None:  # a leader that only configures
        return ""
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{array.item():.4g}" if array.dtype.kind == "f" else str(array.item())
    listed = ", ".join(f"{x:.3g}" for x in array.ravel()[:4])
    return f"[{listed}, ...]" if array.size > 4 else f"[{listed}]"


class _Picture:
    """A figure with the game on the left and the facts on the right."""

    def __init__(self, game: Game) -> None:
        self.game = game
        self.figure = Figure(figsize=SIZE, dpi=DPI, facecolor="white")
        self.canvas: Any = FigureCanvasAgg(self.figure)
        self.panel = self.figure.add_axes((0.67, 0.0, 0.33, 1.0))
        self.stage = self.figure.add_axes((0.01, 0.02, 0.64, 0.96))
        for axes in (self.panel, self.stage):
            axes.set_axis_off()
        self._frames = {axes: set(axes.get_children()) for axes in (self.panel, self.stage)}
        self.view = _Graph(game) if isinstance(game, TabularGame) else _Bars(game)
        self._background: Any = None

    def draw(self, scene: Scene) -> Image:
        """The scene as an image, uint8 ``[height, width, 3]``."""
        if self._background is None:
            self._draw_background(scene)
        self.canvas.restore_region(self._background)
        self._clear()
        if not self.game.draw(self.stage, scene):
            self.view.draw(self.stage, scene)
            if scene.configuration is not None:
                draw_strip(self.panel, scene.configuration)
        _write_facts(self.panel, self.game, scene)
        for axes in (self.stage, self.panel):
            self.figure.draw_artist(axes)
        return np.asarray(self.canvas.buffer_rgba())[..., :3].copy()

    def _draw_background(self, scene: Scene) -> None:
        """What every frame has in common, drawn once."""
        own = self.game.draw(self.stage, scene)
        self._clear()
        if not own:
            self.view.draw_background(self.stage)
        _write_headings(self.panel, self.game)
        line = Rectangle((0.655, 0.06), 0.0015, 0.88, transform=self.figure.transFigure, color="#d0d7de")
        self.figure.add_artist(line)
        self.canvas.draw()
        self._background = self.canvas.copy_from_bbox(self.figure.bbox)

    def _clear(self) -> None:
        """Empty both axes; much faster than ``Axes.clear``, which also builds new ticks."""
        for axes, frame in self._frames.items():
            for artist in axes.get_children():
                if artist not in frame:
                    artist.remove()
            axes.set(xlim=(0, 1), ylim=(0, 1), aspect="auto")


SIDES = (("leader", LEADER_COLOR), ("follower", FOLLOWER_COLOR))


def _write_headings(axes: Any, game: Game) -> None:
    """What the panel shows in every frame."""
    _write(axes, 0.94, game.name, size=14, weight="bold")
    _write(axes, 0.54, "last stage", color=MOVED, weight="bold")
    _write(axes, 0.30, "returns", weight="bold")
    for side, (name, color) in enumerate(SIDES):
        for y in (0.47, 0.23):
            _write(axes, y - 0.06 * side, name, color=color)


def _write_facts(axes: Any, game: Game, scene: Scene) -> None:
    """Who moves, what was played last, and what it paid."""
    _write(axes, 0.87, _clock(scene), color=FAINT)
    _write(axes, 0.78, f"state {label(game, scene.state)}", color=HERE, weight="bold")
    _write(axes, 0.72, scene.status.replace("_0", ""))
    if scene.pending is not None:
        words = f"leader has played {_short(scene.pending)}"
        _write(axes, 0.66, words, color=LEADER_COLOR, size=11 if len(words) < 28 else 8.5)
    if scene.configuration is not None:
        _write(axes, 0.60, f"set: {in_words(scene.configuration)}", color=LEADER_COLOR, size=SMALLEST_FONT + 1)
    played = scene.played
    for side in range(2):
        _write(axes, 0.23 - 0.06 * side, f"{scene.returns[side]:+.3f}", x=0.94, ha="right")
        if played is not None:
            action = _short((played.leader_action, played.follower_action)[side])
            _write(axes, 0.47 - 0.06 * side, action, x=0.34, size=11 if len(action) < 8 else SMALLEST_FONT)
            _write(axes, 0.47 - 0.06 * side, f"{played.rewards[side]:+.3f}", x=0.94, ha="right")


def _write(
    axes: Any, y: float, words: str, *, x: float = 0.06, color: str = INK, size: float = 11, **style: str
) -> None:
    """One line of the panel, cut where it would leave the picture."""
    longest = round(308 / size)
    words = words if len(words) <= longest else words[: longest - 1] + "…"
    axes.text(x, y, words, color=color, fontsize=size, va="center_baseline", parse_math=False, **style)


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


class _Graph:
    """A finite game: its states, the transitions that are possible, and the last one made."""

    def __init__(self, game: TabularGame) -> None:
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


class _Bars:
    """Any other game: the state as the leader observes it, one bar for each entry."""

    def __init__(self, game: Game) -> None:
        self.box = game.observation_space

    def draw_background(self, axes: Any) -> None:
        """Nothing: the scale follows the values."""

    def draw(self, axes: Any, scene: Scene) -> None:
        """Bars from zero, on a scale that holds the largest value."""
        values = scene.observation
        reach = max(1.0, float(np.abs(values).max()))
        slack = max(0.0, (8 - len(values)) / 2)  # few bars stay slim
        axes.set(xlim=(-1.45 * reach, 1.45 * reach), ylim=(len(values) + slack, -1 - slack))
        axes.barh(np.arange(len(values)), values, height=0.6, color=HERE)
        axes.plot([0.0, 0.0], [-0.5, len(values) - 0.5], color=FAINT, linewidth=1.0)
        if len(values) <= LARGEST_GRAPH:
            for row, value in enumerate(values):
                axes.text(-1.4 * reach, row, f"observation {row}", color=FAINT, fontsize=9, va="center")
                axes.text(1.4 * reach, row, f"{value:+.3g}", color=INK, fontsize=9, va="center", ha="right")


class _Window:
    """A pygame window; closing it by hand ends the pictures, not the episode."""

    def __init__(self, title: str, fps: float) -> None:
        try:
            import pygame
        except ImportError as error:
            raise MissingExtraError("pygame", "render") from error
        self._pygame, self._fps = pygame, fps
        pygame.display.init()
        self._screen: Any = pygame.display.set_mode((round(SIZE[0] * DPI), round(SIZE[1] * DPI)))
        pygame.display.set_caption(title)
        self._time = pygame.time.Clock()

    def show(self, frame: Image) -> None:
        """Show a frame and keep to the pace."""
        if self._screen is None:
            return
        self._screen.blit(self._pygame.surfarray.make_surface(frame.swapaxes(0, 1)), (0, 0))
        self._pygame.display.flip()
        if any(event.type == self._pygame.QUIT for event in self._pygame.event.get()):
            self.close()
            return
        self._time.tick(self._fps)

    def close(self) -> None:
        """Close the window."""
        if self._screen is not None:
            self._screen = None
            self._pygame.display.quit()

"""Pictures of a running episode: text, an image drawn by Matplotlib, and a window."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from stackelberg_games.errors import MissingExtraError
from stackelberg_games.faces.configuration_picture import draw_strip, in_words
from stackelberg_games.rules.drawing import (
    DPI,
    FAINT,
    FOLLOWER_COLOR,
    HERE,
    INK,
    LARGEST_GRAPH,
    LEADER_COLOR,
    MOVED,
    SIZE,
    SMALLEST_FONT,
    Picture,
    short,
)
from stackelberg_games.rules.rules import Rules
from stackelberg_games.rules.scene import Scene

Image = NDArray[np.uint8]


class Renderer:
    """Draws scenes of one game; what does not change is drawn once.

    Args:
        game: any game.
        fps: pace of the window.
    """

    def __init__(self, game: Rules, fps: float) -> None:
        self.game, self.fps = game, fps
        self._picture: _Frame | None = None
        self._window: _Window | None = None

    def render(self, mode: str, scene: Scene) -> str | Image | None:
        """A scene in one of the render modes.

        Raises:
            MissingExtraError: human mode without pygame.
        """
        if mode == "ansi":
            return text(self.game, scene)
        if self._picture is None:
            self._picture = _Frame(self.game)
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


def text(game: Rules, scene: Scene) -> str:
    """The scene in a few lines of text."""
    return "\n".join([f"{game.name}  {_clock(scene)}", *(f"{k:<9} {v}" for k, v in _facts(game, scene))])


def _facts(game: Rules, scene: Scene) -> list[tuple[str, str]]:
    """Captions and values, in the order in which they are read."""
    facts = [("state", game.label(scene.state)), ("now", scene.status)]
    if scene.pending is not None:
        facts[1] = ("now", f"{scene.status}, having seen {short(scene.pending)}")
        if not game.follower_sees_action:
            facts[1] = ("now", f"{scene.status}; leader_0 has moved unseen")
    if scene.configuration is not None:
        facts.append(("set", in_words(scene.configuration)))
    if scene.played is not None:
        state, leader, follower, rewards = scene.played
        moved = "" if leader is None else f"leader {short(leader)}, "
        facts.append(("last", f"in {game.label(state)}: {moved}follower {short(follower)}"))
        facts.append(("rewards", f"leader {rewards[0]:+.3f}, follower {rewards[1]:+.3f}"))
    facts.append(("returns", f"leader {scene.returns[0]:+.3f}, follower {scene.returns[1]:+.3f}"))
    return facts


def _clock(scene: Scene) -> str:
    return f"stage {scene.stage}" + ("" if scene.horizon is None else f" of {scene.horizon}")


class _Frame:
    """A figure with the game on the left and the facts on the right."""

    def __init__(self, game: Rules) -> None:
        self.game = game
        self.figure = Figure(figsize=SIZE, dpi=DPI, facecolor="white")
        self.canvas: Any = FigureCanvasAgg(self.figure)
        self.panel = self.figure.add_axes((0.67, 0.0, 0.33, 1.0))
        self.stage = self.figure.add_axes((0.01, 0.02, 0.64, 0.96))
        for axes in (self.panel, self.stage):
            axes.set_axis_off()
        self._frames = {axes: set(axes.get_children()) for axes in (self.panel, self.stage)}
        self.view: Picture = game.drawing() or _Bars(game)
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


def _write_headings(axes: Any, game: Rules) -> None:
    """What the panel shows in every frame."""
    _write(axes, 0.94, game.name, size=14, weight="bold")
    _write(axes, 0.54, "last stage", color=MOVED, weight="bold")
    _write(axes, 0.30, "returns", weight="bold")
    for side, (name, color) in enumerate(SIDES):
        for y in (0.47, 0.23):
            _write(axes, y - 0.06 * side, name, color=color)


def _write_facts(axes: Any, game: Rules, scene: Scene) -> None:
    """Who moves, what was played last, and what it paid."""
    _write(axes, 0.87, _clock(scene), color=FAINT)
    _write(axes, 0.78, f"state {game.label(scene.state)}", color=HERE, weight="bold")
    _write(axes, 0.72, scene.status.replace("_0", ""))
    if scene.pending is not None:
        words = f"leader has played {short(scene.pending)}"
        _write(axes, 0.66, words, color=LEADER_COLOR, size=11 if len(words) < 28 else 8.5)
    if scene.configuration is not None:
        _write(axes, 0.60, f"set: {in_words(scene.configuration)}", color=LEADER_COLOR, size=SMALLEST_FONT + 1)
    played = scene.played
    for side in range(2):
        _write(axes, 0.23 - 0.06 * side, f"{scene.returns[side]:+.3f}", x=0.94, ha="right")
        if played is not None:
            action = short((played.leader_action, played.follower_action)[side])
            action = action if len(action) <= 20 else action[:19] + "…"  # what it was paid stands beside it
            _write(axes, 0.47 - 0.06 * side, action, x=0.34, size=11 if len(action) < 8 else SMALLEST_FONT)
            _write(axes, 0.47 - 0.06 * side, f"{played.rewards[side]:+.3f}", x=0.94, ha="right")


def _write(
    axes: Any, y: float, words: str, *, x: float = 0.06, color: str = INK, size: float = 11, **style: str
) -> None:
    """One line of the panel, cut where it would leave the picture."""
    longest = round(308 / size)
    words = words if len(words) <= longest else words[: longest - 1] + "…"
    axes.text(x, y, words, color=color, fontsize=size, va="center_baseline", parse_math=False, **style)


class _Bars:
    """Any other game: the state as the leader observes it, one bar for each entry."""

    def __init__(self, game: Rules) -> None:
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

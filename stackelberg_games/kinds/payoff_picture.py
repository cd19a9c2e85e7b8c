"""A game of one state as the table of what both players are paid."""

from __future__ import annotations

from typing import Any, Protocol

from matplotlib.patches import Rectangle

from stackelberg_games.arrays import FloatArray
from stackelberg_games.rules.drawing import FAINT, FOLLOWER_COLOR, HERE, LEADER_COLOR, MOVED, PALE
from stackelberg_games.rules.scene import Scene

WRITTEN = 80
"""Cells up to which numbers are written; more are shaded by what the leader, or else the follower, is paid."""


class Paid(Protocol):
    """What is read of a finite game."""

    leader_reward: FloatArray
    follower_reward: FloatArray


class PayoffPicture:
    """Rows are the leader's actions, columns the follower's; the leader's pay stands first."""

    def __init__(self, game: Paid) -> None:
        self.leader, self.follower = game.leader_reward[0], game.follower_reward[0]
        self.rows, self.columns = self.leader.shape

    def draw_background(self, axes: Any) -> None:
        """The table."""
        if self.leader.size > WRITTEN:
            shown = self.leader if self.leader.any() else self.follower
            axes.imshow(shown, extent=(0, self.columns, self.rows, 0), aspect="auto", cmap="Purples", alpha=0.8)
        self._frame(axes)
        if self.leader.size > WRITTEN:
            whose, color = ("leader", LEADER_COLOR) if self.leader.any() else ("follower", FOLLOWER_COLOR)
            words = {"ha": "right", "va": "center", "fontsize": 9, "color": color}
            axes.text(self.columns, -self._margins[1] / 2, f"dark: more for the {whose}", **words)
            return
        size = min(15.0, 105 / self.columns, 180 / self.rows)
        for i in range(self.rows):
            for j in range(self.columns):
                axes.add_patch(Rectangle((j, i), 1, 1, facecolor=PALE, edgecolor=FAINT, linewidth=1.0))
                self._number(axes, j + 0.46, i, self.leader[i, j], LEADER_COLOR, "right", size)
                self._number(axes, j + 0.54, i, self.follower[i, j], FOLLOWER_COLOR, "left", size)

    def draw(self, axes: Any, scene: Scene) -> None:
        """The row that is played, and the cell that was."""
        self._frame(axes)
        if scene.pending is not None:
            self._outline(axes, (0, int(scene.pending)), self.columns, HERE)
        if scene.played is not None:
            row = 0 if scene.played.leader_action is None else int(scene.played.leader_action)
            self._outline(axes, (int(scene.played.follower_action), row), 1, MOVED)

    @property
    def _margins(self) -> tuple[float, float]:
        """Room for words to the left and above, in cells."""
        return max(0.35, 0.08 * self.columns), max(0.35, 0.08 * self.rows)

    def _frame(self, axes: Any) -> None:
        wide, tall = self._margins
        axes.set(xlim=(-wide, self.columns + 0.2 * wide), ylim=(self.rows + 0.2 * tall, -tall))
        style = {"ha": "center", "va": "center", "fontsize": 11}
        axes.text(self.columns / 2, -tall / 2, "follower", color=FOLLOWER_COLOR, **style)
        axes.text(-wide / 2, self.rows / 2, "leader", color=LEADER_COLOR, rotation=90, **style)

    def _number(self, axes: Any, x: float, row: int, number: float, color: str, side: str, size: float) -> None:
        axes.text(x, row + 0.5, f"{number + 0.0:.3g}", color=color, fontsize=size, ha=side, va="center", zorder=4)

    def _outline(self, axes: Any, corner: tuple[int, int], width: int, color: str) -> None:
        axes.add_patch(Rectangle(corner, width, 1, facecolor=color, alpha=0.18, zorder=2))
        axes.add_patch(Rectangle(corner, width, 1, fill=False, edgecolor=color, linewidth=3.0, zorder=3))

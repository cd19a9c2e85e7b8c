"""Sizes, colours and words that all pictures of games share."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from stackelberg_games.rules.scene import Scene

SIZE, DPI = (9.0, 5.4), 100
SMALLEST_FONT = 7.0
LARGEST_GRAPH = 30  # states; more are drawn as cells
INK, FAINT, PALE = "#24292f", "#8b949e", "#eef1f4"
HERE, MOVED, LEADER_COLOR, FOLLOWER_COLOR = "#2f6fde", "#e8833a", "#7b4fc9", "#1a8f6a"


class Picture(Protocol):
    """Draws scenes of one game on Matplotlib axes; what does not change is drawn once."""

    def draw_background(self, axes: Any) -> None:
        """Draw what stays."""

    def draw(self, axes: Any, scene: Scene) -> None:
        """Draw a scene on top."""


def short(value: Any) -> str:
    """An action or a state in little space."""
    if value is None:  # a leader that only configures
        return ""
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{array.item():.4g}" if array.dtype.kind == "f" else str(array.item())
    listed = ", ".join(f"{x:.3g}" for x in array.ravel()[:4])
    return f"[{listed}, ...]" if array.size > 4 else f"[{listed}]"

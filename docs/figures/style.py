"""The look that all figures of the documentation share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

IMAGES = Path(__file__).parent.parent / "images"
LEADER, FOLLOWER, TOTAL, FAINT, INK = "#6A4FB3", "#1A8F6A", "#D55E00", "#8B949E", "#24292F"


def figure(width: float, height: float, **grid: Any) -> tuple[Figure, Any]:
    """A figure and its axes, without the frame's upper and right side."""
    made = Figure(figsize=(width, height), dpi=150, layout="constrained")
    axes = made.subplots(**grid)
    for axis in made.axes:
        axis.spines[["top", "right"]].set_visible(False)
    return made, axes


def save(made: Figure, name: str) -> None:
    """Write a picture."""
    IMAGES.mkdir(exist_ok=True)
    made.savefig(IMAGES / f"{name}.png", dpi=200)
    print(IMAGES / f"{name}.png")

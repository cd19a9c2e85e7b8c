"""Who sees what in the training loop, as a picture. Run with ``python docs/figures/loop.py``."""

from __future__ import annotations

from typing import Any

from matplotlib.patches import FancyBboxPatch
from style import FAINT, FOLLOWER, INK, LEADER, TOTAL, figure, save

BOXES = (
    (0.4, 2.1, 2.4, 1.2, LEADER, "Leader", "commitment θ"),
    (6.0, 2.1, 2.4, 1.2, FOLLOWER, "Follower", "learns its response"),
    (3.2, 0.1, 2.4, 1.2, INK, "Play", "game, θ, response"),
)
ARROWS = (
    ((2.85, 2.95), (5.95, 2.95), "sees the commitment", (4.4, 3.12), LEADER, 0.0),
    ((7.2, 2.05), (5.65, 0.7), "response", (7.3, 1.22), FOLLOWER, -0.25),
    ((1.6, 2.05), (3.15, 0.7), "commitment", (1.2, 1.22), LEADER, 0.25),
    ((3.9, 1.35), (2.5, 2.05), "trajectories,\nnothing else", (4.05, 1.72), TOTAL, 0.0),
)


def box(axes: Any, corner: tuple[float, float], size: tuple[float, float], colour: str, texts: tuple[str, str]) -> None:
    """A labelled box."""
    axes.add_patch(FancyBboxPatch(corner, *size, boxstyle="round,pad=0.05", facecolor="white", edgecolor=colour, lw=2))
    centre = corner[0] + size[0] / 2
    axes.text(centre, corner[1] + 0.75, texts[0], ha="center", va="center", fontsize=13, color=colour, weight="bold")
    axes.text(centre, corner[1] + 0.33, texts[1], ha="center", va="center", fontsize=9.5, color=FAINT)


def main() -> None:
    """Draw the loop."""
    made, axes = figure(6.0, 2.8)
    axes.set(xlim=(0.2, 8.6), ylim=(-0.1, 3.5))
    axes.set_axis_off()
    for x, y, width, height, colour, title, text in BOXES:
        box(axes, (x, y), (width, height), colour, (title, text))
    for tail, head, text, where, colour, bend in ARROWS:
        style = {"arrowstyle": "-|>", "color": colour, "lw": 1.8, "connectionstyle": f"arc3,rad={bend}"}
        axes.annotate("", head, tail, arrowprops=style)
        axes.text(*where, text, ha="center", va="center", fontsize=9.5, color=colour)
    save(made, "loop")


if __name__ == "__main__":
    main()

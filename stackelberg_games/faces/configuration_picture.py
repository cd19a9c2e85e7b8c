"""What pictures of an episode say of the leader's configuration."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import to_rgb

from stackelberg_games.arrays import FloatArray

COLUMNS = 26
LISTED = 3  # numbers; more are summed up
HIGH, LOW = "#7b4fc9", "#e8833a"


def in_words(configuration: FloatArray) -> str:
    """A configuration in a few words: its numbers, or how many, their sum and the largest size of one."""
    numbers = configuration.ravel()
    if numbers.size <= LISTED:
        return ", ".join(f"{number:.3g}" for number in numbers)
    return f"{numbers.size} numbers ≤ {np.abs(numbers).max():.2g}, sum {numbers.sum():.4g}"


def draw_strip(axes: Any, configuration: FloatArray) -> None:
    """Shade the numbers row by row at the foot of axes with limits (0, 1); negative ones in another colour."""
    numbers = configuration.ravel()
    columns = min(COLUMNS, numbers.size)
    rows = -(-numbers.size // columns)
    image = np.ones((rows * columns, 3))
    share = (np.abs(numbers) / max(float(np.abs(numbers).max()), 1e-300))[:, None]
    ink = np.where(numbers[:, None] < 0, to_rgb(LOW), to_rgb(HIGH))
    image[: numbers.size] = (1 - share) * np.array(to_rgb("#eef1f4")) + share * ink
    height = min(0.1, 0.025 * rows)
    extent = (0.06, 0.94, 0.12 - height, 0.12)
    axes.imshow(image.reshape(rows, columns, 3), extent=extent, aspect="auto", interpolation="nearest")
    axes.set(xlim=(0, 1), ylim=(0, 1))

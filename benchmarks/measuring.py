"""CPU time and peak memory of a function, the exact value at the end of training, and the look of the plots."""

from __future__ import annotations

import statistics
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from rich.console import Console
from rich.table import Table

import stackelberg_games as sg

COLOURS = ("#1b6ca8", "#d1495b", "#6a994e", "#8d6a9f")


def final_value(game: str, settings: dict[str, Any], leader: sg.Leader, follower: sg.Follower, **loop: Any) -> float:
    """Exact value of what a leader recommends in the end, against the follower's true response."""
    torch.set_num_threads(1)
    run = sg.train(sg.make(game, **settings), leader, follower, **loop, evaluate_every=0, progress=False)
    assert run.value is not None
    return run.value


def cpu_seconds(work: Callable[[], Any], repeats: int, least: float = 0.02) -> float:
    """Median CPU seconds of one call; short calls are looped until ``least`` seconds are measured."""
    work()
    loops, samples = 1, []
    while len(samples) < repeats:
        start = time.process_time()
        for _ in range(loops):
            work()
        spent = time.process_time() - start
        if spent < least and loops < 100_000:
            loops *= 4
            continue
        samples.append(spent / loops)
    return statistics.median(samples)


def ratio(pairs: list[tuple[float, float]]) -> str:
    """Of the second over the first in every pair: the median, with the least and the largest."""
    ratios = sorted(second / first for first, second in pairs)
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def peak_bytes(work: Callable[[], Any]) -> int:
    """Largest amount of memory that Python and NumPy held for ``work`` at any time."""
    work()
    tracemalloc.start()
    work()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def print_table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print right-aligned columns."""
    table = Table(title=title)
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def new_figure(panels: int) -> tuple[Any, Any]:
    """A figure with ``panels`` log-log axes side by side."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, panels, figsize=(5.2 * panels, 3.9), layout="constrained")
    for axis in axes:
        axis.set(xscale="log", yscale="log")
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(which="major", alpha=0.25, linewidth=0.6)
    return figure, axes


def save(figure: Any, file: Path) -> None:
    """Write the figure, making its folder if needed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)

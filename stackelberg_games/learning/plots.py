"""Figures of runs and gradients. matplotlib is imported on first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from stackelberg_games import checks, files
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.learning.curves import Curve, aligned, median_band
from stackelberg_games.settings import checked


class Recorded(Protocol):
    """A ``Run``, or anything else with a history of records."""

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        """Figures of every iteration."""


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
Canvas = Callable[..., tuple[Any, Any]]
"""Makes a figure of a width and height in inches with so many axes beside each other, in one row or ``rows``."""
Horizontal = Literal["transitions", "follower_transitions", "iteration"]
_FIGURES = ("recommended_value", "leader_value", "leader_return")
"""What a curve shows of runs that all hold it, the first choice first."""
_NAMES = {
    "recommended_value": "leader value (exact)",
    "leader_value": "leader value as played (exact)",
    "leader_return": "leader return of a batch",
    "transitions": "transitions played",
    "follower_transitions": "transitions the follower played to learn",
}


def stored(width: float, height: float, columns: int = 1, rows: int = 1) -> tuple[Any, Any]:
    """A figure that is only written to a file, and its axes ``[rows * columns]``."""
    from matplotlib.figure import Figure

    return _filled(Figure(figsize=(width, height), dpi=150, layout="constrained"), columns, rows)


def shown(width: float, height: float, columns: int = 1, rows: int = 1) -> tuple[Any, Any]:
    """A figure that notebooks and ``plt.show()`` show, and its axes ``[rows * columns]``."""
    import matplotlib.pyplot as plt

    return _filled(plt.figure(figsize=(width, height), layout="constrained"), columns, rows)


def _filled(figure: Any, columns: int, rows: int) -> tuple[Any, Any]:
    """A figure with axes, those of a row on one scale."""
    return figure, _without_frame(figure.subplots(rows, columns, squeeze=False, sharey="row").ravel())


def canvas(axes: Any | None) -> Canvas:
    """What draws on given axes, or where there are none on a new figure that is shown."""
    return shown if axes is None else lambda *size, **more: (axes.figure, [axes])


def learning_curves(
    groups: Mapping[str, Sequence[Recorded]], path: str | Path, *, optimum: float | None = None, title: str = ""
) -> None:
    """Write the figure of ``draw_curves``.

    Args:
        groups: runs by label.
        path: of the picture; its suffix decides the format.
        optimum: drawn as a dashed line.
        title: above the figure.

    Raises:
        InvalidArgumentError: there is no such format of pictures, or see ``draw_curves``.
        CheckpointError: the folder cannot be written to.
    """
    target = checks.path("path", path)
    figure, (axes,) = stored(7, 4)
    draw_curves(groups, axes, optimum=optimum)
    axes.set_title(checks.text("title", title, empty=True), loc="left", fontsize=10)
    files.save_figure(figure, target)


@checked
def draw_curves(
    groups: Mapping[str, Sequence[Recorded]],
    axes: Any = None,
    *,
    figure: str | None = None,
    horizontal: Horizontal = "transitions",
    optimum: float | None = None,
    regret: bool = False,
    confidence: float = 0.95,
) -> Any:
    """Draw learning curves: every run thin, each group's median over runs thick, with its band.

    The band holds the median of the distribution over seeds with the given confidence, whatever the distribution;
    with fewer than six runs (at 95 %) it reaches from the lowest run to the highest. Runs of different lengths
    share the median as far as the shortest goes, and are drawn thin to their own ends.

    Examples:
        >>> import stackelberg_games as sg
        >>> from matplotlib.figure import Figure
        >>> from stackelberg_games.learning.plots import draw_curves
        >>> game = sg.make("discrete_toy-v0")
        >>> settings = {"iterations": 10, "progress": False}
        >>> runs = [
        ...     sg.train(game, "bchg", "soft_value_iteration", seed=seed, **settings)
        ...     for seed in range(3)
        ... ]
        >>> axes = draw_curves({"bchg": runs}, Figure().subplots())
        >>> axes.get_xlabel(), axes.get_ylabel()
        ('transitions played', 'leader value (exact)')

    Args:
        groups: runs by label.
        axes: to draw on; new ones that notebooks show if None.
        figure: which column of the histories; if None, the exact value of the recommendation, or where not all runs
            hold it of what was played, or the return of the batches.
        horizontal: against what.
        optimum: drawn as a dashed line.
        regret: draw ``optimum`` minus the values instead, on a logarithmic axis.
        confidence: of the bands.

    Returns:
        The axes.

    Raises:
        InvalidArgumentError: there is no run, a run lacks the figure, or ``regret`` is asked for without ``optimum``.
    """
    every = [run for runs in groups.values() for run in runs]
    if not every:
        raise InvalidArgumentError("groups hold no run: expected at least one")
    if regret and optimum is None:
        raise InvalidArgumentError("regret=True, optimum=None: expected the value that regret is measured to")
    name = _common_figure(every) if figure is None else figure
    _, (drawn,) = canvas(axes)(7, 4, 1)
    hidden = 0
    for colour, (label, runs) in zip(COLOURS * len(groups), groups.items(), strict=False):
        curves = [curve_of(run, name, horizontal) for run in runs]
        if regret:
            curves = [(places, np.asarray(optimum) - values) for places, values in curves]
            hidden += sum(int((values <= 0).sum()) for _, values in curves)
        _draw_group(drawn, label, colour, curves, confidence)
    vertical = _NAMES.get(name, name.replace("_", " "))
    if regret:
        drawn.set_yscale("log", nonpositive="mask")
        vertical = f"regret of the {vertical}" + (f"\n({hidden} points at or below 0 not shown)" if hidden else "")
    elif optimum is not None:
        drawn.axhline(optimum, color="0.3", linestyle="--", linewidth=1, label=f"exact optimum {optimum:.4g}")
    drawn.set_xlabel(_NAMES.get(horizontal, horizontal))
    drawn.set_ylabel(vertical)
    drawn.ticklabel_format(axis="x", style="plain")
    drawn.margins(x=0.01)
    drawn.legend(frameon=False, fontsize=9)
    return drawn


def curve_of(run: Recorded, figure: str, horizontal: str = "transitions") -> Curve:
    """A column of a run's history against another, where it was recorded.

    Raises:
        InvalidArgumentError: the run holds no such figure; those that it holds are named.
    """
    rows = [row for row in run.history if figure in row]
    if not rows:
        known = sorted({name for row in run.history for name in row})
        raise InvalidArgumentError(f"figure={figure!r}: the run recorded {', '.join(known) or 'nothing'}")
    return np.array([row[horizontal] for row in rows]), np.array([row[figure] for row in rows])


def draw_gradient(exact: FloatArray, mean: FloatArray, error: FloatArray, axes: Any = None) -> Any:
    """Draw the mean estimate of every coordinate, with 1.96 standard errors, against the exact gradient.

    Args:
        exact, mean, error: the gradient, the mean estimate and its standard error, ``[D]``.
        axes: to draw on; new ones that notebooks show if None.

    Returns:
        The axes; points on the diagonal are without bias.
    """
    exact = checks.array("exact", exact, 1)
    mean, error = checks.array("mean", mean, exact.shape), checks.array("error", error, exact.shape)
    _, (drawn,) = canvas(axes)(4.5, 4, 1)
    drawn.errorbar(exact, mean, yerr=1.96 * error, fmt="o", markersize=3.5, linewidth=1, color=COLOURS[0])
    ends = [float(exact.min()), float(exact.max())]
    drawn.plot(ends, ends, color="0.3", linestyle="--", linewidth=1, label="without bias")
    drawn.set_xlabel("exact hypergradient, by coordinate")
    drawn.set_ylabel("mean estimate, 95 % interval")
    drawn.legend(frameon=False, fontsize=9, loc="lower right")
    return drawn


def _common_figure(runs: Sequence[Recorded]) -> str:
    held = [{name for row in run.history for name in row} for run in runs]
    return next((name for name in _FIGURES if all(name in names for names in held)), _FIGURES[-1])


def _draw_group(axes: Any, label: str, colour: str, curves: Sequence[Curve], confidence: float) -> None:
    """One group of runs; a label that stands for none is left out."""
    if not curves:
        return
    grid, values = aligned(curves, hold=False)
    band = median_band(values, confidence=confidence)
    if len(curves) > 1:
        for places, run in curves:
            axes.plot(places, run, color=colour, alpha=0.25, linewidth=0.8)
        axes.fill_between(grid, band.low, band.high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(grid, band.value, color=colour, linewidth=2, label=label)


def _without_frame(axes: Any) -> Any:
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return axes

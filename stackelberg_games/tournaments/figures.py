"""Every figure of a tournament: on axes, and for papers as PNG and SVG. matplotlib is imported on first use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from stackelberg_games import checks, files
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.learning.information import Division
from stackelberg_games.learning.plots import COLOURS, Canvas, stored
from stackelberg_games.tournaments import report
from stackelberg_games.tournaments.charts import Line
from stackelberg_games.tournaments.leaderboard import Standing, leaderboard
from stackelberg_games.tournaments.payoffs import DETERMINISTIC, OPTIMUM, UNIFORM, Payoffs
from stackelberg_games.tournaments.report import Heat

LEVELS = ((OPTIMUM, "--"), (DETERMINISTIC, ":"), (UNIFORM, "-."))


def write_figures(results: Payoffs, folder: str | Path) -> list[Path]:
    """Write leaderboard, payoffs, regret, learning curves, robustness, profiles, pairs and cost.

    Args:
        results: of a tournament.
        folder: gets two files for each figure, ``NAME.png`` (200 dpi) and ``NAME.svg``.

    Raises:
        CheckpointError: the folder cannot be written to.
    """
    import matplotlib as mpl

    place, written = checks.path("folder", folder), []
    with mpl.rc_context({"svg.hashsalt": "stackelberg-games", "font.size": 9}):
        for name, figure in figures(results):
            for suffix in ("png", "svg"):
                written.append(place / f"{name}.{suffix}")
                dated = {"Date": None} if suffix == "svg" else None
                files.save_figure(figure, written[-1], dpi=200, metadata=dated)
    return written


def figures(results: Payoffs) -> Iterator[tuple[str, Any]]:
    """Names and matplotlib figures."""
    colours = colours_of(results)
    standings = leaderboard(results)
    yield "leaderboard", draw_leaderboard(results, stored)[0].figure
    yield "cost", _cost(standings)
    yield "robustness", draw_heat(report.robustness(results, colours), stored).figure
    for information, members in report.scored_classes(results):
        if len(members) > 1:
            yield f"profile_{information.name.lower()}", draw_profile(results, members, stored).figure
            pairs = report.pairs_heat(results, members, colours)
            yield f"pairs_{information.name.lower()}", draw_heat(pairs, stored).figure
    for number, game in enumerate(results.games):
        slug = re.sub(r"\W+", "_", game).strip("_")[:60]
        if slug in [re.sub(r"\W+", "_", other).strip("_")[:60] for other in results.games[:number]]:
            slug = f"{slug}_{number}"
        yield f"payoff_{slug}", draw_heat(report.payoff_heat(results, game, colours), stored, game).figure
        yield f"regret_{slug}", draw_heat(report.regret_heat(results, game, colours), stored, game).figure
        yield f"learning_{slug}", draw_learning(results, [game], results.followers, stored)[0].figure


def colours_of(results: Payoffs) -> dict[str, int]:
    """Every leader's place in the palette, the same in all figures."""
    return {leader: index for index, leader in enumerate(results.leaders)}


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def draw_leaderboard(results: Payoffs, canvas: Canvas) -> Any:
    """Scores with their intervals, class by class, and those of the reference players; returns axes ``[1]``."""
    standings = leaderboard(results)
    rows = [(information, s) for information, members in standings.items() for s in members]
    _, drawn = canvas(6.5, 1.1 + 0.26 * len(rows), 1)
    axes = drawn[0]
    for place, (information, s) in enumerate(rows):
        colour = _colour(list(standings).index(information))
        axes.plot(
            [s.score.low, s.score.high], [place, place], color=colour, linewidth=4, alpha=0.4, solid_capstyle="round"
        )
        axes.plot(s.score.value, place, "o", color=colour, markersize=5)
    for (label, style), shade in zip(LEVELS, ("0.2", "0.4", "0.6"), strict=True):
        value = results.reference_score(label) if label in results.references else np.nan
        if np.isfinite(value):
            axes.axvline(value, color=shade, linestyle=style, linewidth=1, label=label)
    axes.set_yticks(range(len(rows)), [f"{s.leader} ({i.name.lower()})" for i, s in rows])
    axes.invert_yaxis()
    axes.set_xlabel("score: mean over tasks and seeds, 95 % interval")
    if results.references:
        axes.legend(frameon=False, fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return drawn


def _cost(standings: dict[Division, list[Standing]]) -> Any:
    rows = [s for members in standings.values() for s in members]
    figure, axes = stored(7.0, 1.0 + 0.26 * len(rows), columns=2)
    for axis, name, label in (
        (axes[0], "transitions", "transitions a match"),
        (axes[1], "cpu_seconds", "CPU seconds a match"),
    ):
        axis.barh(range(len(rows)), [getattr(s, name) for s in rows], color=COLOURS[0], height=0.6)
        axis.set_xlabel(label)
    axes[0].set_yticks(range(len(rows)), [s.leader for s in rows])
    axes[0].invert_yaxis()
    return figure


def draw_heat(heat: Heat, canvas: Canvas, game: str = "") -> Any:
    """A heat map of the report as a picture; returns its axes."""
    _, (axes,) = canvas(2.4 + 1.0 * len(heat.columns), 1.1 + 0.28 * len(heat.rows), 1)
    shades = np.array([[np.nan if c.shade is None else c.shade for c in cells] for _, _, cells in heat.rows])
    axes.imshow(shades, cmap="Blues" if heat.hue == "payoff" else "Oranges", vmin=0, vmax=1.6, aspect="auto")
    for i, (_, _, cells) in enumerate(heat.rows):
        for j, cell in enumerate(cells):
            axes.text(j, i, f"{cell.text}\n{cell.note}".strip(), ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(heat.columns)), heat.columns, rotation=20, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(heat.rows)), [name for name, _, _ in heat.rows])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(f"{heat.title}, {game}" if game else heat.title, loc="left", fontsize=9)
    return axes


def draw_lines(axes: Any, lines: Sequence[Line]) -> None:
    """Lines with their bands."""
    for line in lines:
        colour = _colour(line.colour)
        style = ("-", "--", ":")[line.colour // len(COLOURS) % 3]
        axes.plot(line.x, line.y, color=colour, linestyle=style, linewidth=1.5, label=line.label)
        axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.15, linewidth=0)


def draw_profile(results: Payoffs, members: Sequence[str], canvas: Canvas) -> Any:
    """Performance profiles of leaders on their common tasks; returns the axes."""
    _, (axes,) = canvas(4.5, 3.0, 1)
    draw_lines(axes, report.profile_lines(results, members, colours_of(results)))
    axes.set_xlabel("score above")
    axes.set_ylabel("fraction of runs")
    axes.legend(frameon=False, fontsize=7)
    return axes


def draw_learning(
    results: Payoffs, games: Sequence[str], followers: Sequence[str], canvas: Canvas, *, regret: bool = False
) -> Any:
    """Payoff against transitions, median over seeds with its band; returns axes ``[games * followers]``.

    Args:
        results: of a tournament.
        games: labels; each has a row of axes.
        followers: labels; each has axes of its own.
        canvas: makes the axes.
        regret: draw the exact optimum minus the payoff instead, on a logarithmic axis.
    """
    rows, columns = len(games), len(followers)
    figure, axes = canvas(1.2 + 3.0 * columns, 0.8 + 2.4 * rows, columns, rows=rows)
    shown: dict[str, Any] = {}
    for axis, (game, follower) in zip(axes, product(games, followers), strict=True):
        _draw_task(results, axis, game, follower, regret)
        shown |= dict(zip(*axis.get_legend_handles_labels()[::-1], strict=True))
    for axis in axes[::columns]:
        axis.set_ylabel("regret: optimum minus payoff" if regret else "leader payoff")
    for axis in axes[-columns:]:
        axis.set_xlabel("transitions")
    if shown:
        figure.legend(shown.values(), shown, loc="outside lower center", ncols=2 + columns, frameon=False, fontsize=7)
    return axes


def _draw_task(results: Payoffs, axis: Any, game: str, follower: str, regret: bool) -> None:
    """The curves of one game against one follower, and the reference players."""
    at = results.games.index(game), results.followers.index(follower)
    lines = report.learning_lines(results, game, follower, colours_of(results))
    best = float(results.reference(OPTIMUM)[at])
    if regret and not np.isfinite(best):
        raise InvalidArgumentError(f"regret=True: the exact optimum of {game!r} against {follower!r} is not known")
    draw_lines(axis, [_regret_of(line, best) for line in lines] if regret else lines)
    for label, style in LEVELS:
        value = float(results.reference(label)[at])
        level = best - value if regret else value
        if np.isfinite(level) and not (regret and level <= 0):
            axis.axhline(level, color="0.4", linestyle=style, linewidth=0.9, label=label)
    if regret:
        axis.set_yscale("log", nonpositive="mask")
    axis.set_title(f"{game}, against {follower}", loc="left", fontsize=9)


def _regret_of(line: Line, best: float) -> Line:
    """The line of the regret: what was low is high."""
    return replace(line, y=best - line.y, low=best - line.high, high=best - line.low)

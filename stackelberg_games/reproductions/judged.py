"""What the runs of a preference game came to: the loss of the labels beside what the judge wants, never one alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from stackelberg_games import files
from stackelberg_games.exact.preference import PreferenceValues, preference
from stackelberg_games.kinds.preference import PreferenceGame
from stackelberg_games.learning.experiment import Experiment
from stackelberg_games.learning.plots import COLOURS
from stackelberg_games.learning.run import Run
from stackelberg_games.reproductions.reproduction import Reproduction
from stackelberg_games.reproductions.study import Study
from stackelberg_games.reproductions.trial import Trial

FILE = "preferences.json"
SHOWN = ("share", "loss", "correlation", "rank_correlation", "accuracy")
"""Figures of which a table has mean and deviation over the seeds."""


@dataclass(frozen=True)
class Ended:
    """One run.

    Attributes:
        setting, leader, seed: see ``Trial``.
        labels: that the leader has seen; None where it knew all pairs.
        transitions: stages that were played.
        values: of the reward that it ended with.
    """

    setting: str
    leader: str
    seed: int
    labels: int | None
    transitions: int
    values: PreferenceValues


def is_judged(done: Reproduction) -> bool:
    """Whether the runs were of a preference game."""
    return bool(done.trials) and isinstance(Experiment(done.trials[0].sections).build()[0], PreferenceGame)


def ended(done: Reproduction) -> list[Ended]:
    """What every finished run came to, exactly."""
    games: dict[str, tuple[Any, float]] = {}
    rows = []
    for trial, outcome in zip(done.trials, done.outcomes, strict=True):
        if outcome.status != "done":
            continue
        if trial.setting not in games:
            game, _, follower = Experiment(trial.sections).build()
            games[trial.setting] = game, float(follower.declared_temperature or 0.0)
        rows.append(_ended(trial, *games[trial.setting], outcome.information == "MODEL"))
    return rows


def _ended(trial: Trial, game: Any, temperature: float, knows: bool) -> Ended:
    run = Run.load(trial.place)
    last = run.history[-1]
    labels = None if knows else int(last["labels"])
    values = preference(game, run.commitment, temperature)
    return Ended(trial.setting, trial.leader, trial.seed, labels, int(last["transitions"]), values)


def grouped(rows: Sequence[Ended]) -> Iterator[tuple[str, str, list[Ended]]]:
    """Runs of the same leader in the same setting."""
    for setting in dict.fromkeys(row.setting for row in rows):
        for leader in dict.fromkeys(row.leader for row in rows):
            members = [row for row in rows if (row.setting, row.leader) == (setting, leader)]
            if members:
                yield setting, leader, members


def cell(members: Sequence[Ended], name: str) -> tuple[float, float]:
    """Mean and deviation of a figure over the seeds; no deviation of a single one."""
    numbers = np.array([getattr(row.values, name) for row in members])
    return float(numbers.mean()), float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0


def lines(rows: Sequence[Ended]) -> list[list[str]]:
    """A table: one line for a leader in a setting, all figures side by side."""
    table = []
    for setting, leader, members in grouped(rows):
        numbers = [_written(*cell(members, name)) for name in SHOWN]
        ceiling, labels = members[0].values.ceiling, members[0].labels
        numbers[-1] += f" of {ceiling:.3f}"
        seen = "all" if labels is None else str(labels)
        table.append([setting, leader, str(len(members)), *numbers, seen, f"{members[0].transitions:,}"])
    return table


HEADERS = ("setting", "leader", "seeds", "J share", "F", "corr", "rank corr", "accuracy", "labels", "transitions")


def _written(mean: float, deviation: float) -> str:
    return f"{mean:.3f}" + (f" ± {deviation:.3f}" if deviation else "")


def save_judged(done: Reproduction, folder: str | Path) -> list[Path]:
    """Write every run's figures, and the picture; returns what was written."""
    place, rows = Path(folder), ended(done)
    data = [{**asdict(row)} for row in rows]
    files.write_atomically(place / FILE, (json.dumps(data, indent=1) + "\n").encode())
    pictures = [place / f"{done.study.name}.{suffix}" for suffix in ("png", "svg")]
    draw_judged(done.study, rows, pictures)
    return [place / FILE, *pictures]


def read(path: Path) -> list[Ended]:
    """What ``save_judged`` wrote."""
    names = [field.name for field in fields(Ended)]
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [Ended(**{name: row[name] for name in names[:-1]}, values=PreferenceValues(**row["values"])) for row in rows]


def draw_judged(study: Study, rows: Sequence[Ended], paths: Sequence[Path]) -> None:
    """The true return against the loss: a panel for each setting, all pairs filled, labels open."""
    from matplotlib.figure import Figure

    settings = list(dict.fromkeys(row.setting for row in rows)) or [""]
    columns = min(study.columns, len(settings))
    height = -(-len(settings) // columns)
    figure = Figure(figsize=(max(7.0, 4.8 * columns), 3.3 * height + 1.8), dpi=150, layout="constrained")
    panels = figure.subplots(height, columns, squeeze=False)
    leaders = list(dict.fromkeys(row.leader for row in rows))
    looks = dict(zip(leaders, zip("osD^v<>P" * len(leaders), COLOURS * len(leaders), strict=False), strict=False))
    for axes, setting in zip(panels.flat, settings, strict=False):
        for _, leader, members in grouped([row for row in rows if row.setting == setting]):
            _draw_leader(axes, leader, members, *looks[leader])
        axes.axhline(1.0, color="0.6", linewidth=0.8, linestyle="--", zorder=0)
        axes.set_title(setting, loc="left", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_ylim(-0.06, 1.16)
    for axes in list(panels.flat)[len(settings) :]:
        axes.set_axis_off()
    for axes in panels[-1]:
        axes.set_xlabel("F: loss of the labels of the follower's own pairs", fontsize=9)
    for axes in panels[:, 0]:
        axes.set_ylabel("J: true return, share of the oracle's", fontsize=9)
    figure.suptitle(study.title, x=0.01, ha="left", fontsize=11)
    drawn = [axes.get_legend_handles_labels() for axes in panels.flat]
    found = {label: handle for handles, labels in drawn for handle, label in zip(handles, labels, strict=True)}
    legend = {"ncols": min(3, 1 + columns), "frameon": False, "fontsize": 8}
    figure.legend(found.values(), found.keys(), loc="outside lower center", **legend)
    for path in paths:
        files.save_figure(figure, path)


def _draw_leader(axes: Any, leader: str, members: Sequence[Ended], mark: str, colour: str) -> None:
    """A mark at the means, and bars of the deviations over the seeds."""
    (share, above), (loss, beside) = cell(members, "share"), cell(members, "loss")
    full = members[0].labels is None
    style = {"color": colour, "fmt": mark, "markersize": 6.5, "markerfacecolor": colour if full else "white"}
    bars = axes.errorbar(loss, share, above or None, beside or None, label=leader, elinewidth=0.7, **style)
    for line in bars.lines[2]:
        line.set_alpha(0.55)

"""A published experiment as data; see the module ``reproductions``.

title = "Building thermal control"        # of the figure
source = "BC-HG, arXiv 2603.14867"
reading = "how the published values were read, and how precise they are"
seeds = 10                                # as published
columns = 1                               # of panels in the figure
points = 50                               # measurements of a run on its way

[experiment.game]                         # sections as in an experiment file; see ``Experiment``
id = "thermal_control-v0"

[[setting]]
label = "10,000 transitions an update"
updates = 2000                            # published length
unit = 10_000                             # transitions of a published update
optimum = -162.503
experiment.training.episodes = 100        # what differs from [experiment]
discount = 1.0                            # of the measured return, where not the game's own
panel, at = "carried", 5                  # where results are drawn against a number of the setting

[[leader]]
label = "BC-HG"
id = "bchg"
learning_rate = 0.1

[[published]]
setting = "10,000 transitions an update"
leader = "BC-HG"
values = [[0, -258.6, 8.0], ...]          # update, value, standard error
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stackelberg_games.errors import InvalidArgumentError, UnknownIdError
from stackelberg_games.learning.experiment import Experiment

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Setting:
    """One panel of the figure, or one point of it.

    Attributes:
        label: its name.
        updates: published length, in updates.
        unit: transitions of a published update.
        experiment: sections that differ from the study's.
        optimum: the best known value, or None.
        discount: of the measured return; the game's own if None.
        panel, at: where results are drawn against a number; empty and None for learning curves.
        without: labels of leaders that do not play it.
    """

    label: str
    updates: int
    unit: int
    experiment: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    optimum: float | None = None
    discount: float | None = None
    panel: str = ""
    at: float | None = None
    without: Sequence[str] = ()

    def budget(self, fraction: float) -> int:
        """Transitions a leader may play at a fraction of the published length."""
        return round(self.updates * self.unit * fraction)


@dataclass(frozen=True)
class Entry:
    """A leader of a study.

    Attributes:
        label: its name in the figure.
        settings: id and settings of the leader.
        training: what differs in the training loop.
        seeds: how many seeds at most; a leader that draws nothing needs one. All if None.
    """

    label: str
    settings: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=dict)
    seeds: int | None = None


@dataclass(frozen=True)
class Published:
    """Published values of one leader in one setting: updates, values and standard errors, ``[K]`` each."""

    updates: tuple[float, ...]
    values: tuple[float, ...]
    errors: tuple[float, ...]


@dataclass(frozen=True)
class Study:
    """A published experiment.

    Attributes:
        name: of its file.
        title, source, reading: texts; the last says how the published values were read.
        vertical: label of the values.
        settings, entries: what is run, by label.
        published: by setting and leader.
        experiment: sections that all runs share.
        seeds, first_seed: the published number, and the first of them.
        columns: panels in a row of the figure.
        abscissa: label of the numbers in ``Setting.at``.
        points: how often a run is measured on its way.
    """

    name: str
    title: str
    source: str
    reading: str
    settings: Mapping[str, Setting]
    entries: Mapping[str, Entry]
    published: Mapping[tuple[str, str], Published]
    experiment: Mapping[str, Mapping[str, Any]]
    vertical: str = "leader's value (exact)"
    seeds: int = 10
    first_seed: int = 0
    columns: int = 1
    abscissa: str = ""
    points: int = 50

    def run(self, setting: Setting, entry: Entry) -> Experiment:
        """The experiment of a leader in a setting."""
        chosen = Experiment({"game": {}, "leader": dict(entry.settings), "follower": {}, "training": {}})
        for part in (self.experiment, setting.experiment, {"training": entry.training}):
            chosen = chosen.override(
                (f"{section}.{key}", value) for section, values in part.items() for key, value in values.items()
            )
        return chosen


def names() -> list[str]:
    """The experiments that can be reproduced."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str) -> Study:
    """An experiment by name.

    Raises:
        UnknownIdError: there is none; the message lists them.
    """
    if name not in names():
        raise UnknownIdError("reproduction", name, names())
    return parse(name, tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8")))


def parse(name: str, content: Mapping[str, Any]) -> Study:
    """A study from what its file holds.

    Raises:
        InvalidArgumentError: a key is unknown or missing, or published values name what is not run.
    """
    texts = dict(content)
    try:
        settings = [Setting(**row) for row in texts.pop("setting")]
        entries = [_entry(row) for row in texts.pop("leader")]
        published = dict(_published(texts.pop("published", [])))
        study = Study(
            name=name,
            settings={row.label: row for row in settings},
            entries={row.label: row for row in entries},
            published=published,
            experiment=texts.pop("experiment"),
            **texts,
        )
    except (KeyError, TypeError) as error:
        raise InvalidArgumentError(f"the reproduction {name!r} is not complete: {error}") from error
    for setting, leader in published:
        if setting not in study.settings or leader not in study.entries:
            raise InvalidArgumentError(f"{name}: published values of {leader!r} in {setting!r}, which are not run")
    return study


def _entry(row: Mapping[str, Any]) -> Entry:
    settings = dict(row)
    seeds, training = settings.pop("seeds", None), settings.pop("training", {})
    return Entry(settings.pop("label"), settings, training, seeds)


def _published(rows: list[Mapping[str, Any]]) -> Iterator[tuple[tuple[str, str], Published]]:
    for row in rows:
        points = [(*point, 0.0)[:3] for point in row["values"]]
        columns = (tuple(float(number) for number in column) for column in zip(*points, strict=True))
        yield (row["setting"], row["leader"]), Published(*columns)

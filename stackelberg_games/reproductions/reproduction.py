"""Running a study, and what came of it beside what was published."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stackelberg_games import checks, files
from stackelberg_games._version import __version__
from stackelberg_games.arrays import FloatArray
from stackelberg_games.numerics.randomness import check_seed
from stackelberg_games.reproductions.study import Published, Study, load
from stackelberg_games.reproductions.trial import Trial
from stackelberg_games.tournaments.match import Outcome
from stackelberg_games.tournaments.runner import play_and_keep
from stackelberg_games.tournaments.store import Store


@dataclass(frozen=True)
class Summary:
    """A leader in a setting, over the seeds that are done.

    Attributes:
        setting, leader: labels.
        information: class of the leader.
        updates: where the values were measured, in published updates, ``[P]``.
        values: of every seed there, ``[seeds, P]``.
        published: what was published, or None.
        failures: how many seeds failed.
    """

    setting: str
    leader: str
    information: str
    updates: FloatArray
    values: FloatArray
    published: Published | None
    failures: int

    @property
    def mean(self) -> FloatArray:
        """Over the seeds, ``[P]``."""
        return np.asarray(self.values.mean(axis=0))

    @property
    def error(self) -> FloatArray:
        """Standard error over the seeds, ``[P]``; zero with a single one."""
        count = len(self.values)
        return np.asarray(self.values.std(axis=0, ddof=1) / count**0.5 if count > 1 else np.zeros_like(self.mean))

    def shares(self, optimum: float) -> FloatArray | None:
        """How much of the way from the first commitment to an optimum each seed has gone, ``[seeds]``; None if there is none."""
        way = optimum - self.values[:, 0]
        small = np.abs(way) <= 1e-4 * max(1e-3, abs(optimum))  # the optimum as it is printed
        return None if small.any() else np.asarray((self.values[:, -1] - self.values[:, 0]) / way)


@dataclass(frozen=True)
class Reproduction:
    """Outcomes of the runs of a study.

    Attributes:
        study: what was run.
        fraction: of the published length.
        trials, outcomes: the runs and what came of them, in the same order.
    """

    study: Study
    fraction: float
    trials: Sequence[Trial]
    outcomes: Sequence[Outcome]

    def summaries(self) -> list[Summary]:
        """One for each setting and leader with a run that is done."""
        found: dict[tuple[str, str], list[Outcome]] = {}
        for trial, outcome in zip(self.trials, self.outcomes, strict=True):
            found.setdefault((trial.setting, trial.leader), []).append(outcome)
        rows = (self._summary(setting, leader, outcomes) for (setting, leader), outcomes in found.items())
        return [row for row in rows if row is not None]

    def _summary(self, setting: str, leader: str, outcomes: list[Outcome]) -> Summary | None:
        done = [outcome for outcome in outcomes if outcome.status == "done"]
        if not done:
            return None
        unit = self.study.settings[setting].unit
        curves = [(np.array(outcome.curve[0]) / unit, np.array(outcome.curve[1])) for outcome in done]
        shortest = min(curves, key=lambda curve: curve[0][-1])[0]
        values = np.stack([np.interp(shortest, *curve) for curve in curves])
        return Summary(
            setting,
            leader,
            done[0].information or "",
            shortest,
            values,
            self.study.published.get((setting, leader)),
            len(outcomes) - len(done),
        )

    @property
    def failed(self) -> list[Outcome]:
        """Runs that ended with an error."""
        return [outcome for outcome in self.outcomes if outcome.status == "failed"]

    def save(self, folder: str | Path) -> list[Path]:
        """Write ``results.json`` and ``results.csv``; returns what was written."""
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        files.write_atomically(place / "results.json", (json.dumps(self.as_data(), indent=1) + "\n").encode())
        columns = ("setting", "leader", "seed", "transitions", "value")
        rows = (
            (trial.setting, trial.leader, trial.seed, spent, value)
            for trial, outcome in zip(self.trials, self.outcomes, strict=True)
            for spent, value in zip(*outcome.curve, strict=True)
        )
        files.write_csv(place / "results.csv", columns, rows)
        return [place / "results.json", place / "results.csv"]

    def as_data(self) -> dict[str, Any]:
        """Everything measured, with what was published, as plain data."""
        rows = []
        for row in self.summaries():
            setting = self.study.settings[row.setting]
            shares = None if setting.optimum is None else row.shares(setting.optimum)
            rows.append(
                {
                    "setting": row.setting,
                    "leader": row.leader,
                    "information": row.information,
                    "seeds": len(row.values),
                    "failures": row.failures,
                    "updates": row.updates.tolist(),
                    "mean": row.mean.tolist(),
                    "standard_error": row.error.tolist(),
                    "final": row.values[:, -1].tolist(),
                    "published": None if row.published is None else vars(row.published),
                    "optimum": setting.optimum,
                    "shares": None if shares is None else shares.tolist(),
                }
            )
        facts = {name: getattr(self.study, name) for name in ("name", "title", "source", "reading")}
        return {**facts, "version": __version__, "fraction": self.fraction, "rows": rows}


def reproduce(
    study: Study | str,
    folder: str | Path,
    *,
    fraction: float = 1.0,
    seeds: int | None = None,
    first_seed: int | None = None,
    settings: Iterable[str] = (),
    leaders: Iterable[str] = (),
    workers: int = 1,
    timeout: float | None = None,
    replay_damaged: bool = False,
    progress: bool | None = None,
) -> Reproduction:
    """Run a published experiment; what the folder holds already is not run again.

    Args:
        study: or its name.
        folder: keeps every run, finished or under way.
        fraction: of the published length, in (0, 1].
        seeds: how many; as published if not given.
        first_seed: the others follow; as published if not given.
        settings, leaders: labels of those to run; all if empty.
        workers: runs at the same time; -1 for one on every core.
        timeout: seconds of wall time for each run.
        replay_damaged: whether runs whose rows in the folder's store are damaged are run again.
        progress: show a bar; by default where standard error is a terminal, and elsewhere a line is logged
            now and then.

    Raises:
        UnknownIdError: there is no such study.
        InvalidArgumentError: an argument is out of range, or a label is unknown.
        StoreError: another process is writing to the folder.
    """
    study = load(study) if isinstance(study, str) else study
    fraction = checks.number("fraction", fraction, above=0, high=1)
    folder = checks.path("folder", folder)
    chosen = _chosen("setting", settings, study.settings), _chosen("leader", leaders, study.entries)
    count = study.seeds if seeds is None else checks.integer("seeds", seeds, 1, 1_000_000)
    first = study.first_seed if first_seed is None else check_seed(first_seed)
    trials = list(_trials(study, *chosen, range(first, first + count), fraction, str(folder)))
    with Store(folder, write=True, replay_damaged=replay_damaged) as store:
        known = {key for key, status in store.statuses().items() if status == "done"}
        missing = [trial for trial in trials if trial.key not in known]
        shown: dict[str, Any] = {"what": "runs", "total": len(trials), "progress": progress}
        shown |= {"begin": store.begin, "alone": store.interrupted}
        play_and_keep(missing, store.put_all, workers=workers, timeout=timeout, **shown)
        stored = store.outcomes(trial.key for trial in trials)
    return Reproduction(study, fraction, trials, [stored[trial.key] for trial in trials])


def _trials(
    study: Study, settings: list[str], leaders: list[str], seeds: range, fraction: float, folder: str
) -> Iterator[Trial]:
    """Seed by seed, so that a run that is cut short has something of everything."""
    for number, seed in enumerate(seeds):
        for label in settings:
            setting = study.settings[label]
            for leader in leaders:
                most = study.entries[leader].seeds
                if (most is not None and number >= most) or leader in setting.without:
                    continue
                sections = study.run(setting, study.entries[leader]).sections
                budget = setting.budget(fraction)
                yield Trial(label, leader, seed, sections, budget, study.points, setting.discount, folder)


def _chosen(kind: str, wanted: Iterable[str], known: Iterable[str]) -> list[str]:
    every, some = list(known), list(wanted)
    for label in some:
        checks.known(f"no {kind} is called", label, every)
    return some or every

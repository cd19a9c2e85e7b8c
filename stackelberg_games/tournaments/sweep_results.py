"""What came of a sweep: what was chosen on the seeds for tuning, and what it is worth on others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from stackelberg_games import checks, display, files
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError, StoreError
from stackelberg_games.frames import frame
from stackelberg_games.learning.curves import Curve
from stackelberg_games.learning.plots import canvas
from stackelberg_games.settings import checked
from stackelberg_games.tournaments import sweep_figures
from stackelberg_games.tournaments.match import Outcome
from stackelberg_games.tournaments.statistics import ENOUGH, median
from stackelberg_games.tournaments.store import Store
from stackelberg_games.tournaments.sweep_figures import Purpose

MOST_CURVES = 8
"""Colours that can be told apart."""
SweepTable = Literal["points", "runs", "curves"]
SWEEP_COLUMNS: dict[str, dict[str, str]] = {
    "points": {
        "point": "its number; the searched settings follow the other columns, each under its own name",
        "game": "label",
        "follower": "label",
        "information": "class of the leader",
        "chosen": "whether its leader was paid most of its class in this game against this follower, on average over tuning",
        "purpose": "`tuning`, or `report` for runs that have chosen nothing",
        "runs": "finished; fewer than there are seeds where a search gave the point up",
        "failed": "runs",
        "missing": "runs that were not played",
        "mean": "of the leader's payoff over runs",
        "median": "over runs",
        "low": "lower end of the 95 % interval of the median, for any distribution; the lowest run if there are under six",
        "high": "upper end",
    },
    "runs": {
        "point": "its number; the searched settings follow the other columns",
        "purpose": "`tuning` or `report`",
        "seed": "of the run",
        "status": "`done`, `failed` or `missing`",
        "leader_payoff": "against the exact best response where it is known, else against the follower as trained",
        "follower_payoff": "likewise",
        "transitions": "stages that leader and follower played",
        "follower_transitions": "stages that the follower played by itself to learn",
        "cpu_seconds": "of the worker; differs from run to run",
        "error": "traceback of a failed run",
    },
    "curves": {
        "point": "its number; the searched settings follow the other columns",
        "purpose": "`tuning` or `report`",
        "seed": "of the run",
        "transitions": "spent when it was measured",
        "leader_payoff": "as in `runs`, of what the leader recommended then",
    },
}
"""What the columns of every table mean."""


class SweepRun(NamedTuple):
    """A run of a point; ``outcome`` is None if it was not played."""

    point: int
    purpose: Purpose
    seed: int
    outcome: Outcome | None

    @property
    def status(self) -> str:
        """As in the table of runs."""
        return "missing" if self.outcome is None else self.outcome.status

    @property
    def payoff(self) -> float:
        """The leader's, as in the table of runs; NaN where the run is not finished."""
        return payoff_of(self.outcome)


def payoff_of(outcome: Outcome | None) -> float:
    """The leader's against the exact best response where it is known, else against the follower as trained; NaN of failed runs."""
    return outcome.evaluations[0].leader_payoff if outcome and outcome.evaluations else float("nan")


class SweepResults:
    """Everything that came of a sweep.

    Examples:
        >>> import stackelberg_games as sg
        >>> found = sg.sweep(
        ...     {"leader.learning_rate": [0.01, 0.1]},
        ...     game="matrix-v0",
        ...     leader="policy_gradient",
        ...     seeds=2,
        ...     report_seeds=3,
        ...     budget=200,
        ...     points=0,
        ...     progress=False,
        ... )
        >>> found
        SweepResults(2 points of leader.learning_rate: 7 of 7 runs, 0 failed)
        >>> found.payoffs(0).shape, found.apart
        ((2,), True)

    Args:
        plan: see ``Sweep.plan``.
        outcomes: by key of the run.
    """

    def __init__(self, plan: Mapping[str, Any], outcomes: Mapping[str, Outcome]) -> None:
        self.plan, self.outcomes = plan, outcomes
        self.points: list[dict[str, Any]] = plan["points"]
        self.settings = list(dict.fromkeys(name for point in self.points for name in point["values"]))
        self.runs = list(self._read())
        self._runs_of: dict[tuple[int, Purpose], list[SweepRun]] = {}
        for run in self.runs:
            self._runs_of.setdefault((run.point, run.purpose), []).append(run)

    @classmethod
    def load(cls, folder: str | Path) -> SweepResults:
        """Results of the sweep that was played last into a folder, as far as it came.

        Raises:
            StoreError: the folder holds no sweep, or it is damaged.
        """
        with Store(folder) as store:
            plan = store.latest_plan()
            if "matches" in plan:
                raise StoreError(
                    f"what was played last into {folder} is a tournament: sg.Results.load({str(folder)!r}) reads it"
                )
            try:
                keys = [key for point in plan["points"] for key in point["keys"]]
                return cls(plan, store.outcomes(keys + [key for more in plan["reports"].values() for key in more]))
            except (LookupError, TypeError, ValueError) as error:
                raise StoreError(f"what was played last into {folder} is no sweep of this version: {error}") from error

    def __repr__(self) -> str:
        """What was searched, and how far it has come."""
        states = [run.status for run in self.runs]
        played = f"{len(states) - states.count('missing')} of {len(states)} runs, {states.count('failed')} failed"
        return f"SweepResults({len(self.points)} points of {', '.join(self.settings)}: {played})"

    def _repr_html_(self) -> str:
        """The points, best first, in a notebook."""
        columns = [*self.settings, "purpose", "mean", "median", "low", "high"]
        rows = sorted(self._points(), key=lambda row: (row["purpose"], -np.nan_to_num(row["mean"], nan=-np.inf)))
        return display.table(repr(self), columns, ([row.get(name) for name in columns] for row in rows))

    @checked
    def payoffs(self, point: int, purpose: Purpose = "tuning") -> FloatArray:
        """The leader's payoff in every finished run of a point."""
        found = [run.payoff for run in self._runs_of.get((point, purpose), [])]
        return np.array([payoff for payoff in found if not np.isnan(payoff)])

    @cached_property
    def chosen(self) -> dict[str, int]:
        """The chosen point of every task; empty until all runs for tuning are played.

        That is the one with the highest mean payoff of the leader, the first of several; points with failed runs, and those
        that a pruner gave up, are left out. Payoffs in different games, against different followers or of leaders of different classes are never
        compared.
        """
        tuning = [run for run in self.runs if run.purpose == "tuning"]
        if self.unfinished or any(run.outcome is None for run in tuning):
            return {}
        failed = {run.point for run in tuning if np.isnan(run.payoff)} | self.given_up
        best: dict[str, int] = {}
        for number, point in enumerate(self.points):
            if number not in failed:
                rival = best.setdefault(point["task"], number)
                if self._mean(number) > self._mean(rival):
                    best[point["task"]] = number
        return best

    @property
    def unfinished(self) -> bool:
        """Whether a search has not suggested all its points yet."""
        return bool(self.plan["sampler"] != "random" and self.plan["trials"] < self.plan["samples"])

    @cached_property
    def given_up(self) -> set[int]:
        """Points that have not played all seeds for tuning, since a search went on without them."""
        return {number for number, point in enumerate(self.points) if len(point["keys"]) < len(self.plan["seeds"])}

    @property
    def apart(self) -> bool:
        """Whether there are seeds for reporting, and none of them has chosen anything."""
        return bool(self.plan["report_seeds"]) and not {*self.plan["seeds"]} & {*self.plan["report_seeds"]}

    def summary(self) -> str:
        """What was chosen and what it is worth, in lines."""
        seeds, others = self.plan["seeds"], self.plan["report_seeds"]
        drawn = f", of {self.plan['samples']} draws" if self.plan["samples"] else ""
        if self.plan["sampler"] != "random":
            drawn = f", of {self.plan['trials']} of {self.plan['samples']} trials of {self.plan['sampler']}"
            drawn += f", {len(self.given_up)} given up early ({self.plan['pruner']})" if self.given_up else ""
        lines = [f"{len(self.points)} points of {', '.join(self.settings)}{drawn}, seeds for tuning: {_listed(seeds)}"]
        if not self.chosen:
            lines.append("nothing is chosen yet: runs for tuning are missing, or some failed at every point")
        for number in self.chosen.values():
            point = self.points[number]
            same = sum(other["task"] == point["task"] for other in self.points)
            lines.append(f"{self._faced(point)}, the best of {same}: {_values(point['values'])}")
            lines.append(f"  mean {self._mean(number):.6g} on the seeds that chose it")
            found = self.payoffs(number, "report")
            if len(found):
                value, low, high = median(found)
                told = "95 % interval" if len(found) >= ENOUGH else "lowest and highest"
                lines.append(
                    f"  mean {found.mean():.6g}, median {value:.6g} ({told} {low:.6g} to {high:.6g}) on {len(found)} others"
                )
        failed = sum(run.status == "failed" for run in self.runs)
        lines += [f"{failed} runs failed; their points were not chosen"] if failed else []
        lines.append(
            f"seeds for reporting: {_listed(others)}; none of them has chosen anything"
            if self.apart
            else "no seeds are apart for reporting: the best of several looks better on the seeds that chose it than it is"
        )
        return "\n".join(lines)

    def to_frame(self, table: SweepTable = "points") -> Any:
        """A table as a ``pandas.DataFrame``; needs the extra ``frames``.

        Args:
            table: ``"points"``, ``"runs"`` or ``"curves"``; see ``SWEEP_COLUMNS``.

        Raises:
            InvalidArgumentError: there is no such table.
            MissingExtraError: pandas is not installed.
        """
        rows = self.tables()[checks.choice("table", table, list(SWEEP_COLUMNS))]
        return frame(rows, [*SWEEP_COLUMNS[table], *self.settings])

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Tidy tables by name; see ``SWEEP_COLUMNS``."""
        return {"points": list(self._points()), "runs": list(self._runs()), "curves": list(self._curves())}

    def save(self, folder: str | Path) -> list[Path]:
        """Write every table as CSV, and the summary.

        Raises:
            CheckpointError: the folder cannot be written to.
        """
        place, written = checks.path("folder", folder), []
        for name, rows in self.tables().items():
            columns = [*SWEEP_COLUMNS[name], *self.settings]
            written.append(place / f"{name}.csv")
            files.write_csv(written[-1], columns, ([cell(row.get(column)) for column in columns] for row in rows))
        written.append(place / "summary.txt")
        files.write_atomically(written[-1], f"{self.summary()}\n".encode())
        return written

    def plot(self, setting: str | None = None, axes: Any = None) -> Any:
        """Draw the leader's payoff in every run for tuning against one setting; returns Matplotlib axes.

        A line joins the medians of each game and follower. The axis is logarithmic where the values spread over more
        than a factor of ten.

        Args:
            setting: one that was searched; the only one if None.
            axes: to draw on; new ones that notebooks show if None.

        Raises:
            InvalidArgumentError: it was not searched, or there are several to choose from.
        """
        if setting is None and len(self.settings) > 1:
            raise InvalidArgumentError(f"setting=None: expected one of {checks.listed(self.settings)}")
        name = self.settings[0] if setting is None else checks.choice("setting", setting, self.settings)
        return sweep_figures.draw_setting(self, name, canvas(axes))

    @checked
    def plot_curves(self, points: Sequence[int] | None = None, axes: Any = None, *, purpose: Purpose = "tuning") -> Any:
        """Draw learning curves of points: median over seeds, with an interval that holds it; returns Matplotlib axes.

        Args:
            points: their numbers; if None those with runs for this purpose, of each game and follower the eight that are paid
                most on average.
            axes: to draw on; new ones that notebooks show if None.
            purpose: runs on which seeds: ``"tuning"``, or ``"report"``, which chosen points alone have.

        Returns:
            Axes, one for each game and follower, ``[tasks]``; the only ones if there is one such task.

        Raises:
            InvalidArgumentError: there is no such point, no such run has a learning curve, or axes are given for several tasks.
        """
        chosen = self._best(purpose) if points is None else list(points)
        found = {self.points[checks.integer("points", k, 0, len(self.points) - 1)]["task"] for k in chosen}
        if axes is not None and len(found) > 1:
            raise InvalidArgumentError(f"axes are given for points of {len(found)} tasks: expected points of one")
        drawn = sweep_figures.draw_points(self, chosen, purpose, canvas(axes))
        return drawn[0] if len(drawn) == 1 else drawn

    def _best(self, purpose: Purpose) -> list[int]:
        """Points with runs for a purpose; of each task those that are paid most."""
        found = []
        for members in sweep_figures.tasks(self.points).values():
            paid = {n: float(self.payoffs(n, purpose).mean()) for n in members if len(self.payoffs(n, purpose))}
            found += sorted(sorted(paid, key=lambda n: -paid[n])[:MOST_CURVES])
        return found

    def curves(self, point: int, purpose: Purpose = "tuning") -> list[Curve]:
        """The learning curve of every finished run of a point that has one."""
        runs = self._runs_of.get((point, purpose), [])
        measured = [run.outcome.curve for run in runs if run.outcome is not None and run.outcome.curve[0]]
        return [(np.array(spent), np.array(values)) for spent, values in measured]

    def described(self, point: int, beside: Sequence[int] = ()) -> str:
        """The searched settings of a point, in words: those in which it differs from others, or all."""
        values = self.points[point]["values"]
        others = [self.points[number]["values"] for number in beside]
        differ = {name: value for name, value in values.items() if any(other.get(name) != value for other in others)}
        return _values(differ or values)

    def faced(self, point: int) -> str:
        """What the leader of a point faces, in words."""
        return self._faced(self.points[point])

    def _faced(self, point: Mapping[str, Any]) -> str:
        """A task in words; with the class of the leader where there are several."""
        several = len({other["information"] for other in self.points}) > 1
        who = f"leaders of class {point['information']} in " if several else ""
        return f"{who}{point['game']}, against {point['follower']}"

    def _mean(self, point: int) -> float:
        return float(self.payoffs(point).mean())

    def _read(self) -> Iterator[SweepRun]:
        for number, point in enumerate(self.points):
            for seed, key in zip(self.plan["seeds"], point["keys"], strict=number not in self.given_up):
                yield SweepRun(number, "tuning", seed, self.outcomes.get(key))
        for number in range(len(self.points)):
            for seed, key in zip(self.plan["report_seeds"], self.plan["reports"].get(str(number), []), strict=False):
                yield SweepRun(number, "report", seed, self.outcomes.get(key))

    def _points(self) -> Iterator[dict[str, Any]]:
        chosen = {*self.chosen.values()}
        for (number, purpose), runs in self._runs_of.items():
            point, found = self.points[number], self.payoffs(number, purpose)
            yield {
                "point": number,
                **{name: point[name] for name in ("game", "follower", "information")},
                "chosen": number in chosen,
                "purpose": purpose,
                "runs": len(found),
                "failed": sum(run.status == "failed" for run in runs),
                "missing": sum(run.status == "missing" for run in runs),
                "mean": float(found.mean()) if len(found) else float("nan"),
                **dict(zip(("median", "low", "high"), median(found), strict=True)),
                **point["values"],
            }

    def _runs(self) -> Iterator[dict[str, Any]]:
        for run in self.runs:
            outcome = run.outcome or Outcome("failed")
            yield {
                **self._head(run),
                "status": run.status,
                "leader_payoff": run.payoff,
                "follower_payoff": outcome.evaluations[0].follower_payoff if outcome.evaluations else float("nan"),
                **{name: getattr(outcome, name) for name in ("transitions", "follower_transitions", "cpu_seconds")},
                "error": outcome.error,
                **self.points[run.point]["values"],
            }

    def _curves(self) -> Iterator[dict[str, Any]]:
        for run in self.runs:
            spent, values = ((), ()) if run.outcome is None else run.outcome.curve
            for transitions, value in zip(spent, values, strict=True):
                point = {"transitions": transitions, "leader_payoff": value, **self.points[run.point]["values"]}
                yield {**self._head(run), **point}

    @staticmethod
    def _head(run: SweepRun) -> dict[str, Any]:
        return {"point": run.point, "purpose": run.purpose, "seed": run.seed}


def _listed(seeds: Sequence[int]) -> str:
    """Seeds in words; those in a row by their ends."""
    row = len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds)))
    return f"{seeds[0]} to {seeds[-1]}" if row else ", ".join(map(str, seeds))


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {json.dumps(value)}" for name, value in values.items())


def cell(value: Any) -> Any:
    """A cell of a file; tables and lists as JSON, what is not known empty."""
    if isinstance(value, dict | list):
        return json.dumps(value)
    return None if isinstance(value, float) and np.isnan(value) else value

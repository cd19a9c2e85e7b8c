"""What came of a tournament in numbers: payoff tensors, scores, regret, curves and costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.learning.curves import aligned
from stackelberg_games.learning.information import division
from stackelberg_games.settings import checked
from stackelberg_games.tournaments.evaluation import Evaluation
from stackelberg_games.tournaments.match import BEST, OWN, REFERENCES, Outcome

Role = Literal["leader", "follower"]
OPTIMUM, DETERMINISTIC, UNIFORM = (reference.label for reference in REFERENCES)
_ROLES = ("leader", "follower")
DEGENERATE = 1e-6
FLOOR, CEILING = -1.0, 2.0
"""Scores end here: beyond either end of the scale a run counts no more than the scale is long."""
EXACT = "uniform random to exact optimum"
"""Where the ends of a scale come from when both reference players are known."""


class Row(NamedTuple):
    """A match and its outcome; ``seed`` is None for reference players, ``outcome`` if not played."""

    key: str
    game: str
    leader: str
    follower: str
    seed: int | None
    outcome: Outcome | None


class Progress(NamedTuple):
    """How many matches of some leaders are planned, finished, failed and not played."""

    planned: int
    finished: int
    failed: int
    missing: int


class Anchors(NamedTuple):
    """Payoffs that count as scores 0 and 1 in every game against every follower.

    Attributes:
        low, high: ``[G, F]``; NaN where no score is defined.
        source: ``[G][F]``, where they come from.
    """

    low: FloatArray
    high: FloatArray
    source: list[list[str]]


class Payoffs:
    """Outcomes of a tournament as tensors.

    Tensors have axes games G, leaders L, followers F and seeds S; NaN marks what was not measured.
    The payoff of a match is measured against the follower's exact best response where that is
    known, otherwise against the follower as the training left it.

    Args:
        plan: see ``Tournament.plan``.
        outcomes: by key of the match.
    """

    def __init__(self, plan: Mapping[str, Any], outcomes: Mapping[str, Outcome]) -> None:
        self.plan = plan
        self.rows = [
            Row(key, game, leader, follower, seed, outcomes.get(key))
            for key, game, leader, follower, seed in plan["matches"]
        ]
        self.games, self.leaders, self.followers, self.held_out = (
            [entry["label"] for entry in plan[kind]] for kind in ("games", "leaders", "followers", "held_out")
        )
        self.references: list[str] = list(plan["references"])
        self.seeds: list[int] = list(plan["seeds"])
        self.information = {entry["label"]: division(entry["information"]) for entry in plan["leaders"]}
        self.measures = [BEST, OWN, *self.held_out]
        self._index = {
            kind: {label: i for i, label in enumerate(labels)}
            for kind, labels in (
                ("game", self.games),
                ("leader", self.leaders),
                ("follower", self.followers),
                ("seed", self.seeds),
            )
        }

    @property
    def failures(self) -> list[Row]:
        """Matches that failed."""
        return [row for row in self.rows if row.outcome is not None and row.outcome.status == "failed"]

    @property
    def missing(self) -> int:
        """Matches that have not been played."""
        return sum(row.outcome is None for row in self.rows)

    def progress(self, members: Sequence[str]) -> Progress:
        """How far the matches of some leaders have come."""
        states = ["missing" if r.outcome is None else r.outcome.status for r in self.rows if r.leader in members]
        return Progress(len(states), *(states.count(state) for state in ("done", "failed", "missing")))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(G, L, F, S)."""
        return len(self.games), len(self.leaders), len(self.followers), len(self.seeds)

    def place(self, row: Row) -> tuple[int, int, int, int]:
        """Where a match of a leader stands in the tensors."""
        index = self._index
        return (
            index["game"][row.game],
            index["leader"][row.leader],
            index["follower"][row.follower],
            index["seed"][row.seed],
        )

    @cached_property
    def _measured(self) -> dict[str, FloatArray]:
        """Leader payoff, follower payoff and gap by measure, ``[3, G, L, F, S]``."""
        tables = {measure: np.full((3, *self.shape), np.nan) for measure in self.measures}
        for row in self.rows:
            if row.seed is None or row.outcome is None:
                continue
            for found in row.outcome.evaluations:
                tables[found.follower][(slice(None), *self.place(row))] = _figures(found)
        return tables

    @cached_property
    def _reference_payoffs(self) -> dict[str, dict[str, FloatArray]]:
        """Figures of reference players by label and measure, ``[3, G, F]``."""
        games, _, followers, _ = self.shape
        tables = {
            label: {measure: np.full((3, games, followers), np.nan) for measure in self.measures}
            for label in self.references
        }
        for row in self.rows:
            if row.seed is None and row.outcome is not None:
                at = (slice(None), self._index["game"][row.game], self._index["follower"][row.follower])
                for found in row.outcome.evaluations:
                    tables[row.leader][found.follower][at] = _figures(found)
        return tables

    def payoffs(self, player: Role = "leader", against: str | None = None) -> FloatArray:
        """Expected discounted returns, ``[G, L, F, S]``.

        Args:
            player: whose.
            against: one of ``measures``; if not given, the best response where it is known, else
                the follower as trained.

        Raises:
            InvalidArgumentError: there is no such measure.
        """
        return self._pick(self._measured, _ROLES.index(checks.choice("player", player, _ROLES)), against)

    def follower_gap(self, against: str = OWN) -> FloatArray:
        """By how much the follower falls short of its own best response, ``[G, L, F, S]``."""
        return self._pick(self._measured, 2, against)

    def reference(self, label: str, player: Role = "leader", against: str | None = None) -> FloatArray:
        """Payoffs of a reference player, ``[G, F]``; NaN where it is not known."""
        figure = _ROLES.index(checks.choice("player", player, _ROLES))
        if checks.text("label", label) not in self.references:
            return np.full((self.shape[0], self.shape[2]), np.nan)
        return self._pick(self._reference_payoffs[label], figure, against)

    def _pick(self, tables: dict[str, FloatArray], figure: int, against: str | None) -> FloatArray:
        if against is None:
            best = tables[BEST][figure]
            return np.asarray(np.where(np.isnan(best), tables[OWN][figure], best))
        return np.asarray(tables[checks.choice("against", against, list(tables))][figure])

    def _place_of(self, kind: str, label: str) -> int:
        """Index of a label; raise ``InvalidArgumentError`` where nobody has it."""
        return self._index[kind][checks.choice(kind, label, list(self._index[kind]))]

    def regret(self) -> FloatArray:
        """Exact Stackelberg value minus the leader's payoff, ``[G, L, F, S]``; NaN where unknown."""
        return np.asarray(self.reference(OPTIMUM)[:, None, :, None] - self.payoffs())

    @cached_property
    def anchors(self) -> Anchors:
        """What counts as score 0 and 1.

        The given bounds; else uniform random play and the exact optimum; else, for an end that is not
        known, the median payoff of the worst or of the best leader here. Where the upper end is not
        above the lower one no score is defined, and the task is left out of aggregates.
        """
        low, high = self.reference(UNIFORM), self.reference(OPTIMUM)
        source = [[EXACT] * len(self.followers) for _ in self.games]
        payoffs = self.payoffs()
        for g, f in np.ndindex(low.shape):
            runs = payoffs[g, :, f]
            if self.games[g] in self.plan["bounds"]:
                low[g, f], high[g, f] = self.plan["bounds"][self.games[g]]
                source[g][f] = "given"
            elif np.isnan(low[g, f] + high[g, f]):
                medians = [float(np.median(known)) for row in runs if len(known := row[~np.isnan(row)])]
                ends = ["uniform random", "exact optimum"]
                if np.isnan(low[g, f]):
                    low[g, f], ends[0] = min(medians, default=np.nan), "the worst leader's median"
                if np.isnan(high[g, f]):
                    high[g, f], ends[1] = max(medians, default=np.nan), "the best leader's median"
                source[g][f] = " to ".join(ends)
            usual = np.median(np.abs(runs[~np.isnan(runs)])) if not np.isnan(runs).all() else 0.0
            if not high[g, f] - low[g, f] > DEGENERATE * max(abs(low[g, f]), abs(high[g, f]), usual):
                unknown = np.isnan(low[g, f] + high[g, f])
                source[g][f] = "none: not known yet" if unknown else f"none: nothing to gain from {source[g][f]}"
                low[g, f] = high[g, f] = np.nan
        return Anchors(low, high, source)

    @cached_property
    def tasks(self) -> list[tuple[int, int]]:
        """Game and follower, as indices, of every task with a score (see ``anchors``)."""
        return [(int(g), int(f)) for g, f in np.argwhere(~np.isnan(self.anchors.low))]

    def ceiling(self, against: str | None = None) -> float:
        """No score lies above: 1 where all tasks measure payoffs against the optimum's own response, else 2."""
        best = against in (None, BEST) and all(self.anchors.source[g][f] == EXACT for g, f in self.tasks)
        return 1.0 if best else CEILING

    def scores(self, against: str | None = None) -> FloatArray:
        """Payoffs on the scale of ``anchors``, ``[G, L, F, S]``, none below -1 or above ``ceiling``."""
        low, high = (end[:, None, :, None] for end in self.anchors[:2])
        return np.clip((self.payoffs(against=against) - low) / (high - low), FLOOR, self.ceiling(against))

    def score_table(self, leader: str, against: str | None = None) -> FloatArray:
        """Scores of one leader, ``[tasks, S]``; NaN where a run is missing."""
        table = self.scores(against)[:, self._place_of("leader", leader)]
        return np.array([table[task] for task in self.tasks]).reshape(-1, len(self.seeds))

    def reference_score(self, label: str, against: str | None = None, tasks: Sequence[int] | None = None) -> float:
        """Mean score of a reference player over tasks (all if not given); NaN where one is not known."""
        low, high, _ = self.anchors
        scores = (self.reference(label, against=against) - low) / (high - low)
        chosen = [scores[task] for k, task in enumerate(self.tasks) if tasks is None or k in tasks]
        return float(np.clip(chosen, FLOOR, self.ceiling(against)).mean()) if chosen else float("nan")

    def above_optimum(self) -> list[tuple[str, str]]:
        """Leaders and games where a run ended above the exact optimum, which therefore is none."""
        ahead = -self.regret() > DEGENERATE * (self.anchors.high - self.anchors.low)[:, None, :, None]
        return [(self.leaders[j], self.games[g]) for g, j in np.argwhere(ahead.any(axis=(2, 3)))]

    @checked
    def contests(self, player: Role, members: Sequence[str]) -> FloatArray:
        """Payoffs of players of one role in the same circumstances, ``[tasks, S, players]``.

        Leaders meet the same game and follower, on the tasks with a score and on its scale, without
        its bounds; followers the same game and leader (as trained), on the scale of their payoffs.
        """
        chosen = [self._place_of(checks.choice("player", player, _ROLES), label) for label in members]
        if player == "leader":
            low, high, _ = self.anchors
            payoffs = self.payoffs()[:, chosen]
            tasks = [(payoffs[g, :, f].T - low[g, f]) / (high[g, f] - low[g, f]) for g, f in self.tasks]
            return np.array(tasks).reshape(len(tasks), len(self.seeds), len(chosen))
        table = np.moveaxis(self.payoffs("follower", OWN), 2, -1).reshape(-1, len(self.seeds), len(self.followers))
        known = table[~np.isnan(table).all(axis=(1, 2))]
        spread = np.nanmax(known, axis=(1, 2), keepdims=True) - np.nanmin(known, axis=(1, 2), keepdims=True)
        size = np.asarray(np.nanmax(np.abs(known), axis=(1, 2), keepdims=True))
        scale = np.maximum(spread, 1e-3 * size)  # rounding errors are no spread
        return np.asarray(known / np.where(scale > 0, scale, 1.0))[:, :, chosen]

    def curves(self, game: str, follower: str, leader: str) -> tuple[FloatArray, FloatArray]:
        """Learning curves: transitions spent ``[P]`` and payoffs ``[runs, P]``.

        Runs measured at different transitions are held at their last value.
        """
        for kind, label in (("game", game), ("follower", follower)):
            self._place_of(kind, label)
        checks.choice("leader", leader, [*self.leaders, *self.references])
        found = [
            row.outcome.curve
            for row in self.rows
            if row.outcome is not None
            and row.outcome.curve[0]
            and (row.game, row.follower, row.leader) == (game, follower, leader)
        ]
        return aligned([(np.asarray(spent), np.asarray(values)) for spent, values in found], hold=True)

    def costs(self, leader: str) -> dict[str, float]:
        """Means over finished matches: transitions, the followers' own, and CPU seconds."""
        checks.choice("leader", leader, [*self.leaders, *self.references])
        found = [
            row.outcome for row in self.rows if row.leader == leader and row.outcome and row.outcome.status == "done"
        ]
        names = ("transitions", "follower_transitions", "cpu_seconds")
        return {name: float(np.mean([getattr(o, name) for o in found])) if found else float("nan") for name in names}


def _figures(found: Evaluation) -> list[float]:
    values = (found.leader_payoff, found.follower_payoff, found.gap)
    return [float("nan") if value is None else value for value in values]


def mean_known(runs: FloatArray) -> FloatArray:
    """Mean over the last axis of what is not NaN; NaN where nothing is left."""
    known = ~np.isnan(runs)
    counts = known.sum(axis=-1)
    sums = np.where(known, runs, 0.0).sum(axis=-1)
    return np.asarray(np.divide(sums, counts, out=np.full(counts.shape, np.nan), where=counts > 0))

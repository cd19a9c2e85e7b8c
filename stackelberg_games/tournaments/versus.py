"""Is one leader better than another: where, by how much, how sure, and at what price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from stackelberg_games import checks, display
from stackelberg_games.frames import frame
from stackelberg_games.learning.information import Division
from stackelberg_games.learning.plots import COLOURS, canvas
from stackelberg_games.tournaments.charts import percent
from stackelberg_games.tournaments.leaderboard import compare
from stackelberg_games.tournaments.payoffs import Payoffs
from stackelberg_games.tournaments.statistics import (
    ENOUGH,
    TIE,
    Comparison,
    Estimate,
    median,
    probability_of_improvement,
)

Finding = Literal["better", "worse", "not shown", "too few seeds"]
VERSUS_COLUMNS = {
    "game": "label",
    "follower": "label",
    "seeds": "that both leaders have finished",
    "shown": "`better` or `worse` where the interval lies on one side of 0, else `not shown`; `too few seeds` under six",
    "difference": "median over seeds of the one leader's payoff less the other's with the same seed, in the game's units",
    "low": "lower end of its 95 % interval, for any distribution; the lowest difference under six seeds",
    "high": "upper end",
    "score_difference": "the same in units of the way from uniform random play to the exact optimum",
    "score_low": "lower end",
    "score_high": "upper end",
    "won": "share of pairs of runs with different seeds that the one leader wins, ties half; unknown with one seed",
}
"""What the columns of ``Versus.to_frame`` mean."""


class TaskDifference(NamedTuple):
    """Two leaders in one game against one follower; see ``VERSUS_COLUMNS``."""

    game: str
    follower: str
    seeds: int
    difference: Estimate
    score: Estimate
    won: float

    @property
    def shown(self) -> Finding:
        """What the interval says."""
        if self.seeds < ENOUGH:
            return "too few seeds"
        if self.difference.low > TIE:
            return "better"
        return "worse" if self.difference.high < -TIE else "not shown"


@dataclass(frozen=True, repr=False)
class Versus:
    """One leader against another.

    Examples:
        >>> import stackelberg_games as sg
        >>> cup = sg.Tournament(
        ...     "matrix-v0",
        ...     ["bchg", "random_search"],
        ...     "soft_value_iteration",
        ...     seeds=6,
        ...     budget=2_000,
        ...     episodes=100,
        ...     points=0,
        ... )
        >>> found = cup.play(progress=False).versus("bchg", "random_search")
        >>> [(task.game, task.seeds, task.shown) for task in found.tasks]
        [('matrix-v0', 6, 'better')]
        >>> sorted(found.spent["bchg"])
        ['cpu_seconds', 'follower_transitions', 'transitions']

    Attributes:
        leader, other: labels.
        information: classes of the two, in this order.
        overall: their pairs over all tasks with a score; None where no two runs of different seeds met.
        tasks: one game against one follower each.
        spent: means over matches, by leader: transitions, the follower's own, and CPU seconds.
    """

    leader: str
    other: str
    information: tuple[Division, Division]
    overall: Comparison | None
    tasks: tuple[TaskDifference, ...]
    spent: Mapping[str, Mapping[str, float]]

    def __repr__(self) -> str:
        """The sentence."""
        return f"Versus({self.sentence})"

    @property
    def sentence(self) -> str:
        """Whether the one is better, and where, in words."""
        if self.overall is None:
            return f"{self.leader} and {self.other} have no runs of different seeds in common; play two seeds at least, six for intervals"
        turned = self.overall.reversed().beats  # then all numbers are those of the other one
        overall = self.overall.reversed() if turned else self.overall
        says = (
            f"{self.other} beats {self.leader}"
            if turned
            else f"{self.leader} beats {self.other}"
            if overall.beats
            else f"it is not shown that {self.leader} beats {self.other}, nor the reverse"
        )
        interval = f"{percent(overall.low)} to {percent(overall.high)}"
        better, worse = (sum(task.shown == shown for task in self.tasks) for shown in ("better", "worse"))
        better, worse = (worse, better) if turned else (better, worse)
        where = f"better on {better} and worse on {worse} of {len(self.tasks)} tasks"
        return f"{says}: {percent(overall.value)} of pairs won (95 % interval {interval}), {where}{self._sees}"

    @property
    def _sees(self) -> str:
        one, other = self.information
        return "" if one == other else f"; {self.leader} sees {one.name}, {self.other} {other.name}"

    def to_frame(self) -> Any:
        """Every task as a row of a ``pandas.DataFrame``; see ``VERSUS_COLUMNS``. Needs the extra ``frames``."""
        return frame(self.rows(), list(VERSUS_COLUMNS))

    def rows(self) -> list[dict[str, Any]]:
        """Every task by column; see ``VERSUS_COLUMNS``."""
        return [
            {
                **{name: getattr(task, name) for name in ("game", "follower", "seeds", "shown", "won")},
                **dict(zip(("difference", "low", "high"), task.difference, strict=True)),
                **dict(zip(("score_difference", "score_low", "score_high"), task.score, strict=True)),
            }
            for task in self.tasks
        ]

    def _repr_html_(self) -> str:
        """The tasks, and what was spent, in a notebook."""
        columns = ["game", "follower", "shown", "difference", "low", "high", "won"]
        tasks = display.table(self.sentence, columns, ([row[name] for name in columns] for row in self.rows()))
        costs = ["transitions", "follower_transitions", "cpu_seconds"]
        rows = [(label, *(found[name] for name in costs)) for label, found in self.spent.items()]
        return tasks + display.table("means over matches", ["leader", *costs], rows)

    def plot(self, axes: Any = None) -> Any:
        """Draw the difference on every task with its interval, on the scale of scores; returns Matplotlib axes.

        Full marks are differences that are shown, empty ones not. Tasks without a score are left out.

        Args:
            axes: to draw on; new ones that notebooks show if None.
        """
        tasks = [task for task in self.tasks if np.isfinite(task.score.value)]
        _, (drawn,) = canvas(axes)(6.5, 1.2 + 0.3 * len(tasks), 1)
        for place, task in enumerate(tasks):
            colour = COLOURS[0] if task.score.value >= 0 else COLOURS[1]
            drawn.plot(task.score[1:], [place, place], color=colour, linewidth=4, alpha=0.4, solid_capstyle="round")
            full = colour if task.shown in ("better", "worse") else "white"
            drawn.plot(task.score.value, place, "o", color=colour, markerfacecolor=full, markersize=6)
        drawn.axvline(0, color="0.3", linestyle="--", linewidth=1)
        drawn.set_yticks(range(len(tasks)), [f"{task.game}, {task.follower}" for task in tasks])
        drawn.set_ylim(len(tasks) - 0.5, -0.5)
        drawn.set_xlabel(f"score of {self.leader} less that of {self.other}\nsame seed: median, 95 % interval")
        return drawn


def versus(results: Payoffs, leader: str, other: str) -> Versus:
    """Hold one leader against another, on every task and over all of them.

    Whether it is better over all is the comparison of the leaderboard (``Comparison.beats``). By how much on a task is the
    median over seeds of the difference between runs of the same seed, between two order statistics that hold the
    median of its distribution with 95 %, whatever that is; each interval holds by itself, not all of them together.

    Examples:
        >>> import stackelberg_games as sg
        >>> cup = sg.Tournament(
        ...     "matrix-v0",
        ...     ["bchg", "random_search"],
        ...     "soft_value_iteration",
        ...     seeds=6,
        ...     budget=2_000,
        ...     episodes=100,
        ...     points=0,
        ... )
        >>> found = cup.play(progress=False).versus("bchg", "random_search")
        >>> found.tasks[0].shown, found.overall.beats
        ('better', False)

    Args:
        results: of a tournament.
        leader: label of the one that the sentence is about.
        other: label of the one that it is held against.

    Raises:
        InvalidArgumentError: there is no such leader, or it is the same.
    """
    checks.choice("leader", leader, results.leaders)
    checks.choice("other", other, [label for label in results.leaders if label != leader])
    overall = compare(results, [leader, other]).get((leader, other))
    ours, theirs = (results.payoffs()[:, results.leaders.index(label)] for label in (leader, other))
    span = results.anchors.high - results.anchors.low
    tasks = []
    for g, f in np.ndindex(span.shape):
        differences = ours[g, f] - theirs[g, f]
        known = differences[~np.isnan(differences)]
        if len(known):
            found = median(known)
            score = Estimate(*(float(end / span[g, f]) for end in found))
            pair = (side[g, f][None] for side in (ours, theirs))
            won = probability_of_improvement(*pair).value if len(known) > 1 else float("nan")
            tasks.append(TaskDifference(results.games[g], results.followers[f], len(known), found, score, won))
    return Versus(
        leader,
        other,
        (results.information[leader], results.information[other]),
        overall,
        tuple(tasks),
        {label: results.costs(label) for label in (leader, other)},
    )

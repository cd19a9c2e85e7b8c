"""Results of a tournament: its numbers, and all that is made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from stackelberg_games import checks, display
from stackelberg_games.errors import InvalidArgumentError, StoreError
from stackelberg_games.frames import frame
from stackelberg_games.learning.information import Division
from stackelberg_games.learning.plots import canvas
from stackelberg_games.tournaments import export, figures, leaderboard, report, verdict, versus
from stackelberg_games.tournaments.leaderboard import Standing
from stackelberg_games.tournaments.payoffs import Payoffs
from stackelberg_games.tournaments.store import Store
from stackelberg_games.tournaments.verdict import Verdict
from stackelberg_games.tournaments.versus import Versus

TableName = Literal["results", "matches", "standings", "overview", "comparisons", "curves", "costs"]


class Results(Payoffs):
    """Everything that came of a tournament.

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
        >>> results = cup.play(progress=False)
        >>> results
        Results(1 games, 3 leaders, 1 followers, 6 seeds: 21 of 21 matches, 0 failed)
        >>> for information, standings in results.leaderboard().items():
        ...     print(information.name, [standing.leader for standing in standings])
        RETURNS ['random_search']
        TRAJECTORIES ['bchg', 'policy_gradient']

    Args:
        plan: see ``Tournament.plan``.
        outcomes: by key of the match.
    """

    def __repr__(self) -> str:
        """Who took part, and how far it has come."""
        sizes = zip(self.shape, ("games", "leaders", "followers", "seeds"), strict=True)
        played = f"{len(self.rows) - self.missing} of {len(self.rows)} matches, {len(self.failures)} failed"
        return f"Results({', '.join(f'{size} {what}' for size, what in sizes)}: {played})"

    def _repr_html_(self) -> str:
        """The leaderboard, in a notebook."""
        columns = ["class", "rank", "leader", "score", "from", "to", "transitions"]
        rows = [
            (information.name, s.rank, s.leader, *s.score, f"{s.transitions:,.0f}")
            for information, standings in self.leaderboard().items()
            for s in standings
        ]
        return display.table(repr(self), columns, rows)

    @classmethod
    def load(cls, folder: str | Path) -> Results:
        """Results of the tournament that was played last into a folder, as far as it came.

        Raises:
            StoreError: the folder holds no results, or they are damaged.
        """
        with Store(folder) as store:
            plan = store.latest_plan()
            if plan.get("kind") == "sweep":
                raise StoreError(
                    f"what was played last into {folder} is a sweep: sg.SweepResults.load({str(folder)!r}) reads it"
                )
            try:
                return cls(plan, store.outcomes(row[0] for row in plan["matches"]))
            except (LookupError, TypeError, ValueError) as error:
                raise StoreError(f"the plan in {store.file} is not one of this version: {error}") from error

    def save(self, folder: str | Path) -> list[Path]:
        """Write tidy CSV tables and the manifest; see ``export.write_csv``."""
        return export.write_csv(self, folder)

    def to_parquet(self, folder: str | Path) -> list[Path]:
        """Write the tables as Parquet; needs the extra ``parquet``."""
        return export.write_parquet(self, folder)

    def to_frame(self, table: TableName = "results") -> Any:
        """One of the tables of ``export.tables`` as a ``pandas.DataFrame``; needs the extra ``frames``.

        Args:
            table: ``"results"`` has a row for each match and measurement, ``"matches"`` for each match,
                ``"standings"`` for each leader, ``"overview"`` too but across classes, ``"comparisons"`` for each pair of a class, ``"curves"`` for each
                point of a learning curve, ``"costs"`` for each match, with timings. See ``export.COLUMNS``.

        Raises:
            InvalidArgumentError: there is no such table.
            MissingExtraError: pandas is not installed.
        """
        chosen = checks.choice("table", table, list(export.COLUMNS))
        return frame(export.tables(self)[chosen], list(export.COLUMNS[chosen]))

    def plot_leaderboard(self, axes: Any = None) -> Any:
        """Draw scores with their intervals, class by class; returns Matplotlib axes."""
        return figures.draw_leaderboard(self, canvas(axes))[0]

    def plot_curves(
        self, game: str | None = None, follower: str | None = None, axes: Any = None, *, regret: bool = False
    ) -> Any:
        """Draw learning curves: median over seeds, with an interval that holds it.

        Args:
            game: label; all of them, one below the other, if None.
            follower: label; all of them, beside each other, if None.
            axes: to draw one game against one follower on; new ones that notebooks show if None.
            regret: draw the exact optimum minus the payoff instead, on a logarithmic axis.

        Returns:
            Axes ``[games, followers]``; ``[games]`` where there is one follower, ``[followers]`` where there is one game or one
            was chosen; the axes alone of one game against one follower that was chosen, or those that were given.

        Raises:
            InvalidArgumentError: there is no such game or follower, there are several to choose from for the axes that
                were given, or the optimum that regret is measured to is not known.
        """
        if axes is not None:
            alone = [self._only("game", game, self.games)], [self._only("follower", follower, self.followers)]
            return figures.draw_learning(self, *alone, canvas(axes), regret=regret)[0]
        games = self.games if game is None else [self._only("game", game, self.games)]
        followers = self.followers if follower is None else [self._only("follower", follower, self.followers)]
        drawn = figures.draw_learning(self, games, followers, canvas(None), regret=regret)
        if len(games) == 1:
            return drawn if follower is None else drawn[0]
        return drawn if len(followers) == 1 else drawn.reshape(len(games), len(followers))

    def plot_profile(self, information: Division | None = None, axes: Any = None) -> Any:
        """Draw the share of runs above every score, for the leaders of a class (the only one if None)."""
        members = {division.name: labels for division, labels in leaderboard.classes(self).items()}
        name = self._only("information", None if information is None else information.name, list(members))
        return figures.draw_profile(self, members[name], canvas(axes))

    def plot_robustness(self, axes: Any = None) -> Any:
        """Draw mean scores against the best response, the follower as trained, and every held-out one."""
        return figures.draw_heat(report.robustness(self, figures.colours_of(self)), canvas(axes))

    def plot_payoffs(self, game: str | None = None, axes: Any = None) -> Any:
        """Draw mean payoffs of every leader against every follower in one game (the only one if None)."""
        chosen = self._only("game", game, self.games)
        return figures.draw_heat(report.payoff_heat(self, chosen, figures.colours_of(self)), canvas(axes), chosen)

    def _only(self, kind: str, wanted: str | None, known: list[str]) -> str:
        """A label, or the only one there is."""
        if wanted is None and len(known) > 1:
            raise InvalidArgumentError(f"{kind}=None: expected one of {checks.listed(known)}")
        return known[0] if wanted is None else str(checks.choice(kind, wanted, known))

    def leaderboard(self, *, confidence: float = 0.95) -> dict[Division, list[Standing]]:
        """Standings within information classes; see ``leaderboard.leaderboard``."""
        return leaderboard.leaderboard(self, confidence=confidence)

    def versus(self, leader: str, other: str) -> Versus:
        """Whether one leader is better than another, where and by how much.

        ``print(results.versus("bchg", "hpgd").sentence)`` says it in words, ``.to_frame()`` in numbers, a row for each game and
        follower, ``.plot()`` in a figure; ``.spent`` is what both have used. Differences are those of runs of the same
        seed, with 95 % intervals, which take six seeds; see ``versus.versus``.

        Args:
            leader: label of the one that the sentence is about.
            other: label of the one that it is held against; of another class of information too, which the sentence says.

        Raises:
            InvalidArgumentError: there is no such leader, or it is the same.
        """
        return versus.versus(self, leader, other)

    def verdict(self) -> Verdict:
        """The headline; see ``verdict.verdict``."""
        return verdict.verdict(self, self.leaderboard())

    def report(self, path: str | Path) -> None:
        """Write the report, one self-contained HTML file."""
        report.write_report(self, path)

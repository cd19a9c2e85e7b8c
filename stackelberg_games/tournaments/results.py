"""Results of a tournament: its numbers, and all that is made of them."""

from __future__ import annotations

from pathlib import Path

from stackelberg_games import display
from stackelberg_games.errors import StoreError
from stackelberg_games.learning.information import Division
from stackelberg_games.tournaments import export, leaderboard, report, verdict
from stackelberg_games.tournaments.leaderboard import Standing
from stackelberg_games.tournaments.payoffs import Payoffs
from stackelberg_games.tournaments.store import Store
from stackelberg_games.tournaments.verdict import Verdict


class Results(Payoffs):
    """Everything that came of a tournament.

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

    def leaderboard(self, *, confidence: float = 0.95) -> dict[Division, list[Standing]]:
        """Standings within information classes; see ``leaderboard.leaderboard``."""
        return leaderboard.leaderboard(self, confidence=confidence)

    def verdict(self) -> Verdict:
        """The headline; see ``verdict.verdict``."""
        return verdict.verdict(self, self.leaderboard())

    def report(self, path: str | Path) -> None:
        """Write the report, one self-contained HTML file."""
        report.write_report(self, path)

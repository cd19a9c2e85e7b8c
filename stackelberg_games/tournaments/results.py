"""Results of a tournament: its numbers, and all that is made of them."""

from __future__ import annotations

from pathlib import Path

from stackelberg_games.learning.information import Information
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

    @classmethod
    def load(cls, folder: str | Path) -> Results:
        """Results of the tournament that was played last into a folder, as far as it came.

        Raises:
            StoreError: the folder holds no results.
        """
        with Store(folder) as store:
            plan = store.latest_plan()
            return cls(plan, store.outcomes(row[0] for row in plan["matches"]))

    def save(self, folder: str | Path) -> list[Path]:
        """Write tidy CSV tables and the manifest; see ``export.write_csv``."""
        return export.write_csv(self, folder)

    def to_parquet(self, folder: str | Path) -> list[Path]:
        """Write the tables as Parquet; needs the extra ``parquet``."""
        return export.write_parquet(self, folder)

    def leaderboard(self, *, confidence: float = 0.95) -> dict[Information, list[Standing]]:
        """Standings within information classes; see ``leaderboard.leaderboard``."""
        return leaderboard.leaderboard(self, confidence=confidence)

    def verdict(self) -> Verdict:
        """The headline; see ``verdict.verdict``."""
        return verdict.verdict(self, self.leaderboard())

    def report(self, path: str | Path) -> None:
        """Write the report, one self-contained HTML file."""
        report.write_report(self, path)

"""The conformance battery as pytest tests, one for each game and check.

Installing the package adds an option to pytest, for anybody's games::

    pytest --stackelberg-games my_package.my_game:game
    pytest --stackelberg-games my_game.py:env --stackelberg-games "inspection-*"

The option takes what ``stackelberg check`` takes, and patterns over registered ids. The tests come in
addition to those that pytest finds; ``-k``, ``-x``, ``-n`` and reports work as usual, and checks that
do not apply are skipped with their reason. Inside a test, one line does the same::

    def test_my_game() -> None:
        check_game(my_game.game).require()

Without the option, pytest imports nothing of this package.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

import pytest

from stackelberg_games.conformance import CHECKS, run
from stackelberg_games.conformance.locate import locate
from stackelberg_games.conformance.play import Subject
from stackelberg_games.errors import StackelbergError
from stackelberg_games.learning.registry import games


class GameUnderTest(pytest.Collector):
    """A game that was asked for; made when its first check runs."""

    def collect(self) -> list[ConformanceItem]:
        """One item for each check."""
        return [ConformanceItem.from_parent(self, name=name) for name in CHECKS]

    @cached_property
    def subject(self) -> Subject:
        """The game, as the checks take it."""
        return Subject.of(locate(self.name))


class ConformanceItem(pytest.Item):
    """One check of one game."""

    parent: GameUnderTest

    def runtest(self) -> None:
        """Run the check."""
        outcome = run(self.name, self.parent.subject)
        if outcome.notes:
            self.add_report_section("call", "notes", "\n".join(outcome.notes))
        if outcome.status == "skipped":
            pytest.skip(outcome.detail)
        if outcome.status == "failed":
            raise outcome.error

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What is wrong and how to mend it, without a traceback."""
        if isinstance(excinfo.value, StackelbergError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Game and check."""
        return self.path, None, f"{self.parent.name}: {self.name}"


def games_under_test(session: pytest.Session, targets: Iterable[str]) -> Iterator[GameUnderTest]:
    """Every game that was asked for.

    Raises:
        pytest.UsageError: a pattern fits no registered game.
    """
    for target in targets:
        names = [name for name in games() if fnmatchcase(name, target)] if "*" in target else [target]
        if not names:
            raise pytest.UsageError(f"--stackelberg-games {target}: no registered game fits; there are {games()}")
        for name in names:
            yield GameUnderTest.from_parent(session, name=name, nodeid=f"stackelberg[{name}]")

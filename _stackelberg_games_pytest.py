"""The pytest option ``--stackelberg-games``; what it does is in ``stackelberg_games.conformance.pytest_plugin``.

This module stands outside the package because pytest imports the plugins of everything that is
installed: without the option, nothing of the package is imported and no test run changes.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("stackelberg-games").addoption(
        "--stackelberg-games",
        action="append",
        default=[],
        metavar="GAME",
        help="Run the conformance battery on MODULE:FACTORY, FILE.py:FACTORY, or registered ids (patterns with * allowed).",
    )


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """Let the session collect the games that were asked for, after the files."""
    report = yield
    targets = collector.config.getoption("stackelberg_games")
    if targets and isinstance(collector, pytest.Session):
        from stackelberg_games.conformance.pytest_plugin import games_under_test

        report.result.extend(games_under_test(collector, targets))
    return report

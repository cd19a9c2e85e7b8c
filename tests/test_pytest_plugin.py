"""The battery as a pytest plugin, and that it stays out of the way."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution

import pytest

import stackelberg_games.conformance.pytest_plugin  # noqa: F401 (before pytester, which forgets what a run has imported)
from stackelberg_games.conformance import CHECKS

pytest_plugins = ["pytester"]

GAMES = """
from stackelberg_games.envs import discrete_toy_v0
from tests.mistakes import BlindFollower
from tests.plain_env import Ferry, wrapped

def good(**settings):
    return wrapped(Ferry(**settings))

def bad():
    return wrapped(BlindFollower())
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(games_of_mine=GAMES, test_mine="def test_nothing(): pass")
    return pytester


def test_the_battery_runs_beside_the_tests_that_are_there(run: pytest.Pytester) -> None:
    result = run.runpytest_inprocess("-rs", "--stackelberg-games", "games_of_mine:good")
    result.assert_outcomes(passed=20 + 1, skipped=8)
    result.stdout.fnmatch_lines(["*SKIPPED*there are no action masks*"])
    assert result.ret == 0


def test_failures_say_what_is_wrong_without_a_traceback(run: pytest.Pytester) -> None:
    result = run.runpytest_inprocess("-k", "sees_the_move", "--stackelberg-games", "games_of_mine.py:bad")
    result.assert_outcomes(failed=1, deselected=len(CHECKS))
    result.stdout.fnmatch_lines(["*games_of_mine.py:bad: follower_sees_the_move*", "follower_0 observes*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    assert "protocol.py" not in result.stdout.str()


def test_patterns_choose_among_registered_games(run: pytest.Pytester) -> None:
    result = run.runpytest_inprocess("--collect-only", "-q", "-k", "agents", "--stackelberg-games", "matrix*-v0")
    result.stdout.fnmatch_lines(["stackelberg[[]matrix-v0[]]::agents", f"1/{len(CHECKS) + 1} tests collected*"])


@pytest.mark.parametrize(
    ("target", "message"), [("nothing*", "*no registered game fits*"), ("no_such_module:game", "*no_such_module*")]
)
def test_targets_that_do_not_exist_are_named(run: pytest.Pytester, target: str, message: str) -> None:
    result = run.runpytest_inprocess("-x", "--stackelberg-games", target)
    assert result.ret != 0
    (result.stdout if "module" in target else result.stderr).fnmatch_lines([message])


def test_without_the_option_nothing_of_the_package_is_imported(run: pytest.Pytester) -> None:
    run.makepyfile(
        test_mine="""
        import sys

        def test_nothing():
            assert "_stackelberg_games_pytest" in sys.modules
            assert not {"stackelberg_games", "pettingzoo", "numpy", "torch"} & set(sys.modules)
        """
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(run.path)]
    result = subprocess.run(command, cwd=run.path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_pytest_finds_the_plugin_by_its_entry_point() -> None:
    installed = distribution("stackelberg-games")
    assert "_stackelberg_games_pytest" in {entry.value for entry in installed.entry_points.select(group="pytest11")}

"""The command that runs the conformance battery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from stackelberg_games.cli import main
from tests.mistakes import BlindFollower
from tests.plain_env import wrapped


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["check", *arguments])


def test_the_command_checks_a_registered_game() -> None:
    result = invoke("matrix-v0", "--set", "preset=escape")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1].endswith("passed, 0 failed, 4 skipped")


def test_the_command_fails_where_a_check_fails() -> None:
    result = invoke("tests.test_cli_check:blind_ferry")
    assert result.exit_code == 1
    assert "failed   follower_sees_the_move" in result.output
    assert invoke("tests.test_cli_check:blind_ferry", "--blind").exit_code == 0
    assert invoke("tests.test_cli_check:blind_ferry", "--skip", "follower_sees_the_move").exit_code == 0


def blind_ferry(**settings: Any) -> Any:
    return wrapped(BlindFollower(**settings))


FILE = """
from stackelberg_games import TabularGame

def game(reward=1.0):
    return TabularGame([[[[1.0]] * 2] * 2], [[[0, reward]] * 2], [[[0, 1]] * 2], [1.0], horizon=3, name="mine-v0")
"""


def test_the_command_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    for target in (f"{path}:game", str(path)):
        result = invoke(target, "--set", "reward=2.5")
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["discrete_toi-v0"], "did you mean 'discrete_toy-v0'"),
        (["no_such_module:game"], "no_such_module"),
        (["tests.plain_env:nothing"], "nothing"),
        (["nowhere.py:game"], "nowhere.py"),
        (["matrix-v0", "--skip", "nonsense"], "no check is called 'nonsense'"),
        (["matrix-v0", "--set", "nonsense"], "NAME=VALUE"),
        (["tests.plain_env:PLACES"], "expected a factory"),
        (["matrix-v0", "--set", "presett=1"], "presett"),
        (["tests.plain_env:Ferry", "--set", "cycles=1"], "cycles"),
    ],
)
def test_bad_input_is_one_clear_line(arguments: list[str], message: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert len(result.output.splitlines()) == 1
    assert "Traceback" not in result.output

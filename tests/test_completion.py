"""What a shell completes: commands, options, and the ids that are registered."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

import stackelberg_games as sg
from stackelberg_games.cli import main
from stackelberg_games.cli.completion import VARIABLE
from stackelberg_games.tournaments.suites import suites


def offered(*words: str) -> list[str]:
    """What is offered for the last word."""
    complete = BashComplete(main, {}, "stackelberg", VARIABLE)
    return [item.value for item in complete.get_completions(list(words[:-1]), words[-1])]


def test_commands_and_ids_are_completed() -> None:
    assert offered("tour") == ["tournament"]
    assert offered("train", "--leader", "") == sg.leaders()
    assert offered("train", "--game", "matr") == ["matrix-v0"]
    assert offered("gradcheck", "--follower", "soft_") == ["soft_dqn", "soft_q_learning", "soft_value_iteration"]
    assert offered("tournament", "--suite", "") == suites()
    assert offered("tournament", "--leader", "bc") == ["bchg"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_its_script(shell: str) -> None:
    if shutil.which("bash") is None and shell == "bash":
        pytest.skip("needs bash, whose version decides")
    shown = CliRunner().invoke(main, ["completion", shell])
    assert shown.exit_code == 0
    assert f"{VARIABLE}={shell}_complete" in shown.output


def test_a_shell_that_reads_the_script_completes() -> None:
    bash, scripts = shutil.which("bash"), Path(sys.executable).parent
    if bash is None or not (scripts / "stackelberg").exists():
        pytest.skip("needs bash and the installed command")
    typed = """
        eval "$(stackelberg completion bash)"
        complete -p stackelberg
        COMP_WORDS=(stackelberg train --leader model_) COMP_CWORD=3
        _stackelberg_completion stackelberg
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    path = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    shown = subprocess.run([bash, "-c", typed], check=False, env=path, capture_output=True, text=True, timeout=120)
    assert "stackelberg" in shown.stdout.splitlines()[0]
    assert shown.stdout.splitlines()[1:] == ["model_based"], shown.stderr

"""A distribution outside the package adds a game, a leader and a follower that take part in everything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent / "examples" / "third_party"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A Python that has the example distribution installed, as a command."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("third_party")
    source = shutil.copytree(EXAMPLE, folder / "source")  # building writes into the source
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(folder / "site")]
    subprocess.run([sys.executable, *install, str(source)], check=True, capture_output=True)
    path = os.pathsep.join([str(folder / "site"), os.environ.get("PYTHONPATH", "")])
    return ["env", f"PYTHONPATH={path}", "OMP_NUM_THREADS=1", sys.executable]


def run(python: list[str], *arguments: str) -> str:
    done = subprocess.run([*python, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


COMMANDS = """
from click.testing import CliRunner
from stackelberg_games.cli import main

train = "train --game inspection-v0 --leader hill_climbing --follower careless --iterations 60 --episodes 100 --quiet"
for command in ("games", "leaders", "followers", "check inspection-v0", train):
    result = CliRunner().invoke(main, command.split(), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    print(result.output)
"""


def test_its_parts_are_listed_checked_and_trained(python: list[str]) -> None:
    printed = run(python, "-c", COMMANDS)
    for name in ("inspection-v0", "hill_climbing", "careless"):
        assert any(line.startswith(f"{name} ") for line in printed.splitlines()), name
    assert " 0 failed" in printed
    assert float(printed.partition("leader value ")[2].split()[0]) > -0.6  # never inspecting is worth less than -1.9


LIBRARY = """
import pettingzoo
import stackelberg_games as sg
from stackelberg_games.errors import UnsupportedGameError
env = pettingzoo.make("aec", "stackelberg/inspection-v0", fine=9.0)
assert env.unwrapped.game.follower_reward[0, 0, 1] == -9.0
assert sg.exact.solve(sg.make("inspection-v0"), temperature=0).value == -0.1
for leader in sg.leaders():
    try:
        sg.train(sg.make("inspection-v0"), leader, "soft_value_iteration", iterations=2)
    except UnsupportedGameError as error:
        print(leader, "does not fit:", error)
"""


def test_it_is_in_pettingzoos_registry_and_trains_with_every_leader_that_fits(python: list[str]) -> None:
    printed = run(python, "-c", LIBRARY)
    assert "bchg does not fit" not in printed


def test_it_plays_a_tournament(python: list[str], tmp_path: Path) -> None:
    arguments = ["--seeds", "1", "--workers", "1", "--out", str(tmp_path / "out"), "--quiet"]
    run(python, "-m", "stackelberg_games", "tournament", str(EXAMPLE / "tournament.toml"), *arguments)
    assert (tmp_path / "out" / "report.html").stat().st_size > 1000

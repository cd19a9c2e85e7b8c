"""Tournaments that are packaged by name: what is in them, and who else may enter."""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import stackelberg_games as sg
from stackelberg_games.cli import main
from stackelberg_games.errors import InvalidArgumentError, UnknownIdError
from stackelberg_games.tournaments import tournament_file
from stackelberg_games.tournaments.results import Results
from stackelberg_games.tournaments.suites import suite, suites

PAGE = Path(__file__).parents[1] / "docs" / "howto" / "standard_suite.md"
FROZEN = {
    "quick-v1": "8b95f8e2f4c3fc0f",
    "standard-v1": "94f6d00817e75cc3",
    "standard-v2": "b43f63e0cbcf1992",
}
"""Digests of what is in the files. A suite that is to change becomes a new version; these lines never do."""
CUP = """
[tournament]
seeds = 1
budget = 40
episodes = 2
points = 0
[[game]]
id = "matrix-v0"
[[leader]]
id = "bchg"
label = "swift"
learning_rate = 0.3
[[leader]]
id = "random_search"
[[follower]]
id = "soft_value_iteration"
"""


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["tournament", "--quiet", "--workers", "1", *arguments])


def digest(name: str) -> str:
    content = tomllib.loads(suite(name)[1])
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def test_no_version_of_a_suite_ever_changes() -> None:
    assert {name: digest(name) for name in suites()} == FROZEN


@pytest.mark.parametrize("name", suites())
def test_everybody_of_a_suite_can_play(name: str) -> None:
    full, text = suite(name)
    assert full == name
    planned = tournament_file.parse(text)
    assert len(planned.seeds) >= 5


def test_a_name_without_a_version_is_the_last_one() -> None:
    assert suite("standard")[0] == max(one for one in suites() if one.startswith("standard-v"))
    with pytest.raises(InvalidArgumentError, match="unknown suite 'standart'; did you mean 'standard'"):
        suite("standart")


def test_the_page_has_every_game_of_the_standard_suite_and_no_other() -> None:
    rows = re.findall(r"^\| \*\*(.*?)\*\* \| \[`(.*?)`\]", PAGE.read_text(), re.MULTILINE)
    games = tomllib.loads(suite("standard")[1])["game"]
    assert rows == [(game["label"], game["id"]) for game in games]


def test_every_leader_is_on_the_page_of_results_or_has_its_reason() -> None:
    docs = PAGE.parents[1]
    played = {
        row["leader"].partition(",")[0]
        for row in json.loads((docs / "data" / "standard_suite.json").read_text())["leaders"]
    }
    table = (docs / "standard_results.md").read_text().partition("## Who is not in it, and why")[2]
    excused = {*re.findall(r"\(leaders/(\w+)\.md\)", table)}
    assert played | excused == {*sg.leaders()}
    assert played & excused == {"twin_followers"}  # in one game


def test_the_leaders_of_a_file_are_those_that_the_caller_names() -> None:
    planned = tournament_file.parse(CUP, leaders=["swift", "evolution_strategies"])
    assert [leader.label for leader in planned.leaders] == ["swift", "evolution_strategies", "policy_gradient"]
    assert planned.leaders[0].settings == {"learning_rate": 0.3}
    with pytest.raises(UnknownIdError, match="bcgh"):
        tournament_file.parse(CUP, leaders=["bcgh"])
    with pytest.raises(InvalidArgumentError, match="same"):
        tournament_file.parse(CUP, leaders=["swift", "swift"])


def test_a_leader_of_ones_own_enters_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_leader.py").write_text(
        textwrap.dedent("""
        from dataclasses import dataclass
        from stackelberg_games.agents.leaders.fixed import FixedLeader

        @dataclass
        class Still(FixedLeader):
            \"\"\"Stays where it starts.\"\"\"
        """)
    )
    (tmp_path / "cup.toml").write_text(CUP)
    monkeypatch.chdir(tmp_path)
    played = invoke("cup.toml", "--leader", "swift", "--leader", "own_leader:Still", "--workers", "2")
    assert played.exit_code == 0, played.output
    found = Results.load("runs/tournament")
    assert not found.failures
    assert found.leaders == ["swift", "own_leader:Still", "policy_gradient"]


TABLES_ONLY = """
import torch
import stackelberg_games as sg

class Reads(sg.GradientAscent):
    information = sg.Information.TRAJECTORIES

    def objective(self, evidence):
        return lambda: self.commitment.log_probabilities().sum()
"""


def test_a_leader_that_cannot_play_a_game_is_refused_before_anything_is_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reads_tables.py").write_text(TABLES_ONLY)
    (tmp_path / "cup.toml").write_text(
        CUP.replace("budget = 40", 'budget = { "matrix-v0" = 40, "contract-v0" = 400 }')
        + '[[game]]\nid = "contract-v0"\n'
    )
    monkeypatch.chdir(tmp_path)
    who = ("cup.toml", "--leader", "reads_tables:Reads")
    refused = invoke(*who)
    assert refused.exit_code == 1
    assert "leader 'reads_tables:Reads' in 'contract-v0': AttributeError: 'Configuration'" in refused.output
    assert "nothing was played" in refused.output
    assert not (tmp_path / "runs").exists()
    played = invoke(*who, "--game", "matrix-v0")
    assert played.exit_code == 0, played.output
    assert Results.load("runs/tournament").games == ["matrix-v0"]
    assert invoke(*who, "--game", "matrix-v0").output.startswith("5 of 5 matches are stored already\n")
    unknown = invoke(*who, "--game", "matrix")
    assert unknown.exit_code == 1
    assert "game='matrix'" in unknown.output


def test_matches_that_failed_are_said_to_be_played_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cup.toml").write_text(CUP)
    monkeypatch.chdir(tmp_path)
    assert invoke("cup.toml", "--timeout", "1e-9").exit_code == 1
    again = invoke("cup.toml")
    assert again.exit_code == 0, again.output
    assert again.output.startswith("6 of 6 matches are stored already; 6 of them failed and are played again\n")


def test_a_suite_is_played_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in (2, 10):
        (tmp_path / f"cup-v{version}.toml").write_text(CUP.replace("budget = 40", f"budget = {4 * version}"))
    monkeypatch.setattr("stackelberg_games.tournaments.suites._FOLDER", tmp_path)
    out = str(tmp_path / "run")
    played = invoke("--suite", "cup", "--out", out)
    assert played.exit_code == 0, played.output
    assert played.output.startswith(f"suite cup-v10: 6 matches, kept in {out}")
    assert {rule["budget"] for rule in Results.load(out).plan["rules"].values()} == {40}
    refused = invoke("cup.toml", "--suite", "cup")
    assert refused.exit_code == 1
    assert "expected one of them" in refused.output

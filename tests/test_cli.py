"""The command line, as a user meets it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

import stackelberg_games as sg
from stackelberg_games.cli import main
from stackelberg_games.learning.experiment import Experiment, parse_value

SHORT = ["--iterations", "3", "--set", "game.horizon=10", "--quiet"]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_help_has_an_example_everywhere() -> None:
    for command in ([], *([name] for name in main.commands)):
        result = invoke(*command, "--help")
        assert result.exit_code == 0
        assert "Example" in result.output


def test_lists_show_every_id_with_a_line_of_text() -> None:
    for command, ids in (("games", sg.games()), ("leaders", sg.leaders()), ("followers", sg.followers())):
        lines = invoke(command).output.splitlines()
        assert [line.split()[0] for line in lines] == ids
        assert all(len(line.split()) > 2 for line in lines)


def test_ascents_that_a_leader_passes_are_not_called_the_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sg.exact, "solve", lambda *_, **__: SimpleNamespace(value=-1.0, evidence="made up"))
    assert "above it, so that was not the optimum" in invoke("train", *SHORT).output


def test_train_prints_the_value_beside_the_optimum_and_draws_it(tmp_path: Path) -> None:
    result = invoke("train", *SHORT, "--out", str(tmp_path / "run"))
    assert result.exit_code == 0, result.output
    game = sg.make("discrete_toy-v0", horizon=10)
    assert isinstance(game, sg.TabularGame)
    known = sg.exact.solve(game, 0.05, starts=8)
    assert f"exact optimum: {known.value:.4f} ({known.evidence}); bchg ends" in result.output
    assert (tmp_path / "run" / "learning.png").read_bytes().startswith(b"\x89PNG")
    assert sg.Run.load(tmp_path / "run" / "seed_0").history[-1]["iteration"] == 2


def test_workers_do_not_change_the_numbers() -> None:
    arguments = ["train", "--game", "random_game-v0", *SHORT, "--seeds", "3"]
    alone, shared = invoke(*arguments), invoke(*arguments, "--workers", "2")
    assert alone.exit_code == 0
    assert alone.output == shared.output
    values = [line for line in alone.output.splitlines() if line.startswith("seed")]
    assert len({line.split(":")[1] for line in values}) == 3


def test_a_file_is_read_and_overridden(tmp_path: Path) -> None:
    file = tmp_path / "experiment.toml"
    file.write_text(
        '[game]\nid = "discrete_toy-v0"\nR = 2.0\n[leader]\nid = "policy_gradient"\n[training]\niterations = 2\n'
    )
    experiment = Experiment.load(file).override([("leader.learning_rate", 0.5), ("training.episodes", 2)])
    game, leader, _ = experiment.build()
    assert game.follower_reward[1, 0, 2] == 2.0
    assert leader.learning_rate == 0.5
    assert len(experiment.run().history) == 2
    assert invoke("train", str(file), "--leader", "bchg", "--quiet").exit_code == 0


def test_a_new_id_forgets_the_settings_of_the_old_one() -> None:
    experiment = Experiment().override([("leader.learning_rate", 0.5)]).override([("leader.id", "fixed")])
    assert experiment.sections["leader"] == {"id": "fixed"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--game", "discrete_toi-v0"], "did you mean 'discrete_toy-v0'"),
        (["train", "--leader", "bchgg"], "did you mean 'bchg'"),
        (["train", "--follower", "rondom"], "did you mean 'random'"),
        (["train", "--set", "leader.rate=1"], "rate"),
        (["train", "--set", "training.iteration=1"], "did you mean 'iterations'"),
        (["train", "--set", "leadr.rate=1"], "did you mean 'leader'"),
        (["train", "--set", "nonsense"], "SECTION.KEY=VALUE"),
        (["train", "--set", "leader.learning_rate=-1"], "learning_rate"),
        (["train", "--iterations", "0"], "iterations=0"),
        (["train", "--seed", "-1"], "seed=-1"),
        (["train", "--tensorboard"], "--out"),
        (["train", "/nowhere.toml"], "/nowhere.toml"),
        (["gradcheck", "--leader", "fixed"], "does not estimate a gradient"),
    ],
)
def test_bad_input_is_one_clear_line_and_a_failure(arguments: list[str], message: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert len(result.output.splitlines()) == 1
    assert "Traceback" not in result.output


def test_a_file_with_a_wrong_key_is_named(tmp_path: Path) -> None:
    file = tmp_path / "experiment.toml"
    file.write_text("[training]\nepisode = 3\n")
    result = invoke("train", str(file))
    assert result.exit_code == 1
    assert "did you mean 'episodes'" in result.output
    assert "experiment.toml" in result.output


def test_gradcheck_reports_the_comparison() -> None:
    result = invoke("gradcheck", "--set", "game.horizon=20", "--batches", "20")
    assert result.exit_code == 0
    assert "cosine" in result.output
    assert "20 estimates" in result.output


def test_the_program_exits_non_zero_on_bad_input() -> None:
    command = [sys.executable, "-m", "stackelberg_games", "train", "--game", "nothing-v0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "nothing-v0" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.5", 0.5),
        (".5", 0.5),
        ("-1.", -1.0),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ("word", "word"),
        ("none", None),
    ],
)
def test_values_are_read_as_toml(text: str, value: object) -> None:
    assert parse_value(text) == value


def test_without_arguments_three_commands_are_shown() -> None:
    shown = CliRunner().invoke(main, [])
    assert shown.exit_code == 0
    named = [line.split()[1] for line in shown.output.splitlines() if line.startswith("  stackelberg ")]
    assert named == ["train", "tournament", "sweep"]
    assert {*named} <= {*main.commands}


MINE = """
import stackelberg_games as sg
from stackelberg_games.agents.leaders.random_search import RandomSearch


class Mine(RandomSearch):
    pass
"""


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("train", '[leader]\nid = "found_here:Mine"\n[training]\niterations = 1\n'),
        (
            "tournament",
            (
                '[tournament]\nseeds = 1\nbudget = 900\nreferences = false\n[[game]]\nid = "discrete_toy-v0"\n'
                '[[leader]]\nid = "found_here:Mine"\n[[follower]]\nid = "soft_value_iteration"\n'
            ),
        ),
    ],
)
def test_a_file_that_may_import_finds_what_is_beside_it(
    command: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "found_here.py").write_text(MINE)
    (tmp_path / "plan.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [part for part in sys.path if part])
    monkeypatch.delitem(sys.modules, "found_here", raising=False)
    played = invoke(command, "plan.toml", "--allow-import", "--out", "run")
    assert played.exit_code == 0, played.output
    assert "not registered" in invoke(command, "plan.toml", "--out", "other").output

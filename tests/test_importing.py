"""Files are data: they import and run nothing that is not registered, unless their reader allows it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import stackelberg_games as sg
from stackelberg_games.cli import main
from stackelberg_games.errors import InvalidArgumentError, UnknownIdError
from stackelberg_games.learning.experiment import Experiment
from stackelberg_games.learning.importing import imported
from stackelberg_games.tournaments import tournament_file
from stackelberg_games.tournaments.export import tables
from stackelberg_games.tournaments.sweep_file import load_sweep

MODULE = """
import pathlib
pathlib.Path(__file__).with_name("imported").touch()
from stackelberg_games.agents.leaders.random_search import RandomSearch
from stackelberg_games.envs import matrix_v0
from stackelberg_games.kinds.finite import TabularGame

class Mine(RandomSearch):
    "A leader of one's own."

def game(**settings) -> TabularGame:
    return matrix_v0.game(**settings)

def undeclared(**settings):
    pathlib.Path(__file__).with_name("called").touch()
    return matrix_v0.game(**settings)
"""
CUP = """
[tournament]
seeds = 2
budget = 60
references = false
[[game]]
id = "{game}"
[[leader]]
id = "{leader}"
[[follower]]
id = "{follower}"
"""
SOUND = {"game": "matrix-v0", "leader": "random_search", "follower": "soft_value_iteration"}


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "their_agents.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("their_agents", None)
    return tmp_path


def write(folder: Path, **ids: str) -> Path:
    file = folder / "cup.toml"
    file.write_text(CUP.format(**{**SOUND, **ids}))
    return file


@pytest.mark.parametrize(("kind", "named"), [("leader", "their_agents:Mine"), ("game", "their_agents:game")])
def test_a_file_names_code_only_where_that_is_allowed(module: Path, kind: str, named: str) -> None:
    file = write(module, **{kind: named})
    with pytest.raises(InvalidArgumentError, match=rf"line \d+: {kind} '{named}' is not registered.*--allow-import"):
        tournament_file.load(file)
    refused = CliRunner().invoke(main, ["tournament", str(file), "--out", str(module / "run")])
    assert refused.exit_code == 1
    assert "--allow-import" in refused.output
    assert not (module / "imported").exists()
    cup = tournament_file.load(file, allow_import=True)
    assert (module / "imported").exists()
    allowed = tables(cup.play(backend="serial"))["results"]
    python = sg.Tournament(
        **{f"{key}s": {**SOUND, kind: named}[key] for key in SOUND}, seeds=2, budget=60, references=False
    )
    assert allowed == tables(python.play(backend="serial"))["results"]  # what is written in Python needs no flag
    assert allowed == tables(cup.play(workers=2))["results"]  # workers import it too


@pytest.mark.parametrize("kind", ["game", "leader", "follower"])
@pytest.mark.parametrize(
    "named", ["subprocess:check_output", "os:getcwd", "json:JSONDecoder", "their_agents:undeclared"]
)
def test_what_is_no_subclass_is_not_called(module: Path, kind: str, named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"is no subclass of .*; it was not called"):
        tournament_file.load(write(module, **{kind: named}), allow_import=True)
    with pytest.raises(InvalidArgumentError, match="it was not called"):
        imported(kind, named)  # type: ignore[arg-type]
    assert not (module / "called").exists()


@pytest.mark.parametrize("named", [":", "a:", ":b", "a b:c", "..:x", "1:2", "a:b.", "a:b:c"])
def test_names_that_name_nothing_are_refused(named: str) -> None:
    with pytest.raises(InvalidArgumentError, match="expected module:Class"):
        imported("leader", named)


def test_a_module_that_ends_the_program_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "leaving.py").write_text("import sys; sys.exit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InvalidArgumentError, match="cannot be imported: SystemExit: 3"):
        imported("leader", "leaving:Leader")


def test_a_file_runs_a_program_only_where_that_is_allowed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    command = f'command = ["touch", "{mark}"]'
    cup = write(tmp_path, follower="black_box")
    cup.write_text(cup.read_text() + command)
    experiment = tmp_path / "experiment.toml"
    experiment.write_text(f'[follower]\nid = "black_box"\n{command}\n')
    for read in (tournament_file.load, Experiment.load):
        reader: Any = read
        with pytest.raises(InvalidArgumentError, match=r"'command' names a program.*--allow-import"):
            reader(cup if read is tournament_file.load else experiment)
    for command_line in (
        ["tournament", str(cup)],
        ["train", str(experiment)],
        ["gradcheck", str(experiment)],
        ["watch", str(experiment)],
    ):
        assert CliRunner().invoke(main, command_line).exit_code == 1
    judged = tmp_path / "judged.toml"
    game = f'[game]\nid = "preference_grid-v0"\njudge = {{ kind = "process", {command} }}\n'
    judged.write_text(game + '[leader]\nid = "drlhf"\n')
    cup.write_text(game.replace("[game]", "[[game]]") + '[[leader]]\nid = "drlhf"\n[[follower]]\nid = "random"\n')
    sweep, searched = tmp_path / "sweep.toml", tmp_path / "searched.toml"
    sweep.write_text(game + "[search]\nleader.learning_rate = [0.1]\n")
    searched.write_text(
        f'[game]\nid = "preference_grid-v0"\n[search]\ngame.judge = [{{ kind = "process", {command} }}]\n'
    )
    readers: list[tuple[Any, Path]] = [(Experiment.load, judged), (tournament_file.load, cup)]
    for reader, file in [*readers, (load_sweep, sweep), (load_sweep, searched)]:
        with pytest.raises(InvalidArgumentError, match=r"'command' names a program.*--allow-import"):
            reader(file)
    assert not mark.exists()
    assert Experiment.load(experiment, allow_import=True).build()[2].settings["command"] == ["touch", str(mark)]
    assert not mark.exists()


def test_an_experiment_names_code_only_where_that_is_allowed(module: Path) -> None:
    file = module / "experiment.toml"
    file.write_text('[game]\nid = "matrix-v0"\n[leader]\nid = "their_agents:Mine"\nscale = 0.5\n')
    with pytest.raises(InvalidArgumentError, match="is not registered"):
        Experiment.load(file)
    assert not (module / "imported").exists()
    leader = Experiment.load(file, allow_import=True).build()[1]
    assert (type(leader).__name__, leader.scale) == ("Mine", 0.5)
    assert Experiment().override([("leader.id", "their_agents:Mine")]).build()[1].scale == 2.0
    with pytest.raises(UnknownIdError):
        Experiment().override([("leader.id", "mine")]).build()


def test_what_the_caller_names_is_imported_beside_a_file_that_may_not(module: Path, tmp_path: Path) -> None:
    file = tmp_path / "experiment.toml"
    file.write_text('[leader]\nid = "random_search"\n')
    said = Experiment.load(file).override([("leader.id", "their_agents:Mine")])
    assert type(said.build()[1]).__name__ == "Mine"
    assert said.override([("game.id", "matrix-v0")]).build()[1].scale == 2.0  # and it stays said
    file.write_text('[leader]\nid = "their_agents:Mine"\n')
    with pytest.raises(InvalidArgumentError, match="may not import code"):
        Experiment.load(file)


def test_the_command_trains_a_class_of_the_working_directory(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (module / "their_agents.py").read_text()
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "agents_of_mine.py").write_text(text)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    command = ["train", "--leader", "agents_of_mine:Mine", "--game", "matrix-v0", "--set", "follower.temperature=0.1"]
    done = CliRunner().invoke(main, [*command, "--iterations", "2", "--quiet"])
    assert done.exit_code == 0, done.output
    assert "seed 0: leader value" in done.output

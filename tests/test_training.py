"""The decentralised loop: reproducible, resumable, and safe with what is on disk."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games.errors import CheckpointError, InformationError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.learning.leader import Leader
from tests.processes import until

PAIRS = [
    ("bchg", {}, "soft_value_iteration", {}),
    (
        "bchg",
        {"start": {"hidden": (8,)}, "actor_steps": 3},
        "soft_q_learning",
        {"first_transitions": 2000, "transitions": 300},
    ),
    ("policy_gradient", {}, "soft_value_iteration", {"sweeps": 3, "start": "reset"}),
    ("bi_actor_critic", {}, "soft_value_iteration", {"sweeps": 3}),
    ("evolution_strategies", {"pairs": 2}, "soft_value_iteration", {}),
    ("random_search", {}, "best_response", {}),
    ("exact_gradient", {}, "soft_value_iteration", {}),
]


class Killed(Exception):
    pass


def kill_at(iteration: int) -> sg.training.Callback:
    def callback(record: Mapping[str, float], leader: Leader) -> None:
        if record["iteration"] == iteration:
            raise Killed

    return callback


def parameters(run: sg.Run) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(run.commitment.parameters())


@pytest.mark.parametrize(("leader", "leader_settings", "follower", "follower_settings"), PAIRS)
def test_a_killed_run_resumes_to_the_same_bits(
    tmp_path: Path, leader: str, leader_settings: dict[str, Any], follower: str, follower_settings: dict[str, Any]
) -> None:
    game = sg.make("discrete_toy-v0", horizon=30)

    def play(folder: Path, *callbacks: sg.training.Callback) -> sg.Run:
        return sg.train(
            game,
            sg.make_leader(leader, **leader_settings),
            sg.make_follower(follower, **follower_settings),
            iterations=25,
            seed=4,
            directory=folder,
            checkpoint_every=7,
            callbacks=callbacks,
        )

    whole = play(tmp_path / "whole")
    with pytest.raises(Killed):
        play(tmp_path / "killed", kill_at(17))
    resumed = play(tmp_path / "killed")
    assert resumed.history == whole.history
    assert torch.equal(parameters(resumed), parameters(whole))


def test_a_run_killed_by_the_operating_system_resumes(tmp_path: Path) -> None:
    script = (
        "import stackelberg_games as sg, sys; sg.train(sg.make('discrete_toy-v0', horizon=30), 'bchg', "
        "'soft_value_iteration', iterations=100000, seed=1, checkpoint_every=5, directory=sys.argv[1])"
    )
    folder = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], env={**os.environ, "OMP_NUM_THREADS": "1"}
    ) as process:
        until(lambda: process.poll() is not None or (folder / "checkpoint.bin").exists())
        process.send_signal(signal.SIGKILL)
    stored = len((folder / "history.jsonl").read_text().splitlines())
    assert stored >= 5
    game = sg.make("discrete_toy-v0", horizon=30)
    arguments: dict[str, Any] = {"iterations": stored + 20, "seed": 1, "checkpoint_every": 5}
    resumed = sg.train(game, "bchg", "soft_value_iteration", directory=folder, **arguments)
    whole = sg.train(game, "bchg", "soft_value_iteration", **arguments)
    assert resumed.history[-5:-1] == whole.history[-5:-1]
    assert torch.equal(parameters(resumed), parameters(whole))


def test_a_finished_run_is_extended_and_not_repeated(tmp_path: Path) -> None:
    game = sg.make("discrete_toy-v0", horizon=30)
    sg.train(game, "bchg", "soft_value_iteration", iterations=10, evaluate_every=7, directory=tmp_path / "run")
    seen: list[float] = []
    longer = sg.train(
        game,
        "bchg",
        "soft_value_iteration",
        iterations=15,
        evaluate_every=7,
        directory=tmp_path / "run",
        callbacks=[lambda record, leader: seen.append(record["iteration"])],
    )
    assert seen == [10, 11, 12, 13, 14]
    whole = sg.train(game, "bchg", "soft_value_iteration", iterations=15, evaluate_every=7)
    assert longer.history == whole.history
    assert longer.value == whole.value


def test_same_seed_same_numbers_and_other_seeds_differ() -> None:
    game = sg.make("discrete_toy-v0", horizon=30)
    runs = [sg.train(game, "bchg", "soft_value_iteration", iterations=10, seed=seed) for seed in (3, 3, 4)]
    assert runs[0].history == runs[1].history
    assert runs[0].history != runs[2].history


def test_play_does_not_reuse_the_episodes_of_the_matchs_own_seed() -> None:
    game = sg.make("random_game-v0", horizon=30)
    run = sg.train(game, "fixed", "random", iterations=1, episodes=20, seed=7)
    assert isinstance(game, sg.TabularGame)
    response = sg.TabularResponse.uniform(game)
    batch = sg.rollout(game, sg.TabularPolicy(game), response, episodes=20, seed=7)
    assert run.history[0]["leader_return"] != pytest.approx(batch.leader_returns(0.95).mean())


def test_a_run_is_stored_and_loaded_without_its_game(tmp_path: Path) -> None:
    game = sg.make("discrete_toy-v0", horizon=30)
    run = sg.train(
        game, sg.make_leader("bchg", start={"hidden": (6, 5)}), "soft_value_iteration", iterations=4, directory=tmp_path
    )
    loaded = sg.Run.load(tmp_path)
    assert loaded.history == run.history
    assert loaded.settings == run.settings
    assert loaded.value == run.value
    assert torch.equal(parameters(loaded), parameters(run))
    assert loaded.settings["game"]["spec"] == ["discrete_toy-v0", {"horizon": 30}]


@pytest.mark.parametrize("damage", ["truncate", "alter", "foreign", "remove"])
def test_a_damaged_commitment_is_refused(tmp_path: Path, damage: str) -> None:
    sg.train(sg.make("discrete_toy-v0", horizon=5), "fixed", "random", iterations=1, directory=tmp_path)
    file = tmp_path / "commitment.bin"
    data = file.read_bytes()
    if damage == "truncate":
        file.write_bytes(data[:-20])
    elif damage == "alter":
        file.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])
    elif damage == "foreign":
        file.write_bytes(b"\x80\x04pickle")
    else:
        file.unlink()
    with pytest.raises(CheckpointError, match=r"commitment\.bin"):
        sg.Run.load(tmp_path)


def test_a_damaged_checkpoint_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    game = sg.make("discrete_toy-v0", horizon=5)
    sg.train(game, "fixed", "random", iterations=3, directory=tmp_path)
    state = tmp_path / "checkpoint.bin"
    state.write_bytes(state.read_bytes()[:100])
    before = (tmp_path / "history.jsonl").read_bytes()
    with pytest.raises(CheckpointError, match="truncated or was altered"):
        sg.train(game, "fixed", "random", iterations=5, directory=tmp_path)
    assert (tmp_path / "history.jsonl").read_bytes() == before


def test_a_truncated_history_is_refused(tmp_path: Path) -> None:
    game = sg.make("discrete_toy-v0", horizon=5)
    sg.train(game, "fixed", "random", iterations=3, directory=tmp_path)
    history = tmp_path / "history.jsonl"
    history.write_text(history.read_text().splitlines()[0] + "\n")
    with pytest.raises(CheckpointError, match="1 of 3 records"):
        sg.train(game, "fixed", "random", iterations=5, directory=tmp_path)


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    sg.train(sg.make("discrete_toy-v0", horizon=5), "fixed", "random", iterations=1, directory=tmp_path)
    with pytest.raises(CheckpointError, match="game"):
        sg.train(sg.make("discrete_toy-v0", horizon=6), "fixed", "random", iterations=1, directory=tmp_path)
    with pytest.raises(CheckpointError, match="seed"):
        sg.train(sg.make("discrete_toy-v0", horizon=5), "fixed", "random", iterations=1, seed=1, directory=tmp_path)


def test_an_unwritable_folder_is_a_clear_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(CheckpointError, match="cannot write"):
        sg.train(sg.make("discrete_toy-v0", horizon=5), "fixed", "random", iterations=1, directory=blocked / "run")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"iterations": 0}, "iterations=0"),
        ({"episodes": 0}, "episodes=0"),
        ({"evaluate_every": -1}, "evaluate_every=-1"),
        ({"checkpoint_every": 0}, "checkpoint_every=0"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 1.5}, "seed=1.5"),
        ({"stages": 0}, "stages=0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        sg.train(sg.make("discrete_toy-v0", horizon=5), "fixed", "random", **arguments)


def test_evaluation_does_not_change_what_is_learned() -> None:
    game = sg.make("discrete_toy-v0", horizon=30)
    runs = [sg.train(game, "bchg", "soft_value_iteration", iterations=10, evaluate_every=k) for k in (0, 1)]
    assert torch.equal(parameters(runs[0]), parameters(runs[1]))
    assert not any("leader_value" in row for row in runs[0].history)
    assert all("leader_value" in row for row in runs[1].history)


def test_the_recorded_value_is_the_exact_objective() -> None:
    game = sg.make("discrete_toy-v0")
    run = sg.train(game, "fixed", "soft_value_iteration", iterations=1)
    exact = sg.exact.leader_objective(game, run.commitment, 0.05).item()
    assert run.history[0]["leader_value"] == pytest.approx(exact, abs=1e-12)
    assert run.history[0]["recommended_value"] == pytest.approx(exact, abs=1e-12)
    assert run.value == pytest.approx(exact, abs=1e-12)


def test_the_value_of_a_run_is_that_of_its_final_commitment() -> None:
    game = sg.make("discrete_toy-v0")
    assert isinstance(game, sg.TabularGame)
    run = sg.train(game, "bchg", "soft_value_iteration", iterations=30)
    exact = sg.exact.leader_objective(game, run.commitment, 0.05).item()
    assert run.value == pytest.approx(exact, abs=1e-9)
    assert run.value != pytest.approx(run.column("recommended_value")[1][-1], abs=1e-6)


def test_a_budget_ends_the_run_and_what_it_reached_is_kept(tmp_path: Path) -> None:
    game = sg.make("discrete_toy-v0", horizon=10)
    run = sg.train(game, "bchg", "soft_value_iteration", budget=100, directory=tmp_path)
    assert [row["transitions"] for row in run.history] == [30, 60, 90]
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 3
    longer = sg.train(game, "bchg", "soft_value_iteration", budget=200, directory=tmp_path)
    assert longer.history == sg.train(game, "bchg", "soft_value_iteration", budget=200).history
    with pytest.raises(InvalidArgumentError, match="budget=29"):
        sg.train(game, "bchg", "soft_value_iteration", budget=29)


def test_settings_are_plain_json(tmp_path: Path) -> None:
    sg.train(
        sg.make("matrix-v0", leader=np.eye(2), follower=np.eye(2)), "fixed", "random", iterations=1, directory=tmp_path
    )
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert settings["game"]["spec"][1]["leader"] == [[1.0, 0.0], [0.0, 1.0]]


def test_tensorboard_receives_every_figure(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from stackelberg_games.learning.tensorboard import TensorBoardWriter

    writer = TensorBoardWriter(tmp_path)
    run = sg.train(
        sg.make("discrete_toy-v0", horizon=5), "bchg", "soft_value_iteration", iterations=3, callbacks=[writer]
    )
    writer.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    logged = [event.value for event in events.Scalars("leader_return")]
    np.testing.assert_allclose(logged, run.column("leader_return")[1], rtol=1e-6)


def test_every_leader_meets_every_follower_or_says_why_not() -> None:
    game = sg.make("discrete_toy-v0", horizon=20)
    trained = 0
    short = {"sb3": {"budget": 64}, "soft_dqn": {"budget": 64}}  # how well it learned does not matter here
    for leader, name in itertools.product(sg.leaders(), sg.followers()):
        with contextlib.suppress(UnsupportedGameError, InformationError):
            follower = sg.make_follower(name, **short.get(name, {}))
            run = sg.train(game, leader, follower, iterations=2, temperature=0.05)
            assert len(run.history) == 2
            assert np.isfinite(list(run.history[-1].values())).all()
            trained += 1
    assert trained >= 36

"""A follower that is never solved: how many updates it takes, and what that costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.envs import matrix_v0
from stackelberg_games.errors import CheckpointError, InvalidArgumentError
from stackelberg_games.learning.experiment import Experiment

OPTIMUM = 27.315565


def tracked(updates: int | None, follower: str = "soft_value_iteration", leader: Any = "bchg", **loop: Any) -> sg.Run:
    given = {"iterations": 60, "episodes": 3, "seed": 0, "evaluate_every": 1, **loop}
    return sg.train(sg.make("discrete_toy-v0"), leader, follower, follower_updates=updates, **given)


def test_a_tracking_planner_takes_so_many_sweeps_and_carries_them_on() -> None:
    follower = sg.make_follower("soft_value_iteration").tracking(3)
    assert follower.settings == sg.make_follower("soft_value_iteration", sweeps=3, start="carry").settings
    assert tracked(3).history == tracked(None, follower=follower).history  # type: ignore[arg-type]


def test_a_tracking_learner_never_plays_more_the_first_time() -> None:
    run = tracked(50, "soft_q_learning")
    assert [row["follower_transitions"] for row in run.history] == [50.0 * k for k in range(1, 61)]


def test_a_tracking_network_plays_so_many_stages_and_carries_them_on() -> None:
    run = tracked(50, "soft_dqn", iterations=5)
    assert [row["follower_transitions"] for row in run.history] == [50.0 * k for k in range(1, 6)]
    follower = sg.make_follower("soft_dqn", budget=50)
    assert run.history == tracked(None, follower, iterations=5).history  # type: ignore[arg-type]


def test_a_tracking_model_of_a_library_is_never_made_anew() -> None:
    pytest.importorskip("stable_baselines3", reason="needs the extra [sb3]")
    settings = {"algorithm": "DQN", "options": {"train_freq": 1, "policy_kwargs": {"net_arch": [8]}}}
    follower = sg.make_follower("sb3", start="fresh", **settings)
    run = tracked(50, follower, iterations=3, temperature=0.05)  # type: ignore[arg-type]
    assert [row["follower_transitions"] for row in run.history] == [50.0, 100.0, 150.0]
    assert run.settings["follower"]["settings"]["start"] == "warm"


def test_a_follower_practises_before_anything_is_played(tmp_path: Path) -> None:
    late, settled = (
        tracked(50, "soft_q_learning", iterations=4),
        tracked(50, "soft_q_learning", iterations=4, practice=400),
    )
    assert [row["follower_transitions"] for row in settled.history] == [50.0 * k for k in range(401, 405)]
    assert [row["transitions"] for row in settled.history] == [row["transitions"] for row in late.history]
    solved = tracked(None, iterations=1).history[0]["leader_value"]
    errors = [abs(run.history[0]["leader_value"] - solved) for run in (late, settled)]
    assert errors[1] < 0.5 * errors[0]
    folder = tmp_path / "run"
    tracked(50, "soft_q_learning", iterations=2, practice=400, directory=folder, checkpoint_every=1)
    again = tracked(50, "soft_q_learning", iterations=4, practice=400, directory=folder)
    assert again.history == settled.history
    with pytest.raises(CheckpointError, match="another run"):
        tracked(50, "soft_q_learning", iterations=4, directory=folder)
    with pytest.raises(InvalidArgumentError, match="practice=-1"):
        tracked(50, practice=-1)


def test_many_updates_are_as_good_as_a_solution() -> None:
    solved, close = tracked(None), tracked(3000, iterations=5)
    for one, other in zip(solved.history, close.history, strict=False):
        assert one["leader_value"] == pytest.approx(other["leader_value"], abs=1e-6)


def test_few_updates_leave_the_follower_behind_the_commitment() -> None:
    game, run = sg.make("discrete_toy-v0"), tracked(1, iterations=10)
    first = exact.leader_objective(game, sg.TabularPolicy(game), 0.05).item()
    assert abs(run.history[0]["leader_value"] - first) > 1e-3


def test_regret_adds_up_what_was_played_against_all_transitions() -> None:
    run = tracked(50, "soft_q_learning")
    spent, lost = run.regret(OPTIMUM)
    values = np.array([row["leader_value"] for row in run.history])
    np.testing.assert_allclose(lost, np.cumsum(OPTIMUM - values))
    np.testing.assert_array_equal(spent, 500.0 * np.arange(1, 61))
    sparse = tracked(50, "soft_q_learning", evaluate_every=7)
    assert sparse.regret(OPTIMUM)[1][0] == pytest.approx(lost[0])


def test_an_optimal_commitment_from_the_start_has_no_regret() -> None:
    game = matrix_v0.game()
    best = exact.solve(game, 0.05, starts=2)
    run = sg.train(game, "fixed", "soft_value_iteration", iterations=5, commitment=best.commitment, evaluate_every=1)
    assert np.abs(run.regret(best.value)[1]).max() < 1e-9


def test_regret_needs_values() -> None:
    with pytest.raises(InvalidArgumentError, match="evaluate_every=1"):
        tracked(1, iterations=2, evaluate_every=0).regret(OPTIMUM)


@pytest.mark.parametrize("updates", [0, -1, 1.5, True])
def test_updates_are_a_whole_number(updates: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="follower_updates"):
        tracked(updates)


@pytest.mark.parametrize("follower", ["best_response", "random"])
def test_a_follower_without_counted_updates_says_who_has_them(follower: str) -> None:
    with pytest.raises(InvalidArgumentError, match="soft_q_learning"):
        tracked(1, follower, temperature=0.05)


def test_a_tracking_run_resumes_to_the_same_numbers(tmp_path: Path) -> None:
    loop: dict[str, Any] = {"directory": tmp_path / "run", "checkpoint_every": 1}
    tracked(20, "soft_q_learning", iterations=5, **loop)
    again = tracked(20, "soft_q_learning", iterations=10, **loop)
    assert again.history == tracked(20, "soft_q_learning", iterations=10).history


def test_tracking_in_linear_games_and_in_files() -> None:
    run = sg.train(sg.make("lqr-v0"), "bchg", "maxent_lqr", iterations=3, follower_updates=2, seed=0)
    assert run.settings["follower"]["settings"]["sweeps"] == 2
    agents = {"leader": {"id": "bchg"}, "follower": {"id": "soft_value_iteration"}}
    training = {"iterations": 2, "follower_updates": 4}
    file = Experiment({"game": {"id": "discrete_toy-v0"}, **agents, "training": training})
    assert file.run().settings["follower"]["settings"]["sweeps"] == 4

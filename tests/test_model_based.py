from pathlib import Path

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.rules.commitment import flatten

SMALL = "xxxxxxx\nxS   Gx\nx xxx x\nx  T  x\nxxxxxxx"


@pytest.mark.parametrize(
    ("game_id", "settings", "temperature"),
    [
        ("random_game-v0", {"horizon": 20}, 0.3),
        ("random_game-v0", {"seed": 3, "transitions": {"terminal_states": 1}}, 0.3),
        ("four_rooms-v0", {"plan": SMALL}, 0.02),
    ],
)
def test_with_much_data_its_gradient_is_the_exact_one(
    game_id: str, settings: dict[str, object], temperature: float
) -> None:
    game = sg.make(game_id, **settings)
    assert isinstance(game, sg.TabularGame)
    follower = sg.make_follower("soft_value_iteration", temperature=temperature)
    few = sg.gradient_check(game, "model_based", follower, batches=4, episodes=50, seed=1)
    many = sg.gradient_check(game, "model_based", follower, batches=4, episodes=5000, seed=1)
    assert many.relative_bias < 0.1
    assert many.relative_deviation < 0.5 * few.relative_deviation


def test_planning_on_the_estimate_finds_the_way_past_the_target() -> None:
    game = sg.make("four_rooms-v0", plan=SMALL, budget=0.5, cost=1.0)
    assert isinstance(game, sg.TabularGame)
    leader = sg.make_leader(
        "model_based", planning={"rate": 0.1, "explore": 20, "starts": 4, "steps": 100, "replan": 30}
    )
    follower = sg.make_follower("soft_value_iteration", temperature=0.01)
    run = sg.train(game, leader, follower, iterations=80, episodes=20, stages=100, seed=5, evaluate_every=0)
    found = float(exact.leader_objective(game, run.commitment, 0.01).detach())
    at_start = float(exact.leader_objective(game, game.view().lever.commitment(0), 0.01).detach())  # type: ignore[union-attr]
    best = exact.solve(game, 0.01, commitment=game.view().lever.commitment(0), starts=12).value  # type: ignore[union-attr]
    assert best > at_start + 0.3
    assert found > at_start + 0.9 * (best - at_start)


def test_a_resumed_run_continues_to_the_same_numbers(tmp_path: Path) -> None:
    game = sg.make("four_rooms-v0", plan=SMALL)
    follower = sg.make_follower("soft_value_iteration", temperature=0.01)

    def played(iterations: int, folder: Path) -> sg.Run:
        leader = sg.make_leader(
            "model_based", planning={"rate": 0.1, "explore": 2, "starts": 2, "steps": 10, "replan": 2}
        )
        return sg.train(
            game, leader, follower, iterations=iterations, episodes=2, stages=30, directory=folder, checkpoint_every=3
        )

    whole = played(7, tmp_path / "whole")
    played(3, tmp_path / "cut")
    assert played(7, tmp_path / "cut").history[-1] == whole.history[-1]


def test_exploration_plays_different_commitments() -> None:
    game = sg.make("four_rooms-v0", plan=SMALL)
    leader = sg.make_leader("model_based", planning={"explore": 3})
    played = []
    follower = sg.make_follower("soft_value_iteration", temperature=0.05)
    sg.train(
        game,
        leader,
        follower,
        iterations=4,
        episodes=2,
        stages=30,
        callbacks=[lambda r, who: played.append(flatten(who.commitment))],
    )
    assert torch.linalg.norm(played[0] - played[1]) > 1
    assert torch.linalg.norm(played[2] - played[3]) < 1  # from here on it climbs
    assert np.isfinite(torch.cat(played).numpy()).all()


@pytest.mark.parametrize(
    "settings", [{"explore": -1}, {"starts": 2, "heat": 0.5}, {"steps": 0}, {"hold": 2}, {"learning_rate": 0.1}]
)
def test_bad_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError, match=list(settings)[-1]):
        sg.make_leader("model_based", planning=settings).begin(sg.make("discrete_toy-v0").view(0.1))


def test_rewards_are_stored_without_the_incentives_and_read_under_any_configuration() -> None:
    game = sg.make("four_rooms-v0", plan=SMALL)
    assert isinstance(game, sg.TabularGame)
    leader = sg.make_leader("model_based", planning={"explore": 3, "starts": 1, "steps": 1})
    follower = sg.make_follower("soft_value_iteration", temperature=0.01)
    sg.train(game, leader, follower, iterations=3, episodes=20, stages=60, seed=2)
    other = game.view().lever.commitment(9, 1.0).configuration()  # type: ignore[union-attr]
    truth, estimate = game.tables(other), leader.learned.fitted().game.tables(other)  # type: ignore[attr-defined]
    visited = torch.from_numpy(leader.learned.counts.visits.sum(axis=3) > 0)  # type: ignore[attr-defined]
    assert int(visited.sum()) > 10
    torch.testing.assert_close(estimate.leader_reward[visited], truth.leader_reward[visited])
    torch.testing.assert_close(estimate.follower_reward[visited], truth.follower_reward[visited])

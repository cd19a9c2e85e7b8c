"""Leaders in linear-quadratic games: what they reach, what they refuse, and how they resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy, LinearGaussianResponse
from stackelberg_games.envs import lqr_v0
from stackelberg_games.errors import InformationError, UnsupportedGameError
from stackelberg_games.learning.leader import GradientLeader
from tests.checks import FALSE_ALARM
from tests.linear_games import linear_game

TAU = 0.1


def train(leader: Any, iterations: int, seed: int = 0, **options: Any) -> sg.Run:
    run: sg.Run = sg.train(
        sg.make("lqr-v0"), leader, "maxent_lqr", iterations=iterations, episodes=4, seed=seed, progress=False, **options
    )
    return run


def undiscounted(run: sg.Run) -> float:
    with torch.no_grad():
        return float(sg.exact.leader_objective(sg.make("lqr-v0"), run.commitment, TAU, discount=1.0))


def test_model_based_reaches_the_optimum_within_5000_transitions() -> None:
    assert undiscounted(train("model_based", 12, evaluate_every=0)) > 18.0


def test_bchg_reaches_the_optimum_and_the_naive_gradient_does_not() -> None:
    assert undiscounted(train(sg.make_leader("bchg", learning_rate=0.1), 200, evaluate_every=0)) > 18.0
    assert undiscounted(train(sg.make_leader("policy_gradient", learning_rate=0.1), 200, evaluate_every=0)) < 15.0


def test_bchg_estimates_the_hypergradient_from_trajectories_alone() -> None:
    game = sg.make("lqr-v0")
    start = LinearGaussianPolicy(game, [[-8.0, -9.0]])
    report = sg.gradient_check(game, "bchg", "maxent_lqr", commitment=start, batches=60, episodes=4)
    assert report.p_value > FALSE_ALARM
    assert report.cosine > 0.999


def test_a_follower_of_another_temperature_than_declared_is_noisier() -> None:
    game = sg.make("lqr-v0")
    start = LinearGaussianPolicy(game, [[-9.0, -9.0]])
    follower = sg.make_follower("maxent_lqr", factor=4.0)
    warm, usual = follower.respond(game, start).policy, sg.make_follower("maxent_lqr").respond(game, start).policy
    assert follower.declared_temperature == TAU
    assert isinstance(warm, LinearGaussianResponse)
    assert isinstance(usual, LinearGaussianResponse)
    np.testing.assert_allclose(warm.factor, 2 * usual.factor)
    np.testing.assert_allclose(warm.state_gain, usual.state_gain)


@pytest.mark.parametrize("name", ["bchg", "model_based", "policy_gradient", "evolution_strategies"])
def test_a_resumed_run_gives_the_same_numbers(name: str, tmp_path: Path) -> None:
    settings = {"planning_steps": 2} if name == "model_based" else {}

    def leader() -> Any:
        return sg.make_leader(name, **settings)

    whole = train(leader(), 6, directory=tmp_path / "whole", checkpoint_every=3)
    train(leader(), 3, directory=tmp_path / "part", checkpoint_every=3)
    resumed = train(leader(), 6, directory=tmp_path / "part", checkpoint_every=3)
    assert whole.history == resumed.history
    assert all(
        torch.equal(a, b)
        for a, b in zip(whole.commitment.state_dict().values(), resumed.commitment.state_dict().values(), strict=True)
    )
    loaded = sg.Run.load(tmp_path / "part")
    np.testing.assert_array_equal(loaded.commitment.state_dict()["gain"], whole.commitment.state_dict()["gain"])


def test_leaders_refuse_games_they_are_not_made_for() -> None:
    lqr = sg.make("lqr-v0")
    with pytest.raises(UnsupportedGameError):
        sg.make_leader("hpgd").begin(lqr.view(TAU))
    with pytest.raises(UnsupportedGameError, match="reads nothing"):
        sg.make_leader("bchg", reads="policy").begin(lqr.view(TAU))
    with pytest.raises(InformationError, match="temperature"):
        sg.make_leader("bchg").begin(lqr.view())


def test_the_bilevel_actor_critic_climbs_the_next_reward_only() -> None:
    game = lqr_v0.game(noise=0.05, start_std=0.3, horizon=4, leader_discount=0.9)
    policy = LinearGaussianPolicy(game, [[-3.0, 1.0]], std=0.3)
    answer = sg.make_follower("maxent_lqr").respond(game, policy).policy
    assert isinstance(answer, LinearGaussianResponse)
    leader = sg.make_leader("bi_actor_critic")
    leader.begin(game.view(), commitment=LinearGaussianPolicy(game, [[-3.0, 1.0]], std=0.3))
    assert isinstance(leader, GradientLeader)
    batch = sg.rollout(game, policy, answer, episodes=20_000, seed=2)
    evidence = sg.Evidence(batch.leader_returns(0.9), batch.without_follower_rewards())
    estimate = leader.estimate(evidence).numpy()
    # drawn anew from the same states with common random numbers, at gains that differ a little
    states, rewards = batch.states[:, :3].reshape(-1, 2), []
    random = np.random.default_rng(0)
    noises = (random.normal(size=(len(states), 1)), random.normal(size=(len(states), 1)))
    process = 0.05 * random.normal(size=states.shape)
    weights = np.tile(0.9 ** np.arange(1, 4), len(batch.states))
    for step in (np.array([0.01, 0.0]), np.array([0.0, 0.01])):
        values = []
        for sign in (1.0, -1.0):
            actions = states @ (np.array([-3.0, 1.0]) + sign * step)[:, None] + 0.3 * noises[0]
            replies = states @ answer.state_gain.T + actions @ answer.action_gain.T + noises[1] @ answer.factor.T
            reached = states @ game.state_matrix.T + replies @ game.follower_matrix.T + actions @ game.leader_matrix.T
            values.append(weights * game.reward.value(reached + process))
        rewards.append((values[0] - values[1]) / 0.02)
    slopes = np.stack(rewards).reshape(2, -1, 3).sum(axis=2)
    error = slopes.std(axis=1) / len(batch.states) ** 0.5
    assert (np.abs(slopes.mean(axis=1) - estimate) < 5 * error).all()
    assert (np.abs(estimate) > 10 * error).any()


def test_the_bilevel_actor_critic_refuses_where_its_critic_has_no_closed_form() -> None:
    game, policy = next((game, policy) for game, policy in map(linear_game, range(20)) if len(game.start) > 2)
    answer = sg.make_follower("maxent_lqr").respond(game, policy).policy
    leader = sg.make_leader("bi_actor_critic")
    leader.begin(game.view(), commitment=policy)
    batch = sg.rollout(game, policy, answer, episodes=50)
    with pytest.raises(UnsupportedGameError, match="steer"):
        leader.update(sg.Evidence(batch.leader_returns(0.9), batch))

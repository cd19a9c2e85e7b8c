"""Critics of linear-quadratic games, and what each way to reduce the variance is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy, LinearGaussianResponse
from stackelberg_games.envs import lqr_v0
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.kinds.linear_quadratic import LinearGaussianGame
from stackelberg_games.kinds.moments import Quadratic
from stackelberg_games.kinds.riccati import closed_loop, discounted_effort, discounted_reward
from stackelberg_games.kinds.riccati_compiled import LinearLaw, PlantArrays, respond
from stackelberg_games.learning.ascent import GradientLeader
from stackelberg_games.representations import linear_critic
from stackelberg_games.representations.linear_critic import LeaderCritic, StagesAhead
from tests.linear_games import linear_game

TAU = 0.1
FORMS: dict[str, dict[str, Any]] = {
    "bootstrapped": {},
    "unrolled": {"kind": "unroll"},
    "not centred": {"kind": "unroll", "centre": False},
}


def test_each_variance_reduction_pays_off() -> None:
    game = lqr_v0.game()
    start = LinearGaussianPolicy(game, [[-9.9, -9.8]])
    spread = {}
    for name, settings in FORMS.items():
        leader = sg.make_leader("bchg", adjoint=settings)
        report = sg.gradient_check(game, leader, "maxent_lqr", commitment=start, batches=60, episodes=4)
        spread[name] = report.relative_deviation
    assert spread["unrolled"] < spread["not centred"] / 2  # about 4
    assert spread["bootstrapped"] < spread["unrolled"] / 30  # about 100


def critic_of(game: LinearGaussianGame, policy: LinearGaussianPolicy, left: int) -> LeaderCritic:
    """The critic at a commitment and the response to it."""
    law, plant = LinearLaw(policy.gain.detach().numpy(), policy.covariance.numpy()), PlantArrays.of(game.plant)
    reply, _ = respond(plant, law, game.follower_discount, TAU)
    return LeaderCritic.of(game, law, reply, game.leader_discount ** np.arange(1.0, left))


def test_many_rows_are_worked_on_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    game, policy = linear_game(3, horizon=9)
    critic, covariance = critic_of(game, policy, 9), 0.1 * np.eye(len(game.start))
    states, left = np.random.default_rng(0).normal(size=(6, 9, len(game.start))), np.tile(np.arange(9, 0, -1), (6, 1))
    whole = StagesAhead.of(left)
    monkeypatch.setattr(linear_critic, "ROOM", 1)
    parts = StagesAhead.of(left)
    assert len(whole.blocks) == 1
    assert len(parts.blocks) == 4  # 54 rows, 16 at a time
    for one, other in zip(
        *(critic.future(ahead.rows(states), covariance, ahead) for ahead in (whole, parts)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-13)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("quadratic", [False, True])
@pytest.mark.parametrize("effort", [False, True])
def test_the_critic_is_the_value_of_the_rest_of_the_episode(seed: int, quadratic: bool, effort: bool) -> None:
    game, policy = linear_game(seed, horizon=9)
    random, n, k = np.random.default_rng(seed), len(game.start), game.leader_matrix.shape[1]
    if quadratic:
        bent = random.normal(size=(n, n))
        game.reward = Quadratic(0.3, random.normal(size=n), bent + bent.T)
    if effort:
        root = random.normal(size=(k, k))
        game.effort = root @ root.T
    with torch.no_grad():
        response = game.response(policy, TAU)
        loop = closed_loop(game.plant, policy, response)
    critic = critic_of(game, policy, 9)
    states, covariance = random.normal(size=(3, n)), 0.1 * np.eye(n)
    left = np.array([2, 1, 9])
    ahead = StagesAhead.of(left)
    values, slopes = critic.future(ahead.rows(states), covariance, ahead)
    np.testing.assert_array_equal(critic.future(ahead.rows(states), covariance, ahead, sloped=False)[0], values)
    for state, count, value, slope in zip(states, left, ahead.back(values), slopes.T[[1, 2, 0]], strict=True):
        mean, worth = torch.tensor(state, requires_grad=True), torch.zeros((), dtype=torch.float64)
        if count > 1:
            given = (loop, mean, torch.tensor(covariance))
            worth = discounted_reward(*given, game.reward, game.leader_discount, count - 1)
            if effort:
                cost = torch.tensor(game.effort)
                worth = worth - discounted_effort(*given, policy, cost, game.leader_discount, count - 1)
        along = torch.autograd.grad(worth, mean)[0].numpy() if count > 1 else np.zeros(n)
        assert value == pytest.approx(game.leader_discount * worth.item(), rel=1e-10, abs=1e-12)
        np.testing.assert_allclose(slope, game.leader_discount * along, rtol=1e-9, atol=1e-12)


def test_rewards_of_other_forms_are_refused() -> None:
    game = lqr_v0.game("v2")
    policy = LinearGaussianPolicy(game, [[-9.0, -9.0]])
    with pytest.raises(UnsupportedGameError, match="Band"):
        critic_of(game, policy, 3)


def test_the_bilevel_actor_critic_climbs_the_next_reward_only() -> None:
    game = lqr_v0.game(noise=0.05, start={"std": 0.3}, horizon=4, leader_discount=0.9)
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

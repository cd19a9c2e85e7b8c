"""The naive policy gradient in linear-quadratic games against the exact gradient with a frozen follower."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy
from stackelberg_games.kinds.linear_quadratic import LinearGaussianGame
from stackelberg_games.kinds.riccati import closed_loop, discounted_reward
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.learning.leader import GradientLeader
from tests.linear_games import linear_game

TAU = 0.1


def frozen_gradient(game: LinearGaussianGame, policy: LinearGaussianPolicy) -> torch.Tensor:
    """Gradient of the leader's exact return with the follower's response held as it is."""
    response = type(game.response(policy, TAU))(*(part.detach() for part in game.response(policy, TAU)))
    start = torch.tensor(game.start), torch.tensor(game.start_factor @ game.start_factor.T)
    assert game.horizon is not None
    loop = closed_loop(game.plant, policy, response)
    value = discounted_reward(loop, *start, game.reward, game.leader_discount, game.horizon)
    (gradient,) = torch.autograd.grad(value, policy.gain)
    return gradient.ravel()


@pytest.mark.parametrize("seed", [seed for seed in range(12) if not linear_game(seed)[0].shared][:4])
def test_it_estimates_the_direct_term_without_the_followers_rewards(seed: int) -> None:
    game, policy = linear_game(seed)
    answer = sg.make_follower("maxent_lqr", temperature=TAU).respond(game, policy).policy
    estimates = []
    for number in range(50):
        leader = sg.make_leader("policy_gradient")
        assert isinstance(leader, GradientLeader)
        assert leader.information is Information.TRAJECTORIES
        assert not leader.needs_follower_rewards
        leader.begin(game.view(), commitment=copy.deepcopy(policy))
        batch = sg.rollout(game, policy, answer, episodes=100, seed=5, first_episode=100 * number)
        evidence = Evidence(batch.leader_returns(game.leader_discount), batch.without_follower_rewards())
        estimates.append(leader.estimate(evidence).numpy())
    rows, exact = np.stack(estimates), frozen_gradient(game, policy).numpy()
    error = rows.std(axis=0, ddof=1) / len(rows) ** 0.5
    assert (np.abs(rows.mean(axis=0) - exact) < 4.5 * error).all()
    assert (error < 0.2 * np.abs(exact).max()).all()

"""The pathwise covariance hypergradient against the exact one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy
from stackelberg_games.envs import lqr_v0
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.kinds.linear_quadratic import LinearGaussianGame
from stackelberg_games.kinds.riccati import closed_loop, discounted_reward
from stackelberg_games.representations.pathwise import LeaderCritic, Pathwise
from tests.checks import FALSE_ALARM, mean_p_value
from tests.linear_games import linear_game

TAU = 0.1


def estimates(game: LinearGaussianGame, policy: LinearGaussianPolicy, how: Pathwise, count: int = 80) -> FloatArray:
    played = game.response(policy, TAU).policy(game.plant)
    rows = []
    for number in range(count):
        batch = sg.rollout(game, policy, played, episodes=4, seed=3, first_episode=4 * number)
        surrogate = how.surrogate(game, policy, game.response(policy, TAU), batch)
        rows.append(torch.autograd.grad(surrogate, policy.gain)[0].numpy().ravel())
    return np.array(rows)


def exact(game: LinearGaussianGame, policy: LinearGaussianPolicy) -> FloatArray:
    value = sg.exact.leader_objective(game, policy, TAU)
    return np.asarray(torch.autograd.grad(value, policy.gain)[0].numpy().ravel())


FORMS = {
    "bootstrapped": Pathwise(TAU),
    "unrolled": Pathwise(TAU, bootstrap=False),
    "not centred": Pathwise(TAU, bootstrap=False, centre=False),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("gain", [(0.3, -0.5), (-5.0, -3.0), (-9.9, -9.8)])
def test_estimates_of_the_published_game_are_unbiased(name: str, gain: tuple[float, float]) -> None:
    game = lqr_v0.game()
    policy = LinearGaussianPolicy(game, [gain])
    assert mean_p_value(estimates(game, policy, FORMS[name]), exact(game, policy)) > FALSE_ALARM


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["bootstrapped", "unrolled"])
def test_estimates_of_random_games_are_unbiased(name: str, seed: int) -> None:
    game, policy = linear_game(seed, horizon=20)
    game.shared = 0.0
    assert mean_p_value(estimates(game, policy, FORMS[name]), exact(game, policy)) > FALSE_ALARM


def test_the_direct_term_alone_is_biased() -> None:
    game = lqr_v0.game()
    policy = LinearGaussianPolicy(game, [[-9.9, -9.8]])
    naive = estimates(game, policy, Pathwise(TAU, respond=False), 60)
    assert mean_p_value(naive, exact(game, policy)) < 1e-12


def test_each_variance_reduction_pays_off() -> None:
    game = lqr_v0.game()
    policy = LinearGaussianPolicy(game, [[-9.9, -9.8]])
    spread = {name: float(estimates(game, policy, how, 60).var(axis=0).sum() ** 0.5) for name, how in FORMS.items()}
    assert spread["unrolled"] < spread["not centred"] / 2  # about 4
    assert spread["bootstrapped"] < spread["unrolled"] / 30  # about 100


def test_the_critic_is_the_value_of_the_rest_of_the_episode() -> None:
    game, policy = linear_game(1, horizon=9)
    with torch.no_grad():
        response = game.response(policy, TAU)
        critic = LeaderCritic.of(game, policy, response, 9)
        loop = closed_loop(game.plant, policy, response)
        state, covariance = torch.ones(3, dtype=torch.float64)[: len(game.start)], torch.zeros_like(loop.matrix)
        for left in (1, 2, 9):
            rest = critic.future(state, covariance, torch.tensor(left))
            played = (
                discounted_reward(loop, state, covariance, game.reward, game.leader_discount, left - 1)
                if left > 1
                else 0.0
            )
            assert float(rest) == pytest.approx(game.leader_discount * float(played), abs=1e-12)


def test_a_leader_who_shares_the_cost_is_refused() -> None:
    game = lqr_v0.game("v0")
    policy = LinearGaussianPolicy(game, [[0.1, 0.1]])
    with pytest.raises(UnsupportedGameError, match="shares"):
        estimates(game, policy, Pathwise(TAU), 1)

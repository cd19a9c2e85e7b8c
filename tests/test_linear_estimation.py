"""Games fitted from trajectories."""

from __future__ import annotations

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy
from stackelberg_games.envs import lqr_v0
from stackelberg_games.errors import InformationError, InvalidArgumentError, InvalidGameError, UnsupportedGameError
from stackelberg_games.kinds.linear_quadratic import Cost, LinearGaussianGame
from stackelberg_games.kinds.moments import Bump, Quadratic
from stackelberg_games.representations.least_squares import LinearEstimator, Regression
from stackelberg_games.rules.trajectories import Trajectories
from tests.linear_games import linear_game

TAU = 0.1


def play(game: LinearGaussianGame, policy: LinearGaussianPolicy, episodes: int, first: int = 0) -> Trajectories:
    response = game.response(policy, TAU).policy(game.plant)
    return sg.rollout(game, policy, response, episodes=episodes, seed=2, first_episode=first)


@pytest.mark.parametrize("gain", [(0.3, -0.5), (-5.0, -3.0), (-9.96, -10.0)])
def test_a_noiseless_game_is_recovered_from_one_batch(gain: tuple[float, float]) -> None:
    game = lqr_v0.game()
    estimator = LinearEstimator(game.view(TAU))
    estimator.observe(play(game, LinearGaussianPolicy(game, [gain]), 4))
    fitted = estimator.game()
    for name in ("state_matrix", "follower_matrix", "leader_matrix", "state_cost", "control_cost", "start"):
        np.testing.assert_allclose(getattr(fitted, name), getattr(game, name), atol=1e-6)
    assert isinstance(fitted.reward, Bump)
    np.testing.assert_allclose(fitted.reward.precision, np.diag([25.0, 1e4]), rtol=1e-6, atol=1e-3)
    np.testing.assert_allclose(fitted.reward.target, [-0.8, 0.0], atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_noisy_dynamics_are_estimated_consistently(seed: int) -> None:
    game, policy = linear_game(seed, horizon=20)
    game.shared = 0.0
    errors = []
    for episodes in (50, 5000):
        estimator = LinearEstimator(game.view(TAU))
        estimator.observe(play(game, policy, episodes))
        fitted = estimator.game()
        noise = fitted.noise_factor @ fitted.noise_factor.T - game.noise_factor @ game.noise_factor.T
        parts = [fitted.state_matrix - game.state_matrix, fitted.leader_matrix - game.leader_matrix, noise]
        errors.append(max(float(np.abs(part).max()) for part in parts))
        np.testing.assert_allclose(fitted.control_cost, game.control_cost, atol=1e-8)
    assert errors[1] < 0.05
    assert errors[1] < 0.5 * errors[0]  # ten times less in expectation


def test_a_quadratic_leader_reward_is_recognised() -> None:
    game = lqr_v0.game()
    game.reward = Quadratic(-1.0, np.array([0.5, 0.0]), np.array([[2.0, 0.1], [0.1, 1.0]]))
    estimator = LinearEstimator(game.view(TAU))
    estimator.observe(play(game, LinearGaussianPolicy(game, [[-3.0, 1.0]]), 4))
    fitted = estimator.reward()
    assert isinstance(fitted, Quadratic)
    states = np.random.default_rng(0).normal(size=(10, 2))
    np.testing.assert_allclose(fitted.value(states), game.reward.value(states), atol=1e-6)


def test_rewards_outside_the_class_show_as_misfit() -> None:
    game = lqr_v0.game("v3", noise=0.3)
    estimator = LinearEstimator(game.view(TAU))
    estimator.observe(play(game, LinearGaussianPolicy(game, [[-3.0, 1.0]]), 20))
    assert estimator.parts["leader"].misfit() > 0.1
    assert estimator.parts["follower"].misfit() < 1e-12


def test_regression_in_pieces_equals_regression_at_once() -> None:
    random = np.random.default_rng(1)
    features, targets = random.normal(size=(60, 3)), random.normal(size=(60, 2))
    part = Regression(3, 2)
    for first in range(0, 60, 7):
        part.add(features[first : first + 7], targets[first : first + 7])
    wanted, *_ = np.linalg.lstsq(features, targets, rcond=None)
    np.testing.assert_allclose(part.solve(), wanted)
    rest = targets - features @ wanted
    np.testing.assert_allclose(part.residual(), rest.T @ rest / 57)
    assert part.misfit() == pytest.approx(np.square(rest).sum() / np.square(targets).sum())


def test_state_is_restored_exactly() -> None:
    game = lqr_v0.game()
    estimator, twin = LinearEstimator(game.view(TAU)), LinearEstimator(game.view(TAU))
    estimator.observe(play(game, LinearGaussianPolicy(game, [[-3.0, 1.0]]), 4))
    twin.load_state_dict(estimator.state_dict())
    batch = play(game, LinearGaussianPolicy(game, [[-4.0, 1.0]]), 4)
    for one in (estimator, twin):
        one.observe(batch)
    np.testing.assert_array_equal(estimator.game().state_matrix, twin.game().state_matrix)
    assert estimator.game().fingerprint() == twin.game().fingerprint()


def test_what_cannot_be_estimated_is_said() -> None:
    game = lqr_v0.game()
    batch = play(game, LinearGaussianPolicy(game, [[-3.0, 1.0]]), 4)
    with pytest.raises(InvalidArgumentError, match="nothing was observed"):
        LinearEstimator(game.view(TAU)).game()
    unpaid = LinearEstimator(game.view(TAU))
    unpaid.observe(batch.without_follower_rewards())
    with pytest.raises(InformationError, match="follower's rewards"):
        unpaid.game()
    assert unpaid.game(Cost(np.zeros((2, 2)), np.eye(1))).noise_factor.shape == (2, 2)
    with pytest.raises(UnsupportedGameError, match="Box"):
        LinearEstimator(sg.make("matrix-v0").view(TAU))
    short = LinearEstimator(game.view(TAU))
    short.observe(
        Trajectories(
            batch.states[:1, :2],
            batch.leader_actions[:1, :1],
            batch.follower_actions[:1, :1] * 0,
            batch.leader_rewards[:1, :1],
            np.zeros((1, 1)),
            np.ones(1, dtype=np.int64),
            np.zeros(1, dtype=np.bool_),
        )
    )
    with pytest.raises(InvalidGameError, match="R must be"):
        short.game()

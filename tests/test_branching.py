"""Branch and bound against fine grids."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from stackelberg_games import exact
from stackelberg_games.arrays import FloatArray
from stackelberg_games.envs import matrix_v0, random_game_v0
from stackelberg_games.exact.branching import maximise


def objective(mixtures: FloatArray, leader: FloatArray, follower: FloatArray, tau: float) -> FloatArray:
    return np.asarray((softmax(mixtures @ follower / tau, axis=1) * (mixtures @ leader)).sum(axis=1))


@pytest.mark.parametrize("tau", [0.02, 0.2, 2.0])
@pytest.mark.parametrize("actions", [2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_the_bound_holds_on_dense_samples_and_is_close(seed: int, actions: int, tau: float) -> None:
    draws = np.random.default_rng(seed)
    leader, follower = draws.normal(size=(2, actions, 3))
    found = maximise(np.eye(actions)[None], follower[None, None] / tau, leader[None, None], np.ones(1))
    values = objective(draws.dirichlet(np.full(actions, 0.7), 50_000), leader, follower, tau)
    assert objective(found.point[None], leader, follower, tau)[0] == pytest.approx(found.value, rel=1e-12)
    assert values.max() <= found.bound
    assert found.bound - found.value <= 1e-8 * np.ptp(leader)
    assert values.max() >= found.value - 0.02 * np.ptp(leader)  # the samples were dense enough to test something


def test_stages_are_added_up_by_their_chances() -> None:
    draws = np.random.default_rng(0)
    leader, follower = draws.normal(size=(2, 2, 2, 3))
    chances = np.array([0.3, 0.7])
    stages = follower[None], leader[None]
    found = maximise(np.array([[[0.0], [1.0]]]), stages[0] / 0.1, stages[1], chances)
    grid = np.linspace(0, 1, 20_001)
    mixtures = np.stack([1 - grid, grid], axis=1)
    values = sum(
        chance * objective(mixtures, led, paid, 0.1)
        for chance, led, paid in zip(chances, leader, follower, strict=True)
    )
    assert np.max(values) <= found.bound
    assert found.value == pytest.approx(np.max(values), abs=1e-6)
    assert found.point[0] == pytest.approx(grid[np.argmax(values)], abs=1e-3)


@pytest.mark.parametrize("sees", [True, False])
@pytest.mark.parametrize("discount", [0.0, 0.9])
def test_soft_optima_of_myopic_followers_are_proved(sees: bool, discount: float) -> None:
    game = random_game_v0.game(
        3, 3, 3, follower_discount=0.0, leader_discount=discount, follower_sees_action=sees, seed=2
    )
    found = exact.solve(game, 0.1, starts=4)
    assert found.proved
    assert 0 <= found.gap <= 1e-6
    assert found.evidence.startswith("proved by")
    many = exact.solve(game, 0.1, starts=8, seed=5)  # ascents find nothing beyond the bound
    assert many.value <= found.bound


def test_a_follower_that_changes_nothing_to_come_is_as_good_as_myopic() -> None:
    leader, follower = np.array([[1.0, 3.0], [0.0, 2.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    myopic = exact.solve(matrix_v0.game(leader=leader, follower=follower), 0.1, starts=2)
    repeated = matrix_v0.game(leader=leader, follower=follower, horizon=5)
    found = exact.solve(repeated, 0.1, starts=2)
    assert found.proved
    assert found.value == pytest.approx(5 * myopic.value)
    assert exact.solve(repeated, 0.0).value == pytest.approx(12.5)

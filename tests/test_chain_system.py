"""Linear systems on lists of successors: their order, two right-hand sides at once, and what errors are a share of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.arrays import FloatArray
from stackelberg_games.exact import chain_system
from stackelberg_games.exact.chain_rows import chain_rows, weighted_chain
from stackelberg_games.exact.chain_system import ChainSystem
from stackelberg_games.exact.order import side_by_side
from stackelberg_games.exact.pair import Pair
from stackelberg_games.exact.response import Arrays
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.successors import SuccessorLists
from tests.large_games import grid, random_lists


def lists_of(game: TabularGame) -> SuccessorLists:
    kernel = game.kernel
    assert isinstance(kernel, SuccessorLists)
    return kernel


def system_of(lists: SuccessorLists, discount: float) -> tuple[ChainSystem, FloatArray]:
    """A system under random policies, and the same as an array."""
    states, actions, replies = lists.shape
    rng, alive = np.random.default_rng(8), np.ones(states, dtype=np.bool_)
    policy, response = (
        rng.dirichlet(np.ones(actions), size=states),
        rng.dirichlet(np.ones(replies), size=lists.shape[:2]),
    )
    made = ChainSystem.of(lists, policy, response, discount, alive, 1e-9)
    return made, np.eye(states) - discount * lists.chain(policy[:, :, None] * response)


def without_return(states: int) -> TabularGame:
    """Three successors that are further on, or the state itself; states are numbered at random."""
    rng = np.random.default_rng(4)
    ahead = np.minimum(np.arange(states)[:, None] + rng.integers(0, 5, size=(states, 3)), states - 1)
    numbers = rng.permutation(states)
    successors = np.empty((states, 1, 1, 3), dtype=int)
    successors[numbers, 0, 0] = numbers[ahead]
    shape = (states, 1, 1)
    chances = rng.dirichlet(np.ones(3), size=shape)
    return TabularGame.from_successors(
        successors, chances, np.zeros(shape), np.zeros(shape), np.full(states, 1 / states)
    )


def test_what_has_no_way_back_is_eliminated_exactly() -> None:
    system, truth = system_of(replace(lists_of(without_return(200)), brief=True), 0.99)
    vector = np.random.default_rng(0).normal(size=200)
    assert system.solve(vector) == pytest.approx(np.linalg.solve(truth, vector), rel=1e-10)
    assert system.solve_transposed(vector) == pytest.approx(np.linalg.solve(truth.T, vector), rel=1e-9, abs=1e-9)
    assert system.iterations <= 2


def test_the_likeliest_first_takes_fewer_iterations_to_the_same_solution() -> None:
    game, vector = grid(30, leader_discount=0.95, follower_discount=0.95), np.random.default_rng(2).normal(size=900)
    policy, found, iterations = sg.TabularPolicy(game), [], []
    arrays, response = Arrays.of(game, game.model(policy)), exact.best_response(game, policy, 0.1).policy
    for brief in (True, False):
        kernel = replace(lists_of(game), brief=brief)
        system: Any = replace(arrays, kernel=kernel).system(response, 0.95)
        found.append((system.solve(vector), system.solve_transposed(vector), system.bound(np.abs(vector))))
        iterations.append(system.iterations)
    for one, other in zip(*found, strict=True):
        assert one == pytest.approx(other, abs=1e-5 * np.abs(other).max())  # bounds are solved to 1e-6
    truth = np.eye(900) - 0.95 * arrays.kernel.chain(arrays.joint(response))
    for given, matrix in zip(found[0], (truth, truth.T), strict=False):
        assert given == pytest.approx(np.linalg.solve(matrix, vector), abs=1e-9)
    assert iterations[0] < 0.85 * iterations[1]


@pytest.mark.parametrize("states", [1, 2, 5, 8, 103])
def test_states_from_several_places_take_turns(states: int) -> None:
    order, place = side_by_side(states)
    assert (order[place] == np.arange(states)).all()
    length = -(-states // 4)
    lanes = range(0, states, length)
    assert list(order[: len(lanes)]) == list(lanes)
    for lane in lanes:  # those of each come in the order of their numbers
        assert (np.diff(place[lane : lane + length]) > 0).all()


@pytest.mark.parametrize("many", [10**6, 0])
@pytest.mark.parametrize("patience", [250, 1])
def test_two_vectors_are_solved_at_once(many: int, patience: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_system, "MANY", many)
    monkeypatch.setattr(chain_system, "PATIENCE", patience)
    system, truth = system_of(lists_of(grid(20)), 0.99)
    if patience == 1:  # what one iteration leaves is left to factors
        monkeypatch.setattr(chain_system, "DROPPED", 0.0)
    rng = np.random.default_rng(3)
    one, other = rng.normal(size=400), 1e6 * rng.normal(size=400)
    for vector, found in zip((one, other), system.solve_both(one, other), strict=True):
        missing = np.abs(truth @ found - vector).max()
        assert missing <= 1e-9 * np.abs(vector).max()
    nothing, found = system.solve_both(np.zeros(400), one)
    assert (nothing == 0).all()
    assert found == pytest.approx(np.linalg.solve(truth, one), abs=1e-6)


def test_errors_of_what_is_left_over_are_a_share_of_the_whole() -> None:
    system, truth = system_of(lists_of(grid(20)), 0.99)
    vector = 1e-3 * np.random.default_rng(3).dirichlet(np.ones(400))
    system.solve_transposed(vector)
    strict = system.iterations
    found = system.solve_transposed(vector, 1.0)
    assert system.iterations - strict < strict
    assert np.abs(truth.T @ found - vector).sum() <= 1e-9
    assert system.solve_transposed(vector, 0.0) == pytest.approx(np.linalg.solve(truth.T, vector), rel=1e-6)
    assert (system.solve_transposed(vector, 1e7) == 0).all()


@pytest.mark.parametrize("sees", [True, False])
def test_rows_of_a_chain_are_the_same_without_a_pattern(sees: bool) -> None:
    successors, probability, *rewards = random_lists(7, (50, 2, 3, 4))
    game = TabularGame.from_successors(successors, probability, *rewards, np.full(50, 0.02))
    rng, alive = np.random.default_rng(0), np.arange(50) != 3
    policy, response = rng.dirichlet(np.ones(2), size=50), rng.dirichlet(np.ones(3), size=(50, 2 if sees else 1))
    lists = lists_of(game)
    given: Any = (lists, policy, response, -0.5, alive)
    dense = []
    for pattern, entries in (chain_rows(*given), (lists.pattern, weighted_chain(*given))):
        table = np.zeros((50, 50))
        rows = np.repeat(np.arange(50), np.diff(pattern.first))
        np.add.at(table, (rows, pattern.columns), entries)
        assert (pattern.columns[pattern.diagonal] == np.arange(50)).all()
        dense.append(table)
    assert dense[0] == pytest.approx(dense[1], abs=1e-15)


@pytest.mark.parametrize("discounts", [(0.9, 0.9), (0.8, 0.9)])
def test_the_leaders_values_are_the_same_by_the_way(discounts: tuple[float, float]) -> None:
    game = grid(10, leader_discount=discounts[0], follower_discount=discounts[1])
    policy = sg.TabularPolicy(game, np.random.default_rng(0).normal(size=(100, 4)))
    response = exact.best_response(game, policy, 0.3).policy
    arrays = Arrays.of(game, game.model(policy))
    alone, beside = Pair(arrays, response), Pair(arrays, response)
    reward = alone.average(arrays.follower_reward)
    expected = alone.follower_values(reward, beside=False), alone.leader_values
    found = beside.follower_values(reward, beside=True), beside.leader_values
    assert np.stack(found) == pytest.approx(np.stack(expected), abs=1e-9)
    systems = [made.iterations for made in beside._systems.values() if isinstance(made, ChainSystem)]
    assert len(systems) == len(set(discounts))

"""The follower's response against value iteration and against enumeration."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.envs import random_game_v0
from stackelberg_games.errors import InvalidArgumentError, SolverError
from stackelberg_games.exact.hard_response import Ties, hard_response
from stackelberg_games.exact.response import Arrays
from stackelberg_games.exact.soft_response import soft_response, soft_sweeps
from stackelberg_games.kinds.finite import TabularGame
from tests.random_games import case


def arrays_of(game: TabularGame, logits: FloatArray | None = None) -> Arrays:
    with torch.no_grad():
        return Arrays.of(game, game.model(TabularPolicy(game, logits)))


def value_iteration(arrays: Arrays, temperature: float, sweeps: int) -> FloatArray:
    """Soft value iteration from zero, written from the definition."""
    values = np.zeros(len(arrays.alive))
    for _ in range(sweeps):
        q = arrays.follower_reward + arrays.follower_discount * arrays.transition.dot(values)
        if not arrays.sees:
            q = np.einsum("sa,sab->sb", arrays.policy, q)[:, None]
        top = q.max(axis=2)
        soft = top + temperature * np.log(np.exp((q - top[..., None]) / temperature).sum(axis=2))
        values = (arrays.policy * soft).sum(axis=1) * arrays.alive
    return values


@pytest.mark.parametrize(
    ("states", "temperature", "discount", "sees"),
    [
        (3, 0.05, 0.99, True),
        (10, 1.0, 0.99, False),
        (30, 0.05, 0.99, True),
        (50, 0.3, 0.9, False),
        (100, 0.1, 0.99, True),
        (200, 0.05, 0.99, True),
        (200, 0.5, 0.95, False),
    ],
)
def test_newton_agrees_with_ten_thousand_sweeps_in_few_steps(
    states: int, temperature: float, discount: float, sees: bool
) -> None:
    game = random_game_v0.game(
        states,
        2,
        2,
        seed=states,
        follower_discount=discount,
        follower_sees_action=sees,
        transitions={"terminal_states": states % 3},
    )
    draws = np.random.default_rng(states)
    logits = draws.normal(size=(states, 2))
    arrays = arrays_of(game, logits)
    cold = soft_response(arrays, temperature)
    swept = value_iteration(arrays, temperature, 10_000)
    assert cold.values == pytest.approx(swept, rel=0, abs=1e-10 * np.abs(swept).max())
    assert 1 <= cold.newton_steps <= 15
    moved = arrays_of(game, logits + 0.05 * draws.choice([-1, 1], size=logits.shape))
    warm = soft_response(moved, temperature, cold.values)
    assert 1 <= warm.newton_steps <= 4
    assert warm.values == pytest.approx(soft_response(moved, temperature).values, rel=1e-10)


@pytest.mark.parametrize("index", range(16))
@pytest.mark.parametrize("sweeps", [0, 1, 5])
def test_soft_sweeps_are_value_iteration(index: int, sweeps: int) -> None:
    which = case(index)
    arrays, tau = which.arrays, which.temperature
    found = soft_sweeps(arrays, tau, np.zeros(which.game.states), sweeps)
    expected = value_iteration(arrays, tau, sweeps)
    assert found.values == pytest.approx(expected, abs=1e-12)
    assert found.q == pytest.approx(arrays.follower_reward + arrays.follower_discount * arrays.transition @ expected)


@pytest.mark.parametrize("index", range(16))
def test_soft_response_is_the_softmax_of_its_action_values(index: int) -> None:
    which = case(index)
    tau, solved = which.temperature, soft_response(which.arrays, which.temperature)
    compared = solved.q
    if not which.game.follower_sees_action:
        compared = np.einsum("sa,sab->sb", which.arrays.policy, compared)[:, None]
    weights = np.exp(compared / tau)
    assert solved.policy == pytest.approx(
        np.broadcast_to(weights / weights.sum(axis=2, keepdims=True), solved.q.shape), abs=1e-10
    )
    assert not solved.values[which.game.terminal].any()


@pytest.mark.parametrize("index", range(16))
def test_action_values_average_to_state_values(index: int) -> None:
    which = case(index)
    for solved in (soft_response(which.arrays, which.temperature), hard_response(which.arrays)):
        averaged = (which.arrays.policy * solved.action_values).sum(axis=1)
        alive = ~which.game.terminal
        assert averaged[alive] == pytest.approx(solved.values[alive], rel=1e-10)


def test_soft_response_survives_huge_rewards_and_low_temperatures() -> None:
    arrays = arrays_of(random_game_v0.game(seed=5, follower_discount=0.99))
    scaled = replace(arrays, follower_reward=arrays.follower_reward * 1e6)
    solved = soft_response(scaled, 1e-3)
    assert np.isfinite(solved.policy).all()
    assert solved.values == pytest.approx(hard_response(scaled).values, rel=1e-8)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_soft_response_rejects_a_temperature_that_is_not_positive(temperature: float) -> None:
    with pytest.raises(InvalidArgumentError, match=f"temperature={temperature}"):
        soft_response(case(0).arrays, temperature)


def test_soft_response_reports_a_tolerance_it_did_not_reach() -> None:
    with pytest.raises(SolverError, match="after 0 Newton steps"):
        soft_response(case(0).arrays, 0.5, max_steps=0)


def tied_game(seed: int, sees: bool) -> TabularGame:
    """Few distinct integer rewards and sure transitions, so that best responses abound."""
    draws = np.random.default_rng(seed)
    targets = draws.integers(3, size=(3, 2, 2))
    transition = np.eye(3)[targets]
    reward = draws.integers(2, size=(3, 2, 2)).astype(float)
    if not sees:
        reward, transition = reward[:, [0, 0]], transition[:, [0, 0]]
    leader = draws.normal(size=(3, 2, 2))
    return TabularGame(
        transition, leader, reward, np.full(3, 1 / 3), 0.8, 0.5, follower_sees_action=sees, terminal=[False] * 3
    )


def deterministic_responses(arrays: Arrays) -> Iterator[FloatArray]:
    states, leaders, followers = arrays.follower_reward.shape
    rows = leaders if arrays.sees else 1
    for choice in itertools.product(range(followers), repeat=states * rows):
        table = np.eye(followers)[list(choice)].reshape(states, rows, followers)
        yield np.broadcast_to(table, arrays.follower_reward.shape)


def value_of(arrays: Arrays, response: FloatArray, reward: FloatArray, discount: float) -> FloatArray:
    """Values of a response by the linear Bellman equation, ``[S]``."""
    joint = arrays.policy[:, :, None] * response * arrays.alive[:, None, None]
    chain = np.einsum("sab,sabn->sn", joint, arrays.transition)
    return np.linalg.solve(np.eye(len(chain)) - discount * chain, np.einsum("sab,sab->s", joint, reward))


def leader_values_of_best_responses(arrays: Arrays) -> tuple[FloatArray, list[FloatArray]]:
    """The follower's optimal values, and the leader's values under every response that attains them."""
    found = [
        (
            value_of(arrays, response, arrays.follower_reward, arrays.follower_discount),
            value_of(arrays, response, arrays.leader_reward, arrays.leader_discount),
        )
        for response in deterministic_responses(arrays)
    ]
    best = np.max([follower for follower, _ in found], axis=0)
    return best, [leader for follower, leader in found if np.abs(follower - best).max() < 1e-9]


@pytest.mark.parametrize("sees", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_hard_response_and_its_ties_agree_with_enumeration(seed: int, sees: bool) -> None:
    arrays = arrays_of(tied_game(seed, sees), np.random.default_rng(seed).normal(size=(3, 2)))
    best, candidates = leader_values_of_best_responses(arrays)
    extremes: dict[Ties, FloatArray] = {"leader": np.max(candidates, axis=0), "against": np.min(candidates, axis=0)}
    for ties, expected in extremes.items():
        found = hard_response(arrays, ties)
        assert found.values == pytest.approx(best, abs=1e-9)
        assert found.temperature == 0
        assert value_of(arrays, found.policy, arrays.leader_reward, arrays.leader_discount) == pytest.approx(expected)


def test_enumeration_meets_real_ties() -> None:
    counts = [len(leader_values_of_best_responses(arrays_of(tied_game(seed, True)))[1]) for seed in range(12)]
    assert sum(count > 1 for count in counts) >= 6


@pytest.mark.parametrize("sees", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_first_ties_take_the_lowest_index_among_best_actions(seed: int, sees: bool) -> None:
    arrays = arrays_of(tied_game(seed, sees))
    found = hard_response(arrays, "first")
    q = found.q if sees else np.einsum("sa,sab->sb", arrays.policy, found.q)[:, None]
    lowest = (q >= q.max(axis=2, keepdims=True) - 1e-9).argmax(axis=2)
    assert (found.policy.argmax(axis=2) == lowest).all()


def test_first_ties_take_the_lowest_index_also_where_the_tie_is_between_now_and_later() -> None:
    sure = np.eye(3)[[[[1, 2]], [[2, 2]], [[2, 2]]]]
    reward = np.array([[[0.0, 0.5]], [[1.0, 1.0]], [[0.0, 0.0]]])
    game = TabularGame(sure, reward, reward, [1.0, 0.0, 0.0], 0.5, 0.5)
    assert hard_response(arrays_of(game), "first").policy[0, 0].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("index", range(12))
def test_hard_response_is_the_cold_limit_of_the_soft_one(index: int) -> None:
    arrays = case(index).arrays
    assert soft_response(arrays, 1e-6).values == pytest.approx(hard_response(arrays).values, abs=1e-4)


def test_action_values_of_a_seeing_follower_are_soft_and_hard_maxima() -> None:
    arrays = case(0).arrays
    hard, soft = hard_response(arrays), soft_response(arrays, 0.3)
    assert hard.action_values == pytest.approx(hard.q.max(axis=2), rel=1e-12)
    assert soft.action_values == pytest.approx(0.3 * logsumexp(soft.q / 0.3, axis=2), rel=1e-12)


@pytest.mark.parametrize("index", range(8))
def test_chain_is_stochastic_except_into_and_out_of_terminal_states(index: int) -> None:
    which = case(index)
    arrays, ends = which.arrays, which.game.terminal
    chain = arrays.chain(soft_response(arrays, 0.5).policy)
    assert not chain[ends].any()
    assert not chain[:, ends].any()
    if not ends.any():
        assert chain.sum(axis=1) == pytest.approx(np.ones(which.game.states))

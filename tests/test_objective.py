"""The exact objective, its hypergradient and the values of both players against independent computations."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.mlp import MLPPolicy
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.envs import discrete_toy_v0, random_game_v0
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError
from stackelberg_games.exact.response import Arrays
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.play.rollout import TabularResponse, rollout
from stackelberg_games.rules.commitment import assign, flatten
from tests.random_games import HYPERGRADIENT_GAMES, case, finite_differences

TAU = 0.05


def toy_policy(game: TabularGame, p: float) -> TabularPolicy:
    """The commitment of the discrete toy with f(1 given A) = p."""
    return TabularPolicy.from_probabilities(game, [[0.5, 0.5], [1 - p, p], [0.5, 0.5]])


@pytest.mark.parametrize("index", range(HYPERGRADIENT_GAMES))
def test_hypergradient_agrees_with_finite_differences(index: int) -> None:
    which = case(index)
    slopes = finite_differences(which.commitment, which.objective)
    assert np.abs(slopes).max() > 1e-7
    assert which.gradient() == pytest.approx(slopes, rel=0, abs=1e-6 * np.abs(slopes).max())


def test_hypergradient_of_a_deep_mlp_agrees_with_finite_differences() -> None:
    which = case(3)
    policy = MLPPolicy(which.game, (6, 5), seed=1)
    draws = np.random.default_rng(0)
    assign(policy, torch.tensor(draws.normal(size=len(flatten(policy)))))
    moved = type(which)(0, which.game, policy, 0.3, 1)
    slopes = finite_differences(policy, moved.objective)
    assert moved.gradient() == pytest.approx(slopes, rel=0, abs=1e-6 * np.abs(slopes).max())


@pytest.mark.parametrize(
    ("R", "p", "discounted", "undiscounted"), [(1.0, 0.16, 27.312, 52.32), (2.0, 0.50, 31.164, 59.75)]
)
def test_toy_objective_equals_the_tabulated_values(R: float, p: float, discounted: float, undiscounted: float) -> None:
    game = discrete_toy_v0.game(R=R)
    policy = toy_policy(game, p)
    assert exact.leader_objective(game, policy, TAU).item() == pytest.approx(discounted, abs=6e-4)
    assert exact.leader_objective(game, policy, TAU, discount=1.0).item() == pytest.approx(undiscounted, abs=6e-3)


@pytest.mark.parametrize(("R", "best", "value"), [(1.0, 0.16, 27.312), (2.0, 0.50, 31.164)])
def test_toy_objective_is_largest_where_tabulated(R: float, best: float, value: float) -> None:
    game = discrete_toy_v0.game(R=R)
    grid = np.arange(0.0, 1.0, 0.02)
    found = [exact.leader_objective(game, toy_policy(game, p), TAU).item() for p in grid]
    assert grid[int(np.argmax(found))] == pytest.approx(best)
    assert max(found) == pytest.approx(value, abs=6e-4)


class Rows(NamedTuple):
    """The derivative of the infinite toy's objective in p, split as the literature does."""

    total: float
    direct: float
    direct_with_baseline_of_b: float
    response: float


def toy_rows(p: float) -> Rows:
    game = discrete_toy_v0.game(horizon=None)
    policy = toy_policy(game, p)
    total = slope_in_p(game, policy, float(p))
    tables = exact.critics(game, policy, TAU)
    chain = Arrays.of(game, game.model(policy)).chain(tables.response)
    visits = np.asarray(np.linalg.solve(np.eye(3) - game.leader_discount * chain.T, game.initial_distribution))
    at_a, change = visits[1], np.array([-1.0, 1.0])
    direct = at_a * change @ tables.leader_action_values[1]
    centred = tables.leader_q[1] - tables.policy[1] @ tables.leader_q[1]
    biased = at_a * change @ (tables.response[1] * centred).sum(axis=1)
    return Rows(total, float(direct), float(biased), response_row(game, tables, visits, at_a))


def slope_in_p(game: TabularGame, policy: TabularPolicy, p: float) -> float:
    objective = exact.leader_objective(game, policy, TAU)
    (found,) = torch.autograd.grad(objective, [policy.logits])
    return float(found[1, 1]) / (p * (1 - p))


def response_row(game: TabularGame, tables: exact.CriticTables, visits: NDArray[Any], at_a: float) -> float:
    """(1/tau) sum_s d(s) sum_a f Cov_b(QL, dQF/dp), dQF from the linear equation it satisfies."""
    chain = game.transition * tables.policy[:, :, None, None] * tables.response[..., None]
    moved = np.zeros(3)
    moved[1] = tables.follower_action_values[1] @ [-1.0, 1.0]
    value_slope = np.linalg.solve(np.eye(3) - game.follower_discount * chain.sum(axis=(1, 2)), moved)
    q_slope = game.follower_discount * game.transition @ value_slope
    weights = visits[:, None, None] * tables.policy[:, :, None] * tables.response
    return float((weights * tables.benefit * q_slope).sum() / TAU)


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (0.16, Rows(1.44, 11.99, 11.43, -10.55)),
        (0.30, Rows(-140.25, 8.14, 7.56, -148.39)),
        (0.50, Rows(-17.35, 0.00, 0.00, -17.36)),
    ],
)
def test_toy_gradient_splits_as_tabulated(p: float, expected: Rows) -> None:
    found = toy_rows(p)
    assert found == pytest.approx(expected, abs=6e-3)
    assert found.total == pytest.approx(found.direct + found.response, rel=1e-9)


def explicit_return(game: TabularGame, policy: FloatArray, response: FloatArray, discount: float, stages: int) -> float:
    """Push the state distribution forward stage by stage."""
    at, total = game.initial_distribution.copy(), 0.0
    for stage in range(stages):
        joint = at[:, None, None] * policy[:, :, None] * response
        total += discount**stage * float((joint * game.leader_reward).sum())
        at = np.einsum("sab,sabn->n", joint, game.transition) * ~game.terminal
    return total


def random_response(game: TabularGame, seed: int) -> FloatArray:
    shape = (game.states, game.leader_actions)
    return np.random.default_rng(seed).dirichlet(np.ones(game.follower_actions), size=shape)


@pytest.mark.parametrize("index", [i for i in range(30) if case(i).commitment.configuration() is None])
@pytest.mark.parametrize("stages", [1, 2, 7, 64])
def test_leader_value_equals_explicit_summation(index: int, stages: int) -> None:
    which = case(index)
    response = random_response(which.game, index)
    policy = which.commitment.probabilities().detach().numpy()
    found = exact.leader_value(which.game, which.commitment, response, discount=0.9, horizon=stages)
    assert found == pytest.approx(explicit_return(which.game, policy, response, 0.9, stages), rel=1e-12)


def test_infinite_leader_value_is_the_limit_of_explicit_summation() -> None:
    which = case(0)
    response = random_response(which.game, 0)
    policy = which.commitment.probabilities().detach().numpy()
    limit = explicit_return(which.game, policy, response, which.game.leader_discount, 2000)
    assert exact.leader_value(which.game, which.commitment, response) == pytest.approx(limit, rel=1e-12)


@pytest.mark.parametrize("index", [1, 2, 4, 5, 7, 13])
def test_leader_value_agrees_with_sampled_returns(index: int) -> None:
    which = case(index)
    response = random_response(which.game, index)
    returns = rollout(which.game, which.commitment, TabularResponse(response), episodes=20_000, seed=index)
    sampled = returns.leader_returns(which.game.leader_discount)
    error = sampled.std() / np.sqrt(len(sampled))
    expected = exact.leader_value(which.game, which.commitment, response)
    assert abs(sampled.mean() - expected) < 4.5 * error


@pytest.mark.parametrize("index", [0, 3, 5, 7, 8])
@pytest.mark.parametrize("temperature", [0.0, 0.4])
def test_follower_value_agrees_with_sampled_returns(index: int, temperature: float) -> None:
    which = case(index)
    response = random_response(which.game, index)
    batch = rollout(which.game, which.commitment, TabularResponse(response), episodes=10_000, seed=1, stages=170)
    played = response[batch.states[:, :-1], batch.leader_actions, batch.follower_actions]
    assert batch.follower_rewards is not None
    rewards = batch.follower_rewards - temperature * np.log(played) * batch.mask
    sampled = rewards @ which.game.follower_discount ** np.arange(170)
    error = sampled.std() / np.sqrt(len(sampled))
    expected = exact.follower_value(which.game, which.commitment, response, temperature)
    assert abs(sampled.mean() - expected) < 4.5 * error + 1e-6


@pytest.mark.parametrize("index", range(12))
def test_soft_response_is_worth_its_values_and_no_other_response_is_worth_more(index: int) -> None:
    which = case(index)
    tau, game = which.temperature, which.game
    best = exact.best_response(game, which.commitment, tau)
    value = exact.follower_value(game, which.commitment, best.policy, tau)
    assert value == pytest.approx(game.initial_distribution @ best.values, rel=1e-10)
    for seed in range(5):
        other = random_response(game, seed)
        if not game.follower_sees_action:
            other = np.repeat(other[:, :1], game.leader_actions, axis=1)
        near = 0.9 * best.policy + 0.1 * other
        assert exact.follower_value(game, which.commitment, near, tau) < value


def test_warm_start_does_not_change_the_objective() -> None:
    which = case(4)
    start = np.full(which.game.states, 3.0)
    warm = exact.leader_objective(which.game, which.commitment, which.temperature, start=start)
    assert warm.item() == pytest.approx(which.objective(), rel=1e-12)


@pytest.mark.parametrize("index", [0, 1, 2, 6, 8])
def test_objective_tends_to_the_hard_response_as_the_temperature_falls(index: int) -> None:
    which = case(index)
    hard = exact.best_response(which.game, which.commitment, 0.0)
    limit = exact.leader_value(which.game, which.commitment, hard.policy)
    cold = exact.leader_objective(which.game, which.commitment, 1e-5).item()
    assert cold == pytest.approx(limit, rel=1e-8)


def test_objective_overrides_discount_and_horizon() -> None:
    base = random_game_v0.game(seed=3, leader_discount=0.9)
    policy = TabularPolicy(base)
    other = random_game_v0.game(seed=3, leader_discount=0.5, horizon=6)
    expected = exact.leader_objective(other, policy, 0.5).item()
    assert exact.leader_objective(base, policy, 0.5, discount=0.5, horizon=6).item() == pytest.approx(expected)


@pytest.mark.parametrize("discount", [1.0, 1.5, -0.1, float("nan")])
def test_objective_rejects_a_discount_out_of_range(discount: float) -> None:
    game = sg.make("random_game-v0")
    assert isinstance(game, TabularGame)
    with pytest.raises(InvalidArgumentError, match=f"discount={discount}"):
        exact.leader_objective(game, TabularPolicy(game), 0.5, discount=discount)


@pytest.mark.parametrize("horizon", [0, -1, 1.5, True])
def test_objective_rejects_a_horizon_out_of_range(horizon: int) -> None:
    which = case(1)
    with pytest.raises((InvalidArgumentError, InvalidGameError), match=f"horizon={horizon}"):
        exact.leader_objective(which.game, which.commitment, 0.5, horizon=horizon)


@pytest.mark.parametrize("temperature", [0.0, -0.5, float("nan")])
def test_objective_rejects_a_temperature_that_is_not_positive(temperature: float) -> None:
    which = case(0)
    with pytest.raises(InvalidArgumentError, match=f"temperature={temperature}"):
        exact.leader_objective(which.game, which.commitment, temperature)


def test_model_rejects_a_commitment_made_for_another_game() -> None:
    small, large = random_game_v0.game(states=3), random_game_v0.game(states=5)
    with pytest.raises(InvalidArgumentError, match=r"\(3, 3\).*\(5, 3\)"):
        exact.leader_objective(large, TabularPolicy(small), 0.5)


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 2), (4, 3, 3)])
def test_values_reject_a_response_of_the_wrong_shape(shape: tuple[int, ...]) -> None:
    game = random_game_v0.game()
    response = np.ones(shape) / shape[-1]
    for value in (exact.leader_value, exact.follower_value):
        with pytest.raises(InvalidArgumentError, match=r"response.*\(5, 3, 3\)"):
            value(game, TabularPolicy(game), response)

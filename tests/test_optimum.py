"""Optimal commitments against published values, grids and enumeration."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike

from stackelberg_games import exact
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.envs import discrete_toy_v0, matrix_v0, random_game_v0
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables, TabularGame


@pytest.mark.parametrize(
    ("R", "sees", "probability", "value"),
    [
        (1.0, True, 0.8335, 34.9926),
        (2.0, True, 0.4975, 39.9402),
        (1.0, False, 0.8415, 34.9231),
        (2.0, False, 0.5095, 39.7608),
    ],
)
def test_infinite_toy_has_the_published_optimum(R: float, sees: bool, probability: float, value: float) -> None:
    game = discrete_toy_v0.game(R=R, horizon=None, follower_sees_action=sees)
    found = exact.solve(game, 0.05, starts=6)
    assert found.value == pytest.approx(value, abs=1e-4)
    assert found.commitment.probabilities()[1, 0].item() == pytest.approx(probability, abs=3e-4)


def test_deterministic_commitments_of_the_toy_are_worse_than_its_mixed_optimum() -> None:
    game = discrete_toy_v0.game(horizon=None)
    values = [
        exact.leader_objective(game, TabularPolicy.from_probabilities(game, [row] * 3), 0.05).item()
        for row in ([1.0, 0.0], [0.0, 1.0])
    ]
    assert 33.65 <= max(values) <= 33.67


@pytest.mark.parametrize(
    ("preset", "value"), [("letchford", 2.5), ("conitzer_sandholm", 3.5), ("escape", 30.0), ("maintain", 27.5)]
)
def test_matrix_presets_have_their_published_strong_values(preset: str, value: float) -> None:
    assert exact.solve(matrix_v0.game(preset), 0.0).value == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(("preset", "mixture"), [("letchford", (0.5, 0.5)), ("maintain", (0.25, 0.75, 0.0))])
def test_strong_commitments_mix_as_published(preset: str, mixture: tuple[float, ...]) -> None:
    found = exact.solve(matrix_v0.game(preset), 0.0).commitment.probabilities()
    assert found[0].tolist() == pytest.approx(mixture, abs=1e-9)


@pytest.mark.parametrize(("temperature", "probability", "value"), [(0.1, 0.318, 2.2668), (0.5, 0.059, 1.7664)])
def test_letchford_has_its_published_soft_optima(temperature: float, probability: float, value: float) -> None:
    found = exact.solve(matrix_v0.game("letchford"), temperature, starts=4)
    assert found.value == pytest.approx(value, abs=6e-5)
    assert found.commitment.probabilities()[0, 0].item() == pytest.approx(probability, abs=6e-4)


def best_on_grid(game: TabularGame, temperature: float, state: int) -> float:
    """The largest objective over the probability of the first action at one state, on two nested grids."""
    rows = np.full((game.states, 2), 0.5)

    def value(p: float) -> float:
        rows[state] = p, 1 - p
        with torch.no_grad():
            policy = TabularPolicy.from_probabilities(game, rows)
            return exact.leader_objective(game, policy, temperature).item()

    coarse = np.linspace(0.0, 1.0, 201)
    near = coarse[int(np.argmax([value(p) for p in coarse]))]
    return max(value(p) for p in np.linspace(max(near - 0.005, 0), min(near + 0.005, 1), 201))


@pytest.mark.parametrize("preset", ["letchford", "conitzer_sandholm"])
@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0])
def test_soft_optimum_agrees_with_a_grid_in_matrix_games(preset: str, temperature: float) -> None:
    game = matrix_v0.game(preset)
    grid = best_on_grid(game, temperature, 0)
    found = exact.solve(game, temperature, starts=6).value
    assert grid - 1e-9 <= found <= grid + 1e-6


def test_soft_optimum_agrees_with_a_grid_in_the_toy() -> None:
    game = discrete_toy_v0.game(R=2.0)
    grid = best_on_grid(game, 0.05, 1)
    assert grid - 1e-9 <= exact.solve(game, 0.05, starts=4).value <= grid + 1e-6


def priced_game() -> TabularGame:
    """One state, one leader action: a price x adds to the follower's cost of buying and pays x - x^2 / 4."""

    def configure(price: torch.Tensor) -> Tables:
        none = torch.zeros((), dtype=torch.float64)
        leader = torch.stack([none, price[0] - price[0] ** 2 / 4])
        follower = torch.stack([none, 1.0 - price[0]])
        return Tables(torch.ones(1, 1, 2, 1, dtype=torch.float64), leader.reshape(1, 1, 2), follower.reshape(1, 1, 2))

    flat = np.zeros((1, 1, 2))
    settings: dict[str, Any] = {"leader_discount": 0.0, "follower_discount": 0.0, "horizon": 1}
    return ConfigurableGame(np.ones((1, 1, 2, 1)), flat, flat, [1.0], size=1, configure=configure, **settings)


def test_soft_optimum_of_a_configuration_agrees_with_a_grid() -> None:
    game = priced_game()
    prices = np.linspace(0, 3, 30_001)
    tau = 0.3
    expected = ((prices - prices**2 / 4) / (1 + np.exp((prices - 1) / tau))).max()
    found = exact.solve(game, tau, commitment=Configuration([0.0]), starts=3)
    assert found.value == pytest.approx(expected, abs=1e-7)


def test_solution_is_consistent_and_lists_its_starts_best_first() -> None:
    game = random_game_v0.game(
        3, 2, 2, transitions={"branching": 2}, seed=4, leader_discount=0.8, follower_discount=0.8
    )
    found = exact.solve(game, 0.2, starts=5, seed=1)
    assert len(found.start_values) == 5
    assert list(found.start_values) == sorted(found.start_values, reverse=True)
    assert found.value == found.start_values[0]
    assert exact.leader_value(game, found.commitment, found.response) == pytest.approx(found.value, rel=1e-10)
    assert found.response == pytest.approx(exact.best_response(game, found.commitment, 0.2).policy, abs=1e-9)


def test_solution_is_a_local_maximum() -> None:
    game = random_game_v0.game(
        3, 2, 2, transitions={"branching": 2}, seed=4, leader_discount=0.8, follower_discount=0.8
    )
    found = exact.solve(game, 0.2, starts=3)
    draws = np.random.default_rng(0)
    logits = next(found.commitment.parameters()).detach().numpy()
    for scale in (0.01, 0.1, 1.0):
        for _ in range(10):
            near = TabularPolicy(game, logits + scale * draws.normal(size=logits.shape))
            assert exact.leader_objective(game, near, 0.2).item() <= found.value + 1e-9


def test_solving_leaves_the_given_commitment_alone_and_repeats_itself() -> None:
    game = matrix_v0.game("letchford")
    policy = TabularPolicy(game, [[0.3, -0.2]])
    values = [exact.solve(game, 0.2, commitment=policy, starts=3, seed=7).start_values for _ in range(2)]
    assert values[0] == values[1]
    assert policy.logits.tolist() == [[0.3, -0.2]]


def myopic_game(seed: int, sees: bool, terminal: bool = False) -> TabularGame:
    return random_game_v0.game(
        3,
        2,
        2,
        seed=seed,
        leader_discount=0.9,
        follower_discount=0.0,
        follower_sees_action=sees,
        transitions={"branching": 2, "terminal_states": int(terminal)},
    )


def stage_options(follower: FloatArray, sees: bool) -> list[tuple[FloatArray, FloatArray]]:
    """Extreme commitments ``[2]`` and the best replies ``[2, 2]`` they allow, at one state.

    Blind replies b stay best while the mixture lies in an interval, whose ends are 0, 1 or the
    point of indifference.
    """
    pure = [np.array([1.0, 0.0]), np.array([0.0, 1.0])]
    if sees:
        return [(mix, np.eye(2)[follower.argmax(axis=1)]) for mix in pure]
    slopes = follower[:, 0] - follower[:, 1]
    at = slopes[1] / (slopes[1] - slopes[0]) if slopes[0] != slopes[1] else -1.0
    mixes = [*pure, np.array([at, 1 - at])] if 0 < at < 1 else pure
    gains = [mix @ follower for mix in mixes]
    return [
        (mix, np.eye(2)[[b, b]])
        for mix, gain in zip(mixes, gains, strict=True)
        for b in range(2)
        if gain[b] >= gain.max() - 1e-12
    ]


def enumerated_value(game: TabularGame) -> float:
    """The best leader value over all combinations of extreme commitments and best replies."""
    options = [stage_options(game.follower_reward[s], game.follower_sees_action) for s in range(game.states)]
    best = -np.inf
    for chosen in itertools.product(*options):
        policy = np.stack([mix for mix, _ in chosen])
        response = np.stack([reply for _, reply in chosen])
        best = max(best, exact.leader_value(game, TabularPolicy.from_probabilities(game, policy), response))
    return best


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("sees", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_strong_value_with_a_myopic_follower_agrees_with_enumeration(seed: int, sees: bool, terminal: bool) -> None:
    game = myopic_game(seed, sees, terminal)
    found = exact.solve(game, 0.0)
    assert found.value == pytest.approx(enumerated_value(game), rel=1e-8)
    assert exact.leader_value(game, found.commitment, found.response) == pytest.approx(found.value)


def test_strong_commitments_to_a_blind_follower_mix_in_some_games() -> None:
    mixed = [
        ((rows > 0.01) & (rows < 0.99)).any()
        for rows in (exact.solve(myopic_game(seed, False), 0.0).commitment.probabilities() for seed in range(6))
    ]
    assert any(mixed)


@pytest.mark.parametrize("seed", range(4))
def test_soft_optimum_tends_to_the_strong_value(seed: int) -> None:
    draws = np.random.default_rng(seed)
    game = matrix_v0.game(leader=draws.random((3, 3)), follower=draws.random((3, 3)))
    strong = exact.solve(game, 0.0).value
    soft = [exact.solve(game, tau, starts=12).value for tau in (0.02, 0.002)]
    assert soft[1] == pytest.approx(strong, abs=0.02)
    assert abs(soft[1] - strong) <= abs(soft[0] - strong) + 1e-6


def test_sequential_matrix_game_has_the_value_of_the_best_row() -> None:
    leader, follower = [[1.0, 3.0], [0.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]]
    game = matrix_v0.game(leader=leader, follower=follower, follower_sees_action=True)
    assert exact.solve(game, 0.0).value == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("game", "named"),
    [
        (discrete_toy_v0.game(), "follower_discount=0, here 0.99"),
        (random_game_v0.game(follower_discount=0.0, horizon=5), "horizon=5"),
    ],
)
def test_strong_value_is_refused_where_it_is_hard(game: TabularGame, named: str) -> None:
    with pytest.raises(UnsupportedGameError, match=named):
        exact.solve(game, 0.0)


@pytest.mark.parametrize(
    ("temperature", "settings", "named"),
    [
        (-0.1, {}, "temperature=-0.1"),
        (float("nan"), {}, "temperature=nan"),
        (0.5, {"starts": 0}, "starts=0"),
        (0.5, {"seed": -1}, "seed=-1"),
    ],
)
def test_solve_rejects_bad_arguments(temperature: float, settings: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        exact.solve(matrix_v0.game(), temperature, **settings)


def test_follower_dominated_rows_are_handled_by_the_linear_programs() -> None:
    dominated: ArrayLike = [[1.0, 0.0], [2.0, 0.5]]
    game = matrix_v0.game(leader=[[0.0, 9.0], [1.0, 9.0]], follower=dominated)
    found = exact.solve(game, 0.0)
    assert found.value == pytest.approx(1.0)
    assert found.response[0, :, 0].tolist() == [1.0, 1.0]

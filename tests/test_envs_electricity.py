"""Electricity prices: the closed form against nested optimisation, play against the exact value, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

import stackelberg_games as sg
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy
from stackelberg_games.envs.electricity_v0 import COST, WORTH, Electricity
from stackelberg_games.errors import InvalidActionError, InvalidGameError, StackelbergError, UnsupportedGameError

OPTIMUM = 19.421875
PRICES = [3.5, 5.5, 6.5, 4.25]


def made(**settings: Any) -> Electricity:
    game = sg.make("electricity-v0", **settings)
    assert isinstance(game, Electricity)
    return game


def test_the_optimum_agrees_with_nested_optimisation() -> None:
    worth, cost, curvature = np.array(WORTH), np.array(COST), 1.2 * np.eye(4) + 0.2

    def demand(prices: FloatArray) -> FloatArray:
        def loss(d: FloatArray) -> float:
            return float(-(worth - prices) @ d + d @ curvature @ d / 2)

        return np.asarray(minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-9}).x)

    def lost(prices: FloatArray) -> float:
        return float(-(prices - cost) @ demand(prices))

    central = {
        "jac": "3-point",
        "options": {"gtol": 1e-5, "finite_diff_rel_step": 1e-3},
    }  # exact: the loss is quadratic
    found = minimize(lost, np.full(4, 6.0), method="BFGS", **central)
    assert -found.fun == pytest.approx(OPTIMUM, abs=1e-5)
    game = made()
    assert game.best_prices.tolist() == PRICES
    assert sg.exact.leader_objective(game, sg.Configuration(PRICES), 0.1).item() == pytest.approx(OPTIMUM, abs=1e-12)
    np.testing.assert_allclose(found.x, PRICES, atol=1e-4)
    np.testing.assert_allclose(demand(np.array(PRICES)), [1.0625, 1.8958, 1.8958, 1.2708], atol=1e-4)


@pytest.mark.parametrize(("steepness", "coupling"), [(1.2, 0.2), (3.0, 0.0), (1.0, -0.2)])
def test_best_prices_do_not_depend_on_how_periods_are_tied(steepness: float, coupling: float) -> None:
    game, commitment = made(steepness=steepness, coupling=coupling), sg.Configuration(PRICES)
    for temperature in (0.01, 3.0):
        value = sg.exact.leader_objective(game, commitment, temperature)
        (slope,) = torch.autograd.grad(value, list(commitment.parameters()))
        assert slope.abs().max() < 1e-12
        assert value == sg.exact.leader_objective(game, commitment, 0.5)


def test_play_and_hypergradient_agree_with_the_closed_form() -> None:
    game, commitment = made(), sg.Configuration([2.0, 6.0, 4.0, 5.0])
    follower = sg.make_follower("maxent_lqr", temperature=0.5)
    follower.begin(game)
    batch = sg.rollout(game, commitment, follower.respond(game, commitment).policy, episodes=4000, seed=2)
    value = sg.exact.leader_objective(game, commitment, 0.5)
    earned, received = batch.leader_rewards[:, 0], batch.follower_rewards
    assert received is not None
    assert abs(earned.mean() - value.item()) < 4 * earned.std() / 4000**0.5
    demand = batch.follower_actions[:, 0]
    errors = 4 * np.sqrt(np.diag(0.5 * np.linalg.inv(game.curvature)) / 4000)
    assert (
        abs(demand.mean(axis=0) - np.linalg.solve(game.curvature, game.worth - [2.0, 6.0, 4.0, 5.0])) < errors
    ).all()
    np.testing.assert_allclose(np.cov(demand.T), 0.5 * np.linalg.inv(game.curvature), atol=0.05)
    paid = demand @ (game.worth - [2.0, 6.0, 4.0, 5.0]) - np.einsum("ni,ij,nj->n", demand, game.curvature, demand) / 2
    np.testing.assert_allclose(received[:, 0], paid, atol=1e-12)
    (slope,) = torch.autograd.grad(value, list(commitment.parameters()))
    for number in range(4):
        moved = np.array([2.0, 6.0, 4.0, 5.0]) + 1e-5 * np.eye(4)[number]
        change = sg.exact.leader_objective(game, sg.Configuration(moved), 0.5).item() - value.item()
        assert slope[number].item() == pytest.approx(change / 1e-5, abs=1e-4)


def test_bchg_climbs_from_trajectories_and_needs_the_response() -> None:
    follower = sg.make_follower("maxent_lqr", temperature=0.1)
    values = {}
    for name in ("bchg", "policy_gradient"):
        leader = sg.make_leader(name, learning_rate=0.3)
        values[name] = sg.train(made(), leader, follower, iterations=20, episodes=50, seed=0).value
    assert values["bchg"] is not None
    assert values["policy_gradient"] is not None
    assert values["bchg"] > 0.9 * OPTIMUM
    assert values["policy_gradient"] < 15  # it raises prices as if demand did not fall


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"worth": (6.0, 9.0), "cost": (1.0, 2.0, 3.0)}, "cost"),
        ({"coupling": -0.5}, "R must"),
        ({"steepness": 0.0, "coupling": 0.0}, "R must"),
        ({"highest_price": 0.0}, "highest_price"),
        ({"horizon": 0}, "horizon"),
    ],
)
def test_markets_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidGameError, match=message):
        made(**settings)


def test_prices_out_of_range_are_refused() -> None:
    game = made()
    env = game.env()
    env.reset(seed=0)
    with pytest.raises(InvalidActionError):
        env.step(np.array([-1.0, 1.0, 1.0, 1.0]))
    with pytest.raises(StackelbergError):
        sg.exact.leader_objective(game, sg.Configuration([-1.0, 1.0, 1.0, 1.0]), 0.1)
    with pytest.raises(UnsupportedGameError, match="configured"):
        game.leader_objective(LinearGaussianPolicy((1, 1), np.zeros((1, 1)), std=1.0), 0.1)


@pytest.mark.parametrize("steepness", [1.2, 1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("coupling", [0.2, 1.7])
def test_the_stated_error_holds_in_fractions_where_periods_are_nearly_alike(steepness: float, coupling: float) -> None:
    game = made(steepness=steepness, coupling=coupling)
    found = sg.exact.solve(game, 0.0)
    prices = found.commitment.configuration()
    assert prices is not None
    priced = [Fraction(price) for price in prices.tolist()]
    worth, cost = ([Fraction(float(number)) for number in side] for side in (WORTH, COST))
    rows = [
        [Fraction(entry) for entry in row] + [first - price]
        for row, first, price in zip(game.curvature.tolist(), worth, priced, strict=True)
    ]
    for i in range(len(rows)):  # Gauss and Jordan, exactly
        pivot = rows[i]
        rows = [
            row if j == i else [entry - row[i] / pivot[i] * other for entry, other in zip(row, pivot, strict=True)]
            for j, row in enumerate(rows)
        ]
    demand = [row[-1] / row[i] for i, row in enumerate(rows)]
    value = sum((price - unit) * amount for price, unit, amount in zip(priced, cost, demand, strict=True))
    assert abs(float(Fraction(found.value) - value)) <= found.error

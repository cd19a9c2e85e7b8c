"""Warehouses: what the robot does, exact gradients, sampled steps, plans that cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.parametrisation import Plain
from stackelberg_games.envs import warehouse_v0
from stackelberg_games.envs.warehouse_v0 import Warehouse
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError
from tests.configured_checks import slopes, steps_fit, value

LOOP = """
xxxxxxx
xP C Dx
x HHH x
x     x
xS    x
xxxxxxx
"""
LEVERS = pytest.mark.parametrize("lever", ["costs", "one_way"])


def made(**settings: Any) -> Warehouse:
    game = sg.make("warehouse-v0", **settings)
    assert isinstance(game, Warehouse)
    return game


def cell(game: Warehouse, row: int, column: int) -> int:
    return int(game.plan.numbers[row, column])


def at(game: Warehouse, numbers: Any) -> Configuration:
    return Configuration(numbers, Plain(), states=game.states)


def test_the_default_floor() -> None:
    game = made()
    assert (game.plan.size, game.states, game.size) == (45, 135, 45)
    assert made(lever="one_way").size == 96
    assert game.initial_distribution[np.flatnonzero(game.initial_distribution)].tolist() == [0.5, 0.5]
    assert [label for label in game.state_labels if label.startswith("1,4")] == [
        "1,4 to pick 0",
        "1,4 to pick 1",
        "1,4 carrying",
    ]
    assert made(orders="any").states == 90


def test_an_order_is_taken_up_at_its_own_pick_point_and_delivered_at_a_drop_point() -> None:
    game = made(slip=0.0)
    cells, (first, second), drop = game.plan.size, game.picks, game.drops[0]
    right, up = 1, 0
    assert game.transition[first, 0, right, 2 * cells + first + 1] == 1  # order 0 in its place
    assert game.transition[cells + first, 0, right, cells + first + 1] == 1  # order 1 waits elsewhere
    assert game.transition[cells + second, 0, right, 2 * cells + second + 1] == 1
    above = cell(game, 6, 6)
    assert game.transition[2 * cells + drop, 0, up, [above, cells + above]].tolist() == [0.5, 0.5]
    paid = np.flatnonzero(game.follower_reward[:, 0, 0])
    assert paid.tolist() == [2 * cells + drop]
    crossing = np.flatnonzero(game.leader_reward[:, 0, 0] < 0)
    assert crossing.tolist() == [load * cells + game.crossings[0] for load in range(3)]
    any_order = made(slip=0.0, orders="any")
    assert any_order.transition[second, 0, right, cells + second + 1] == 1


def test_a_tour_without_slips_is_worth_its_deliveries() -> None:
    """8 stages from pick to drop and 8 back: value by hand of the shortest tours."""
    game = made(slip=0.0, congestion=0.0)
    response = exact.best_response(game, at(game, np.zeros(45)), 1e-4).policy
    worth = exact.leader_value(game, at(game, np.zeros(45)), response)
    g = 0.97
    first = 0.5 * g**17 + 0.5 * g**21  # from S up to row 1, along to the pick point, then 8 to the drop
    assert worth == pytest.approx(first / (1 - g**16), rel=1e-6)


def test_a_charge_on_the_crossing_sends_the_robot_around_it() -> None:
    game = made()
    charge = np.zeros(45)
    free = game.occupancy(torch.from_numpy(charge), 0.01)
    charge[game.crossings[0]] = 0.5
    dear = game.occupancy(torch.from_numpy(charge), 0.01)
    assert free[game.crossings[0]] > 20 * dear[game.crossings[0]]
    assert value(game, at(game, charge), 0.01) > value(game, at(game, np.zeros(45)), 0.01) + 0.1
    assert free.sum() == pytest.approx(1)


def test_a_barrier_lets_a_step_through_with_probability_exp_minus_x() -> None:
    game = made(lever="one_way", slip=0.1)
    barriers = np.zeros(96)
    here, ahead = cell(game, 3, 6), cell(game, 4, 6)
    barriers[(game.passages == [here, 2]).all(axis=1)] = 1.5
    tables = game.tables(torch.from_numpy(barriers))
    assert tables.transition[here, 0, 2, ahead] == pytest.approx(0.9 * np.exp(-1.5))
    assert tables.transition[here, 0, 0, ahead] == pytest.approx(0.1 / 3 * np.exp(-1.5))
    assert tables.transition[here, 0, 2, here] == pytest.approx(0.9 * (1 - np.exp(-1.5)) + 2 * 0.1 / 3)
    assert tables.transition[ahead, 0, 0, here] == pytest.approx(0.9)  # the other direction is free
    same = game.tables(torch.zeros(96, dtype=torch.float64)).transition
    np.testing.assert_allclose(same.numpy(), game.transition, atol=1e-15)


@LEVERS
@pytest.mark.parametrize("orders", ["drawn", "any"])
@pytest.mark.parametrize("temperature", [0.01, 0.05])
def test_exact_hypergradients_agree_with_finite_differences(lever: str, orders: str, temperature: float) -> None:
    game = made(lever=lever, orders=orders)
    exactly, numerically = slopes(game, game.commitment(3, 1.0), temperature)
    assert abs(exactly) > 1e-4
    assert numerically == pytest.approx(exactly, rel=1e-5)


@LEVERS
@pytest.mark.parametrize("orders", ["drawn", "any"])
def test_lists_of_successors_are_the_same_game(monkeypatch: pytest.MonkeyPatch, lever: str, orders: str) -> None:
    whole = made(lever=lever, orders=orders)
    monkeypatch.setattr(warehouse_v0, "DENSE_BYTES", 0)
    listed = made(lever=lever, orders=orders)
    assert whole.lists is None
    assert listed.lists is not None
    np.testing.assert_allclose(listed.transition, whole.transition, rtol=0, atol=1e-16)
    found = []
    for game in (whole, listed):
        commitment = game.commitment(1, 1.0)
        worth = exact.leader_objective(game, commitment, 0.05)
        worth.backward()  # type: ignore[no-untyped-call]
        found.append((worth.item(), commitment.weights.grad))
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-9)
    torch.testing.assert_close(found[1][1], found[0][1], rtol=1e-6, atol=1e-9)


def test_tiles_repeat_the_floor_within_one_wall() -> None:
    game = made(tiles=3)
    assert game.lists is not None
    assert (game.plan.size, game.states, game.size) == (405, 19 * 405, 405)
    assert [len(game.plan.marks[letter]) for letter in "SPDC"] == [1, 18, 9, 9]
    assert game.parametrisation.describe() == made(budget=4.5).parametrisation.describe()
    commitment = game.commitment(1, 1.0)
    exactly, numerically = slopes(game, commitment, 0.05)
    assert numerically == pytest.approx(exactly, rel=1e-4)
    run = sg.train(game, "bchg", "soft_value_iteration", iterations=2, episodes=20, evaluate_every=0, progress=False)
    assert run.history[-1]["leader/gradient_norm"] > 0
    with pytest.raises(InvalidGameError, match="tiles=21: expected an integer from 1 to 20"):
        made(tiles=21)
    with pytest.raises(InvalidGameError, match="line 2 has 4 characters"):
        made(tiles=2, plan="xxxxxx\nxSPDCx\nxxxx")
    for plan, place in (("SPCD", "row 0, column 0 is 'S'"), ("xxPxx\nxPSCx\nx D x\nxxxxx", "row 0, column 2 is 'P'")):
        with pytest.raises(InvalidGameError, match=f"{place}; draw a wall"):
            made(tiles=2, plan=plan)


@LEVERS
def test_sampled_steps_follow_the_configured_model(lever: str) -> None:
    game = made(lever=lever, plan=LOOP)
    assert steps_fit(game, game.commitment(1, 2.0)) > 1e-3


@LEVERS
def test_sampled_returns_agree_with_the_exact_objective(lever: str) -> None:
    game = made(lever=lever, plan=LOOP, horizon=80)
    commitment = game.commitment(2, 2.0)
    response = sg.TabularResponse(np.ascontiguousarray(exact.best_response(game, commitment, 0.05).policy))
    returns = sg.rollout(game, commitment, response, episodes=4000, seed=3).leader_returns(game.leader_discount)
    assert abs(returns.mean() - value(game, commitment, 0.05)) < 4 * returns.std() / 4000**0.5
    assert returns.std() > 0.01


@pytest.mark.parametrize(("lever", "temperature"), [("costs", 0.1), ("one_way", 0.05)])
def test_bchg_estimates_the_hypergradient_from_trajectories(lever: str, temperature: float) -> None:
    game = made(lever=lever, plan=LOOP, discount=0.9)
    commitment = game.commitment(1, 2.0)
    follower = sg.make_follower("soft_value_iteration", temperature=temperature)
    report = sg.gradient_check(game, "bchg", follower, commitment=commitment, batches=30, episodes=2000, seed=1)
    naive = sg.gradient_check(game, "policy_gradient", follower, commitment=commitment, batches=2, episodes=2000)
    assert report.relative_bias < 3 * report.relative_bias_error
    assert report.relative_bias < 0.5 * naive.relative_bias


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"plan": "xxxxxx\nxSPDCx\nxxxx"}, "line 2 has 4 characters"),
        ({"plan": "xxxxxx\nx PDCx\nxxxxxx"}, r"no start \('S'\)"),
        ({"plan": "xxxxxxx\nxSPDCSx\nxxxxxxx"}, r"second start \(S\) at row 1, column 5"),
        ({"plan": "xxxxxx\nxS DCx\nxxxxxx"}, "no pick point"),
        ({"plan": "xxxxxx\nxSP Cx\nxxxxxx"}, "no drop point"),
        ({"plan": "xxxxxx\nxSPD x\nxxxxxx"}, "no crossing"),
        ({"plan": "xxxxxxx\nxSCDHPx\nxxxxxxx"}, "pick point at row 1, column 5 cannot be reached from row 1, column 1"),
        ({"plan": "xxxxxxx\nxSCPHDx\nxxxxxxx"}, "drop point at row 1, column 5 cannot be reached"),
        ({"plan": "xxxxxxx\nxSDPHCx\nxxxxxxx"}, "crossing at row 1, column 5 cannot be reached"),
        ({"plan": "xxxxxxx\nxSDPGCx\nxxxxxxx"}, r"'G' at row 1, column 4; expected a wall \(x#\), a shelf \(H\)"),
    ],
)
def test_bad_floor_plans_are_refused_with_the_place(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidGameError, match=says):
        made(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"budget": -0.1},
        {"budget": float("nan")},
        {"slip": -0.1},
        {"congestion": -1.0},
        {"lever": "walls"},
        {"orders": "all"},
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    ((name, bad),) = settings.items()
    with pytest.raises(InvalidArgumentError, match=f"{name}={bad!r}"):
        made(**settings)


def test_the_picture_shows_the_floor_the_charges_and_where_the_robot_is() -> None:
    game = made()
    env: Any = game.raw_env("rgb_array")
    env.reset(seed=0)
    empty = env.render()[:, :590].astype(int)
    charge = np.zeros(45)
    charge[game.crossings[0]] = 0.5
    env.step(charge)
    charged = env.render()[:, :590].astype(int)
    env.step(1)
    moved = env.render()[:, :590].astype(int)

    def where(frame: Any, color: tuple[int, int, int]) -> Any:
        return np.argwhere((np.abs(frame - np.array(color)) < 3).all(axis=2))

    robot, frame = (0x2F, 0x6F, 0xDE), (0xE8, 0x83, 0x3A)
    assert len(where(empty, frame)) > 100
    assert len(where(empty, robot)) > 100
    shade = (0x8D, 0x69, 0xD1)  # of the largest charge
    assert len(where(charged, shade)) > 3 * len(where(empty, shade)) + 100
    assert where(moved, robot)[:, 1].mean() > where(charged, robot)[:, 1].mean() + 10

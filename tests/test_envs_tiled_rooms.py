"""Tiles of Four Rooms: their plan, their rewards, and that charges turn followers to the targets."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.envs import tiled_rooms_v0
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError
from stackelberg_games.floors.picture import FloorScene, Mark, draw_floor
from stackelberg_games.floors.plan import FloorPlan


@pytest.mark.parametrize(("tiles", "cells"), [(1, 104), (2, 424), (3, 960), (10, 10_760)])
def test_tiles_are_joined_by_two_doors_in_every_wall(tiles: int, cells: int) -> None:
    plan = FloorPlan.parse(tiled_rooms_v0.tiled(tiles), "SGT")
    assert plan.size == cells == 104 * tiles**2 + 4 * tiles * (tiles - 1)
    assert {letter: len(found) for letter, found in plan.marks.items()} == dict.fromkeys("SGT", tiles**2)
    assert plan.reachable(0).all()


def test_moves_are_those_of_the_plan() -> None:
    game = tiled_rooms_v0.game(2, slip=0.3)
    kernel = game.plan.kernel(0.3)
    for cell in range(0, game.plan.size, 7):
        if cell in game.goals:
            continue
        for action in range(4):
            states, chances = game.row(cell, 0, action)
            assert chances == pytest.approx(kernel[cell, action][states], abs=1e-15)
    for goal in game.goals:
        assert game.row(goal, 0, 2)[0].tolist() == [game.plan.size]


def test_charges_are_paid_outside_goals_and_the_leader_pays_nothing() -> None:
    game = tiled_rooms_v0.game(1)
    x = torch.linspace(0.0, 0.05, game.size, dtype=torch.float64)
    tables = game.tables(x)
    expected = -x.numpy()
    expected[list(game.goals)] = 1.0
    assert tables.follower_reward[:-1, 0, 0].numpy() == pytest.approx(expected)
    assert torch.equal(tables.leader_reward, game.base.leader_reward)
    assert tables.transition is game.base.transition


def test_a_few_exact_steps_lead_past_the_targets() -> None:
    game = tiled_rooms_v0.game(3)
    commitment = game.commitment()
    optimizer = torch.optim.Adam(commitment.parameters(), lr=0.3, maximize=True)
    values, start = [], None
    for _ in range(18):
        optimizer.zero_grad()
        both = exact.differentiable_values(game, commitment, 0.05, start=start)
        start = both.follower.detach().numpy()
        value = game.initial_tensor @ both.leader
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        values.append(value.item())
    assert values[0] == pytest.approx(0.946, abs=1e-3)
    assert values[-1] > 7.0


def test_bchg_learns_charges_of_a_thousand_cells_from_trajectories() -> None:
    game = tiled_rooms_v0.game(3)
    follower = sg.make_follower("soft_value_iteration", temperature=0.05)
    leader = sg.make_leader("bchg", learning_rate=0.3)
    run = sg.train(game, leader, follower, iterations=10, episodes=100, stages=100, evaluate_every=0, seed=0)
    assert float(exact.leader_objective(game, run.commitment, 0.05)) > 3.0


def test_large_floors_are_drawn_without_letters() -> None:
    env = sg.make("tiled_rooms-v0", tiles=5).env(render_mode="rgb_array")
    env.reset(seed=0)
    env.step(np.full(env.action_space("leader_0").shape, 0.01))
    image = np.asarray(env.render())
    orange = (np.abs(image.astype(int) - [0xE8, 0x83, 0x3A]).sum(axis=2) < 30).sum()
    assert orange > 25  # targets are seen


@pytest.mark.parametrize("count", [2, 9, 31])
def test_what_colours_mean_is_written_below_the_floor_line_by_line(count: int) -> None:
    plan = FloorPlan.parse(tiled_rooms_v0.tiled(count), "SGT")
    scene = FloorScene(
        (Mark(0, "T", target=True),), heat=np.ones(plan.size), occupancy=np.full(plan.size, 1 / plan.size)
    )
    figure = Figure((5.8, 5.4))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    draw_floor(axes, plan, scene)
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    boxes = [text.get_window_extent().transformed(axes.transData.inverted()) for text in axes.texts]
    boxes = [box for box, text in zip(boxes, axes.texts, strict=True) if ":" in text.get_text()]
    bottom = len(plan.numbers) - 0.5
    tops = [min(box.y0, box.y1) for box in boxes]
    assert len(tops) == 3
    assert tops[0] >= bottom
    assert all(later > earlier for earlier, later in itertools.pairwise(tops))
    assert max(boxes[-1].y0, boxes[-1].y1) <= axes.get_ylim()[0]


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"tiles": 0}, InvalidGameError),
        ({"tiles": 101}, InvalidGameError),
        ({"limit": 0.0}, InvalidArgumentError),
        ({"slip": 1.5}, InvalidArgumentError),
        ({"plan": "xxxx\nxSGx\nxxxx"}, InvalidGameError),
        ({"plan": "xxxxx\nxSxGx\nxTxTx\nxxxxx"}, InvalidGameError),
    ],
)
def test_floors_that_make_no_game_are_refused(settings: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        sg.make("tiled_rooms-v0", **settings)

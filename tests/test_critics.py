"""Tables of both players' values satisfy their definitions, and are read off at the right stages."""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.exact.critics import CriticTables
from stackelberg_games.hypergradient import StageCritics
from stackelberg_games.play.rollout import TabularResponse, rollout
from stackelberg_games.rules.trajectories import Trajectories
from tests.large_games import laid_out, random_lists
from tests.random_games import Case, case

INDICES = range(24)


def tables_of(which: Case) -> CriticTables:
    return exact.critics(which.game, which.commitment, which.temperature)


def sampled(which: Case, tables: CriticTables, episodes: int = 40) -> Trajectories:
    response = TabularResponse(tables.response)
    return rollout(which.game, which.commitment, response, episodes=episodes, stages=which.stages)


def average(tables: CriticTables, values: FloatArray) -> FloatArray:
    """Expectation of ``[..., S, A, B]`` over both players, zero where the game has ended."""
    joint = tables.policy[:, :, None] * tables.response
    return np.asarray((joint * values).sum(axis=(-2, -1)) * tables.alive)


@pytest.mark.parametrize("index", INDICES)
def test_leader_table_satisfies_its_bellman_equation(index: int) -> None:
    which = case(index)
    tables, arrays, gl = tables_of(which), which.arrays, which.game.leader_discount
    stages = tables.leader_q if tables.leader_q.ndim == 4 else [tables.leader_q]
    following = average(tables, tables.leader_q) if which.game.horizon is None else np.zeros(which.game.states)
    for q in stages:
        assert q == pytest.approx(arrays.leader_reward + gl * arrays.transition @ following, rel=1e-10)
        following = average(tables, q)
    assert len(stages) == (which.game.horizon or 1)


@pytest.mark.parametrize("index", INDICES)
def test_leader_values_at_the_start_are_the_objective(index: int) -> None:
    which = case(index)
    values = tables_of(which).leader_values
    first = values if which.game.horizon is None else values[-1]
    assert which.game.initial_distribution @ first == pytest.approx(which.objective(), rel=1e-10)


@pytest.mark.parametrize("index", INDICES)
def test_follower_tables_satisfy_the_soft_bellman_equation(index: int) -> None:
    which = case(index)
    tables, arrays, tau = tables_of(which), which.arrays, which.temperature
    assert tables.follower_q == pytest.approx(
        arrays.follower_reward + arrays.follower_discount * arrays.transition @ tables.follower_values, rel=1e-10
    )
    with_entropy = tables.follower_q - tau * np.log(tables.response)
    assert tables.follower_values == pytest.approx(average(tables, with_entropy), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("index", INDICES)
def test_benefit_and_advantages_are_centred(index: int) -> None:
    tables = tables_of(case(index))
    seen = (tables.response * tables.benefit).sum(axis=-1)
    assert seen == pytest.approx(np.zeros_like(seen), abs=1e-10)
    alive = tables.alive
    leader = (tables.policy * tables.leader_advantage).sum(axis=-1)[..., alive]
    assert leader == pytest.approx(np.zeros_like(leader), abs=1e-10)
    follower = (tables.policy[:, :, None] * tables.follower_advantage).sum(axis=1)
    assert follower == pytest.approx(np.zeros_like(follower), abs=1e-10)


@pytest.mark.parametrize("index", [i for i in INDICES if not case(i).game.follower_sees_action])
def test_benefit_of_an_unseen_action_does_not_depend_on_it(index: int) -> None:
    benefit = tables_of(case(index)).benefit
    assert np.ptp(benefit, axis=-2).max() == 0.0
    assert np.ptp(benefit, axis=-1).max() > 1e-3


@pytest.mark.parametrize("index", INDICES)
def test_values_are_read_off_stage_by_stage(index: int) -> None:
    which = case(index)
    tables = tables_of(which)
    batch = sampled(which, tables)
    found = tables.at(batch, transitions=True)
    assert found.leader_next_value is not None
    assert found.follower_next_value is not None
    timed = tables.leader_q.ndim == 4
    for i in range(0, 40, 7):
        for t in range(batch.stages):
            s, a, b = batch.states[i, t], batch.leader_actions[i, t], batch.follower_actions[i, t]
            following, left = batch.states[i, t + 1], which.stages - t
            benefit = (tables.benefit[left - 1] if timed else tables.benefit)[s, a, b]
            assert found.benefit[i, t] == (benefit if batch.mask[i, t] else 0.0)
            advantage = tables.leader_advantage[left - 1] if timed else tables.leader_advantage
            assert found.leader_advantage[i, t] == advantage[s, a]
            assert found.follower_advantage[i, t] == tables.follower_advantage[s, a, b]
            ahead = tables.leader_values[max(left - 2, 0)] * (left > 1) if timed else tables.leader_values
            assert found.leader_next_value[i, t] == ahead[following]
            assert found.follower_next_value[i, t] == tables.follower_values[following]


def test_next_values_are_left_out_unless_asked_for() -> None:
    which = case(0)
    tables = tables_of(which)
    found = tables.at(sampled(which, tables))
    assert [f.name for f in fields(StageCritics) if getattr(found, f.name) is None] == [
        "leader_next_value",
        "follower_next_value",
    ]


def test_episodes_shorter_than_the_horizon_keep_the_stages_to_go() -> None:
    which = case(1)
    assert which.game.horizon is not None
    tables = tables_of(which)
    batch = rollout(which.game, which.commitment, TabularResponse(tables.response), episodes=5, stages=2)
    cell = (batch.states[:, 0], batch.leader_actions[:, 0], batch.follower_actions[:, 0])
    assert (tables.at(batch).benefit[:, 0] == tables.benefit[which.game.horizon - 1][cell]).all()


def test_episodes_longer_than_the_horizon_are_refused() -> None:
    which = case(1)
    tables = tables_of(which)
    batch = rollout(which.game, which.commitment, TabularResponse(tables.response), episodes=5, stages=20)
    with pytest.raises(InvalidArgumentError, match=r"20 stages.*horizon of 13"):
        tables.at(batch)


@pytest.mark.parametrize("listed", [False, True])
def test_tables_end_where_values_have_settled(listed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    where, chances, leader, follower = random_lists(0, (5, 2, 2, 2))
    settings: dict[str, Any] = {"leader_discount": 0.3, "follower_discount": 0.9, "horizon": 300}
    game = sg.TabularGame.from_successors(where, chances, leader, follower, np.full(5, 0.2), **settings)
    if not listed:
        game = sg.TabularGame(laid_out(where, chances), leader, follower, np.full(5, 0.2), **settings)
    which = sg.TabularPolicy(game)
    whole = exact.critics(game, which, 0.1)
    batch = rollout(game, which, TabularResponse(whole.response), episodes=5, stages=280)
    for module in ("exact.critics", "rules.trajectories"):
        monkeypatch.setattr(import_module(f"stackelberg_games.{module}"), "BLOCK", 8)
    found = exact.critics(game, which, 0.1)
    assert (len(whole.leader_q), found.horizon) == (300, 300)
    assert len(found.leader_q) < 100
    for name, values in vars(found.at(batch, transitions=True)).items():
        assert np.array_equal(values, getattr(whole.at(batch, transitions=True), name)), name
    assert np.array_equal(found.direct_weights(batch, 0.3), whole.direct_weights(batch, 0.3))


@pytest.mark.parametrize("index", [0, 1, 3, 5])
def test_leader_action_values_agree_with_sampled_returns(index: int) -> None:
    which = case(index)
    tables = tables_of(which)
    batch = sampled(which, tables, 40_000)
    left = which.game.leader_discount ** np.arange(batch.stages)
    first = tables.leader_action_values if tables.leader_q.ndim == 3 else tables.leader_action_values[-1]
    if which.game.horizon is None:
        last = batch.states[np.arange(batch.episodes), batch.lengths]
        tail = which.game.leader_discount**batch.lengths * tables.leader_values[last]
    else:
        tail = np.zeros(batch.episodes)
    residual = batch.leader_rewards @ left + tail - first[batch.states[:, 0], batch.leader_actions[:, 0]]
    assert abs(residual.mean()) < 4.5 * residual.std() / np.sqrt(batch.episodes)
    for action in range(which.game.leader_actions):
        part = residual[batch.leader_actions[:, 0] == action]
        assert abs(part.mean()) < 4.5 * part.std() / np.sqrt(len(part))

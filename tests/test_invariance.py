"""The exact functions say the same of the same game, whatever its units, offsets, names, copies and unreachable states."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stackelberg_games as sg
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import PrecisionError
from stackelberg_games.kinds.finite import TabularGame
from tests.invariance import TOLERANCE, deviations, results
from tests.same_games import ALL, ANY, Change, Instance, changed, instances, stored

CORPUS = [stored(record) for record in json.loads((Path(__file__).parent / "invariance_corpus.json").read_text())]
FEW = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def check(game: Instance, names: list[str], seed: int) -> None:
    """Hard results under all changes, soft ones under those that leave a soft response as it is."""
    before = Change.none(game)
    after = changed(before, names, seed)
    kinds = [False] if set(names) - set(ANY) else [False, True]
    for soft in kinds:
        found = deviations(game, results(before, soft=soft), results(after, soft=soft))
        assert max(found.values()) <= TOLERANCE, found


@pytest.mark.parametrize("index", range(len(CORPUS)))
def test_stored_games_stay_the_same(index: int) -> None:
    check(*CORPUS[index])


@FEW
@given(
    st.one_of(instances(), instances(matrix=True)),
    st.lists(st.sampled_from(sorted(ALL)), max_size=3),
    st.integers(0, 2**32 - 1),
)
def test_generated_games_stay_the_same(game: Instance, names: list[str], seed: int) -> None:
    check(game, names, seed)


def trapped(penalty: float, horizon: int | None = None) -> TabularGame:
    """State 0 pays 1, .95 or leads into an absorbing trap; the leader gains by the second action."""
    transition = np.zeros((2, 1, 3, 2))
    transition[0, 0, [0, 1, 2], [0, 0, 1]] = transition[1, 0, :, 1] = 1.0
    follower = np.array([[[1.0, 0.95, 0.0]], [[penalty] * 3]])
    leader = np.array([[[0.0, 1.0, 0.0]], [[0.0, 0.0, 0.0]]])
    return TabularGame(transition, leader, follower, [1.0, 0.0], 0.9, 0.99, horizon)


@pytest.mark.parametrize("penalty", [-1e2, -1e6, -1e8, -1e10, 0.0])
def test_a_trap_that_is_never_entered_breaks_no_tie(penalty: float) -> None:
    game = trapped(penalty)
    policy = sg.TabularPolicy(game)
    assert sg.exact.leader_value(game, policy, sg.exact.best_response(game, policy, 0.0).policy) == 0.0
    follower = sg.make_follower("best_response")
    follower.begin(game, seed=0)
    answer = follower.respond(game, policy).policy
    assert isinstance(answer, sg.TabularResponse)
    assert answer.probabilities[0, 0].tolist() == [1.0, 0.0, 0.0]


def far_away(reward: float) -> tuple[TabularGame, TabularGame]:
    """A random game, and the same with a state of large rewards that nothing leads to."""
    draws = np.random.default_rng(4)
    transition = np.zeros((4, 2, 3, 4))
    transition[:3, ..., :3] = draws.dirichlet(np.ones(3), (3, 2, 3))
    transition[3] = draws.dirichlet(np.ones(4), (2, 3))
    rewards = draws.normal(size=(2, 4, 2, 3))
    rewards[:, 3] = reward * draws.choice([-1.0, 1.0], size=(2, 2, 3))
    small = TabularGame(transition[:3, ..., :3], rewards[0, :3], rewards[1, :3], np.ones(3) / 3, 0.9, 0.95)
    return small, TabularGame(transition, rewards[0], rewards[1], [*np.ones(3) / 3, 0.0], 0.9, 0.95)


@pytest.mark.parametrize("reward", [1e10, 1e100, 1e300, 1.7e308])
def test_rewards_where_play_never_comes_may_be_of_any_size(reward: float) -> None:
    small, large = far_away(reward)
    one, two = sg.TabularPolicy(small), sg.TabularPolicy(large)
    values = [sg.exact.leader_objective(g, p, 0.1) for g, p in ((small, one), (large, two))]
    for value in values:
        value.backward()  # type: ignore[no-untyped-call]
    assert values[0].item() == pytest.approx(values[1].item(), rel=1e-12)
    assert one.logits.grad is not None
    assert two.logits.grad is not None
    assert two.logits.grad[:3].numpy() == pytest.approx(one.logits.grad.numpy(), rel=1e-9, abs=1e-12)
    assert not two.logits.grad[3].any()
    certified = sg.exact.certificate(large, two, 0.1)
    assert certified.value == pytest.approx(values[0].item(), abs=certified.error + 1e-12)


def test_what_cannot_be_told_is_refused() -> None:
    _, large = far_away(1.7e308)
    policy = sg.TabularPolicy(large)
    with pytest.raises(PrecisionError, match=r"a reward is -?1\.7e\+308"):
        sg.exact.best_response(large, policy, 0.1)  # its table has the values of that state
    with pytest.raises(PrecisionError, match=r"a reward is -?1\.7e\+308"):
        sg.exact.best_response(large, policy, 0.0)
    small, _ = far_away(1.0)
    with pytest.raises(PrecisionError, match="temperature=1e-15 is too small"):
        sg.exact.leader_objective(small, sg.TabularPolicy(small), 1e-15)


@pytest.mark.parametrize(("player", "corner"), [("leader", -1e308), ("follower", -1e308), ("leader", 1e308)])
@pytest.mark.parametrize("horizon", [None, 10])
def test_rewards_whose_sum_overflows_are_named(player: str, corner: float, horizon: int | None) -> None:
    huge, none = np.full((2, 2, 2), 1e308), np.zeros((2, 2, 2))
    huge[0, 0, 0] = corner
    rewards = (huge, none) if player == "leader" else (none, huge)
    game = TabularGame(np.full((2, 2, 2, 2), 0.5), rewards[0], rewards[1], [1.0, 0.0], 0.9, 0.9, horizon)
    policy = sg.TabularPolicy(game)
    for call in (
        lambda: sg.exact.leader_objective(game, policy, 0.1),
        lambda: sg.exact.certificate(game, policy, 0.1),
        lambda: sg.exact.certificate(game, policy, 0.0),
        lambda: sg.exact.solve(game, 0.1, starts=2),
        lambda: sg.exact.critics(game, policy, 0.1),
    ):
        with pytest.raises(PrecisionError, match=r"1e\+308"):
            call()


def matrix(leader: FloatArray, follower: FloatArray, *, horizon: int | None = 1) -> TabularGame:
    shape = (1, *leader.shape, 1)
    return TabularGame(
        np.ones(shape), leader[None], follower[None], [1.0], 0.0, 0.0, horizon, follower_sees_action=False
    )


@pytest.mark.parametrize("unit", [1e-12, 1e-9, 1e-6, 1.0, 1e9, 1e15])
@pytest.mark.parametrize("penalty", [0.0, -1e8])
def test_strong_optima_do_not_depend_on_units_or_on_a_row_that_is_ruinous(unit: float, penalty: float) -> None:
    leader = np.array([[2.0, 4.0], [1.0, 3.0], [0.0, 0.0]])
    follower = unit * np.array([[1.0, 0.0], [0.0, 1.0], [penalty, 0.0]])
    found = sg.exact.solve(matrix(leader, follower), 0.0)
    assert found.value == pytest.approx(3.5 if penalty == 0 else 4.0, abs=1e-7)
    assert found.proved
    assert found.gap <= 1e-9


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_soft_optima_do_not_depend_on_units_or_offsets(unit: float) -> None:
    draws = np.random.default_rng(2)
    transition = draws.dirichlet(np.ones(3), (3, 2, 2))
    leader, follower = draws.integers(-8, 9, size=(2, 3, 2, 2)) / 8
    plain = TabularGame(transition, leader, follower, np.ones(3) / 3, 0.9, 0.9)
    expected = sg.exact.solve(plain, 0.1, starts=8).value
    scaled = TabularGame(transition, unit * leader, unit * follower, np.ones(3) / 3, 0.9, 0.9)
    assert sg.exact.solve(scaled, 0.1 * unit, starts=8).value / unit == pytest.approx(expected, abs=1e-7)
    moved = TabularGame(transition, leader + 1e6, follower - 1e9, np.ones(3) / 3, 0.9, 0.9)
    assert sg.exact.solve(moved, 0.1, starts=8).value - 1e7 == pytest.approx(expected, abs=1e-7)


def test_dominated_leader_actions_may_be_worth_committing_to() -> None:
    leader, follower = np.array([[1.0, 3.0], [0.0, 2.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    assert sg.exact.solve(matrix(leader[:1], follower[:1]), 0.0).value == 1.0
    assert sg.exact.solve(matrix(leader, follower), 0.0).value == 2.5


def test_duplicated_follower_actions_change_soft_responses() -> None:
    game = matrix(np.array([[1.0, 0.0]]), np.array([[0.0, 0.0]]))
    twice = matrix(np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 0.0, 0.0]]))
    values = [sg.exact.leader_objective(g, sg.TabularPolicy(g), 1.0).item() for g in (game, twice)]
    assert values == pytest.approx([1 / 2, 1 / 3])


def test_the_corpus_holds_every_kind_of_game_and_change() -> None:
    assert len(CORPUS) >= 100
    assert {name for _, names, _ in CORPUS for name in names} == set(ALL)
    games = [game for game, _, _ in CORPUS]
    assert {game.sees for game in games} == {True, False}
    assert {bool(game.terminal.any()) for game in games} == {True, False}
    assert {game.horizon for game in games} >= {None, 1, 3, 20}
    assert replace(games[0]).shape == games[0].shape

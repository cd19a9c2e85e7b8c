"""Followers: exact, truncated, learned, and deliberately wrong."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy, LinearGaussianResponse
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.learning.follower import Answer, finite
from stackelberg_games.play.rollout import TabularResponse


def table(answer: Answer) -> np.ndarray:
    assert isinstance(answer.policy, TabularResponse)
    return answer.policy.probabilities


def toy(**settings: Any) -> TabularGame:
    game = sg.make("discrete_toy-v0", **settings)
    assert isinstance(game, TabularGame)
    return game


def respond(follower_id: str, game: TabularGame, **settings: Any) -> Answer:
    follower = sg.make_follower(follower_id, **settings)
    follower.begin(game, seed=1)
    return follower.respond(game, sg.TabularPolicy(game))


def test_soft_value_iteration_is_the_exact_soft_response() -> None:
    game = toy()
    exact = sg.exact.best_response(game, sg.TabularPolicy(game), 0.05).policy
    np.testing.assert_allclose(table(respond("soft_value_iteration", game)), exact, atol=1e-12)


@pytest.mark.parametrize("sees", [True, False])
def test_many_sweeps_agree_with_the_exact_response(sees: bool) -> None:
    game = toy(follower_discount=0.9, follower_sees_action=sees)
    exact = table(respond("soft_value_iteration", game, temperature=0.5))
    for start in ("carry", "reset"):
        truncated = table(respond("soft_value_iteration", game, temperature=0.5, sweeps=400, start=start))
        np.testing.assert_allclose(truncated, exact, atol=1e-10)


def test_carried_sweeps_add_up_and_reset_ones_do_not() -> None:
    game, policy = toy(), sg.TabularPolicy(toy())
    carried = sg.make_follower("soft_value_iteration", sweeps=10)
    single = sg.make_follower("soft_value_iteration", sweeps=1)
    reset = sg.make_follower("soft_value_iteration", sweeps=1, start="reset")
    for follower in (carried, single, reset):
        follower.begin(game, seed=2)
    ten = table(carried.respond(game, policy))
    steps = [table(single.respond(game, policy)) for _ in range(10)]
    np.testing.assert_allclose(steps[-1], ten, atol=1e-12)
    resets = [table(reset.respond(game, policy)) for _ in range(2)]
    np.testing.assert_allclose(resets[0], steps[0], atol=1e-12)  # the same random first table
    assert np.abs(resets[1] - resets[0]).max() > 0.01


def test_one_sweep_is_computed_by_hand() -> None:
    """rF of DiscreteToy4 from a zero table: Q = rF + 0.99 tau log 3 everywhere, so g = softmax(rF / tau)."""
    game, follower = toy(), sg.make_follower("soft_value_iteration", sweeps=1, temperature=0.5)
    follower.begin(game, seed=0)
    follower.load_state_dict({"memory": np.zeros((3, 2, 3)), "random": follower.state_dict()["random"]})
    weights = np.exp(game.follower_reward / 0.5)
    expected = weights / weights.sum(axis=2, keepdims=True)
    np.testing.assert_allclose(table(follower.respond(game, sg.TabularPolicy(game))), expected, atol=1e-12)


def test_quantal_responds_at_its_true_temperature_and_declares_another() -> None:
    game = toy()
    answer = respond("quantal", game, temperature=0.05, factor=3.0)
    exact = sg.exact.best_response(game, sg.TabularPolicy(game), 0.15).policy
    np.testing.assert_allclose(table(answer), exact, atol=1e-12)
    assert sg.make_follower("quantal", temperature=0.05, factor=3.0).declared_temperature == 0.05


def test_best_response_is_the_limit_of_soft_ones() -> None:
    game = toy()
    policy = sg.TabularPolicy.from_probabilities(game, [[0.5, 0.5], [0.7, 0.3], [0.5, 0.5]])
    follower = sg.make_follower("best_response")
    hard = table(follower.respond(game, policy))
    soft = sg.exact.best_response(game, policy, 1e-3).policy
    strict = soft.max(axis=2) > 0.999
    assert strict[0].all()
    np.testing.assert_allclose(hard[strict], soft[strict], atol=1e-3)


@pytest.mark.parametrize("sees", [True, False])
def test_soft_q_learning_approaches_the_exact_response_as_its_budget_grows(sees: bool) -> None:
    game = toy(follower_discount=0.8, follower_sees_action=sees)
    exact = table(respond("soft_value_iteration", game, temperature=0.5))
    errors = []
    for budget in (500, 2_000_000):
        answer = respond("soft_q_learning", game, temperature=0.5, first_transitions=budget, learning_rate=0.002)
        assert answer.transitions == budget
        errors.append(np.abs(table(answer) - exact).max())
    assert errors[1] < 0.02
    assert errors[1] < errors[0] / 5


def test_soft_q_learning_spends_the_first_budget_once() -> None:
    game = toy()
    follower = sg.make_follower("soft_q_learning", first_transitions=700, transitions=30)
    follower.begin(game)
    assert [follower.respond(game, sg.TabularPolicy(game)).transitions for _ in range(3)] == [700, 30, 30]
    follower.begin(game)
    assert follower.respond(game, sg.TabularPolicy(game)).transitions == 700


def test_random_and_fixed_followers_play_what_they_say() -> None:
    game = toy()
    np.testing.assert_allclose(table(respond("random", game)), 1 / 3)
    np.testing.assert_allclose(table(respond("fixed", game))[..., 0], 1.0)
    given = np.broadcast_to([0.2, 0.3, 0.5], (3, 2, 3)).tolist()
    np.testing.assert_allclose(table(respond("fixed", game, probabilities=given)), given)
    with pytest.raises(InvalidArgumentError, match="shape"):
        respond("fixed", game, probabilities=[[[1.0]]])


@pytest.mark.parametrize(
    ("follower", "settings"),
    [
        ("soft_value_iteration", {"temperature": 0.0}),
        ("soft_value_iteration", {"sweeps": 0}),
        ("soft_value_iteration", {"start": "warm"}),
        ("quantal", {"factor": -1}),
        ("best_response", {"ties": "mine"}),
        ("soft_q_learning", {"learning_rate": 2.0}),
        ("soft_q_learning", {"transitions": 0}),
    ],
)
def test_bad_settings_are_named(follower: str, settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(settings))):
        sg.make_follower(follower, **settings)


def test_a_planner_says_that_it_needs_a_finite_game() -> None:
    with pytest.raises(UnsupportedGameError, match="str needs a game given by arrays"):
        finite(cast("sg.Game", object()), "x")


def test_an_agent_that_is_no_dataclass_is_told_so() -> None:
    class Bare(sg.Follower):
        def respond(self, game: sg.Game, commitment: sg.Commitment) -> Answer:
            raise AssertionError

    with pytest.raises(InvalidArgumentError, match="Bare is no dataclass"):
        sg.train(toy(), "random_search", Bare(), iterations=1)


def test_a_follower_of_another_temperature_than_declared_is_noisier() -> None:
    game = sg.make("lqr-v0")
    start = LinearGaussianPolicy(game, [[-9.0, -9.0]])
    follower = sg.make_follower("maxent_lqr", factor=4.0)
    warm, usual = follower.respond(game, start).policy, sg.make_follower("maxent_lqr").respond(game, start).policy
    assert follower.declared_temperature == 0.1
    assert isinstance(warm, LinearGaussianResponse)
    assert isinstance(usual, LinearGaussianResponse)
    np.testing.assert_allclose(warm.factor, 2 * usual.factor)
    np.testing.assert_allclose(warm.state_gain, usual.state_gain)

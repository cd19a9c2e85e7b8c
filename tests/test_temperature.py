"""The temperature estimated from replies: its likelihood, what it makes of a wrong belief, and what it refuses."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import stackelberg_games as sg
from stackelberg_games.envs import random_game_v0
from stackelberg_games.errors import InformationError, InvalidArgumentError, StackelbergError, UnsupportedGameError
from stackelberg_games.learning.follower import Answer, Follower
from stackelberg_games.learning.leader import told
from stackelberg_games.representations.surprise import Surprise
from stackelberg_games.representations.temperature import GRID, Thermometer
from stackelberg_games.rules.commitment import Commitment


def test_it_is_the_maximum_of_the_likelihood_with_its_interval() -> None:
    """Normal replies of variance tau have a closed form: their mean square, and an interval by the chi-squared law."""
    draws = np.random.default_rng(0).normal(scale=0.3**0.5, size=4000)
    total, count = float((draws**2).sum()), len(draws)
    found = Thermometer().read(Surprise(lambda tau: 0.5 * (total / tau + count * float(np.log(tau)))))
    assert found.value == pytest.approx(total / count, rel=2e-3)
    low, high = total / stats.chi2.ppf([0.975, 0.025], count)
    np.testing.assert_allclose([found.low, found.high], [low, high], rtol=5e-3)


def test_replies_that_say_nothing_leave_it_unbounded_and_cold_ones_bound_it_from_above() -> None:
    flat = Thermometer().read(Surprise(lambda tau: 1.0))
    assert (flat.low, flat.high) == (0.0, np.inf)
    greedy = Thermometer().read(Surprise(lambda tau: 50 * float(np.log1p(np.exp(-1 / tau)))))
    assert greedy.low == 0
    assert greedy.high < 1


@pytest.mark.parametrize("tau", [0.05, 0.4])
@pytest.mark.parametrize(
    "settings", [{}, {"configuration_size": 2, "leader_actions": 1}, {"follower_sees_action": False}]
)
def test_in_finite_games_it_is_near(settings: dict[str, Any], tau: float) -> None:
    chosen = {"leader_actions": 2, **settings}
    game = random_game_v0.game(4, chosen.pop("leader_actions"), 3, follower_discount=0.6, horizon=12, **chosen)
    follower = sg.make_follower("soft_value_iteration", temperature=tau)
    run = sg.train(game, "model_based", follower, iterations=3, episodes=300, temperature="estimated", progress=False)
    last = run.history[-1]
    assert abs(last["leader/temperature"] / tau - 1) < 0.2
    assert last["leader/temperature_low"] < last["leader/temperature"] < last["leader/temperature_high"]


def test_in_games_of_vectors_it_is_near_where_plans_move_and_few_anchors_plan() -> None:
    """Counted on these anchors, where they are fewer than the places replies are given in, replies look 1.2 to 1.9 times as hot here."""
    follower = sg.make_follower("soft_value_iteration", temperature=2.0)
    game = sg.make("pendulum_grid-v0")
    leader = sg.make_leader("model_based", planning={"steps": 30}, representation={"anchors": 300, "steps": 20})
    run = sg.train(game, leader, follower, iterations=2, episodes=10, temperature="estimated", progress=False)
    last = run.history[-1]
    assert abs(last["leader/temperature"] / 2.0 - 1) < 0.2
    assert last["leader/temperature_low"] < 2.0 < last["leader/temperature_high"]


def test_where_all_stages_pay_alike_until_play_ends_it_is_near() -> None:
    random = np.random.default_rng(0)
    kernel = np.zeros((4, 2, 2, 4))
    kernel[:3, :, :, 3] = random.uniform(0, 0.3, size=(3, 2, 2))
    kernel[:3, :, :, :3] = (1 - kernel[:3, :, :, 3:]) * random.dirichlet(np.ones(3), size=(3, 2, 2))
    kernel[3, :, :, 3] = 1.0
    paid = np.broadcast_to(np.array([1.0, 1.0, 1.0, 0.0])[:, None, None], (4, 2, 2))
    begin = np.array([1.0, 1.0, 1.0, 0.0]) / 3
    game = sg.TabularGame(kernel, paid, paid, begin, terminal=np.arange(4) == 3, follower_discount=0.95, horizon=100)
    follower = sg.make_follower("soft_value_iteration", temperature=0.5)
    run = sg.train(game, "bchg", follower, iterations=5, episodes=200, temperature="estimated", progress=False)
    assert abs(run.history[-1]["leader/temperature"] / 0.5 - 1) < 0.3


@pytest.mark.parametrize("leader", ["bchg", "model_based", "sobirl", "stackelberg_actor_critic"])
def test_in_linear_quadratic_games_it_is_exact_up_to_noise(leader: str) -> None:
    game, follower = sg.make("lqr-v0"), sg.make_follower("maxent_lqr", temperature=0.1)
    run = sg.train(game, leader, follower, iterations=3, episodes=40, temperature="estimated", progress=False)
    last = run.history[-1]
    assert last["leader/temperature_low"] < last["leader/temperature"] < last["leader/temperature_high"]
    assert abs(last["leader/temperature"] / 0.1 - 1) < 0.1


def test_it_makes_up_for_what_nobody_told() -> None:
    """Told four times the truth the leader of this game earns next to nothing."""
    game, follower = sg.make("lqr-v0"), sg.make_follower("maxent_lqr", temperature=0.1)
    values = [
        sg.train(
            game,
            sg.make_leader("bchg", learning_rate=0.1),
            follower,
            iterations=120,
            episodes=4,
            temperature=told,
            progress=False,
        ).value
        for told in (None, "estimated", 0.4)
    ]
    assert all(value is not None for value in values)
    true, estimated, wrong = map(float, values)  # type: ignore[arg-type]
    assert estimated > true - 0.02 * abs(true)
    assert wrong < estimated - 0.5 * abs(true)


def test_a_run_resumes_to_the_same_numbers(tmp_path: Any) -> None:
    def played(iterations: int, folder: str, leader: str) -> Any:
        loop: dict[str, Any] = {"episodes": 5, "temperature": "estimated", "checkpoint_every": 2, "progress": False}
        follower = sg.make_follower("soft_value_iteration", temperature=0.1)
        game, files = sg.make("discrete_toy-v0"), tmp_path / leader / folder
        return sg.train(game, leader, follower, iterations=iterations, directory=files, **loop).history

    for leader in ("bchg", "model_based"):
        whole = played(4, "whole", leader)
        played(2, "cut", leader)
        assert played(4, "cut", leader) == whole


def test_where_a_fit_errs_the_interval_is_wider_and_what_is_told_again_is_not_added_up() -> None:
    def surprise(tau: float) -> float:
        return 500 * float(np.log(tau / 0.3)) ** 2

    thermometer = Thermometer()
    for _ in range(3):
        found = thermometer.read(Surprise(surprise, True, lambda tau: 9.0))
        thermometer.value = found.value
        width = 3 * (stats.chi2.ppf(0.95, 1) / 2 / 500) ** 0.5
        np.testing.assert_allclose([found.low, found.value, found.high], 0.3 * np.exp([-width, 0, width]), rtol=5e-3)


def test_who_does_not_estimate_says_so() -> None:
    toy = sg.make("discrete_toy-v0")
    with pytest.raises(InvalidArgumentError, match="'guessed'"):
        told(toy, sg.make_leader("bchg"), "guessed")  # type: ignore[arg-type]
    with pytest.raises(UnsupportedGameError, match="bchg and model_based do"):
        told(toy, sg.make_leader("exact_gradient"), "estimated")
    assert told(toy, sg.make_leader("policy_gradient"), "estimated").temperature is None
    leader = sg.make_leader("bchg", follower_rewards="unobserved")
    with pytest.raises(UnsupportedGameError, match="common factor"):
        leader.begin(told(toy, leader, "estimated"))
    thermal, follower = sg.make("thermal_control-v0"), sg.make_follower("maxent_lqr", temperature=1.0)
    with pytest.raises(StackelbergError, match="configured_linear"):
        sg.train(thermal, "bchg", follower, iterations=1, temperature="estimated", progress=False)
    assert len(Thermometer().grid) == GRID


@dataclass
class Silent(Follower):
    """The soft-optimal follower at temperature 0.05, which does not say so."""

    def begin(self, game: sg.Game, *, seed: int = 0) -> None:
        self.inner = sg.make_follower("soft_value_iteration", temperature=0.05)
        self.inner.begin(game, seed=seed)

    def respond(self, game: sg.Game, commitment: Commitment) -> Answer:
        return Answer(self.inner.respond(game, commitment).policy)


def test_where_nobody_declares_one_it_is_estimated() -> None:
    game = sg.make("discrete_toy-v0")
    given: dict[str, Any] = {"iterations": 60, "seed": 1, "evaluate_every": 0, "progress": False}
    silent = sg.train(game, "bchg", Silent(), **given)
    assert abs(silent.history[-1]["leader/temperature"] / 0.05 - 1) < 0.2
    asked = sg.train(game, "bchg", "soft_value_iteration", temperature="estimated", **given)
    assert silent.commitment.state_dict().keys() == asked.commitment.state_dict().keys()
    for mine, other in zip(silent.commitment.parameters(), asked.commitment.parameters(), strict=True):
        assert torch.equal(mine, other)
    with pytest.raises(InformationError, match=r"give sg\.train a temperature"):
        sg.train(game, "exact_gradient", Silent(), **given)


def doubts(game_id: str, told: float, leader: str = "bchg", **loop: Any) -> list[str]:
    """Warnings of a run whose follower has the temperature 0.1."""
    follower = sg.make_follower("maxent_lqr" if game_id == "lqr-v0" else "soft_value_iteration", temperature=0.1)
    given: dict[str, Any] = {"iterations": 3, "episodes": 4, "evaluate_every": 0, "progress": False, **loop}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sg.train(sg.make(game_id), leader, follower, temperature=told, **given)
    return [str(warning.message) for warning in caught if "was declared" in str(warning.message)]


def test_replies_that_contradict_a_declared_temperature_are_reported_once_and_no_others(tmp_path: Path) -> None:
    for seed in range(20):
        assert doubts("lqr-v0", 0.1, seed=seed) == []
    for leader in ("bchg", "model_based"):
        (said,) = doubts("lqr-v0", 0.4, leader)
        assert "temperature=0.4 was declared" in said
        assert "times likelier at 0.2" in said
    assert len(doubts("lqr-v0", 0.025)) == 1
    assert doubts("lqr-v0", 0.4, "policy_gradient") == []  # it was told, and makes no use of it
    again = [doubts("lqr-v0", 0.4, iterations=count, directory=tmp_path / "run") for count in (2, 4, 6)]
    assert [len(said) for said in again] == [1, 0, 0]


def test_a_fitted_game_that_is_not_exact_doubts_nobody() -> None:
    assert doubts("four_rooms-v0", 0.1, episodes=100) == []


@pytest.mark.parametrize("temperature", [-1.0, 0.0])
def test_what_is_told_is_positive(temperature: float) -> None:
    with pytest.raises(InvalidArgumentError, match="temperature="):
        sg.train(sg.make("discrete_toy-v0"), "bchg", "soft_value_iteration", iterations=1, temperature=temperature)

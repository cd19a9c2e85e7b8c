"""Guided pendulum, guided cart and pole, and the continuous toys."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import trapezoid

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.commitments.gaussian import SquashedPolicy, TabularActions
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.envs import continuous_toy_v0, guided_cartpole_v0, guided_pendulum_v0
from stackelberg_games.errors import InvalidActionError, InvalidGameError, UnknownIdError, UnsupportedGameError
from stackelberg_games.numerics.randomness import Streams
from stackelberg_games.play.rollout import TabularResponse
from tests.checks import FALSE_ALARM

IDS = ("guided_pendulum-v0", "guided_cartpole-v0", "continuous_toy-v0")


def test_without_the_leader_the_pendulum_is_gymnasiums() -> None:
    game, reference = guided_pendulum_v0.game(), gymnasium.make("Pendulum-v1").unwrapped
    random = np.random.default_rng(0)
    reference.reset(seed=0)
    for _ in range(50):
        angle, speed, torque = random.uniform(-np.pi, np.pi), random.uniform(-8, 8), random.uniform(-2, 2)
        reference.state = np.array([angle, speed])  # type: ignore[attr-defined]
        seen, reward, *_ = reference.step(np.array([torque]))
        state = np.array([[np.cos(angle), np.sin(angle), speed]])
        step = game.step(state, np.zeros((1, 1)), np.array([[torque]]), Streams.of(0, 1), 0)
        np.testing.assert_allclose(step.states[0], seen, atol=1e-6)
        assert step.follower_rewards[0] == pytest.approx(float(reward), abs=1e-9)
        assert step.leader_rewards[0] == pytest.approx(min(np.sin(angle + np.pi), 0.0))


def test_the_leader_pushes_the_pendulum_most_where_it_is_upright() -> None:
    game = guided_pendulum_v0.game(max_push=3.0)
    states = np.array([[1.0, 0.0, 0.0], [np.cos(1.0), np.sin(1.0), 0.0]])
    still, pushed = (
        game.step(states, np.full((2, 1), wind), np.zeros((2, 1)), Streams.of(0, 2), 0).states[:, 2]
        for wind in (0.0, 1.0)
    )
    np.testing.assert_allclose(pushed - still, 0.05 * 2 * 3 * np.cos([0.0, 1.0]) ** 2)


@pytest.mark.parametrize("push", [-1.0, 1.0])
def test_without_the_leader_the_cart_is_gymnasiums(push: float) -> None:
    game, reference = guided_cartpole_v0.game(), gymnasium.make("CartPole-v1").unwrapped
    random = np.random.default_rng(1)
    reference.reset(seed=0)
    for _ in range(50):
        state = random.uniform(-0.2, 0.2, 4)
        reference.state = state  # type: ignore[attr-defined]
        seen, _, terminated, *_ = reference.step(int(push > 0))
        step = game.step(state[None], np.zeros((1, 1)), np.array([[push]]), Streams.of(0, 1), 0)
        np.testing.assert_allclose(step.states[0], seen, atol=1e-6)
        assert bool(step.terminated[0]) == terminated
        reference.reset(seed=0)


def test_wind_turns_the_pole_and_the_target_pays_the_leader() -> None:
    game = guided_cartpole_v0.game("right")
    states = np.array([[0.5, 0.0, 0.1, 0.0], [0.25, 0.0, 0.1, 0.0], [-0.5, 0.0, 0.1, 0.0]])
    still, blown = (
        game.step(states, np.full((3, 1), wind), np.zeros((3, 1)), Streams.of(0, 3), 0) for wind in (0.0, 1.0)
    )
    np.testing.assert_allclose(blown.states[:, 3] - still.states[:, 3], 0.02 * 20 * np.cos(0.1) ** 2)
    assert still.leader_rewards.tolist() == [1.0, 0.0, 0.0]  # the interval is open
    assert still.follower_rewards.tolist() == [1.0, 1.0, 1.0]
    fallen = game.step(np.array([[0.0, 0.0, 0.3, 0.0]]), np.zeros((1, 1)), np.zeros((1, 1)), Streams.of(0, 1), 0)
    assert fallen.terminated.tolist() == [True]


class _Blind:
    """The follower of the discrete toy that does not see the action, which is what a probability shows it."""

    def __init__(self, table: Any) -> None:
        self.table = TabularResponse(table)

    def sample(self, states: Any, leader_actions: Any, streams: Streams, stage: int) -> Any:
        return self.table.sample(states, np.zeros(len(states), dtype=np.int64), streams, stage)


def test_a_continuous_toy_is_the_discrete_one_with_a_follower_that_sees_the_probability() -> None:
    game = continuous_toy_v0.game("4_1b", horizon=20)
    leader = TabularActions(game)
    policy = TabularPolicy.from_probabilities(game.toy, [[0.5, 0.5]] * 3)
    response = exact.best_response(game.toy, policy, 0.3).policy
    batch = sg.rollout(game, leader, _Blind(np.ascontiguousarray(response)), episodes=4000, seed=1)
    returns = batch.leader_returns(game.leader_discount)
    wanted = exact.leader_value(game.toy, policy, response)
    assert abs(returns.mean() - wanted) < stats.norm.isf(FALSE_ALARM / 2) * returns.std(ddof=1) / len(returns) ** 0.5


def test_variant_4_1a_charges_the_leader_for_the_other_way() -> None:
    streams, start = Streams.of(0, 1), np.zeros(1, dtype=np.int64)
    paid = {
        variant: continuous_toy_v0.game(variant)
        .step(start, np.zeros((1, 1)), np.array([2]), streams, 0)
        .leader_rewards[0]
        for variant in ("4_1a", "4_1b")
    }
    assert paid == {"4_1a": -1.0, "4_1b": 0.0}


@pytest.mark.parametrize("game_id", IDS)
def test_actions_outside_their_space_are_refused(game_id: str) -> None:
    game = sg.make(game_id)
    streams = Streams.of(0, 2)
    states = game.initial(streams)
    fine = np.zeros((2, 1)), np.zeros(2, dtype=np.int64) if game_id == "continuous_toy-v0" else np.zeros((2, 1))
    for wrong in (np.full((2, 1), 2.5), np.full((2, 1), np.nan), np.zeros((1, 1)), np.array([["a"], ["b"]])):
        with pytest.raises(InvalidActionError, match="leader"):
            game.step(states, wrong, fine[1], streams, 0)
        with pytest.raises(InvalidActionError, match="follower"):
            game.step(states, fine[0], wrong, streams, 0)


@pytest.mark.parametrize("game_id", IDS)
def test_leaders_that_need_nothing_but_returns_play_them(game_id: str) -> None:
    game = sg.make(game_id, horizon=5)
    for leader in ("evolution_strategies", "random_search"):
        run = sg.train(game, leader, "black_box", iterations=3, episodes=2, progress=False)
        assert run.history[-1]["transitions"] == 3 * 2 * 5
    with pytest.raises(UnsupportedGameError):
        sg.train(game, "implicit", "black_box", iterations=1, episodes=2, temperature=0.1, progress=False)


def test_bad_settings_are_refused() -> None:
    for maker, settings in (
        (guided_pendulum_v0.game, {"max_push": 0.0}),
        (guided_cartpole_v0.game, {"target": (1.0, 0.0)}),
        (guided_cartpole_v0.game, {"max_wind": -1.0}),
    ):
        with pytest.raises(InvalidGameError):
            maker(**settings)
    with pytest.raises(UnknownIdError, match="right"):
        guided_cartpole_v0.game("rigth")
    with pytest.raises(UnknownIdError, match="4_1a"):
        continuous_toy_v0.game("4")


def test_starts_are_spread_as_documented() -> None:
    streams = Streams.of(0, 4000)
    angles = np.arctan2(*guided_pendulum_v0.game().initial(streams)[:, 1::-1].T)
    assert stats.kstest(angles, "uniform", args=(-np.pi, 2 * np.pi)).pvalue > FALSE_ALARM
    carts = guided_cartpole_v0.game().initial(streams)
    assert all(stats.kstest(column, "uniform", args=(-0.05, 0.1)).pvalue > FALSE_ALARM for column in carts.T)


def test_squashed_density_integrates_to_one_and_samples_follow_it() -> None:
    import torch

    game = guided_pendulum_v0.game()
    policy = SquashedPolicy(game, std=0.7)
    state = torch.tensor([1.0, 0.0, 0.5], dtype=torch.float64)
    grid = torch.linspace(-1 + 1e-6, 1 - 1e-6, 20_001, dtype=torch.float64)[:, None]
    density = policy.log_prob(state.expand(len(grid), 3), grid).detach().exp().numpy()
    assert trapezoid(density, grid[:, 0]) == pytest.approx(1.0, abs=1e-4)
    drawn = policy.sample(np.tile(state.numpy(), (3000, 1)), Streams.of(0, 3000), 0)[:, 0]
    cumulative = np.cumsum(density) * 1e-4
    shares = np.interp(drawn, grid[:, 0].numpy(), cumulative / cumulative[-1])
    assert stats.kstest(shares, "uniform").pvalue > FALSE_ALARM

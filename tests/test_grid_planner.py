"""The planner on a grid: interpolation, the exact soft response where the grid is the game, and its law of replies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from scipy import stats

import stackelberg_games as sg
from stackelberg_games.commitments.gaussian import SquashedPolicy
from stackelberg_games.commitments.networks import MLPCategoricalPolicy, MLPGaussianPolicy
from stackelberg_games.commitments.nodes import action_nodes
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.kinds.chart import Chart, Grid
from stackelberg_games.kinds.vector import VectorGame
from stackelberg_games.numerics.randomness import Lane, Streams
from stackelberg_games.rules.commitment import Commitment, assign, flatten
from stackelberg_games.rules.rules import Step
from tests.checks import FALSE_ALARM, counts_p_value

CHART = Chart(np.array([-1.0, 0.0, 2.0]), np.array([1.0, 4.0, 3.0]), (False, False, False))


def test_what_is_linear_in_each_coordinate_is_interpolated_without_error() -> None:
    grid, draws = Grid(CHART, (4, 3, 5)), np.random.default_rng(0)
    states = CHART.low + draws.random((50, 3)) * (CHART.high - CHART.low)

    def multilinear(x: Any) -> Any:
        return 2 + x[:, 0] - 3 * x[:, 0] * x[:, 1] + x[:, 0] * x[:, 1] * x[:, 2]

    numbers, weights = grid.corners(states)
    np.testing.assert_allclose((multilinear(grid.states)[numbers] * weights).sum(axis=1), multilinear(states))
    outside = np.array([[-5.0, 1.0, 2.5]])
    numbers, weights = grid.corners(outside)
    np.testing.assert_allclose(
        (multilinear(grid.states)[numbers] * weights).sum(), multilinear([[-1.0, 1.0, 2.5]] * np.ones((1, 1)))[0]
    )


def test_the_ends_of_a_periodic_coordinate_are_the_same_place() -> None:
    chart = Chart(np.array([-np.pi]), np.array([np.pi]), (True,))
    grid = Grid(chart, (8,))
    numbers, weights = grid.corners(np.array([[np.pi - 0.1], [-np.pi - 0.1], [3 * np.pi - 0.1]]))
    assert (numbers == numbers[0]).all()
    np.testing.assert_allclose(weights, np.broadcast_to(weights[0], weights.shape))
    assert set(numbers[0]) == {7, 0}


class Walk(VectorGame):
    """A walk on the integers from 0 to 6: the leader pushes or not, the follower goes left or right; noise now and then."""

    def __init__(self, noise: bool = False) -> None:
        self.noise = noise
        super().__init__(
            "walk-v0",
            gymnasium.spaces.Box(0.0, 6.0, (1,), np.float64),
            gymnasium.spaces.Discrete(2),
            gymnasium.spaces.Discrete(2, start=5),
            leader_discount=0.9,
            follower_discount=0.9,
            horizon=20,
        )

    def initial(self, streams: Streams) -> Any:
        return np.floor(7 * streams.uniform(Lane.ENVIRONMENT, 0))

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Streams, stage: int) -> Step:
        x, move = states[:, 0], 2 * (np.asarray(follower_actions) - 5) - 1
        end = np.clip(x + move + leader_actions, 0, 6)
        if self.noise:
            end = np.where(streams.uniform(Lane.ENVIRONMENT, stage + 1)[:, 0] < 0.5, x, end)
        paid = np.cos(x) - 0.2 * leader_actions * x
        return Step(end[:, None], -x, paid, end == 6)


def as_table(game: Walk) -> sg.TabularGame:
    transition = np.zeros((7, 2, 2, 7))
    reward = np.zeros((7, 2, 2))
    for x in range(7):
        for a in range(2):
            for b in range(2):
                step = Walk().step(np.array([[float(x)]]), np.array([a]), np.array([5 + b]), Streams.of(0, 1), 0)
                transition[x, a, b, int(step.states[0, 0])] += 0.5 if game.noise else 1.0
                transition[x, a, b, x] += 0.5 if game.noise else 0.0
                reward[x, a, b] = step.follower_rewards[0]
    start = np.append(np.full(6, 1 / 6), 0.0)
    ends = np.arange(7) == 6
    return sg.TabularGame(transition, np.zeros((7, 2, 2)), reward, start, 0.9, 0.9, 20, terminal=ends)


@pytest.mark.parametrize("noise", [False, True])
def test_where_the_grid_is_the_game_the_plan_is_the_exact_soft_response(noise: bool) -> None:
    game = Walk(noise)
    policy = MLPCategoricalPolicy(game, (3,))
    assign(policy, torch.from_numpy(np.random.default_rng(0).normal(size=len(flatten(policy)))))
    follower = sg.make_follower("grid_planner", temperature=0.3, points=7, draws=4000)
    follower.begin(game)
    answer: Any = follower.respond(game, policy).policy
    points = np.arange(7.0)[:, None]
    table = sg.TabularPolicy.from_probabilities(as_table(game), policy.log_probabilities(points).exp().detach().numpy())
    exact = sg.exact.best_response(as_table(game), table, 0.3).policy
    for a in range(2):
        got = answer.chances(points[:6], np.full(6, a))
        np.testing.assert_allclose(got, exact[:6, a], atol=0.02 if noise else 1e-5)
        logs = answer.log_prob(points[:6], np.full(6, a), np.full(6, 6))
        np.testing.assert_allclose(logs, np.log(got[:, 1]))


class Once(VectorGame):
    """One stage: the follower is paid -(b - 0.3)^2, b in [-1, 1]."""

    def __init__(self) -> None:
        box = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float64)
        super().__init__("once-v0", box, box, box, leader_discount=0.0, follower_discount=0.0, horizon=1)

    def initial(self, streams: Streams) -> Any:
        return np.zeros((len(streams.episodes), 1))

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Streams, stage: int) -> Step:
        miss = np.asarray(follower_actions)[:, 0] - 0.3
        return Step(np.asarray(states), np.zeros(len(miss)), -(miss**2), np.zeros(len(miss), np.bool_))


def test_real_replies_follow_the_boltzmann_density_and_say_so() -> None:
    game, tau = Once(), 0.18
    follower = sg.make_follower("grid_planner", temperature=tau, points=3, replies=41)
    follower.begin(game)
    answer: Any = follower.respond(game, MLPGaussianPolicy(game, ())).policy
    states = np.zeros((4000, 1))
    replies = answer.sample(states, states, Streams.of(0, 4000), 0)
    law = stats.truncnorm(-1.3 / 0.3, 0.7 / 0.3, loc=0.3, scale=0.3)  # exp(-(b - .3)^2 / tau) on [-1, 1]
    assert stats.kstest(replies[:, 0], law.cdf).pvalue > FALSE_ALARM
    np.testing.assert_allclose(
        np.exp(answer.log_prob(states, states, replies)), law.pdf(replies[:, 0]), rtol=0.05, atol=0.02
    )
    ends = answer.log_prob(states[:2], states[:2], np.array([[-1.0], [1.0]]))
    np.testing.assert_allclose(np.exp(ends), law.pdf([-1.0, 1.0]), atol=0.03)


@dataclass
class Drawn(Commitment):
    """A commitment of which nothing is known but its draws."""

    def __post_init__(self) -> None:
        super().__init__()

    __hash__ = object.__hash__

    def probabilities(self) -> Any:
        raise UnsupportedGameError("none")

    def sample(self, states: Any, streams: Streams, stage: int) -> Any:
        return 2 * streams.uniform(Lane.LEADER, stage) - 1


def test_points_that_stand_for_an_action_have_its_moments() -> None:
    game = Once()
    states = np.linspace(-1, 1, 5)[:, None]
    policy = SquashedPolicy(game, std=0.3)
    weights, actions = action_nodes(policy, game.leader_action_space, states)
    drawn = policy.sample(np.zeros((20_000, 1)), Streams.of(0, 20_000), 0)
    assert (weights * actions[..., 0]).sum(axis=1)[2] == pytest.approx(drawn.mean(), abs=0.01)
    assert (weights * actions[..., 0] ** 2).sum(axis=1)[2] == pytest.approx((drawn**2).mean(), abs=0.01)
    weights, actions = action_nodes(Drawn(), game.leader_action_space, states)
    assert weights.sum(axis=1).tolist() == [1.0] * 5
    assert len(np.unique(actions)) == actions.size


def test_a_stage_of_play_follows_the_chances() -> None:
    game = Walk()
    follower = sg.make_follower("grid_planner", temperature=0.5)
    follower.begin(game)
    answer: Any = follower.respond(game, MLPCategoricalPolicy(game)).policy
    states, leader = np.full((3000, 1), 2.5), np.ones(3000, int)
    replies = answer.sample(states, leader, Streams.of(0, 3000), 4)
    counts = np.bincount(replies - 5, minlength=2)
    assert counts_p_value(counts[None], answer.chances(states[:1], leader[:1])) > FALSE_ALARM


def test_the_guided_pendulum_is_planned_as_on_its_exact_grid() -> None:
    """The planner acts on the true state of a game that is a grid of 825 points, drawn with the weights it plans with."""
    game = sg.make("pendulum_grid-v0")
    policy = MLPCategoricalPolicy(game, ())
    exact = sg.exact.leader_objective(game, policy, 2.0).item()
    follower = sg.make_follower("soft_value_iteration", temperature=2.0)
    follower.begin(game)
    played = sg.rollout(game, policy, follower.respond(game, policy).policy, episodes=500, seed=0).leader_returns(0.98)
    assert abs(played.mean() - exact) < stats.norm.isf(FALSE_ALARM / 2) * played.std(ddof=1) / 500**0.5


def test_settings_and_games_that_do_not_fit_are_refused() -> None:
    for settings in ({"temperature": 0.0}, {"points": 2}, {"points": (9, 1)}, {"replies": 1}, {"draws": 0}):
        with pytest.raises(InvalidArgumentError):
            sg.make_follower("grid_planner", **settings)
    for name, says in (
        ("lqr-v0", "maxent_lqr"),
        ("discrete_toy-v0", "soft_value_iteration"),
        ("tax_design-v0", "soft"),
    ):
        with pytest.raises(UnsupportedGameError, match=says):
            sg.make_follower("grid_planner").begin(sg.make(name))
    with pytest.raises(InvalidArgumentError, match="4 coordinates"):
        sg.make_follower("grid_planner", points=(9, 9)).begin(sg.make("guided_cartpole-v0"))
    with pytest.raises(UnsupportedGameError, match="set points and replies"):
        sg.make_follower("grid_planner", points=40).begin(sg.make("guided_cartpole-v0"))


def test_a_follower_that_learns_is_scored_when_it_has_settled() -> None:
    follower = sg.make_follower("grid_planner", temperature=0.5)
    run = sg.train(Walk(), "fixed", follower, iterations=1, episodes=2, score_episodes=50, progress=False)
    assert run.score is not None
    assert run.score.settled
    assert (run.score.responses, run.score.follower_transitions, run.score.value) == (2, 0, run.score.moment)
    with pytest.raises(InvalidArgumentError, match="score_episodes"):
        sg.train(Walk(), "fixed", follower, iterations=1, score_episodes=-1, progress=False)

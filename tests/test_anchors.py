"""A finite game on visited states: convex combinations, covers, grids of actions, and plans that have to be proved."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

import stackelberg_games as sg
from stackelberg_games.commitments.grids import ActionGrid
from stackelberg_games.commitments.networks import MLPCategoricalPolicy, MLPGaussianPolicy
from stackelberg_games.errors import InformationError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.kinds.vector import VectorGame
from stackelberg_games.numerics.randomness import Lane, Streams
from stackelberg_games.representations.climber import RADIUS, Planning, Proven
from stackelberg_games.representations.convex import RIDGE, combinations, cover
from stackelberg_games.representations.protocol import Manner
from stackelberg_games.rules.commitment import assign, flatten
from stackelberg_games.rules.rules import Step


def test_combinations_are_the_solution_of_their_program() -> None:
    draws = np.random.default_rng(0)
    cloud, points = draws.normal(size=(200, 3)), 0.7 * draws.normal(size=(30, 3))
    numbers, weights = combinations(cloud, points, 6)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-12)
    for point, chosen, found in zip(points, numbers, weights, strict=True):
        assert set(chosen) == set(np.argsort(((cloud - point) ** 2).sum(axis=1))[:6])
        gaps = cloud[chosen] - point
        size = (gaps**2).sum(axis=1)

        def loss(w: Any, gaps: Any = gaps, size: Any = size) -> float:
            return float(((w @ gaps) ** 2).sum() / 2 + RIDGE * w @ size)

        one = {"type": "eq", "fun": lambda w: w.sum() - 1}
        best = minimize(loss, np.full(6, 1 / 6), bounds=[(0, 1)] * 6, constraints=one, options={"ftol": 1e-12}).x
        assert loss(found) <= loss(best) + 1e-3 * size.mean()


def test_points_of_the_cloud_and_points_between_are_met() -> None:
    cloud = np.array([[0.0], [1.0], [3.0], [10.0]])
    numbers, weights = combinations(cloud, np.array([[3.0], [0.25]]), 3)
    np.testing.assert_allclose((cloud[numbers][:, :, 0] * weights).sum(axis=1), [3.0, 0.25], atol=5e-3)


def test_a_cover_leaves_nothing_far() -> None:
    points = np.random.default_rng(0).normal(size=(500, 2)) ** 3
    chosen = cover(points, 60)
    assert len(set(chosen.tolist())) == 60
    drawn = np.random.default_rng(1).choice(500, 60, replace=False)
    radius, other = (cdist(points, points[some]).min(axis=1).max() for some in (chosen, drawn))
    assert radius < 0.5 * other
    gaps = cdist(points[chosen], points[chosen]) + 1e9 * np.eye(60)
    assert gaps.min() >= radius - 1e-12  # the greedy cover's points are no nearer to each other than it leaves any


def test_shares_interpolate_and_a_squashed_policy_keeps_its_mean() -> None:
    space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float64)
    grid = ActionGrid(space, np.zeros((1, 2)), (7, 5))
    actions = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, size=(40, 2)))
    shares = grid.shares(actions)
    np.testing.assert_allclose(shares.sum(dim=1), 1.0)
    np.testing.assert_allclose(shares @ torch.from_numpy(grid.vectors), actions, atol=1e-12)
    assert grid.weights.sum() == pytest.approx(1.0)
    policy = MLPGaussianPolicy((gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float64), space), ())
    assign(policy, torch.linspace(-0.6, 0.5, len(flatten(policy)), dtype=torch.float64))
    states = np.array([[0.3, -0.2], [-0.9, 0.7]])
    table = grid.policy(policy, states)
    drawn = policy.sample(np.repeat(states, 5000, axis=0), Streams.of(0, 10_000), 0).reshape(2, 5000, 2)
    np.testing.assert_allclose(table.detach().numpy() @ grid.vectors, drawn.mean(axis=1), atol=0.02)
    assert torch.autograd.grad(table[0, 0], list(policy.parameters()))[0].abs().sum() > 0


def test_commitments_are_as_far_apart_as_what_they_do() -> None:
    states = np.array([[0.3, -0.2], [-0.9, 0.7]])
    box = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float64)
    grid, policy = ActionGrid(box, np.zeros((1, 2)), (7, 5)), MLPGaussianPolicy((box, box), (), std=0.1)
    pushed: Any = copy.deepcopy(policy)
    with torch.no_grad():
        pushed.network.layers[-1].bias[0] += np.arctanh(0.5)  # one of two coordinates moves by a quarter of its range
    assert grid.distance(policy, policy, states) == 0
    assert grid.distance(policy, pushed, states) == pytest.approx(0.125, abs=0.002)
    few = gymnasium.spaces.Discrete(3)
    other: Any = MLPCategoricalPolicy((box, few), ())
    with torch.no_grad():
        other.network.layers[-1].bias[0] = np.log(4.0)  # 2/3, 1/6, 1/6
    table = ActionGrid(few, np.zeros((1, 3)), (7,))
    assert table.distance(MLPCategoricalPolicy((box, few), ()), other, states) == pytest.approx(1 / 3)


def test_real_actions_without_bounds_span_what_was_seen() -> None:
    grid = ActionGrid(gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64), np.array([[-2.0], [4.0]]), (3,))
    assert grid.vectors[:, 0].tolist() == [-2.0, 1.0, 4.0]


class Brink(VectorGame):
    """A point on a line that both push; play ends beyond 1."""

    def __init__(self, size: int = 1) -> None:
        box = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float64)
        states = gymnasium.spaces.Box(-3.0, 3.0, (size,), np.float64)
        super().__init__("brink-v0", states, box, box, leader_discount=0.9, follower_discount=0.9, horizon=8)

    def initial(self, streams: Streams) -> Any:
        return np.repeat(streams.uniform(Lane.ENVIRONMENT, 0), self.state_space.shape[0], axis=1)  # type: ignore[index]

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Streams, stage: int) -> Step:
        moved = np.asarray(states) + 0.3 * np.asarray(leader_actions) + 0.3 * np.asarray(follower_actions)
        paid = -(np.asarray(states)[:, 0] ** 2)
        return Step(moved, -np.abs(moved[:, 0] - 0.5), paid, moved[:, 0] > 1)


def test_the_fitted_game_ends_where_play_ended() -> None:
    game = Brink()
    follower = sg.make_follower("grid_planner", temperature=0.5)
    follower.begin(game)
    leader: Any = sg.make_leader("model_based")
    leader.begin(game.view(0.5))
    batch = sg.rollout(game, leader.commitment, follower.respond(game, leader.commitment).policy, episodes=200, seed=0)
    assert batch.terminated.any()
    leader.learned.observe(sg.Evidence(batch.leader_returns(0.9), batch), leader.commitment)
    fitted = leader.learned.fitted()
    going = fitted.kernel.expected(np.ones(fitted.shape[0]))
    far, near = fitted.states[:, 0] > 0.9, fitted.states[:, 0] < 0
    assert going[far, -1, -1].max() < 0.2  # both push across
    assert going[near].min() > 0.9
    value = fitted.objective(leader.commitment, 0.5)[0]
    assert value == pytest.approx(batch.leader_returns(0.9).mean(), abs=0.25)


def test_anchors_lie_where_deviations_would_lead() -> None:
    """On visited states alone, what was never done would lead back to them."""
    game = Brink()
    leader: Any = sg.make_leader("model_based", representation={"anchors": 100})
    leader.begin(game.view(0.5))
    follower = sg.make_follower("grid_planner", temperature=0.5)
    follower.begin(game)
    batch = sg.rollout(game, leader.commitment, follower.respond(game, leader.commitment).policy, episodes=40, seed=0)
    leader.learned.observe(sg.Evidence(batch.leader_returns(0.9), batch), leader.commitment)
    fitted = leader.learned.fitted()
    lowest, points = batch.states[:, :-1][batch.mask].min(), fitted.features[:, 0]
    assert points.min() < lowest - 0.8  # two stages of both pushing down
    at = int(np.abs(points - lowest).argmin())
    assert fitted.kernel.expected(points)[at, 0, 0] == pytest.approx(points[at] - 0.6, abs=0.15)


class Flat:
    """A fitted game of one number: the value is what the parameters add up to."""

    def objective(self, commitment: Any, temperature: float, share: float = 1.0) -> tuple[float, torch.Tensor]:
        value = sum(parameter.sum() for parameter in commitment.parameters())
        return float(value.detach()), value

    def distance(self, one: Any, other: Any) -> float:
        return float((flatten(one) - flatten(other)).abs().max())


def test_plans_are_bounded_and_have_to_be_proved() -> None:
    commitment = sg.TabularPolicy((2, 2))
    learned: Any = type("Learned", (), {"fitted": lambda self: Flat()})()
    manner = Manner(keeps=True, fresh=True, proves=True)
    planner = Proven(Planning(rate=0.05, steps=100), commitment, 1.0, 0, manner)
    first = flatten(commitment)
    planner.improve(learned, np.array([1.0, 1.2, 0.8]))
    gone = float((flatten(commitment) - first).abs().max())
    assert 0 < gone <= RADIUS
    second = flatten(commitment)
    figures = planner.improve(learned, np.array([-5.0, -5.2, -4.8]))  # it does not hold what it promised
    assert figures["confirmed"] == 0
    assert torch.equal(flatten(planner.recommendation(learned)), first)
    assert float((flatten(commitment) - first).abs().max()) < gone
    assert planner.improve(learned, np.array([2.0, 2.1, 1.9]))["confirmed"] == 1
    assert not torch.equal(flatten(planner.recommendation(learned)), second)
    again = Proven(Planning(rate=0.05, steps=100), commitment, 1.0, 0, manner)
    again.load_state_dict(planner.state_dict())
    assert torch.equal(flatten(again.recommendation(learned)), flatten(planner.recommendation(learned)))


def test_what_cannot_be_modelled_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="anchors"):
        sg.make_leader("model_based", representation={"anchors": 1}).begin(sg.make("guided_pendulum-v0").view(1.0))
    with pytest.raises(UnsupportedGameError, match=r"7 coordinates.*bchg"):
        sg.make_leader("model_based").begin(Brink(7).view(1.0))
    with pytest.raises(UnsupportedGameError, match=r"lever.*bchg"):
        sg.make_leader("model_based").begin(sg.make("tax_design-v0", form="continuous").view(1.0))
    wide = gymnasium.spaces.Box(-1.0, 1.0, (4,), np.float64)
    with pytest.raises(UnsupportedGameError, match="3 coordinates"):
        ActionGrid(wide, np.zeros((1, 4)), (7, 4, 3))
    follower = sg.make_follower("grid_planner", temperature=1.0)
    leader: Any = sg.make_leader("model_based")
    leader.begin(Brink().view(1.0))
    follower.begin(Brink())
    answer = follower.respond(Brink(), leader.commitment)
    batch = sg.rollout(Brink(), leader.commitment, answer.policy, episodes=2).without_follower_rewards()
    evidence = sg.Evidence(batch.leader_returns(0.9), batch)
    with pytest.raises(InformationError, match="follower's rewards"):
        leader.learned.observe(evidence, leader.commitment)

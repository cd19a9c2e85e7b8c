"""Two players on one number: the best committed gain and the feedback solution, each in two ways that share no code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

import stackelberg_games as sg
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy
from stackelberg_games.envs.lq_scalar_v0 import feedback
from stackelberg_games.errors import InvalidGameError, UnsupportedGameError
from stackelberg_games.kinds.linear_quadratic import LinearGaussianGame
from stackelberg_games.numerics.randomness import Streams

DISCOUNT, STATE, CONTROL = 0.95, 0.2, 0.5
COMMITTED, GAIN = 1.3537198, -0.271962
TEMPERATURE = 1e-9
"""At which the follower hardly errs."""


def made(**settings: Any) -> LinearGaussianGame:
    game = sg.make("lq_scalar-v0", **settings)
    assert isinstance(game, LinearGaussianGame)
    return game


def committed(gain: float, std: float = 1e-9) -> LinearGaussianPolicy:
    return LinearGaussianPolicy((1, 1), np.array([[gain]]), std=std)


def closed_form(gain: float) -> float:
    """The leader's cost of a gain: P solves g P^2 + (R (1 - g d^2) - g Q) P - Q R = 0 with d = 1 + l."""
    kept = 1 + gain
    linear = CONTROL * (1 - DISCOUNT * kept**2) - DISCOUNT * STATE
    value = (-linear + np.sqrt(linear**2 + 4 * DISCOUNT * STATE * CONTROL)) / (2 * DISCOUNT)
    left = kept * CONTROL / (CONTROL + DISCOUNT * value)
    return float((1 + gain**2) / (1 - DISCOUNT * left**2))


def test_the_best_committed_gain_in_two_ways() -> None:
    found = minimize_scalar(closed_form, bounds=(-1.5, 0.5), method="bounded", options={"xatol": 1e-12})
    assert found.fun == pytest.approx(COMMITTED, abs=5e-8)
    assert found.x == pytest.approx(GAIN, abs=1e-6)
    grid = np.linspace(-1.5, 0.5, 4001)
    assert min(map(closed_form, grid)) >= found.fun - 1e-12
    game, commitment = made(), committed(0.0)
    optimizer = torch.optim.LBFGS(commitment.parameters(), line_search_fn="strong_wolfe", tolerance_grad=1e-10)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = -sg.exact.leader_objective(game, commitment, TEMPERATURE)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    for _ in range(3):
        ended = optimizer.step(loss)  # type: ignore[no-untyped-call]
    assert ended.item() == pytest.approx(COMMITTED, abs=2e-7)
    assert commitment.gain.item() == pytest.approx(GAIN, abs=2e-6)


def test_the_feedback_solution_agrees_with_nested_minimisation() -> None:
    """Stages one by one from the end, both players' best actions found by a search and not by a formula."""
    leader = follower = 0.0
    gain = 0.0
    options = {"xatol": 1e-10}
    for _ in range(60):

        def reply(a: float, follower: float = follower) -> float:
            worth = lambda u: CONTROL * u**2 + DISCOUNT * follower * (1 + a + u) ** 2
            return float(minimize_scalar(worth, bounds=(-2, 2), method="bounded", options=options).x)

        def cost(a: float, leader: float = leader, reply: Any = reply) -> float:
            return float(1 + a**2 + DISCOUNT * leader * (1 + a + reply(a)) ** 2)

        gain = float(minimize_scalar(cost, bounds=(-1, 1), method="bounded", options=options).x)
        answer = reply(gain)
        leader, follower = cost(gain), STATE + CONTROL * answer**2 + DISCOUNT * follower * (1 + gain + answer) ** 2
    solved = feedback()
    assert tuple(solved) == pytest.approx((-0.3617186, 1.3617186), abs=1e-7)
    assert leader == pytest.approx(solved.cost, abs=1e-6)
    assert gain == pytest.approx(solved.gain, abs=1e-4)  # a search finds a minimum to half the digits of its value
    assert solved.cost > COMMITTED + 0.007  # to be bound is worth something
    assert closed_form(solved.gain) == pytest.approx(solved.cost, abs=1e-9)  # committed to, it is answered alike


@pytest.mark.parametrize("horizon", [None, 7])
def test_values_and_hypergradient_with_effort(horizon: int | None) -> None:
    game, commitment = made(horizon=horizon), committed(-0.4, std=0.3)
    value = sg.exact.leader_objective(game, commitment, 0.1)
    (slope,) = torch.autograd.grad(value, list(commitment.parameters()))
    step = 1e-6
    ends = [sg.exact.leader_objective(game, committed(-0.4 + way, std=0.3), 0.1).item() for way in (step, -step)]
    assert slope.item() == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6)
    follower = sg.make_follower("maxent_lqr", temperature=0.1)
    follower.begin(game)
    answer = follower.respond(game, commitment).policy
    batch = sg.rollout(game, commitment, answer, episodes=4000, seed=1, stages=horizon or 200)
    returns = batch.leader_returns(game.leader_discount)
    assert abs(returns.mean() - value.item()) < 4 * returns.std() / 4000**0.5
    stage = game.step(
        batch.states[:, 0], batch.leader_actions[:, 0], batch.follower_actions[:, 0], Streams.of(1, 4000, 0), 0
    )
    np.testing.assert_allclose(stage.leader_rewards, batch.leader_rewards[:, 0], atol=1e-12)
    earned = -(batch.states[:, :-1, 0] ** 2) - batch.leader_actions[:, :, 0] ** 2
    np.testing.assert_allclose(batch.leader_rewards, earned, atol=1e-12)


@pytest.mark.parametrize("leader", ["bchg", "hpgd", "model_based"])
def test_leaders_from_trajectories_count_what_their_action_costs(leader: str) -> None:
    report = sg.gradient_check(
        made(), leader, sg.make_follower("maxent_lqr", temperature=0.01), commitment=committed(-0.1, std=1e-2), batches=20,
        episodes=50, seed=0,
    )  # fmt: skip
    assert report.cosine == pytest.approx(1.0)
    assert abs(report.mean - report.exact).max() < 4 * report.standard_error.max() + 1e-9


def test_leaders_that_differentiate_the_followers_steps_count_it_too() -> None:
    game = made(horizon=50)
    report = sg.gradient_check(
        game, sg.make_leader("stackelberg_actor_critic"), sg.make_follower("maxent_lqr", temperature=0.01),
        commitment=committed(-0.1, std=1e-2), batches=10, episodes=50, seed=0,
    )  # fmt: skip
    assert report.cosine == pytest.approx(1.0)
    assert abs(report.mean - report.exact).max() < 0.02 * abs(report.exact).max()


def test_a_backup_without_a_closed_form_is_refused() -> None:
    with pytest.raises(UnsupportedGameError, match="pays for its action"):
        sg.train(made(), "bi_actor_critic", "maxent_lqr", iterations=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"effort": 0.0}, "effort"),
        ({"effort": -1.0}, "effort"),
        ({"control_cost": 0.0}, "R must"),
        ({"discount": 1.0}, "discount"),
    ],
)
def test_numbers_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidGameError, match=message):
        made(**settings)


def test_games_are_told_apart_by_what_the_leader_pays() -> None:
    assert made().fingerprint() != made(effort=2.0).fingerprint()


@pytest.mark.parametrize("settings", [{"effort": -1.0}, {"control_cost": 0.0}, {"state_cost": "a"}, {"discount": 1.0}])
def test_the_feedback_solution_refuses_what_the_game_refuses(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidGameError, match=next(iter(settings))):
        feedback(**settings)

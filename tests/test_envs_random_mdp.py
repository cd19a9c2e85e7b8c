from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.envs.random_mdp_v0 import RandomMDP, instance
from stackelberg_games.errors import InvalidGameError


def made(**settings: Any) -> RandomMDP:
    game = sg.make("random_mdp-v0", **settings)
    assert isinstance(game, RandomMDP)
    return game


def test_the_instance_of_seed_3_is_the_published_draw_order() -> None:
    problem = instance(seed=3)
    assert problem.coefficients.sum() == pytest.approx(11.880591674379865, rel=1e-15)
    assert problem.coefficients.max() == pytest.approx(0.745170606088208, rel=1e-15)
    np.testing.assert_allclose(problem.coefficients[0, 0], 0.69127474, atol=5e-9)
    assert problem.form.sum() == pytest.approx(151.95197357284084, rel=1e-12)
    assert np.linalg.norm(problem.form) == pytest.approx(99.6778278974786, rel=1e-14)
    assert problem.start.sum() == pytest.approx(-5.595171682351634, rel=1e-13)
    assert problem.start @ problem.form @ problem.start == pytest.approx(-82.68628666043638, rel=1e-13)
    assert (problem.transition[0] > 0).sum(axis=1).tolist() == [9, 2, 1, 3, 4]
    np.testing.assert_allclose(problem.transition.sum(axis=2), 1.0, atol=1e-15)


def test_the_value_is_minus_f_and_the_optimum_is_minus_one() -> None:
    game = made()
    commitment = game.commitment(0)
    x, response = commitment.configuration(), exact.best_response(game, commitment, 1.0).policy
    f = 0.5 * float(x.detach().square().sum()) + 0.5 * (response**2).sum()
    assert f == pytest.approx(51.278574, abs=5e-7)  # phi(x_0) of the reference run
    assert float(exact.leader_objective(game, commitment, 1.0).detach()) == pytest.approx(-f, rel=1e-12)
    with torch.no_grad():
        commitment.weights.zero_()
    commitment.zero_grad()
    best = exact.leader_objective(game, commitment, 1.0)
    best.backward()  # type: ignore[no-untyped-call]
    assert commitment.weights.grad is not None
    assert float(best.detach()) == pytest.approx(-1.0, rel=1e-12)
    assert float(commitment.weights.grad.abs().max()) < 1e-12


@pytest.mark.parametrize("scale", [0.1, 0.3, 1.0])
def test_exact_and_implicit_hypergradients_agree_with_finite_differences(scale: float) -> None:
    game = made(states=6, actions=3, size=12, seed=5)
    commitment = game.commitment(0)
    with torch.no_grad():
        commitment.weights.mul_(scale)
    exact.leader_objective(game, commitment, 1.0).backward()  # type: ignore[no-untyped-call]
    assert commitment.weights.grad is not None
    gradient = commitment.weights.grad.numpy().copy()
    leader = sg.make_leader("implicit")
    assert isinstance(leader, sg.GradientLeader)
    leader.begin(game.view(1.0), commitment=commitment)
    evidence = sg.Evidence(np.zeros(1), game=game)
    np.testing.assert_allclose(leader.estimate(evidence).numpy(), gradient, rtol=1e-9, atol=1e-11)
    direction = np.random.default_rng(0).normal(size=12)
    start, step = commitment.weights.detach().clone(), 1e-5
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            commitment.weights.copy_(start + sign * step * torch.from_numpy(direction))
        values.append(float(exact.leader_objective(game, commitment, 1.0).detach()))
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(gradient @ direction, rel=1e-5)


def test_sampled_returns_have_mean_minus_f() -> None:
    game = made()
    commitment = game.commitment(0)
    with torch.no_grad():
        commitment.weights.mul_(0.3)
    response = sg.TabularResponse(np.ascontiguousarray(exact.best_response(game, commitment, 1.0).policy))
    returns = sg.rollout(game, commitment, response, episodes=4000, seed=1).leader_returns()
    value = float(exact.leader_objective(game, commitment, 1.0).detach())
    assert returns.std() > 0.1
    assert abs(returns.mean() - value) < 4 * returns.std() / 4000**0.5


def test_bchg_estimates_the_hypergradient_of_f_from_trajectories_alone() -> None:
    game = made(states=5, actions=3, size=8, seed=3)
    commitment = game.commitment(0)
    with torch.no_grad():
        commitment.weights.mul_(1.2)
    follower = sg.make_follower("soft_value_iteration", temperature=1.0)
    report = sg.gradient_check(game, "bchg", follower, commitment=commitment, batches=40, episodes=2000, seed=2)
    naive = sg.gradient_check(game, "policy_gradient", follower, commitment=commitment, batches=2, episodes=10)
    assert report.p_value > 1e-3
    assert naive.relative_bias > 0.1
    assert report.relative_bias < 0.01


@pytest.mark.parametrize("settings", [{"horizon": 2}, {"temperature": 0.0}, {"states": 1}, {"size": 0}, {"seed": -1}])
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidGameError):
        made(**settings)

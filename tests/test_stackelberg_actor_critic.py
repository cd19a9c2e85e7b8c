"""The total derivative against exact hypergradients, and the leader that follows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy
from stackelberg_games.errors import InvalidArgumentError, SolverError, UnsupportedGameError
from stackelberg_games.exact.linear_players import linear_objectives
from stackelberg_games.exact.objective import best_response
from stackelberg_games.exact.players import TINY, Objectives
from stackelberg_games.exact.total_derivative import conjugate_gradients, total_surrogate
from tests.linear_games import linear_game
from tests.random_games import case, gradient

TAU = 0.1
FINITE = [index for index in range(30) if (index // 2) % 4 == 0]  # games that the leader does not configure


@pytest.mark.parametrize("index", FINITE)
def test_in_finite_games_it_is_the_exact_hypergradient_at_the_response(index: int) -> None:
    made = case(index)
    solved = best_response(made.game, made.commitment, made.temperature).policy
    given = torch.tensor(solved if made.game.follower_sees_action else solved[:, :1])
    logits = torch.log(given.clamp_min(TINY)).requires_grad_()
    objectives = Objectives(made.arrays, made.game.initial_tensor, made.game.horizon)
    leader, follower = objectives(made.commitment.probabilities(), logits, made.temperature)
    assert float(leader.detach()) == pytest.approx(made.objective())
    (slope,) = torch.autograd.grad(follower, logits, retain_graph=True)
    assert float(slope.abs().max()) < 1e-10  # the first-order condition
    exact, partial = made.gradient(), gradient(made.commitment, leader)
    total = gradient(made.commitment, total_surrogate(leader, follower, logits))
    np.testing.assert_allclose(total, exact, rtol=1e-6, atol=1e-7 * np.abs(exact).max())
    timid = gradient(made.commitment, total_surrogate(leader, follower, logits, regularisation=1e9))
    np.testing.assert_allclose(timid, partial, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("seed", [seed for seed in range(12) if not linear_game(seed)[0].shared])
def test_in_linear_games_it_is_the_exact_hypergradient_at_the_response(seed: int) -> None:
    game, policy = linear_game(seed)
    solved = game.response(policy, TAU)
    response = torch.cat([solved.gain, torch.linalg.cholesky(solved.covariance)], dim=1).detach().requires_grad_()
    leader, follower = linear_objectives(game, policy, response, TAU)
    assert float(leader.detach()) == pytest.approx(float(game.leader_objective(policy, TAU).detach()))
    exact = gradient(policy, game.leader_objective(policy, TAU))
    np.testing.assert_allclose(gradient(policy, total_surrogate(leader, follower, response)), exact, rtol=1e-8)


def test_conjugate_gradients_solve_and_stop_where_nothing_curves() -> None:
    root = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 4)))
    matrix, right = root @ root.T, root @ torch.arange(1.0, 5.0, dtype=torch.float64)  # singular, consistent
    found = conjugate_gradients(lambda vector: matrix @ vector, right)
    np.testing.assert_allclose(found, torch.linalg.pinv(matrix) @ right, rtol=1e-6, atol=1e-8)
    assert not conjugate_gradients(lambda vector: -vector, right).any()
    assert not conjugate_gradients(lambda vector: vector, torch.zeros(3)).any()


def test_from_trajectories_and_the_followers_policy_its_gradient_is_the_exact_one() -> None:
    lqr, toy = sg.make("lqr-v0"), sg.make("discrete_toy-v0")
    start = LinearGaussianPolicy(lqr, [[-8.0, -9.0]])
    assert sg.gradient_check(
        lqr, "stackelberg_actor_critic", "maxent_lqr", commitment=start, batches=3
    ).relative_bias < (1e-8)
    report = sg.gradient_check(toy, "stackelberg_actor_critic", batches=4, episodes=100)
    assert report.relative_bias < 1e-3
    leader = sg.make_leader("stackelberg_actor_critic", reads="none")
    assert leader.information is sg.Information.TRAJECTORIES
    few, many = (sg.gradient_check(toy, leader, batches=8, episodes=episodes) for episodes in (5, 500))
    assert many.relative_bias < 0.05
    assert many.relative_deviation < 0.5 * few.relative_deviation


@pytest.mark.parametrize("reads", ["policy", "none"])
def test_it_reaches_the_optimum_of_the_linear_quadratic_game(reads: str) -> None:
    game = sg.make("lqr-v0")
    leader = sg.make_leader("stackelberg_actor_critic", learning_rate=0.1, reads=reads)
    run = sg.train(game, leader, "maxent_lqr", iterations=250, episodes=4, evaluate_every=0, progress=False)
    assert float(game.leader_objective(run.commitment, TAU, discount=1.0).detach()) > 18.0


@pytest.mark.parametrize(("game_id", "follower"), [("lqr-v0", "maxent_lqr"), ("matrix-v0", "soft_value_iteration")])
def test_a_resumed_run_gives_the_same_numbers(game_id: str, follower: str, tmp_path: Path) -> None:
    def played(iterations: int, folder: str) -> sg.Run:
        leader = sg.make_leader("stackelberg_actor_critic", reads="none")
        settings = {"iterations": iterations, "directory": tmp_path / folder, "checkpoint_every": 2}
        return sg.train(sg.make(game_id), leader, follower, progress=False, **settings)  # type: ignore[arg-type]

    whole = played(4, "whole")
    played(2, "cut")
    assert played(4, "cut").history == whole.history


def test_what_it_cannot_do_is_said() -> None:
    for settings in ({"regularisation": -1.0}, {"reads": "values"}):
        with pytest.raises(InvalidArgumentError):
            sg.make_leader("stackelberg_actor_critic", **settings)
    with pytest.raises(UnsupportedGameError, match="reads='none'"):
        sg.make_leader("stackelberg_actor_critic").begin(sg.make("guided_pendulum-v0").view(TAU))
    game = sg.make("lqr-v0", plant={"A": [[3.0, 0.0], [0.0, 3.0]]})
    with pytest.raises(SolverError, match="infinite"):
        linear_objectives(game, LinearGaussianPolicy(game), torch.ones(1, 3, dtype=torch.float64), TAU)  # type: ignore[arg-type]

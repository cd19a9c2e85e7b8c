"""Inferring the follower's rewards from its actions, and leaders that do so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.envs import lqr_v0, random_game_v0
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.exact.inverse import SoftInverse
from stackelberg_games.exact.linear_inverse import LinearInverse
from stackelberg_games.exact.objective import best_response
from stackelberg_games.exact.response import Arrays
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.rules.commitment import flatten

TAU = 0.3


def small(sees: bool = True, seed: int = 0) -> TabularGame:
    return random_game_v0.game(
        3,
        2,
        2,
        transitions={"branching": 2},
        seed=seed,
        leader_discount=0.8,
        follower_discount=0.8,
        follower_sees_action=sees,
    )


def policies(game: TabularGame, count: int) -> list[TabularPolicy]:
    random = np.random.default_rng(3)
    return [TabularPolicy(game, 1.5 * random.normal(size=(game.states, game.leader_actions))) for _ in range(count)]


def arrays(game: TabularGame, policy: TabularPolicy) -> Arrays:
    with torch.no_grad():
        return Arrays.of(game, game.model(policy))


def hypergradient(game: TabularGame, policy: TabularPolicy) -> Any:
    (found,) = torch.autograd.grad(exact.leader_objective(game, policy, TAU), list(policy.parameters()))
    return found.numpy()


def rewarded(game: TabularGame, reward: Any) -> TabularGame:
    tables = game.tables()
    return TabularGame(
        tables.transition.numpy(),
        tables.leader_reward.numpy(),
        reward,
        game.initial_distribution,
        0.8,
        0.8,
        follower_sees_action=game.follower_sees_action,
    )


def test_behaviour_under_one_commitment_does_not_determine_the_hypergradient() -> None:
    game, policy = small(), policies(small(), 1)[0]
    solved, given = best_response(game, policy, TAU), arrays(game, policy)
    values = np.random.default_rng(1).normal(size=(3, 2))  # any values V(s, a) will do
    ahead = given.transition @ (given.policy * values).sum(axis=1)
    other = rewarded(game, TAU * np.log(solved.policy) + values[:, :, None] - 0.8 * ahead)
    np.testing.assert_allclose(best_response(other, policy, TAU).policy, solved.policy, rtol=1e-9)
    gap = np.abs(hypergradient(other, policy) - hypergradient(game, policy)).max()
    assert gap > 0.1 * np.abs(hypergradient(game, policy)).max()


@pytest.mark.parametrize("sees", [True, False])
def test_behaviour_under_many_commitments_determines_the_response_and_the_hypergradient(sees: bool) -> None:
    game = small(sees)
    inverse = SoftInverse((3, 2, 2), TAU, deviation=30.0, steps=1000)
    for policy in policies(game, 12):
        joint = policy.probabilities().detach().numpy()[:, :, None] * best_response(game, policy, TAU).policy
        inverse.observe(policy.probabilities().detach().numpy(), 1e6 * joint)  # as if seen a million times
    for _ in range(3):
        reward = inverse.fit(arrays(game, policy))
    found = rewarded(game, reward)
    unseen = policies(game, 13)[-1]
    np.testing.assert_allclose(
        best_response(found, unseen, TAU).policy, best_response(game, unseen, TAU).policy, atol=5e-3
    )
    truth = hypergradient(game, unseen)
    np.testing.assert_allclose(hypergradient(found, unseen), truth, atol=0.03 * np.abs(truth).max())


@pytest.mark.parametrize("sees", [True, False])
def test_the_gradient_of_the_likelihood_is_that_of_differences(sees: bool) -> None:
    game = small(sees, seed=4)
    random = np.random.default_rng(0)
    inverse = SoftInverse((3, 2, 2), TAU)
    for policy in policies(game, 3):
        inverse.observe(policy.probabilities().detach().numpy(), random.integers(0, 9, size=(3, 2, 2)).astype(float))
    given, point = arrays(game, policy), random.normal(size=12)
    slope = approx_fprime(point, lambda flat: inverse._loss(given, flat)[0], 1e-6)
    np.testing.assert_allclose(inverse._loss(given, point)[1], slope, rtol=1e-4, atol=1e-4)


def test_the_costs_of_a_linear_quadratic_follower_are_found_from_its_actions() -> None:
    game = lqr_v0.game(
        plant={"A": [[0.5, 1.0], [-0.3, 0.4]]}, cost={"Q": [[3.0, 0.5], [0.5, 0.8]], "R": [[0.2]]}, noise=0.1
    )
    inverse = LinearInverse((2, 1, 1), 0.1, steps=200)
    follower = sg.make_follower("maxent_lqr")
    for number, gain in enumerate(([[0.5, 0.5]], [[-2.0, 0.0]], [[0.0, -3.0]], [[1.0, -1.0]])):
        policy = LinearGaussianPolicy(game, gain, std=0.5)
        batch = sg.rollout(game, policy, follower.respond(game, policy).policy, episodes=60, seed=number)
        inverse.observe(policy, batch.without_follower_rewards())
    cost = inverse.fit(game)
    np.testing.assert_allclose(np.asarray(cost.control), np.asarray(game.control_cost), rtol=0.1)
    found = lqr_v0.game(plant={"A": game.state_matrix}, cost={"Q": cost.state, "R": cost.control}, noise=0.1)
    unseen = LinearGaussianPolicy(game, [[-1.0, 0.5]], std=0.5)
    answers, slopes = [], []
    for each in (found, game):
        answers.append(each.response(unseen, 0.1).gain.detach())
        slopes.append(torch.autograd.grad(each.leader_objective(unseen, 0.1), [unseen.gain])[0])
    np.testing.assert_allclose(answers[0], answers[1], atol=0.03 * float(answers[1].abs().max()))
    np.testing.assert_allclose(slopes[0], slopes[1], atol=0.1 * float(slopes[1].abs().max()))


def test_where_the_leader_configures_known_rewards_nothing_is_lost() -> None:
    plan = "xxxxxxx\nxS   Gx\nx xxx x\nx  T  x\nxxxxxxx"
    game = sg.make("four_rooms-v0", plan=plan)
    follower = sg.make_follower("soft_value_iteration", temperature=0.05)

    def history(rewards: str) -> list[Any]:
        leader = sg.make_leader("bchg", follower_rewards=rewards)
        assert leader.granted_follower_rewards == (rewards == "observed")
        run = sg.train(game, leader, follower, iterations=3, episodes=4, stages=15, progress=False, evaluate_every=0)
        return [run.history, flatten(run.commitment).tolist()]

    assert history("observed") == history("unobserved")
    with pytest.raises(UnsupportedGameError, match="inferred"):
        sg.make_leader("model_based", follower_rewards="unobserved").begin(game.view(0.05))


@pytest.mark.parametrize("name", ["bchg", "model_based"])
def test_on_the_toy_game_nothing_is_lost_at_a_wrong_temperature_either(name: str) -> None:
    leader = sg.make_leader(name, follower_rewards="unobserved")
    game = sg.make("discrete_toy-v0")
    run = sg.train(
        game, leader, "soft_value_iteration", iterations=120, temperature=0.2, evaluate_every=0, progress=False
    )
    assert run.value is not None
    assert run.value > 27.2  # the optimum is 27.32


@pytest.mark.parametrize(
    ("name", "game_id", "follower"),
    [
        ("bchg", "matrix-v0", "soft_value_iteration"),
        ("bchg", "lqr-v0", "maxent_lqr"),
        ("model_based", "lqr-v0", "maxent_lqr"),
    ],
)
def test_a_resumed_run_gives_the_same_numbers(name: str, game_id: str, follower: str, tmp_path: Path) -> None:
    def played(iterations: int, folder: str) -> Any:
        leader = sg.make_leader(name, follower_rewards="unobserved")
        assert leader.information is sg.Information.TRAJECTORIES
        return sg.train(
            sg.make(game_id),
            leader,
            follower,
            iterations=iterations,
            directory=tmp_path / folder,
            checkpoint_every=2,
            progress=False,
        ).history

    whole = played(4, "whole")
    played(2, "cut")
    assert played(4, "cut") == whole


def test_what_cannot_be_inferred_is_said() -> None:
    with pytest.raises(InvalidArgumentError, match="follower_rewards"):
        sg.make_leader("bchg", follower_rewards="guessed")
    for game_id in ("thermal_control-v0", "guided_pendulum-v0"):
        with pytest.raises(UnsupportedGameError):
            sg.make_leader("bchg", follower_rewards="unobserved").begin(sg.make(game_id).view(TAU))

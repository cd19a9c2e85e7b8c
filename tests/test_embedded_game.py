"""Finite games shown as points: what the table of the same game says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.commitments.networks import MLPCategoricalPolicy, MLPGaussianPolicy
from stackelberg_games.errors import (
    InvalidActionError,
    InvalidArgumentError,
    InvalidGameError,
    UnsupportedGameError,
)
from stackelberg_games.kinds.embedded import EmbeddedGame
from stackelberg_games.numerics.randomness import Streams
from stackelberg_games.rules.commitment import assign, flatten
from tests.truths import flat

TAU = 0.4


def made(horizon: int | None = 12, **changes: Any) -> EmbeddedGame:
    draws = np.random.default_rng(0)
    parts: dict[str, Any] = {
        "points": draws.normal(size=(6, 3)),
        "successors": np.sort(draws.permuted(np.broadcast_to(np.arange(6), (6, 2, 3, 6)), axis=3)[..., :2], axis=3),
        "probability": draws.dirichlet([1.0, 1.0], size=(6, 2, 3)),
        "leader_reward": draws.normal(size=(6, 1, 1)),
        "follower_reward": draws.normal(size=(6, 2, 3)),
        "initial": draws.dirichlet(np.ones(6)),
    }
    return EmbeddedGame("shown-v0", **{**parts, **changes}, leader_discount=0.9, follower_discount=0.8, horizon=horizon)


def table(game: EmbeddedGame) -> sg.TabularGame:
    parts = (game.kernel.dense, game.leader_reward, game.follower_reward, game.initial_distribution)
    return sg.TabularGame(*parts, game.leader_discount, game.follower_discount, game.horizon)


def lopsided(game: EmbeddedGame) -> MLPCategoricalPolicy:
    policy = MLPCategoricalPolicy(game, (4,))
    assign(policy, torch.from_numpy(np.random.default_rng(1).normal(size=len(flatten(policy)))))
    return policy


def as_table(game: EmbeddedGame, policy: MLPCategoricalPolicy) -> sg.TabularPolicy:
    return sg.TabularPolicy.from_probabilities(table(game), game.policy(policy).detach().numpy())


@pytest.mark.parametrize("horizon", [None, 12])
@pytest.mark.parametrize("override", [{}, {"discount": 0.5}, {"horizon": 4, "discount": 1.0}])
def test_the_objective_is_that_of_the_table(horizon: int | None, override: dict[str, Any]) -> None:
    game = made(horizon)
    policy = lopsided(game)
    same = as_table(game, policy)
    value = exact.leader_objective(game, policy, TAU, **override)
    wanted = exact.leader_objective(table(game), same, TAU, **override)
    assert value.item() == pytest.approx(wanted.item(), rel=1e-11)
    weights = torch.autograd.grad(wanted, same.logits)[0]
    logits = game.policy(policy).log()
    centred = (logits * weights).sum()  # softmax of the logits: the same derivative by the chain rule
    np.testing.assert_allclose(flat(policy, value), flat(policy, centred), rtol=1e-8, atol=1e-11)


def test_responses_values_and_rollouts_are_those_of_the_table() -> None:
    game = made()
    policy, small = lopsided(game), table(game)
    same = as_table(game, policy)
    response = exact.best_response(game, policy, TAU).policy
    np.testing.assert_allclose(response, exact.best_response(small, same, TAU).policy, atol=1e-10)
    uniform = np.full(response.shape, 1 / 3)
    assert exact.leader_value(game, policy, uniform) == pytest.approx(exact.leader_value(small, same, uniform))
    follower = sg.make_follower("soft_value_iteration", temperature=TAU)
    follower.begin(game)
    shown, numbered = (
        sg.rollout(one, plays, answer, episodes=40, seed=3)
        for one, plays, answer in (
            (game, policy, follower.respond(game, policy).policy),
            (small, same, sg.TabularResponse(response)),
        )
    )
    np.testing.assert_array_equal(game.codes(shown.states), numbered.states)
    np.testing.assert_array_equal(shown.follower_actions, numbered.follower_actions)
    np.testing.assert_allclose(shown.leader_rewards, numbered.leader_rewards)


def test_a_trained_run_records_exact_values() -> None:
    game = made()
    follower = sg.make_follower("soft_value_iteration", temperature=TAU)
    run = sg.train(game, "policy_gradient", follower, iterations=2, episodes=3, evaluate_every=1, progress=False)
    assert run.value == pytest.approx(exact.leader_objective(game, run.commitment, TAU).item())
    assert run.history[1]["leader_value"] == pytest.approx(run.history[1]["recommended_value"], abs=1e-9)


def test_the_best_of_several_starts_is_above_the_uniform_policy() -> None:
    game = made()
    found = exact.solve(game, TAU, starts=3)
    assert found.value > exact.leader_objective(game, MLPCategoricalPolicy(game), TAU).item()
    assert found.value == pytest.approx(exact.leader_objective(game, found.commitment, TAU).item())


def test_replies_have_the_log_probabilities_of_the_table() -> None:
    game = made()
    policy = lopsided(game)
    follower = sg.make_follower("soft_value_iteration", temperature=TAU)
    follower.begin(game)
    known: Any = follower.respond(game, policy).policy
    states, actions, replies = game.points[[0, 3]], np.array([1, 0]), np.array([2, 1])
    wanted = np.log(known.probabilities[[0, 3], actions, replies])
    np.testing.assert_allclose(known.log_prob(states, actions, replies), wanted)


def test_bad_input_is_refused() -> None:
    game = made()
    streams = Streams.of(0, 1)
    with pytest.raises(InvalidArgumentError, match="no state of shown-v0"):
        game.step(game.points[:1] + 0.1, np.zeros(1, int), np.zeros(1, int), streams, 0)
    with pytest.raises(InvalidActionError, match="leader"):
        game.step(game.points[:1], np.array([2]), np.zeros(1, int), streams, 0)
    with pytest.raises(InvalidActionError, match="follower"):
        game.step(game.points[:1], np.zeros(1, int), np.zeros((1, 1)), streams, 0)
    with pytest.raises(UnsupportedGameError, match="MLPCategoricalPolicy has"):
        game.policy(sg.TabularPolicy((6, 2)))
    with pytest.raises(UnsupportedGameError):
        MLPGaussianPolicy(game)
    for wrong, says in (
        ({"points": np.zeros((6, 3))}, "two points are the same"),
        ({"successors": np.full((6, 2, 3, 2), 6)}, "successors"),
        ({"successors": np.zeros((6, 2, 3, 1), int)}, "expected"),
        ({"probability": np.ones((6, 2, 3, 2))}, "sums to 2"),
        ({"initial": np.ones(6)}, "initial"),
        ({"follower_reward": np.full((6, 2, 3), np.nan)}, "reward"),
    ):
        with pytest.raises(InvalidGameError, match=says):
            made(**wrong)

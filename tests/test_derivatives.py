"""Derivatives by adjoint solves against automatic differentiation through the response."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.envs import random_game_v0
from stackelberg_games.exact.derivatives import Derivatives, derivatives, leader_values
from stackelberg_games.exact.objective import StateValues, _differentiable_response
from stackelberg_games.exact.posed import pose
from stackelberg_games.exact.response import Arrays, Response
from stackelberg_games.exact.soft_response import soft_response
from stackelberg_games.kinds.chain import accumulate, leader_chain
from stackelberg_games.kinds.finite import Model, TabularGame
from stackelberg_games.kinds.kernel import SparseKernel

TAU = 0.3
DISCOUNTS = st.sampled_from([(0.9, 0.9), (0.95, 0.7), (0.6, 0.9)])


def drawn(game: TabularGame, seed: int) -> sg.TabularPolicy:
    policy = sg.TabularPolicy(game)
    with torch.no_grad():
        policy.logits.copy_(torch.from_numpy(np.random.default_rng(seed).normal(size=policy.logits.shape)))
    return policy


def found(game: TabularGame, policy: sg.TabularPolicy) -> tuple[Arrays, Response, Derivatives]:
    arrays = Arrays.of(game, game.model(policy))
    arrays = replace(arrays, kernel=SparseKernel.of(arrays.transition))
    solved = soft_response(arrays, TAU)
    return arrays, solved, derivatives(arrays, solved, game.initial_distribution, game.horizon)


@given(
    seed=st.integers(0, 10_000),
    sees=st.booleans(),
    horizon=st.sampled_from([None, 1, 9]),
    ends=st.integers(0, 1),
    discounts=DISCOUNTS,
)
@settings(max_examples=25, deadline=None)
def test_value_and_derivatives_are_those_of_automatic_differentiation(
    seed: int, sees: bool, horizon: int | None, ends: int, discounts: tuple[float, float]
) -> None:
    settings: dict[str, Any] = {
        "transitions": {"terminal_states": ends},
        "horizon": horizon,
        "follower_sees_action": sees,
    }
    leader, follower = discounts
    game = random_game_v0.game(5, 2, 3, seed=seed, leader_discount=leader, follower_discount=follower, **settings)
    policy = drawn(game, seed)
    model = Model(*(part.detach().clone().requires_grad_() for part in game.model(policy)))
    arrays, solved, got = found(game, policy)
    values, response = _differentiable_response(pose(game, model, entered=False), solved)
    chain, reward = leader_chain(model, response, game.alive_tensor)
    truth = StateValues(accumulate(game, chain, reward, None, None), values)
    value = game.initial_tensor @ truth.leader
    by_policy, by_transition, by_leader, by_follower = torch.autograd.grad(value, list(model), materialize_grads=True)
    scale = 1e-9 * max(1.0, abs(value.item()))
    assert got.value == pytest.approx(value.item(), abs=scale)
    free = got.policy - by_policy.numpy()  # a number added to a row changes nothing
    alive = ~game.terminal
    np.testing.assert_allclose((free - free[:, :1])[alive], 0.0, atol=1e-8)
    np.testing.assert_allclose(got.leader, by_leader.numpy(), atol=1e-9)
    np.testing.assert_allclose(got.follower, by_follower.numpy(), atol=1e-8)
    joint = arrays.joint(solved.policy)
    owed = arrays.follower_discount * got.follower[..., None] * solved.values
    moved = (joint[..., None] * got.ahead[:, None, None, :] + owed) * alive
    np.testing.assert_allclose(moved, by_transition.numpy(), atol=1e-8)


@pytest.mark.parametrize("horizon", [None, 7])
def test_values_against_a_response_that_is_not_the_best(horizon: int | None) -> None:
    game = random_game_v0.game(5, 2, 3, horizon=horizon, transitions={"terminal_states": 1})
    policy = drawn(game, 1)
    weights = np.random.default_rng(2).random((5, 2, 3))
    response = weights / weights.sum(axis=2, keepdims=True)
    arrays = Arrays.of(game, game.model(policy))
    value = game.initial_distribution @ leader_values(arrays, response, horizon)
    assert value == pytest.approx(exact.leader_value(game, policy, response), rel=1e-12)

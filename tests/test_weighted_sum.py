"""Gradients that are written down are those that torch finds, and rows are added and scaled as tensors are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import stackelberg_games as sg
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.learning.ascent import flat_gradient
from stackelberg_games.learning.weighted_sum import WeightedSum
from stackelberg_games.rules.lever import Lever, Stages

RANDOM = np.random.default_rng(0)


class Sharper(sg.TabularPolicy):
    """Somebody's policy that decides by another softmax than the class that it extends."""

    def log_probabilities(self) -> Tensor:
        return torch.log_softmax(3 * self.logits, dim=1)


def gradients(module: torch.nn.Module) -> np.ndarray[Any, Any]:
    return torch.cat(
        [torch.zeros(p.numel()) if p.grad is None else p.grad.ravel() for p in module.parameters()]
    ).numpy()


def both(module: Any, pull: Any, decided: Tensor, weights: np.ndarray[Any, Any]) -> None:
    """Twice what is pulled, for gradients add up, is what torch finds."""
    found = torch.autograd.grad(decided, list(module.parameters()), torch.from_numpy(weights))
    for _ in range(2):
        pull(weights)
    wanted = 2 * torch.cat([part.ravel() for part in found]).numpy()
    assert np.abs(wanted).max() > 0
    np.testing.assert_allclose(gradients(module), wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", ["tabular", "observed", "sharper", "perceptron", "rectified otherwise"])
def test_scores_of_a_policy(kind: str) -> None:
    game: Any = sg.make("random_game-v0")
    seen = game.partially_observed(np.arange(game.states) % 3)
    logits = 2 * RANDOM.normal(size=(20, 3))
    made: dict[str, Any] = {
        "tabular": lambda: sg.TabularPolicy((20, 3), logits),
        "observed": lambda: sg.TabularPolicy(seen, RANDOM.normal(size=(3, seen.leader_actions))),
        "sharper": lambda: Sharper((20, 3), logits),
        "perceptron": lambda: sg.MLPPolicy(seen, (8, 5), seed=1),
    }
    policy: Any = made[kind if kind in made else "perceptron"]()
    if kind == "rectified otherwise":
        policy.network[1] = torch.nn.Tanh()
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.3 * torch.from_numpy(RANDOM.normal(size=tuple(parameter.shape))))
    decided = policy.log_probabilities()
    both(policy, policy.pull, decided, RANDOM.normal(size=tuple(decided.shape)))


@pytest.mark.parametrize(
    "transform", [None, sg.Plain(), sg.Bounded(-1.0, 3.0), sg.Budgeted(2.0, 0.7), torch.tanh, lambda x: x[1:].square()]
)
def test_numbers_of_a_configuration(transform: Any) -> None:
    commitment = sg.Configuration(RANDOM.normal(size=6), transform)
    decided = commitment.configuration()
    both(commitment, commitment.pull_configuration, decided, RANDOM.normal(size=len(decided)))


@pytest.mark.parametrize(
    ("name", "settings"), [("four_rooms-v0", {}), ("four_rooms-v0", {"goals": 2}), ("tiled_rooms-v0", {"tiles": 1})]
)
def test_rewards_that_a_game_differentiates(name: str, settings: dict[str, Any]) -> None:
    game: Any = sg.make(name, **settings)
    ledger, commitment = game.ledger(), game.commitment(seed=1, spread=1.0)
    batch = sg.rollout(game, commitment, sg.TabularResponse.uniform(game), episodes=6, stages=80)
    ledger.reveal(batch)
    lever, stages = game.view(ledger=ledger).lever, Stages.of(batch)
    assert isinstance(lever, Lever)
    weights = {name: RANDOM.normal(size=len(stages.states)) for name in ("leader_reward", "follower_reward")}
    found = []
    for pull in (lever.pull, lambda *given: Lever.pull(lever, *given)):  # as the game writes it down, and by torch
        commitment.zero_grad()
        pull(commitment, stages, weights)
        found.append(gradients(commitment))
    assert np.abs(found[1]).max() > 0
    np.testing.assert_allclose(found[0], found[1], rtol=1e-11, atol=1e-14)


def test_rows_add_up_like_tensors() -> None:
    policy = sg.TabularPolicy((3, 2), RANDOM.normal(size=(3, 2)))

    def row(**weights: Any) -> WeightedSum:
        return WeightedSum(lambda given: policy.pull(sum(given.values(), np.zeros((3, 2)))), weights)

    one, two = RANDOM.normal(size=(2, 3, 2))
    bend, other = (policy.logits.square().sum() for _ in range(2))
    total = -(2.0 * row(a=one) - row(a=two, b=one) / 4.0) + 0.5 * (other + row(b=two))
    decided = policy.log_probabilities()
    wanted = ((torch.from_numpy(-2 * one + two / 4 + one / 4 + two / 2)) * decided).sum() + 0.5 * bend
    policy.logits.grad = torch.ones(3, 2, dtype=torch.float64)
    np.testing.assert_allclose(flat_gradient(total, policy), flat_gradient(wanted, policy), rtol=1e-12)
    assert bool((policy.logits.grad == 1).all())  # it was not for this that it was there


def test_what_is_kept_of_one_configuration_is_not_another_ones() -> None:
    game: Any = sg.make("four_rooms-v0")
    zeros = torch.zeros(game.size, dtype=torch.float64)
    game.tables(zeros)
    with pytest.raises(InvalidArgumentError, match="configuration"):
        game.tables(zeros.reshape(1, -1))

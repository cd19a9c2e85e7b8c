"""Conformance check of configurable games: derivatives that are written down are those of what they are derivatives of."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from stackelberg_games.arrays import FloatArray
from stackelberg_games.conformance.play import NotApplicable, Subject
from stackelberg_games.errors import ConformanceError
from stackelberg_games.exact.implicit import written_down
from stackelberg_games.kinds.configurable import ConfigurableGame, Slopes

POINTS, SEED, SPREAD = 3, 9, 1.0
"""Configurations and responses that are looked at, and the spread of the parameters drawn."""

ACCURACY = 1e-6
"""Of derivatives, relative to the largest of their kind."""


def slopes_are_derivatives(subject: Subject) -> None:
    """``slopes`` and ``pulled`` of a configurable game agree with automatic differentiation of what they are derivatives of."""
    game = subject.game
    if not isinstance(game, ConfigurableGame) or game.configure is None:
        raise NotApplicable("the leader does not configure a finite game")
    if _hold_pulled(game) and type(game).slopes is ConfigurableGame.slopes:
        return
    if not written_down(type(game)):
        raise NotApplicable("the game writes no derivatives down, or a class overrides what they are derivatives of")
    rng = np.random.default_rng(SEED)
    for seed in range(POINTS):
        configuration = game.commitment(seed, SPREAD).configuration().detach()
        rows = rng.dirichlet(np.ones(game.follower_actions), size=(game.states, 1))
        response = rows * rng.uniform(0.5, 1.5, size=(game.states, 1, 1))  # rows need not be normalised
        weights = rng.normal(size=(game.states, game.follower_actions))
        found = game.slopes(configuration.numpy().copy(), response.copy())
        if found is None:
            raise NotApplicable("slopes returns None")
        if not isinstance(found, Slopes):
            raise ConformanceError(
                f"slopes returned {type(found).__name__}: expected stackelberg_games.kinds.configurable.Slopes"
            )
        _hold(game, found, (configuration, torch.from_numpy(response), torch.from_numpy(weights)))


def _hold_pulled(game: ConfigurableGame) -> bool:
    """``pulled`` against automatic differentiation of ``configure``; whether the game writes it down."""
    rng = np.random.default_rng(SEED)
    for seed in range(POINTS):
        x = game.commitment(seed, SPREAD).configuration().detach().requires_grad_()
        weights = rng.normal(size=(2, *game.leader_reward.shape))
        found = game.pulled(*weights.copy())
        if found is None:
            return False
        assert game.configure is not None
        rewards = game.configure(x)[1:]
        summed = sum((table * torch.from_numpy(part)).sum() for table, part in zip(rewards, weights, strict=True))
        (expected,) = torch.autograd.grad(summed + 0.0 * x.sum(), x)
        _agree("pulled", found, expected.numpy())
    return True


def _hold(game: ConfigurableGame, found: Slopes, point: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    """Derivatives at a configuration, a response and weights against automatic differentiation."""
    x, response = (part.clone().requires_grad_() for part in point[:2])
    objective, tables = game.objective(x, response), game.follower_tables(x)
    if tables.transition.requires_grad:
        raise ConformanceError(
            "slopes are written down, and the configuration moves the transition: they have no derivative of that",
            "return None from slopes, so that automatic differentiation takes over",
        )
    summed = (tables.follower_reward * point[2][:, None]).sum()
    by_x, by_response = torch.autograd.grad(objective, (x, response), materialize_grads=True)
    rewards = torch.zeros_like(x)
    if summed.requires_grad:
        (rewards,) = torch.autograd.grad(summed, x, materialize_grads=True)
    _agree("objective", found.objective, objective.detach().numpy())
    _agree("configuration", found.configuration, by_x.numpy())
    _agree("response", found.response, by_response.numpy())
    _agree("rewards", found.rewards(point[2].numpy().copy()), rewards.numpy())


def _agree(name: str, found: Any, expected: FloatArray) -> None:
    found = np.asarray(found, dtype=np.float64)
    if found.shape != expected.shape:
        raise ConformanceError(f"derivatives: {name} has shape {found.shape}: expected {expected.shape}")
    apart = np.abs(found - expected)
    if not apart.max() <= ACCURACY * max(np.abs(expected).max(), np.abs(found).max()):
        place = np.unravel_index(int(np.nan_to_num(apart, nan=np.inf).argmax()), expected.shape)
        where = f"[{', '.join(map(str, place))}]" if place else ""
        raise ConformanceError(
            f"derivatives: {name}{where} is {found[place]:.6g}, and automatic differentiation finds {expected[place]:.6g}",
            "correct the derivative, or leave it out",
        )

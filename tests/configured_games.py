"""Random games that the leader configures: principals and agents, levers on rewards with bounds or a budget, tilts."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.commitments.parametrisation import Bounded, Budgeted
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables

TEMPERATURES = (0.02, 0.05, 0.2)


def principal_agent(seed: int, states: int = 4, actions: int = 2, discount: float = 0.9) -> ConfigurableGame:
    """Payments x(s, s') in [0, 12] on transitions, from a principal that values where the agent goes."""
    draws = np.random.default_rng(seed)
    transition = draws.dirichlet(np.full(states, 0.5), (states, actions))
    costs = np.zeros((states, actions))
    for state in range(states):
        costs[state, 1:] = [0.5 + draws.random() for _ in range(actions - 1)]
    valued = transition @ (10 * draws.random(states))
    chances = torch.tensor(transition)
    initial = np.eye(states)[0]

    def configure(payments: Tensor) -> Tables:
        paid = (chances * payments.reshape(states, 1, states)).sum(dim=2)[:, None]
        base = game.base
        return base._replace(leader_reward=base.leader_reward - paid, follower_reward=base.follower_reward + paid)

    game = ConfigurableGame(
        transition,
        valued,
        -costs,
        initial,
        size=states**2,
        configure=configure,
        parametrisation=Bounded(0.0, 12.0),
        leader_discount=discount,
        follower_discount=discount,
        name="principal_agent",
    )
    return game


def levers(seed: int, *, tilted: bool = False) -> ConfigurableGame:
    """Numbers between bounds, or shares of a budget, that cost the leader and move the follower's rewards.

    Args:
        seed: of the game.
        tilted: whether they also move the odds of what follows.
    """
    draws = np.random.default_rng([5, seed])
    states, actions, size = (int(draws.integers(low, high)) for low, high in ((2, 9), (2, 5), (2, 12)))
    transition = draws.dirichlet(np.full(states, 0.5), (states, actions))
    leader, follower = draws.normal(size=(2, states, actions))
    cost = torch.tensor(-0.3 * np.abs(draws.normal(size=(size, states, actions))))
    pull = torch.tensor(draws.normal(size=(size, states, actions)))
    tilt = torch.tensor(0.3 * draws.normal(size=(size, *transition.shape)))
    log_odds = torch.tensor(np.log(transition + 1e-6))

    def configure(numbers: Tensor) -> Tables:
        base = game.base
        moved = base._replace(
            leader_reward=base.leader_reward + torch.tensordot(numbers, cost, dims=1)[:, None],
            follower_reward=base.follower_reward + torch.tensordot(numbers, pull, dims=1)[:, None],
        )
        if not tilted:
            return moved
        return moved._replace(
            transition=torch.softmax(log_odds + torch.tensordot(numbers, tilt, dims=1), dim=-1)[:, None]
        )

    game = ConfigurableGame(
        transition,
        leader,
        follower,
        np.full(states, 1 / states),
        size=size,
        configure=configure,
        parametrisation=Bounded(0.0, 2.0) if seed % 2 else Budgeted(4.0),
        leader_discount=float(draws.choice([0.9, 0.95])),
        follower_discount=float(draws.choice([0.8, 0.9, 0.95])),
        name="levers",
    )
    return game


def configured(number: int) -> tuple[ConfigurableGame, float]:
    """One of many random configured games, and the temperature of its follower."""
    temperature = TEMPERATURES[number % len(TEMPERATURES)]
    if number % 5 == 0:
        return principal_agent(number // 5), temperature
    return levers(number, tilted=number % 5 == 1), temperature

"""Random games of the Garnet kind: every stage leads to few random successors.

| fact            | value                                                              |
|-----------------|--------------------------------------------------------------------|
| Agents          | leader_0, follower_0                                               |
| States          | ``states`` (5), of which ``terminal_states`` (0) end the episode   |
| Leader actions  | ``leader_actions`` (3)                                             |
| Follower actions| ``follower_actions`` (3)                                           |
| Rewards         | leader and follower uniform in [0, 1], independent                 |
| Horizon         | ``horizon`` (None: infinite)                                       |
| Configuration   | ``configuration_size`` (0) numbers that tilt rewards and transitions |
| Optimum         | multi-start ascent on the exact hypergradient                      |

Source: Archibald, McKinnon and Thomas, "On the generation of Markov decision processes", JORS 1995,
with a second player.

Version history: v0, first version.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.parametrisation import Plain
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.errors import InvalidGameError, UnsupportedGameError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.finite import Tables, TabularGame
from stackelberg_games.kinds.levers import TabularLever
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.rules.view import LeaderView


def game(
    states: int = 5,
    leader_actions: int = 3,
    follower_actions: int = 3,
    branching: int = 3,
    seed: int = 0,
    *,
    leader_discount: float = 0.95,
    follower_discount: float = 0.95,
    horizon: int | None = None,
    terminal_states: int = 0,
    follower_sees_action: bool = True,
    configuration_size: int = 0,
) -> RandomGame:
    """A random game, the same for the same arguments.

    Args:
        states: number of states S, terminal ones included.
        leader_actions: A.
        follower_actions: B.
        branching: successors of each (s, a, b), between 1 and S.
        seed: of the game's own tables.
        leader_discount, follower_discount: in [0, 1).
        horizon: stages, or None.
        terminal_states: how many of the states end the episode, fewer than S.
        follower_sees_action: whether the follower observes the leader's action.
        configuration_size: numbers x with which the leader also configures the game; they add
            ``C x`` to each player's rewards and to the log-odds of the successors.

    Raises:
        InvalidGameError: a size is out of range.
    """
    sizes = {"states": states, "leader_actions": leader_actions, "follower_actions": follower_actions}
    for name, size in sizes.items():
        if size < 1:
            raise InvalidGameError(f"{name}={size}: expected at least 1")
    if not 1 <= branching <= states or not 0 <= terminal_states < states or configuration_size < 0:
        raise InvalidGameError(
            f"branching={branching}, terminal_states={terminal_states}, configuration_size="
            f"{configuration_size}: expected 1..{states}, 0..{states - 1} and >= 0"
        )
    draws = generator(seed, 1)
    shape = (states, leader_actions, follower_actions)
    successors = np.argsort(draws.random((*shape, states)), axis=-1)[..., :branching]
    transition = np.zeros((*shape, states))
    np.put_along_axis(transition, successors, draws.dirichlet(np.ones(branching), size=shape), axis=-1)
    leader_reward, follower_reward = draws.random((2, *shape))
    terminal = np.arange(states) >= states - terminal_states
    initial = np.where(terminal, 0.0, 1.0) / (states - terminal_states)
    tables = (transition, leader_reward, follower_reward)
    tilt = _Tilt(tables, draws.normal(size=(configuration_size, 3, *shape, states))) if configuration_size else None
    return RandomGame(
        *tables,
        initial,
        leader_discount,
        follower_discount,
        horizon,
        terminal=terminal,
        follower_sees_action=follower_sees_action,
        configure=tilt,
        configuration_space=None if tilt is None else Box(-np.inf, np.inf, (configuration_size,), np.float64),
        name="random_game-v0",
    )


class RandomGame(TabularGame):
    """A random game; where it can be configured, its leader also acts and is told how both enter."""

    def commitment(self, seed: int = 0, spread: float | None = None) -> Configuration:
        """The standard first commitment: numbers from N(0, 0.01^2), and the uniform policy.

        Raises:
            UnsupportedGameError: the game has no configuration.
        """
        if self.configuration_space is None:
            raise UnsupportedGameError(f"{self.name} cannot be configured; give it a configuration_size")
        scale = 0.01 if spread is None else spread
        draws = scale * generator(seed, 5).standard_normal(self.configuration_space.shape)
        policy = TabularPolicy((self.states, self.leader_actions)) if self.leader_actions > 1 else None
        return Configuration(draws, Plain(), policy, self.states)

    def view(self, temperature: float | None = None) -> LeaderView:
        """What a leader is told, with the lever of a game that it configures."""
        view = super().view(temperature)
        if self.configure is None:
            return view
        return dataclasses.replace(view, lever=TabularLever(self.configure, self.tables(), self.commitment))


class _Tilt:
    """Linear effect of a configuration on rewards and on the log-odds of successors."""

    def __init__(self, tables: tuple[FloatArray, FloatArray, FloatArray], effects: FloatArray) -> None:
        self.transition, self.leader_reward, self.follower_reward = map(torch.tensor, tables)
        self.effects = torch.tensor(0.3 * effects)
        self.support = torch.where(self.transition > 0, 0.0, -torch.inf)
        self.log_odds = torch.where(self.transition > 0, self.transition.log(), 0.0)

    def __call__(self, configuration: Tensor) -> Tables:
        effect = torch.tensordot(configuration, self.effects, dims=1)
        transition = torch.softmax(self.log_odds + effect[0] + self.support, dim=-1)
        leader = self.leader_reward + effect[1, ..., 0]
        return Tables(transition, leader, self.follower_reward + effect[2, ..., 0])


env, raw_env, parallel_env = faces(game)

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

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables, TabularGame
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.rules.nested import nested
from stackelberg_games.settings import checked


@checked
def game(
    states: int = 5,
    leader_actions: int = 3,
    follower_actions: int = 3,
    seed: int = 0,
    *,
    transitions: Mapping[str, int] = {},
    leader_discount: float = 0.95,
    follower_discount: float = 0.95,
    horizon: int | None = None,
    follower_sees_action: bool = True,
    configuration_size: int = 0,
) -> TabularGame:
    """A random game, the same for the same arguments.

    Args:
        states: number of states S, terminal ones included.
        leader_actions: A.
        follower_actions: B.
        seed: of the game's own tables.
        transitions: ``branching`` (3), successors of each (s, a, b), between 1 and S; ``terminal_states`` (0), how
            many of the states end the episode, fewer than S.
        leader_discount: in [0, 1).
        follower_discount: in [0, 1).
        horizon: stages, or None.
        follower_sees_action: whether the follower observes the leader's action.
        configuration_size: numbers x with which the leader also configures the game; they add
            ``C x`` to each player's rewards and to the log-odds of the successors.

    Raises:
        InvalidArgumentError: there is no such setting of the transitions.
        InvalidGameError: a size is out of range.
    """
    sizes = {"states": states, "leader_actions": leader_actions, "follower_actions": follower_actions}
    for name, size in sizes.items():
        if size < 1:
            raise InvalidGameError(f"{name}={size}: expected at least 1")
    chosen = nested("transitions", transitions, {"branching": 3, "terminal_states": 0})
    branching, terminal_states = chosen["branching"], chosen["terminal_states"]
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
    rules: dict[str, Any] = {
        "leader_discount": leader_discount,
        "follower_discount": follower_discount,
        "horizon": horizon,
        "terminal": terminal,
        "follower_sees_action": follower_sees_action,
        "name": "random_game-v0",
    }
    if not configuration_size:
        return TabularGame(*tables, initial, **rules)
    tilt = _Tilt(tables, draws.normal(size=(configuration_size, 3, *shape, states)))
    return ConfigurableGame(*tables, initial, size=configuration_size, configure=tilt, **rules)


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

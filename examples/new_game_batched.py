"""Template: a game from batched functions, for continuous states or rules too large for arrays. Cooling a room.

Copy this file, change the rules, and run ``stackelberg check new_game_batched.py``.

| fact            | value                                                              |
|-----------------|--------------------------------------------------------------------|
| Agents          | leader_0 (landlord), follower_0 (tenant)                           |
| State           | temperature in and outside, in units of 10 degrees                 |
| Leader actions  | price of energy in [0, 1]                                          |
| Follower actions| cooling in [0, 1]                                                  |
| Discounts       | 0.98, 0.95                                                         |
| Horizon         | 48                                                                 |
| Order           | the follower sees the price                                        |

Version history: v0, first version.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from stackelberg_games import Game
from stackelberg_games.faces import faces
from stackelberg_games.numerics.randomness import Lane, Streams
from stackelberg_games.rules.rules import Step


class Cooling(Game):
    """A room that warms up towards the weather while the tenant cools it.

    Args:
        horizon: stages of an episode.
    """

    name = "cooling-v0"
    leader_discount, follower_discount = 0.98, 0.95
    follower_sees_action = True

    def __init__(self, horizon: int | None = 48) -> None:
        self.horizon = horizon
        self.state_space = gymnasium.spaces.Box(-10.0, 10.0, (2,), np.float32)
        self.leader_action_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)
        self.follower_action_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)
        self._box = gymnasium.spaces.Box(-10.0, 10.0, (2,), np.float32)

    @property
    def observation_space(self) -> gymnasium.spaces.Box:
        """The state as it is; a property that returns the same object every time."""
        return self._box

    # Everything below is batched: states [N, 2], actions [N, 1], rewards [N]. Every random number comes
    # from `streams`, by lane and stage, so that an episode is the same in every batch and in every face.

    def initial(self, streams: Streams) -> NDArray[np.float32]:
        """A mild room under any weather: draw 0 of the environment's lane."""
        weather = streams.uniform(Lane.ENVIRONMENT, 0)[:, 0]
        return np.stack([np.full(len(weather), 2.0), 2.0 + weather], axis=1).astype(np.float32)

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Streams, stage: int) -> Step:
        """One hour: draw ``stage + 1``. Returns new arrays; the arguments stay as they are."""
        inside, outside = states[:, 0], states[:, 1]
        price, cooling = np.asarray(leader_actions)[:, 0], np.asarray(follower_actions)[:, 0]
        noise = streams.normal(Lane.ENVIRONMENT, stage + 1)[:, 0]
        warmer = inside + 0.2 * (outside - inside) - 0.5 * cooling
        weather = 2.5 + 0.9 * (outside - 2.5) + 0.1 * noise
        moved = np.stack([warmer, weather], axis=1).clip(-10, 10).astype(np.float32)
        bill = price * cooling
        comfort = -np.square(inside - 2.0)
        return Step(moved, bill - 0.3 * cooling, comfort - bill, np.zeros(len(states), dtype=np.bool_))

    def observe(self, state: Any) -> NDArray[np.float32]:
        """One state, without the batch axis, as the faces show it."""
        return np.asarray(state, dtype=np.float32)


def game(horizon: int | None = 48) -> Cooling:
    """The factory that an entry point names; keyword arguments are the settings of ``sg.make``."""
    return Cooling(horizon)


env, raw_env, parallel_env = faces(game)

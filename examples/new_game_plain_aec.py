"""Template: a game as a plain PettingZoo environment, without the base classes of this package. A crossing.

Copy this file, change the rules, and run ``stackelberg check new_game_plain_aec.py``. The environment plays
in every PettingZoo pipeline; ``stackelberg_games.adapters.aec.AECGame(env)`` makes it a game for leaders and
followers that learn by playing. Batches of thousands, and everything exact, need the rules as a ``Game``.

The guard (leader_0) closes one of three lanes of a road, the driver (follower_0) sees which and takes one;
lanes fill up at random. The comments mark what PettingZoo's own tests do not look at.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv
from pettingzoo.utils.wrappers import AssertOutOfBoundsWrapper, OrderEnforcingWrapper

LEADER, FOLLOWER, LANES = "leader_0", "follower_0", 3


class raw_env(AECEnv):
    """A guard closes a lane, a driver takes one.

    Args:
        render_mode: None or ``"ansi"``.
        max_cycles: rounds of an episode.
    """

    metadata = {  # noqa: RUF012
        "name": "crossing_v0",
        "render_modes": ["ansi"],
        "is_parallelizable": False,  # converting would hide the leader's move from the follower
    }

    def __init__(self, render_mode: str | None = None, max_cycles: int = 20) -> None:
        self.render_mode, self.max_cycles = render_mode, max_cycles
        self.possible_agents = [LEADER, FOLLOWER]
        self.agents: list[str] = []
        traffic = spaces.Box(0.0, 1.0, (LANES,), np.float32)
        seen = spaces.Box(0.0, 1.0, (2 * LANES,), np.float32)  # and the lane that is closed
        self.observation_spaces = {LEADER: traffic, FOLLOWER: seen}  # made once: callers seed these objects
        self.action_spaces = {LEADER: spaces.Discrete(LANES), FOLLOWER: spaces.Discrete(LANES)}
        self.np_random: np.random.Generator | None = None

    def observation_space(self, agent: str) -> Any:
        """The very same object on every call."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        """The very same object on every call."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Begin an episode; a seed makes a new generator, no seed goes on with the one in use."""
        if seed is not None or self.np_random is None:
            self.np_random, _ = gymnasium.utils.seeding.np_random(seed)
        self.agents = self.possible_agents[:]
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)  # Python bools, not np.bool_
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {agent: {} for agent in self.agents}  # one dict for each player
        self.agent_selection = LEADER  # the leader moves first in every round
        self.round, self.closed = 0, None  # everything that play changes is set again here
        self.traffic = self.np_random.random(LANES)

    def step(self, action: Any) -> None:
        """One move; both are paid after the follower's, and episodes end only there."""
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        self._cumulative_rewards[agent] = 0.0
        self._clear_rewards()
        if agent == LEADER:
            self.closed = int(action)
            self.agent_selection = FOLLOWER
        else:
            self._drive(int(action))
            self.agent_selection = LEADER
        self._accumulate_rewards()
        self.infos = {agent: {} for agent in self.agents}  # new ones after every step

    def _drive(self, lane: int) -> None:
        jam = float(self.traffic[lane])
        fine = 2.0 if lane == self.closed else 0.0
        self.rewards = {LEADER: -float(self.traffic.max()), FOLLOWER: -jam - fine}
        load = np.full(LANES, 0.05)
        load[lane] += 0.3
        self.traffic = (0.8 * self.traffic + load * self.np_random.random(LANES)).clip(0, 1)
        self.round, self.closed = self.round + 1, None
        self.truncations = dict.fromkeys(self.agents, self.round >= self.max_cycles)

    def observe(self, agent: str) -> Any:
        """A new array every time: learners keep observations."""
        seen = np.zeros(2 * LANES, dtype=np.float32)
        seen[:LANES] = self.traffic
        if self.closed is not None:
            seen[LANES + self.closed] = 1.0
        return seen if agent == FOLLOWER else seen[:LANES].copy()

    def render(self) -> Any:
        """The traffic in words."""
        return f"round {self.round}: traffic {np.round(self.traffic, 2).tolist()}, closed {self.closed}"

    def close(self) -> None:
        """Nothing to close."""


def env(**settings: Any) -> AECEnv:
    """With the wrappers that refuse bad actions and calls in the wrong order."""
    return OrderEnforcingWrapper(AssertOutOfBoundsWrapper(raw_env(**settings)))

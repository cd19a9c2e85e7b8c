"""A PettingZoo AEC environment as a stranger would write it: nothing of this package in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv


class Toll(AECEnv[Any, Any, Any]):
    """Two junctions; the leader sets a toll, the follower takes the fast road or the free one."""

    metadata = {"name": "toll_v0", "render_modes": [], "is_parallelizable": False}  # noqa: RUF012  # as PettingZoo has it

    def __init__(self, length: int = 6, early: bool = False) -> None:
        self.length, self.early = length, early
        self.render_mode = None
        self.possible_agents = ["leader_0", "follower_0"]
        self.observation_spaces = {"leader_0": spaces.Discrete(2), "follower_0": spaces.MultiDiscrete([2, 3])}
        self.action_spaces = {"leader_0": spaces.Discrete(2), "follower_0": spaces.Discrete(2)}

    def observation_space(self, agent: Any) -> Any:
        return self.observation_spaces[agent]

    def action_space(self, agent: Any) -> Any:
        return self.action_spaces[agent]

    def observe(self, agent: Any) -> Any:
        return self.place if agent == "leader_0" else np.array([self.place, self.toll])

    def reset(self, seed: int | None = None, options: Any = None) -> None:
        self.random = np.random.default_rng(seed)
        self.agents = list(self.possible_agents)
        self.agent_selection = "leader_0"
        self.place, self.toll, self.count = int(self.random.integers(2)), 2, 0
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos: dict[Any, Any] = {agent: {} for agent in self.agents}

    def step(self, action: Any) -> None:
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        self._cumulative_rewards[agent] = 0.0
        self.rewards = dict.fromkeys(self.agents, 0.0)
        if agent == "leader_0":
            self.toll = int(action)
            self.agent_selection = "follower_0"
            if self.early:
                self.truncations = dict.fromkeys(self.agents, True)
        else:
            fast = int(action)
            self.rewards = {"leader_0": float(fast * self.toll), "follower_0": fast * (1.0 - 0.5 * self.toll)}
            self.place, self.toll, self.count = int(self.random.integers(2)), 2, self.count + 1
            self.agent_selection = "leader_0"
            if self.count == self.length:
                self.truncations = dict.fromkeys(self.agents, True)
        self._accumulate_rewards()

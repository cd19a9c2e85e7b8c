"""A correct PettingZoo AEC environment written without this package, whose parts tests replace by mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv
from pettingzoo.utils.wrappers import AssertOutOfBoundsWrapper, OrderEnforcingWrapper

LEADER, FOLLOWER = "leader_0", "follower_0"
PLACES, SIGNALS = 4, 3


class Ferry(AECEnv[str, Any, Any]):
    """The leader lights one of three signals, the follower crosses or waits, and a current drifts the ferry.

    Observations: the place, one-hot [4]; for the follower also the signal, one-hot [3].
    """

    metadata: dict[str, Any] = {"name": "ferry_v0", "render_modes": ["ansi"], "is_parallelizable": False}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None, max_cycles: int = 6) -> None:
        self.render_mode, self.max_cycles = render_mode, max_cycles
        self.possible_agents = [LEADER, FOLLOWER]
        self.agents = []
        self.boxes = {
            LEADER: spaces.Box(0, 1, (PLACES,), np.float32),
            FOLLOWER: spaces.Box(0, 1, (PLACES + SIGNALS,), np.float32),
        }
        self.choices = {LEADER: spaces.Discrete(SIGNALS), FOLLOWER: spaces.Discrete(2)}
        self.state_space = spaces.Box(0, 1, (PLACES + SIGNALS,), np.float32)
        self.rng: Any = None

    def observation_space(self, agent: str) -> Any:
        return self.boxes[agent]

    def action_space(self, agent: str) -> Any:
        return self.choices[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        self.seed(seed)
        self.agents = list(self.possible_agents)
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.agent_selection = LEADER
        self.signal: int | None = None
        self.last_reply = 0
        self.begin()
        self.inform()

    def seed(self, seed: int | None) -> None:
        if seed is not None or self.rng is None:
            self.rng = np.random.default_rng(seed)

    def begin(self) -> None:
        self.round = 0
        self.place = int(self.rng.integers(PLACES))

    def step(self, action: Any) -> Any:
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        self._cumulative_rewards[agent] = 0.0
        self._clear_rewards()
        if agent == LEADER:
            self.signal = int(action)
        else:
            self.cross(int(action))
            self.signal = None
            self.round += 1
            self.end(self.round >= self.max_cycles)
        self.agent_selection = FOLLOWER if agent == LEADER else LEADER
        self._accumulate_rewards()
        self.inform()

    def cross(self, reply: int) -> None:
        """Both are paid, and the ferry moves; in one case of four the current carries it on."""
        self.last_reply = reply
        self.rewards = {LEADER: float(self.place == self.signal), FOLLOWER: float(reply == self.place % 2)}
        self.place = (self.place + reply + int(self.rng.random() < 0.25)) % PLACES

    def end(self, over: bool) -> None:
        self.truncations = dict.fromkeys(self.agents, over)

    def inform(self) -> None:
        self.infos = {agent: {} for agent in self.agents}

    def observe(self, agent: str) -> Any:
        return self.state()[: self.boxes[agent].shape[0]]

    def state(self) -> Any:
        vector = np.zeros(PLACES + SIGNALS, dtype=np.float32)
        vector[self.place] = 1.0
        if self.signal is not None:
            vector[PLACES + self.signal] = 1.0
        return vector

    def render(self) -> Any:
        return f"round {self.round}: place {self.place}, signal {self.signal}"

    def close(self) -> None:
        pass


def wrapped(env: AECEnv[Any, Any, Any]) -> AECEnv[Any, Any, Any]:
    """With the wrappers that PettingZoo's own environments have."""
    return OrderEnforcingWrapper(AssertOutOfBoundsWrapper(env))

"""Random PettingZoo environments: names, orders of moves, spaces, masks, early ends and numbers of agents are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv

NAMES = ("platform", "driver", "tax office", "firm", "guard", "0", "leader_0", "follower_0", "Äpfel")


def observation_spaces() -> list[Any]:
    box = spaces.Box(-2.0, 2.0, (2,), np.float32)
    return [
        spaces.Discrete(5),
        spaces.Discrete(4, start=3),
        box,
        spaces.Box(0, 255, (2, 2), np.uint8),
        spaces.Dict({"place": spaces.Discrete(3), "speed": box}),
        spaces.Tuple([spaces.MultiBinary(2), box]),
        spaces.MultiDiscrete([2, 3]),
    ]


def action_spaces() -> list[Any]:
    return [
        spaces.Discrete(2),
        spaces.Discrete(3),
        spaces.Discrete(4, start=2),
        spaces.Discrete(1),
        spaces.MultiDiscrete([2, 2]),
        spaces.Box(-1.0, 1.0, (2,), np.float32),
        spaces.Tuple([spaces.Discrete(2), spaces.Discrete(2)]),
    ]


class RandomEnv(AECEnv[str, Any, Any]):
    """An environment whose rules are drawn from a seed; what an episode brings is drawn from that of ``reset``."""

    def __init__(self, rules: int) -> None:
        draw = np.random.default_rng(rules)
        count = int(draw.integers(2, 5))
        self.metadata = {"name": f"random_{rules}", "render_modes": [], "is_parallelizable": False}
        self.render_mode = None
        self.possible_agents = [NAMES[k] for k in draw.permutation(len(NAMES))[:count]]
        self.agents = []
        self.masks = {agent: str(draw.choice(["no", "info", "observation"])) for agent in self.possible_agents}
        seen, acts = observation_spaces(), action_spaces()
        alike = acts[draw.integers(len(acts))] if draw.random() < 0.5 else None
        self._acts, self._own, self._seen = {}, {}, {}
        for agent in self.possible_agents:
            act = alike if alike is not None else acts[draw.integers(len(acts))]
            if not isinstance(act, spaces.Discrete):
                self.masks[agent] = "no"
            own = seen[draw.integers(len(seen))]
            self._acts[agent], self._own[agent] = act, own
            self._seen[agent] = own
            if self.masks[agent] == "observation":
                mask = spaces.Box(0, 1, (int(act.n),), np.int8)
                self._seen[agent] = spaces.Dict({"observation": own, "action_mask": mask})
        self.order = str(draw.choice(["cycle", "repeats", "random"]))
        self.cycle = list(self.possible_agents)
        if self.order == "repeats":
            self.cycle += [str(name) for name in draw.choice(self.possible_agents, 2)]
        self.shows = bool(draw.random() < 0.7)
        self.ends = str(draw.choice(["all", "one by one"]))
        self.length = int(draw.integers(1, 12))
        self.chance = float(draw.choice([0.0, 0.1]))
        self.terminates = bool(draw.random() < 0.5)
        self.rng: Any = None
        self._skip_agent_selection: Any = None

    def observation_space(self, agent: str) -> Any:
        return self._seen[agent]

    def action_space(self, agent: str) -> Any:
        return self._acts[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        if seed is not None or self.rng is None:
            self.rng = np.random.default_rng(seed)
        self.agents = list(self.possible_agents)
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations, self.truncations = dict.fromkeys(self.agents, False), dict.fromkeys(self.agents, False)
        self.count, self.mark = 0, 0
        self.noise = int(self.rng.integers(1000))
        self.turn = 0
        self.agent_selection = self.cycle[0]
        self._inform()

    def _inform(self) -> None:
        self.legal = {}
        for agent in self.agents:
            if self.masks[agent] != "no":
                size = int(self._acts[agent].n)
                mask = (np.arange(size) + self.count + self.noise) % 3 != 0
                mask[(self.count + self.noise) % size] = True
                self.legal[agent] = mask.astype(np.int8)
        self.infos = {
            agent: {"action_mask": self.legal[agent]} if self.masks[agent] == "info" else {} for agent in self.agents
        }

    def observe(self, agent: str) -> Any:
        hidden = self.noise + 7 * self.count + (self.mark if self.shows else 0)
        own = self._own[agent]
        draw = np.random.default_rng([hidden, self.possible_agents.index(agent)])
        seen = _sample(own, draw)
        if self.masks[agent] != "observation":
            return seen
        mask = self.legal.get(agent, np.ones(int(self._acts[agent].n), np.int8))
        return {"observation": seen, "action_mask": mask}

    def step(self, action: Any) -> None:
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        if agent in self.legal:
            assert self.legal[agent][int(action) - int(self._acts[agent].start)] == 1
        assert self._acts[agent].contains(action)
        number = sum(round(float(np.sum(part)) * 8) for part in np.atleast_1d(np.asarray(action, np.float64)))
        self._cumulative_rewards[agent] = 0.0
        self.mark = 1000 * (1 + number % 50)
        self.rewards = {name: float((number + k + self.count) % 5) for k, name in enumerate(self.agents)}
        self.count += 1
        self._accumulate_rewards()
        self._end()
        self._pass_on()
        self._inform()

    def _end(self) -> None:
        flags = self.terminations if self.terminates else self.truncations
        alive = [name for name in self.agents if not (self.terminations[name] or self.truncations[name])]
        over = self.count >= self.length or self.rng.random() < self.chance
        if over and alive:
            for name in alive if self.ends == "all" or self.count >= 3 * self.length else alive[:1]:
                flags[name] = True

    def _pass_on(self) -> None:
        alive = [name for name in self.agents if not (self.terminations[name] or self.truncations[name])]
        if len(alive) < len(self.agents):
            self._skip_agent_selection = None
            dead = [name for name in self.agents if name not in alive]
            if alive:
                self._skip_agent_selection = self._next(alive)
            self.agent_selection = dead[0]
        else:
            self.agent_selection = self._next(alive)

    def _next(self, alive: list[str]) -> str:
        if self.order == "random":
            return alive[int(self.rng.integers(len(alive)))]
        while True:
            self.turn += 1
            name = self.cycle[self.turn % len(self.cycle)]
            if name in alive:
                return name

    def close(self) -> None:
        pass


def _sample(space: Any, draw: Any) -> Any:
    if isinstance(space, spaces.Discrete):
        return int(space.start + draw.integers(space.n))
    if isinstance(space, spaces.Dict):
        return {name: _sample(part, draw) for name, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_sample(part, draw) for part in space.spaces)
    if isinstance(space, spaces.MultiDiscrete):
        return np.array([draw.integers(n) for n in space.nvec])
    if isinstance(space, spaces.MultiBinary):
        return draw.integers(2, size=space.shape).astype(np.int8)
    low, high = space.low.astype(float), space.high.astype(float)
    return (low + (high - low) * draw.random(space.shape)).astype(space.dtype)

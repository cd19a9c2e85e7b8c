"""A foreign environment with its two sides in their seats: agents leader_0 and follower_0, and the others played."""

from __future__ import annotations

from typing import Any

import numpy as np
from pettingzoo import AECEnv

from stackelberg_games.adapters.table import Table
from stackelberg_games.adapters.turns import Turns
from stackelberg_games.errors import InvalidActionError
from stackelberg_games.faces.episode import NO_EPISODE
from stackelberg_games.rules.scene import LEADER


class Seated(AECEnv[str, Any, Any]):
    """What the two sides are shown and play, as the environment itself has it; only the names are others.

    Observations, infos, masks and rewards pass through untouched. The agents of the follower's side are
    ``follower_0``, ``follower_1``, ...; further agents are played by their policies.

    Args:
        table: of the environment.
        turns: of an environment of its own.
        name: of the game.
    """

    def __init__(self, table: Table, turns: Turns, name: str) -> None:
        self.table, self.turns = table, turns
        followers = {f"follower_{k}": agent for k, agent in enumerate(table.followers)}
        self.names = {LEADER: table.sides.leader, **followers}
        self._seat_of = {agent: seat for seat, agent in self.names.items()}
        self.possible_agents = list(self.names)
        self.agents = []
        self.metadata = {"name": name, "render_modes": [], "is_parallelizable": False}
        self.render_mode = None
        self._random = np.random.default_rng()

    def observation_space(self, agent: str) -> Any:
        """That of the environment."""
        return self.turns.env.observation_space(self.names[agent])

    def action_space(self, agent: str) -> Any:
        """That of the environment."""
        return self.turns.env.action_space(self.names[agent])

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Begin an episode of the environment; a seed is handed on to it and to the further agents."""
        self.turns.reset(seed)
        if seed is not None:
            self._random = np.random.default_rng(seed)
        self.agents = self.possible_agents[:]
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations, self.truncations = dict.fromkeys(self.agents, False), dict.fromkeys(self.agents, False)
        self._advance()

    def step(self, action: Any) -> None:
        """The selected agent moves; None for one whose episode has ended."""
        if not self.agents:
            raise InvalidActionError(NO_EPISODE)
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        self._cumulative_rewards[agent] = 0.0
        self._clear_rewards()
        self._pay(self.turns.move(action))
        self._advance()
        self._accumulate_rewards()

    def _pay(self, paid: Any) -> None:
        for seat in self.agents:
            self.rewards[seat] += paid.get(self.names[seat], 0.0)

    def _advance(self) -> None:
        """Let further agents move, and mark who has left."""
        mover = self.turns.mover()
        while mover is not None and mover not in self._seat_of:
            seat, choose = self.table.others[mover]
            seen = self.turns.observe(mover)
            mask = seat.mask(seen, self.turns.info(mover))
            self._pay(self.turns.move(seat.moves.decode(choose(seat.sight.shown(seen), mask, self._random))))
            mover = self.turns.mover()
        for seat_name in self.agents:
            end = self.turns.ends.get(self.names[seat_name])
            if end is not None or mover is None:
                self.terminations[seat_name] = end is not None and end.terminated
                self.truncations[seat_name] = not self.terminations[seat_name]
        self.infos = {agent: self._info(agent) for agent in self.agents}
        ended = [agent for agent in self.agents if self.terminations[agent] or self.truncations[agent]]
        self.agent_selection = self._seat_of[mover] if mover is not None else self.agents[0]
        if ended and mover is not None:
            self.agent_selection = self._deads_step_first()

    def _info(self, agent: str) -> Any:
        end = self.turns.ends.get(self.names[agent])
        found = self.turns.info(self.names[agent]) if end is None else end.info
        return {} if found is None else found

    def observe(self, agent: str) -> Any:
        """What the environment shows the agent."""
        end = self.turns.ends.get(self.names[agent])
        return self.turns.observe(self.names[agent]) if end is None else end.observation

    def state(self) -> Any:
        """Not to be had of every environment; raises ``NotImplementedError``."""
        raise NotImplementedError("the adapter gives no state; ask the environment itself")

    def render(self) -> None:
        """Nothing; render the environment itself."""

    def close(self) -> None:
        """Close the environment."""
        self.turns.close()

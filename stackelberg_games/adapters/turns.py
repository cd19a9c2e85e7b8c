"""One agent after the other, whatever a PettingZoo environment's own form: what an episode is played through.

An AEC environment says whose turn it is. In a Parallel environment all agents move at once: they are asked in a
given order on what they observed before the step, which is taken when the last of them has answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from pettingzoo import AECEnv, ParallelEnv

NOTHING: Mapping[str, float] = {}
"""What a move pays that is not carried out yet."""


class Departure(NamedTuple):
    """How an agent left an episode, and what it saw last.

    Attributes:
        terminated: whether it was by termination; else by truncation.
        observation, info: the last ones; None where the environment gave none.
    """

    terminated: bool
    observation: Any
    info: Any


class Turns(Protocol):
    """An episode as a sequence of moves.

    Attributes:
        env: the environment.
        ends: the agents that have left the running episode.
    """

    env: Any
    ends: dict[str, Departure]

    def reset(self, seed: int | None) -> None:
        """Begin an episode."""

    def mover(self) -> str | None:
        """Who moves next; None when nobody is left. Agents that have ended leave on the way."""

    def observe(self, agent: str) -> Any:
        """What an agent that has not left observes now."""

    def info(self, agent: str) -> Any:
        """What the environment says beside it."""

    def move(self, action: Any) -> Mapping[str, float]:
        """Carry out the mover's action; what it pays to everybody."""

    def close(self) -> None:
        """Close the environment."""


class AECTurns:
    """The turns of an AEC environment.

    Args:
        env: the environment.
    """

    def __init__(self, env: AECEnv[Any, Any, Any]) -> None:
        self.env: Any = env
        self.ends: dict[str, Departure] = {}

    def reset(self, seed: int | None) -> None:
        """See ``Turns.reset``."""
        self.ends = {}
        self.env.reset(seed=seed)

    def mover(self) -> str | None:
        """See ``Turns.mover``."""
        env = self.env
        while env.agents:
            agent: str = env.agent_selection
            terminated = env.terminations[agent]
            if not (terminated or env.truncations[agent]):
                return agent
            self.ends[agent] = Departure(bool(terminated), env.observe(agent), env.infos.get(agent))
            env.step(None)
        return None

    def observe(self, agent: str) -> Any:
        """See ``Turns.observe``."""
        return self.env.observe(agent)

    def info(self, agent: str) -> Any:
        """See ``Turns.info``."""
        return self.env.infos.get(agent)

    def move(self, action: Any) -> Mapping[str, float]:
        """See ``Turns.move``."""
        self.env.step(action)
        paid: Mapping[str, float] = self.env.rewards
        return paid

    def close(self) -> None:
        """See ``Turns.close``."""
        self.env.close()


class ParallelTurns:
    """The agents of a Parallel environment, one after the other.

    Args:
        env: the environment.
        order: in which agents are asked; others come after them.
    """

    def __init__(self, env: ParallelEnv[Any, Any, Any], order: Sequence[str]) -> None:
        self.env: Any = env
        self.order = tuple(order)
        self.ends: dict[str, Departure] = {}
        self._queue: list[str] = []
        self._seen: Mapping[str, Any] = {}
        self._told: Mapping[str, Any] = {}
        self._chosen: dict[str, Any] = {}

    def reset(self, seed: int | None) -> None:
        """See ``Turns.reset``."""
        self.ends, self._chosen = {}, {}
        self._seen, self._told = self.env.reset(seed=seed)
        self._line_up()

    def _line_up(self) -> None:
        alive = self.env.agents
        self._queue = [agent for agent in self.order if agent in alive]
        self._queue += [agent for agent in alive if agent not in self.order]
        self._queue.reverse()

    def mover(self) -> str | None:
        """See ``Turns.mover``."""
        return self._queue[-1] if self._queue else None

    def observe(self, agent: str) -> Any:
        """See ``Turns.observe``."""
        return self._seen[agent]

    def info(self, agent: str) -> Any:
        """See ``Turns.info``."""
        return self._told.get(agent)

    def move(self, action: Any) -> Mapping[str, float]:
        """See ``Turns.move``; nothing is paid before the last agent has moved."""
        self._chosen[self._queue.pop()] = action
        if self._queue:
            return NOTHING
        asked, self._chosen = self._chosen, {}
        self._seen, paid, terminations, _, self._told = self.env.step(asked)
        for agent in asked:
            if agent not in self.env.agents:
                seen, told = self._seen.get(agent), self._told.get(agent)
                self.ends[agent] = Departure(bool(terminations.get(agent, False)), seen, told)
        self._line_up()
        rewards: Mapping[str, float] = paid
        return rewards

    def close(self) -> None:
        """See ``Turns.close``."""
        self.env.close()


def turns_of(env: Any, order: Sequence[str]) -> Turns:
    """The turns of an environment of either form."""
    return ParallelTurns(env, order) if isinstance(env, ParallelEnv) else AECTurns(env)

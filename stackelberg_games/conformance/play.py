"""How the conformance checks play: what is checked, repeatable choices of actions, and what was seen."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from pettingzoo import AECEnv
from pettingzoo.utils.wrappers import OrderEnforcingWrapper

from stackelberg_games import checks
from stackelberg_games.adapters.aec import AECGame
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.kinds.game import Game
from stackelberg_games.rules.rules import Rules
from stackelberg_games.rules.scene import FOLLOWER, LEADER

Env = AECEnv[Any, Any, Any]


class NotApplicable(Exception):
    """A check does not apply to a game; the message says why."""


@dataclass(frozen=True)
class Subject:
    """A game under examination.

    Attributes:
        factory: makes a ``Game`` or a PettingZoo AEC environment.
        game: the game, or None where the factory makes environments.
        sees: whether the follower is meant to observe the leader's action.
        once: whether the leader moves once an episode, to configure the game.
        wanted: the factory whose arguments count, where it is behind an adapter.
    """

    factory: Callable[..., Any]
    game: Game | None
    sees: bool
    once: bool = False
    wanted: Callable[..., Any] | None = None

    @classmethod
    def of(cls, source: Any, follower_sees_action: bool | None = None) -> Subject:
        """What ``check_game`` was given: a factory, or a game.

        Raises:
            InvalidArgumentError: the factory makes neither a game nor an AEC environment.
        """
        factory = (lambda: source) if isinstance(source, Game) else source
        try:
            made = factory() if callable(factory) else factory
        except TypeError as error:
            raise InvalidArgumentError(f"{checks.shown(source)} cannot be called without arguments: {error}") from error
        if not callable(factory) or not isinstance(made, Game | AECEnv):
            raise InvalidArgumentError(
                f"{checks.shown(source)} makes {type(made).__name__}: expected a factory without required arguments that makes "
                "a stackelberg_games.Game or a PettingZoo AECEnv"
            )
        if isinstance(made, AECGame):
            return cls(
                made.behind, None, made.follower_sees_action and not made.table.tells, wanted=made.source.factory
            )
        if isinstance(made, Game):
            once = made.configuration_space is not None and made.idle_action is not None
            return cls(factory, made, made.follower_sees_action, once)
        declared = getattr(made.unwrapped, "metadata", None) or {}
        sees = declared.get("follower_sees_action", True) if follower_sees_action is None else follower_sees_action
        return cls(factory, None, bool(sees), declared.get("leader_commits") == "once an episode")

    @cached_property
    def both_agents(self) -> bool:
        """Whether the environment has a leader and a follower, and nobody else."""
        return sorted(getattr(self.raw_env(), "possible_agents", ())) == sorted((LEADER, FOLLOWER))

    def env(self, **settings: Any) -> Env:
        """The environment as users get it, with wrappers."""
        made = self.factory(**settings) if self.game is None else self.game.env(**settings)
        return OrderEnforcingWrapper(made) if made.unwrapped is made else made

    def raw_env(self, **settings: Any) -> Env:
        """The environment without wrappers."""
        made = self.factory(**settings) if self.game is None else self.game.raw_env(**settings)
        return made.unwrapped

    def takes(self, name: str) -> bool:
        """Whether the factory of environments has an argument of this name."""
        maker = self.wanted or (self.factory if self.game is None else self.game.env)
        try:
            parameters = inspect.signature(maker).parameters.values()
        except (TypeError, ValueError):
            return False
        return any(p.name == name or p.kind is p.VAR_KEYWORD for p in parameters)


class Move(NamedTuple):
    """What an environment said before one move, and the move."""

    agent: str
    observation: Any
    reward: Any
    terminated: Any
    truncated: Any
    mask: Any
    action: Any


class Script:
    """Random legal actions that are the same in every environment of a game.

    Args:
        seed: of the choices.
        forced: actions to play instead, by number of the turn.
    """

    def __init__(self, seed: int = 0, forced: dict[int, Any] | None = None) -> None:
        self._seed, self._turn, self._forced = seed, 0, forced or {}
        self._spaces: dict[str, gymnasium.Space[Any]] = {}

    def choose(self, env: Env, agent: str, mask: Any) -> Any:
        """The action of the next turn; sampling leaves the environment's own spaces alone."""
        if agent not in self._spaces:
            self._spaces[agent] = copy.deepcopy(env.action_space(agent))
            self._spaces[agent].seed(self._seed + len(self._spaces))
        self._turn += 1
        action = self._spaces[agent].sample() if mask is None else self._spaces[agent].sample(np.asarray(mask, np.int8))
        return self._forced.get(self._turn - 1, action)


def configuration_of(game: Game) -> Any:
    """A configuration drawn from the game's space, the same at every call; None where it is not configured."""
    if game.configuration_space is None:
        return None
    space = copy.deepcopy(game.configuration_space)
    space.seed(0)
    return space.sample()


def configured(game: Game) -> Rules:
    """The game under ``configuration_of``, or as it is where it is not configured."""
    chosen = configuration_of(game)
    return game if chosen is None else game.configured(torch.tensor(chosen))


def mask_of(observation: Any, info: Any) -> Any:
    """The action mask, from the observation or else from the info; None where there is none."""
    for place in (observation, info):
        if isinstance(place, dict) and "action_mask" in place:
            return place["action_mask"]
    return None


def turns(env: Env, script: Script, limit: int) -> Iterator[Move]:
    """Play on from where the environment stands, yielding before each move; stops with the episode."""
    for _ in range(limit):
        if not env.agents:
            return
        agent = env.agent_selection
        observation, reward, terminated, truncated, info = env.last()
        over = terminated or truncated
        mask = None if over else mask_of(observation, info)
        action = None if over else script.choose(env, agent, mask)
        yield Move(agent, observation, reward, terminated, truncated, mask, action)
        env.step(action)


def trace(env: Env, script: Script, limit: int) -> list[Move]:
    """The turns to come, as copies that later play cannot change."""
    return [copy.deepcopy(turn) for turn in turns(env, script, limit)]


def episode(env: Env, seed: int | None, limit: int = 100, script: int = 0) -> list[Move]:
    """Reset and play at most ``limit`` turns."""
    env.reset(seed=seed) if seed is not None else env.reset()
    return trace(env, Script(script), limit)


def alive(env: Env) -> bool:
    """Whether the selected agent still plays."""
    agent = env.agent_selection
    return bool(env.agents) and not (env.terminations[agent] or env.truncations[agent])


def same(one: Any, other: Any) -> bool:
    """Equality to the last bit of nested tuples, lists, dicts, arrays and numbers; NaN equals NaN."""
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray | np.generic | float | int):
        a, b = np.asarray(one), np.asarray(other)
        return a.shape == b.shape and bool(
            np.array_equal(a, b, equal_nan=a.dtype.kind in "fc" and b.dtype.kind in "fc")
        )
    return bool(one == other)


def difference(one: list[Move], other: list[Move]) -> str | None:
    """Where two traces part, in words; None where they agree."""
    for number, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        for name, a, b in zip(Move._fields, mine, theirs, strict=True):
            if not same(a, b):
                return f"turn {number} ({mine.agent}): {name} {brief(a)} and {brief(b)}"
    return None if len(one) == len(other) else f"one lasts {len(one)} turns, the other {len(other)}"


def brief(value: Any) -> str:
    """A value for a message."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def flat(observation: Any) -> Any:
    """An observation as one vector; without the mask where it is a dict with one."""
    if isinstance(observation, dict) and "observation" in observation:
        observation = observation["observation"]
    return np.asarray(observation, dtype=np.float64).ravel()


def candidates(space: gymnasium.Space[Any], mask: Any, count: int) -> list[Any]:
    """Up to ``count`` different legal actions of a player."""
    if isinstance(space, spaces.Discrete):
        legal = range(int(space.n)) if mask is None else np.flatnonzero(np.asarray(mask))
        return [int(space.start) + int(k) for k in legal][:count]
    sampler = copy.deepcopy(space)
    sampler.seed(0)
    return [sampler.sample() for _ in range(count)]


def played_to(env: Env, seed: int, script: Script, turn: int) -> bool:
    """Reset and play to a turn; whether the episode is still running there."""
    env.reset(seed=seed)
    for _ in turns(env, script, turn):
        pass
    return alive(env)


__all__ = [
    "FOLLOWER",
    "LEADER",
    "Env",
    "Move",
    "NotApplicable",
    "Script",
    "Subject",
]

"""Gymnasium environments that somebody designs before every episode: what the leader sets, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from stackelberg_games import checks
from stackelberg_games.adapters.single import BesideAgent, Worth
from stackelberg_games.adapters.sources import Source
from stackelberg_games.errors import InvalidActionError, InvalidArgumentError
from stackelberg_games.rules.scene import FOLLOWER, LEADER

Into = str | Callable[[Any, Mapping[str, Any]], None]
"""``"constructor"``, ``"attributes"``, or a function of the unwrapped environment and the values."""


@dataclass(frozen=True)
class Design:
    """What a leader sets once an episode: numbers between bounds, or one of finitely many choices each.

    Attributes:
        names: of what it sets.
        choices: values to choose from, for every name; None where it sets numbers.
        low, high: bounds of the numbers.
    """

    names: tuple[str, ...]
    choices: tuple[tuple[Any, ...], ...] | None = None
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    @classmethod
    def of(cls, space: Mapping[str, Any]) -> Design:
        """A design as users write it: ``{"length": (0.2, 1.5)}`` or ``{"map_name": ["4x4", "8x8"]}``.

        Bounds may also be a dict with ``low`` and ``high``, as in files that have no tuples.

        Raises:
            InvalidArgumentError: it is neither, or numbers and choices are mixed.
        """
        if not isinstance(space, Mapping) or not space or not all(isinstance(name, str) for name in space):
            raise InvalidArgumentError(
                f"space={checks.shown(space)}: expected names with bounds (low, high), or with lists of choices"
            )
        listed = [isinstance(values, list) for values in space.values()]
        if all(listed):
            if not all(space.values()):
                raise InvalidArgumentError(f"space={checks.shown(space)}: expected at least one choice for every name")
            return cls(tuple(space), tuple(map(tuple, space.values())))
        if any(listed):
            raise InvalidArgumentError(
                f"space={checks.shown(space)}: expected bounds for all, or choices for all; list some numbers of each range as choices"
            )
        bounds = [_bounds(name, values) for name, values in space.items()]
        low, high = zip(*bounds, strict=True)
        return cls(tuple(space), None, low, high)

    @property
    def plain(self) -> dict[str, Any]:
        """What ``of`` reads, as plain data."""
        if self.choices is not None:
            return {name: list(values) for name, values in zip(self.names, self.choices, strict=True)}
        return {
            name: {"low": low, "high": high} for name, low, high in zip(self.names, self.low, self.high, strict=True)
        }

    def __str__(self) -> str:
        """Names with their bounds or choices."""
        if self.choices is not None:
            parts = [
                f"{name} of {', '.join(map(str, values))}"
                for name, values in zip(self.names, self.choices, strict=True)
            ]
        else:
            bounds = zip(self.names, self.low, self.high, strict=True)
            parts = [f"{name} from {low:g} to {high:g}" for name, low, high in bounds]
        return "; ".join(parts)

    @property
    def space(self) -> gymnasium.Space[Any]:
        """Of the leader's move."""
        if self.choices is None:
            return spaces.Box(np.array(self.low), np.array(self.high), dtype=np.float64)
        return spaces.MultiDiscrete([len(values) for values in self.choices])

    def values(self, action: Any) -> dict[str, Any]:
        """What a move sets.

        Raises:
            InvalidActionError: it is not in the space.
        """
        chosen = np.asarray(action)
        if not self.space.contains(chosen):
            raise InvalidActionError(f"{LEADER} set {checks.shown(action)}: expected {self.names} in {self.space}")
        if self.choices is None:
            return dict(zip(self.names, chosen.tolist(), strict=True))
        return {name: values[k] for name, values, k in zip(self.names, self.choices, chosen, strict=True)}


def _bounds(name: str, given: Any) -> tuple[float, float]:
    pair: Any = tuple(given.get(side) for side in ("low", "high")) if isinstance(given, Mapping) else given
    try:
        low, high = (float(side) for side in pair)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not (isinstance(pair, tuple) and np.isfinite([low, high]).all() and low < high):
        raise InvalidArgumentError(
            f"space[{name!r}]={checks.shown(given)}: expected finite bounds (low, high), or a list of choices"
        )
    return low, high


class Designing(BesideAgent):
    """The leader's one move, at the beginning of an episode, sets what the environment is like.

    Args:
        source: of the environment.
        objective: see ``BesideAgent``.
        design: what the leader sets.
        into: how values enter.
        limit: steps after which episodes are truncated; None for the environment's own limit.

    Raises:
        InvalidArgumentError: the environment has no such attribute, or ``into`` is nothing of the kind.
    """

    def __init__(
        self, source: Source, objective: Worth, design: Design, into: Into = "constructor", limit: int | None = None
    ) -> None:
        self.source, self.design, self.into, self.limit = source, design, into, limit
        super().__init__(self._first(), objective)
        self.spaces[LEADER] = (spaces.Discrete(1), design.space)
        self.after_follower = FOLLOWER
        super().begin(0, None)
        self._blank = self.seen

    def _first(self) -> gymnasium.Env[Any, Any]:
        """An environment as it is before anything is set; the middle of the range where the constructor asks for values."""
        if self.into == "constructor":
            space = self.design.space
            middle = (
                (space.low + space.high) / 2 if isinstance(space, spaces.Box) else np.zeros(len(self.design.names), int)
            )
            return self._made(self.design.values(middle))
        env = self._limited(self.source.make())
        if self.into == "attributes":
            for name in self.design.names:
                if not hasattr(env.unwrapped, name):
                    raise InvalidArgumentError(
                        f"{type(env.unwrapped).__name__} has no attribute {name!r}; give into='constructor', or a function "
                        "of the unwrapped environment and the values"
                    )
        elif not callable(self.into):
            raise InvalidArgumentError(
                f"into={checks.shown(self.into)}: expected 'constructor', 'attributes' or a function"
            )
        return env

    def _made(self, values: Mapping[str, Any]) -> gymnasium.Env[Any, Any]:
        try:
            return self._limited(self.source.make(**values))
        except TypeError as error:
            raise InvalidArgumentError(
                f"{dict(values)}: {error}; into='attributes' sets attributes of the unwrapped environment"
            ) from error

    def _limited(self, env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
        return env if self.limit is None else gymnasium.wrappers.TimeLimit(env, self.limit)

    def begin(self, seed: int | None, options: dict[str, Any] | None) -> Any:
        """Nothing yet: the environment begins its episode when the leader has moved."""
        self._asked, self.seen = (seed, options), self._blank
        return {}

    def lead(self, action: Any) -> None:
        """Set what the leader chose, and begin."""
        values = self.design.values(action)
        if self.into == "constructor":
            self.env.close()
            self.env = self._made(values)
            self._check_spaces(values)
        elif callable(self.into):
            self.into(self.env.unwrapped, values)
        else:
            for name, value in values.items():
                setattr(self.env.unwrapped, name, value)
        self.infos[FOLLOWER] = super().begin(*self._asked)

    def _check_spaces(self, values: Mapping[str, Any]) -> None:
        seen, played = self.spaces[FOLLOWER]
        if self.env.observation_space != seen or self.env.action_space != played:
            raise InvalidArgumentError(
                f"{dict(values)} makes an environment with observations in {self.env.observation_space} and actions in "
                f"{self.env.action_space}, others in {seen} and {played}: one follower plays alike spaces; leave such "
                "choices out, or wrap the environment"
            )

    def observe(self, agent: str) -> Any:
        """What a player sees; the leader sees nothing before it moves."""
        return np.int64(0) if agent == LEADER else self.seen

"""Foreign spaces as leaders and learners read them: flat vectors and finite choices, by Gymnasium's own functions."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from stackelberg_games.arrays import BoolArray
from stackelberg_games.errors import InvalidActionError, InvalidGameError, UnsupportedGameError
from stackelberg_games.rules.masks import KEY

MOST_CHOICES = 4096
"""The largest product of finite actions that is written out as one list of choices."""


class Sight:
    """How an agent's observations are read: without the mask that they may hold, and flat.

    A Box and a Discrete space stay as they are where nothing has to be added to them.

    Args:
        agent: its name, for messages.
        space: of its observations, as the environment declares it.

    Attributes:
        own: the space of observations without a mask, as a learner is shown them: a Box, a Discrete space or a flat Box.
        flat: the space of ``vector``, a flat Box of floats.
        holds_mask: whether observations hold a mask.

    Raises:
        UnsupportedGameError: the space cannot be flattened.
    """

    def __init__(self, agent: str, space: gymnasium.Space[Any]) -> None:
        self.agent = agent
        self.holds_mask = isinstance(space, spaces.Dict) and KEY in space.spaces
        self._alone = False
        if isinstance(space, spaces.Dict) and self.holds_mask:
            rest = {name: part for name, part in space.spaces.items() if name != KEY}
            self._alone = rest.keys() == {"observation"}
            space = rest["observation"] if self._alone else spaces.Dict(rest)
        self._space: gymnasium.Space[Any] = space
        try:
            flattened = spaces.flatten_space(space)
        except NotImplementedError as error:
            raise _not_flat(agent, space) from error
        if not isinstance(flattened, spaces.Box) or _has_text(space):
            raise _not_flat(agent, space)
        self.dtype = np.result_type(flattened.dtype or np.float64, np.float32)
        low, high = (_bounds(side, flattened.dtype) for side in (flattened.low, flattened.high))
        self.flat = spaces.Box(low.astype(self.dtype), high.astype(self.dtype), dtype=self.dtype.type)
        self.own: gymnasium.Space[Any] = space if isinstance(space, spaces.Box | spaces.Discrete) else self.flat

    def unmasked(self, observation: Any) -> Any:
        """An observation without its mask, as the environment gave it."""
        if not self.holds_mask:
            return observation
        if self._alone:
            return observation["observation"]
        return {name: part for name, part in observation.items() if name != KEY}

    def vector(self, observation: Any) -> NDArray[Any]:
        """An observation as a flat vector of floats, a new array."""
        seen = self.unmasked(observation)
        if isinstance(self._space, spaces.Box):
            return np.array(seen, dtype=self.dtype).reshape(-1)
        return np.array(spaces.flatten(self._space, seen), dtype=self.dtype)

    def shown(self, observation: Any) -> Any:
        """An observation as a learner is shown it, an element of ``own``, a copy."""
        if isinstance(self._space, spaces.Box | spaces.Discrete):
            return np.array(self.unmasked(observation), dtype=self._space.dtype)
        return self.vector(observation)

    def check(self, observation: Any) -> None:
        """Raise ``InvalidGameError`` unless an observation can be read."""
        try:
            found = self.vector(observation)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InvalidGameError(
                f"agent {self.agent!r} observed {_brief(observation)}, which is not in its space {self._space} ({error}); "
                "mend the environment's observation_space or its observations"
            ) from error
        if found.shape != self.flat.shape or not np.isfinite(found).all():
            raise InvalidGameError(
                f"agent {self.agent!r} observed {_brief(observation)}: expected finite numbers in {self._space}; mend the "
                "environment, or wrap it"
            )


def _not_flat(agent: str, space: gymnasium.Space[Any]) -> UnsupportedGameError:
    return UnsupportedGameError(
        f"agent {agent!r} observes {space}, which Gymnasium does not flatten to numbers; wrap the environment so that "
        "text, graphs and sequences are left out (MiniGrid: ImgObsWrapper; Gymnasium: FilterObservation)"
    )


def _has_text(space: gymnasium.Space[Any]) -> bool:
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces
        return any(map(_has_text, parts))
    return isinstance(space, spaces.Text)


def _bounds(side: NDArray[Any], dtype: Any) -> NDArray[np.float64]:
    """Bounds as floats; the limits of a number format stand for no bound."""
    values = side.astype(np.float64)
    if dtype is None or np.dtype(dtype).kind == "b" or np.dtype(dtype).itemsize == 1:
        return values
    limit = float(np.iinfo(dtype).max if np.dtype(dtype).kind in "iu" else np.finfo(np.float32).max)
    return np.where(np.abs(values) >= 0.99 * limit, np.copysign(np.inf, values), values)


class Moves:
    """How an agent's actions are written: one of finitely many, counted from 0, or a flat vector of floats.

    MultiDiscrete, MultiBinary and finite Dict and Tuple spaces become a list of all choices; Dict and Tuple spaces of
    Boxes become their flat Box.

    Args:
        agent: its name, for messages.
        space: of its actions, as the environment declares it.

    Attributes:
        raw: that space.
        space: Discrete, or a flat Box.

    Raises:
        UnsupportedGameError: the space is of another kind, or has too many choices.
    """

    def __init__(self, agent: str, space: gymnasium.Space[Any]) -> None:
        self.agent, self.raw = agent, space
        self.finite = _finite(space)
        self._plain = isinstance(space, spaces.Discrete)
        self._start = int(space.start) if isinstance(space, spaces.Discrete) else 0
        self.space: Any
        if self.finite:
            count = _count(space)
            if count > MOST_CHOICES:
                raise UnsupportedGameError(
                    f"agent {agent!r} has {count} actions in {space}: at most {MOST_CHOICES} are listed; wrap the "
                    "environment so that it takes fewer at a time"
                )
            self.space = spaces.Discrete(count)
        else:
            self.space = _flat_box(agent, space)
        self.size = int(self.space.n) if self.finite else int(self.space.shape[0])

    def decode(self, action: Any) -> Any:
        """The environment's own form of an action.

        Raises:
            InvalidActionError: it is not in the space.
        """
        if self.finite:
            index = int(action)
            if not 0 <= index < self.size:
                raise InvalidActionError(f"agent {self.agent!r} played {action!r}: expected an action in {self.space}")
            return self._start + index if self._plain else _element(self.raw, index)
        vector = np.asarray(action, dtype=self.space.dtype).reshape(-1)
        if vector.shape != self.space.shape or not np.isfinite(vector).all():
            raise InvalidActionError(f"agent {self.agent!r} played {action!r}: expected a vector in {self.space}")
        if not ((vector >= self.space.low) & (vector <= self.space.high)).all():
            raise InvalidActionError(
                f"agent {self.agent!r} played {vector.tolist()}: expected a vector in {self.space}"
            )
        return (
            vector.reshape(self.raw.shape) if isinstance(self.raw, spaces.Box) else spaces.unflatten(self.raw, vector)
        )

    def encode(self, action: Any) -> Any:
        """An action of the environment's own form as an int or a flat vector.

        Raises:
            InvalidActionError: it is not in the space.
        """
        try:
            if self._plain:
                index = operator.index(action) - self._start
                wrong = not 0 <= index < self.size
            else:
                action = self._cast(action)
                wrong = not self.raw.contains(action)
        except (TypeError, ValueError):
            wrong = True
        if wrong:
            raise InvalidActionError(f"agent {self.agent!r} played {action!r}: expected an action in {self.raw}")
        if self._plain:
            return index
        if self.finite:
            return _index(self.raw, action)
        return np.asarray(spaces.flatten(self.raw, action), dtype=self.space.dtype)

    def _cast(self, action: Any) -> Any:
        """Numbers that were sent as lists, or in a wider format, in the format of the space."""
        if not isinstance(self.raw, spaces.Box | spaces.MultiDiscrete | spaces.MultiBinary):
            return action
        array = np.asarray(action)
        cast = array.astype(self.raw.dtype)
        return cast if array.dtype.kind in "f" or np.array_equal(cast, array) else array

    def mask(self, given: Any) -> BoolArray:
        """A mask over ``space``, bool ``[n]``.

        Raises:
            InvalidGameError: it does not fit the actions.
        """
        try:
            parts = given if isinstance(given, tuple) else (given,)
            found = np.ones(1, dtype=np.bool_)
            for part in parts:
                found = np.logical_and.outer(found, np.asarray(part) != 0).reshape(-1)
        except (TypeError, ValueError) as error:
            raise self._unfit(given) from error
        if not self.finite or found.shape != (self.size,):
            raise self._unfit(given)
        return found

    def _unfit(self, given: Any) -> InvalidGameError:
        return InvalidGameError(
            f"agent {self.agent!r} has the {KEY} {_brief(given)}: expected 0 or 1 for each action in {self.raw}; mend "
            "the environment"
        )


def _flat_box(agent: str, space: gymnasium.Space[Any]) -> spaces.Box:
    try:
        flat = spaces.flatten_space(space)
    except NotImplementedError:
        flat = None
    real = isinstance(flat, spaces.Box) and flat.dtype is not None and flat.dtype.kind == "f" and not _has_text(space)
    if not real or not _boxes(space):
        raise UnsupportedGameError(
            f"agent {agent!r} acts in {space}: expected finitely many actions, or Boxes of floats; wrap the environment "
            "so that its actions are of one kind"
        )
    assert isinstance(flat, spaces.Box)
    return flat


def _boxes(space: gymnasium.Space[Any]) -> bool:
    if isinstance(space, spaces.Dict | spaces.Tuple):
        return all(map(_boxes, _parts(space)))
    return isinstance(space, spaces.Box)


def _parts(space: gymnasium.Space[Any]) -> list[gymnasium.Space[Any]]:
    """The components of a composite space, in the order in which Gymnasium flattens them."""
    if isinstance(space, spaces.Dict):
        return list(space.spaces.values())
    if isinstance(space, spaces.Tuple):
        return list(space.spaces)
    if isinstance(space, spaces.MultiDiscrete):
        starts = np.asarray(space.start).ravel()
        return [spaces.Discrete(int(n), start=int(first)) for n, first in zip(space.nvec.ravel(), starts, strict=True)]
    assert isinstance(space, spaces.MultiBinary)
    return [spaces.Discrete(2)] * int(np.prod(space.shape))


def _finite(space: gymnasium.Space[Any]) -> bool:
    if isinstance(space, spaces.Dict | spaces.Tuple):
        return all(map(_finite, _parts(space)))
    return isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary)


def _count(space: gymnasium.Space[Any]) -> int:
    return (
        int(space.n) if isinstance(space, spaces.Discrete) else int(np.prod([_count(part) for part in _parts(space)]))
    )


def _element(space: gymnasium.Space[Any], index: int) -> Any:
    """The element number ``index`` of a finite space; the last component counts fastest."""
    if isinstance(space, spaces.Discrete):
        return int(space.start) + index
    found = []
    for part in reversed(_parts(space)):
        index, digit = divmod(index, _count(part))
        found.append(_element(part, digit))
    found.reverse()
    if isinstance(space, spaces.Dict):
        return dict(zip(space.spaces, found, strict=True))
    if isinstance(space, spaces.Tuple):
        return tuple(found)
    return np.array(found, dtype=space.dtype).reshape(space.shape)


def _index(space: gymnasium.Space[Any], element: Any) -> int:
    """The number of an element; see ``_element``."""
    if isinstance(space, spaces.Discrete):
        return int(element) - int(space.start)
    if isinstance(space, spaces.Dict):
        values: Any = [element[name] for name in space.spaces]
    else:
        values = element if isinstance(space, spaces.Tuple) else np.asarray(element).ravel()
    index = 0
    for part, value in zip(_parts(space), values, strict=True):
        index = index * _count(part) + _index(part, value)
    return index


def _brief(value: Any) -> str:
    text = " ".join((repr(dict(value)) if isinstance(value, Mapping) else repr(value)).split())
    return text if len(text) <= 80 else f"{text[:77]}..."

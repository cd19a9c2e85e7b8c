"""What a sweep tries: every combination of lists of values, or random draws from lists and ranges."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackelberg_games import checks
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.numerics.randomness import check_seed, generator
from stackelberg_games.tournaments.contestant import canonical

MAX_POINTS = 100_000
Search = Mapping[str, Any]
"""Lists and ranges by setting, as ``{"leader.learning_rate": [0.01, 0.1]}``; tables in tables say the same."""


@dataclass(frozen=True)
class Span:
    """A range of numbers, both ends included.

    Attributes:
        low, high: the ends.
        log: whether draws are uniform in the logarithm.
        integer: whether only integers are drawn.

    Raises:
        InvalidArgumentError: ``high`` is not above ``low``, or ``low`` is not above 0 with ``log``, or the range is wider than
            numbers of 64 bits are.
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False

    def __post_init__(self) -> None:
        checks.flag("log", self.log)
        bounds = (-(2**63), 2**63 - 1) if checks.flag("integer", self.integer) else ()
        maker = checks.integer if self.integer else checks.number
        low, high = maker("low", self.low, *bounds), maker("high", self.high, *bounds)
        checks.number("high", high, above=low)
        checks.number("high less low", high - low)
        if self.log:
            checks.number("low of a range with log", low, above=0)

    def draw(self, stream: np.random.Generator) -> float | int:
        """A number from the range."""
        if self.integer and not self.log:
            return int(stream.integers(int(self.low), int(self.high), endpoint=True))
        if not self.log:
            return float(stream.uniform(self.low, self.high))
        ends = (self.low - 0.5, self.high + 0.5) if self.integer else (self.low, self.high)
        drawn = math.exp(stream.uniform(math.log(ends[0]), math.log(ends[1])))
        inside = min(max(drawn, self.low), self.high)
        return round(inside) if self.integer else inside


def combinations(search: Search, samples: int | None = None, seed: int = 0) -> list[dict[str, Any]]:
    """Values by setting, for every point of a sweep.

    Args:
        search: a list of values or a range (``low``, ``high``, and where wanted ``log`` and ``integer``) by setting.
        samples: how many points to draw; if None, every combination of the lists, the last setting fastest.
        seed: of the draws; the first points do not depend on how many there are.

    Returns:
        Different points; one that is drawn again is left out.

    Raises:
        InvalidArgumentError: there is nothing to search, a list is empty or repeats itself, a range is wrong or meets
            no ``samples``, or there would be too many points.
    """
    check_seed(seed)
    space = space_of(search)
    if samples is None:
        return _grid(space)
    found: dict[str, dict[str, Any]] = {}
    for number in range(checks.integer("samples", samples, 1, MAX_POINTS)):
        stream = generator(seed, number)
        values = {name: _drawn(options, stream) for name, options in space.items()}
        found.setdefault(canonical(values), values)
    return list(found.values())


def space_of(search: Search) -> dict[str, Span | list[Any]]:
    """Lists and ranges by setting; raises ``InvalidArgumentError`` like ``combinations``."""
    space: dict[str, Span | list[Any]] = {}
    for name, options in _space(search, ""):
        if name in space:
            raise InvalidArgumentError(f"{name} is searched twice: expected it once")
        if "" in name.split(".") or "." not in name:
            raise InvalidArgumentError(f"setting {name!r}: expected SECTION.KEY, such as leader.learning_rate")
        space[name] = options
    if not space:
        raise InvalidArgumentError(
            'search is empty: expected lists by setting, as {"leader.learning_rate": [0.01, 0.1]}'
        )
    return space


def _grid(space: Mapping[str, Span | list[Any]]) -> list[dict[str, Any]]:
    lists = []
    for name, options in space.items():
        if isinstance(options, Span):
            raise InvalidArgumentError(f"{name} is a range: expected a list of values, or samples=N to draw from it")
        lists.append(options)
    size = math.prod(map(len, lists))
    if size > MAX_POINTS:
        raise InvalidArgumentError(
            f"a grid of {size:,} points: expected at most {MAX_POINTS:,}; draw samples=N of them"
        )
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*lists)]


def _space(search: Any, above: str) -> Iterator[tuple[str, Span | list[Any]]]:
    if not isinstance(search, Mapping):
        raise InvalidArgumentError(f"search={checks.shown(search)}: expected a table of lists and ranges by setting")
    for key, value in search.items():
        name = above + checks.text("setting", key)
        if isinstance(value, Mapping) and not {"low", "high"} & set(value):
            yield from _space(value, f"{name}.")
        elif isinstance(value, Mapping):
            yield name, _span(name, value)
        else:
            yield name, _choices(name, value)


def _span(name: str, table: Mapping[str, Any]) -> Span:
    try:
        return Span(**table)
    except TypeError as error:
        raise InvalidArgumentError(
            f"{name}={checks.shown(dict(table))}: expected low and high, and where wanted log and integer"
        ) from error
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"{name}: {error}") from error


def _choices(name: str, values: Any) -> list[Any]:
    if isinstance(values, np.ndarray) and values.ndim == 1:
        values = values.tolist()
    if not isinstance(values, list | tuple | range) or not len(values):
        raise InvalidArgumentError(f"{name}={checks.shown(values)}: expected a list of values, or a range (low, high)")
    written = [canonical(value) for value in values]
    for index, text in enumerate(written):
        if text in written[:index]:
            raise InvalidArgumentError(f"{name} holds {checks.shown(values[index])} twice: expected different values")
    return list(values)


def _drawn(options: Span | list[Any], stream: np.random.Generator) -> Any:
    return options.draw(stream) if isinstance(options, Span) else options[int(stream.integers(len(options)))]

"""Arrays and actions of finite games as they are handed over, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import ArrayLike

from stackelberg_games import checks
from stackelberg_games.arrays import BoolArray, FloatArray, IntArray
from stackelberg_games.errors import InvalidActionError, InvalidArgumentError, InvalidGameError
from stackelberg_games.numerics.sampling import check_probabilities

COPIES = 3
"""Of an array of transitions that a game and its solvers hold."""


class Numbered(Sequence[str]):
    """Labels "0", "1", ... of states, made when they are asked for."""

    def __init__(self, count: int) -> None:
        self._numbers = range(count)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [str(number) for number in self._numbers[index]]
        return str(self._numbers[index])


def affordable_array(name: str, values: object) -> None:
    """Raise ``InvalidGameError`` where an array is so large that the game would not fit; before it is copied."""
    if isinstance(values, np.ndarray) and COPIES * 8 * values.size > checks.memory():
        size = 8 * values.size
        raise InvalidGameError(
            f"{name} would take {size / 1e9:,.1f} GB as an array {list(values.shape)}, {COPIES} times over, on a machine "
            f"with {checks.memory() / 1e9:,.1f} GB; TabularGame.from_successors takes lists of the states that can follow"
        )


def plain(name: str, values: object) -> Any:
    """Values as an array of any kind, masks kept; raise ``InvalidGameError`` for ragged lists and what else is none."""
    try:
        return np.asanyarray(values)
    except Exception as error:  # foreign objects too
        raise InvalidGameError(f"{name} is not an array: {error}") from error


def with_leader(name: str, values: ArrayLike, without: int) -> Any:
    """An array with an axis for the leader's only action where it has ``without`` axes.

    Raises:
        InvalidGameError: it is no array.
    """
    array = plain(name, values)
    return array[:, None] if array.ndim == without else values


def sharing(array: FloatArray) -> torch.Tensor:
    """A tensor on the memory of a read-only array that owns it; neither is written to."""
    array.setflags(write=True)
    tensor = torch.from_numpy(array)
    array.setflags(write=False)
    return tensor


def frozen(name: str, values: ArrayLike, expected: int | tuple[int, ...]) -> FloatArray:
    """A read-only float64 copy of the expected rank or shape, all finite."""
    array = checks.array(name, values, expected, error=InvalidGameError)
    array.setflags(write=False)
    return array


def check_rows(name: str, rows: FloatArray, expected: tuple[int, ...]) -> None:
    """Raise ``InvalidArgumentError`` unless rows have a shape and are distributions."""
    if rows.shape != expected:
        raise InvalidArgumentError(f"{name} has shape {rows.shape}: expected {expected}")
    try:
        check_probabilities(name, rows)
    except InvalidGameError as error:
        raise InvalidArgumentError(str(error)) from error


def indices(player: str, actions: Any, count: int, shape: tuple[int, ...]) -> IntArray:
    """Actions as int64 of a shape; their range is for ``check_range``."""
    array = np.asarray(actions)
    if array.dtype.kind not in "iu":
        raise InvalidActionError(f"{player} action {array.tolist()}: expected integers in [0, {count})")
    if array.shape != shape:
        raise InvalidActionError(f"{player} action {array.tolist()}: expected {shape[0]} integers, one an episode")
    return array.astype(np.int64, copy=False)


def check_range(player: str, actions: IntArray, count: int) -> None:
    """Report what the compiled step has refused."""
    wrong = actions[(actions < 0) | (actions >= count)]
    if wrong.size:
        raise InvalidActionError(f"{player} action {wrong.tolist()}: expected integers in [0, {count})")


def flags_of(name: str, values: ArrayLike | None, count: int) -> BoolArray:
    """Read-only flags ``[count]``, all false for None."""
    try:
        flags = np.zeros(count, dtype=bool) if values is None else np.array(values)
    except ValueError as error:
        raise InvalidGameError(f"{name} is not an array: {error}") from error
    if isinstance(values, np.ma.MaskedArray) or flags.shape != (count,) or flags.dtype != np.bool_:
        raise InvalidGameError(f"{name} has shape {flags.shape} and dtype {flags.dtype}: expected bool [{count}]")
    flags.setflags(write=False)
    return flags

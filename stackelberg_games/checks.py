"""What callers and files hand over, checked in one place: integers, numbers, flags, texts, arrays, ids, paths.

Every function returns the value in its plain form (an ``int`` for a NumPy integer) and refuses everything
else by a typed error that names the value and says what was expected. Nothing is rounded, parsed or clipped:
``"2"`` is no number, ``1.0`` no integer, and ``True`` neither.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Collection, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackelberg_games.errors import InvalidArgumentError, StackelbergError

Error = type[StackelbergError]
_SHOWN = 100


def shown(value: object) -> str:
    """``repr``, cut where it is long; of foreign objects too."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 (a foreign object's own code)
        text = f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def is_integer(value: object) -> bool:
    """Whether it is an integer, Python's or NumPy's; a boolean is none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether it is a real number, Python's or NumPy's; a boolean is none."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def integer(
    name: str, value: object, low: int | None = None, high: int | None = None, *, error: Error = InvalidArgumentError
) -> int:
    """An integer from ``low`` to ``high``, both included.

    Raises:
        InvalidArgumentError: it is something else, or out of range; ``error`` names another class.
    """
    whole = type(value) is int or is_integer(value)
    if not whole or (low is not None and value < low) or (high is not None and value > high):  # type: ignore[operator]
        raise error(f"{name}={shown(value)}: expected an integer{_closed(low, high)}")
    return int(value)  # type: ignore[call-overload, no-any-return]


def number(
    name: str,
    value: object,
    low: float | None = None,
    high: float | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
    error: Error = InvalidArgumentError,
) -> float:
    """A finite number within bounds.

    Args:
        name: of the argument, for the message.
        value: to check.
        low, high: bounds that belong to the range.
        above, below: bounds that do not.
        error: what to raise.

    Raises:
        InvalidArgumentError: it is something else, or out of range; ``error`` names another class.
    """
    if type(value) is float or is_number(value):
        found = _float(value)
        inside = (low is None or found >= low) and (high is None or found <= high)
        if math.isfinite(found) and inside and (above is None or found > above) and (below is None or found < below):
            return found
    raise error(f"{name}={shown(value)}: expected a {_range(low, high, above, below)}")


def flag(name: str, value: object, *, error: Error = InvalidArgumentError) -> bool:
    """True or False; raise ``error`` for everything else."""
    if not isinstance(value, bool | np.bool_):
        raise error(f"{name}={shown(value)}: expected True or False")
    return bool(value)


def text(name: str, value: object, *, empty: bool = False, error: Error = InvalidArgumentError) -> str:
    """A text that can be written in UTF-8; raise ``error`` for everything else, and for an empty one."""
    if not isinstance(value, str) or not (value or empty):
        raise error(f"{name}={shown(value)}: expected a text")
    if not encodable(value):
        raise error(f"{name}={shown(value)}: it holds half of a surrogate pair, which no file can hold; leave it out")
    return value


def encodable(value: str) -> bool:
    """Whether a text can be written in UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def choice(name: str, value: object, options: Sequence[str], *, error: Error = InvalidArgumentError) -> str:
    """One of a few words; raise ``error`` for everything else."""
    if not isinstance(value, str) or value not in options:
        raise error(f"{name}={shown(value)}: expected {listed(options)}")
    return value


def known(what: str, name: str, options: Collection[str]) -> None:
    """Raise ``InvalidArgumentError`` for a name that is none of those there are, with the nearest of them."""
    if name not in options:
        close = difflib.get_close_matches(name, options, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(options) or 'none'}"
        raise InvalidArgumentError(f"{what} {name!r}; {hint}")


def listed(options: Sequence[object]) -> str:
    """``'a', 'b' or 'c'``."""
    *most, last = map(repr, options)
    return f"{', '.join(most)} or {last}" if most else last


def identifier(kind: str, value: object) -> str:
    """An id as a text; raise ``InvalidArgumentError`` for everything else."""
    if not isinstance(value, str) or not value or not encodable(value):
        raise InvalidArgumentError(f"{kind} id {shown(value)}: expected a text, such as 'discrete_toy-v0'")
    return value


def path(name: str, value: object) -> Path:
    """A path from a text or a path object; raise ``InvalidArgumentError`` for everything else."""
    if not isinstance(value, str | os.PathLike) or not (place := os.fspath(value)):
        raise InvalidArgumentError(f"{name}={shown(value)}: expected a path")
    if not isinstance(place, str) or "\0" in place or not _is_file_name(place):
        raise InvalidArgumentError(f"{name}={shown(value)}: expected a path as a text that file systems know")
    return Path(place)


def array(
    name: str,
    values: object,
    shape: int | tuple[int | None, ...] | None = None,
    *,
    finite: bool = True,
    error: Error = InvalidArgumentError,
) -> NDArray[np.float64]:
    """A fresh float64 array of real numbers.

    Args:
        name: of the argument, for the message.
        values: numbers, nested sequences of them, an array or a tensor.
        shape: what it must have, None standing for any length; or only the number of axes.
        finite: whether infinities and NaN are refused.
        error: what to raise.

    Raises:
        InvalidArgumentError: it holds texts, dates, complex numbers, booleans or masked entries, is ragged, of
            another shape, or not finite; ``error`` names another class.
    """
    usual = type(values) is np.ndarray and values.dtype == np.float64
    plain: NDArray[Any] = values if usual else _numeric(name, values, error)  # type: ignore[assignment]
    wanted = (None,) * shape if isinstance(shape, int) else shape
    if wanted is not None and not (
        plain.ndim == len(wanted) and all(w in (None, got) for w, got in zip(wanted, plain.shape, strict=True))
    ):
        expected = f"{shape} axes" if isinstance(shape, int) else str(wanted).replace("None", "any")
        raise error(f"{name} has shape {plain.shape}: expected {expected}")
    if usual:
        found = plain.copy()
    else:
        with np.errstate(over="ignore"):
            found = np.array(plain, dtype=np.float64, order="C")
    if finite and not np.isfinite(found).all():
        where = [int(i) for i in np.argwhere(~np.isfinite(found))[0]]
        raise error(f"{name}{where or ''} is {found[tuple(where)]}: expected a finite number")
    return found


def affordable(what: str | Callable[[], str], entries: int) -> None:
    """Raise ``InvalidArgumentError`` where so many float64 entries exceed this machine's memory.

    Args:
        what: they are, for the message; a function of nothing where its text would cost more than the check.
        entries: how many.
    """
    needed = 8 * entries
    if needed > memory():
        raise InvalidArgumentError(
            f"{what() if callable(what) else what} would take {needed / 2**30:,.1f} GiB, more than the memory of this machine; ask for less"
        )


@cache
def memory() -> int:
    """Bytes of this machine's memory."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on every platform
        return 2**36


def _is_file_name(place: str) -> bool:
    try:
        os.fsencode(place)
    except UnicodeEncodeError:
        return False
    return True


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond the largest float
        return math.inf


def _numeric(name: str, values: object, error: Error) -> NDArray[Any]:
    """The values as an array of real numbers, of whatever type."""
    if isinstance(values, np.ma.MaskedArray):
        raise error(f"{name} is a masked array: fill the masked entries first")
    try:
        found = np.asarray(values)
    except Exception as problem:  # ragged lists, tensors that hold a gradient, foreign objects
        raise error(f"{name} is not a numeric array: {problem}") from problem
    if found.dtype.kind == "O" and all(is_number(entry) for entry in found.flat):
        found = np.array([_float(entry) for entry in found.flat]).reshape(found.shape)  # integers beyond 64 bits
    if found.dtype.kind not in "iuf" and found.size:
        kinds = {"b": "booleans", "c": "complex numbers", "U": "texts", "S": "bytes", "M": "dates", "m": "durations"}
        raise error(f"{name} is not a numeric array: it holds {kinds.get(found.dtype.kind, found.dtype)}")
    return found


def _closed(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low} to {high}"
    return f" >= {low}" if low is not None else f" <= {high}" if high is not None else ""


def _range(low: float | None, high: float | None, above: float | None, below: float | None) -> str:
    left, right = low if above is None else above, high if below is None else below
    if left is not None and right is not None:
        return f"number in {'[' if above is None else '('}{left:g}, {right:g}{']' if below is None else ')'}"
    if left is not None:
        return f"number {'>=' if above is None else '>'} {left:g}"
    return "finite number" if right is None else f"number {'<=' if below is None else '<'} {right:g}"

"""Arguments held against the annotations of what takes them.

A factory of games or agents says by its annotations what it takes: ``learning_rate: float``,
``sweeps: int | None``, ``ties: Literal["leader", "first"]``. Values of other types are refused before it is
called, whoever wrote it; ranges are its own business. ``checked`` does the same for a public function. An
annotation that says nothing here (a type variable, a class that only type checkers import) lets everything pass.
"""

from __future__ import annotations

import inspect
import math
import sys
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache, lru_cache, wraps
from typing import Any, Literal, ParamSpec, TypeVar, Union

import numpy as np
from numpy.typing import ArrayLike

from stackelberg_games import checks
from stackelberg_games.errors import InvalidArgumentError

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
Test = Callable[[Any], bool]
_ONE = {int: "an integer", float: "a finite number", bool: "True or False", str: "a text", type(None): "None"}
_MANY = {int: "integers", float: "finite numbers", bool: "flags", str: "texts"}
_NUMBERS = frozenset(typing.get_args(ArrayLike))


def of_kind(what: str, given: Any, kinds: Mapping[str, type[T]], base: type[T], more: str) -> T:
    """An object as users write it: itself, the name of a kind, or a dict with ``kind`` and its settings.

    Args:
        what: name of the argument.
        given: its value.
        kinds: classes by name.
        base: of all of them, and of objects of a user's own.
        more: what else may be given, for the refusal.

    Raises:
        InvalidArgumentError: it is nothing of the kind.
    """
    if isinstance(given, base):
        return given
    settings = {"kind": given} if isinstance(given, str) else dict(given) if isinstance(given, Mapping) else {}
    kind = settings.pop("kind", None)
    if not isinstance(kind, str) or kind not in kinds:
        raise InvalidArgumentError(
            f"{what}={checks.shown(given)}: expected one of {', '.join(kinds)}, a dict with such a 'kind' and its settings, {more}"
        )
    check_bound(kinds[kind], settings, f"{what}={checks.shown(given)}: ")
    return kinds[kind](**settings)


class Checked:
    """Base of agents, which are dataclasses: no field ever holds what its annotation does not allow."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in getattr(self, "__dataclass_fields__", ()):
            check(type(self), {name: value})
        super().__setattr__(name, value)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings it was constructed with.

        Raises:
            InvalidArgumentError: its class is no dataclass.
        """
        if not is_dataclass(self):
            raise InvalidArgumentError(
                f"{type(self).__name__} is no dataclass, so that its settings are not known; write @dataclass above its class"
            )
        return {field.name: getattr(self, field.name) for field in fields(self)}


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator of a public function: its arguments are what its annotations say, or it is not called.

    A ``game`` is left to ``require_game``, which says how to make one.
    """
    names = list(inspect.signature(function).parameters)

    @cache
    def tests() -> dict[str, Test]:  # annotations may name what is defined further below
        return {name: test for name, (_, test) in _annotations(function).items() if name != "game"}

    @wraps(function)
    def call(*positional: P.args, **named: P.kwargs) -> R:
        known = tests()
        for given in (zip(names, positional, strict=False), named.items()):
            for name, value in given:
                if name in known and not known[name](value):
                    check(function, {name: value})
        return function(*positional, **named)  # Python says what is missing, unknown or given twice

    return call


def check(factory: Callable[..., Any], given: Mapping[str, Any], who: str = "") -> None:
    """Raise ``InvalidArgumentError`` for a setting whose value the factory's annotation does not allow.

    Args:
        factory: what will be called with the settings.
        given: settings by name; unknown names are left to the factory.
        who: put before the message.
    """
    known = _annotations(factory)
    for name, value in given.items():
        if name in known and not known[name][1](value):
            raise InvalidArgumentError(f"{who}{name}={checks.shown(value)}: expected {_expected(known[name][0])}")


def check_bound(factory: Callable[..., Any], given: Mapping[str, Any], who: str) -> None:
    """Raise ``InvalidArgumentError`` where a factory cannot be called with these settings alone.

    Args:
        factory: what will be called.
        given: settings by name.
        who: put before the message, which names the setting nearest to an unknown one.
    """
    signature = inspect.signature(factory)
    try:
        signature.bind(**given)
    except TypeError as error:
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values()):
            for name in given:
                checks.known(f"{who}no setting", name, list(signature.parameters))
        raise InvalidArgumentError(f"{who}{error}") from error


def check_fields(made: Any) -> None:
    """The same for the fields of a frozen dataclass, from its ``__post_init__``."""
    check(type(made), vars(made))


def fits(value: Any, annotation: Any) -> bool:
    """Whether a value is what an annotation says; true where it says nothing that can be checked."""
    return _test(annotation)(value)


def _test(annotation: Any) -> Test:
    """The test that an annotation stands for; an annotation is taken apart once and its values are many."""
    if annotation in _TESTS:
        return _TESTS[annotation]
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Union, types.UnionType):
        numbers, others = _options(inner)
        tests = [_test(option) for option in others]
        return lambda value: (numbers and _numbers(value)) or any(test(value) for test in tests)
    if origin is Literal:
        return lambda value: any(type(value) is type(option) and value == option for option in inner)
    if origin in (tuple, list, Sequence):
        return _items(tuple(map(_test, inner)), fixed=origin is tuple and inner[-1] is not Ellipsis)
    if origin in (Iterator, Iterable, Collection):
        return lambda value: isinstance(value, origin) and not isinstance(value, str | bytes)
    if origin in (dict, Mapping):
        keys, entries = map(_test, inner)
        return lambda value: (
            isinstance(value, Mapping) and all(keys(key) and entries(entry) for key, entry in value.items())
        )
    if origin is Callable:
        return callable
    if origin is np.ndarray:
        return _is_array
    kind = annotation if origin is None else origin
    return _instance(kind) if isinstance(kind, type) else _any


def _items(tests: tuple[Test, ...], *, fixed: bool) -> Test:
    """Of lists: each item its own test where their number is ``fixed``, else all the first."""
    if fixed:
        return lambda value: (
            _is_list(value)
            and len(value) == len(tests)
            and all(test(item) for test, item in zip(tests, value, strict=True))
        )
    return lambda value: _is_list(value) and all(map(tests[0], value))


def _is_array(value: Any) -> bool:
    plain = type(value) is np.ndarray or (isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray))
    return plain and value.dtype.kind in "biuf"


def _any(value: Any) -> bool:
    return True


def _is_float(value: Any) -> bool:
    if type(value) is float:  # the usual case, a few times in every iteration
        return math.isfinite(value)
    return checks.is_number(value) and bool(np.isfinite(checks._float(value)))


def _is_integer(value: Any) -> bool:
    if type(value) is int:
        return -(2**63) < value < 2**63
    return checks.is_integer(value) and abs(value) < 2**63


_TESTS: dict[Any, Test] = {
    float: _is_float,
    int: _is_integer,
    bool: lambda value: isinstance(value, bool | np.bool_),
    str: lambda value: isinstance(value, str) and checks.encodable(value),
    None: lambda value: value is None,
    type(None): lambda value: value is None,
}


def _options(inner: Sequence[Any]) -> tuple[bool, list[Any]]:
    """Whether ``ArrayLike`` is among the members of a union, and the others."""
    numbers = _NUMBERS <= {*inner}
    return numbers, [option for option in inner if not (numbers and option in _NUMBERS)]


def _instance(kind: type) -> Test:
    try:
        isinstance(None, kind)
    except TypeError:  # a protocol that cannot be asked
        return _any
    return lambda value: isinstance(value, kind)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _numbers(value: Any) -> bool:
    try:
        checks.array("values", value, finite=False)
    except InvalidArgumentError:
        return False
    return True


@lru_cache(maxsize=512)
def _annotations(factory: Callable[..., Any]) -> dict[str, tuple[Any, Test]]:
    """Annotations by parameter and their tests, those that cannot be evaluated left out."""
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return {}
    found = {}
    for name, parameter in parameters.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        annotation = parameter.annotation
        if isinstance(annotation, str):
            annotation = _evaluated(factory, name, annotation)
        if annotation not in (inspect.Parameter.empty, Any, object):
            found[name] = annotation, _test(annotation)
    return found


def _evaluated(factory: Callable[..., Any], name: str, annotation: str) -> Any:
    """An annotation in the namespace of the class that declares it, or of the function."""
    places = [c for c in getattr(factory, "__mro__", ()) if name in getattr(c, "__annotations__", {})]
    if isinstance(factory, type) and not places:
        places = [c for c in factory.__mro__ if "__init__" in vars(c)]
    module = places[0].__module__ if places else getattr(inspect.unwrap(factory), "__module__", "")
    try:
        return eval(annotation, dict(vars(sys.modules[module])))  # the program's own source text
    except Exception:  # noqa: BLE001 (a name that only type checkers import)
        return Any


def _expected(annotation: Any) -> str:
    """What an annotation allows, in words."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Union, types.UnionType):
        numbers, others = _options(inner)
        return " or ".join(dict.fromkeys((["an array of numbers"] if numbers else []) + [*map(_expected, others)]))
    if origin is Literal:
        return checks.listed(inner)
    if origin is tuple and inner[-1] is not Ellipsis:
        return f"{len(inner)} {_plural(inner[0])}"
    if origin in (tuple, list, Sequence):
        return f"a list of {_plural(inner[0])}"
    if origin in (dict, Mapping):
        return "a table" if inner[1] is Any else f"a table of {_plural(inner[1])}"
    if origin in (Iterator, Iterable, Collection):
        return "something to iterate over"
    if origin is Callable:
        return "something callable"
    if origin is np.ndarray:
        return "an array of numbers"
    return _ONE.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _plural(annotation: Any) -> str:
    inner = typing.get_args(annotation)
    if typing.get_origin(annotation) in (tuple, list, Sequence):
        return f"lists of {_plural(inner[0])}"
    return _MANY.get(annotation, _expected(annotation))

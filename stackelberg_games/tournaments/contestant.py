"""Who and what takes part: games, leaders and followers as plain data that any process can rebuild."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from stackelberg_games import checks
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.learning import importing, registry
from stackelberg_games.learning.registry import Kind
from stackelberg_games.rules.rules import require_lasting

Spec = Any
"""An id, an (id, settings) pair, a game or agent object, or a ``Contestant``."""
_MAKERS: dict[str, Callable[..., Any]] = {
    "game": registry.make,
    "leader": registry.make_leader,
    "follower": registry.make_follower,
}


@dataclass(frozen=True)
class Contestant:
    """A game, a leader or a follower, as it is shipped to workers and hashed into a match's key.

    Attributes:
        kind: ``"game"``, ``"leader"`` or ``"follower"``.
        label: its name in tables; not part of any key.
        id: registered id, or ``module:attribute`` of an importable factory.
        settings: keyword arguments of the factory.
        factory: only where no other process could find it by ``id``.
        identity: canonical JSON of everything that decides how it plays.
    """

    kind: Kind
    label: str
    id: str
    settings: Mapping[str, Any]
    factory: Callable[..., Any] | None = field(default=None, compare=False, repr=False)
    identity: str = ""

    def build(self) -> Any:
        """A new object.

        Raises:
            UnknownIdError: nothing is registered under the id.
            InvalidArgumentError: a setting is unknown or out of range.
        """
        if self.factory is None:
            return _MAKERS[self.kind](self.id, **self.settings)
        made = registry.build(f"{self.kind} {self.id!r}", self.factory, self.settings)
        base = importing.base_of(self.kind)
        if not isinstance(made, base):
            raise InvalidArgumentError(
                f"{self.kind} {self.id!r} made {type(made).__name__}: expected a {base.__name__}"
            )
        return made

    @classmethod
    def of(cls, kind: Kind, spec: Spec, label: str | None = None) -> Contestant:
        """Read a specification and build it once, so that mistakes show before anything runs.

        Args:
            kind: what it is.
            spec: an id, an (id, settings) pair, an object, or a ``Contestant``.
            label: name in tables; id and settings if not given.

        Raises:
            UnknownIdError: no such id; the message suggests the closest one.
            InvalidArgumentError: a setting is unknown, out of range, or not plain data.
        """
        if isinstance(spec, Contestant):
            if spec.kind != kind:
                raise InvalidArgumentError(f"{spec.label!r} is a {spec.kind}: expected a {kind}")
            return spec
        if isinstance(spec, importing.base_of(kind)):
            wanted, settings, factory = _of_object(kind, spec)
        else:
            wanted, settings = _of_pair(kind, spec)
            factory = _local_factory(kind, wanted)
        check_settings(kind, wanted, settings, factory)
        identity = canonical(_facts(cls(kind, "", wanted, settings, factory)))
        name = default_label(wanted, settings) if label is None else checks.text(f"{kind} label", label)
        return cls(kind, name, wanted, settings, factory, identity)

    def varied(self, settings: Mapping[str, Any]) -> Contestant:
        """The same with other settings.

        Raises:
            InvalidArgumentError: a setting is unknown, out of range, or not plain data.
        """
        check_settings(self.kind, self.id, settings, self.factory)
        new = replace(self, label=default_label(self.id, settings), settings=settings, identity="")
        return replace(new, identity=canonical(_facts(new)))


def roster(
    kind: Kind, specs: Sequence[Spec] | Mapping[str, Spec] | Spec, *, empty: bool = False
) -> tuple[Contestant, ...]:
    """Contestants from a list of specifications, or from a mapping of labels to specifications.

    Raises:
        InvalidArgumentError: the list is empty and must not be, or two contestants share a label or are the same.
    """
    if not empty and isinstance(specs, list | tuple | Mapping) and not specs:
        raise InvalidArgumentError(f"there is no {kind}: expected at least one")
    if isinstance(specs, Mapping):
        members = [Contestant.of(kind, spec, label) for label, spec in specs.items()]
    else:
        several = isinstance(specs, list | tuple) and not _is_pair(specs)
        members = [Contestant.of(kind, spec) for spec in (specs if several else [specs])]
    for name, values in (("label", [m.label for m in members]), ("settings", [m.identity for m in members])):
        for index, value in enumerate(values):
            if value in values[:index]:
                first = members[values.index(value)].label
                raise InvalidArgumentError(f"two {kind}s have the same {name}: {first!r} and {members[index].label!r}")
    return tuple(members)


def check_settings(kind: Kind, wanted: str, settings: Mapping[str, Any], factory: Any = None) -> None:
    """Raise ``InvalidArgumentError`` for a setting the factory does not take, with a suggestion."""
    maker = registry.factory(kind, wanted) if factory is None else factory
    try:
        parameters = inspect.signature(maker).parameters
    except (TypeError, ValueError):  # of a builtin; calling it will tell
        return
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for name in settings:
        checks.known(f"{kind} {wanted!r} has no setting", name, parameters)


def default_label(wanted: str, settings: Mapping[str, Any]) -> str:
    """``bchg`` or ``bchg(learning_rate=0.1)``; long values are cut."""
    shown = ", ".join(f"{key}={str(value)[:24]}" for key, value in settings.items())
    return f"{wanted}({shown})" if shown else wanted


def canonical(value: Any) -> str:
    """JSON with sorted keys, the same in every process.

    Raises:
        InvalidArgumentError: the value holds something that is not plain data.
    """
    try:
        return json.dumps(plain(value), sort_keys=True, separators=(",", ":"))
    except (RecursionError, ValueError) as error:  # nested too deeply, or in itself; an integer of many digits
        if isinstance(error, InvalidArgumentError):
            raise
        raise InvalidArgumentError(f"settings that cannot be written as data: {error}") from error


def plain(value: Any) -> Any:
    """Dicts, lists, strings and numbers; raise ``InvalidArgumentError`` for anything else."""
    if isinstance(value, str):
        return checks.text("setting", value, empty=True)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    raise InvalidArgumentError(f"setting {checks.shown(value)}: expected numbers, strings, lists or dicts")


def _is_pair(spec: Any) -> bool:
    return isinstance(spec, tuple) and len(spec) == 2 and isinstance(spec[0], str) and isinstance(spec[1], Mapping)


def _of_pair(kind: Kind, spec: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(spec, str):
        return checks.identifier(kind, spec), {}
    if _is_pair(spec) and all(isinstance(name, str) for name in spec[1]):
        return checks.identifier(kind, spec[0]), dict(spec[1])
    raise InvalidArgumentError(
        f"{kind} {checks.shown(spec)}: expected an id, an (id, settings) pair or a {kind} object"
    )


def _local_factory(kind: Kind, wanted: str) -> Callable[..., Any] | None:
    """The factory where ``id`` alone would not do in another process, else None."""
    if importing.is_named(kind, wanted):
        return importing.imported(kind, wanted)
    return registry.added(kind, wanted)


def _of_object(kind: Kind, thing: Any) -> tuple[str, dict[str, Any], Callable[..., Any] | None]:
    if kind == "game":
        require_lasting(thing)
        if thing.spec is not None:
            return thing.spec[0], dict(thing.spec[1]), _local_factory("game", thing.spec[0])
        return f"{type(thing).__name__}:{thing.name}", {}, partial(_same, thing)
    name = f"{type(thing).__module__}:{type(thing).__qualname__}"
    for known in registry.ids(kind):
        if registry.factory(kind, known) is type(thing):
            return known, dict(thing.settings), registry.added(kind, known)
    return name, dict(thing.settings), type(thing)


def _same(thing: Any) -> Any:
    return thing


def _facts(contestant: Contestant) -> dict[str, Any]:
    """What tells a contestant from every other: all settings of an agent, all rules of a game."""
    built = contestant.build()
    if contestant.kind == "game":
        return {"id": contestant.id, "settings": contestant.settings, "fingerprint": built.fingerprint()}
    return {"id": contestant.id, "settings": built.settings}

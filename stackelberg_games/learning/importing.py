"""Code that is named by a text: ``module:attribute`` for a game or an agent, and settings that name programs.

Whoever writes such a name in Python has said that it may run. A file has not: what it names is imported only
where its reader allows it, and what was imported is called only where it makes what it should.
"""

from __future__ import annotations

import importlib
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any

from stackelberg_games import checks
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.learning import registry
from stackelberg_games.learning.judges import KINDS
from stackelberg_games.learning.registry import Kind

HINT = "pass --allow-import (allow_import=True) if you trust the file"


def base_of(kind: Kind) -> type[Any]:
    """The class that everything of a kind derives from."""
    from stackelberg_games.kinds.game import Game
    from stackelberg_games.learning.follower import Follower
    from stackelberg_games.learning.leader import Leader

    bases: dict[Kind, type[Any]] = {"game": Game, "leader": Leader, "follower": Follower}
    return bases[kind]


def is_named(kind: Kind, wanted: str) -> bool:
    """Whether a text names code to import, and not something registered."""
    return ":" in wanted and wanted not in registry.ids(kind)


def check_file(kind: Kind, wanted: object, settings: Mapping[str, Any]) -> None:
    """Raise ``InvalidArgumentError`` where what a file says would run more than what is registered.

    Args:
        kind: of what is named.
        wanted: its id.
        settings: as the file gives them.
    """
    wanted = checks.identifier(kind, wanted)
    if is_named(kind, wanted):
        raise InvalidArgumentError(f"{kind} {wanted!r} is not registered, and a file may not import code; {HINT}")
    if wanted in registry.ids(kind):
        for name in programs(getattr(registry.factory(kind, wanted), "runs", ()), settings):
            raise InvalidArgumentError(
                f"{kind} {wanted!r}: {name!r} names a program, and a file may not run one; {HINT}"
            )


def programs(runs: Collection[str], settings: Mapping[str, Any]) -> list[str]:
    """Names of the settings that name a program to run: those of ``runs``, and those of a judge among the settings."""
    named = [name for name in runs if settings.get(name)]
    judge = settings.get("judge")
    if isinstance(judge, Mapping) and isinstance(judge.get("kind"), str):
        named += programs(getattr(KINDS.get(judge["kind"]), "runs", ()), judge)
    return named


def imported(kind: Kind, named: str) -> Callable[..., Any]:
    """What ``module:attribute`` names: a class of the kind, or for a game a function that declares to return one.

    Raises:
        InvalidArgumentError: it cannot be imported, or is something else; nothing of it was called.
    """
    module, _, attribute = named.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
        raise InvalidArgumentError(f"{kind} {named!r}: expected module:Class, such as my_package.my_agents:MyLeader")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:  # the module's own code may raise anything
        raise InvalidArgumentError(f"{kind} {named!r} cannot be imported: {type(error).__name__}: {error}") from error
    base = base_of(kind)
    if not (_is_subclass(found, base) or (kind == "game" and _is_subclass(_returned(found), base))):
        also = ", nor a function that is declared to return one (-> Game)" if kind == "game" else ""
        raise InvalidArgumentError(f"{kind} {named!r} is no subclass of {base.__name__}{also}; it was not called")
    maker: Callable[..., Any] = found
    return maker


def _is_subclass(found: Any, base: type[Any]) -> bool:
    return isinstance(found, type) and issubclass(found, base)


def _returned(function: Any) -> Any:
    """What a function is declared to return, None if nothing."""
    try:
        return typing.get_type_hints(function).get("return")
    except Exception:  # noqa: BLE001 (annotations may name anything, or it is no function)
        return None

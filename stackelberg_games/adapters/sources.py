"""Where environments come from: ids, factories and objects, and which of them another process can make again."""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from types import ModuleType
from typing import Any

import gymnasium
import pettingzoo

from stackelberg_games import checks
from stackelberg_games.errors import InvalidArgumentError

Factory = Callable[..., Any]


@dataclass(frozen=True)
class Source:
    """What makes an environment.

    Attributes:
        factory: makes one; takes no arguments but settings.
        description: the plain data that it is made from: an id, or an id and settings in a dict; None where
            no other process could find it, as for an object or a function without a place in a module.
    """

    factory: Factory
    description: Any = None

    def make(self, **settings: Any) -> Any:
        """An environment."""
        return self.factory(**settings)


@dataclass(frozen=True)
class Copies:
    """A factory that copies one environment."""

    env: Any

    def __call__(self, **settings: Any) -> Any:
        """A copy.

        Raises:
            InvalidArgumentError: the environment cannot be copied, or settings are given.
        """
        if settings:
            raise InvalidArgumentError(
                f"settings {settings}: an environment that is made already takes none; give a factory"
            )
        try:
            return copy.deepcopy(self.env)
        except Exception as error:  # it may hold windows, threads, anything
            raise InvalidArgumentError(
                f"{self.env} cannot be copied ({type(error).__name__}: {error}); give a factory: lambda: make_the_env()"
            ) from error


def pettingzoo_source(source: Any) -> Source:
    """The source of a PettingZoo environment.

    Args:
        source: the id of one in PettingZoo's registry (``"classic/rps-v2"``) or ``"module:attribute"``, alone or in a
            dict as ``id`` beside settings; a module with ``env`` or ``parallel_env``; a factory; or an environment.

    Raises:
        InvalidArgumentError: it is nothing of the kind, or there is no such thing.
    """
    return _source(source, _registered_in_pettingzoo, (pettingzoo.AECEnv, pettingzoo.ParallelEnv), "PettingZoo")


def gymnasium_source(source: Any) -> Source:
    """The source of a Gymnasium environment; see ``pettingzoo_source``."""
    return _source(source, _registered_in_gymnasium, (gymnasium.Env,), "Gymnasium")


def _source(source: Any, registered: Callable[[str], Factory | None], kinds: tuple[type, ...], library: str) -> Source:
    if isinstance(source, Source):
        return source
    if isinstance(source, kinds):
        return Source(Copies(source))
    if isinstance(source, ModuleType):
        name = next((name for name in ("env", "parallel_env") if hasattr(source, name)), None)
        if name is None:
            raise InvalidArgumentError(f"the module {source.__name__} has no env and no parallel_env")
        return Source(getattr(source, name), f"{source.__name__}:{name}")
    if isinstance(source, str | Mapping):
        settings = {"id": source} if isinstance(source, str) else dict(source)
        wanted = settings.pop("id", None)
        if not isinstance(wanted, str):
            raise InvalidArgumentError(
                f"{checks.shown(source)}: expected the id of an environment, alone or as 'id' beside settings"
            )
        found = registered(wanted) or imported(wanted, library)
        description = {"id": wanted, **settings} if settings else wanted
        return Source(functools.partial(found, **settings) if settings else found, description)
    if callable(source):
        return Source(source, describe(source))
    raise InvalidArgumentError(
        f"{checks.shown(source)}: expected an environment of {library}, a factory of one, or its id"
    )


def _registered_in_pettingzoo(wanted: str) -> Factory | None:
    known: dict[Any, Any] = {"aec": pettingzoo.aec_registry, "parallel": pettingzoo.parallel_registry}
    for kind, registry in known.items():
        if wanted in registry:
            return functools.partial(pettingzoo.make, kind, wanted)
    return None


def _registered_in_gymnasium(wanted: str) -> Factory | None:
    return functools.partial(gymnasium.make, wanted) if wanted in gymnasium.registry else None


def imported(wanted: str, library: str) -> Factory:
    """What ``"module:attribute"`` names, something to call.

    Raises:
        InvalidArgumentError: there is no such thing.
    """
    module, colon, attribute = wanted.partition(":")
    if not colon:
        raise InvalidArgumentError(
            f"{checks.shown(wanted)} is not registered with {library}; import the package that registers it first, or write "
            "'module:attribute' of its factory"
        )
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:  # the module's own code may raise anything
        raise InvalidArgumentError(
            f"{checks.shown(wanted)} cannot be imported: {error}; install its package"
        ) from error
    if not callable(found):
        raise InvalidArgumentError(
            f"{checks.shown(wanted)} is {type(found).__name__}: expected a factory of environments"
        )
    factory: Factory = found
    return factory


def describe(factory: Any) -> Any:
    """The plain data by which another process finds a factory; None where it cannot."""
    if isinstance(factory, functools.partial):
        inner = describe(factory.func)
        if factory.args or not isinstance(inner, str) or not plain(factory.keywords) or "id" in factory.keywords:
            return None
        return {"id": inner, **factory.keywords}
    module, name = getattr(factory, "__module__", None), getattr(factory, "__qualname__", None)
    if not module or not name or module == "__main__" or not (inspect.isroutine(factory) or inspect.isclass(factory)):
        return None
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return None
    return f"{module}:{name}" if found is factory else None


def plain(value: Any) -> bool:
    """Whether a value can be written to a file as it is."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def version_of(env: Any) -> str:
    """Name and version of the distribution that an environment's class comes from; empty where there is none."""
    package = type(env.unwrapped).__module__.partition(".")[0]
    return ", ".join(f"{name} {metadata.version(name)}" for name in sorted(set(_distributions().get(package, ()))))


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()

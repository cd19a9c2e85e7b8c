"""Games under examination by name: registered ids, modules and files."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.learning.registry import ids, make
from stackelberg_games.settings import check_bound


def locate(target: str) -> Callable[..., Any]:
    """The factory that a target names.

    Args:
        target: the id of a registered game, ``MODULE:FACTORY``, or ``FILE.py:FACTORY``; ``game``, or
            else ``env``, where no factory is named. Modules are also looked for in the current
            directory.

    Raises:
        UnknownIdError: no such id.
        InvalidArgumentError: no such module, file or factory.
    """
    place, _, name = target.partition(":")
    if not name and not place.endswith(".py") and (target in ids("game") or "-" in target):
        return partial(make, target)
    module = _file(Path(place)) if place.endswith(".py") else _module(place)
    for attribute in [name] if name else ["game", "env"]:
        found: Any = module
        for part in attribute.split("."):
            found = getattr(found, part, None)
        if found is not None:
            factory: Callable[..., Any] = found
            return factory
    raise InvalidArgumentError(f"{target!r}: {place} has no {name or 'game and no env'}")


def _module(name: str) -> Any:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # the module's own code may raise anything
        raise InvalidArgumentError(
            f"cannot import {name!r} ({error}); give MODULE:FACTORY, FILE.py:FACTORY or the id of a registered game"
        ) from error


def _file(path: Path) -> Any:
    if not path.is_file():
        raise InvalidArgumentError(f"there is no file {path}")
    name = f"checked_{path.stem}"  # no module of the same name is hidden
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # the name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that what it defines can be pickled
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the file may raise anything
        line = next(
            (f.lineno for f in reversed(traceback.extract_tb(error.__traceback__)) if f.filename == str(path)), "?"
        )
        raise InvalidArgumentError(f"cannot run {path}, line {line}: {type(error).__name__}: {error}") from error
    return module


def with_settings(factory: Callable[..., Any], settings: dict[str, Any]) -> Callable[..., Any]:
    """The factory with some of its arguments given.

    Raises:
        InvalidArgumentError: it has no such argument, or needs others too.
    """
    if not settings:
        return factory
    check_bound(factory, settings, "--set: ")
    return partial(factory, **settings)

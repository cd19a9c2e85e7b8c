"""Experiments as TOML files: a game, a leader, a follower and how long to train.

[game]
id = "discrete_toy-v0"
R = 2.0

[leader]
id = "bchg"
learning_rate = 0.02

[follower]
id = "soft_value_iteration"
temperature = 0.05

[training]
iterations = 500
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stackelberg_games import checks, files
from stackelberg_games.errors import InvalidArgumentError, StackelbergError
from stackelberg_games.learning import importing
from stackelberg_games.learning.registry import Kind, build, make, make_follower, make_leader

SECTIONS = ("game", "leader", "follower", "training")
TRAINING = (
    "iterations",
    "episodes",
    "stages",
    "seed",
    "temperature",
    "evaluate_every",
    "checkpoint_every",
    "follower_updates",
    "practice",
)
_KINDS: tuple[Kind, ...] = ("game", "leader", "follower")
DEFAULTS: dict[str, dict[str, Any]] = {
    "game": {"id": "discrete_toy-v0"},
    "leader": {"id": "bchg"},
    "follower": {"id": "soft_value_iteration"},
    "training": {},
}


@dataclass(frozen=True)
class Experiment:
    """Sections of settings; see the module's text.

    Examples:
        >>> from stackelberg_games.learning.experiment import Experiment
        >>> plan = Experiment(
        ...     {
        ...         "game": {"id": "discrete_toy-v0"},
        ...         "leader": {"id": "bchg"},
        ...         "follower": {"id": "soft_value_iteration"},
        ...         "training": {"iterations": 10},
        ...     }
        ... )
        >>> run = plan.override([("leader.learning_rate", 0.1), ("training.seed", 3)]).run(
        ...     progress=False
        ... )
        >>> len(run.history)
        10

    Attributes:
        sections: settings by section; ``id`` names the game and the agents.
        allow_import: whether ids may be ``module:Class``, and followers programs.
        said: ids that the caller named, and no file; these may be ``module:Class`` in any case.
    """

    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: DEFAULTS)
    allow_import: bool = True
    said: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def load(cls, path: str | Path, *, allow_import: bool = False) -> Experiment:
        """Read a TOML file; what it leaves out has its default.

        Args:
            path: of the file.
            allow_import: whether it may name code that is not registered, and programs.

        Raises:
            InvalidArgumentError: the file cannot be read, or a key is unknown.
        """
        text = files.read_text(checks.path("path", path), InvalidArgumentError)
        content = files.parse_toml(text, f"the experiment {path}", InvalidArgumentError)
        pairs = []
        for section, settings in content.items():
            if not isinstance(settings, dict):
                raise InvalidArgumentError(f"{path}: {section!r} stands outside the sections {', '.join(SECTIONS)}")
            pairs += [(f"{section}.{key}", value) for key, value in settings.items()]
        try:
            read = cls(allow_import=allow_import)._replaced(pairs)
            for kind in () if allow_import else _KINDS:
                importing.check_file(kind, read.sections[kind].get("id"), read.sections[kind])
            return read
        except StackelbergError as error:
            raise InvalidArgumentError(f"{path}: {error}") from error

    def override(self, pairs: Iterable[tuple[str, Any]]) -> Experiment:
        """A copy with some settings replaced; whoever calls this has said that an id ``module:Class`` may be imported.

        Args:
            pairs: names such as ``"leader.learning_rate"`` or ``"leader.representation.memory"`` with their
                values. A new ``id`` forgets the settings of the old one.

        Raises:
            InvalidArgumentError: a section or a training key is unknown.
        """
        given = [(checks.text("name", name), value) for name, value in pairs]
        named = {(name.removesuffix(".id"), str(value)) for name, value in given if name.endswith(".id")}
        return replace(self._replaced(given), said=self.said | named)

    def _replaced(self, pairs: Iterable[tuple[str, Any]]) -> Experiment:
        sections = {name: dict(settings) for name, settings in self.sections.items()}
        ordered = sorted(pairs, key=lambda pair: not pair[0].endswith(".id"))
        for name, value in ordered:
            section, _, key = name.partition(".")
            checks.known("unknown section", section, SECTIONS)
            if section == "training":
                checks.known("unknown key of [training]", key, TRAINING)
            if key == "id" and value != sections[section].get("id"):
                sections[section] = {}
            _set(sections[section], key.split("."), value)
        return replace(self, sections=sections)

    def build(self) -> tuple[Any, Any, Any]:
        """Game, leader and follower.

        Raises:
            UnknownIdError: an id is not registered.
            InvalidArgumentError: a setting is unknown or out of range, or names code where that is not allowed.
        """
        return self._built("game", make), self._built("leader", make_leader), self._built("follower", make_follower)

    def _built(self, kind: Kind, maker: Callable[..., Any]) -> Any:
        settings = dict(self.sections[kind])
        wanted = checks.identifier(kind, settings.pop("id", None))
        if not (self.allow_import or (importing.is_named(kind, wanted) and (kind, wanted) in self.said)):
            importing.check_file(kind, wanted, settings)
        if importing.is_named(kind, wanted):
            return build(f"{kind} {wanted!r}", importing.imported(kind, wanted), settings)
        return maker(wanted, **settings)

    def run(self, **overrides: Any) -> Any:
        """Train; returns a ``Run``. Keyword arguments go to ``train`` and win over the file's."""
        from stackelberg_games.learning.training import train

        game, leader, follower = self.build()
        return train(game, leader, follower, **{**self.sections["training"], **overrides})


def parse_value(text: str) -> Any:
    """A value as TOML reads it; a bare word is a string, ``none`` is None, and ``.1`` and ``1.`` are numbers."""
    if text.lower() == "none":
        return None
    if re.fullmatch(r"[+-]?(\.\d+|\d+\.)(e[+-]?\d+)?", text, re.IGNORECASE):
        return float(text)
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _set(settings: dict[str, Any], path: list[str], value: Any) -> None:
    """Set a key, or one inside of a table; a table adds to the one that is there."""
    key, *inner = path
    old = settings.get(key)
    if inner or isinstance(value, Mapping):
        merged = dict(old) if isinstance(old, Mapping) else {}
        for name, part in [(".".join(inner), value)] if inner else list(value.items()):
            _set(merged, name.split("."), part)
        value = merged
    settings[key] = value

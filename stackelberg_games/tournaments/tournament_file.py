"""Tournaments as TOML files. A mistake is named with its line.

[tournament]
seeds = 10
budget = 45_000

[[game]]
id = "discrete_toy-v0"
R = 2.0

[[leader]]
id = "bchg"
label = "bchg, fast"
learning_rate = 0.05

[[follower]]
id = "soft_value_iteration"

[[held_out]]
id = "best_response"
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stackelberg_games import checks, files
from stackelberg_games.errors import InvalidArgumentError, StackelbergError, UnknownIdError, retold
from stackelberg_games.learning import importing, registry
from stackelberg_games.learning.registry import Kind
from stackelberg_games.tournaments.contestant import Contestant, check_settings
from stackelberg_games.tournaments.tournament import Tournament

OPTIONS = ("seeds", "budget", "episodes", "references", "bounds", "stages", "points", "evaluation_episodes")
KINDS: dict[str, Kind] = {"game": "game", "leader": "leader", "follower": "follower", "held_out": "follower"}
_HEADER = re.compile(r"\s*\[{1,2}\s*([\w.\"-]+)\s*\]{1,2}")


def load(
    path: str | Path,
    changes: Mapping[str, Any] | None = None,
    *,
    allow_import: bool = False,
    leaders: Sequence[str] = (),
    games: Sequence[str] = (),
) -> Tournament:
    """Read a tournament from a TOML file; nothing that is not registered is imported or run.

    Args:
        path: of the file.
        changes: options of the section ``[tournament]`` that win over the file's.
        allow_import: whether ids of the file may be ``module:Class``, which are then imported here and in
            every worker, and whether its followers may be programs.
        leaders: who plays in the place of the file's leaders: labels of some of them, ids, or ``module:Class``, which
            is imported, for it is the caller who names it. The file's if empty.
        games: labels of the file's games that are played; all if empty.

    Raises:
        InvalidArgumentError: the file cannot be read, or holds a mistake; its line is named.
        UnknownIdError, InformationError: see ``Tournament``.
    """
    text = files.read_text(checks.path("path", path), InvalidArgumentError)
    try:
        return parse(text, changes, allow_import=allow_import, leaders=leaders, games=games)
    except StackelbergError as error:
        raise retold(error, f"{path}: {error}") from error


def parse(
    text: str,
    changes: Mapping[str, Any] | None = None,
    *,
    allow_import: bool = False,
    leaders: Sequence[str] = (),
    games: Sequence[str] = (),
) -> Tournament:
    """A tournament from the text of such a file; raises like ``load``."""
    checks.text("text", text, empty=True)
    allow_import = checks.flag("allow_import", allow_import)
    if not (changes is None or (isinstance(changes, Mapping) and all(isinstance(name, str) for name in changes))):
        raise InvalidArgumentError(f"changes={checks.shown(changes)}: expected options of [tournament] by name")
    content = files.parse_toml(text, "the tournament", InvalidArgumentError)
    for section in content:
        _known(text, "section", section, ("tournament", *KINDS), section, None, 0)
    options = content.get("tournament", {})
    if not isinstance(options, dict):
        raise InvalidArgumentError("[tournament] must be a table, with single brackets")
    for key in options:
        _known(text, "key of [tournament]", key, OPTIONS, "tournament", key, 0)
    members = {section: _members(text, section, content.get(section, []), allow_import) for section in KINDS}
    if games:
        known = {member.label: member for member in members["game"]}
        members["game"] = [known[checks.choice("game", wanted, list(known))] for wanted in dict.fromkeys(games)]
        options = {name: _of_games(value, known, games) for name, value in options.items()}
    if leaders:
        named = {member.label: member for member in members["leader"]}
        members["leader"] = [named.get(wanted) or Contestant.of("leader", wanted) for wanted in leaders]
    for section in ("game", "leader", "follower"):
        if not members[section]:
            raise InvalidArgumentError(f"there is no [[{section}]]; at least one is needed")
    try:
        return Tournament(
            members["game"],
            members["leader"],
            members["follower"],
            held_out=members["held_out"],
            **{**options, **(changes or {})},
        )
    except InvalidArgumentError as error:
        guilty = next((key for key in options if str(error).startswith((f"{key}=", f"{key} "))), None)
        if guilty is None or guilty in (changes or {}):
            raise
        raise InvalidArgumentError(f"line {line_of(text, 'tournament', 0, guilty)}: {error}") from error


def _of_games(value: Any, known: Mapping[str, Any], games: Sequence[str]) -> Any:
    """What an option says of some of the games, where it says something of each."""
    if not isinstance(value, dict):
        return value
    return {label: entry for label, entry in value.items() if label in games or label not in known}


def line_of(text: str, section: str, number: int, key: str | None = None) -> int | None:
    """Line of a key in the ``number``-th table of a section, or of the table's head; None if unseen."""
    seen, inside, head = -1, False, None
    for line_number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header:
            inside = False
            if header[1].strip('"') == section:
                seen += 1
                if seen == number:
                    inside, head = True, line_number
        elif inside and key is not None and re.match(rf'\s*"?{re.escape(key)}"?\s*[=.]', line):
            return line_number
    return head


def _members(text: str, section: str, tables: Any, allow_import: bool) -> Sequence[Contestant]:
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        line = line_of(text, section, 0)
        raise InvalidArgumentError(f"line {line}: write [[{section}]] with double brackets; there may be several")
    members = []
    for number, table in enumerate(tables):
        settings = dict(table)
        wanted, label = settings.pop("id", None), settings.pop("label", None)
        if not isinstance(wanted, str):
            raise InvalidArgumentError(f"line {line_of(text, section, number)}: [[{section}]] needs an id")
        try:
            members.append(_member(KINDS[section], wanted, label, settings, allow_import))
        except StackelbergError as error:
            named = ((key, f"{key!r}", f" {key}=") for key in settings)
            guilty = next((key for key, *marks in named if any(mark in str(error) for mark in marks)), None)
            if label is not None and " label=" in str(error):
                guilty = "label"
            if isinstance(error, UnknownIdError) and error.wrong_id == wanted:
                guilty = "id"
            line = line_of(text, section, number, guilty)
            raise InvalidArgumentError(f"line {line}: {error}") from error
    return members


def _member(kind: Kind, wanted: str, label: str | None, settings: dict[str, Any], allow_import: bool) -> Contestant:
    if not allow_import:
        importing.check_file(kind, wanted, settings)
    if wanted in registry.ids(kind):
        check_settings(kind, wanted, settings)
    return Contestant.of(kind, (wanted, settings), label)


def _known(text: str, what: str, name: str, known: tuple[str, ...], section: str, key: str | None, number: int) -> None:
    line = line_of(text, section, number, key)
    checks.known(f"{f'line {line}: ' if line else ''}unknown {what}", name, known)

"""Sweeps as TOML files.

[sweep]
seeds = 5
report_seeds = 10
budget = 45_000

[leader]
id = "bchg"

[search]
leader.learning_rate = [0.01, 0.03, 0.1]
follower.temperature = [0.05, 0.1]

With ``samples = 40`` in ``[sweep]`` points are drawn, also from ranges:
``leader.learning_rate = { low = 0.001, high = 1.0, log = true }``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stackelberg_games import checks, files
from stackelberg_games.errors import InvalidArgumentError, StackelbergError, retold
from stackelberg_games.learning import importing
from stackelberg_games.learning.experiment import DEFAULTS
from stackelberg_games.tournaments.search_space import Span, combinations, space_of
from stackelberg_games.tournaments.sweep import KINDS, RULES, Sweep

OPTIONS = ("seeds", "report_seeds", "samples", "search_seed", "sampler", "pruner", *RULES)
SECTIONS = ("sweep", *KINDS, "search")


def load_sweep(path: str | Path, changes: Mapping[str, Any] | None = None, *, allow_import: bool = False) -> Sweep:
    """Read a sweep from a TOML file; nothing that is not registered is imported or run.

    Args:
        path: of the file.
        changes: options of the section ``[sweep]`` that win over the file's.
        allow_import: whether ids of the file may be ``module:Class``, and followers programs.

    Raises:
        InvalidArgumentError: the file cannot be read, or holds a mistake.
        UnknownIdError, InformationError, UnsupportedGameError, MissingExtraError: see ``Sweep``.
    """
    text = files.read_text(checks.path("path", path), InvalidArgumentError)
    content = files.parse_toml(text, f"the sweep {path}", InvalidArgumentError)
    try:
        return _sweep(content, changes or {}, checks.flag("allow_import", allow_import))
    except StackelbergError as error:
        raise retold(error, f"{path}: {error}") from error


def _sweep(content: Mapping[str, Any], changes: Mapping[str, Any], allow_import: bool) -> Sweep:
    for name, section in content.items():
        checks.known("unknown section", name, SECTIONS)
        if not isinstance(section, dict):
            raise InvalidArgumentError(f"{name!r} must be a table, [{name}]")
    options = {**content.get("sweep", {}), **changes}
    for name in options:
        checks.known("unknown key of [sweep]", name, OPTIONS)
    search = content.get("search", {})
    sections: dict[str, dict[str, Any]] = {
        kind: {**({} if "id" in content.get(kind, {}) else DEFAULTS[kind]), **content.get(kind, {})} for kind in KINDS
    }
    if not allow_import:
        _check_ids(sections, search, options)
    specs: dict[str, Any] = {kind: (section.pop("id"), section) for kind, section in sections.items()}
    return Sweep(search, **specs, **options)


def _check_ids(sections: Mapping[str, Mapping[str, Any]], search: Any, options: Mapping[str, Any]) -> None:
    """Refuse whatever would run more than what is registered, at any point."""
    points = combinations(search, options.get("samples"), options.get("search_seed", 0))
    if options.get("sampler", "random") != "random":  # which of the values meet is not known yet
        lists = {name: options for name, options in space_of(search).items() if not isinstance(options, Span)}
        points = combinations(lists) if lists else [{}]
    for kind in KINDS:
        for values in points:
            own = {name.partition(".")[2]: value for name, value in values.items() if name.startswith(f"{kind}.")}
            settings = {**sections[kind], **own}
            importing.check_file(kind, settings.pop("id"), settings)

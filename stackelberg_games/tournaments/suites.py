"""Suites: tournaments by name, in packaged files of the format that users write.

A suite never changes. What would change its results is a new version of it.
"""

from __future__ import annotations

from importlib import resources

from stackelberg_games import checks

_FOLDER = resources.files("stackelberg_games.tournaments")


def suites() -> list[str]:
    """Names of all suites with their versions, such as ``standard-v1``."""
    return sorted(file.name.removesuffix(".toml") for file in _FOLDER.iterdir() if file.name.endswith(".toml"))


def suite(name: str) -> tuple[str, str]:
    """The full name of a suite and the text of its file.

    Args:
        name: such as ``standard-v1``, or ``standard`` for its last version.

    Raises:
        InvalidArgumentError: there is no such suite.
    """
    versions: dict[str, list[str]] = {}
    for full in suites():
        versions.setdefault(full.rpartition("-v")[0], []).append(full)
        versions[full] = [full]
    checks.known("unknown suite", checks.text("suite", name), versions)
    full = max(versions[name], key=lambda one: int(one.rpartition("-v")[2]))
    return full, (_FOLDER / f"{full}.toml").read_text(encoding="utf-8")

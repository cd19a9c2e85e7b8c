"""Settings within a setting, such as ``plant={"A": ...}`` or ``plant.A`` in a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackelberg_games.errors import InvalidArgumentError


def nested(name: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Settings over their defaults.

    Args:
        name: of the setting that holds them.
        given: those that were given.
        defaults: all that there are.

    Raises:
        InvalidArgumentError: one is not among them.
    """
    for key in given:
        if key not in defaults:
            raise InvalidArgumentError(f"{name}.{key}: there is no such setting here; it has {', '.join(defaults)}")
    return {**defaults, **given}

"""What changes during a match, named once and stored and restored by what it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np


class Stateful:
    """Stores and restores the attributes that it names.

    Attributes:
        keeps: names of the attributes that change during a match, those of base classes apart: arrays, numbers,
            flat lists, None; random generators; and whatever has a ``state_dict`` of its own.
    """

    keeps: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def _kept(cls) -> list[str]:
        return [name for base in reversed(cls.__mro__) for name in vars(base).get("keeps", ())]

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes during a match, as nested dicts, lists, numbers and arrays."""
        return {name: _stored(getattr(self, name)) for name in self._kept()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a stored state, after ``begin`` with the same view."""
        for name in self._kept():
            setattr(self, name, _restored(getattr(self, name), state[name]))


def _stored(value: Any) -> Any:
    if isinstance(value, np.random.Generator):
        return value.bit_generator.state
    return dict(value.state_dict()) if hasattr(value, "state_dict") else value


def _restored(now: Any, stored: Any) -> Any:
    """What was stored, in the place of what there is now; copied, so that what was loaded stays as it is."""
    if isinstance(now, np.random.Generator):
        now.bit_generator.state = stored
        return now
    if hasattr(now, "load_state_dict"):
        now.load_state_dict(stored)
        return now
    if isinstance(stored, np.ndarray):
        return np.array(stored)
    if isinstance(now, bool | int | float) and stored is not None:
        return type(now)(stored)
    return list(stored) if isinstance(stored, list | tuple) else stored

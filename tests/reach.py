"""What can be reached from an object through its own attributes, items and closures."""

from __future__ import annotations

import gc
import types
from collections.abc import Iterator
from typing import Any


def reachable(root: object) -> Iterator[Any]:
    """Every object that ``root`` holds, at any depth; classes, modules and what functions find globally are not held."""
    seen, left = {id(root)}, [root]
    while left:
        held = left.pop()
        yield held
        if isinstance(held, types.FunctionType):
            cells = [cell.cell_contents for cell in held.__closure__ or ()]
            parts: list[Any] = [*cells, held.__defaults__, held.__kwdefaults__]
        else:
            parts = gc.get_referents(held)
        for part in parts:
            if id(part) not in seen and not isinstance(part, type | types.ModuleType):
                seen.add(id(part))
                left.append(part)

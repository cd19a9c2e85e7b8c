"""Restored state, held against a fresh one before any number of it is used.

What a learner stores is nested dicts, lists, numbers and arrays. A stored state fits where it has the
structure, the shapes and the types of states that the same learner has in the same match: of a fresh one before the
first iteration, and later of those after one and two iterations, since a learner makes parts of its state as it goes
(moments of an optimiser, tables that start as None, data that grow). An axis along which these differ may have any
length.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from stackelberg_games import checks
from stackelberg_games.errors import CheckpointError


def check(what: str, stored: Any, *templates: Any) -> None:
    """Raise ``CheckpointError`` where a stored state does not fit any of the templates.

    Args:
        what: names the state in the message.
        stored: to check.
        templates: states of the same learner in the same match, at least one.
    """
    fault = _fault(what, stored, [*templates])
    if fault is not None:
        raise CheckpointError(f"{fault}; the stored run was altered, or belongs to another version")


def fits(stored: Any, *templates: Any) -> bool:
    """Whether ``check`` lets it pass."""
    return _fault("", stored, [*templates]) is None


def still(state: Any) -> Any:
    """A copy of a state that does not change while its learner goes on."""
    if isinstance(state, Mapping):
        return {key: still(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        copied = [still(value) for value in state]
        return copied if isinstance(state, list) else tuple(copied)
    if isinstance(state, torch.Tensor):
        return state.detach().clone()
    return np.array(state) if isinstance(state, np.ndarray) else state


def _fault(where: str, stored: Any, templates: list[Any]) -> str | None:
    """What does not fit, in words; None if everything does."""
    if not templates:
        return _unsound(where, stored)  # no state of this learner has shown it yet
    known = [template for template in templates if template is not None]
    if stored is None:
        return None if len(known) < len(templates) else f"{where} is missing"
    alike = [template for template in known if _alike(stored, template)]
    if not alike:
        return f"{where} is {_kind(stored)}: expected {' or '.join(dict.fromkeys(map(_kind, templates)))}"
    known = alike
    if isinstance(stored, Mapping):
        return _of_mapping(where, stored, known)
    if isinstance(stored, list | tuple):
        return _of_sequence(where, stored, known)
    if isinstance(stored, np.ndarray | torch.Tensor):
        return _of_array(where, stored, known)
    if checks.is_integer(stored):
        return _of_integer(where, stored, known)
    if isinstance(stored, float) and not math.isfinite(stored) and stored not in known:
        return f"{where} is {stored}: expected a finite number"
    return None


def _of_integer(where: str, stored: int, known: list[Any]) -> str | None:
    """An integer is no larger than 64 bits and not negative, where those of the learner are not."""
    if abs(stored) >= 2**63 and all(abs(template) < 2**63 for template in known):
        return f"{where} is {stored}: expected an integer below 2**63"
    if stored < 0 and all(template >= 0 for template in known):
        return f"{where} is {stored}: expected an integer >= 0"
    return None


def _of_mapping(where: str, stored: Mapping[Any, Any], known: list[Mapping[Any, Any]]) -> str | None:
    needed = set.intersection(*({*template} for template in known))
    missing = needed - {*stored}
    if missing:
        return f"{where} lacks {min(map(str, missing))!r}"
    if "params" in needed and "lr" in needed:  # a group of an optimiser: its rate may move, nothing else
        for key in needed - {"lr"}:
            if repr(stored[key]) != repr(known[0][key]):  # arrays would not be compared to one answer
                return f"{where}.{key} is {checks.shown(stored[key])}: expected {known[0][key]!r}"
    for key, value in stored.items():
        there = [template[key] for template in known if key in template]
        fault = _fault(f"{where}.{key}" if where else str(key), value, there)
        if fault is not None:
            return fault
    return None


def _of_sequence(where: str, stored: Sequence[Any], known: list[Sequence[Any]]) -> str | None:
    lengths = {len(template) for template in known}
    fixed = len(lengths) == 1 and lengths != {0}
    if fixed and len(stored) not in lengths:
        return f"{where} has {len(stored)} entries: expected {min(lengths)}"
    for number, value in enumerate(stored):
        if fixed:
            there = [template[number] for template in known]
        else:  # it grows; its entries are alike
            there = [entry for template in known for entry in template]
        fault = _fault(f"{where}[{number}]", value, there)
        if fault is not None:
            return fault
    return None


def _of_array(where: str, stored: Any, known: list[Any]) -> str | None:
    if stored.dtype not in [template.dtype for template in known]:
        return f"{where} has type {stored.dtype}: expected {known[-1].dtype}"
    shapes = [tuple(template.shape) for template in known]
    ranked = [shape for shape in shapes if len(shape) == stored.ndim]
    axes = [{lengths[axis] for lengths in ranked} for axis in range(stored.ndim)]
    if not ranked or any(
        len(lengths) == 1 and lengths != {0} and got not in lengths
        for got, lengths in zip(stored.shape, axes, strict=True)
    ):
        return f"{where} has shape {tuple(stored.shape)}: expected {shapes[-1]}"
    return _unsound(where, stored, known)


def _unsound(where: str, stored: Any, known: Sequence[Any] = ()) -> str | None:
    """A number that is not finite, where no template has the same."""
    if isinstance(stored, Mapping | list | tuple):
        parts = stored.items() if isinstance(stored, Mapping) else enumerate(stored)
        return next((fault for key, part in parts if (fault := _unsound(f"{where}.{key}", part))), None)
    values = np.asarray(stored.detach() if isinstance(stored, torch.Tensor) else stored)
    if values.dtype.kind not in "fc" or np.isfinite(values).all():
        return None
    for template in known:
        same = np.asarray(template.detach() if isinstance(template, torch.Tensor) else template)
        if same.shape == values.shape and (np.isfinite(values) | (values == same)).all():
            return None
    return f"{where} holds a number that is not finite"


def _alike(stored: Any, template: Any) -> bool:
    """Whether they are of one kind; a number may happen to be whole."""
    return _kind(stored) == _kind(template) or (checks.is_integer(stored) and isinstance(template, float))


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, torch.Tensor):
        return "a tensor"
    if isinstance(value, np.ndarray):
        return "an array"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool | np.bool_):
        return "a flag"
    if checks.is_integer(value):
        return "an integer"
    if checks.is_number(value):
        return "a number"
    return f"a {type(value).__name__}"

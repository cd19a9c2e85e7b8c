"""What calls are given, and the table of the calls."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

import stackelberg_games as sg


class Hostile:
    """An object whose every word is an error."""

    def __repr__(self) -> str:
        raise ZeroDivisionError("no name")


def deep(depth: int) -> list[Any]:
    """A list in a list in a list."""
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    return nested


JUNK: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "True": lambda: True,
    "zero": lambda: 0,
    "one": lambda: 1,
    "two": lambda: 2,
    "minus one": lambda: -1,
    "half": lambda: 0.5,
    "one and a half": lambda: 1.5,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "-inf": lambda: float("-inf"),
    "tiny": lambda: 5e-324,
    "text": lambda: "x",
    "a number as text": lambda: "2",
    "empty text": lambda: "",
    "colon": lambda: ":",
    "an id": lambda: "matrix-v0",
    "half a surrogate": lambda: "a\ud800b",
    "zero byte": lambda: "a\0b",
    "bytes": lambda: b"x",
    "complex": lambda: 1j,
    "empty list": list,
    "list": lambda: [1],
    "ragged": lambda: [[1.0], [1.0, 2.0]],
    "texts": lambda: ["a", "b"],
    "deep": lambda: deep(3000),
    "table": dict,
    "labelled": lambda: {"a": 1},
    "numbered": lambda: {1: "matrix-v0"},
    "set": lambda: {1, 2},
    "object": object,
    "hostile": Hostile,
    "class": lambda: int,
    "function": lambda: len,
    "lambda": lambda: lambda *_: None,
    "np.int64": lambda: np.int64(2),
    "np.uint8": lambda: np.uint8(1),
    "np.float32": lambda: np.float32(0.5),
    "np.bool": lambda: np.True_,
    "array 0-d": lambda: np.array(1),
    "array": lambda: np.array([0.5, 0.5]),
    "table of numbers": lambda: np.eye(3, 2),
    "integers": lambda: np.arange(4),
    "masked": lambda: np.ma.masked_array([1.0, 2.0], [False, True]),
    "dates": lambda: np.array(["2020-01-01"], dtype="datetime64[D]"),
    "array of texts": lambda: np.array(["a"]),
    "objects": lambda: np.array([object()]),
    "array of nan": lambda: np.full((3, 2), np.nan),
    "empty array": lambda: np.zeros((0, 2)),
    "tensor": lambda: torch.ones(2, dtype=torch.float64),
    "tensor with gradient": lambda: torch.ones(2, requires_grad=True),
    "integer tensor": lambda: torch.tensor(1),
    "path": lambda: Path("/dev/null/x"),
    "slice": lambda: slice(0, 0),
    "space": lambda: gymnasium.spaces.Discrete(2),
    "game": lambda: sg.make("discrete_toy-v0", horizon=4),
    "policy": lambda: sg.TabularPolicy((3, 2)),
    "linear game": lambda: sg.make("lqr-v0"),
    "configured game": lambda: sg.make("warehouse-v0"),
    "leader": lambda: sg.make_leader("bchg"),
    "follower": lambda: sg.make_follower("random"),
}
LARGE: dict[str, Callable[[], Any]] = {"large": lambda: 10**11, "huge": lambda: 10**30}


CALLS: dict[str, tuple[Callable[..., Any], dict[str, Callable[[], Any]], tuple[str, ...]]] = {}
"""By name: what is called, its sound arguments, and those of them that may also be very large."""


def call(name: str, function: Callable[..., Any], /, *large: str, **arguments: Any) -> None:
    """Add a call; arguments that are functions make the value anew."""
    made = {
        key: value if callable(value) else (lambda value=value: copy.copy(value)) for key, value in arguments.items()
    }
    CALLS[name] = (function, made, large)

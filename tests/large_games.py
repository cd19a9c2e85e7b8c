"""Games as lists of successors, and the same as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

import stackelberg_games as sg
from stackelberg_games.arrays import FloatArray

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))


def random_lists(seed: int, shape: tuple[int, int, int, int]) -> tuple[Any, ...]:
    """Successors (some of them twice), probabilities and both rewards."""
    rng = np.random.default_rng(seed)
    successors = rng.integers(0, shape[0], size=shape)
    probability = rng.dirichlet(np.ones(shape[3]), size=shape[:3])
    return successors, probability, rng.normal(size=shape[:3]), rng.normal(size=shape[:3])


def laid_out(successors: Any, probability: FloatArray) -> FloatArray:
    """The array ``[S, A, B, S]`` of lists."""
    array = np.zeros((*successors.shape[:3], len(successors)))
    np.add.at(array, (*np.indices(successors.shape)[:3], successors), probability)
    return array


def grid(side: int, actions: int = 4, seed: int = 0, **settings: Any) -> sg.TabularGame:
    """A walk on a square: the follower's move with 0.7, the leader's push with 0.3; a reward of each cell."""
    cells = side * side
    row, column = np.divmod(np.arange(cells), side)
    ahead = np.stack(
        [np.clip(row + y, 0, side - 1) * side + np.clip(column + x, 0, side - 1) for y, x in MOVES], axis=1
    )
    successors = np.empty((cells, actions, 4, 2), dtype=np.int32)
    successors[..., 0], successors[..., 1] = ahead[:, None, :], ahead[:, :actions, None]
    probability = np.broadcast_to([0.7, 0.3], successors.shape)
    rng = np.random.default_rng(seed)
    rewards = (np.broadcast_to(rng.normal(size=(cells, 1, 1)), successors.shape[:3]) for _ in range(2))
    return sg.TabularGame.from_successors(
        successors, probability, *rewards, np.full(cells, 1 / cells), name="grid", **settings
    )

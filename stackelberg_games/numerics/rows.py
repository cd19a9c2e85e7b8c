"""Products of rows with a matrix, rounded the same whatever the number of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackelberg_games.arrays import FloatArray


def product(rows: Any, matrix: FloatArray) -> FloatArray:
    """``rows @ matrix.T``, ``[..., m]`` from ``[..., n]`` and ``[m, n]``.

    A row comes out the same whatever the number of rows; BLAS picks its kernel, and with it the
    rounding, by the shape of the whole.
    """
    return np.asarray((np.asarray(rows)[..., None, :] * matrix).sum(axis=-1))


def quadratic(rows: Any, matrix: FloatArray) -> FloatArray:
    """``x' matrix x`` for every row x, ``[...]`` from ``[..., n]`` and a symmetric ``[n, n]``."""
    return np.asarray((product(rows, matrix) * rows).sum(axis=-1))

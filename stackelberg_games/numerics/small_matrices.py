"""Products, solutions and sums of powers of matrices of a few rows, compiled: a call of BLAS or LAPACK costs more than they do.

Plain loops also compile in a tenth of the time that expressions of arrays, slices and ``numpy.linalg`` take.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stackelberg_games.numerics.randomness import compiled

DOUBLINGS = 60
"""Iterations of a recursion of which each doubles the stages that it has counted."""


@compiled
def multiply(left: Any, right: Any, out: Any) -> None:
    """Writes ``left @ right`` into ``out``."""
    for i in range(left.shape[0]):
        for j in range(right.shape[1]):
            total = 0.0
            for k in range(left.shape[1]):
                total += left[i, k] * right[k, j]
            out[i, j] = total


@compiled
def product(left: Any, right: Any) -> Any:
    """``left @ right``."""
    out = np.zeros((left.shape[0], right.shape[1]))
    for i in range(left.shape[0]):
        for k in range(left.shape[1]):
            for j in range(right.shape[1]):
                out[i, j] += left[i, k] * right[k, j]
    return out


@compiled
def transposed(matrix: Any) -> Any:
    """``matrix.T``, in the order of memory that all of these functions are compiled for."""
    out = np.empty((matrix.shape[1], matrix.shape[0]))
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            out[j, i] = matrix[i, j]
    return out


@compiled
def sandwiched(outer: Any, inner: Any) -> Any:
    """``outer @ inner @ outer.T``, made symmetric; ``inner`` is."""
    half = product(outer, inner)
    out = np.empty((outer.shape[0], outer.shape[0]))
    for i in range(len(out)):
        for j in range(i + 1):
            total = 0.0
            for k in range(outer.shape[1]):
                total += half[i, k] * outer[j, k]
            out[i, j] = out[j, i] = total
    return out


@compiled
def eliminated(both: Any) -> float:
    """The determinant of the first columns, which Gauss's and Jordan's elimination with pivots makes the identity.

    What stands to the right of them, of any width, becomes their solution.

    Raises:
        ZeroDivisionError: they are singular.
    """
    size, width, determinant = both.shape[0], both.shape[1], 1.0
    for j in range(size):
        pivot = j
        for i in range(j + 1, size):
            if abs(both[i, j]) > abs(both[pivot, j]):
                pivot = i
        if pivot != j:
            determinant = -determinant
            for k in range(width):
                both[j, k], both[pivot, k] = both[pivot, k], both[j, k]
        determinant *= both[j, j]
        scale = 1.0 / both[j, j]
        for k in range(width):
            both[j, k] *= scale
        for i in range(size):
            factor = both[i, j]
            if i != j:
                for k in range(width):
                    both[i, k] -= factor * both[j, k]
    return determinant


@compiled
def solution(matrix: Any, right: Any) -> Any:
    """``matrix^-1 @ right``, and the determinant.

    Raises:
        ZeroDivisionError: the matrix is singular.
    """
    size, width = right.shape
    both, out = np.empty((size, size + width)), np.empty((size, width))
    for i in range(size):
        for k in range(size):
            both[i, k] = matrix[i, k]
        for k in range(width):
            both[i, size + k] = right[i, k]
    determinant = eliminated(both)
    for i in range(size):
        for k in range(width):
            out[i, k] = both[i, size + k]
    return out, determinant


@compiled
def combination(first: float, left: Any, second: float, right: Any) -> Any:
    """``first * left + second * right`` for two matrices of one shape."""
    out = np.empty(left.shape)
    for i in range(left.shape[0]):
        for j in range(left.shape[1]):
            out[i, j] = first * left[i, j] + second * right[i, j]
    return out


@compiled
def scaled(factor: float, matrix: Any) -> Any:
    """``factor * matrix``."""
    out = np.empty(matrix.shape)
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            out[i, j] = factor * matrix[i, j]
    return out


@compiled
def symmetric(matrix: Any) -> Any:
    """The symmetric part of a matrix."""
    out = np.empty(matrix.shape)
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            out[i, j] = 0.5 * (matrix[i, j] + matrix[j, i])
    return out


@compiled
def largest(matrix: Any) -> float:
    """The largest absolute value; infinite where an entry is infinite or NaN."""
    most = 0.0
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            size = abs(matrix[i, j])
            if not size <= most:
                most = np.inf if np.isnan(size) else size
    return most


@compiled
def summed_powers(matrix: Any, constant: Any) -> Any:
    """X = C + M C M' + M^2 C M'^2 + ..., the solution of X = C + M X M' with a symmetric C, by doubling (Smith, 1968).

    Infinite or NaN where the spectral radius of M is not below 1.
    """
    total, ahead = constant, matrix
    for _ in range(DOUBLINGS):
        added = sandwiched(ahead, total)
        total = combination(1.0, total, 1.0, added)
        if not largest(added) > 1e-17 * largest(total):
            break
        ahead = product(ahead, ahead)
    return total

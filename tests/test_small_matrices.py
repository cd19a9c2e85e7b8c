"""Compiled algebra of small matrices, held to numpy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackelberg_games.numerics import small_matrices


@settings(deadline=None)  # the first example compiles
@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_they_do_what_numpy_does(size: int, width: int, seed: int) -> None:
    source = np.random.default_rng(seed)
    matrix, right = source.normal(size=(size, size)), source.normal(size=(size, width))
    even, near = matrix @ matrix.T, {"rtol": 1e-9, "atol": 1e-9 * np.linalg.cond(matrix)}
    found, determinant = small_matrices.solution(matrix, right)
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right), **near)
    np.testing.assert_allclose(determinant, np.linalg.det(matrix), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(small_matrices.product(matrix, right), matrix @ right, rtol=1e-12, atol=1e-12)
    sandwiched = small_matrices.sandwiched(small_matrices.transposed(right), even)
    np.testing.assert_allclose(sandwiched, right.T @ even @ right, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(small_matrices.symmetric(matrix), 0.5 * (matrix + matrix.T))
    assert small_matrices.largest(matrix) == np.abs(matrix).max()
    shrunk = 0.9 * matrix / np.abs(np.linalg.eigvals(matrix)).max()
    summed = small_matrices.summed_powers(shrunk, even)
    np.testing.assert_allclose(summed, even + shrunk @ summed @ shrunk.T, rtol=1e-9, atol=1e-9 * np.abs(summed).max())


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_what_is_no_number_is_infinitely_large(bad: float) -> None:
    assert small_matrices.largest(np.array([[1.0, bad], [3.0, 2.0]])) == np.inf


def test_what_has_no_solution_says_so() -> None:
    with pytest.raises(ZeroDivisionError):
        small_matrices.solution(np.ones((2, 2)), np.eye(2))
    assert not np.isfinite(small_matrices.summed_powers(np.array([[1.5]]), np.array([[1.0]]))).all()

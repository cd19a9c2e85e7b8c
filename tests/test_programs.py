"""Linear programs: both ways of solving them agree, and bounds hold whatever the units of the rows."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import linprog

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import SolverError
from stackelberg_games.exact import programs
from stackelberg_games.exact.programs import best_mixture, best_point


def stage(seed: int, actions: int, replies: int, *, integers: bool) -> tuple[FloatArray, FloatArray]:
    """The leader's rewards for reply 0, and what other replies bring the follower more than it."""
    draws = np.random.default_rng(seed)
    leader = draws.normal(size=actions)
    follower = draws.integers(-2, 3, (actions, replies)) if integers else draws.normal(size=(actions, replies))
    return leader, (follower[:, 1:] - follower[:, [0]]).T.astype(float)


@pytest.mark.parametrize("integers", [True, False])
@pytest.mark.parametrize("exponent", [-12, 0, 12])
@pytest.mark.parametrize("seed", range(8))
def test_integers_and_floats_agree_in_every_unit(
    seed: int, exponent: int, integers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = np.random.default_rng([1, seed])
    objective, rows = stage(seed, int(draws.integers(2, 7)), int(draws.integers(2, 7)), integers=integers)
    rows = rows * 10.0 ** (exponent * draws.random((len(rows), 1)))
    exact = best_mixture(objective, rows)
    monkeypatch.setattr(programs, "EXACT_SIZE", 0)
    floats = best_mixture(objective, rows)
    assert (exact is None) == (floats is None)
    if exact is not None and floats is not None:
        assert exact.point.sum() == pytest.approx(1.0, abs=1e-15)
        assert (rows @ exact.point <= 1e-15 * np.abs(rows).max(axis=1)).all()
        assert exact.value == exact.bound
        assert floats.value == pytest.approx(exact.value, abs=1e-6)
        assert exact.value - 1e-12 <= floats.bound <= exact.value + 1e-6


def test_a_row_with_one_huge_entry_does_not_hide_the_others() -> None:
    # x0 <= x1 decides, beside a coefficient of 1e10; the best mixture halves
    found = best_mixture(np.array([1.0, 0.0, 0.0]), np.array([[1.0, -1.0, 1e10]]))
    assert found is not None
    assert found.point.tolist() == [0.5, 0.5, 0.0]
    assert found.value == 0.5


def test_large_programs_agree_with_a_second_solver() -> None:
    objective, rows = stage(3, 60, 12, integers=False)
    found = best_mixture(objective, rows)
    other = linprog(-objective, rows, np.zeros(11), np.ones((1, 60)), [1.0], method="highs-ipm")
    assert found is not None
    assert found.value == pytest.approx(-other.fun, abs=1e-7)
    assert 0 <= found.bound - found.value < 1e-8


def test_large_programs_without_a_solution_have_none() -> None:
    assert best_mixture(np.ones(60), np.full((2, 60), 0.5)) is None


def test_a_solver_that_finds_no_point_is_not_believed_without_a_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "linprog", lambda *_, **__: SimpleNamespace(status=2))
    with pytest.raises(SolverError, match="could not be decided"):
        best_mixture(np.ones(60), -np.ones((1, 60)))


@pytest.mark.parametrize("seed", range(6))
def test_points_of_a_box_are_optimal_and_bounded(seed: int) -> None:
    draws = np.random.default_rng(seed)
    objective, rows = draws.normal(size=5), draws.normal(size=(4, 5))
    limits = draws.random(4) * 0.5
    found = best_point(objective, rows * 1e8, limits * 1e8)
    other = linprog(-objective, rows, limits, bounds=(0, 1))
    assert found is not None
    assert found.value == pytest.approx(-other.fun, abs=1e-8)
    assert found.value - 1e-12 <= found.bound <= found.value + 1e-8
    assert best_point(objective, np.ones((1, 5)), np.array([-0.1])) is None


def test_points_whose_rows_touch_are_bounded_without_them() -> None:
    # z1 >= 1 - 1e-12 and z1 <= 1 - 3e-12: empty, by less than a solver can see
    found = best_point(np.array([2.0]), np.array([[-1.0], [1.0]]), np.array([-1 + 1e-12, 1 - 3e-12]))
    assert found is not None
    assert found.bound >= 2.0 - 1e-9

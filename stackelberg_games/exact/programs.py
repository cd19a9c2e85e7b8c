"""Linear programs behind strong Stackelberg commitments, solved so that their answers can be relied on.

Small ones are solved in exact integer arithmetic, whatever the units of their rows. Larger ones go to HiGHS with
rows and columns of like size, and bring an upper bound that holds for any multipliers, so that neither a tolerance
nor a status of the solver can make an answer look better than it is.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linprog

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import SolverError

EXACT_SIZE = 40
"""Rows and columns together up to which programs are solved in integers."""


class Optimum(NamedTuple):
    """A solution of a linear program: where, its value, and a bound that no feasible point exceeds."""

    point: FloatArray
    value: float
    bound: float


def best_mixture(objective: FloatArray, rows: FloatArray) -> Optimum | None:
    """The maximum of ``objective @ x`` over probability vectors x with ``rows @ x <= 0``; None where there is none.

    Args:
        objective: ``[n]``.
        rows: ``[m, n]``; each may have its own unit.

    Raises:
        SolverError: the solver ended without an answer.
    """
    if sum(rows.shape) <= EXACT_SIZE:
        return _exactly(objective, rows)
    rows, _ = _scaled(rows, np.zeros(len(rows)))
    unit, sums = _unit(objective), np.ones((1, len(objective)))
    found = _highs(-objective / unit, rows, np.zeros(len(rows)), sums)
    if found is not None:
        mixture = np.maximum(found.x, 0.0) / np.maximum(found.x, 0.0).sum()
        return Optimum(
            mixture, float(objective @ mixture), float((objective - unit * _multipliers(found) @ rows).max())
        )
    # There is none if some combination of the rows is positive wherever the sum is one.
    if not (_least_excess(rows, np.zeros(len(rows)), sums) @ rows).min() > 0:
        raise SolverError("a linear program could not be decided: its rows differ too much in size for the solver")
    return None


def best_point(objective: FloatArray, rows: FloatArray, limits: FloatArray) -> Optimum | None:
    """The maximum of ``objective @ z`` over z in [0, 1]^n with ``rows @ z <= limits``; None where there is none.

    Where the solver cannot tell whether there is any, the value is minus infinity and the bound that without the rows.

    Args:
        objective: ``[n]``.
        rows: ``[m, n]``; each may have its own unit.
        limits: ``[m]``.

    Raises:
        SolverError: the solver ended without an answer.
    """
    rows, limits = _scaled(rows, limits)
    unit = _unit(objective)
    found = _highs(-objective / unit, rows, limits)
    if found is not None:
        point, prices = np.clip(found.x, 0.0, 1.0), unit * _multipliers(found)
        bound = prices @ limits + np.maximum(objective - prices @ rows, 0.0).sum()
        return Optimum(point, float(objective @ point), float(bound))
    weights = _least_excess(rows, limits, None)
    if np.minimum(weights @ rows, 0.0).sum() > weights @ limits:
        return None
    return Optimum(np.zeros(len(objective)), -np.inf, float(np.maximum(objective, 0.0).sum()))


def _scaled(rows: FloatArray, limits: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Inequalities with entries of at most one, without those that always hold."""
    scale = np.maximum(np.abs(rows).max(axis=1, initial=0.0), np.abs(limits))
    kept = scale > 0
    return rows[kept] / scale[kept, None], limits[kept] / scale[kept]


def _multipliers(found: Any) -> FloatArray:
    """Prices of the inequalities, all >= 0."""
    return np.asarray(np.maximum(-np.asarray(found.ineqlin.marginals), 0.0))


def _least_excess(rows: FloatArray, limits: FloatArray, sums: FloatArray | None) -> FloatArray:
    """Weights of the rows, of sum 1, by which the least excess over all limits is bounded from below."""
    cost = np.append(np.zeros(rows.shape[1]), 1.0)
    loose = np.hstack([rows, -np.ones((len(rows), 1))])
    found = _highs(cost, loose, limits, None if sums is None else np.hstack([sums, [[0.0]]]), free_last=True)
    return np.zeros(len(rows)) if found is None else _multipliers(found)


def _unit(numbers: FloatArray) -> float:
    largest = float(np.abs(numbers).max(initial=0.0))
    return largest if largest > 0 else 1.0


def _highs(
    cost: FloatArray, rows: FloatArray, limits: FloatArray, sums: FloatArray | None = None, *, free_last: bool = False
) -> Any:
    """A minimum over [0, 1]^n by HiGHS, the last variable free if so told; None where the program is infeasible.

    Raises:
        SolverError: it ended in another way.
    """
    equal = {} if sums is None else {"A_eq": sums, "b_eq": [1.0]}
    bounds = [(0.0, 1.0)] * (len(cost) - free_last) + [(None, None)] * free_last
    found = linprog(cost, A_ub=rows, b_ub=limits, bounds=bounds, method="highs", **equal)
    if found.status == 0:
        return found
    if found.status == 2:
        return None
    raise SolverError(f"a linear program was not solved: {found.message}")


def _exactly(objective: FloatArray, rows: FloatArray) -> Optimum | None:
    """Simplex method in integers, for floating-point numbers are exact fractions.

    One row for each inequality with its slack, one for the sum with an artificial variable, then two objectives:
    that the sum be reached, and the given one.
    """
    height, count = rows.shape
    slacks, rhs = count + height, count + height + 1
    table = np.zeros((height + 3, rhs + 1), dtype=object)
    for index, row in enumerate(rows):
        table[index, :count], table[index, count + index] = _integers(row), 1
    table[height, :count] = table[height, slacks] = table[height, rhs] = 1
    table[height + 1, :count] = table[height + 1, rhs] = -1
    table[height + 2, :count] = [-number for number in _integers(objective)]
    simplex = _Simplex(table, list(range(count, slacks + 1)), 1)
    if simplex.maximise(height + 1, slacks)[height + 1, rhs] < 0:
        return None
    simplex.maximise(height + 2, slacks)
    point = [Fraction(0)] * (slacks + 1)
    for row, column in enumerate(simplex.basis):
        point[column] = Fraction(simplex.table[row, rhs], simplex.pivot)
    value = float(sum(Fraction(float(c)) * x for c, x in zip(objective, point, strict=False)))
    return Optimum(np.array([float(x) for x in point[:count]]), value, value)


def _integers(row: FloatArray) -> list[int]:
    """A multiple of a row, in integers without a common factor."""
    parts = [Fraction(float(number)) for number in row]
    common = max(part.denominator for part in parts)  # all are powers of two
    numbers = [int(part * common) for part in parts]
    return [number // (gcd(*numbers) or 1) for number in numbers]


class _Simplex:
    """A tableau in integers over the common denominator ``pivot``; its last column is the right-hand side."""

    def __init__(self, table: Any, basis: list[int], pivot: int) -> None:
        self.table, self.basis, self.pivot = table, basis, pivot

    def maximise(self, objective: int, columns: int) -> Any:
        """Pivot on the first ``columns`` by Bland's rule, which ends always, until a row has no negative entry."""
        while (negative := np.flatnonzero(self.table[objective, :columns] < 0)).size:
            entering = int(negative[0])
            rows = [row for row in range(len(self.basis)) if self.table[row, entering] > 0]
            ratios = {row: Fraction(self.table[row, -1], self.table[row, entering]) for row in rows}
            # The artificial variable, which has the largest number, leaves as soon as it can and never comes back.
            tied = [row for row in rows if ratios[row] == min(ratios.values())]
            leaving = next((row for row in tied if self.basis[row] == columns), min(tied, key=self.basis.__getitem__))
            self._turn(leaving, entering)
        return self.table

    def _turn(self, row: int, column: int) -> None:
        kept, pivot = self.table[row].copy(), self.table[row, column]
        self.table = (self.table * pivot - np.outer(self.table[:, column], kept)) // self.pivot
        self.table[row], self.pivot = kept, pivot
        self.basis[row] = column

"""Linear systems I - discount * chain on lists of successors, both ways round, without a matrix of pairs of states.

The rows are divided by the pivots that elimination without fill would leave, which makes A = E + L + U with a diagonal E and triangles
L and U, where (I + L)(I + U) has the diagonal of A (van der Vorst, "Preconditioning by incomplete decompositions", 1982). This is the
preconditioner of BiCGSTAB, applied from both sides: since (I + U) z = y gives A z = (I + L) z + y + (E - 2) z,

    (I + L)^-1 A (I + U)^-1 y = z + (I + L)^-1 (y + (E - 2) z)

costs two triangular solves and no product with A (Eisenstat, "Efficient implementation of a class of preconditioned
conjugate gradient methods", SIAM J. Sci. Stat. Comput. 1981). The rows are swept through in an order of their own, see ``order``.
Where it takes too many iterations, as for visits at discounts near 1, an incomplete LU factorisation with fill is made once and kept
for all later right-hand sides.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import SolverError
from stackelberg_games.exact.bicgstab import bicgstab
from stackelberg_games.exact.chain_rows import chain_rows, product, weighted_chain
from stackelberg_games.exact.order import Order, likeliest_first, side_by_side
from stackelberg_games.exact.triangles import Triangles, scaled_triangles, triangles
from stackelberg_games.kinds.successors import Pattern, SuccessorLists

TOLERANCE = 1e-12
"""Of residuals, relative to the right-hand side: their largest entry, or, of transposed systems, their sum."""

ROUNDING = 64 * float(np.finfo(np.float64).eps)
"""Residuals below this share of the terms that they are the sum of are rounding."""

BOUNDED = 1e-6
"""The same where only a bound is asked for, which takes in what is left."""

INFLATED = 1.01
"""For the rounding of bounds."""

NARROW = 16
"""Entries of a row up to which its pivot takes in what elimination leaves; that of longer rows is their diagonal."""

PATIENCE = 250
"""Iterations with Gauss-Seidel before an incomplete factorisation is made."""

SINGLE = 1e-4
"""Share of a right-hand side to which single precision solves."""

MANY = 2**16
"""States beyond which it is used: what is less stays in the processor's caches, and what was seen has an order of its own there."""

DROPPED = 1e-4
ATTEMPTS = 4


class ChainSystem:
    """I - discount * chain for several right-hand sides.

    Args:
        pattern: which states can follow which.
        entries: of -discount * chain at its places, ``[N]``; they become those of the scaled system.
        tolerance: see ``TOLERANCE``.
        order: in which its rows are swept through; side by side if not given.

    Attributes:
        scaled: entries of I - discount * chain divided by the pivot of their row, ``[N]``.
        pivots: what they were divided by, ``[S]``.
        iterations: used so far, for all right-hand sides.
    """

    def __init__(
        self, pattern: Pattern, entries: FloatArray, tolerance: float = TOLERANCE, order: Order | None = None
    ) -> None:
        states = len(pattern.diagonal)
        self.pattern, self.scaled, self.tolerance = pattern, entries, tolerance
        self.pivots: FloatArray = np.empty(states)
        self.iterations = 0
        self._factors: Any = None
        self._order = side_by_side(states) if order is None else order
        precision = np.float32 if states > MANY else np.float64
        made = scaled_triangles(pattern, entries, self._order, self.pivots, NARROW, precision)
        self._parts: dict[Any, Triangles] = {precision: made}

    @classmethod
    def of(
        cls,
        lists: SuccessorLists,
        policy: FloatArray,
        response: FloatArray,
        discount: float,
        alive: Any,
        tolerance: float = TOLERANCE,
    ) -> ChainSystem:
        """The system of the chain under two policies.

        Args:
            lists: successors; nothing leads to a terminal state.
            policy: the leader's, ``[S, A]``.
            response: the follower's, ``[S, A, B]``, or ``[S, 1, B]`` where it is the same for every a.
            discount: of what is accumulated.
            alive: bool ``[S]``; nothing follows the other states.
            tolerance: see ``TOLERANCE``.
        """
        chain = (lists, policy, response, -discount, alive)
        if not lists.brief:
            return cls(lists.pattern, weighted_chain(*chain), tolerance)
        pattern, entries = chain_rows(*chain)
        return cls(pattern, entries, tolerance, likeliest_first(pattern, entries) if len(policy) <= MANY else None)

    def solve(self, vector: FloatArray) -> FloatArray:
        """(I - discount * chain)^-1 vector, ``[S]``.

        Raises:
            SolverError: the iterations did not converge.
        """
        unit = _unit(vector)  # residuals are held to it once divided by pivots, which makes them larger
        return self._solve(vector / unit / self.pivots, False, self.tolerance) * unit

    def solve_both(self, one: FloatArray, other: FloatArray) -> tuple[FloatArray, FloatArray]:
        """``solve`` of two vectors, which takes little more than that of one while the system stays in the processor's caches.

        Raises:
            SolverError: see ``solve``.
        """
        if len(one) > MANY:
            return self.solve(one), self.solve(other)
        units = _unit(one), _unit(other)
        rights = [vector / unit / self.pivots for vector, unit in zip((one, other), units, strict=True)]
        begun = self._iterated(np.stack(rights, axis=1), self.tolerance, False)
        found = [
            self._solve(right, False, self.tolerance, np.ascontiguousarray(start)) * unit
            for right, start, unit in zip(rights, begun.T, units, strict=True)
        ]
        return found[0], found[1]

    def solve_transposed(self, vector: FloatArray, whole: float = 0.0) -> FloatArray:
        """The same for the transposed matrix: discounted visits from a weight of first states, ``[S]``.

        Args:
            vector: the weights.
            whole: what the tolerance is a share of, where that is more than the vector's sum: the weight of which it is the rest.

        Raises:
            SolverError: see ``solve``.
        """
        unit = _unit(vector)
        right = vector / unit
        goal = self.tolerance * max(_size(right, True), whole / unit)
        return self._solve(right, True, goal) / self.pivots * unit

    def bound(self, vector: FloatArray) -> FloatArray:
        """No less than ``solve`` of a vector without negative entries, whatever rounding does, ``[S]``.

        Where a row of the chain sums to more than one it is infinite.

        Raises:
            SolverError: see ``solve``.
        """
        unit = _unit(vector)
        found = self._solve(vector / unit / self.pivots, False, BOUNDED) * unit
        missing = vector - self.pivots * self.times(found)
        kept = float((self.pivots * self.times(np.ones(len(vector)))).min())  # of 1 - discount * sums of rows
        left = max(0.0, float(missing.max())) / kept if kept > 0 else np.inf
        return np.asarray(INFLATED * (found + left))

    def roughly(self, vector: FloatArray, tolerance: float) -> FloatArray:
        """A solution whose residual is at most ``tolerance`` in each state, or what the iterations came to."""
        unit = _unit(vector)
        return self._refined(vector / self.pivots / unit, tolerance / unit, False) * unit

    def _solve(self, right: FloatArray, transposed: bool, goal: float, start: FloatArray | None = None) -> FloatArray:
        """From a first guess, or from zero, until the residual is at most the goal, or rounding."""
        found: FloatArray = np.zeros(len(right)) if start is None else start
        missing: FloatArray = right if start is None else right - self.times(found, transposed)
        for attempt in range(ATTEMPTS + 1):
            left = _size(missing, transposed)
            if left <= goal or (attempt > 0 and self._rounded(right, found, missing, goal, transposed)):
                return found
            if not np.isfinite(left):
                if self._factors is not None:
                    break  # the same numbers would come again
                found, missing = np.zeros(len(right)), right
            if self._factors is None and attempt == 1:
                self._factors = self._incomplete()
            solve = self._refined if self._factors is None else self._factorised
            found = found + solve(missing, goal, transposed)
            missing = right - self.times(found, transposed)
        raise SolverError(
            f"a linear system of {len(right)} states: residual {left:.3g} of {goal:.3g} after {self.iterations} iterations; "
            "lower the discount"
        )

    def _rounded(
        self, right: FloatArray, found: FloatArray, missing: FloatArray, goal: float, transposed: bool
    ) -> bool:
        """Whether what is missing is within the rounding of its terms, which small pivots make large: in every state on its own."""
        terms = np.abs(right) + product(self.pattern, np.abs(self.scaled), np.abs(found), transposed)
        if transposed:
            return _size(missing, True) <= ROUNDING * _size(terms, True)
        return bool((np.abs(missing) <= np.maximum(goal, ROUNDING * terms)).all())

    def _iterated(
        self, right: FloatArray, goal: float, transposed: bool, spent: int = 0, precision: Any = np.float64
    ) -> FloatArray:
        """BiCGSTAB from zero for a vector ``[S]``, or two ``[S, 2]``, until residuals are at most half of the goal, or patience ends."""
        rows = right[self._order.states].astype(precision, copy=False)
        found, parts, most = np.zeros(rows.size, dtype=precision), self._triangles(precision), PATIENCE - spent
        self.iterations += bicgstab(parts, rows.reshape(-1), found, 0.5 * goal, most, transposed)
        out = np.empty_like(right)
        out[self._order.states] = found.reshape(right.shape)
        return out

    def _triangles(self, precision: Any) -> Triangles:
        """What is swept through, in a precision; made once."""
        if precision not in self._parts:
            self._parts[precision] = triangles(self.pattern, self.scaled, self._order, precision)
        return self._parts[precision]

    def _refined(self, right: FloatArray, goal: float, transposed: bool) -> FloatArray:
        """BiCGSTAB from zero; of large systems in single precision first, which is half of what has to come from memory.

        What that has left is solved for again, in double precision where it fails; what it made worse is forgotten.
        """
        found: FloatArray = np.zeros(len(right))
        missing, size, begun = right, _size(right, transposed), self.iterations
        while len(right) > MANY and size > goal:
            spent, share, last = self.iterations - begun, max(goal, SINGLE * size), size
            closer = found + self._iterated(missing, share, transposed, spent, np.float32)
            left = right - self.times(closer, transposed)
            reached = _size(left, transposed)
            if reached < size:  # not where it overflows
                found, missing, size = closer, left, reached
            if not reached < 0.1 * last or self.iterations - begun >= PATIENCE:
                break
        return found + self._iterated(missing, goal, transposed, self.iterations - begun) if size > goal else found

    def times(self, vector: FloatArray, transposed: bool = False) -> FloatArray:
        """The scaled matrix, or its transpose, times a vector ``[S]``."""
        return product(self.pattern, self.scaled, vector, transposed)

    def _incomplete(self) -> Any:
        """Factors of the transpose, whose columns are the rows that are stored."""
        states = len(self.pivots)
        places = (self.pattern.columns, self.pattern.first.astype(np.int32))
        matrix = scipy.sparse.csc_matrix((self.scaled, *places), shape=(states, states), copy=True)
        try:
            return scipy.sparse.linalg.spilu(
                matrix, drop_tol=DROPPED, fill_factor=10, diag_pivot_thresh=0.0, permc_spec="NATURAL"
            )
        except RuntimeError as error:
            raise SolverError(f"a linear system of {states} states: {error}; lower the discount") from error

    def _factorised(self, right: FloatArray, goal: float, transposed: bool) -> FloatArray:
        """BiCGSTAB, preconditioned by the incomplete factors from the right; from zero."""
        apply = self._factors.solve
        way = "N" if transposed else "T"
        residual: FloatArray = right.copy()
        shadow, found = right.copy(), np.zeros_like(right)
        direction: FloatArray = np.zeros(len(right))
        moved: FloatArray = np.zeros(len(right))
        rho = alpha = omega = 1.0
        for _ in range(PATIENCE):
            if (np.abs(residual).sum() if transposed else np.abs(residual).max()) <= goal:
                break
            self.iterations += 1
            again = float(shadow @ residual)
            if again == 0.0:
                break
            direction = residual + (again / rho) * (alpha / omega) * (direction - omega * moved)
            rho = again
            prepared = apply(direction, way)
            moved = self.times(prepared, transposed)
            turn = float(shadow @ moved)
            if turn == 0.0:
                break
            alpha = rho / turn
            residual = residual - alpha * moved
            smoothed = apply(residual, way)
            turned = self.times(smoothed, transposed)
            size = float(turned @ turned)
            omega = float(turned @ residual) / size if size > 0 else 0.0
            found = found + alpha * prepared + omega * smoothed
            residual = residual - omega * turned
            if omega == 0.0 or not np.isfinite(omega):
                break
        return found


def _size(vector: FloatArray, transposed: bool) -> float:
    """The norm in which residuals are measured."""
    return float(np.abs(vector).sum() if transposed else np.abs(vector).max())


def _unit(vector: FloatArray) -> float:
    """What to divide by so that squares neither vanish nor overflow; 1 where nothing can be said."""
    largest = float(np.abs(vector).max())
    return largest if largest > 0 and np.isfinite(largest) else 1.0

"""Linear systems of chains that lead to neighbours, as on a floor plan whose cells are numbered row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import lapack

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import SolverError
from stackelberg_games.exact.chain_system import INFLATED
from stackelberg_games.kinds.kernel import SparseKernel
from stackelberg_games.numerics.randomness import compiled

NARROW = 0.2
"""Share of the states that a successor may be away, for a band to take less time than the whole matrix."""


class Banded:
    """The factors of I - discount * chain where no state leads further than ``kernel.reach``; see ``exact.response.System``.

    Args:
        kernel: transitions.
        joint: probability of both actions, ``[S, A, B]``; zero where terminal.
        discount: of what is accumulated along the chain.

    Raises:
        SolverError: the matrix is singular.
    """

    def __init__(self, kernel: SparseKernel, joint: FloatArray, discount: float) -> None:
        states, self._reach = len(joint), kernel.reach
        band = np.zeros((states, 3 * self._reach + 1))  # columns of the matrix with room above for what pivots bring
        _lay(kernel.first, kernel.successors, kernel.probability, joint.reshape(states, -1), discount, band)
        self._factors, self._pivots, failure = lapack.dgbtrf(band.T, self._reach, self._reach, overwrite_ab=True)
        if failure:
            raise SolverError("I - discount * chain is singular: the chain's states never lose weight")

    def solve(self, vector: FloatArray) -> FloatArray:
        """See ``System.solve``."""
        return np.asarray(lapack.dgbtrs(self._factors, self._reach, self._reach, vector, self._pivots)[0])

    def solve_transposed(self, vector: FloatArray, whole: float = 0.0) -> FloatArray:
        """See ``System.solve_transposed``."""
        return np.asarray(lapack.dgbtrs(self._factors, self._reach, self._reach, vector, self._pivots, trans=1)[0])

    def bound(self, vector: FloatArray) -> FloatArray:
        """See ``System.bound``."""
        return INFLATED * self.solve(vector)


@compiled
def _lay(first: Any, successors: Any, probability: Any, joint: Any, discount: float, band: Any) -> None:
    (states, actions), middle = joint.shape, 2 * (band.shape[1] // 3)
    for s in range(states):
        band[s, middle] += 1.0
        for a in range(actions):
            cell = s * actions + a
            for k in range(first[cell], first[cell + 1]):
                following = successors[k]
                if probability[k] != 0:  # the others may lie beyond the band
                    band[following, middle + s - following] -= discount * joint[s, a] * probability[k]

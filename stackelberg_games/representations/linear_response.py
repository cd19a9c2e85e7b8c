"""The follower's response in a linear-quadratic game, fitted to what was seen of it.

Where the next state is all that a stage leaves behind, every follower that is paid for its action and for
states answers by u = -L (A x + C a) + noise; neither its rewards nor its temperature are needed to fit that.
"""

from __future__ import annotations

import numpy as np

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.kinds.linear_quadratic import LinearGaussianGame
from stackelberg_games.rules.trajectories import Trajectories


class FittedResponse:
    """Least squares of the follower's action on where the state would go without it.

    Args:
        states, replies: coordinates n of y = A x + C a, and m of u.
        memory: factor in [0, 1] by which past batches fade.
    """

    def __init__(self, states: int, replies: int, memory: float) -> None:
        if not 0 <= memory <= 1:
            raise InvalidArgumentError(f"memory={memory!r}: expected a number in [0, 1]")
        self.states, self.memory = states, memory
        self.moments: FloatArray = np.zeros((states + replies + 1, states + replies + 1))
        """Sums of products of (y, u, 1)."""

    def observe(self, game: LinearGaussianGame, batch: Trajectories) -> None:
        """Take in a batch; ``game`` says where states go."""
        played = batch.mask
        pushed = (
            batch.states[:, :-1][played] @ game.state_matrix.T + batch.leader_actions[played] @ game.leader_matrix.T
        )
        rows = np.concatenate([pushed, batch.follower_actions[played], np.ones((len(pushed), 1))], axis=1)
        self.moments = self.memory * self.moments + rows.T @ rows

    def solve(self) -> tuple[FloatArray, FloatArray]:
        """L and the covariance of the noise."""
        n = self.states
        inputs, cross, outputs = self.moments[:n, :n], self.moments[:n, n:-1], self.moments[n:-1, n:-1]
        weights = np.linalg.pinv(inputs, rcond=1e-12, hermitian=True) @ cross
        spread = (outputs - weights.T @ cross) / self.moments[-1, -1]
        return np.ascontiguousarray(-weights.T), 0.5 * (spread + spread.T)

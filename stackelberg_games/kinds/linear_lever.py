"""Linear-Gaussian MDPs whose state matrix the leader configures: lever and closed-form objective.

    x' = A(c) x + B u + xi,    rL = -x'M x - u'N u - cost(c)

with the follower's response from ``riccati``. With u = -K x + noise of covariance Sigma and the
closed loop's second moments C_t,

    J = -sum_t gL^t [ tr((M + K'N K) C_t) + tr(N Sigma) + cost(c) ].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy
from stackelberg_games.errors import SolverError
from stackelberg_games.kinds.riccati import Plant, SoftRiccati, closed_loop, moments
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Lever, Stages, Terms


class LinearLever(Lever):
    """How a configuration moves the next state, and what it costs the leader.

    The noise of the dynamics may be too small for scores of log P to be of use, so the lever is a
    pathwise one: ``shift`` is by how much the next state of an observed stage would have differed.

    Args:
        matrix: A(c), differentiable.
        cost: what a configuration costs the leader at every stage, differentiable.
        start: from a seed and a spread to the standard first commitment.
    """

    moves_transitions = True
    costs = True

    def __init__(
        self,
        matrix: Callable[[Tensor], Tensor],
        cost: Callable[[Tensor], Tensor],
        start: Callable[[int, float | None], Commitment],
    ) -> None:
        self._matrix, self._cost, self._start = matrix, cost, start

    def commitment(self, seed: int, spread: float | None = None) -> Commitment:
        """See ``Lever.commitment``."""
        return self._start(seed, spread)

    def terms(self, configuration: Tensor, stages: Stages) -> Terms:
        """The leader's reward term; transitions are offered by ``shift``."""
        return Terms(leader_reward=-self._cost(configuration).expand(len(stages.states)))

    def cost(self, configuration: Tensor) -> Tensor:
        """What a configuration costs the leader at every stage, a scalar."""
        return self._cost(configuration)

    def shift(self, configuration: Tensor, other: Tensor, states: Tensor) -> Tensor:
        """(A(c) - A(other)) x, by how much next states would differ, ``[..., n]``."""
        return states @ (self._matrix(configuration) - self._matrix(other)).T


def idle_policy(states: int) -> LinearGaussianPolicy:
    """The per-stage policy of a leader that does not act, for the formulas of ``riccati``."""
    return LinearGaussianPolicy((states, 1), np.zeros((1, states)), std=1.0)


class LinearObjective(NamedTuple):
    """The leader's objective J; see the module's text.

    Attributes:
        state_cost: M, ``[n, n]``.
        control_cost: N, ``[m, m]``.
        start: second moments C_0, ``[n, n]``.
        discount: gL.
        horizon: stages.
    """

    state_cost: Tensor
    control_cost: Tensor
    start: Tensor
    discount: float
    horizon: int

    def __call__(self, plant: Plant, response: SoftRiccati, cost: Tensor) -> Tensor:
        """J, a scalar tensor, differentiable in the plant and the cost of the configuration."""
        idle = idle_policy(len(plant.state))
        loop = closed_loop(plant, idle, response)
        _, second = moments(loop, torch.zeros(len(plant.state), dtype=torch.float64), self.start, self.horizon)
        gain = response.gain @ plant.state
        bent = self.state_cost + gain.T @ self.control_cost @ gain
        weights = self.discount ** torch.arange(self.horizon, dtype=torch.float64)
        each = (second * bent).sum(dim=(-1, -2)) + torch.trace(self.control_cost @ response.covariance) + cost
        return -(weights @ each)


def check_stable(states: FloatArray, loop: FloatArray) -> None:
    """Raise ``SolverError`` where simulated states are not finite, with the closed loop's spectral radius."""
    if not np.isfinite(states).all() or np.abs(states).max() > 1e100:
        radius = np.abs(np.linalg.eigvals(loop)).max()
        raise SolverError(f"the closed loop is unstable (spectral radius {radius:.4g}); states left every range")

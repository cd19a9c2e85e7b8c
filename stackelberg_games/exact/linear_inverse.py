"""Soft inverse control: the follower's quadratic cost from its actions under several commitments.

The linear-quadratic twin of ``stackelberg_games.exact.inverse``. Under commitment k the follower plays
u ~ N(-L_k y, S_k), y = A x + C a, with L_k and S_k from the soft Riccati equation; Q and R are the
maximum of the likelihood of its actions, with a weak prior that keeps them apart from zero and
infinity. At known temperature the spread gives the scale of the costs. One commitment determines
R and B'P, but not P, and so no hypergradient; several determine Q as far as it matters to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy
from stackelberg_games.errors import SolverError
from stackelberg_games.kinds.linear_quadratic import Cost, LinearGaussianGame
from stackelberg_games.kinds.riccati import Plant, soft_riccati
from stackelberg_games.rules.trajectories import Trajectories

KEPT = 12
"""Commitments that are kept apart; beyond, the two neighbours that are most alike are merged."""


class Pushes(NamedTuple):
    """What was seen under a commitment: its gain, its factor, and sums of products of (x, a, u, 1)."""

    gain: FloatArray
    factor: FloatArray
    moments: FloatArray


class LinearInverse:
    """The follower's cost, from how it answered the commitments so far.

    Args:
        sizes: coordinates n, k, m of states, leader actions and follower actions.
        temperature: tau > 0, as believed.
        steps: of L-BFGS in each fit, >= 1; a fit starts from the last.
        deviation: of the prior, normal in the entries of the factors' logarithms around the identity.
    """

    def __init__(self, sizes: tuple[int, int, int], temperature: float, steps: int = 5, deviation: float = 3.0) -> None:
        self.n, self.k, self.m = sizes
        self.temperature, self.steps, self.deviation = temperature, steps, deviation
        self.parameters: FloatArray = np.zeros(self.n * (self.n + 1) // 2 + self.m * (self.m + 1) // 2)
        self.seen: list[Pushes] = []

    def observe(self, policy: LinearGaussianPolicy, batch: Trajectories) -> None:
        """Take in the answers to a commitment."""
        played = batch.mask
        parts = (batch.states[:, :-1][played], batch.leader_actions[played], batch.follower_actions[played])
        rows = np.concatenate([*parts, np.ones((len(parts[0]), 1))], axis=1)
        self.seen.append(Pushes(policy.gain.detach().numpy().copy(), policy.factor.numpy().copy(), rows.T @ rows))
        if len(self.seen) > KEPT:
            gaps = [np.linalg.norm(one.gain - two.gain) for one, two in zip(self.seen, self.seen[1:], strict=False)]
            first = int(np.argmin(gaps))
            self.seen[first : first + 2] = [_merged(*self.seen[first : first + 2])]

    def fit(self, game: LinearGaussianGame) -> Cost:
        """The cost in a fitted game, whose own is not read."""
        plant, discount = game.plant, game.follower_discount
        found = minimize(
            lambda flat: self._loss(plant, discount, flat),
            self.parameters,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": self.steps},
        )
        self.parameters = found.x
        state, control = self._costs(torch.from_numpy(self.parameters))
        return Cost(state.numpy(), control.numpy())

    def _costs(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """Q and R, both positive definite."""
        first = self.n * (self.n + 1) // 2
        factors = _factor(flat[:first], self.n), _factor(flat[first:], self.m)
        return factors[0] @ factors[0].T, factors[1] @ factors[1].T

    def _loss(self, plant: Plant, discount: float, values: FloatArray) -> tuple[float, FloatArray]:
        """Minus the log-posterior up to a constant, and its gradient; infinite where no response is stable."""
        flat = torch.tensor(values, requires_grad=True)
        state, control = self._costs(flat)
        proposed = plant._replace(state_cost=state, control_cost=control)
        total = (flat**2).sum() / (2 * self.deviation**2)
        try:
            for pushes in self.seen:
                total = total - self._likelihood(proposed, discount, pushes)
        except SolverError:
            return float("inf"), np.zeros_like(values)
        (gradient,) = torch.autograd.grad(total, flat)
        return float(total.detach()), gradient.numpy()

    def _likelihood(self, plant: Plant, discount: float, pushes: Pushes) -> Tensor:
        """Log-likelihood of the actions that were seen under a commitment."""
        policy = LinearGaussianPolicy((self.n, self.k), pushes.gain, std=pushes.factor)
        answer = soft_riccati(plant, policy, discount, self.temperature)
        moves = torch.cat(
            [answer.gain @ plant.state, answer.gain @ plant.leader, torch.eye(self.m, dtype=torch.float64)], dim=1
        )
        sums = torch.from_numpy(pushes.moments)
        rest = moves @ sums[:-1, :-1] @ moves.T  # second moments of u + L y
        weighed = torch.linalg.solve(answer.covariance, rest).diagonal().sum()
        likelihood: Tensor = -0.5 * (sums[-1, -1] * torch.linalg.slogdet(answer.covariance).logabsdet + weighed)
        return likelihood

    def state_dict(self) -> dict[str, Any]:
        """Costs and moments."""
        return {"parameters": self.parameters, "seen": [list(pushes) for pushes in self.seen]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore costs and moments."""
        self.parameters = np.array(state["parameters"])
        self.seen = [Pushes(*map(np.array, pushes)) for pushes in state["seen"]]


def _factor(flat: Tensor, size: int) -> Tensor:
    """A lower triangular matrix with positive diagonal; the identity for zeros."""
    lower = torch.zeros(size, size, dtype=torch.float64).index_put(tuple(torch.tril_indices(size, size)), flat)
    return torch.tril(lower, -1) + torch.diag(lower.diagonal().exp())


def _merged(one: Pushes, two: Pushes) -> Pushes:
    """Answers to two commitments that differ little, as if to their mean."""
    weights = np.array([one.moments[-1, -1], two.moments[-1, -1]])
    gain = (weights[0] * one.gain + weights[1] * two.gain) / weights.sum()
    return Pushes(gain, one.factor, one.moments + two.moments)

"""What ``stackelberg_actor_critic`` does in linear-quadratic games.

The follower's parameters are w = (L, F) of its policy u = -L (A x + C a) + F eps. With M the closed
loop and X the discounted sum of its states' second moments,

    JF = -tr((Q + U'R U) X) - tr(R spread) / (1 - gF) + (tau / (1 - gF)) log |det F| + constant

where U and spread are gain and noise of u in x. JL is the closed form of ``linear.moments``. The game
is fitted to trajectories that hold the follower's rewards (``linear.estimation``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.agents.leaders.policy_gradient_linear import LinearDirect
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy, LinearGaussianResponse
from stackelberg_games.errors import InformationError, InvalidGameError, SolverError, UnsupportedGameError
from stackelberg_games.exact.total_derivative import total_surrogate
from stackelberg_games.kinds.linear_quadratic import LinearGaussianGame, linear
from stackelberg_games.kinds.riccati import SoftRiccati, closed_loop, discounted_reward
from stackelberg_games.learning.information import Evidence, Information


@dataclass
class LinearTotal(LinearDirect):
    """Ascent on the total derivative in the fitted game.

    Args:
        learning_rate, actor_steps, hidden, memory: see ``LinearDirect``.
        regularisation: d >= 0 added to the follower's negative Hessian.
        reads: whether it reads the follower's policy; fitted otherwise.
    """

    regularisation: float = 0.0
    reads: bool = True

    needs_follower_rewards: ClassVar[bool] = True
    needs_temperature: ClassVar[bool] = True

    @property
    def information(self) -> Information:
        """FOLLOWER_POLICY, or TRAJECTORIES where nothing is read; both with the follower's rewards."""
        return Information.FOLLOWER_POLICY if self.reads else Information.TRAJECTORIES

    def observe(self, evidence: Evidence) -> None:
        """Fit the game, and read or fit the follower's policy."""
        batch = evidence.require_trajectories()
        if batch.follower_rewards is None:
            raise InformationError("stackelberg_actor_critic needs the follower's rewards in its trajectories")
        self.estimator.observe(batch)
        self.read: tuple[Tensor, Tensor] | None = None
        try:
            game = self.estimator.game()
        except InvalidGameError:  # too little was seen to determine R
            return
        self.response.observe(game, batch)
        if not self.reads:
            fitted = self.response.solve()
            self.read = fitted.gain, torch.linalg.cholesky(fitted.covariance)
            return
        response = evidence.follower_policy
        if not isinstance(response, LinearGaussianResponse):
            raise UnsupportedGameError(f"a linear-Gaussian follower is needed, got {type(response).__name__}")
        seen = np.concatenate([response.state_gain, response.action_gain], axis=1)
        moves = np.concatenate([game.state_matrix, game.leader_matrix], axis=1)
        gain = -seen @ np.linalg.pinv(moves, rcond=1e-9)
        self.read = torch.from_numpy(gain), torch.from_numpy(np.array(response.factor))

    def surrogate(self, evidence: Evidence) -> Tensor:
        """See ``total_surrogate``; constant where too little was seen, or the follower's cost is infinite."""
        policy = linear(self.commitment)
        if self.read is None:
            return 0.0 * policy.gain.sum()
        response = torch.cat([part.detach() for part in self.read], dim=1).requires_grad_()
        assert self.view.temperature is not None
        try:
            leader, follower = linear_objectives(self.estimator.game(), policy, response, self.view.temperature)
        except SolverError:
            return 0.0 * policy.gain.sum()
        return total_surrogate(leader, follower, response, regularisation=self.regularisation)


def linear_objectives(
    game: LinearGaussianGame, policy: LinearGaussianPolicy, response: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """The leader's return, and the follower's with ``temperature`` times its entropy, up to a constant.

    Args:
        game: true or fitted; its leader must not share the follower's cost.
        policy: the leader's.
        response: (L, F) side by side, ``[m, n + m]``.
        temperature: tau > 0.

    Raises:
        UnsupportedGameError: the leader shares the follower's cost, or there is no horizon.
        SolverError: the follower's discounted cost is infinite under these policies.
    """
    if game.shared or game.horizon is None:
        raise UnsupportedGameError("this needs a horizon, and a leader who does not share the follower's cost")
    plant, discount, n = game.plant, game.follower_discount, len(game.start)
    gain, factor = response[:, :n], response[:, n:]
    unknown = torch.full((n, n), torch.nan, dtype=torch.float64)
    covariance = factor @ factor.T
    loop = closed_loop(plant, policy, SoftRiccati(unknown, unknown[0, 0], unknown, unknown[0, 0], gain, covariance))
    radius = float(torch.linalg.eigvals(loop.matrix.detach()).abs().max())
    if discount * radius**2 >= 1:
        raise SolverError(f"the follower's discounted cost is infinite: the loop has the spectral radius {radius:.4g}")
    start = torch.tensor(game.start), torch.from_numpy(game.start_factor @ game.start_factor.T)
    leader = discounted_reward(loop, *start, game.reward, game.leader_discount, game.horizon)
    pushes = gain @ (plant.state + plant.leader @ policy.gain)
    shaken = gain @ plant.leader
    spread = shaken @ policy.covariance @ shaken.T + covariance
    begun = start[1] + torch.outer(start[0], start[0]) + discount / (1 - discount) * loop.noise
    system = torch.eye(n * n, dtype=torch.float64) - discount * torch.kron(loop.matrix, loop.matrix)
    occupied = torch.linalg.solve(system, begun.reshape(-1)).reshape(n, n)
    cost = ((plant.state_cost + pushes.T @ plant.control_cost @ pushes) * occupied).sum()
    always = torch.trace(plant.control_cost @ spread) - temperature * torch.linalg.slogdet(factor).logabsdet
    return leader, -cost - always / (1 - discount)

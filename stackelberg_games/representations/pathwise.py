"""The covariance hypergradient in its pathwise form, with the critics of a linear-quadratic game.

Where the leader's action is reparameterised, a_t = a_theta(s_t, eps_t), the score terms of the
estimator have pathwise twins, whose variance does not grow as the leader's noise shrinks:

    direct    sum_t gL^t VL_t(s_t, a_t)                  differentiated through a_t
    response  (1/tau) sum_t u_t VF(s_t, a_t)             differentiated through a_t,
              u_0 = 0,  u_{t+1} = gF (u_t + gL^t B_t),   B_t = QL_t(s_t, a_t, b_t) - VL_t(s_t, a_t)

With a horizon H the leader's values count the H - t stages left. The follower looks beyond H, so
u_H VF_theta(s_H) / tau is added, which is what its later stages would give in expectation.

Where a critic knows the *gradient* of the follower's value, the unrolled influence can be replaced by
it at once ("bootstrap", as TD(0) stands to Monte Carlo):

    response  (gF / tau) sum_t gL^t B_t [ VF_theta(s_{t+1}) - E_b VF_theta(s_{t+1}) ]

with VF_theta(s) averaged over the leader's action. The subtracted expectation is a control variate:
B_t has mean zero given (s_t, a_t). The mean is the same; the variance is that of one stage.

In a linear-quadratic game all critics are closed forms: with y the state before the follower's push,
M and S_i the closed loop and its i-step covariance,

    QL_t(x, a, u) = r(x) + sum_{i < H-t-1} gL^{i+1} E r(N(M^i y', S_i + M^i Xi M^i')),  y' = A x + C a + B u
    VL_t(x, a)    = the same with y' = (I - B L)(A x + C a) and the spread of u added
    VF(x, a)      = -(x'Q x + y'G y + c),                                               y = A x + C a
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.commitments.gaussian import LinearGaussianPolicy
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.hypergradient import influence
from stackelberg_games.kinds.linear_quadratic import LinearGaussianGame
from stackelberg_games.kinds.riccati import SoftRiccati, closed_loop, powers
from stackelberg_games.rules.trajectories import Trajectories

_NEGLIGIBLE = 1e-6  # weight at which the leader's values are cut where there is no horizon


class LeaderCritic(NamedTuple):
    """VL of a linear-quadratic game at fixed policies; everything is held constant.

    Attributes:
        game: true or estimated.
        powers: M^i, ``[K, n, n]``.
        spread: S_i, ``[K, n, n]``, covariance of i stages of noise.
        weights: gL^{i+1}, ``[K]``.
    """

    game: LinearGaussianGame
    powers: Tensor
    spread: Tensor
    weights: Tensor

    @classmethod
    def of(
        cls, game: LinearGaussianGame, policy: LinearGaussianPolicy, response: SoftRiccati, count: int
    ) -> LeaderCritic:
        """The critic for up to ``count`` stages to go."""
        with torch.no_grad():
            loop = closed_loop(game.plant, policy, response)
            stack = powers(loop.matrix, max(1, count - 1))
            grown = (stack @ loop.noise @ stack.transpose(-1, -2)).cumsum(dim=0)
            spread = torch.cat([torch.zeros_like(grown[:1]), grown[:-1]])
        return cls(game, stack, spread, game.leader_discount ** torch.arange(1, len(stack) + 1, dtype=torch.float64))

    def future(self, following: Tensor, covariance: Tensor, left: Tensor) -> Tensor:
        """Expected discounted rewards after a stage.

        Args:
            following: mean of the next state, ``[..., n]``.
            covariance: its covariance, ``[n, n]``.
            left: stages left from this one on, ``[...]``.
        """
        rows = [following @ self.powers[:, i].T for i in range(self.powers.shape[-1])]
        means = torch.stack(rows).movedim(0, -1)
        spread = self.spread + self.powers @ covariance @ self.powers.transpose(-1, -2)
        counted = torch.arange(1, len(self.weights) + 1) < left.unsqueeze(-1)
        return (self.game.reward.expectation(means, spread) * (self.weights * counted)).sum(dim=-1)


@dataclass(frozen=True)
class Pathwise:
    """The estimator; its fields are its options.

    Args:
        temperature: tau > 0.
        respond: False for the direct term alone, the naive policy gradient.
        bootstrap: take the follower's value gradient from the critic at the next state. False
            unrolls it along the trajectory, as where no such critic is to be had.
        trace_decay, centre: of the unrolled form, see ``hypergradient.influence``.
    """

    temperature: float
    respond: bool = True
    bootstrap: bool = True
    trace_decay: float = 1.0
    centre: bool = True

    def surrogate(
        self, game: LinearGaussianGame, policy: LinearGaussianPolicy, response: SoftRiccati, batch: Trajectories
    ) -> Tensor:
        """Surrogate whose gradient is the hypergradient estimate, a scalar tensor.

        Args:
            game: true or estimated; it must be the one that ``response`` solves.
            policy: the commitment that was played; its parameters receive the gradient.
            response: of the follower, differentiable in the policy's parameters.
            batch: episodes that were played.

        Raises:
            UnsupportedGameError: the leader's reward includes the follower's cost.
        """
        if game.shared:
            raise UnsupportedGameError("these critics do not cover a leader who shares the follower's cost")
        plant = game.plant
        states, played = torch.tensor(batch.states), torch.tensor(batch.leader_actions)
        before = states[:, :-1]
        actions = before @ policy.gain.T + (played - before @ policy.gain.T).detach()
        pushed = before @ plant.state.T + actions @ plant.leader.T
        answered = pushed - (pushed @ response.gain.detach().T) @ plant.follower.T
        left = (game.stages(_NEGLIGIBLE) - torch.arange(batch.stages)).expand(batch.episodes, -1)
        critic = LeaderCritic.of(game, policy, response, int(left.max()))
        spread = (plant.noise + plant.follower @ response.covariance @ plant.follower.T).detach()
        values = critic.future(answered, spread, left)
        weights = game.leader_discount ** torch.arange(batch.stages, dtype=torch.float64) * torch.tensor(batch.mask)
        total = (weights * values).sum()
        if self.respond:
            with torch.no_grad():
                reached = pushed + torch.tensor(batch.follower_actions) @ plant.follower.T
                benefit = critic.future(reached, plant.noise, left) - values
            if self.bootstrap:
                moved = response.average(states[:, 1:]) - response.average(answered.detach())
                total = total + game.follower_discount / self.temperature * (weights * benefit * moved).sum()
            else:
                total = total + self._unrolled(game, response, batch, pushed, benefit)
        return total / batch.episodes

    def _unrolled(
        self, game: LinearGaussianGame, response: SoftRiccati, batch: Trajectories, pushed: Tensor, benefit: Tensor
    ) -> Tensor:
        """The response term along the trajectories, with the follower's value beyond their end."""
        trace = influence(
            batch,
            np.ascontiguousarray(benefit.numpy()),
            leader_discount=game.leader_discount,
            follower_discount=game.follower_discount,
            temperature=self.temperature,
            trace_decay=self.trace_decay,
            centre=self.centre and batch.episodes > 1,
        )
        seen = -((pushed @ response.seen_value.detach()) * pushed).sum(dim=-1)
        last = torch.tensor(batch.states[np.arange(batch.episodes), batch.lengths])
        tail = torch.tensor(trace.carry) * response.average(last)
        total: Tensor = (torch.tensor(trace.before) * seen).sum() + tail.sum()
        return total

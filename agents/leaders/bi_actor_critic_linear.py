"""What ``bi_actor_critic`` does in linear-quadratic games.

With the mode of the follower's reply, u = -L y at y = A x + C a, the backup is the Bellman equation of
a leader who steers z = (I - B L)(A x + C a):

    Q(x, a, u) = r(x) + gL E V(x'),    V(x) = r(x) + gL max_a V(z)

Where the leader can steer to the same states z from everywhere, as in ``lqr-v0``, the maximum does
not depend on x, so V is the reward up to a constant and the actor ascends

    sum_t gL^{t+1} E r(x_{t+1})   differentiated through a_t = K x_t + W eps_t,

one stage ahead. Elsewhere V has no closed form for the rewards of these games, and they are refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.agents.leaders.policy_gradient_linear import LinearDirect
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.kinds.linear_quadratic import linear
from stackelberg_games.learning.information import Evidence

NEGLIGIBLE = 0.05
"""Share of the drift that may lie outside of what the leader steers; fits to noisy data leave some."""


@dataclass
class LinearBilevel(LinearDirect):
    """Direct term with the Stackelberg critic of the stage; class TRAJECTORIES.

    Args:
        learning_rate, actor_steps, hidden, memory: see ``LinearDirect``.
    """

    def surrogate(self, evidence: Evidence) -> Tensor:
        """See ``GradientLeader``.

        Raises:
            UnsupportedGameError: from some states the leader cannot steer where it can from others.
        """
        batch, policy = evidence.require_trajectories(), linear(self.commitment)
        game, response = self.fitted(), self.response.solve()
        plant = game.plant
        answered = torch.eye(len(plant.state), dtype=torch.float64) - plant.follower @ response.gain
        _check_steering((answered @ plant.state).numpy(), (answered @ plant.leader).numpy())
        states, played = torch.tensor(batch.states[:, :-1]), torch.tensor(batch.leader_actions)
        actions = states @ policy.gain.T + (played - states @ policy.gain.T).detach()
        following = (states @ plant.state.T + actions @ plant.leader.T) @ answered.T
        spread = plant.noise + plant.follower @ response.covariance @ plant.follower.T
        stages = np.arange(batch.stages)
        counted = batch.mask if self.view.horizon is None else batch.mask & (stages < self.view.horizon - 1)
        weights = torch.from_numpy(counted * game.leader_discount ** (stages + 1))
        total: Tensor = (weights * game.reward.expectation(following, spread)).sum()
        return total / batch.episodes


def _check_steering(drift: FloatArray, steering: FloatArray) -> None:
    """Refuse games in which z = drift x + steering a covers other states from one x than from another."""
    outside = drift - steering @ (np.linalg.pinv(steering, rcond=NEGLIGIBLE) @ drift)
    if np.linalg.norm(outside) > NEGLIGIBLE * np.linalg.norm(drift):
        raise UnsupportedGameError(
            "bi_actor_critic has no closed form where the leader cannot steer the state to the same places from "
            "everywhere in one stage: the columns of (I - B L) A leave the range of (I - B L) C"
        )

"""What ``policy_gradient`` does in linear-quadratic games: the direct term alone, in its pathwise form.

    sum_t gL^t VL_t(s_t, a_t)   differentiated through a_t = K s_t + W eps_t

Dynamics and the leader's reward are fitted by least squares (``linear.estimation``), and so is the
follower's response u = -L (A x + C a) + noise, whose fit fades from batch to batch. Where the next
state is all that a stage leaves behind, every follower that is paid for its action and for states
has this form; neither its rewards nor its temperature are needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.kinds.linear_quadratic import Cost, LinearGaussianGame, linear
from stackelberg_games.kinds.riccati import SoftRiccati
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.learning.leader import GradientLeader
from stackelberg_games.representations.least_squares import LinearEstimator
from stackelberg_games.representations.pathwise import Pathwise
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView


@dataclass
class LinearDirect(GradientLeader):
    """As if the follower did not respond; class TRAJECTORIES.

    Args:
        learning_rate, actor_steps, hidden: see ``GradientLeader``.
        memory: factor by which the fit of the follower's response fades from batch to batch.
    """

    memory: float = 0.8

    @property
    def information(self) -> Information:
        """TRAJECTORIES; the follower's rewards are not used."""
        return Information.TRAJECTORIES

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``.

        Raises:
            UnsupportedGameError: the spaces are not flat unbounded Boxes, or the commitment is not linear.
        """
        self.estimator = LinearEstimator(view)
        super().begin(view, seed=seed, commitment=commitment)
        linear(self.commitment)
        self.response = FittedResponse(self.estimator.n, self.estimator.m, self.memory)

    def observe(self, evidence: Evidence) -> None:
        """Add a batch to the fits."""
        batch = evidence.require_trajectories()
        self.estimator.observe(batch.without_follower_rewards())
        self.response.observe(self.fitted(), batch)

    def fitted(self) -> LinearGaussianGame:
        """The fitted game; the follower's cost, which nothing here reads, is not that of the follower."""
        n, m = self.estimator.n, self.estimator.m
        return self.estimator.game(Cost(np.zeros((n, n)), np.eye(m)))

    def surrogate(self, evidence: Evidence) -> Tensor:
        """See ``GradientLeader``."""
        batch, policy = evidence.require_trajectories(), linear(self.commitment)
        return Pathwise(1.0, respond=False).surrogate(self.fitted(), policy, self.response.solve(), batch)

    def state_dict(self) -> dict[str, Any]:
        """Commitment, optimiser and fits."""
        fits = {"linear": self.estimator.state_dict(), "response": self.response.moments}
        return {**super().state_dict(), **fits}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Leader.load_state_dict``."""
        super().load_state_dict(state)
        self.estimator.load_state_dict(state["linear"])
        self.response.moments = np.array(state["response"])


class FittedResponse:
    """Least squares of the follower's action on where the state would go without it.

    Args:
        states, replies: coordinates n of y = A x + C a, and m of u.
        memory: factor in [0, 1] by which past batches fade.
    """

    def __init__(self, states: int, replies: int, memory: float) -> None:
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

    def solve(self) -> SoftRiccati:
        """L and the covariance of the noise; the values are not known, and NaN."""
        n = self.states
        inputs, cross, outputs = self.moments[:n, :n], self.moments[:n, n:-1], self.moments[n:-1, n:-1]
        weights = np.linalg.pinv(inputs, rcond=1e-12, hermitian=True) @ cross
        spread = (outputs - weights.T @ cross) / self.moments[-1, -1]
        unknown = torch.full((n, n), torch.nan, dtype=torch.float64)
        gain, covariance = torch.from_numpy(-weights.T.copy()), torch.from_numpy(0.5 * (spread + spread.T))
        return SoftRiccati(unknown, unknown[0, 0], unknown, unknown[0, 0], gain, covariance)

"""What ``model_based`` does in linear-quadratic games: fit the game, and climb its exact hypergradient.

Dynamics, both rewards and the start are fitted by least squares (``linear.estimation`` states the
class of games this assumes). The follower is taken to be soft-optimal for the reward that was
fitted, at the temperature the leader was told; its response, and how that moves with the
commitment, come from the Riccati equation of the fitted game.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from stackelberg_games.commitments.gaussian import random_gain
from stackelberg_games.errors import InvalidGameError, SolverError
from stackelberg_games.kinds.linear_quadratic import linear
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.learning.leader import GradientLeader
from stackelberg_games.representations.least_squares import LinearEstimator
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView


@dataclass
class LinearModel(GradientLeader):
    """Plans in the estimated game; class TRAJECTORIES.

    Args:
        learning_rate: of Adam on the estimated objective, > 0.
        actor_steps: ascent steps for each batch, >= 1; they end early where the estimated follower has
            no stable response. The best commitment on the way is kept.
        hidden: no effect here.
    """

    learning_rate: float = 0.1
    actor_steps: int = 20

    needs_follower_rewards: ClassVar[bool] = True
    needs_temperature: ClassVar[bool] = True

    @property
    def information(self) -> Information:
        """TRAJECTORIES with the follower's rewards."""
        return Information.TRAJECTORIES

    def first_commitment(self, view: LeaderView, seed: int) -> Commitment:
        """Standard normal gains."""
        return random_gain(view, seed)

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``.

        Raises:
            UnsupportedGameError: the game has no flat Box spaces, or the commitment is not linear.
        """
        self.estimator = LinearEstimator(view)
        super().begin(view, seed=seed, commitment=commitment)
        linear(self.commitment)

    def observe(self, evidence: Evidence) -> None:
        """Add the batch to the statistics."""
        self.estimator.observe(evidence.require_trajectories())

    def surrogate(self, evidence: Evidence) -> Tensor:
        """The leader's objective in the estimated game.

        Raises:
            InvalidGameError: too little was seen to determine R.
            SolverError: the estimated follower has no stable response.
        """
        assert self.view.temperature is not None
        return self.estimator.game().leader_objective(self.commitment, self.view.temperature)

    def update(self, evidence: Evidence) -> dict[str, float]:
        """Refit, then climb; ``model_value`` is what the model promises, and is absent where it was of no use."""
        self.observe(evidence)
        try:
            game = self.estimator.game()
        except InvalidGameError:  # too little was seen to determine R
            return {"planned": 0.0}
        assert self.view.temperature is not None
        value, planned = float("nan"), 0
        best = float("-inf"), copy.deepcopy(self.commitment.state_dict())
        for _ in range(self.actor_steps):
            self.optimizer.zero_grad()
            try:
                objective = game.leader_objective(self.commitment, self.view.temperature)
            except SolverError:
                break
            value = float(objective.detach())
            if value > best[0]:
                best = value, copy.deepcopy(self.commitment.state_dict())
            objective.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            planned += 1
        self.commitment.load_state_dict(best[1])
        record = {"planned": float(planned)}
        return {**record, "model_value": best[0]} if planned else record

    def state_dict(self) -> dict[str, Any]:
        """Commitment, optimiser and statistics."""
        return {**super().state_dict(), "estimator": self.estimator.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Leader.load_state_dict``."""
        super().load_state_dict(state)
        self.estimator.load_state_dict(state["estimator"])

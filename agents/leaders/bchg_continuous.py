"""BC-HG in linear-quadratic games: the covariance hypergradient in its pathwise form.

The critics are those of the game estimated by least squares (``linear.estimation`` states the class
of games this assumes): QL and VL in closed form, VF from the Riccati equation at the temperature the
leader was told. The states, actions and benefits are those of the sampled trajectories; see
``pathwise`` for the estimator. This is what ``bchg`` does where all spaces are flat Boxes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
from torch import Tensor

from stackelberg_games.errors import InvalidGameError, SolverError, UnsupportedGameError
from stackelberg_games.kinds.linear_quadratic import linear
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.learning.leader import GradientLeader
from stackelberg_games.representations.least_squares import LinearEstimator
from stackelberg_games.representations.pathwise import Pathwise
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView


@dataclass
class PathwiseForm(GradientLeader):
    """Gives a gradient leader of finite games a form for linear-quadratic ones; goes before its base class.

    Args:
        bootstrap: see ``Pathwise``.
    """

    bootstrap: bool = True

    def pathwise(self, temperature: float) -> Pathwise:
        """The estimator with this leader's options."""
        return Pathwise(temperature, bootstrap=self.bootstrap)

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``.

        Raises:
            UnsupportedGameError: the spaces are neither all finite nor all flat Boxes, the commitment
                is not linear-Gaussian in the latter case, or the class asked for is none of this form's.
        """
        self.linear: LinearEstimator | None = None
        if not isinstance(view.state_space, gymnasium.spaces.Box) or view.lever is not None:
            super().begin(view, seed=seed, commitment=commitment)
            return
        if self.information > Information.TRAJECTORIES:
            raise UnsupportedGameError(
                f"{type(self).__name__} reads nothing of the follower in linear-quadratic games: there the fitted game "
                "gives the follower's policy and values in closed form, so there is no variant that reads them; set "
                'reads="none"'
            )
        self.linear = LinearEstimator(view)
        GradientLeader.begin(self, view, seed=seed, commitment=commitment)
        linear(self.commitment)

    def observe(self, evidence: Evidence) -> None:
        """Add a batch to the estimates."""
        if self.linear is None:
            super().observe(evidence)
        else:
            self.linear.observe(evidence.require_trajectories())

    def surrogate(self, evidence: Evidence) -> Tensor:
        """See ``GradientLeader``; constant where the estimates are of no use yet."""
        if self.linear is None:
            return super().surrogate(evidence)  # type: ignore[safe-super]
        policy = linear(self.commitment)
        assert self.view.temperature is not None
        try:
            game = self.linear.game()
            response = game.response(policy, self.view.temperature)
        except (InvalidGameError, SolverError):  # too little was seen, or no stable response is in sight
            return 0.0 * policy.gain.sum()
        estimator = self.pathwise(self.view.temperature)
        return estimator.surrogate(game, policy, response, evidence.require_trajectories())

    def state_dict(self) -> dict[str, Any]:
        """Commitment, optimiser and estimates."""
        if self.linear is None:
            return super().state_dict()
        return {**GradientLeader.state_dict(self), "linear": self.linear.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Leader.load_state_dict``."""
        if self.linear is None:
            super().load_state_dict(state)
            return
        GradientLeader.load_state_dict(self, state)
        self.linear.load_state_dict(state["linear"])

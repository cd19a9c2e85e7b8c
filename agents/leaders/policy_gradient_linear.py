"""Naive policy gradient in linear-quadratic games: the direct term alone, in its pathwise form.

    sum_t gL^t VL_t(s_t, a_t)   differentiated through a_t = K s_t + W eps_t

with the critics of ``bchg``'s form for these games, which need the follower's rewards and temperature
where the finite form of ``policy_gradient`` does not. The comparison isolates the response term.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import gymnasium

from stackelberg_games.agents.leaders.bchg_continuous import PathwiseForm
from stackelberg_games.commitment import Commitment
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.game import LeaderView
from stackelberg_games.information import Information
from stackelberg_games.linear.pathwise import Pathwise


@dataclass
class PolicyGradientLinear(PathwiseForm):
    """As if the follower did not respond; class TRAJECTORIES.

    Args:
        learning_rate, actor_steps, hidden: see ``GradientLeader``.
        bootstrap: has no effect without a response term.
    """

    needs_follower_rewards: ClassVar[bool] = True
    needs_temperature: ClassVar[bool] = True

    @property
    def information(self) -> Information:
        """TRAJECTORIES with the follower's rewards."""
        return Information.TRAJECTORIES

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``.

        Raises:
            UnsupportedGameError: the spaces are not flat Boxes.
        """
        if not isinstance(view.state_space, gymnasium.spaces.Box):
            raise UnsupportedGameError("policy_gradient_linear needs a linear-quadratic game; use policy_gradient")
        super().begin(view, seed=seed, commitment=commitment)

    def pathwise(self, temperature: float) -> Pathwise:
        """The direct term alone."""
        return Pathwise(temperature, respond=False)

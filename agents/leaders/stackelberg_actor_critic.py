"""Stackelberg actor-critic: ascent on the total derivative through the follower's first-order condition.

    dJL/dtheta = grad_theta JL - (d^2 JF / dw dtheta)' (d^2 JF / dw^2)^-1 grad_w JL

Zheng, Fiez, Alumbaugh, Chasnov and Ratliff, AAAI 2022 (arXiv 2109.12286), with the follower of a
Stackelberg game in the place of their critic. JF is the follower's entropy-regularised return, w the parameters of its policy.
At the soft-optimal response this is the exact hypergradient; away from it the first-order condition fails.

The published method shares one graph of both players. Here both objectives are those of the game fitted to trajectories
that hold the follower's rewards: beyond what ``bchg`` needs, it takes second derivatives, and so a model of the game.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.exact.total_derivative import total_surrogate
from stackelberg_games.representations.algorithm import Algorithm
from stackelberg_games.representations.protocol import Needs, Values


@dataclass
class StackelbergActorCritic(Algorithm):
    """Ascent on the total derivative; class FOLLOWER_POLICY, or TRAJECTORIES with ``reads="none"``.

    Further arguments are those of ``Algorithm``.

    Args:
        regularisation: d >= 0 added to the follower's negative Hessian; the larger, the nearer it comes to
            the naive policy gradient.
        reads: ``"policy"`` reads the follower's policy, ``"none"`` estimates it from trajectories.
    """

    regularisation: float = 0.0
    reads: Literal["none", "policy"] = "policy"

    needs_follower_rewards: ClassVar[bool] = True
    needs_temperature: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("regularisation", self.regularisation, 0)

    @property
    def needs(self) -> Needs:
        """Both players' returns as functions of both policies."""
        return Needs(self.backup, reads=self.reads, players=True)

    def surrogate(self, values: Values) -> Tensor:
        """The leader's return, with the follower's first-order condition in its gradient."""
        leader, follower, response = values.players()
        return total_surrogate(leader, follower, response, regularisation=self.regularisation)

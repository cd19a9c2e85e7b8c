"""LOLA: ascent through the gradient steps that the follower is about to take (Foerster et al., arXiv 1709.04326).

The follower's parameters w are taken to move K times by eta along the gradient of its entropy-regularised return JF,
and the leader's return JL is followed to where that leads. To first order around the policy that the follower plays,

    dJL/dtheta = grad_theta JL + (d^2 JF / dw dtheta)' eta sum_{k<K} (I + eta d^2 JF / dw^2)^k grad_w JL

One short step gives little more than the naive policy gradient. As K eta grows the sum becomes the inverse Hessian of
``stackelberg_actor_critic``, and the row the exact hypergradient at a follower that has converged; it diverges where a
step is longer than 2 over the largest curvature. The follower's parameters are the representation's: logits where the
game is finite or laid on visited states, gain and factor where it is linear-quadratic. Whether the follower learns in this way is not checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from stackelberg_games.errors import InvalidArgumentError, SolverError
from stackelberg_games.representations.algorithm import Algorithm
from stackelberg_games.representations.protocol import Needs, Values

DIVERGED = 100.0
"""Growth of a step's effect at which steps cannot be those towards a maximum."""

PRODUCTS = 20
"""With the Hessian, to find its largest curvature."""


@dataclass
class LOLA(Algorithm):
    """Ascent on the return after the follower's next steps; class FOLLOWER_POLICY, or TRAJECTORIES with ``reads="none"``.

    Args:
        learning_rate: see ``GradientAscent``.
        actor_steps: see ``GradientAscent``.
        start: see ``GradientAscent``.
        representation: see ``Algorithm``.
        lookahead: K >= 1, steps of the follower that are looked through.
        step_size: eta > 0, of each; 1 over the largest curvature of JF, the longest that does not overshoot, if not given;
            then no steps are looked through beyond where they grow, as JF curves upwards.
        reads: ``"policy"`` reads the follower's policy, ``"none"`` estimates it from trajectories.
    """

    lookahead: int = 10
    step_size: float | None = None
    reads: Literal["none", "policy"] = "policy"

    needs_follower_rewards: ClassVar[bool] = True
    needs_temperature: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lookahead < 1 or not (self.step_size is None or self.step_size > 0):
            raise InvalidArgumentError(f"{self}: expected lookahead >= 1 and step_size > 0")

    @property
    def needs(self) -> Needs:
        """Both players' returns as functions of both policies."""
        return Needs(reads=self.reads, players=True)

    def surrogate(self, values: Values) -> Tensor:
        """The leader's return, and the follower's gradient weighed by what a move along it is worth."""
        leader, follower, response = values.players()
        (pull,) = torch.autograd.grad(leader, response, retain_graph=True)
        (slope,) = torch.autograd.grad(follower, response, create_graph=True)

        def bent(vector: Tensor) -> Tensor:
            return torch.autograd.grad(slope, response, vector, retain_graph=True)[0]

        step = self._longest(bent, pull) if self.step_size is None else self.step_size
        worth, moved = torch.zeros_like(pull), pull
        for _ in range(self.lookahead):
            worth, moved = worth + step * moved, moved + step * bent(moved)
            if float(moved.norm()) > DIVERGED * float(pull.norm()):
                if self.step_size is None:  # JF curves upwards here: the follower is not about to settle
                    break
                raise SolverError(
                    f"step_size={self.step_size}: {self.lookahead} such steps of the follower grow instead of settling; "
                    "take fewer or shorter ones"
                )
        return leader + (worth * slope).sum()

    @staticmethod
    def _longest(bent: Callable[[Tensor], Tensor], pull: Tensor) -> float:
        """1 over the largest curvature, by power iteration."""
        vector = torch.randn(pull.shape, dtype=pull.dtype, generator=torch.Generator().manual_seed(0))
        for _ in range(PRODUCTS):
            vector = bent(vector / vector.norm())
        return 1.0 / float(vector.norm())

"""Stochastic SoBiRL, a form of our own: SoBiRL's estimate with recursive momentum (own design; rates of the paper not claimed).

Of the published stochastic method only the rates are public. This one keeps a running estimate v of the hypergradient:

    v_k = g(x_k) + (1 - a_k) (v_{k-1} - w g(x_{k-1})),     x_{k+1} = x_k + b_k v_k

Both gradients come from the same pairs and the same labels, played at x_k; w weighs each pair with how much more likely the
follower would have played it at x_{k-1}. Their difference has little noise where the two rewards are close, and carries what
earlier pairs told over to x_k. The steps are b_k = b_0 (k + k_0)^(-1/3), and a_k = min(1, c b_k^2). Where more than a tenth of
the weights is cut off, the correction is not to be trusted, and v starts anew.

Recursive momentum: Cutkosky and Orabona, "Momentum-based variance reduction in non-convex SGD", NeurIPS 2019, arXiv 1905.10018.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.learning.ascent import flat_gradient
from stackelberg_games.learning.information import Evidence
from stackelberg_games.learning.weighted_sum import Total
from stackelberg_games.representations.adjoint import Average
from stackelberg_games.representations.algorithm import Algorithm
from stackelberg_games.representations.compared import Compared
from stackelberg_games.representations.protocol import Credit, Needs, Values
from stackelberg_games.rules.commitment import Commitment, assign, flatten
from stackelberg_games.rules.view import LeaderView, PaymentNeeded

CUT = 0.1
"""Share of the weights that may be cut off before the momentum starts anew."""


@dataclass
class StochasticSoBiRL(Algorithm):
    """SoBiRL with recursive momentum; class TRAJECTORIES, in games with a judge.

    Args:
        learning_rate: b_0, > 0.
        actor_steps: 1; a second step on the same pairs would have no new ones to correct it by.
        start: see ``GradientAscent``.
        representation: see ``Algorithm``; plans the follower's response in the counted game, so that both gradients of
            a correction expect the same.
        offset: k_0 >= 1.
        forgetting: c >= 0, in a_k = min(1, c b_k^2); 0 never forgets, and large numbers leave the plain estimate.

    Raises:
        InvalidArgumentError: a number is out of range.
    """

    learning_rate: float = 0.3
    representation: Mapping[str, Any] = field(default_factory=lambda: {"planned": True})
    offset: float = 8.0
    forgetting: float = 10.0

    needs_follower_rewards: ClassVar[bool] = True
    needs_temperature: ClassVar[bool] = True
    estimates_temperature: ClassVar[bool] = False
    needs_payment: ClassVar[PaymentNeeded] = "judge"
    keeps: ClassVar[tuple[str, ...]] = ("count", "momentum", "earlier")

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("offset", self.offset, 1)
        checks.number("forgetting", self.forgetting, 0)
        if self.actor_steps != 1:
            raise InvalidArgumentError(f"actor_steps={self.actor_steps!r}: expected 1")

    @property
    def needs(self) -> Needs:
        """Both players' values."""
        return Needs(self.backup, follower=True)

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Algorithm.begin``."""
        super().begin(view, seed=seed, commitment=commitment)
        self.count = 0
        self.momentum: FloatArray | None = None
        self.earlier: FloatArray | None = None

    def surrogate(self, values: Values) -> Total:
        """The direct row, and the response row for losses as credits; log 2 is their baseline."""
        credit = Credit(values.returns(True) * values.batch.mask) / values.temperature
        return values.direct() + Average()(values, credit)

    def update(self, evidence: Evidence) -> dict[str, float]:
        """Correct the momentum, and step along it."""
        fresh, size = self.estimate(evidence), self.learning_rate
        self.count += 1
        step = size * (self.count + self.offset) ** (-1 / 3)
        kept = 1.0 - min(1.0, self.forgetting * step**2)
        found = {**self.values.figures(), "restarted": 0.0}
        if self.momentum is None or self.earlier is None:
            self.momentum = fresh.numpy()
        else:
            before, cut = self._before(torch.from_numpy(self.earlier))
            restarted = cut > CUT
            carried = torch.from_numpy(self.momentum) - before
            self.momentum = (fresh if restarted else fresh + kept * carried).numpy()
            found |= {"cut": cut, "restarted": float(restarted)}
        here = flatten(self.commitment)
        self.earlier = here.numpy().copy()
        assign(self.commitment, here + step * torch.from_numpy(self.momentum))
        return {**found, "gradient_norm": float((self.momentum**2).sum() ** 0.5), "step": step}

    def _before(self, parameters: Tensor) -> tuple[Tensor, float]:
        """The gradient at the earlier reward from the new pairs, and which share of their weights was cut off."""
        here = flatten(self.commitment)
        assign(self.commitment, parameters)
        try:
            values = self.learned.at(self.commitment)
            found = flat_gradient(self.surrogate(values), self.commitment)
        finally:
            assign(self.commitment, here)
        assert isinstance(self.learned, Compared)
        return found, self.learned.cut

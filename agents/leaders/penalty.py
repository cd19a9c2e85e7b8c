"""Penalty method (PBRL; Shen, Yang and Chen, arXiv 2402.06886): the leader moves a follower of its own, and pays for its errors.

    max over theta and phi of  J_L(theta, phi) - w ( max over phi' of J_F(theta, phi')  -  J_F(theta, phi) )

For a small w the leader believes in a follower that nobody will meet, and for a large one nothing moves before phi has: w grows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.exact.twins import held_returns, soft_value
from stackelberg_games.learning.ascent import GradientAscent
from stackelberg_games.learning.follower import finite
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.numerics.adam import Adam
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView, PaymentNeeded


@dataclass
class Penalty(GradientAscent):
    """Joint ascent on commitment and own follower; class MODEL. Further arguments are those of ``GradientAscent``.

    Args:
        weight: w at first, > 0.
        last_weight: w after ``annealing`` >= 1 updates, >= ``weight``.
    """

    weight: float = 10.0
    last_weight: float = 1000.0
    annealing: int = 500

    information = Information.MODEL
    needs_temperature: ClassVar[bool] = True
    needs_payment: ClassVar[PaymentNeeded] = "stages"
    keeps: ClassVar[tuple[str, ...]] = ("phi", "updates")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.weight <= self.last_weight or self.annealing < 1:
            raise InvalidArgumentError(f"{self}: expected 0 < weight <= last_weight and annealing >= 1")

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """Its own follower is uniform at first."""
        super().begin(view, seed=seed, commitment=commitment)
        shape = [size if view.follower_sees_action or k != 1 else 1 for k, size in enumerate(view.sizes())]
        self.phi, self.updates = torch.nn.ParameterDict({"logits": torch.zeros(shape, dtype=torch.float64)}), 0
        stepped = [*self.commitment.parameters(), *self.phi.parameters()]
        self.optimizer = Adam(stepped, self.learning_rate, maximize=True)

    def objective(self, evidence: Evidence) -> Callable[[], Tensor]:
        """The penalised objective at the weight of this update."""
        game, tau = finite(evidence.require_game(), self), self.temperature
        weight: float = self.weight * (self.last_weight / self.weight) ** min(1.0, self.updates / self.annealing)
        self.updates += 1

        def surrogate() -> Tensor:
            self.phi.zero_grad()
            leader, own = held_returns(game, self.commitment, self.phi["logits"], tau, horizon=game.horizon)
            return leader - weight * (soft_value(game, self.commitment, tau) - own)

        return surrogate

"""Values where too little was seen."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.hypergradient import Influence
from stackelberg_games.representations.protocol import Credit, Values
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView


class Nothing(Values):
    """Too little was seen to say anything: no direction."""

    def __init__(self, batch: Trajectories, view: LeaderView, commitment: Commitment) -> None:
        self.batch, self.view = batch, view
        self._zero = 0.0 * torch.stack([parameter.sum() for parameter in commitment.parameters()]).sum()

    def benefit(self) -> Credit:
        """Zeros."""
        return Credit(np.zeros((self.batch.episodes, self.batch.stages)))

    def advantage(self, how: str, wide: Trajectories) -> Credit:
        """Zeros."""
        return self.benefit()

    def averaged(self, credit: Credit, wide: Trajectories) -> Credit:
        """As they are."""
        return credit

    def direct(self) -> Tensor:
        """A constant."""
        return self._zero

    def unrolled(self, trace: Influence, credit: Credit, batch: Trajectories) -> Tensor:
        """A constant."""
        return self._zero

    def bootstrapped(self, credit: Credit) -> Tensor:
        """A constant."""
        return self._zero

    def truncated(self, credit: Credit) -> Tensor:
        """A constant."""
        return self._zero

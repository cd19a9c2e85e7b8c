"""All labels that a leader was ever given, and how well a reward explains them."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.numerics.stateful import Stateful
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.comparisons import Comparisons
from stackelberg_games.rules.lever import Lever, Stages


class Answered(Stateful):
    """Labels with the stages of their pairs, those of the first segment before those of the second.

    Attributes:
        last: mean loss of the labels when it was last worked out.
    """

    keeps: ClassVar[tuple[str, ...]] = ("labels", *Stages._fields)

    def __init__(self) -> None:
        self.last = 0.0
        self.labels: FloatArray | None = None
        self.states: FloatArray | IntArray | None = None
        self.leader_actions: FloatArray | IntArray | None = None
        self.follower_actions: FloatArray | IntArray | None = None
        self.next_states: FloatArray | IntArray | None = None

    def add(self, told: Comparisons) -> None:
        """Keep what a judge said."""
        sides = [Stages.of(side) for side in (told.first, told.second)]
        for name in Stages._fields:
            parts = [np.asarray(getattr(side, name)) for side in sides]
            rows = [part.reshape(len(told), -1, *part.shape[1:]) for part in parts]
            new = np.concatenate(rows, axis=1).reshape(-1, *parts[0].shape[1:])
            old = getattr(self, name)
            setattr(self, name, new if old is None else np.concatenate([old, new]))
        self.labels = told.label if self.labels is None else np.concatenate([self.labels, told.label])

    @property
    def stages(self) -> Stages:
        """All stages of all pairs, in order."""
        return Stages(*(np.asarray(getattr(self, name)) for name in Stages._fields))

    def cost(self, lever: Lever, commitment: Commitment, penalty: float) -> Tensor:
        """Mean logistic loss of the labels, and a penalty; a scalar, differentiable in the parameters.

        Args:
            lever: knows the reward at stages that were played.
            commitment: the chosen reward.
            penalty: on the sum of squares of its parameters.
        """
        assert self.labels is not None
        label, configuration = torch.from_numpy(self.labels), commitment.configuration()
        assert configuration is not None
        reward = lever.terms(configuration, self.stages).follower_reward
        assert reward is not None
        worth = reward.view(len(label), 2, -1).sum(dim=2)
        gap = worth[:, 0] - worth[:, 1]
        loss = (torch.nn.functional.softplus(gap) - label * gap).mean()
        self.last = float(loss.detach())
        return loss + penalty * torch.stack([part.square().sum() for part in commitment.parameters()]).sum()

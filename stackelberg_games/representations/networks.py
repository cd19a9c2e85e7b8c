"""Regressions with networks on vectors of states: what the leader learns in games that are neither finite nor linear.

What is fitted, and to what, is in ``regressions``; the decision enters as ``stage_values`` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.learning.information import Evidence
from stackelberg_games.representations.protocol import STACKELBERG, Backup, Needs, Representation
from stackelberg_games.representations.regressions import Estimation, NeuralEstimator
from stackelberg_games.representations.stackelberg_regression import StackelbergEstimator
from stackelberg_games.representations.stage_values import StageValues
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Stages, Terms
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView


class Networks(Representation):
    """Networks for values, the benefit and the follower's response.

    Args:
        view, commitment, needs, seed: see ``Representation``.
        memory, smoothing, steps: see ``Estimation``.

    Raises:
        InvalidArgumentError: a setting is out of range.
        UnsupportedGameError: a space is neither a flat Box nor Discrete, or there is no such backup.
    """

    def __init__(
        self,
        view: LeaderView,
        commitment: Commitment,
        needs: Needs,
        seed: int = 0,
        *,
        memory: float = 0.8,
        smoothing: float = 0.95,
        steps: int = 40,
    ) -> None:
        super().__init__(view, commitment, needs, seed)
        settings, temperature = Estimation(memory, smoothing, steps), view.temperature if needs.follower else None
        kinds = {Backup(): NeuralEstimator, STACKELBERG: StackelbergEstimator}
        if needs.backup not in kinds:
            raise UnsupportedGameError(f"networks have no fit for the backup {needs.backup}")
        self.fit: NeuralEstimator = kinds[needs.backup](view, settings, temperature, seed)

    @classmethod
    def fits(cls, view: LeaderView, commitment: Commitment) -> bool:
        """Wherever nothing else does."""
        return True

    @classmethod
    def settings(cls, view: LeaderView, needs: Needs) -> tuple[str, ...]:
        """All, but for ``smoothing`` where no advantage is smoothed."""
        staged = needs.backup == STACKELBERG and not needs.follower
        return ("memory", "steps") if staged else ("memory", "smoothing", "steps")

    def observe(self, evidence: Evidence, commitment: Commitment) -> None:
        """Fit the networks, and work out the critics at the commitment that was played."""
        batch, configuration = evidence.require_trajectories(), commitment.configuration()
        if configuration is None:
            self.fit.observe(batch)
        else:
            played = configuration.detach()
            leader, follower = self._incentives(batch, played)
            rewards = batch.follower_rewards
            bare = replace(
                batch,
                leader_rewards=batch.leader_rewards - leader,
                follower_rewards=None if rewards is None else rewards - follower,
            )
            self.fit.observe(bare, lambda old: self._incentives(old, played))
        self.batch = batch
        self.critics = self.fit.critics(commitment)

    def _incentives(self, batch: Trajectories, configuration: Tensor) -> tuple[FloatArray, FloatArray]:
        """What a configuration adds to both rewards at the stages of a batch, ``[N, T]``."""
        if self.view.lever is None:
            raise UnsupportedGameError("the commitment configures a game that offers no lever")
        terms: Terms = self.view.lever.terms(configuration, Stages.of(batch))
        added = np.zeros((2, *batch.mask.shape))
        for row, term in zip(added, (terms.leader_reward, terms.follower_reward), strict=True):
            if term is not None:
                row[batch.mask] = term.detach().numpy()
        return added[0], added[1]

    def at(self, commitment: Commitment) -> StageValues:
        """See ``Representation.at``; the critics are those of the commitment that was played."""
        new = self.fit.kept[0]
        return StageValues(self.view, self.batch, self.critics, commitment, self.fit.shown(new), new.follower)

    def state_dict(self) -> dict[str, Any]:
        """Networks and the data they are fitted to."""
        return self.fit.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Representation.load_state_dict``."""
        self.fit.load_state_dict(state)

"""Regressions with networks on vectors of states: what the leader learns in games that are neither finite nor linear.

What critics are fitted to is in ``regressions``, and the decision enters as ``stage_values`` says. For planners, and for
derivatives of both players' returns, it is the stage itself that is fitted (``world``) and laid on visited states (``anchors``).
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
from stackelberg_games.representations.anchors import PointGame, PointModel, PointValues, point_model
from stackelberg_games.representations.protocol import (
    STACKELBERG,
    Backup,
    Fitted,
    Manner,
    Needs,
    Representation,
)
from stackelberg_games.representations.regressions import Estimation, NeuralEstimator, ResponseEstimator
from stackelberg_games.representations.replies import remembered
from stackelberg_games.representations.stackelberg_regression import StackelbergEstimator
from stackelberg_games.representations.stage_values import StageValues
from stackelberg_games.representations.surprise import Surprise
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Stages, Terms
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView, not_estimated


class Networks(Representation):
    """Networks for values, the benefit and the follower's response, or for what a stage does.

    Args:
        view, commitment, needs, seed: see ``Representation``.
        memory, smoothing, steps: see ``Estimation``; 12 times as many steps for what a stage does, which is one network.
        anchors: visited states that stand for all in planning, at most.

    Raises:
        InvalidArgumentError: a setting is out of range.
        UnsupportedGameError: a space is neither a flat Box nor Discrete, there is no such backup, or no game can be fitted.
    """

    planning = ("rate", "steps", "explore", "reach")
    manner = Manner(rate=0.1, steps=100, keeps=True, fresh=True, proves=True)

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
        anchors: int = 800,
    ) -> None:
        super().__init__(view, commitment, needs, seed)
        self.model: PointModel | None = None
        self.game: PointGame | None = None
        settings, temperature = Estimation(memory, smoothing, steps), view.temperature if needs.follower else None
        self.planned = needs.players or not needs.values
        if self.planned or view.estimates:
            try:
                self.model = point_model(view, commitment, anchors, settings.steps, seed)
            except UnsupportedGameError as error:
                if self.planned:
                    raise
                raise not_estimated(str(error)) from error
        kinds = {Backup(): ResponseEstimator if needs.players else NeuralEstimator, STACKELBERG: StackelbergEstimator}
        if needs.backup not in kinds:
            raise UnsupportedGameError(f"networks have no fit for the backup {needs.backup}")
        self.fit: NeuralEstimator = kinds[needs.backup](view, settings, temperature, seed)

    @classmethod
    def fits(cls, view: LeaderView, commitment: Commitment) -> bool:
        """Wherever nothing else does."""
        return True

    @classmethod
    def settings(cls, view: LeaderView, needs: Needs) -> tuple[str, ...]:
        """Those of what is fitted; no ``smoothing`` where no advantage is smoothed."""
        if needs.players or not needs.values:
            return ("memory", "steps", "anchors") if needs.players else ("steps", "anchors")
        staged = needs.backup == STACKELBERG and not needs.follower
        return ("memory", "steps") if staged else ("memory", "smoothing", "steps")

    def observe(self, evidence: Evidence, commitment: Commitment) -> None:
        """Fit the networks, and work out the critics at the commitment that was played."""
        batch, configuration = evidence.require_trajectories(), commitment.configuration()
        self.batch = batch
        if self.model is not None:
            self.model.observe(batch, commitment)
            self.game = self.model.game()
            if self.planned and not self.needs.players:
                return
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
        if not self.planned:
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

    def at(self, commitment: Commitment) -> StageValues | PointValues:
        """See ``Representation.at``; the critics are those of the commitment that was played."""
        if self.planned:
            assert self.game is not None
            return PointValues(self.game, self.batch, commitment, self.game.replies(self.fit.response))
        new = self.fit.kept[0]
        return StageValues(self.view, self.batch, self.critics, commitment, self.fit.shown(new), new.follower)

    def surprise(self, commitment: Commitment) -> Surprise:
        """See ``Representation.surprise``."""
        if self.model is None:
            return super().surprise(commitment)
        assert self.game is not None
        return remembered(self.model, self.game)

    def retell(self, temperature: float) -> None:
        """See ``Representation.retell``; critics that are fitted follow from the next batch on."""
        super().retell(temperature)
        if self.fit.temperature is not None:
            self.fit.temperature = temperature
        if self.model is not None:
            self.model.view = self.view
            if self.game is not None:
                self.game.view = self.view

    def fitted(self) -> Fitted:
        """The game on visited states."""
        return super().fitted() if self.game is None else self.game

    def state_dict(self) -> dict[str, Any]:
        """Networks and the data they are fitted to."""
        return {"fit": self.fit.state_dict(), "model": None if self.model is None else self.model.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Representation.load_state_dict``."""
        self.fit.load_state_dict(state["fit"])
        if self.model is not None:
            self.model.load_state_dict(state["model"])

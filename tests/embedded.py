"""A finite game whose states are shown as points of a plane, so that only networks can play it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stackelberg_games import exact
from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.commitments.networks import MLPCategoricalPolicy
from stackelberg_games.commitments.tabular import DiscretePolicy
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.kinds.levers import ObservedLedger, ObservedLever
from stackelberg_games.learning.follower import Answer, Follower
from stackelberg_games.numerics.randomness import Streams
from stackelberg_games.play.rollout import TabularResponse
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Ledger, Stages, Terms
from stackelberg_games.rules.rules import Step
from stackelberg_games.rules.view import LeaderView


class Embedded(Game):
    """Every state is a point on the unit sphere; rules and exact values are those of the finite game."""

    def __init__(self, table: TabularGame, dimensions: int = 4) -> None:
        self.table, self.name = table, f"embedded {table.name}"
        points = np.random.default_rng(0).normal(size=(table.transition.shape[0], dimensions))
        self.points: FloatArray = points / np.linalg.norm(points, axis=1, keepdims=True)
        self.state_space = gymnasium.spaces.Box(-1.0, 1.0, (dimensions,), np.float64)
        self.leader_action_space = table.leader_action_space
        self.follower_action_space = table.follower_action_space
        self.leader_discount, self.follower_discount = table.leader_discount, table.follower_discount
        self.horizon, self.follower_sees_action = table.horizon, table.follower_sees_action
        self.configuration_space, self.idle_action = table.configuration_space, table.idle_action

    def configured(self, configuration: Tensor) -> Embedded:
        assert isinstance(self.table, ConfigurableGame)
        return Embedded(self.table.configured(configuration), self.points.shape[1])

    def ledger(self) -> Ledger | None:
        return None if self.configuration_space is None else ObservedLedger()

    def view(self, temperature: float | None = None, ledger: Ledger | None = None) -> LeaderView:
        view = super().view(temperature, ledger)
        if self.configuration_space is None:
            return view
        assert isinstance(self.table, ConfigurableGame)
        return replace(view, lever=ObservedLever(self._terms, self.table.commitment, ledger))

    def _terms(self, configuration: Tensor, stages: Stages) -> Terms:
        """What the finite game's tables say at the stages."""
        assert isinstance(self.table, ConfigurableGame)
        cell = (self.codes(stages.states), stages.leader_actions, stages.follower_actions)
        tables, base = self.table.tables(configuration), self.table.base
        leader, follower = (now[cell] - before[cell] for now, before in zip(tables[1:], base[1:], strict=True))
        return Terms(None, leader, follower, tables.transition[(*cell, self.codes(stages.next_states))].log())

    @property
    def observation_space(self) -> gymnasium.spaces.Box:
        return gymnasium.spaces.Box(-1.0, 1.0, (self.points.shape[1],), np.float32)

    def observe(self, state: Any) -> NDArray[np.float32]:
        return np.asarray(state, dtype=np.float32)

    def codes(self, states: Any) -> IntArray:
        """The finite game's states."""
        return np.asarray((np.asarray(states) @ self.points.T).argmax(axis=-1))

    def initial(self, streams: Streams) -> FloatArray:
        return self.points[self.table.initial(streams)]

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Streams, stage: int) -> Step:
        step = self.table.step(self.codes(states), leader_actions, follower_actions, streams, stage)
        return step._replace(states=self.points[step.states])

    def as_table(self, commitment: Commitment) -> Commitment:
        """A commitment to this game as one to the finite game."""
        if commitment.configuration() is not None:
            return commitment
        assert isinstance(commitment, MLPCategoricalPolicy)
        return Rows(commitment, self.points)

    def leader_objective(
        self, commitment: Commitment, temperature: float, *, discount: Any = None, horizon: Any = None
    ) -> Tensor:
        return exact.leader_objective(self.table, self.as_table(commitment), temperature)


class Rows(DiscretePolicy):
    """A network evaluated at the points of all states."""

    def __init__(self, policy: MLPCategoricalPolicy, points: FloatArray) -> None:
        super().__init__()
        self.policy, self.points, self.states = policy, points, len(points)
        self.actions = int(policy.action_space.n)  # type: ignore[attr-defined]

    def log_probabilities(self) -> Tensor:
        return self.policy.log_probabilities(self.points)


@dataclass
class SoftFollower(Follower):
    """The soft-optimal response, found in the finite game."""

    temperature: float

    def respond(self, game: Game, commitment: Commitment) -> Answer:
        assert isinstance(game, Embedded)
        found = exact.best_response(game.table, game.as_table(commitment), self.temperature)
        return Answer(Replies(game, TabularResponse(found.policy)))


class Replies:
    """A table played at points."""

    def __init__(self, game: Embedded, table: TabularResponse) -> None:
        self.game, self.table = game, table

    def sample(self, states: Any, leader_actions: Any, streams: Streams, stage: int) -> Any:
        return self.table.sample(self.game.codes(states), leader_actions, streams, stage)

"""Episodes that the leader opens by configuring the game; the follower then plays what is left of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray, Vector
from stackelberg_games.commitments.space import fault
from stackelberg_games.errors import InvalidActionError
from stackelberg_games.faces.episode import Actions, Episode, Snapshot
from stackelberg_games.faces.finite_episode import FiniteEpisode
from stackelberg_games.numerics.threads import own_modes
from stackelberg_games.rules.rules import Rules
from stackelberg_games.rules.scene import FOLLOWER, LEADER, Player, Scene


class Opening(Actions):
    """The leader's moves in a game that it configures.

    Where it only configures, its one move of an episode is the configuration. Where it also acts at
    every stage, a move is ``{"configuration": x, "action": a}``; after its first move of an episode it
    is bound to x, so that entry is not read again and the action may come alone.

    Args:
        configurations: space of x.
        stage: space of a; None where the leader only configures.
    """

    def __init__(self, configurations: spaces.Box, stage: spaces.Space[Any] | None) -> None:
        self.player, self.discrete = LEADER, False
        self.configurations = copy.deepcopy(configurations)
        self.stage = None if stage is None else Actions(LEADER, stage)
        self.space: Any = self.configurations
        if self.stage is not None:
            self.space = spaces.Dict({"configuration": self.configurations, "action": self.stage.space})
        self.size = int(np.prod(configurations.shape))
        low, high = np.minimum(configurations.low.ravel(), 0), np.maximum(configurations.high.ravel(), 0)
        if self.stage is not None:
            low, high = np.append(low, self.stage.low), np.append(high, self.stage.high)
        self.low, self.high = low, high

    def configuration(self, values: Any) -> FloatArray:
        """A configuration as a frozen float64 array.

        Raises:
            InvalidActionError: it has the wrong shape, a number that is not finite or out of bounds, or
                it exceeds the budget.
        """
        wrong = fault(self.configurations, values)
        if wrong is not None:
            raise InvalidActionError(f"{LEADER}'s configuration {wrong}")
        array: FloatArray = np.array(values, dtype=np.float64)
        array.setflags(write=False)
        return array

    def parts(self, move: Any) -> tuple[Any, Any]:
        """Configuration and stage action of the leader's first move; the latter is None where it has none.

        Raises:
            InvalidActionError: one of them is missing.
        """
        if self.stage is None:
            return move, None
        if not isinstance(move, Mapping) or not {"configuration", "action"} <= move.keys():
            raise InvalidActionError(
                f"{LEADER} submitted {checks.shown(move)} as its first move: expected one in {self.space}"
            )
        return move["configuration"], self.stage.check(move["action"])

    def later(self, move: Any) -> Any:
        """The stage action of a later move.

        Raises:
            InvalidActionError: it is not in the space.
        """
        assert self.stage is not None  # else it does not move again
        return self.stage.check(move.get("action") if isinstance(move, Mapping) else move)


class ConfiguredEpisode(Episode):
    """Episodes of a configurable game.

    Until the leader has chosen it observes nothing (zeros): a configuration binds for the whole episode
    and is chosen before the first state is known, with the context that may be part of it. From then on
    it observes the states. The follower observes the state from the start, and the configuration once
    it is chosen (zeros before).

    Args:
        game: the game before any configuration.
        space: of configurations.
    """

    def __init__(self, game: Rules, space: spaces.Box) -> None:
        self._space = space
        self._known: tuple[FloatArray, Rules] | None = None
        super().__init__(game)
        low, high = (np.array(side) for side in (self.state_space.low, self.state_space.high))
        seen = slice(self._width if game.follower_sees_action else self._observed + self.moves.size)
        self.observation_spaces[FOLLOWER] = spaces.Box(low[seen], high[seen], dtype=np.float32)
        box = game.leader_observation_space
        self.observation_spaces[LEADER] = spaces.Box(np.minimum(box.low, 0), np.maximum(box.high, 0), dtype=np.float32)

    @property
    def moves(self) -> Opening:
        """The leader's moves."""
        opening: Opening = self.actions[LEADER]  # type: ignore[assignment]
        return opening

    def commit(self, action: Any) -> None:
        """Let the leader move: configure the game, or act in a game that it has configured.

        Raises:
            InvalidActionError: see ``Opening``; nothing has changed.
        """
        if self.configuration is not None:
            self.pending = self.moves.later(action)
            return
        chosen, first = self.moves.parts(action)
        self.configure(chosen)
        if first is not None:
            self.pending = first

    def configure(self, configuration: Any) -> None:
        """Choose the configuration of the running episode.

        Raises:
            InvalidActionError: it is not in the space; nothing has changed.
        """
        checked = self.moves.configuration(configuration)
        self.game, self.configuration = self._under(checked), checked
        self.pending = self.rules.idle_action

    def reply(self, action: Any) -> tuple[float, float]:
        """Let the follower move; after that it is its turn again where the leader only configures."""
        rewards = super().reply(action)
        if not self.over:
            self.pending = self.rules.idle_action
        return rewards

    def observe(self, player: Player) -> Vector:
        """See the class."""
        if player == LEADER:
            zeros = np.zeros(self.observation_spaces[LEADER].shape, np.float32)
            return super().observe(LEADER) if self.configuration is not None else zeros
        return self.vector()[: self.observation_spaces[FOLLOWER].shape[0]]

    def vector(self) -> Vector:
        """The state, the configuration, and the code of the leader's pending action where it acts."""
        out = np.zeros(self._width, dtype=np.float32)
        out[: self._observed] = self.game.observe(self.states[0])
        if self.configuration is not None:
            code = out[self._observed :]
            code[: self.moves.size] = self.configuration.ravel()
            if self.moves.stage is not None and self.pending is not None:
                self.moves.stage.encode(self.pending, code[self.moves.size :])
        return out

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot, under its configuration."""
        super().restore(snapshot)
        self.game = self.rules if self.configuration is None else self._under(self.configuration)
        if self.configuration is not None and self.pending is None and not self.over:
            self.pending = self.rules.idle_action

    def scene(self) -> Scene:
        """What a picture shows; a leader that only configures has no actions."""
        scene = super().scene()
        if self.configuration is None:
            scene = scene._replace(status=f"{LEADER} configures")
        if self.rules.idle_action is None or scene.played is None:
            return scene if self.rules.idle_action is None else scene._replace(pending=None)
        return scene._replace(pending=None, played=scene.played._replace(leader_action=None))

    def _moves_of_leader(self) -> Actions:
        only_configures = self.rules.idle_action is not None
        return Opening(self._space, None if only_configures else self.rules.leader_action_space)

    def _under(self, configuration: FloatArray) -> Rules:
        """The game under a configuration; kept for the last one."""
        if self._known is None or not np.array_equal(self._known[0], configuration):
            with own_modes(), torch.no_grad():
                self._known = (configuration, self.rules.configured(torch.tensor(configuration)))
        return self._known[1]


def episode_of(game: Rules) -> Episode:
    """Episodes of a game in which both players move."""
    return _plain(game) if game.configuration_space is None else ConfiguredEpisode(game, game.configuration_space)


def _plain(game: Rules) -> Episode:
    tables = game.one_by_one()
    return Episode(game) if tables is None else FiniteEpisode(game, tables)


def episode_under(game: Rules, configuration: Tensor | None) -> Episode:
    """Episodes of a game whose leader is played by a commitment that chooses a configuration, or none.

    Raises:
        InvalidActionError: the configuration is not in the game's space.
        InvalidGameError, UnsupportedGameError: the game cannot be configured.
    """
    if configuration is None:
        return _plain(game)
    space = game.configuration_space
    if space is None:
        game.configured(configuration)  # says why it cannot, if it cannot
        space = spaces.Box(-np.inf, np.inf, tuple(configuration.shape), np.float64)
    episode = ConfiguredEpisode(game, space)
    episode.moves.configuration(configuration.detach().numpy())
    return episode

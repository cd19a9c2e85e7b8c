"""Strangers as followers: a callable or another process that plays, while our side records.

A stranger is asked exactly what a PettingZoo loop asks: it is given ``env.last()`` when it is the
follower's turn and returns an action; when its episode has ended it is told so once and returns
None. How and what it learns is its own business. ``stranger_process`` asks a program the same in lines of JSON.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium
import numpy as np

from stackelberg_games.adapters.aec import AECGame
from stackelberg_games.adapters.episodes import leading
from stackelberg_games.adapters.native import Turn, play_episode
from stackelberg_games.adapters.stages import CodedMove, Decision, last_of
from stackelberg_games.adapters.table import Table
from stackelberg_games.adapters.turns import Turns
from stackelberg_games.errors import FollowerError, InvalidActionError, UnsupportedGameError
from stackelberg_games.faces.episode import Actions
from stackelberg_games.kinds.game import Game
from stackelberg_games.numerics.randomness import Streams
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.masks import mask_of
from stackelberg_games.rules.scene import FOLLOWER
from stackelberg_games.rules.trajectories import Trajectories, concatenate


class Stranger(Protocol):
    """A follower that nobody knows anything about."""

    def __call__(
        self, observation: Any, reward: float, termination: bool, truncation: bool, info: dict[str, Any]
    ) -> Any:
        """The action for what ``env.last()`` returned; None at the end of an episode."""


class RandomStranger:
    """Plays at random among what is allowed, and never learns.

    Args:
        space: of its actions.
        seed: of its draws.
    """

    def __init__(self, space: gymnasium.Space[Any], seed: int) -> None:
        self.space = copy.deepcopy(space)
        self.space.seed(seed % 2**31)

    def __call__(
        self, observation: Any, reward: float, termination: bool, truncation: bool, info: dict[str, Any]
    ) -> Any:
        """See ``Stranger``."""
        if termination or truncation:
            return None
        mask = mask_of(observation, info)
        return self.space.sample() if mask is None else self.space.sample(_of_int8(mask))


def _of_int8(mask: Any) -> Any:
    """A mask as Gymnasium's spaces take it."""
    return tuple(map(_of_int8, mask)) if isinstance(mask, tuple) else np.asarray(mask, dtype=np.int8)


@dataclass(frozen=True)
class StrangerPolicy:
    """A response policy that is played by asking a stranger.

    Args:
        stranger: who is asked.
    """

    stranger: Callable[..., Any]

    def sample(self, states: Any, leader_actions: Any, streams: Streams, stage: int) -> Any:
        """Not to be had: a stranger is asked turn by turn; raises ``UnsupportedGameError``."""
        raise UnsupportedGameError("a stranger plays whole episodes; it cannot be asked about a batch of states")

    def play(self, game: Game, commitment: Commitment, streams: Streams, stages: int) -> Trajectories:
        """Play episodes one after the other in the game's AEC environment, and record them.

        In a foreign environment the stranger is shown what that shows its agent, and answers in its own form.

        Raises:
            FollowerError: the stranger raised an error or answered something that is not an action.
        """
        if isinstance(game, AECGame):
            return game.play(commitment, _Asking(game.table, self.stranger), streams, stages)
        env: Any = game.raw_env()
        configuration = commitment.configuration()
        chosen = None if configuration is None else configuration.detach().numpy()
        idle = None if configuration is None else game.idle_action
        actions = Actions(FOLLOWER, game.follower_action_space)

        def act(turn: Turn, stage: int) -> Any:
            answer = _answer(self.stranger, *turn)
            if turn[2] or turn[3]:
                return None
            try:
                return actions.check(answer)
            except (InvalidActionError, TypeError, ValueError) as error:
                raise FollowerError(f"the follower answered {answer!r} at stage {stage}: {error}") from error

        batches = []
        for number in streams.episodes:
            own = Streams.of(streams.seed, 1, int(number))
            env.begin(own, chosen)
            batches.append(play_episode(env, leading(commitment, own), act, stages, idle))
        env.close()
        return concatenate(batches)


def asked_space(game: Game) -> gymnasium.Space[Any]:
    """The space in which a stranger answers: in a foreign environment that of the environment itself."""
    if isinstance(game, AECGame):
        return next(iter(game.table.followers.values())).moves.raw
    return game.follower_action_space


def _answer(stranger: Callable[..., Any], *turn: Any) -> Any:
    try:
        return stranger(*turn)
    except FollowerError:
        raise
    except Exception as error:
        raise FollowerError(f"the follower raised {type(error).__name__}: {error}") from error


class _Asking:
    """A stranger as a player of episodes of a foreign environment.

    Args:
        table: of the game.
        stranger: who is asked; where it plays several agents, the info says which, as ``agent``.
    """

    def __init__(self, table: Table, stranger: Callable[..., Any]) -> None:
        self.table, self.stranger = table, stranger

    def begin(self, streams: Streams) -> None:
        """Nothing to do: it is not told before its first turn."""

    def _info(self, agent: str, info: Any) -> dict[str, Any]:
        told = dict(info or {})
        return told if len(self.table.followers) == 1 else {**told, "agent": agent}

    def __call__(self, decision: Decision) -> CodedMove:
        """Ask it."""
        agent, observation, info, mask, owed, _, number = decision
        answer = _answer(self.stranger, copy.copy(observation), owed, False, False, self._info(agent, info))
        moves = self.table.followers[agent].moves
        try:
            code = moves.encode(answer)
            raw = moves.decode(code)
        except (InvalidActionError, TypeError, ValueError) as error:
            raise FollowerError(f"the follower answered {answer!r} at move {number}: {error}") from error
        if mask is not None and not mask[code]:
            raise FollowerError(
                f"the follower answered {answer!r} at move {number}, which the mask of {agent!r} forbids; allowed: "
                f"{[moves.decode(k) for k in np.flatnonzero(mask)]}"
            )
        return code, raw

    def end(self, turns: Turns, owed: float) -> None:
        """Tell it once for each of its agents that the episode is over."""
        for agent in self.table.followers:
            seen, terminated, info = last_of(turns, agent)
            _answer(self.stranger, copy.copy(seen), owed, terminated, not terminated, self._info(agent, info))
            owed = 0.0

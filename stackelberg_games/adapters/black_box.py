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

from stackelberg_games.adapters.aec import AECGame, Turn, episode_seed, leading, play_episode
from stackelberg_games.errors import FollowerError, InvalidActionError, UnsupportedGameError
from stackelberg_games.faces.aec import StackelbergEnv
from stackelberg_games.faces.episode import Actions
from stackelberg_games.kinds.game import Game
from stackelberg_games.numerics.randomness import Streams
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.scene import FOLLOWER
from stackelberg_games.rules.trajectories import Trajectories, concatenate


class Stranger(Protocol):
    """A follower that nobody knows anything about."""

    def __call__(
        self, observation: Any, reward: float, termination: bool, truncation: bool, info: dict[str, Any]
    ) -> Any:
        """The action for what ``env.last()`` returned; None at the end of an episode."""


class RandomStranger:
    """Plays at random, and never learns.

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
        return None if termination or truncation else self.space.sample()


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

        Raises:
            FollowerError: the stranger raised an error or answered something that is not an action.
        """
        env: Any = game.raw_env()
        configuration = commitment.configuration()
        chosen = None if configuration is None else configuration.detach().numpy()
        idle = None if configuration is None else game.idle_action
        actions = Actions(FOLLOWER, game.follower_action_space)

        def act(turn: Turn, stage: int) -> Any:
            try:
                answer = self.stranger(*turn)
            except FollowerError:
                raise
            except Exception as error:
                raise FollowerError(f"the follower raised {type(error).__name__}: {error}") from error
            if turn[2] or turn[3]:
                return None
            try:
                return actions.check(answer)
            except (InvalidActionError, TypeError, ValueError) as error:
                raise FollowerError(f"the follower answered {answer!r} at stage {stage}: {error}") from error

        batches = []
        for number in streams.episodes:
            own = Streams.of(streams.seed, 1, int(number))
            state = _seat(env, game, own, chosen)
            batches.append(play_episode(env, leading(commitment, own), act, stages, state, idle))
        env.close()
        return concatenate(batches)


def _seat(env: Any, game: Game, streams: Streams, configuration: Any) -> Callable[[], Any] | None:
    """Begin the very episode that the streams belong to; returns what reads the state, where not the observation."""
    if isinstance(env, StackelbergEnv) and not isinstance(
        game, AECGame
    ):  # one of ours as a foreign one is reset as such
        env.begin(streams, configuration)
        return lambda: env.get_state().episode.states[0]
    env.reset(seed=episode_seed(streams.seed, int(streams.episodes[0])))
    return None

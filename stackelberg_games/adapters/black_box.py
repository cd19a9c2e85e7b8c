"""Strangers as followers: a callable or another process that plays, while our side records.

A stranger is asked exactly what a PettingZoo loop asks: it is given ``env.last()`` when it is the
follower's turn and returns an action; when its episode has ended it is told so once and returns
None. How and what it learns is its own business.

A process speaks lines of JSON over its standard streams. It reads

    {"observation": [...], "reward": 0.0, "termination": false, "truncation": false}

and answers ``{"action": ...}``; to a line with ``termination`` or ``truncation`` it answers
``{"action": null}``.
"""

from __future__ import annotations

import copy
import json
import os
import queue
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium
import numpy as np

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


class StrangerProcess:
    """A stranger in a process of its own; started on first use, ended by ``close``.

    Args:
        command: program and arguments.
        timeout: seconds to wait for an answer.
    """

    def __init__(self, command: Sequence[str], timeout: float = 30.0) -> None:
        self.command, self.timeout = list(command), timeout
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str | None] = queue.Queue()

    def __call__(
        self, observation: Any, reward: float, termination: bool, truncation: bool, info: dict[str, Any]
    ) -> Any:
        """Ask the process.

        Raises:
            FollowerError: it cannot be started, has died, does not answer in time, or answers nonsense.
        """
        line = {
            "observation": np.asarray(observation).tolist(),
            "reward": reward,
            "termination": termination,
            "truncation": truncation,
        }
        answer = self._ask(json.dumps(line))
        try:
            return json.loads(answer)["action"]
        except (ValueError, KeyError, TypeError) as error:
            self.close()
            raise FollowerError(f'the follower process answered {answer[:80]!r}: expected {{"action": ...}}') from error

    def _ask(self, line: str) -> str:
        process = self._process if self._process is not None else self._start()
        assert process.stdin is not None
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            answer = self._answers.get(timeout=self.timeout)
        except OSError:
            answer = None
        except queue.Empty:
            self.close()
            raise FollowerError(f"the follower process did not answer within {self.timeout:g} s") from None
        if answer is None:
            status = process.wait(timeout=self.timeout)
            self.close()
            raise FollowerError(f"the follower process ended with exit status {status}")
        return answer

    def _start(self) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, text=True, env={**os.environ})
        except OSError as error:
            raise FollowerError(f"cannot start the follower process {self.command}: {error}") from error
        answers: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_read, args=(process.stdout, answers), daemon=True).start()
        self._process, self._answers = process, answers
        return process

    def close(self) -> None:
        """End the process, if it runs."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()

    def __getstate__(self) -> dict[str, Any]:
        """A running process cannot travel; a copy starts its own."""
        return {"command": self.command, "timeout": self.timeout}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """See ``__getstate__``."""
        StrangerProcess.__init__(self, **state)


def _read(lines: Any, answers: queue.Queue[str | None]) -> None:
    """Hand over what a process writes; None at its end."""
    with suppress(ValueError, OSError):
        for line in lines:
            answers.put(line)
    answers.put(None)


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

"""Batches of running episodes, and batches of actions: what the vector environments are made of."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from stackelberg_games import checks
from stackelberg_games.arrays import BoolArray, FloatArray
from stackelberg_games.errors import InvalidActionError
from stackelberg_games.faces.episode import Actions
from stackelberg_games.numerics.randomness import Streams, check_seed, fresh_seed
from stackelberg_games.rules.rules import Rules

Floats = NDArray[np.float32]


class Rounds:
    """A batch of running episodes.

    Copy number i of N plays the episodes i, i + N, i + 2N, ... of a seed, each the very episode that
    ``rollout`` plays under that number.

    Args:
        game: any game.
        count: N, how many copies.

    Attributes:
        states: ``[N, ...]``.
        stage: stages played of each running episode, int ``[N]``.
        numbers: of the running episodes, uint64 ``[N]``.
    """

    def __init__(self, game: Rules, count: int) -> None:
        self.game, self.count = game, (count := checks.integer("num_envs", count, 1))
        checks.affordable(f"{count} copies", count * (4 + int(np.prod(game.observation_space.shape))))
        self.states: Any = None
        self.stage = np.zeros(count, dtype=np.int64)
        self.numbers = np.arange(count, dtype=np.uint64)
        self.seed = -1

    def reset(self, seed: int | None) -> None:
        """Begin new episodes: the first ones of a seed, or the next ones of the seed in use."""
        if seed is not None or self.seed < 0:
            self.seed = fresh_seed() if seed is None else check_seed(seed)
            self.numbers = np.arange(self.count, dtype=np.uint64)
        else:
            self.numbers = self.numbers + np.uint64(self.count)
        self.stage[:] = 0
        self.states = np.asarray(self.game.initial(Streams(self.seed, self.numbers)))

    def groups(self, playing: BoolArray | None = None) -> list[tuple[Any, Streams, int]]:
        """Rows that are at the same stage, their streams, and the stage; one group while all are in step.

        Args:
            playing: which rows, ``[N]``; all if not given.
        """
        first, every = int(self.stage[0]), playing is None or bool(playing.all())
        if every and (self.stage == first).all():
            return [(slice(None), Streams(self.seed, self.numbers), first)]
        chosen = np.ones(self.count, dtype=np.bool_) if playing is None else playing
        rows = [np.flatnonzero(chosen & (self.stage == stage)) for stage in np.unique(self.stage[chosen])]
        return [(row, Streams(self.seed, self.numbers[row]), int(self.stage[row[0]])) for row in rows]

    def step(
        self, leader: Any, follower: Any, playing: BoolArray | None = None
    ) -> tuple[FloatArray, FloatArray, BoolArray, BoolArray]:
        """Play a stage everywhere, or in the rows that are ``playing``, ``[N]``.

        Returns:
            Rewards of leader and follower, terminated, truncated; each ``[N]``, zeros where nothing is played.
        """
        rewards, terminated = np.zeros((2, self.count)), np.zeros(self.count, dtype=np.bool_)
        states = np.array(self.states)
        for rows, streams, stage in self.groups(playing):
            step = self.game.step(self.states[rows], leader[rows], follower[rows], streams, stage)
            states[rows], terminated[rows] = step.states, step.terminated
            rewards[0, rows], rewards[1, rows] = step.leader_rewards, step.follower_rewards
        self.states = states
        played = np.ones(self.count, dtype=np.bool_) if playing is None else playing
        self.stage += played
        truncated = ~terminated & played if self.game.horizon is not None else np.zeros_like(terminated)
        truncated = truncated & (self.stage == self.game.horizon)
        return rewards[0], rewards[1], terminated, truncated

    def restart(self, over: BoolArray) -> None:
        """Begin the next episode in the rows where one has ended."""
        if over.any():
            self.numbers = np.where(over, self.numbers + np.uint64(self.count), self.numbers)
            first = np.asarray(self.game.initial(Streams(self.seed, self.numbers[over])))
            self.states[over], self.stage[over] = first, 0

    def observe(self) -> Floats:
        """The states, ``[N, d]``."""
        return np.asarray(self.game.observe_batch(self.states), dtype=np.float32)

    def observe_leader(self) -> Floats:
        """What the leader observes of them, ``[N, d]``."""
        return np.asarray(self.game.observe_leader_batch(self.states), dtype=np.float32)


def rows_of(actions: Any, count: int) -> Any:
    """Actions as an array with so many rows; raise ``InvalidActionError`` where it has not."""
    try:
        array = np.asarray(actions)
    except (ValueError, TypeError, RuntimeError):  # ragged, or a tensor elsewhere
        array = np.empty(0)
    if array.ndim == 0 or len(array) != count or isinstance(actions, np.ma.MaskedArray):
        raise InvalidActionError(f"actions {checks.shown(actions)}: expected an array of {count} actions")
    return array


class Code:
    """One player's actions in a batch: checked, and encoded as vectors.

    Args:
        player: for messages.
        space: of one action.
    """

    def __init__(self, player: Any, space: gymnasium.Space[Any]) -> None:
        self.single = Actions(player, space)
        self.space = space
        self.width = len(self.single.low)

    def check(self, actions: Any, count: int) -> Any:
        """The actions of ``count`` copies as the game takes them.

        Raises:
            InvalidActionError: one is outside the space, or there are more or fewer.
        """
        array = rows_of(actions, count)
        if not isinstance(self.space, spaces.Discrete) or array.dtype.kind not in "iu":
            return np.stack([self.single.check(action) for action in array])
        wrong = (array < self.space.start) | (array >= self.space.start + self.space.n)
        if wrong.any() or array.ndim != 1:
            self.single.check(int(array[np.argmax(wrong)]) if array.ndim == 1 else array[0])
        return array.astype(np.int64)

    def encode(self, actions: Any, out: Floats) -> None:
        """Write the codes of checked actions into ``out``, zeros ``[N, width]``."""
        if isinstance(self.space, spaces.Discrete):
            out[np.arange(len(out)), actions - self.space.start] = 1.0
        elif isinstance(self.space, spaces.Box):
            out[...] = actions.reshape(len(out), -1)
        else:
            for row, action in zip(out, actions, strict=True):
                self.single.encode(action, row)

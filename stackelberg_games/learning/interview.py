"""What is played in an iteration, and the judge who is asked about it in a preference game.

In most games a leader is paid stage by stage, and an iteration is a batch of episodes. In a preference game the first
segments of two episodes are compared, and both episodes of a pair are paid minus the loss of its label under the leader's
reward, where their segments end. Who plays the pairs is for the leader to say:

    "on_policy"   both are the follower's
    "anchored"    the first is the follower's, the second that of a walker who draws every action alike
    "fixed"       both are the walker's

Every label is stored before the next pair is asked about, so that none that was bought is lost: a run that is taken up
again asks only about pairs that nobody has compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from gymnasium import spaces

from stackelberg_games import checks, files
from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.errors import CheckpointError, InvalidArgumentError, JudgeError, UnsupportedGameError
from stackelberg_games.exact.preference import Pairs
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.numerics.randomness import Lane, Streams, generator
from stackelberg_games.play.rollout import ResponsePolicy, TabularResponse, play
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.comparisons import Comparisons, Judged
from stackelberg_games.rules.lever import Ledger
from stackelberg_games.rules.trajectories import Trajectories, concatenate

LABELS = "labels.jsonl"
"""File of a run's folder with a label a line."""


@dataclass(frozen=True)
class Held:
    """What came of an iteration.

    Attributes:
        batch: the episodes that pay the leader.
        comparisons: what a judge said of them, in a preference game; else None.
        transitions: stages that were played for them.
    """

    batch: Trajectories
    comparisons: Comparisons | None
    transitions: int

    def reveal(self, ledger: Ledger) -> None:
        """Enter all stages that the leader gets to see."""
        ledger.reveal(self.batch)
        if self.comparisons is not None:
            ledger.reveal(self.comparisons.first)
            ledger.reveal(self.comparisons.second)


class Session:
    """Plays the episodes of an iteration.

    Args:
        game: the rules.
        seed: of the episodes.
        stages: after which they are cut; the game's own number if None.

    Attributes:
        asked: labels so far; None in games without a judge.
    """

    asked: int | None = None

    def __init__(self, game: Game, seed: int, stages: int | None = None) -> None:
        self.game, self.seed, self.stages = game, seed, stages

    def hold(self, commitment: Commitment, policy: ResponsePolicy, episodes: int, number: int) -> Held:
        """Play ``episodes`` of iteration ``number``."""
        batch = self._rollout(commitment, policy, self.seed, episodes, number * episodes)
        return Held(batch, None, batch.transitions)

    def _rollout(
        self, commitment: Commitment, policy: ResponsePolicy, seed: int, episodes: int, first: int
    ) -> Trajectories:
        stages = self.game.stages() if self.stages is None else self.stages
        return play(self.game, commitment, policy, stages, (seed, episodes, first))

    def again(self, commitment: Commitment, policy: ResponsePolicy, episodes: int, number: int) -> Trajectories:
        """A further batch of iteration ``number`` under the same random numbers."""
        return self._rollout(commitment, policy, self.seed, episodes, number * episodes)

    def keep(self, folder: Path) -> None:
        """Store labels in a folder, and take up those that are there."""

    def rehearsal(self) -> Session:
        """One that asks nobody."""
        return self

    def close(self) -> None:
        """End what is running, and close files."""


class Interview(Session):
    """Plays pairs in a preference game, and asks its judge.

    Args:
        game: the rules.
        seed: see ``Session``.
        stages: see ``Session``.
        pairs: who plays them.

    Raises:
        InvalidArgumentError: segments are to be cut short.
    """

    game: Any  # a game that is judged

    def __init__(self, game: Any, seed: int, stages: int | None, pairs: Pairs) -> None:
        super().__init__(game, seed, stages)
        if stages is not None and stages < game.segment:
            raise InvalidArgumentError(f"stages={stages!r}: segments of {game.name} have {game.segment} stages")
        self.pairs, self.asked, self.silent = pairs, 0, False
        self.walker: Any = TabularResponse.uniform(game) if isinstance(game, TabularGame) else Walker(game)
        self._answers: dict[int, tuple[str, float]] = {}
        self._file: IO[str] | None = None

    def hold(self, commitment: Commitment, policy: ResponsePolicy, episodes: int, number: int) -> Held:
        """Play pairs, ask, and pay.

        Raises:
            InvalidArgumentError: the episodes do not make pairs.
            JudgeError: the judge fails.
        """
        if episodes % 2:
            raise InvalidArgumentError(
                f"episodes={episodes}: pairs are compared in {self.game.name}; give an even number"
            )
        first, second = self._sides(commitment, policy, episodes // 2, number)
        random = generator(self.seed, 33, number)
        windows = [self._windows(side, random) for side in (first, second)]
        one, other = (_segment(side, where) for side, where in zip((first, second), windows, strict=True))
        label = np.array(list(self._labels(one, other, number * one.episodes)))
        gains = (side.follower_returns() for side in (one, other))  # under the reward that the leader chose
        gap = next(gains) - next(gains)
        paid = label * gap - np.logaddexp(0.0, gap)
        sides = [_paid(side, paid, where) for side, where in zip((first, second), windows, strict=True)]
        batch = sides[0] if self.pairs == "anchored" else _interleaved(*sides)
        starts = np.stack([where[:, 0] for where in windows], axis=1)
        told = Comparisons(_hidden(one), _hidden(other), label, starts)
        return Held(batch, told, first.transitions + second.transitions)

    def _windows(self, batch: Trajectories, random: np.random.Generator) -> IntArray:
        """Which stages are segments, those of one episode after those of another, ``[N W, H]``.

        Raises:
            InvalidArgumentError: an episode is shorter than a segment.
        """
        size = self.game.segment
        if batch.lengths.min() < size:
            raise InvalidArgumentError(
                f"an episode of {self.game.name} ended after {batch.lengths.min()} stages, and segments have {size}: sums over "
                "unequal lengths do not compare; give a shorter segment"
            )
        first = np.zeros((batch.episodes, self.game.windows), dtype=np.int64)
        if self.game.anywhere:
            first = random.integers(0, batch.lengths[:, None] - size + 1, size=first.shape)
        return np.asarray(first.reshape(-1, 1) + np.arange(size))

    def _sides(
        self, commitment: Commitment, policy: ResponsePolicy, count: int, number: int
    ) -> tuple[Trajectories, Trajectories]:
        """The first and the second segments of the pairs of an iteration."""
        walking = int(generator(self.seed, 31).integers(2**62))
        played = {"on_policy": 2, "anchored": 1, "fixed": 0}[self.pairs] * count
        walked = 2 * count - played
        batches = []
        if played:
            batches.append(self._rollout(commitment, policy, self.seed, played, number * played))
        if walked:
            batches.append(self._rollout(commitment, self.walker, walking, walked, number * walked))
        return (batches[0], batches[1]) if len(batches) > 1 else (batches[0][0::2], batches[0][1::2])

    def _labels(self, first: Trajectories, second: Trajectories, start: int) -> Iterator[float]:
        """Labels of pairs, those that are stored and those that the judge gives now."""
        count = first.episodes
        if self.silent:
            yield from [0.5] * count
            return
        prints = [_print(first, second, index) for index in range(count)]
        known = [self._answers.get(start + index) for index in range(count)]
        number = next((index for index, answer in enumerate(known) if answer is None), count)
        for index, answer in enumerate(known[:number]):
            assert answer is not None
            if answer[0] != prints[index]:
                raise CheckpointError(
                    f"label {start + index} in {LABELS} is of another pair of segments; choose another directory"
                )
            self.asked = (self.asked or 0) + 1
            yield answer[1]
        if number == count:
            return
        left = slice(number, None)
        truth = self.game.true_rewards(first).sum(axis=1) - self.game.true_rewards(second).sum(axis=1)
        draws = generator(self.seed, 32, start).random(count)
        answers = iter(self.game.judge.compare(_hidden(first)[left], _hidden(second)[left], truth[left], draws[left]))
        for index in range(number, count):
            label = _checked(next(answers, None), start + index)
            self._store(start + index, prints[index], label)
            self.asked = (self.asked or 0) + 1
            yield label

    def _store(self, number: int, fingerprint: str, label: float) -> None:
        if self._file is not None:
            try:
                self._file.write(_line(number, fingerprint, label))
                self._file.flush()
            except OSError as error:
                with suppress(OSError):  # it tries to write once more
                    self._file.close()
                self._file = None
                raise CheckpointError(f"cannot store label {number}: {error.strerror or error}; it is lost") from error

    def keep(self, folder: Path) -> None:
        """See ``Session.keep``; a line that was not finished counts for nothing.

        Raises:
            CheckpointError: the file cannot be read or written.
        """
        path = folder / LABELS
        try:
            lines = files.read_text(path, CheckpointError).splitlines(keepends=True) if path.exists() else []
            if lines and not lines[-1].endswith("\n"):
                lines.pop()
                files.write_atomically(path, "".join(lines).encode())
            self._answers = dict(_read(line, path) for line in lines)
            self._file = path.open("a", encoding="ascii")
        except OSError as error:
            raise CheckpointError(f"cannot keep labels in {path}: {error.strerror or error}") from error

    def rehearsal(self) -> Session:
        """One that asks nobody: every label is one half, and none is stored."""
        twin = Interview(self.game, self.seed, self.stages, self.pairs)
        twin.silent = True
        return twin

    def close(self) -> None:
        """See ``Session.close``."""
        self.game.judge.close()
        if self._file is not None:
            self._file.close()
            self._file = None


@dataclass(frozen=True)
class Walker:
    """A response that draws every reply alike, whatever the game shows.

    Args:
        game: whose follower replies in a Discrete space or a bounded Box.

    Raises:
        UnsupportedGameError: there is no such thing as alike.
    """

    game: Any

    def __post_init__(self) -> None:
        space = self.game.follower_action_space
        if not isinstance(space, spaces.Discrete) and not (isinstance(space, spaces.Box) and space.is_bounded("both")):
            raise UnsupportedGameError(
                f"nobody walks at random among replies in {space}; on-policy pairs need no walker"
            )

    def reply(self, observations: Any, streams: Streams, stage: int, masks: Any = None) -> Any:
        """Replies to observations ``[N, ...]``."""
        space = self.game.follower_action_space
        if isinstance(space, spaces.Discrete):
            draws = streams.uniform(Lane.FOLLOWER, stage)[:, 0]
            return (draws * space.n).astype(np.int64) + space.start
        shape = (len(streams.episodes), *space.shape)
        rows = [streams.uniform(Lane.FOLLOWER, stage, int(np.prod(space.shape)))]
        return (space.low + (space.high - space.low) * rows[0].reshape(shape)).astype(space.dtype)


def session_of(game: Game, seed: int, stages: int | None, pairs: Pairs) -> Session:
    """Who plays the iterations of a game."""
    if isinstance(game, Judged):
        return Interview(game, seed, stages, pairs)
    return Session(game, seed, stages)


def _checked(label: Any, number: int) -> float:
    """A judge's answer; raise ``JudgeError`` unless it is a number in [0, 1]."""
    if label is None:
        raise JudgeError(f"the judge did not answer about pair {number}")
    if not checks.is_number(label) or not 0 <= label <= 1:
        raise JudgeError(f"the judge answered {checks.shown(label)} about pair {number}: expected a number in [0, 1]")
    return float(label)


def _read(line: str, path: Path) -> tuple[int, tuple[str, float]]:
    facts = files.parse_json(line, str(path), CheckpointError)
    try:
        number = checks.integer("pair", facts["pair"], 0)
        segments, label = checks.text("segments", facts["segments"]), checks.number("label", facts["label"], 0, 1)
    except (KeyError, TypeError, InvalidArgumentError) as error:
        raise CheckpointError(f"{path} was altered: {line.strip()!r} is no label ({error})") from error
    if line != _line(number, segments, label):
        raise CheckpointError(f"{path} was altered: label {number} is not the one that was given")
    return number, (segments, label)


def _line(number: int, segments: str, label: float) -> str:
    """A label as it is stored, with a digest of the rest."""
    facts = {"pair": number, "segments": segments, "label": label}
    return json.dumps({**facts, "digest": hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]}) + "\n"


def _print(first: Trajectories, second: Trajectories, index: int) -> str:
    """What a pair is told again by."""
    digest = hashlib.sha256()
    for batch in (first, second):
        digest.update(np.ascontiguousarray(batch.states[index]).tobytes())
        digest.update(np.ascontiguousarray(batch.follower_actions[index]).tobytes())
    return digest.hexdigest()[:16]


def _hidden(batch: Trajectories) -> Trajectories:
    """A batch without any reward."""
    return replace(batch, leader_rewards=np.zeros_like(batch.leader_rewards), follower_rewards=None)


def _segment(batch: Trajectories, where: IntArray) -> Trajectories:
    """Some stages of every episode, ``where`` ``[N W, H]``."""
    row, after = _rows(batch, where), np.column_stack([where, where[:, -1] + 1])
    rewards = batch.follower_rewards
    return Trajectories(
        batch.states[row, after],
        batch.leader_actions[row, where],
        batch.follower_actions[row, where],
        batch.leader_rewards[row, where],
        None if rewards is None else rewards[row, where],
        np.full(len(where), where.shape[1]),
        batch.terminated[row[:, 0]] & (after[:, -1] == batch.lengths[row[:, 0]]),
    )


def _paid(batch: Trajectories, paid: FloatArray, where: IntArray) -> Trajectories:
    """A batch that pays the leader where its segments end; an episode the mean over its segments."""
    rewards = np.zeros_like(batch.leader_rewards)
    np.add.at(rewards, (_rows(batch, where)[:, 0], where[:, -1]), paid * batch.episodes / len(where))
    return replace(batch, leader_rewards=rewards)


def _rows(batch: Trajectories, where: IntArray) -> IntArray:
    """The episodes of segments, ``[N W, 1]``."""
    return np.repeat(np.arange(batch.episodes), len(where) // batch.episodes)[:, None]


def _interleaved(first: Trajectories, second: Trajectories) -> Trajectories:
    """Both sides of all pairs, episodes 2k and 2k + 1 those of pair k."""
    order = np.arange(2 * first.episodes).reshape(2, -1).T.ravel()
    return concatenate((first, second)).taken(order)

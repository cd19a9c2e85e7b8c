"""Pairs of segments that a judge has compared, and what a judge is.

A leader that chooses a reward does not see what it should have been. It may ask which of two segments of play is the
better one, and is handed the answers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.rules.trajectories import Trajectories


@dataclass(frozen=True)
class Comparisons:
    """K pairs of segments of equal length, and a judge's answers.

    Examples:
        >>> import numpy as np
        >>> import stackelberg_games as sg
        >>> from stackelberg_games.rules.comparisons import Comparisons
        >>> game = sg.make("discrete_toy-v0", horizon=5)
        >>> uniform = sg.TabularPolicy(game), sg.TabularResponse.uniform(game)
        >>> first, second = (sg.rollout(game, *uniform, episodes=3, seed=seed) for seed in (0, 1))
        >>> labels = np.array([1.0, 0.0, 0.5])  # the first, the second, neither
        >>> pairs = Comparisons(
        ...     first.without_follower_rewards(), second.without_follower_rewards(), labels
        ... )
        >>> pairs.first.stages
        5

    Attributes:
        first, second: the segments, K episodes each; whoever is handed them sees no reward that the judge knows.
        label: how strongly the first is preferred, ``[K]``: 1 the first, 0 the second, 0.5 neither, or a probability.
        starts: the stage of its episode at which each segment begins, ``[K, 2]``; None where all are first stages.

    Raises:
        InvalidArgumentError: there is no pair, the two sides do not match, segments differ in length, a label lies
            outside [0, 1], or a start is no stage.
    """

    first: Trajectories
    second: Trajectories
    label: FloatArray
    starts: IntArray | None = None

    def __post_init__(self) -> None:
        label = check_labels(self.label, self.first.episodes)
        object.__setattr__(self, "label", label)
        check_pairs(self.first, self.second)
        if self.starts is not None:
            object.__setattr__(self, "starts", _check_starts(self.starts, self.first.episodes))

    def __len__(self) -> int:
        """How many pairs."""
        return len(self.label)

    def places(self, episodes: int) -> tuple[IntArray, IntArray]:
        """Where the segments are in a batch that holds both sides: episodes 2i and 2i + 1, cut into as many pairs for every i.

        Args:
            episodes: of the batch.

        Returns:
            Episodes ``[2K, 1]`` and stages ``[2K, H]``; segments 2k and 2k + 1 are pair k.

        Raises:
            InvalidArgumentError: so many episodes do not make so many pairs.
        """
        pairs, size = len(self), self.first.stages
        if episodes < 2 or episodes % 2 or pairs % (episodes // 2):
            raise InvalidArgumentError(
                f"{pairs} pairs of segments of {episodes} episodes: expected as many of every two"
            )
        both = np.arange(pairs)[:, None] // (2 * pairs // episodes) * 2 + np.arange(2)
        starts = np.zeros((pairs, 2), dtype=np.int64) if self.starts is None else self.starts
        return both.reshape(-1, 1), starts.reshape(-1, 1) + np.arange(size)


def check_pairs(first: Trajectories, second: Trajectories) -> None:
    """Raise ``InvalidArgumentError`` unless two batches hold as many segments, all of the same length."""
    if first.episodes != second.episodes:
        raise InvalidArgumentError(
            f"{first.episodes} first and {second.episodes} second segments: expected as many of either"
        )
    lengths = np.unique(np.concatenate([first.lengths, second.lengths]))
    if len(lengths) > 1:
        raise InvalidArgumentError(
            f"segments of {lengths[0]} and of {lengths[-1]} stages are compared: a sum over more stages is larger for "
            "that alone; cut them to equal length"
        )


def _check_starts(starts: Any, count: int) -> IntArray:
    """Stages at which segments begin, int64 ``[K, 2]``."""
    found = checks.array("starts", starts, (count, 2))
    if (found < 0).any() or (found % 1).any():
        raise InvalidArgumentError(f"starts={checks.shown(starts)}: expected integers >= 0, a stage for each segment")
    return found.astype(np.int64)


def check_labels(labels: Any, count: int) -> FloatArray:
    """Labels as float64 ``[K]``.

    Raises:
        InvalidArgumentError: there are none, not one for each pair, or one lies outside [0, 1].
    """
    found = checks.array("labels", labels, (count,))
    if not count:
        raise InvalidArgumentError("no pair was compared: expected one at least")
    wrong = np.flatnonzero((found < 0) | (found > 1))
    if wrong.size:
        raise InvalidArgumentError(f"labels[{wrong[0]}] is {found[wrong[0]]:g}: expected numbers in [0, 1]")
    return found


class Judge(ABC):
    """Somebody who says which of two segments is the better one.

    Examples:
        >>> from dataclasses import dataclass
        >>> import numpy as np
        >>> import stackelberg_games as sg
        >>> from stackelberg_games.rules.comparisons import Judge
        >>> @dataclass(frozen=True)
        ... class Sure(Judge):
        ...     def chance(self, difference):
        ...         return 0.5 + 0.5 * np.sign(difference)
        ...
        ...     def compare(self, first, second, difference, draws):
        ...         return self.chance(difference)
        >>> game = sg.make("preference_grid-v0", judge=Sure())
        >>> run = sg.train(
        ...     game, "drlhf", "soft_value_iteration", iterations=2, episodes=4, progress=False
        ... )
        >>> run.history[-1]["labels"]
        4

    Attributes:
        runs: names of settings that name a program to run; a file may give them only where its reader allows it.
    """

    runs: ClassVar[tuple[str, ...]] = ()

    def chance(self, difference: Any) -> Any:
        """Probability that the first of two segments is preferred, by how much more it is truly worth.

        Args:
            difference: of the true returns, first less second; an array.

        Returns:
            An array of the same shape; None where the answers follow no known rule.
        """
        return None

    @abstractmethod
    def compare(
        self, first: Trajectories, second: Trajectories, difference: FloatArray, draws: FloatArray
    ) -> Iterable[float]:
        """Labels of pairs, one by one; each is kept before the next one is asked for.

        Args:
            first: segments, K episodes, without rewards.
            second: those they are compared with.
            difference: of their true returns, ``[K]``; for judges that stand in for somebody who knows.
            draws: of the uniform distribution over [0, 1), one for each pair, ``[K]``; for answers by chance.

        Returns:
            K numbers in [0, 1]; see ``Comparisons``.

        Raises:
            JudgeError: it died, did not answer in time, or answered nonsense.
        """

    def close(self) -> None:  # noqa: B027 (most have nothing to end)
        """End whatever it keeps running; it may be asked again. Never raises."""


class Judged:
    """A game whose leader is paid for pairs of segments that a judge compares.

    Attributes:
        judge: who compares.
        segment: stages of a segment.
        anywhere: whether segments are drawn from all over an episode, and not its first stages.
        windows: how many segments are drawn from each episode.
    """

    judge: Judge
    segment: int
    anywhere: bool = False
    windows: int = 1

    def true_rewards(self, batch: Trajectories) -> FloatArray:
        """What stages are truly worth, ``[N, T]``; for judges and for the record, never for a leader."""
        raise NotImplementedError

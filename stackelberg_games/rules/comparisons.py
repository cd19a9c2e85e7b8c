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
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.rules.trajectories import Trajectories


@dataclass(frozen=True)
class Comparisons:
    """K pairs of segments of equal length, and a judge's answers.

    Attributes:
        first, second: the segments, K episodes each; whoever is handed them sees no reward that the judge knows.
        label: how strongly the first is preferred, ``[K]``: 1 the first, 0 the second, 0.5 neither, or a probability.

    Raises:
        InvalidArgumentError: there is no pair, the two sides do not match, segments differ in length, or a label lies
            outside [0, 1].
    """

    first: Trajectories
    second: Trajectories
    label: FloatArray

    def __post_init__(self) -> None:
        label = check_labels(self.label, self.first.episodes)
        object.__setattr__(self, "label", label)
        check_pairs(self.first, self.second)

    def __len__(self) -> int:
        """How many pairs."""
        return len(self.label)


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
    """

    judge: Judge
    segment: int
    anywhere: bool = False

    def true_rewards(self, batch: Trajectories) -> FloatArray:
        """What stages are truly worth, ``[N, T]``; for judges and for the record, never for a leader."""
        raise NotImplementedError

"""Judges by name, and those that stand in for a person: they know what segments are worth, and answer by a rule.

Examples:
    >>> from stackelberg_games.learning.judges import judge_of
    >>> judge_of({"kind": "bradley_terry", "sharpness": 2.0, "error": 0.1}).chance(
    ...     [-1.0, 0.0, 1.0]
    ... ).round(3)
    array([0.195, 0.5  , 0.805])
    >>> judge_of("indifferent").chance([-1.0, 0.0, 1.0])
    array([0.5, 0.5, 0.5])
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.learning.asked_judges import Called, Person, Process
from stackelberg_games.rules.comparisons import Judge
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.settings import of_kind

CLIP = 50.0
"""Differences count up to here, as in published code."""


@dataclass(frozen=True)
class BradleyTerry(Judge):
    """Prefers the first of two segments with probability sigmoid(sharpness * (R*(d1) - R*(d2))).

    Args:
        sharpness: k >= 0; 0 for a coin.
        error: probability that the answer is the wrong way round, in [0, 0.5].

    Raises:
        InvalidArgumentError: a number is out of range.
    """

    sharpness: float = 1.0
    error: float = 0.0

    def __post_init__(self) -> None:
        checks.number("sharpness", self.sharpness, 0)
        checks.number("error", self.error, 0, 0.5)

    def chance(self, difference: Any) -> FloatArray:
        """See ``Judge.chance``."""
        clipped = self.sharpness * np.clip(difference, -CLIP, CLIP)
        sure = 0.5 * (1 + np.tanh(clipped / 2))
        return np.asarray(self.error + (1 - 2 * self.error) * sure)

    def compare(
        self, first: Trajectories, second: Trajectories, difference: FloatArray, draws: FloatArray
    ) -> Iterable[float]:
        """See ``Judge.compare``."""
        return np.asarray(draws < self.chance(difference), dtype=np.float64)


@dataclass(frozen=True)
class Indifferent(Judge):
    """Prefers neither of two segments, whatever they are."""

    def chance(self, difference: Any) -> FloatArray:
        """One half."""
        return np.full(np.shape(difference), 0.5)

    def compare(
        self, first: Trajectories, second: Trajectories, difference: FloatArray, draws: FloatArray
    ) -> Iterable[float]:
        """One half."""
        return self.chance(difference)


KINDS: Mapping[str, type[Judge]] = {
    "bradley_terry": BradleyTerry,
    "indifferent": Indifferent,
    "person": Person,
    "process": Process,
}


def judge_of(given: Any) -> Judge:
    """A judge as users write it: an object, a function, the name of a kind, or a dict with ``kind`` and its settings.

    Raises:
        InvalidArgumentError: it is nothing of the kind.
    """
    if callable(given) and not isinstance(given, Judge):
        return Called(given)
    more = "a function of two segments, or an object such as BradleyTerry(sharpness=2.0)"
    return of_kind("judge", given, KINDS, Judge, more)  # type: ignore[type-abstract]

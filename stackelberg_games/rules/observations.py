"""What a leader sees of the states of a finite game, where it does not see all of them apart."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from stackelberg_games import checks
from stackelberg_games.arrays import BoolArray, FloatArray, IntArray
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError

ONE_HOT = 4096
"""States and observations that are shown to players as one-hot vectors, at most; of more they see the number."""

ALIKE = 1e-12
"""Probabilities of an action that differ by no more are those of one decision."""


class Observations:
    """A map from states to what the leader observes; a commitment decides alike wherever it observes alike.

    Args:
        numbers: of the observation in every state, integers ``[S]``, from 0 on and without gaps.
        states: S.

    Attributes:
        numbers: ``[S]``.
        count: of different observations, O.
        first: the first state with each observation, ``[O]``.

    Raises:
        InvalidGameError: there is not one for every state, or the numbers are not 0, 1, ..., O - 1.
    """

    def __init__(self, numbers: Any, states: int) -> None:
        given = checks.array("observations", numbers, 1, error=InvalidGameError)
        if len(given) != states:
            raise InvalidGameError(f"observations has {len(given)} entries: expected one for each of {states} states")
        if (given != np.floor(given)).any() or given.min() < 0 or given.max() >= states:
            raise InvalidGameError(f"observations {checks.shown(numbers)}: expected integers from 0 on")
        self.numbers: IntArray = given.astype(np.int64)
        self.numbers.flags.writeable = False
        found, self.first = np.unique(self.numbers, return_index=True)
        self.count = len(found)
        if found[-1] != self.count - 1:
            missing = np.flatnonzero(np.bincount(self.numbers) == 0)[0]
            raise InvalidGameError(
                f"observations are numbered up to {found[-1]}, and no state shows number {missing}: expected 0, 1, ..., "
                "without gaps"
            )

    @property
    def space(self) -> gymnasium.spaces.Box:
        """One-hot observations, Box(0, 1, [O]); their number where there are more than ``ONE_HOT``."""
        return shown_space(self.count)

    def shown(self, state: Any) -> NDArray[np.float32]:
        """What the leader observes in a state."""
        return shown(self.numbers[state], self.count)

    def shown_batch(self, states: Any) -> NDArray[np.float32]:
        """What it observes in each of a batch of states, ``[N, d]``."""
        return shown_batch(self.numbers[states], self.count)

    def alike(self, rows: FloatArray) -> bool:
        """Whether rows ``[S, A]`` of states with one observation are the same, up to rounding."""
        return not self._apart(rows).any()

    def require_alike(self, what: str, rows: FloatArray) -> None:
        """Raise ``InvalidArgumentError`` unless rows ``[S, A]`` are ``alike``."""
        apart = self._apart(rows)
        if apart.any():
            state = int(apart.argmax())
            raise InvalidArgumentError(
                f"{what} are {checks.shown(rows[state].tolist())} in state {state} and not those of state "
                f"{self.first[self.numbers[state]]}, which the leader does not tell apart; TabularPolicy(game) ties them"
            )

    def _apart(self, rows: FloatArray) -> BoolArray:
        return np.asarray((np.abs(rows - rows[self.first[self.numbers]]) > ALIKE).any(axis=1))

    def __eq__(self, other: object) -> bool:
        """Whether it is the same map."""
        return isinstance(other, Observations) and np.array_equal(self.numbers, other.numbers)

    def __hash__(self) -> int:
        return hash(self.numbers.tobytes())

    def __repr__(self) -> str:
        return f"Observations({self.count} of {len(self.numbers)} states)"


def shown_space(count: int) -> gymnasium.spaces.Box:
    """The space of one of ``count`` numbers as players are shown it."""
    if count > ONE_HOT:
        return gymnasium.spaces.Box(0.0, float(count - 1), (1,), np.float32)
    return gymnasium.spaces.Box(0.0, 1.0, (count,), np.float32)


def shown(number: Any, count: int) -> NDArray[np.float32]:
    """One of ``count`` numbers as players are shown it."""
    if count > ONE_HOT:
        return np.array([number], dtype=np.float32)
    vector = np.zeros(count, dtype=np.float32)
    vector[number] = 1.0
    return vector


def shown_batch(numbers: Any, count: int) -> NDArray[np.float32]:
    """Several of them, ``[N, d]``."""
    if count > ONE_HOT:
        return np.asarray(numbers, dtype=np.float32)[:, None]
    vectors = np.zeros((len(numbers), count), dtype=np.float32)
    vectors[np.arange(len(numbers)), numbers] = 1.0
    return vectors

"""Typed errors. Each message names the value that was wrong and says what to do about it.

Examples:
    >>> import stackelberg_games as sg
    >>> from stackelberg_games.errors import StackelbergError
    >>> try:
    ...     sg.make("discret_toy-v0")
    ... except StackelbergError as error:
    ...     print(type(error).__name__, error, sep=": ")
    UnknownIdError: no game is registered as 'discret_toy-v0'; did you mean 'discrete_toy-v0'?
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TypeVar


class StackelbergError(Exception):
    """Base of every error this package raises on purpose."""


_Told = TypeVar("_Told", bound=StackelbergError)


def retold(error: _Told, text: str) -> _Told:
    """An error of the same class, with the same attributes, that says something else; whatever its class is made from."""
    told = type(error).__new__(type(error), text)
    vars(told).update(vars(error))
    return told


class InvalidGameError(StackelbergError, ValueError):
    """The rules of a game are inconsistent: a shape, a probability, a discount, a reward."""


class InvalidArgumentError(StackelbergError, ValueError):
    """An argument is outside its range or of the wrong shape."""


class InvalidActionError(StackelbergError, ValueError):
    """An action lies outside the action space of the player who submitted it."""


class UnknownIdError(StackelbergError, LookupError):
    """No game, leader or follower is registered under an id."""

    def __init__(self, kind: str, wrong_id: str, known: Iterable[str]) -> None:
        self.kind, self.wrong_id, self.known = kind, wrong_id, tuple(sorted(known))
        close = difflib.get_close_matches(wrong_id, self.known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known ids: {', '.join(self.known)}"
        super().__init__(f"no {kind} is registered as {wrong_id!r}; {hint}")

    def __reduce__(self) -> tuple[type[UnknownIdError], tuple[str, str, tuple[str, ...]]]:
        return (UnknownIdError, (self.kind, self.wrong_id, self.known))


class RegistrationError(StackelbergError, ImportError):
    """An entry point names a module or a factory that cannot be imported, or a factory made something else."""


class InformationError(StackelbergError, PermissionError):
    """A leader asked for more than its information class grants."""


class CheckpointError(StackelbergError):
    """A stored run is missing, truncated, altered, or belongs to other settings."""


class UnsupportedGameError(StackelbergError):
    """An algorithm was given a game outside the class it is defined for."""


class SolverError(StackelbergError, ArithmeticError):
    """A solver did not reach its tolerance."""


class PrecisionError(SolverError):
    """Double precision cannot tell the answer: numbers overflow, or their rounding decides it."""


class MatchTimeoutError(StackelbergError, TimeoutError):
    """A match of a tournament took longer than it may."""


class StoreError(StackelbergError):
    """A store of results cannot be opened, read or written, or another run is writing to it."""


class ConformanceError(StackelbergError, AssertionError):
    """A game breaks a rule that players and learners rely on.

    Args:
        problem: what was seen.
        remedy: how to mend it.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__(f"{problem}; {remedy}" if remedy else problem)

    def __reduce__(self) -> tuple[type[ConformanceError], tuple[str, str]]:
        return (ConformanceError, (self.problem, self.remedy))


class MissingExtraError(StackelbergError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs {package!r}, which is not installed; run: pip install 'stackelberg-games[{extra}]'"
        )


class JudgeError(StackelbergError, RuntimeError):
    """A judge died, did not answer in time, or answered something that is no preference."""


class FollowerError(StackelbergError, RuntimeError):
    """A foreign follower died, hung, or answered something that is not an action."""

"""Judges that are asked: a function, a person at a terminal, a program that reads and writes lines of JSON.

They see the states and actions of two segments and no reward. A program reads for each pair

    {"first": {"states": [...], "actions": [...]}, "second": {"states": [...], "actions": [...]}}

and answers ``{"preference": p}`` before it is asked about the next one: 1 for the first, 0 for the second, 0.5 for neither, or
how likely the first is the better one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from stackelberg_games import checks
from stackelberg_games.adapters.stranger_process import LineProgram, check_platform
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError, JudgeError
from stackelberg_games.files import parse_json
from stackelberg_games.rules.comparisons import Judge
from stackelberg_games.rules.trajectories import Trajectories

Segment = dict[str, Any]
"""``states`` ``[H + 1, ...]`` and ``actions`` ``[H, ...]`` of a segment, as arrays."""

ANSWERS = {"1": 1.0, "2": 0.0, "=": 0.5}


def segment(batch: Trajectories, index: int) -> Segment:
    """One episode as judges see it."""
    length = int(batch.lengths[index])
    return {"states": batch.states[index, : length + 1], "actions": batch.follower_actions[index, :length]}


def pairs(first: Trajectories, second: Trajectories) -> Iterator[tuple[Segment, Segment]]:
    """The pairs of two batches, one by one."""
    for index in range(first.episodes):
        yield segment(first, index), segment(second, index)


def name_of(function: Callable[..., Any]) -> str:
    """What a function is called."""
    return str(getattr(function, "__qualname__", type(function).__qualname__))


@dataclass(frozen=True, repr=False)
class Called(Judge):
    """A function that compares two segments.

    Args:
        function: from two segments, dicts with the arrays ``states`` ``[H + 1, ...]`` and ``actions`` ``[H, ...]``, to how
            strongly the first is preferred, in [0, 1].

    Raises:
        InvalidArgumentError: it is none.
    """

    function: Callable[[Segment, Segment], float]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InvalidArgumentError(f"function={checks.shown(self.function)}: expected a function of two segments")

    def __repr__(self) -> str:
        """Without an address, so that runs of the same judge are the same runs."""
        return f"Called({name_of(self.function)})"

    def compare(
        self, first: Trajectories, second: Trajectories, difference: FloatArray, draws: FloatArray
    ) -> Iterator[float]:
        """See ``Judge.compare``."""
        for pair in pairs(first, second):
            try:
                answer = self.function(*pair)
            except Exception as error:  # somebody else's code
                raise JudgeError(f"the judge raised {type(error).__name__}: {error}") from error
            yield answer


@dataclass(frozen=True, repr=False)
class Person(Judge):
    """Somebody at a terminal, who types 1, 2 or = for each pair.

    Args:
        show: from a segment to the text that is shown of it; its states and actions if not given.

    Raises:
        InvalidArgumentError: ``show`` is no function.
    """

    show: Callable[[Segment], str] | None = None

    def __post_init__(self) -> None:
        if not (self.show is None or callable(self.show)):
            raise InvalidArgumentError(f"show={checks.shown(self.show)}: expected a function of a segment")

    def __repr__(self) -> str:
        """Without an address, see ``Called``."""
        return "Person()" if self.show is None else f"Person({name_of(self.show)})"

    def compare(
        self, first: Trajectories, second: Trajectories, difference: FloatArray, draws: FloatArray
    ) -> Iterator[float]:
        """See ``Judge.compare``."""
        show = plain if self.show is None else self.show
        for one, other in pairs(first, second):
            print(f"\n1: {show(one)}\n2: {show(other)}", flush=True)
            yield self._typed()

    @staticmethod
    def _typed() -> float:
        while True:
            print("the better one, 1 or 2, or = for neither: ", end="", flush=True)
            line = sys.stdin.readline()
            if not line:
                raise JudgeError(
                    "the person at the terminal has left; the labels so far are kept where a run has a folder"
                )
            if line.strip() in ANSWERS:
                return ANSWERS[line.strip()]


def plain(shown: Segment) -> str:
    """The states and actions of a segment in the order in which they came."""
    steps = [f"{state} -{action}->" for state, action in zip(shown["states"], shown["actions"], strict=False)]
    return " ".join([*map(str, steps), str(shown["states"][-1])])


@dataclass(frozen=True)
class Process(Judge):
    """A program that compares; see the module's text. It is started on first use.

    Args:
        command: program and arguments.
        timeout: seconds in which each answer must be there.

    Raises:
        InvalidArgumentError: there is no command, or the timeout is not positive.
        UnsupportedGameError: the platform has no process groups.
    """

    command: Sequence[str]
    timeout: float = 30.0
    _running: list[LineProgram] = field(default_factory=list, repr=False, compare=False)

    runs: ClassVar[tuple[str, ...]] = ("command",)

    def __post_init__(self) -> None:
        check_platform("judge", "give a judge that is a function")
        if isinstance(self.command, str) or not self.command or not all(isinstance(part, str) for part in self.command):
            raise InvalidArgumentError(f"command={checks.shown(self.command)}: expected a program and its arguments")
        checks.number("timeout", self.timeout, above=0)

    def compare(
        self, first: Trajectories, second: Trajectories, difference: FloatArray, draws: FloatArray
    ) -> Iterator[float]:
        """See ``Judge.compare``."""
        for one, other in pairs(first, second):
            line = json.dumps({"first": one, "second": other}, default=lambda value: np.asarray(value).tolist())
            if not self._running:
                self._running.append(LineProgram(self.command, "judge", JudgeError))
            try:
                yield _preference(self._running[0].ask(line.encode() + b"\n", self.timeout))
            except JudgeError:
                self.close()
                raise

    def close(self) -> None:
        """End the program and all of its group, if it runs."""
        while self._running:
            self._running.pop().end()

    def __getstate__(self) -> dict[str, Any]:
        """A running program cannot travel; a copy starts its own."""
        return {"command": self.command, "timeout": self.timeout, "_running": []}


def _preference(answer: bytes) -> Any:
    """What an answer says; whether that is a preference is looked at by whoever asked."""
    refusal = f'the judge process answered {checks.shown(answer)}: expected {{"preference": p}} with p in [0, 1]'
    try:
        facts = parse_json(answer, "its answer", JudgeError)
    except JudgeError as error:
        raise JudgeError(refusal) from error
    if not isinstance(facts, dict) or not checks.is_number(facts.get("preference")):
        raise JudgeError(refusal)
    return facts["preference"]

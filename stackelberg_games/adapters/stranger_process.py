"""A stranger that is a program: lines of JSON over its standard streams, every wait bounded, nothing left behind.

For each turn the program reads

    {"observation": [...], "reward": 0.0, "termination": false, "truncation": false}

and answers ``{"action": ...}``; to a line with ``termination`` or ``truncation`` it answers
``{"action": null}``. It answers each line once, and before the next one is written.

The program and what it starts are one process group, which ends with the training. A guard sees to it where
this process dies first: a shell in the same group that waits for the end of its own input, which no death of
this process can keep open.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any

import numpy as np

from stackelberg_games.errors import FollowerError, StackelbergError, UnsupportedGameError
from stackelberg_games.files import parse_json

MAX_LINE = 2**20
"""Bytes of the longest answer."""
_CHUNK, _LONGEST_WAIT, _REAPING = 2**16, 3600.0, 0.5
_GUARD = ("/bin/sh", "-c", "trap '' HUP INT TERM; read -r nothing; kill -KILL 0")


def check_platform(who: str, instead: str) -> None:
    """Raise ``UnsupportedGameError`` where a program and all that it starts cannot be ended: on Windows."""
    if sys.platform == "win32":
        raise UnsupportedGameError(
            f"a {who}'s `command` needs POSIX process groups, which Windows does not have; {instead}"
        )


class StrangerProcess:
    """A stranger in a process of its own; started on first use, ended by ``close``, or when nothing refers to it.

    Args:
        command: program and arguments.
        timeout: seconds in which each answer must be there.

    Raises:
        UnsupportedGameError: the platform has no process groups.
    """

    def __init__(self, command: Sequence[str], timeout: float = 30.0) -> None:
        check_platform("follower", "give `stranger`, a callable")
        self.command, self.timeout = list(command), timeout
        self._program: LineProgram | None = None

    def __call__(
        self, observation: Any, reward: float, termination: bool, truncation: bool, info: dict[str, Any]
    ) -> Any:
        """Ask the program.

        Raises:
            FollowerError: it cannot be started, has died, does not answer in time, answers nonsense, or
                something that it was not asked.
        """
        turn = {"observation": observation, "reward": reward, "termination": termination, "truncation": truncation}
        line = json.dumps(turn, default=lambda value: np.asarray(value).tolist())
        if self._program is None:
            self._program = LineProgram(self.command)
        try:
            answer = self._program.ask(line.encode() + b"\n", self.timeout)
            return _action(answer, over=termination or truncation)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the program and all of its group, if it runs."""
        program, self._program = self._program, None
        if program is not None:
            program.end()

    def __getstate__(self) -> dict[str, Any]:
        """A running program cannot travel; a copy starts its own."""
        return {"command": self.command, "timeout": self.timeout}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """See ``__getstate__``."""
        StrangerProcess.__init__(self, **state)


class LineProgram:
    """A running program, the guard of its group, and what it has written.

    Args:
        command: program and arguments.
        who: names it in messages.
        kind: what to raise where it fails.

    Raises:
        FollowerError: it cannot be started; ``kind`` names another class.
    """

    def __init__(
        self, command: Sequence[str], who: str = "follower", kind: type[StackelbergError] = FollowerError
    ) -> None:
        self.who, self.error = who, kind
        pipe, started = subprocess.PIPE, list[subprocess.Popen[bytes]]()
        self.end = weakref.finalize(self, _end, os.getpid(), started)
        try:
            nowhere = subprocess.DEVNULL
            started.append(subprocess.Popen(_GUARD, stdin=pipe, stdout=nowhere, stderr=nowhere, process_group=0))
            group = started[0].pid
            program = subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0, process_group=group)
            started.append(program)
        except (OSError, ValueError) as error:
            self.end()
            raise self.error(f"cannot start the {self.who} process {list(command)}: {error}") from error
        except BaseException:
            self.end()
            raise
        self.program, self.questions, self.answers = program, _descriptor(program.stdin), _descriptor(program.stdout)
        self.written = bytearray()

    def ask(self, line: bytes, timeout: float) -> bytes:
        """Write a line and read the answer to it; both end within ``timeout`` seconds."""
        end, unsent = time.monotonic() + timeout, memoryview(line)
        while (length := self.written.find(b"\n")) < 0:
            if len(self.written) > MAX_LINE:
                raise self.error(f"the {self.who} process answered a line of more than {MAX_LINE} bytes")
            if not self._wait(end, writing=bool(unsent)):
                read = "" if not unsent else ", nor did it read what it was asked"
                raise self.error(f"the {self.who} process did not answer within {timeout:g} s{read}")
            if not self._read() and unsent:
                unsent = unsent[self._write(unsent) :]
            elif unsent:
                raise self.error(f"the {self.who} process wrote {_shown(self.written)} before it was asked")
        answer = bytes(self.written[:length])
        del self.written[: length + 1]
        if self.written:
            raise self.error(f"the {self.who} process wrote {_shown(self.written)} after its answer, unasked")
        return answer

    def _wait(self, end: float, *, writing: bool) -> bool:
        """Whether there is something to do before ``end``."""
        with selectors.PollSelector() as selector:
            selector.register(self.answers, selectors.EVENT_READ)
            if writing:
                selector.register(self.questions, selectors.EVENT_WRITE)
            while (left := end - time.monotonic()) > 0:
                if selector.select(min(left, _LONGEST_WAIT)):
                    return True
        return False

    def _write(self, unsent: memoryview) -> int:
        """Write as much as it takes now; returns how much."""
        try:
            return os.write(self.questions, unsent)
        except BlockingIOError:
            return 0
        except BrokenPipeError as error:
            raise self.error(self._ended()) from error

    def _read(self) -> bool:
        """Take what the program has written so far; whether there was anything."""
        try:
            chunk = os.read(self.answers, _CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            raise self.error(self._ended())
        self.written += chunk
        return True

    def _ended(self) -> str:
        try:
            return f"the {self.who} process ended with exit status {self.program.wait(_REAPING)}"
        except subprocess.TimeoutExpired:
            return f"the {self.who} process closed its standard input or output"


def _end(owner: int, started: list[subprocess.Popen[bytes]]) -> None:
    """Kill a group. Its guard is still unwaited for, so that no other group can have got its number."""
    if os.getpid() != owner or not started:  # a forked copy owns nothing
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(started[0].pid, signal.SIGKILL)
    for process in reversed(started):
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_REAPING)


def _descriptor(stream: IO[bytes] | None) -> int:
    assert stream is not None
    os.set_blocking(stream.fileno(), False)
    return stream.fileno()


def _action(answer: bytes, *, over: bool) -> Any:
    """What an answer says; booleans are no actions, and nothing is one when the episode is over."""
    refusal = f"the follower process answered {_shown(answer)}: expected "
    try:
        facts = parse_json(answer, "its answer", FollowerError)
    except FollowerError as error:
        raise FollowerError(f'{refusal}{{"action": ...}}') from error
    if not isinstance(facts, dict) or "action" not in facts or _holds_boolean(facts["action"]):
        raise FollowerError(f'{refusal}{{"action": ...}}, of numbers')
    if over and facts["action"] is not None:
        raise FollowerError(f'{refusal}{{"action": null}} at the end of an episode')
    return facts["action"]


def _holds_boolean(action: Any) -> bool:
    inside = [action]
    while inside:  # not recursive: it may be nested deeply
        part = inside.pop()
        if isinstance(part, bool):
            return True
        inside += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return False


def _shown(text: bytes | bytearray) -> str:
    return repr(bytes(text[:80]).decode("utf-8", "backslashreplace"))

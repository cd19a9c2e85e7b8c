"""What runs: the processes of a group, those that another one started, and waiting for what they do."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable


def _listed() -> list[tuple[int, int, int, str, str]]:
    """Process, parent, group, state and command of all that run; those that only wait to be reaped are none."""
    listed = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid=,pgid=,stat=,args="], check=True, capture_output=True, text=True
    ).stdout
    rows = [line.split(None, 4) for line in listed.splitlines()]
    return [(int(r[0]), int(r[1]), int(r[2]), r[3], " ".join(r[4:])) for r in rows if not r[3].startswith("Z")]


def group(number: int) -> dict[int, str]:
    """Commands of the processes of a group."""
    return {process: command for process, _, its, _, command in _listed() if its == number}


def descendants(process: int) -> set[int]:
    """Processes that a process has started, and those that these have started."""
    found, listed = {process}, _listed()
    while more := {row[0] for row in listed if row[1] in found} - found:
        found |= more
    return found - {process}


def alive(processes: set[int]) -> dict[int, str]:
    """Commands of those that still run."""
    return {row[0]: row[4] for row in _listed() if row[0] in processes}


def until(event: Callable[[], object], seconds: float = 600.0) -> None:
    """Wait for an event that must come; the bound is there for what hangs, not for what is slow."""
    end = time.monotonic() + seconds
    while not event():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.02)


def gone(left: Callable[[], dict[int, str]], seconds: float) -> None:
    """Wait for the end of processes, and tell which are left."""
    end = time.monotonic() + seconds
    while (still := left()) and time.monotonic() < end:
        time.sleep(0.05)
    assert not still

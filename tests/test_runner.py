"""Handing out matches: what has finished is kept in groups, soon, and before it is reported."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stackelberg_games.tournaments import runner
from stackelberg_games.tournaments.match import Outcome
from stackelberg_games.tournaments.store import Store

REPO = Path(__file__).parents[1]


@dataclass
class Clock:
    """Time that passes only where somebody waits."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now


@dataclass
class Timed:
    """A match that takes so many seconds; endless ones never finish."""

    key: str
    seconds: float

    def play(self, timeout: float | None = None) -> Outcome:
        return Outcome("done", note=self.key)


@dataclass
class FakePool:
    """Workers on the clock, as many as there are matches."""

    clock: Clock
    broken: bool = False
    ends: dict[str, float] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)

    def submit(self, match: Any, timeout: float | None) -> str:
        self.ends[match.key] = self.clock.now + match.seconds
        key: str = match.key
        return key

    def wait(self, tasks: Sequence[str], seconds: float | None) -> Collection[str]:
        first = min(self.ends[task] for task in tasks)
        self.clock.now = max(self.clock.now, min(first, np.inf if seconds is None else self.clock.now + seconds))
        return [task for task in tasks if self.ends[task] <= self.clock.now]

    def outcome(self, task: str) -> Outcome | None:
        return Outcome("done", note=task) if self.ends[task] <= self.clock.now else None

    def kill(self) -> None:
        self.broken = True
        self.killed = [key for key, end in self.ends.items() if end > self.clock.now]


def groups(
    monkeypatch: pytest.MonkeyPatch, seconds: list[float], ahead: int, timeout: float | None = None
) -> tuple[list[tuple[float, list[str]]], FakePool]:
    """When which matches are handed back."""
    clock = Clock()
    pool = FakePool(clock)
    monkeypatch.setattr(runner, "time", clock)
    matches = deque(Timed(f"{k}", length) for k, length in enumerate(seconds))
    found = []
    for group in runner._together(nullcontext(pool), matches, ahead, timeout):
        found.append((clock.now, [match.key for match, _ in group]))
        assert all((outcome is None) == (match.key in pool.killed) for match, outcome in group)
    return found, pool


def test_what_finishes_together_is_handed_back_together(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = groups(monkeypatch, [0.01] * 40, ahead=2)
    assert [key for _, keys in found for key in keys] == [f"{k}" for k in range(40)]
    assert len(found) == 2  # two at a time, for 0.2 s


def test_no_match_waits_for_a_slower_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = groups(monkeypatch, [1.0, 3600.0, 0.5, 7.0], ahead=2)
    waited = {key: now for now, keys in found for key in keys}
    ends = {"0": 1.0, "1": 3600.0, "2": 1.5, "3": 8.5}
    assert waited.keys() == ends.keys()
    assert all(ends[key] <= now <= ends[key] + runner.GROUP_SECONDS + 1e-9 for key, now in waited.items())


def test_workers_that_do_not_answer_are_given_up_long_after_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found, pool = groups(monkeypatch, [1.0, 1e9, 1e9], ahead=3, timeout=5.0)
    assert pool.killed == ["1", "2"]
    assert found[0][1] == ["0"]
    assert found[1][0] == pytest.approx(1.0 + runner.GROUP_SECONDS + 5.0 + runner.PATIENCE_SECONDS)


PLAYER = """
import sys
from contextlib import contextmanager
from stackelberg_games.tournaments import keeping, runner
from tests.test_runner import Timed

@contextmanager
def printed(what, total, progress):
    yield lambda done, note: print(done, flush=True)

runner.progress_of = printed
matches = [Timed(f"{k}", 0.0) for k in range(20_000)]
keeping.play_matches(matches, {"name": "many"}, sys.argv[1], workers=2, what="matches")
"""


def test_a_killed_driver_loses_no_match_that_it_reported(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PLAYER, str(tmp_path)]
    player = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPO)
    assert player.stdout is not None
    first = player.stdout.readline()
    time.sleep(0.3)
    player.send_signal(signal.SIGKILL)
    lines, _ = player.communicate()
    whole = [line for line in (first + lines).splitlines(keepends=True) if line.endswith("\n")]
    with Store(tmp_path) as store:
        assert len(store.statuses()) >= int(whole[-1]) > 0


def test_a_group_is_stored_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    many = [(f"{k}", Outcome("done", note="x")) for k in range(5)]
    wrong: Any = ("5", "no outcome")
    with Store(tmp_path, write=True) as store:
        store.put_all(many[:2])
        with pytest.raises(AttributeError):
            store.put_all([*many[2:], wrong])
        store.put_all([])
        assert store.statuses().keys() == {"0", "1"}
    with Store(tmp_path) as store:  # the ledger agrees
        assert store.statuses().keys() == {"0", "1"}

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
from stackelberg_games.tournaments.worker_processes import TASK_SECONDS

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
    """Workers on the clock, as many as there are tasks; a match whose name ends with ! cannot be read there."""

    clock: Clock
    broken: bool = False
    tasks: dict[str, list[str]] = field(default_factory=dict)
    ends: dict[str, float] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)

    def submit(self, matches: Sequence[Any], timeout: float | None) -> str:
        task, spent = matches[0].key, 0.0
        self.tasks[task] = []
        for match in matches:
            if spent > TASK_SECONDS:
                break
            self.tasks[task].append(match.key)
            spent += match.seconds
        self.ends[task] = self.clock.now + spent
        return str(task)

    def wait(self, tasks: Sequence[str], seconds: float | None) -> Collection[str]:
        first = min(self.ends[task] for task in tasks)
        self.clock.now = max(self.clock.now, min(first, np.inf if seconds is None else self.clock.now + seconds))
        return [task for task in tasks if self.ends[task] <= self.clock.now]

    def outcomes(self, task: str) -> list[Outcome] | Outcome | None:
        if any(key.endswith("!") for key in self.tasks[task]):
            return Outcome("failed", error="unreadable")
        return [Outcome("done", note=key) for key in self.tasks[task]] if self.ends[task] <= self.clock.now else None

    def kill(self) -> None:
        self.broken = True
        self.killed = [key for task, end in self.ends.items() if end > self.clock.now for key in self.tasks[task]]


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
    assert sorted(int(key) for _, keys in found for key in keys) == [*range(40)]
    assert len(found) <= 3


def test_short_matches_share_a_task_and_others_do_not_wait_behind_a_long_one(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = [0.001] * 500 + [60.0] * 4
    found, pool = groups(monkeypatch, lengths, ahead=4)
    sizes = [len(keys) for keys in pool.tasks.values()]
    assert sorted(key for _, keys in found for key in keys) == sorted(f"{k}" for k in range(504))
    assert max(sizes) == runner.MOST
    long = [keys for keys in pool.tasks.values() if {"500", "501", "502", "503"} & {*keys}]
    assert len(long) == 4  # none is played behind another


def test_of_several_matches_of_which_one_cannot_be_read_each_is_tried_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(runner, "time", clock)
    matches = deque([*(Timed(f"{k}", 0.001) for k in range(6)), Timed("6!", 0.001)])
    handed = [pair for group in runner._together(nullcontext(FakePool(clock)), matches, 1, None) for pair in group]
    lost = [match.key for match, outcome in handed if outcome is None]
    assert "6!" in lost
    assert len(lost) > 1
    (alone,) = runner._together(nullcontext(FakePool(clock)), deque([Timed("6!", 0.001)]), 1, None)
    assert alone[0][1] is not None
    assert alone[0][1].error == "unreadable"


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

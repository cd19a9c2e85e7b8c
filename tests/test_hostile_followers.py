"""Programs that are no players: every call ends in time with a typed error, and their process groups are gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games.adapters.stranger_process import StrangerProcess
from stackelberg_games.envs import discrete_toy_v0
from stackelberg_games.errors import FollowerError
from tests.hostile import ANSWER, HOSTILE, shell
from tests.processes import gone, group

TIMEOUT = 0.5
PLAYER = shell(
    "while read -r question; do case $question in *'ion\": true'*) echo '{\"action\": null}';; "
    f"*) echo '{ANSWER}';; esac; done"
)
"""Well behaved: it ends an episode where the question says so."""
DRIVER = """
import os, sys, stackelberg_games as sg
from stackelberg_games.adapters.stranger_process import StrangerProcess
stranger = StrangerProcess(sys.argv[1:], 30.0)
stranger([0.0], 0.0, False, False, {})
print(stranger._program.program.pid, flush=True)
sys.stdin.readline()
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs process groups")


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The process groups that are started in a test."""
    started: list[int] = []
    start = subprocess.Popen.__init__

    def noted(self: subprocess.Popen[bytes], *arguments: object, **options: object) -> None:
        start(self, *arguments, **options)  # type: ignore[call-overload]
        if options.get("process_group") == 0:
            started.append(self.pid)

    monkeypatch.setattr(subprocess.Popen, "__init__", noted)
    return started


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the calls of a process took."""
    seconds: list[float] = []
    ask = StrangerProcess.__call__

    def timed(self: StrangerProcess, *turn: Any) -> Any:
        start = time.monotonic()
        try:
            return ask(self, *turn)
        finally:
            seconds.append(time.monotonic() - start)

    monkeypatch.setattr(StrangerProcess, "__call__", timed)
    return seconds


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_follower_costs_its_timeout_and_leaves_nothing(
    name: str, groups: list[int], waits: list[float]
) -> None:
    assert len(HOSTILE) >= 50
    follower = sg.make_follower("black_box", command=HOSTILE[name], timeout=TIMEOUT)
    threads = threading.active_count()
    with pytest.raises(FollowerError):
        sg.train(sg.make("matrix-v0"), "fixed", follower, iterations=2, episodes=1, evaluate_every=0, progress=False)
    assert max(waits) < TIMEOUT + 1.0
    assert threading.active_count() == threads
    assert groups
    for number in groups:
        gone(lambda number=number: group(number), 1.0)  # type: ignore[misc]


def test_a_training_leaves_no_handle_thread_or_process(groups: list[int]) -> None:
    def train() -> None:
        follower = sg.make_follower("black_box", command=PLAYER, timeout=20.0)
        sg.train(discrete_toy_v0.game(horizon=5), "fixed", follower, iterations=2, evaluate_every=0, progress=False)

    train()
    before = handles(), threading.active_count()
    for _ in range(5):
        train()
    assert (handles(), threading.active_count()) == before
    assert len(groups) == 6
    assert not any(map(group, groups))


def handles() -> int:
    """Open file handles of this process."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        if os.path.isdir(folder):
            return len(os.listdir(folder))
    return 0


def test_an_interrupted_training_ends_the_program(groups: list[int]) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    follower = sg.make_follower("black_box", command=PLAYER)
    with pytest.raises(KeyboardInterrupt):
        sg.train(sg.make("matrix-v0"), "fixed", follower, callbacks=[interrupt], progress=False)
    assert len(groups) == 1
    assert not group(groups[0])


def test_the_program_lives_as_long_as_somebody_uses_the_follower(groups: list[int]) -> None:
    follower = sg.make_follower("black_box", command=PLAYER)
    game = sg.make("matrix-v0")
    with follower:
        run = sg.train(game, "fixed", follower, iterations=1, progress=False)
        assert group(groups[0])
        follower.respond(game, run.commitment)
    assert len(groups) == 1
    assert not group(groups[0])


def test_a_program_that_nobody_refers_to_is_ended(groups: list[int]) -> None:
    StrangerProcess(PLAYER)([0.0], 0.0, False, False, {})
    assert not group(groups[0])


@pytest.mark.parametrize("killed_by", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_the_group_ends_with_the_process_that_started_it(killed_by: signal.Signals) -> None:
    deaf = shell(f"trap '' TERM HUP INT; read -r question; echo '{ANSWER}'; sleep 30; sleep 30")
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, *deaf], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    program = int(driver.stdout.readline())
    number = os.getpgid(program)
    assert group(number)
    driver.send_signal(killed_by)
    driver.communicate()
    gone(lambda: group(number), 5.0)


def test_a_question_larger_than_a_pipe_is_asked(tmp_path: Path) -> None:
    stranger = StrangerProcess(PLAYER, 20.0)
    assert stranger(np.zeros(100_000), 0.0, False, False, {}) == 0
    assert stranger(np.zeros(100_000), 0.0, True, False, {}) is None
    stranger.close()


def test_a_program_that_never_reads_ends_a_question_larger_than_a_pipe() -> None:
    stranger = StrangerProcess(["sleep", "30"], TIMEOUT)
    start = time.monotonic()
    with pytest.raises(FollowerError, match="nor did it read"):
        stranger(np.zeros(100_000), 0.0, False, False, {})
    assert time.monotonic() - start < TIMEOUT + 1.0

"""Commands that are stopped, and drivers that die: no process is left, and it is said how to go on."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from stackelberg_games.errors import StoreError
from stackelberg_games.tournaments.store import Store
from tests.processes import alive, descendants, gone, until

SPEC = """
[tournament]
seeds = 5000
budget = 600
references = false
[[game]]
id = "matrix-v0"
[[leader]]
id = "random_search"
[[follower]]
id = "soft_value_iteration"
temperature = 0.1
"""
ENDINGS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL") if hasattr(signal, name)]

UNIGNORED = """
import os, signal, sys
for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(ending, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Begins a Python that signals end, though whoever runs the tests has them ignored, as nohup does."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are a POSIX notion")


def stored(run: Path) -> int:
    """How many matches a store holds while it is written."""
    with suppress(StoreError), Store(run) as store:
        return len(store.statuses())
    return 0


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.name)
def test_a_tournament_that_is_stopped_takes_its_workers_along(tmp_path: Path, ending: signal.Signals) -> None:
    file, run = tmp_path / "cup.toml", tmp_path / "run"
    file.write_text(SPEC)
    command = ["-m", "stackelberg_games", "tournament", str(file), "--out", str(run), "--workers", "2"]
    begun = [sys.executable, "-c", UNIGNORED, *command]
    player = subprocess.Popen(begun, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    until(lambda: player.poll() is not None or stored(run) >= 3)
    children = descendants(player.pid)
    assert len(children) >= 2
    player.send_signal(ending)
    said = player.communicate(timeout=120)[1]
    gone(lambda: alive(children), 5.0)
    assert 3 <= stored(run) < 5000
    if ending != signal.SIGKILL:
        assert player.returncode == 128 + ending
        found = re.search(r"stopped by (\w+): (\d+) of 5000 matches are stored in (.*); the same command goes on", said)
        assert found is not None, said
        assert found.groups() == (ending.name, str(stored(run)), str(run))


def test_a_training_that_is_stopped_says_how_far_it_is(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "stackelberg_games", "train", "--iterations", "1000000", "--out", str(run)]
    player = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    until(lambda: player.poll() is not None or (run / "seed_0" / "checkpoint.bin").exists())
    player.terminate()
    said = player.communicate()[1]
    assert player.returncode == 128 + signal.SIGTERM
    assert re.search(
        rf"stopped by SIGTERM: seed_0 at iteration \d+0 is stored in {re.escape(str(run))}; the same", said
    )

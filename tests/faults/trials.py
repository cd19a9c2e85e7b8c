"""What is written, and what must hold when a write of it fails; runs with the shim preloaded."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import stackelberg_games as sg
from stackelberg_games.errors import StackelbergError
from stackelberg_games.learning import run as runs
from stackelberg_games.tournaments.export import tables
from stackelberg_games.tournaments.results import Results
from stackelberg_games.tournaments.store import FILE, LOCK
from tests.fuzzing.stored import cup, matches_of, train

FAULTS = {"no space": errno.ENOSPC, "input/output error": errno.EIO, "kill": 0}


@dataclass(frozen=True)
class Trial:
    """Something that writes into a folder.

    Attributes:
        prepare: fills the folder.
        act: writes.
        check: whether what is there after acting again is what an undisturbed act leaves.
        names: of the files that may be there in the end.
        whole: names of files that are replaced as a whole: as they were, or as they were to be.
    """

    prepare: Callable[[Path], object]
    act: Callable[[Path], object]
    check: Callable[[Path], None]
    names: frozenset[str]
    whole: frozenset[str]


def played() -> Results:
    """A small tournament that was played in memory."""
    return cup().play(backend="serial", progress=False)


def half_played(folder: Path) -> None:
    """A store that holds half of the matches."""
    matches_of("random_search").play(folder, backend="serial", progress=False)


def check_store(folder: Path) -> None:
    """All matches are there, and as they are in memory."""
    found, expected = tables(Results.load(folder)), tables(RESULTS[0])
    assert all(found[name] == expected[name] for name in found if name != "costs")


def check_run(folder: Path) -> None:
    """The run is the one that nothing has interrupted."""
    found, expected = sg.Run.load(folder), train("bchg", None, 3)
    assert found.history == expected.history
    assert found.value == expected.value


def check_tables(folder: Path) -> None:
    """No table is missing or cut."""
    lines = (folder / "matches.csv").read_text().splitlines()
    assert len(lines) == 1 + len(RESULTS[0].rows)


def check_report(folder: Path) -> None:
    """The page is whole."""
    assert (folder / "report.html").read_text().rstrip().endswith("</html>")


RESULTS: list[Results] = []
TABLES = frozenset(
    f"{name}.csv" for name in ("results", "matches", "curves", "costs", "comparisons", "standings", "overview")
) | {"manifest.json"}
RUN = frozenset({runs.SETTINGS, runs.HISTORY, runs.STATE, runs.RESULT})


def old(names: frozenset[str]) -> Callable[[Path], None]:
    """Files of an earlier time."""

    def prepare(folder: Path) -> None:
        for name in names:
            (folder / name).write_text("of an earlier time")

    return prepare


TRIALS = {
    "store": Trial(
        half_played,
        lambda folder: cup().play(folder, backend="serial", progress=False),
        check_store,
        frozenset({FILE, LOCK}),
        frozenset(),
    ),
    "checkpoint": Trial(
        lambda folder: train("bchg", folder, 2),
        lambda folder: train("bchg", folder, 3),
        check_run,
        RUN | {runs.LOCK},
        RUN,
    ),
    "tables": Trial(old(TABLES), lambda folder: RESULTS[0].save(folder), check_tables, TABLES, TABLES),
    "report": Trial(
        old(frozenset({"report.html"})),
        lambda folder: RESULTS[0].report(folder / "report.html"),
        check_report,
        frozenset({"report.html"}),
        frozenset({"report.html"}),
    ),
}


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of the files in a folder by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def in_a_fork(work: Callable[[], object]) -> int:
    """Do something in a child; its exit status, or minus the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except StackelbergError:
            os._exit(1)
        except BaseException:  # noqa: BLE001 (this is what is looked for)
            traceback.print_exc()
            os._exit(2)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def writes(trial: Trial, before: Path, shim: ctypes.CDLL) -> tuple[int, dict[str, bytes]]:
    """How many calls write in an undisturbed act, and what it leaves."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "place"
        shutil.copytree(before, place)
        shim.fault_arm(str(place).encode(), 10**9, errno.EIO)
        trial.act(place)
        count = int(shim.fault_calls())
        shim.fault_arm(b"", 0, 0)
        return count, contents(place)


def disturbed(trial: Trial, before: Path, after: dict[str, bytes], fault: str, nth: int, shim: ctypes.CDLL) -> str:
    """Let one call fail; what is wrong afterwards, in words, or nothing."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "place"
        shutil.copytree(before, place)

        def act() -> None:
            shim.fault_arm(str(place).encode(), nth, FAULTS[fault])
            trial.act(place)

        status = in_a_fork(act)
        if status not in (0, 1) and not (fault == "kill" and status == -signal.SIGKILL):
            return f"ended with status {status}"
        now, then = contents(place), contents(before)
        for name in trial.whole & now.keys():
            if now[name] not in (then.get(name), after[name]):
                return f"{name} is neither as it was nor as it was to be"
        if in_a_fork(lambda: trial.act(place)):
            return "the same call does not go on"
        if in_a_fork(lambda: trial.check(place)):
            return "what it left is not what an undisturbed call leaves"
        litter = sorted(contents(place).keys() - trial.names)
        return f"it left {litter}" if litter else ""


def main(every: int) -> None:
    """Run the trials at every so-manieth write; the exit status says whether all of them held."""
    shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
    shim.fault_calls.restype = ctypes.c_long
    shim.fault_arm.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int]
    RESULTS.append(played())
    wrong = 0
    for name, trial in TRIALS.items():
        with tempfile.TemporaryDirectory() as folder:
            before = Path(folder) / "before"
            before.mkdir()
            trial.prepare(before)
            count, after = writes(trial, before, shim)
            assert count > 4, f"{name}: nothing was counted"
            tried = 0
            for number, fault in enumerate(FAULTS):
                for nth in range(number % every, count, every):
                    said = disturbed(trial, before, after, fault, nth, shim)
                    tried += 1
                    if said:
                        wrong += 1
                        print(f"{name}, {fault} at write {nth} of {count}: {said}", flush=True)
        print(f"{name}: {count} writes, {tried} faults tried", flush=True)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""What dies, how, and where: sound matches are stored, the guilty one is named, and nothing is left behind.

    python -m tests.faults.matrix [--out FILE] [serial] [processes] [ray] ["driver killed" ...]

For every backend a tournament in which one leader, or one follower's program, does harm, and one from outside: a
driver or a worker is killed or stopped. Every trial must end by itself, be complete after at most one more call,
give the sound matches the outcomes of a serial run to the bit, record the guilty as failed, and within five
seconds (on Ray thirty) leave no process, no temporary file and no litter in its folder. It takes some minutes. A file
keeps what came of each trial, and is added to.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import NamedTuple

from stackelberg_games.errors import StoreError
from stackelberg_games.tournaments.match import Outcome
from stackelberg_games.tournaments.store import FILE, Store

BACKENDS = ("serial", "processes", "ray")
INSIDE = ("exit", "kill", "stop", "handles", "stuck", "program dies", "program stops", "program is killed")
OUTSIDE = ("driver killed", "driver stopped", "worker killed", "worker stopped")
MARK = "STACKELBERG_FAULTS"
SECONDS = 600.0
"""Without a match stored; how long a trial takes depends on what else the computer does."""
LAST_SECONDS = {"serial": 5.0, "processes": 5.0, "ray": 30.0}
"""How long after the end of a driver something may still run: Ray's own agents look every few seconds whether it lives."""
CACHES = ("ray", "torchinductor_root")
"""What libraries keep in the temporary folder on purpose."""
Facts = dict[str, tuple[str, str, Outcome]]


class Trial(NamedTuple):
    """A backend and what goes wrong on it."""

    backend: str
    fault: str


class Course(NamedTuple):
    """How often the driver was called, and for how long something still ran after it, at most."""

    calls: int
    gone: float


def main(wanted: list[str]) -> int:
    """Try everything, or the backends and faults that are wanted; returns how many trials failed."""
    out = Path(wanted[wanted.index("--out") + 1]) if "--out" in wanted else None
    backends = [name for name in BACKENDS if name in wanted] or ["serial", "processes"]
    faults = [name for name in (*INSIDE, *OUTSIDE) if name in wanted] or [*INSIDE, *OUTSIDE]
    sound = play(Trial("serial", "nothing"))[0]
    failed = 0
    for backend in backends:
        for fault in faults:
            if backend == "serial" and fault in ("stop", "stuck", "worker killed", "worker stopped"):
                continue  # in one process nobody is left to notice, and there are no workers
            start = time.monotonic()
            found, course, problems = play(Trial(backend, fault))
            problems += judge(Trial(backend, fault), found, sound)
            failed += bool(problems)
            took = f"{time.monotonic() - start:5.1f} s, {course.calls} call{' ' if course.calls == 1 else 's'}"
            print(
                f"{backend:10} {fault:18} {took}, all gone {course.gone:4.1f} s later: {'; '.join(problems) or 'holds'}",
                flush=True,
            )
            if out is not None:
                _keep(out, f"{backend}: {fault}", "; ".join(problems) or "holds", course)
    print(f"{failed} failed")
    return failed


def _keep(file: Path, trial: str, verdict: str, course: Course) -> None:
    rows = json.loads(file.read_text()) if file.exists() else {}
    rows[trial] = {"verdict": verdict, "calls": course.calls, "date": date.today().isoformat()}
    file.write_text(json.dumps(rows, indent=1) + "\n")


def play(trial: Trial) -> tuple[Facts, Course, list[str]]:
    """One trial in a folder of its own: the outcomes, its course, and what was left behind."""
    mark, problems, runs, gone = secrets.token_hex(8), [], 0, 0.0
    with tempfile.TemporaryDirectory() as place:
        store, temporary = Path(place, "store"), Path(place, "tmp")
        temporary.mkdir()
        env = {**os.environ, MARK: mark, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-W", "ignore", "-m", "tests.faults.driver", *trial, str(store)]
        while runs < 5 and (runs == 0 or len(outcomes(store)) < total(store)):
            runs += 1
            driver = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if trial.fault in OUTSIDE and runs == 1:
                strike(trial.fault, driver, store, mark)
            said = told(driver, store)
            if said is None:
                problems.append(f"no end, and nothing stored for {SECONDS:g} s")
                break
            if "Traceback" in said and "StackelbergError" not in said:
                problems.append(said.strip().splitlines()[-1])
            ended = time.monotonic()
            if not wait(lambda: not marked(mark), LAST_SECONDS[trial.backend]):
                problems.append(f"left running: {[*marked(mark).values()]}")
                break
            gone = max(gone, time.monotonic() - ended)
        for process in marked(mark):
            os.kill(process, signal.SIGKILL)
        left = [path.name for path in temporary.iterdir() if path.name not in CACHES]
        problems += [f"left in the temporary folder: {left}"] if left else []
        litter = {path.name for path in store.iterdir()} - {FILE}
        problems += [f"left in the store: {sorted(litter)}"] if litter else []
        found = outcomes(store)
        missing = total(store) - len(found)
        problems += [f"{missing} matches are missing"] if missing else []
        return found, Course(runs, gone), problems


def told(driver: subprocess.Popen[str], store: Path) -> str | None:
    """What a driver has said when it ends; None if it neither ends nor goes on."""
    while True:
        stored = len(outcomes(store))
        try:
            return driver.communicate(timeout=SECONDS)[0]
        except subprocess.TimeoutExpired:
            if len(outcomes(store)) == stored:
                return None


def judge(trial: Trial, found: Facts, sound: Facts) -> list[str]:
    """What is wrong with the outcomes."""
    problems = []
    for key, (leader, follower, outcome) in found.items():
        guilty = "guilty" in (leader, follower)
        harmed = trial.fault in INSIDE and guilty
        if harmed and outcome.status != "failed":
            problems.append(f"the guilty match is {outcome.status}")
        if not guilty and outcome.to_json() != sound[key][2].to_json():
            said = (outcome.error or "differs from the serial run").strip().splitlines()[-1]
            problems.append(f"{leader} against {follower} is {outcome.status}: {said}")
    return problems


def outcomes(store: Path) -> Facts:
    """What a store holds, by key, with the labels of leader and follower."""
    with suppress(StoreError), Store(store) as kept:
        plan = {key: (leader, follower) for key, _, leader, follower, _ in kept.latest_plan()["matches"]}
        return {key: (*plan[key], outcome) for key, outcome in kept.outcomes(plan).items()}
    return {}


def total(store: Path) -> int:
    """How many matches are planned."""
    with suppress(StoreError), Store(store) as kept:
        return len(kept.latest_plan()["matches"])
    return 1


def strike(fault: str, driver: subprocess.Popen[str], store: Path, mark: str) -> None:
    """Do something to a driver in the middle of its run, or to one of its workers."""
    wait(lambda: len(outcomes(store)) >= 3 or driver.poll() is not None)
    who, _, how = fault.partition(" ")
    victim = driver.pid
    if who == "worker":
        workers = [process for process, line in marked(mark).items() if "loky" in line or "ray::" in line]
        victim = max(workers, default=victim)
    with suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
        if fault == "driver stopped":
            time.sleep(3.0)
            os.kill(victim, signal.SIGCONT)


def marked(mark: str) -> dict[int, str]:
    """Commands of the running processes that a trial has started, by their environment."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                    line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if line:
                        found[int(folder.name)] = line[:100]
    return found


def wait(event: Callable[[], object], seconds: float = SECONDS) -> bool:
    """Whether an event comes in time."""
    end = time.monotonic() + seconds
    while not event():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))

"""Running many cases in processes of their own, so that signals and hangs are findings too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzzing import calls, stored, streams, texts
from tests.fuzzing.target import Case, Target, held

TARGETS: dict[str, Target] = {
    target.name: target for target in (*texts.TARGETS, *stored.TARGETS, *streams.TARGETS, *calls.TARGETS)
}
CORPUS = Path(__file__).parent / "corpus"
CHUNK = 2500
"""Cases of a process: what it imports and compiles takes as long as a thousand."""
SECONDS = 30
"""Of work for one case; Python's part of a hang is interrupted, compiled code's is killed."""
PATIENCE = 5
"""So many times as long may pass, twice, as other work on the computer is no finding."""


class Hang(BaseException):
    """A case that works without an end."""


class Wait(Hang):
    """A case that does not end, and does not work either: it waits, or others have the computer."""


def corpus(target: Target) -> list[Case]:
    """Stored cases of a target: findings that were mended, and cases picked by hand."""
    file = CORPUS / f"{target.name.replace(' ', '_')}.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def options(examples: int) -> settings:
    """Hypothesis without its own files and clocks."""
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def child(name: str, start: int, examples: int, log: Path) -> None:
    """Run so many cases of a target; a line of JSON for each finding, and counts and the case at hand in a file."""
    target, current = TARGETS[name], log.with_suffix(".current")
    counts = Counter[str]()
    _listen()
    with suppress(Exception):  # a sound case, so that what is imported and compiled once counts for none of the others
        held(target, target.sound)

    @seed(start)
    @options(examples)
    @given(target.cases)
    def explore(case: Case) -> None:
        current.write_text(json.dumps({"counts": counts, "case": case}))
        try:
            counts["worked off" if ended(target, case) else "refused"] += 1
        except (Exception, Hang) as error:  # noqa: BLE001 (this is what is looked for)
            counts["findings"] += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            finding = f"{type(error).__name__}: {error}"[:300]
            place = f"{where.filename.rpartition('site-packages/')[2]}:{where.lineno}"
            _note(log, {"target": name, "finding": finding, "at": place, "case": case})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explore()
    print(json.dumps(counts))


def _listen() -> None:
    """Turn the alarms of two clocks into exceptions."""

    def working(*_: Any) -> None:
        raise Hang(f"no end after {SECONDS} s of work")

    def waiting(*_: Any) -> None:
        raise Wait(f"no end in {PATIENCE * SECONDS} s, twice")

    signal.signal(signal.SIGPROF, working)
    signal.signal(signal.SIGALRM, waiting)


def ended(target: Target, case: Case) -> bool:
    """See ``held``, for a case that may not end: what only took long by the clock is tried again."""
    for last in (False, True):
        signal.alarm(PATIENCE * SECONDS)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            return held(target, case)
        except Wait:
            if last:
                raise
        finally:
            signal.alarm(0)
            signal.setitimer(signal.ITIMER_PROF, 0)
    raise AssertionError


def _note(log: Path, finding: dict[str, Any]) -> None:
    with log.open("a") as file:
        file.write(json.dumps(finding) + "\n")


def watch(process: subprocess.Popen[str], log: Path) -> Counter[str]:
    """Wait for a child; one that is ended by a signal, or hangs in compiled code, has a finding at hand."""
    current, begun = log.with_suffix(".current"), time.time()
    while process.poll() is None:
        time.sleep(0.2)
        last = current.stat().st_mtime if current.exists() else begun
        if time.time() - max(last, begun) > 4 * PATIENCE * SECONDS:
            process.kill()
    said = process.communicate()[0].strip().splitlines()
    if process.returncode == 0 and said:
        return Counter(json.loads(said[-1]))
    state = json.loads(current.read_text()) if current.exists() else {"counts": {}, "case": None}
    _note(log, {"finding": f"the process ended with status {process.returncode}", "case": state["case"]})
    return Counter(state["counts"]) + Counter(findings=1)


def campaign(examples: int, start: int, workers: int, folder: Path, only: str | None = None) -> Counter[str]:
    """Run a campaign and print what came of it.

    Args:
        examples: in all, shared among the targets.
        start: seed of the first chunk.
        workers: processes at a time.
        folder: for findings.
        only: name of a target to run alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [TARGETS[only]] if only else list(TARGETS.values())
    waiting = _chunks(examples, start, wanted)
    running: list[tuple[tuple[str, int, int], subprocess.Popen[str], Path, float]] = []
    totals: Counter[str] = Counter()
    by_target: dict[str, Counter[str]] = {target.name: Counter() for target in wanted}
    fast = Path("/dev/shm")  # where synchronising costs nothing
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **({"TMPDIR": str(fast)} if fast.is_dir() else {})}
    while waiting or running:
        while waiting and len(running) < workers:
            job = waiting.pop(0)
            log = folder / f"{job[0].replace(' ', '_')}_{job[1]}.jsonl"
            command = [sys.executable, "-m", "tests.fuzzing", "--child", job[0], str(job[1]), str(job[2]), str(log)]
            with log.with_suffix(".stderr").open("w") as said:
                process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, env=environment)
            running.append((job, process, log, time.time()))
        job, process, log, begun = running.pop(0)
        found = watch(process, log)
        done = sum(found.values())
        if process.returncode and 1 < done < job[2]:  # it got somewhere, and ended before its time
            waiting.insert(0, (job[0], job[1] + 1_000_000, job[2] - done))
        totals += found
        by_target[job[0]] += found
        facts = ", ".join(f"{count} {what}" for what, count in sorted(found.items()))
        print(f"{job[0]}, seed {job[1]}: {facts} in {time.time() - begun:.0f} s", flush=True)
    for name, found in by_target.items():
        print(f"{name}: {sum(found.values()):,} cases, {found['refused']:,} refused, {found['findings']} findings")
    print(f"{sum(totals.values()):,} cases, {totals['findings']} findings")
    return totals


def _chunks(examples: int, start: int, wanted: list[Target]) -> list[tuple[str, int, int]]:
    """Name, seed and number of cases of each process, all kinds in turn."""
    whole = sum(target.share for target in wanted)
    waiting: list[tuple[str, int, int]] = []
    for target in wanted:
        left, number = round(examples * target.share / whole), 0
        while left > 0:
            waiting.append((target.name, start + number, min(left, CHUNK)))
            left, number = left - CHUNK, number + 1
    counts = Counter(name for name, _, _ in waiting)
    return sorted(waiting, key=lambda job: (job[1] - start) / counts[job[0]])

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
CHUNK = 500
SECONDS = 30
"""Of work for one case; Python's part of a hang is interrupted, compiled code's is killed."""
PATIENCE = 10
"""So many times as long may pass, as other work on the computer is no finding."""


class Hang(BaseException):
    """A case that does not end."""


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
    """Run so many cases of a target; a line of JSON for each finding, and the case at hand in a file."""
    target, current = TARGETS[name], log.with_suffix(".current")
    counts = Counter[str]()

    def hang(*_: Any) -> None:
        raise Hang(f"no end after {SECONDS} s of work, or {PATIENCE * SECONDS} s in all")

    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, hang)
    with suppress(Exception):  # a sound case, so that what is imported and compiled once counts for none of the others
        held(target, target.sound)

    @seed(start)
    @options(examples)
    @given(target.cases)
    def explore(case: Case) -> None:
        current.write_text(json.dumps(case))
        signal.alarm(PATIENCE * SECONDS)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            counts["worked off" if held(target, case) else "refused"] += 1
        except (Exception, Hang) as error:  # noqa: BLE001 (this is what is looked for)
            counts["findings"] += 1
            with log.open("a") as file:
                where = traceback.extract_tb(error.__traceback__)[-1]
                finding = f"{type(error).__name__}: {error}"[:300]
                place = f"{where.filename.rpartition('site-packages/')[2]}:{where.lineno}"
                file.write(json.dumps({"target": name, "finding": finding, "at": place, "case": case}) + "\n")
        finally:
            signal.alarm(0)
            signal.setitimer(signal.ITIMER_PROF, 0)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explore()
    print(json.dumps(counts))


def watch(process: subprocess.Popen[str], log: Path) -> dict[str, int]:
    """Wait for a child; one that is ended by a signal, or hangs in compiled code, has a finding at hand."""
    current, begun = log.with_suffix(".current"), time.time()
    while process.poll() is None:
        time.sleep(0.2)
        last = current.stat().st_mtime if current.exists() else begun
        if time.time() - max(last, begun) > 2 * PATIENCE * SECONDS:
            process.kill()
    said = process.communicate()[0].strip().splitlines()
    if process.returncode == 0 and said:
        found: dict[str, int] = json.loads(said[-1])
        return found
    case = json.loads(current.read_text()) if current.exists() else None
    with log.open("a") as file:
        file.write(json.dumps({"finding": f"the process ended with status {process.returncode}", "case": case}) + "\n")
    return {"findings": 1}


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
    whole = sum(target.share for target in wanted)
    waiting: list[tuple[str, int, int]] = []
    for target in wanted:
        left, number = round(examples * target.share / whole), 0
        while left > 0:
            waiting.append((target.name, start + number, min(left, CHUNK)))
            left, number = left - CHUNK, number + 1
    counts = Counter(name for name, _, _ in waiting)
    waiting.sort(key=lambda job: (job[1] - start) / counts[job[0]])  # all kinds in turn
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
        found = Counter(watch(process, log))
        totals += found
        by_target[job[0]] += found
        facts = ", ".join(f"{count} {what}" for what, count in sorted(found.items()))
        print(f"{job[0]}, seed {job[1]}: {facts} in {time.time() - begun:.0f} s", flush=True)
    for name, found in by_target.items():
        print(f"{name}: {sum(found.values()):,} cases, {found['refused']:,} refused, {found['findings']} findings")
    print(f"{sum(totals.values()):,} cases, {totals['findings']} findings")
    return totals

"""What a sweep costs beyond its runs, and whether it survives being killed.

    python benchmarks/sweep.py overhead [RUNS]        CPU of planning, scheduling, storing and summing up
    python benchmarks/sweep.py kill [TIMES] [SAMPLER] kill -9 at random moments, then compare with one that was left alone;
                                                      SAMPLER "tpe" for a search by Optuna, with a pruner

Overhead is the CPU time of all processes less that of the runs themselves, as the workers measure it.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from stackelberg_games.errors import StoreError
from stackelberg_games.tournaments.match import Outcome
from stackelberg_games.tournaments.store import Store
from stackelberg_games.tournaments.sweep import Sweep
from stackelberg_games.tournaments.sweep_file import load_sweep

SEEDS = 10
GRID = """
[sweep]
seeds = 12
report_seeds = 12
budget = 4_500
points = 5
[search]
leader.learning_rate = [0.02, 0.05, 0.1, 0.2]
"""
SEARCH = """
[sweep]
sampler = "tpe"
pruner = "median"
samples = 24
seeds = 4
report_seeds = 12
budget = 4_500
points = 5
[search]
leader.learning_rate = { low = 0.001, high = 1.0, log = true }
"""
FILES = {"random": GRID, "tpe": SEARCH}


def toy(runs: int) -> Sweep:
    """Learning rates on the toy, with ten seeds each and batches as usual; the shortest runs there are."""
    rates = np.geomspace(0.01, 0.3, runs // SEEDS).tolist()
    return Sweep({"leader.learning_rate": rates}, seeds=SEEDS, report_seeds=0, budget=450, points=1)


def overhead(runs: int) -> None:
    """CPU milliseconds a run, in one process and with two workers."""
    toy(SEEDS).play(progress=False)  # compiled code is loaded before the clock starts
    started = {1: 0.0, 2: _spent(toy(2 * SEEDS), 2)[0]}
    for workers, start in started.items():
        begun = time.process_time()
        planned = toy(runs)
        planning = time.process_time() - begun
        beyond, inside = _spent(planned, workers)
        print(
            f"{runs} runs, {workers} worker{'s' if workers > 1 else ''}: planning {1e3 * planning / runs:.2f} ms and "
            f"playing {1e3 * (beyond - start) / runs:.2f} ms of CPU a run beyond the runs, which take {1e3 * inside / runs:.1f} ms each"
            + (f"; starting the workers takes {start:.1f} s once" if start else "")
        )


def _spent(planned: Sweep, workers: int) -> tuple[float, float]:
    """CPU seconds beyond the runs, and of the runs."""
    begun = _cpu()
    with tempfile.TemporaryDirectory() as folder:
        found = planned.play(folder, workers=workers, progress=False)
        found.save(folder)
    total = _cpu() - begun
    inside = sum(run.outcome.cpu_seconds for run in found.runs if run.outcome)
    return total - inside, inside


def _cpu() -> float:
    """Of this process and of all that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def kill(times: int, sampler: str = "random") -> None:
    """Kill a sweep at random moments until it is through, then compare with one run."""
    draws = np.random.default_rng(int(time.time()))
    with tempfile.TemporaryDirectory() as folder:
        file, run = Path(folder) / "sweep.toml", Path(folder) / "run"
        file.write_text(FILES[sampler])
        command = [sys.executable, "-m", "stackelberg_games", "sweep", str(file), "--out", str(run), "--quiet"]
        for number in range(1, times + 1):
            player = subprocess.Popen([*command, "--workers", "2"], stdout=subprocess.DEVNULL, start_new_session=True)
            wanted = _finished(run) + int(draws.integers(0, 8))
            while player.poll() is None and _finished(run) < wanted:
                time.sleep(0.05)
            time.sleep(float(draws.uniform(0.0, 0.5)))
            if player.poll() is not None:
                sys.exit(f"the sweep was through before kill {number}")
            os.kill(player.pid, signal.SIGKILL)
            player.wait()
            print(f"kill {number}: {_finished(run)} runs finished", flush=True)
        final = load_sweep(file).play(run, workers=2, progress=False)
        whole = load_sweep(file).play(backend="serial", progress=False)
        same = (_texts(final.outcomes), final.plan) == (_texts(whole.outcomes), whole.plan)
        said = "identical to" if same and final.summary() == whole.summary() else "DIFFERENT from"
        given_up = f", {len(whole.given_up)} points given up" if whole.given_up else ""
        print(
            f"{len(whole.outcomes)} runs of {len(whole.points)} points{given_up}: {said} an uninterrupted serial sweep"
        )


def _finished(run: Path) -> int:
    try:
        with Store(run) as store:
            return len(store.statuses())
    except StoreError:
        return 0


def _texts(outcomes: dict[str, Outcome]) -> dict[str, str]:
    return {key: outcome.to_json() for key, outcome in outcomes.items()}


def main() -> None:
    """Run one of the two."""
    made = {"overhead": (overhead, 500), "kill": (kill, 3)}
    if len(sys.argv) < 2 or sys.argv[1] not in made:
        sys.exit(__doc__)
    function, usual = made[sys.argv[1]]
    function(int(sys.argv[2]) if len(sys.argv) > 2 else usual, *sys.argv[3:])


if __name__ == "__main__":
    main()

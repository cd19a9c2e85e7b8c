"""Run the performance benchmarks and keep what they print in ``docs/data/performance.json``.

Run with ``OMP_NUM_THREADS=1 python benchmarks/record.py``. The documentation shows the stored
tables with the commands that made them; ``--only rollout`` records one of them anew. The campaigns take long and are run
when they are named; what they print goes to ``docs/data/campaigns.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path

import stackelberg_games as sg

BENCHMARKS = {
    "rollout": ["benchmarks/rollout.py"],
    "iteration": ["benchmarks/iteration.py"],
    "configured": ["benchmarks/configured.py"],
    "faces": ["benchmarks/faces.py"],
    "faces_rps": ["benchmarks/faces.py", "--rps"],
    "adapter": ["benchmarks/adapter.py"],
    "solver": ["benchmarks/solver.py", "--plot", "docs/images/solver_cost.png"],
    "large": ["benchmarks/large.py"],
    "large_hard": ["benchmarks/large.py", "--hard", "--pairs", "3"],
    "against": ["benchmarks/against_published.py", "--pairs", "3"],
    "sweep": ["benchmarks/sweep.py", "overhead"],
    "tournament": ["benchmarks/tournament.py", "overhead"],
    "estimator": ["benchmarks/estimator.py", "--plot", "docs/images/estimator_cost.png"],
}
CAMPAIGNS = {
    "load": ["benchmarks/load.py"],
    "report": ["benchmarks/tournament.py", "report", "20000"],
    "hosts": ["-m", "tests.hosts"],
    "faults": ["-m", "tests.faults"],
    "fuzzing": ["-m", "tests.fuzzing", "--examples", "100000"],
}
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "COLUMNS": "110", "TERM": "dumb", "NO_COLOR": "1"}


def record(name: str) -> dict[str, str]:
    """Command, output and circumstances of one benchmark or campaign."""
    command = {**BENCHMARKS, **CAMPAIGNS}[name]
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, env={**os.environ, **ENVIRONMENT}
    )
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}{name} ended with status {done.returncode}, and is not stored")
    return {
        "command": "OMP_NUM_THREADS=1 python " + " ".join(command),
        "output": "\n".join(line.rstrip() for line in done.stdout.splitlines()).strip("\n"),
        "version": sg.__version__,
        "python": platform.python_version(),
        "processor": processor(),
        "date": date.today().isoformat(),
    }


def processor() -> str:
    """Name of the processor, as the system gives it."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    """Run and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [*BENCHMARKS, *CAMPAIGNS]
    parser.add_argument("--only", choices=known, action="append", help="one of them; may be repeated")
    parser.add_argument("--out", type=Path, default=Path("docs/data"), help="folder of both files")
    chosen = parser.parse_args()
    for name in chosen.only or BENCHMARKS:
        file = chosen.out / ("campaigns.json" if name in CAMPAIGNS else "performance.json")
        entry = record(name)
        print(entry["output"], flush=True)
        stored = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps({**stored, name: entry}, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

"""Run the performance benchmarks and keep what they print in ``docs/data/performance.json``.

Run with ``OMP_NUM_THREADS=1 python benchmarks/record.py``. The documentation shows the stored
tables with the commands that made them; ``--only rollout`` records one of them anew.
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
    "sweep": ["benchmarks/sweep.py", "overhead"],
    "tournament": ["benchmarks/tournament.py", "overhead"],
    "estimator": ["benchmarks/estimator.py", "--plot", "docs/images/estimator_cost.png"],
}
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "COLUMNS": "110", "TERM": "dumb", "NO_COLOR": "1"}


def record(name: str) -> dict[str, str]:
    """Command, output and circumstances of one benchmark."""
    command = BENCHMARKS[name]
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=True, env={**os.environ, **ENVIRONMENT}
    )
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
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="one benchmark; may be repeated")
    parser.add_argument("--out", type=Path, default=Path("docs/data/performance.json"))
    chosen = parser.parse_args()
    stored = json.loads(chosen.out.read_text()) if chosen.out.exists() else {}
    for name in chosen.only or BENCHMARKS:
        stored[name] = record(name)
        print(stored[name]["output"], flush=True)
        chosen.out.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

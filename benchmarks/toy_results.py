"""Final values of every leader on the toy game, stored in ``docs/data/discrete_toy.json`` for the documentation.

Run with ``OMP_NUM_THREADS=1 python benchmarks/toy_results.py``. Runs the study of ``discrete_toy.py``,
draws its figure, and keeps for each leader the median over seeds between the order statistics that hold it.
"""

from __future__ import annotations

import argparse
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from discrete_toy import draw, study

import stackelberg_games as sg
from stackelberg_games.learning.curves import median_band

NEAR = 0.99


def row(leader: str, finals: Any, optimum: float) -> dict[str, Any]:
    """Statistics of one leader's final values, ``[seeds]``."""
    value, low, high = (float(end[0]) for end in median_band(finals[:, None]))
    return {
        "leader": leader,
        "information": sg.make_leader(leader).information.name,
        "median": value,
        "interval": [low, high],
        "worst": float(finals.min()),
        "near": int((finals >= NEAR * optimum).sum()),
        "seeds": len(finals),
        "values": finals.tolist(),
    }


def cases(results: dict[float, dict[str, Any]]) -> list[dict[str, Any]]:
    """One record for each game, its leaders by class and then by value."""
    found = []
    for R, leaders in results.items():
        game = sg.make("discrete_toy-v0", R=R)
        assert isinstance(game, sg.TabularGame)
        optimum = sg.exact.solve(game, 0.05, starts=8).value
        rows = [row(leader, np.array(values)[:, -1], optimum) for leader, (_, values) in leaders.items()]
        rows.sort(key=lambda entry: (sg.Information[entry["information"]], -entry["median"]))
        found.append({"title": f"`discrete_toy-v0`, `R={R:g}`", "optimum": optimum, "rows": rows})
    return found


def main() -> None:
    """Run, draw and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--plot", default="docs/images/discrete_toy.png")
    parser.add_argument("--out", type=Path, default=Path("docs/data/discrete_toy.json"))
    chosen = parser.parse_args()
    results = study(chosen.seeds, chosen.iterations, chosen.workers)
    draw(results, chosen.plot)
    stored = {
        "command": f"python benchmarks/toy_results.py --seeds {chosen.seeds} --iterations {chosen.iterations}",
        "version": sg.__version__,
        "date": date.today().isoformat(),
        "cases": cases(results),
    }
    chosen.out.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()

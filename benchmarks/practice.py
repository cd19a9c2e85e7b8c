"""What practice before the first batch is worth where the follower lags behind the leader.

``bchg`` on discrete_toy-v0 against ``soft_q_learning`` that takes so many updates an iteration and is never solved. Values
are exact, against the follower's optimal response, after 150 iterations.

Run with ``OMP_NUM_THREADS=1 python benchmarks/practice.py --data docs/data/practice.json``; rows that the file has are kept.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from measuring import final_value, print_table

import stackelberg_games as sg

UPDATES, PRACTICE, SEEDS = (100, 500), (0, 5_000, 20_000, 50_000), 10
"""Of the follower an iteration, and in all before the first; a transition each."""
COMMAND = "python benchmarks/practice.py --data docs/data/practice.json"


def final(updates: int, practice: int, seed: int) -> float:
    """Exact value of what is recommended in the end."""
    loop: dict[str, Any] = {
        "iterations": 150,
        "follower_updates": updates,
        "practice": practice // updates,
        "seed": seed,
    }
    return final_value("discrete_toy-v0", {}, sg.make_leader("bchg"), sg.make_follower("soft_q_learning"), **loop)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    data: Path = parser.parse_args().data
    stored: dict[str, Any] = json.loads(data.read_text()) if data.exists() else {"rows": []}
    known = {(row["updates"], row["practice"]) for row in stored["rows"]}
    for updates in UPDATES:
        for practice in PRACTICE:
            if (updates, practice) in known:
                continue
            values = [final(updates, practice, seed) for seed in range(SEEDS)]
            stored["rows"].append({"updates": updates, "practice": practice, "values": values})
            stored.update(version=sg.__version__, command=COMMAND)
            data.write_text(json.dumps(stored) + "\n")
    rows = [
        (
            f"{row['updates']}",
            f"{row['practice']:,}",
            f"{row['practice'] + 150 * row['updates']:,}",
            f"{np.mean(row['values']):.2f}",
            f"{np.median(row['values']):.2f}",
            f"{sum(value > 26 for value in row['values'])}",
        )
        for row in stored["rows"]
    ]
    print_table("practice", ("updates", "practice", "transitions", "mean", "median", "seeds above 26"), rows)


if __name__ == "__main__":
    main()

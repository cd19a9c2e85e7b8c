"""A leader in a game of vectors whose follower learns beside it, and lags.

``model_based`` on 300 anchors in pendulum_grid-v0 against ``soft_dqn`` of temperature 2: with a little training after every update,
with that after practice on the first commitment, and with as many stages in all, evenly spread. Recommendations are scored exactly,
against the follower that has settled; returns are those against the follower of the moment.

Run with ``OMP_NUM_THREADS=1 python benchmarks/lagging.py --data docs/data/lagging.json``; runs that the file has are kept.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import print_table

import stackelberg_games as sg
from stackelberg_games.numerics.threads import single_threaded

UPDATES, EPISODES = 8, 10
SCHEDULES = {"500 an update": (500, 0), "500, after 20,000": (500, 20_000), "3,000 an update": (3_000, 0)}
"""Stages that the follower plays for every commitment, and for the first one before any update."""


@single_threaded()
def played(schedule: str, seed: int) -> dict[str, Any]:
    """What was earned and recommended with every update."""
    budget, practice = SCHEDULES[schedule]
    began = time.process_time()
    run = sg.train(
        sg.make("pendulum_grid-v0"),
        sg.make_leader("model_based", representation={"anchors": 300, "steps": 20}),
        sg.make_follower("soft_dqn", temperature=2.0, budget=budget),
        iterations=UPDATES,
        episodes=EPISODES,
        seed=seed,
        evaluate_every=1,
        practice=practice // budget,
        progress=False,
    )
    found = {
        "returns": [round(row["leader_return"], 3) for row in run.history],
        "values": [*(round(row["recommended_value"], 4) for row in run.history), run.value],
        "follower_transitions": run.history[-1]["follower_transitions"],
    }
    return {"schedule": schedule, "seed": seed, **found, "cpu_seconds": round(time.process_time() - began, 2)}


def table(rows: list[dict[str, Any]]) -> None:
    """Print what was earned on the way, and what was recommended in the end."""
    shown = []
    for schedule in SCHEDULES:
        here = [row for row in rows if row["schedule"] == schedule]
        if here:
            returns = np.array([row["returns"] for row in here])
            ends = [row["values"][-1] for row in here]
            parts = (
                f"{part.mean():.1f}" for part in (returns[:, :2], returns[:, 2:4], returns[:, 4:6], returns[:, 6:])
            )
            spent = f"{here[0]['follower_transitions']:,}", f"{np.mean([row['cpu_seconds'] for row in here]):.0f}"
            shown.append((schedule, str(len(here)), *parts, f"{np.mean(ends):.2f}", f"{min(ends):.2f}", *spent))
    head = (
        "follower trains",
        "seeds",
        "batches 1, 2",
        "3, 4",
        "5, 6",
        "7, 8",
        "end",
        "worst",
        "follower's stages",
        "CPU s",
    )
    print_table("returns by batch, and what is recommended in the end", head, shown)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", type=Path, help="JSON file of runs: read if it exists, and added to")
    options = parser.parse_args()
    data: Path | None = options.data
    rows: list[dict[str, Any]] = [] if data is None or not data.exists() else json.loads(data.read_text())
    known = {(row["schedule"], row["seed"]) for row in rows}
    for seed in range(options.seeds):
        for schedule in SCHEDULES:
            if (schedule, seed) in known:
                continue
            rows.append(played(schedule, seed))
            if data is not None:
                data.write_text(json.dumps(rows) + "\n")
            print(schedule, seed, rows[-1]["returns"], rows[-1]["values"][-1], flush=True)
    table(rows)


if __name__ == "__main__":
    main()

"""The temperature that ``model_based`` estimates in a game of vectors whose truth is known.

In pendulum_grid-v0, against soft_value_iteration of temperature 2, with as many anchors as it takes if nobody says and with few: under
one commitment, and while plans move from batch to batch, 10,000 transitions each. Values are exact.
Run with ``OMP_NUM_THREADS=1 python benchmarks/vector_temperature.py --data docs/data/vector_temperature.json``; runs that the file has
are not played again.
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

TRUTH = 2.0
SETTINGS: dict[str, dict[str, Any]] = {"800 anchors": {}, "300 anchors, 20 steps": {"anchors": 300, "steps": 20}}
BATCHES = {"1 x 10,000": (1, 100), "5 x 2,000": (5, 20), "10 x 1,000": (10, 10)}
"""Updates, and episodes of 100 stages in each."""


@single_threaded()
def estimated(setting: str, batches: str, seed: int) -> dict[str, Any]:
    """What is estimated after every batch, in shares of the truth, and what the recommendation is worth."""
    iterations, episodes = BATCHES[batches]
    began = time.process_time()
    run = sg.train(
        sg.make("pendulum_grid-v0"),
        sg.make_leader("model_based", representation=SETTINGS[setting]),
        sg.make_follower("soft_value_iteration", temperature=TRUTH),
        iterations=iterations,
        episodes=episodes,
        seed=seed,
        evaluate_every=1,
        temperature="estimated",
        progress=False,
    )
    shares = {
        name: [round(row[f"leader/{key}"] / TRUTH, 4) for row in run.history]
        for name, key in (("share", "temperature"), ("low", "temperature_low"), ("high", "temperature_high"))
    }
    values = [round(row["recommended_value"], 4) for row in run.history]
    found = {"setting": setting, "batches": batches, "seed": seed, **shares, "values": [*values, run.value]}
    return {**found, "cpu_seconds": round(time.process_time() - began, 2)}


def table(rows: list[dict[str, Any]]) -> None:
    """Print the estimates in the end, how many intervals hold the truth, and what the recommendations are worth."""
    shown = []
    for setting in SETTINGS:
        for batches, (iterations, _) in BATCHES.items():
            here = [row for row in rows if (row["setting"], row["batches"]) == (setting, batches)]
            if not here:
                continue
            shares = np.array([row["share"][-1] for row in here])
            held = sum(row["low"][-1] <= 1 <= row["high"][-1] for row in here)
            width = np.mean([row["high"][-1] / row["low"][-1] for row in here])
            ends = [row["values"][-1] for row in here]
            earned = f"{np.mean(ends):.2f}, worst {min(ends):.2f}" if iterations > 1 else ""
            figures = f"{shares.mean():.3f}", f"{shares.min():.2f} to {shares.max():.2f}", f"{held} of {len(here)}"
            spent = np.mean([row["cpu_seconds"] for row in here]) / iterations
            shown.append((setting, batches, str(len(here)), *figures, f"{width:.2f}", earned, f"{spent:.1f}"))
    head = "settings", "batches", "seeds", "mean", "range", "held", "high / low", "value", "CPU s an update"
    print_table("pendulum_grid-v0, estimated / true temperature", head, shown)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--batches", choices=BATCHES, action="append", help="one way to divide them; may be repeated")
    parser.add_argument("--data", type=Path, help="JSON file of runs: read if it exists, and added to")
    options = parser.parse_args()
    data: Path | None = options.data
    rows: list[dict[str, Any]] = [] if data is None or not data.exists() else json.loads(data.read_text())
    known = {(row["setting"], row["batches"], row["seed"]) for row in rows}
    for batches in options.batches or BATCHES:
        for seed in range(options.seeds):
            for setting in SETTINGS:
                if (setting, batches, seed) in known:
                    continue
                rows.append(estimated(setting, batches, seed))
                if data is not None:
                    data.write_text(json.dumps(rows) + "\n")
                print(setting, batches, seed, [rows[-1][name][-1] for name in ("share", "low", "high")], flush=True)
    table(rows)


if __name__ == "__main__":
    main()

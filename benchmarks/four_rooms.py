"""Four Rooms at the published budgets: exact values of trajectory-only leaders beside the published ones.

    python benchmarks/four_rooms.py --out results/four_rooms.json [--leaders model_based bchg] [--seeds 10]

Every run spends at most the transitions of the smallest published setting, 10,000 updates of 100
transitions; the larger settings allow more. Settings were chosen on seeds 100 to 103; the seeds
reported start at 0.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed

import stackelberg_games as sg
from stackelberg_games import exact

BUDGET = 1_000_000
TEMPERATURES = (0.001, 0.003, 0.005)
LEADERS: dict[str, dict[str, Any]] = {
    "model_based": {"learning_rate": 0.1, "explore": 300, "starts": 4, "steps": 300, "heat": 20.0, "replan": 350},
    "model_based, no annealing": {
        "learning_rate": 0.1,
        "explore": 300,
        "starts": 4,
        "steps": 300,
        "heat": 1.0,
        "replan": 350,
        "cold_share": 1.0,
    },
    "model_based, no exploration": {
        "learning_rate": 0.1,
        "explore": 1,
        "starts": 4,
        "steps": 300,
        "heat": 20.0,
        "replan": 350,
    },
    "model_based, one start": {
        "learning_rate": 0.1,
        "explore": 300,
        "starts": 1,
        "steps": 300,
        "heat": 20.0,
        "replan": 350,
    },
    "model_based, gradient only": {"learning_rate": 0.1},
    "bchg": {"learning_rate": 0.1},
    "bchg, ramp and spread": {"learning_rate": 0.1, "ramp": 700, "spread": 3.0},
    "policy_gradient": {"learning_rate": 0.1},
    "hpgd": {"learning_rate": 0.1},
}


def run(label: str, temperature: float, mismatch: bool, seed: int) -> dict[str, Any]:
    """One run; the value is exact, of the recommendation, under the kernel with 0.56."""
    torch.set_num_threads(1)
    game = sg.make("four_rooms-v0", mismatch=mismatch)
    leader = sg.make_leader(label.split(",")[0], **LEADERS[label])
    follower = sg.make_follower("soft_value_iteration", temperature=temperature)
    start = time.process_time()
    done = sg.train(
        game,
        leader,
        follower,
        iterations=10**6,
        episodes=20,
        stages=200,
        budget=BUDGET,
        seed=seed,
        evaluate_every=0,
        progress=False,
    )
    value = float(exact.leader_objective(game, done.commitment, temperature).detach())
    seconds = time.process_time() - start
    figures = {
        "value": value,
        "transitions": done.history[-1]["transitions"],
        "updates": len(done.history),
        "seconds": seconds,
    }
    return {"leader": label, "temperature": temperature, "mismatch": mismatch, "seed": seed, **figures}


def main() -> None:
    """Run what is not in the file yet, store each run as it ends, and print means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--leaders", nargs="+", default=list(LEADERS), choices=list(LEADERS))
    parser.add_argument("--temperatures", nargs="+", type=float, default=list(TEMPERATURES))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    known = {(row["leader"], row["temperature"], row["mismatch"], row["seed"]) for row in rows}
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    wanted = [
        (leader, temperature, mismatch, seed)
        for leader in options.leaders
        for mismatch in (False, True)
        for temperature in options.temperatures
        for seed in seeds
    ]
    tasks = (delayed(run)(*task) for task in wanted if task not in known)
    with options.out.open("a") as stream:
        for row in Parallel(n_jobs=options.workers, return_as="generator_unordered")(tasks):
            stream.write(json.dumps(row) + "\n")
            stream.flush()
            rows.append(row)
    for leader in options.leaders:
        for mismatch in (False, True):
            for temperature in options.temperatures:
                values = np.array(
                    [
                        r["value"]
                        for r in rows
                        if (r["leader"], r["mismatch"], r["temperature"]) == (leader, mismatch, temperature)
                    ]
                )
                error = values.std(ddof=1) / len(values) ** 0.5
                print(
                    f"{leader:<28} mismatch={mismatch!s:<5} tau={temperature}: {values.mean():.3f} +- {error:.3f} (n={len(values)}, min {values.min():.3f})"
                )


if __name__ == "__main__":
    main()

"""What recursive momentum does for labels: how the gradient falls with samples, and how far estimates are from it.

For every game and every way to estimate, some seeds of ``stochastic_sobirl``: the slope of the least squared norm of the exact
hypergradient so far against the labels spent, both in logarithms, with the 95 % interval of the seeds' slopes; and the mean squared
error of the estimate it steps along in the last third, beside that of an estimate from the same pairs alone.

Run with ``python benchmarks/stochastic_sobirl.py --data docs/data/stochastic_sobirl.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.commitments.configuration import Configuration

TEMPERATURE, PAIRS = 0.5, 16
WAYS = {"recursive momentum": 10.0, "plain estimate": 1e9}


def run(game: Any, forgetting: float, seed: int, updates: int) -> tuple[float, float]:
    """Slope of the gradient's norm, and mean squared error of the estimate at the end."""
    marks = set(np.unique(np.geomspace(4, updates, 25).astype(int)).tolist())
    spent, norms, errors = [], [], []

    def look(record: Any, leader: Any) -> None:
        number = int(record["iteration"]) + 1
        late = number > 2 * updates // 3 and number % 5 == 0
        if number in marks or late:
            here = Configuration(leader.earlier, states=game.states)
            wanted = -exact.preference_rows(game, here, TEMPERATURE).total
            if number in marks:
                spent.append(record["labels"])
                norms.append(float(wanted @ wanted))
            if late:
                errors.append(float(((leader.momentum - wanted) ** 2).sum()))

    leader = sg.make_leader("stochastic_sobirl", forgetting=forgetting)
    follower = sg.make_follower("soft_value_iteration", temperature=TEMPERATURE)
    settings: dict[str, Any] = {"iterations": updates, "episodes": 2 * PAIRS, "evaluate_every": 0, "progress": False}
    sg.train(game, leader, follower, seed=seed, callbacks=[look], **settings)
    least = np.minimum.accumulate(norms)
    return float(np.polyfit(np.log(spent), np.log(least), 1)[0]), float(np.mean(errors))


def interval(values: list[float]) -> tuple[float, float, float]:
    """Mean and its 95 % interval."""
    numbers = np.array(values)
    half = stats.t.ppf(0.975, len(numbers) - 1) * numbers.std(ddof=1) / len(numbers) ** 0.5
    return float(numbers.mean()), float(numbers.mean() - half), float(numbers.mean() + half)


def main() -> None:
    """Run, print and store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--updates", type=int, default=300)
    parser.add_argument("--data", type=Path)
    chosen = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for variant in ("open", "decoy"):
        game = sg.make("preference_grid-v0", variant=variant)
        for way, forgetting in WAYS.items():
            start = time.process_time()
            found = [run(game, forgetting, seed, chosen.updates) for seed in range(chosen.seeds)]
            slope, error = (interval([row[part] for row in found]) for part in (0, 1))
            rows.append({"variant": variant, "way": way, "slope": slope, "error": error})
            print(
                f"{variant:<6} {way:<19} slope {slope[0]:+.2f} ({slope[1]:+.2f} to {slope[2]:+.2f}), squared error "
                f"{error[0]:.4f} ({error[1]:.4f} to {error[2]:.4f}), {time.process_time() - start:.0f} s",
                flush=True,
            )
    if chosen.data:
        facts = {"seeds": chosen.seeds, "updates": chosen.updates, "pairs": PAIRS, "temperature": TEMPERATURE}
        command = " ".join(["python", "benchmarks/stochastic_sobirl.py", *sys.argv[1:]])
        content = {"command": command, "date": date.today().isoformat(), **facts, "rows": rows}
        chosen.data.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()

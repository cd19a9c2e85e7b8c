"""What a leader loses who believes a wrong temperature of its follower, and one that finds it out.

``bchg`` is told 0.25, 0.5, 1, 2 and 4 times the follower's true temperature, or nothing and estimates it, on
discrete_toy-v0 and lqr-v0. Values are exact, against the follower's true response, at the end of training.
Run with ``OMP_NUM_THREADS=1 python benchmarks/temperature.py --data docs/data/temperature.json --plot
docs/images/temperature.png``; beliefs that the file has are not played again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from measuring import final_value

import stackelberg_games as sg

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
ESTIMATED = "estimated"
APART = 16.0
"""Where the estimate stands in the picture."""
BELIEFS = (*(f"{factor:g}" for factor in FACTORS), ESTIMATED)
STUDIES: dict[str, tuple[str, float, dict[str, Any], int, int]] = {
    # game: follower, true temperature, leader settings, iterations, episodes
    "discrete_toy-v0": ("soft_value_iteration", 0.05, {}, 500, 3),
    "lqr-v0": ("maxent_lqr", 0.1, {"learning_rate": 0.1}, 300, 4),
}


def final(name: str, belief: str, seed: int) -> float:
    """Exact value of what a leader with this belief recommends in the end."""
    follower, truth, settings, iterations, episodes = STUDIES[name]
    return final_value(
        name,
        {},
        sg.make_leader("bchg", **settings),
        sg.make_follower(follower, temperature=truth),
        iterations=iterations,
        episodes=episodes,
        temperature=ESTIMATED if belief == ESTIMATED else float(belief) * truth,
        seed=seed,
    )


def study(results: dict[str, dict[str, list[float]]], seeds: int, workers: int) -> None:
    """Add final values by game and belief, where there are none."""
    tasks = [(name, belief) for name in STUDIES for belief in BELIEFS if belief not in results.get(name, {})]
    found = Parallel(n_jobs=workers)(delayed(final)(*task, seed) for task in tasks for seed in range(seeds))
    for number, (name, belief) in enumerate(tasks):
        results.setdefault(name, {})[belief] = found[number * seeds : (number + 1) * seeds]


def table(results: dict[str, dict[str, list[float]]]) -> None:
    """Print mean, standard error, the worst seed, and the worst share of what the same seed earns at the truth."""
    for name, rows in results.items():
        print(name)
        for belief in BELIEFS:
            values = rows[belief]
            error, worst = np.std(values, ddof=1) / len(values) ** 0.5, min(np.divide(values, rows["1"]))
            print(
                f"  believed / true {belief:>9}: {np.mean(values):8.3f} +- {error:.3f}   worst {min(values):8.3f}   "
                f"worst share {worst:.4f}"
            )


def draw(results: dict[str, dict[str, list[float]]], path: str) -> None:
    """Every seed's final value against the belief."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.4), dpi=150, layout="constrained")
    for axes, (name, rows) in zip(figure.subplots(1, len(results)), results.items(), strict=True):
        places = [*FACTORS, APART]
        for place, belief in zip(places, BELIEFS, strict=True):
            axes.plot([place] * len(rows[belief]), rows[belief], "o", color="#0072B2", alpha=0.35, markersize=4)
        means = [np.mean(rows[belief]) for belief in BELIEFS]
        axes.plot(places[:-1], means[:-1], color="#D55E00", linewidth=1.8, label="mean")
        axes.plot(APART, means[-1], "_", color="#D55E00", markersize=22, markeredgewidth=2)
        axes.set_xscale("log", base=2)
        axes.set_xticks(places, BELIEFS)
        axes.minorticks_off()
        axes.set(xlabel="believed / true temperature", ylabel="exact final value")
        axes.set_title(name, loc="left", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)
    figure.savefig(path)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--plot", help="picture")
    parser.add_argument("--data", help="JSON file of results: read if it exists, and added to")
    options = parser.parse_args()
    stored = None if options.data is None else Path(options.data)
    results = {} if stored is None or not stored.exists() else json.loads(stored.read_text())
    study(results, options.seeds, options.workers)
    if stored is not None:
        stored.write_text(json.dumps(results))
    table(results)
    if options.plot:
        draw(results, options.plot)


if __name__ == "__main__":
    main()

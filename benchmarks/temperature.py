"""What a leader loses who believes a wrong temperature of its follower.

``bchg`` is told 0.25, 0.5, 1, 2 and 4 times the follower's true temperature, on discrete_toy-v0 and
lqr-v0. Values are exact, against the follower's true response, at the end of training.
Run with ``python benchmarks/temperature.py --plot docs/images/temperature.png``.
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
STUDIES: dict[str, tuple[str, float, dict[str, Any], int, int]] = {
    # game: follower, true temperature, leader settings, iterations, episodes
    "discrete_toy-v0": ("soft_value_iteration", 0.05, {}, 500, 3),
    "lqr-v0": ("maxent_lqr", 0.1, {"learning_rate": 0.1}, 300, 4),
}


def final(name: str, factor: float, seed: int) -> float:
    """Exact value of what a leader with this belief recommends in the end."""
    follower, truth, settings, iterations, episodes = STUDIES[name]
    return final_value(
        name,
        {},
        sg.make_leader("bchg", **settings),
        sg.make_follower(follower, temperature=truth),
        iterations=iterations,
        episodes=episodes,
        temperature=factor * truth,
        seed=seed,
    )


def study(seeds: int, workers: int) -> dict[str, dict[str, list[float]]]:
    """Final values by game and factor."""
    tasks = [(name, factor, seed) for name in STUDIES for factor in FACTORS for seed in range(seeds)]
    found = Parallel(n_jobs=workers)(delayed(final)(*task) for task in tasks)
    results: dict[str, dict[str, list[float]]] = {}
    for (name, factor, _), value in zip(tasks, found, strict=True):
        results.setdefault(name, {}).setdefault(f"{factor:g}", []).append(value)
    return results


def table(results: dict[str, dict[str, list[float]]]) -> None:
    """Print mean, standard error and the worst seed."""
    for name, rows in results.items():
        print(name)
        for factor, values in rows.items():
            error = np.std(values, ddof=1) / len(values) ** 0.5
            print(f"  believed / true {factor:>5}: {np.mean(values):8.3f} +- {error:.3f}   worst {min(values):8.3f}")


def draw(results: dict[str, dict[str, list[float]]], path: str) -> None:
    """Every seed's final value against the factor."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.4), dpi=150, layout="constrained")
    for axes, (name, rows) in zip(figure.subplots(1, len(results)), results.items(), strict=True):
        factors = [float(factor) for factor in rows]
        for factor, values in zip(factors, rows.values(), strict=True):
            axes.plot([factor] * len(values), values, "o", color="#0072B2", alpha=0.35, markersize=4)
        axes.plot(factors, [np.mean(values) for values in rows.values()], color="#D55E00", linewidth=1.8, label="mean")
        axes.set_xscale("log", base=2)
        axes.set_xticks(factors, [f"{factor:g}" for factor in factors])
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
    parser.add_argument("--data", help="JSON file: written after the runs, read instead of them if it exists")
    options = parser.parse_args()
    stored = None if options.data is None else Path(options.data)
    if stored is not None and stored.exists():
        results = json.loads(stored.read_text())
    else:
        results = study(options.seeds, options.workers)
        if stored is not None:
            stored.write_text(json.dumps(results))
    table(results)
    if options.plot:
        draw(results, options.plot)


if __name__ == "__main__":
    main()

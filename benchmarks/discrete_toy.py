"""Every leader on the toy game at equal transitions, beside the exact optimum and the published runs.

Run with ``python benchmarks/discrete_toy.py --plot docs/images/discrete_toy.png``. Settings are the
defaults of every leader; nothing is chosen by its outcome on these seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from joblib import Parallel, delayed

import stackelberg_games as sg
from stackelberg_games.learning.plots import COLOURS

LEADERS = (
    "bchg",
    "policy_gradient",
    "bi_actor_critic",
    "evolution_strategies",
    "random_search",
    "exact_gradient",
)
# Ends of the published learning curves, mean over 10 seeds (arXiv 2603.14867): discounted return
# for R = 1; for R = 2 only the undiscounted one is published, so it is not comparable here.
PUBLISHED = {1.0: {"bchg": 27.15, "bi_actor_critic": 3.46, "policy_gradient": 11.1}, 2.0: {}}


def curve(leader: str, R: float, seed: int, iterations: int) -> tuple[list[float], list[float]]:
    """Transitions and exact values of one run."""
    game = sg.make("discrete_toy-v0", R=R)
    run = sg.train(game, leader, "soft_value_iteration", iterations=iterations, seed=seed, progress=False)
    rows = [row for row in run.history if "recommended_value" in row]
    transitions = [row["transitions"] for row in rows] + [run.history[-1]["transitions"]]
    assert run.value is not None
    return transitions, [row["recommended_value"] for row in rows] + [run.value]


def study(seeds: int, iterations: int, workers: int) -> dict[float, dict[str, Any]]:
    """Curves by R and leader: transitions ``[K]`` and values ``[seeds, K]``."""
    tasks = [(leader, R, seed) for R in (1.0, 2.0) for leader in LEADERS for seed in range(seeds)]
    found = Parallel(n_jobs=workers)(delayed(curve)(*task, iterations) for task in tasks)
    results: dict[float, dict[str, Any]] = {1.0: {}, 2.0: {}}
    for (leader, R, _), (transitions, values) in zip(tasks, found, strict=True):
        entry = results[R].setdefault(leader, (transitions, []))
        entry[1].append(values)
    return results


def table(results: dict[float, dict[str, Any]]) -> None:
    """Print final values and means from the 100th update on."""
    for R, leaders in results.items():
        game = sg.make("discrete_toy-v0", R=R)
        assert isinstance(game, sg.TabularGame)
        optimum = sg.exact.solve(game, 0.05, starts=8).value
        print(f"\nR = {R:g}: exact optimum {optimum:.4f} (discounted, 150 stages)")
        print(
            f"{'leader':<22}{'final mean':>11}{'min':>9}{'seeds >= 99 %':>15}{'mean from update 100':>22}{'published':>11}"
        )
        for leader, (transitions, values) in leaders.items():
            table = np.array(values)
            late = table[:, np.array(transitions) > 45_000].mean()
            near = int((table[:, -1] >= 0.99 * optimum).sum())
            shown = PUBLISHED[R].get(leader)
            print(
                f"{leader:<22}{table[:, -1].mean():>11.3f}{table[:, -1].min():>9.3f}{f'{near} of {len(table)}':>15}"
                f"{late:>22.3f}{'-' if shown is None else f'{shown:.2f}':>11}"
            )


def draw(results: dict[float, dict[str, Any]], path: str) -> None:
    """Regret to the exact optimum on a log axis, interquartile band over seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), dpi=150, layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (R, leaders) in zip(panels, results.items(), strict=True):
        game = sg.make("discrete_toy-v0", R=R)
        assert isinstance(game, sg.TabularGame)
        optimum = sg.exact.solve(game, 0.05, starts=8).value
        for colour, (leader, (transitions, values)) in zip(COLOURS, leaders.items(), strict=False):
            regret = np.maximum(optimum - np.array(values), 1e-6)
            low, middle, high = np.quantile(regret, [0.25, 0.5, 0.75], axis=0)
            reference = leader == "exact_gradient"
            style = {"color": "0.35" if reference else colour, "linestyle": "--" if reference else "-"}
            axes.plot(
                transitions, middle, label=leader + (" (reads the model)" if reference else ""), linewidth=1.8, **style
            )
            axes.fill_between(transitions, low, high, color=style["color"], alpha=0.15, linewidth=0)
        if "bchg" in PUBLISHED[R]:
            axes.plot(
                225_000, optimum - PUBLISHED[R]["bchg"], "k*", markersize=9, label="published bchg (reads the follower)"
            )
        axes.set_yscale("log")
        axes.set_xlabel("transitions played")
        axes.set_title(f"discrete_toy-v0, R = {R:g}", loc="left", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xticks([0, 100_000, 200_000], ["0", "100k", "200k"])
    panels[0].set_ylabel("regret to the exact optimum")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    figure.savefig(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--plot", help="where to draw the learning curves")
    options = parser.parse_args(arguments)
    results = study(options.seeds, options.iterations, options.workers)
    table(results)
    if options.plot:
        draw(results, options.plot)


if __name__ == "__main__":
    main()

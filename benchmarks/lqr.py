"""Every leader on lqr-v0 at equal transitions, from the published distribution of starts, and its speed.

Run with ``python benchmarks/lqr.py --data docs/data/lqr.json --plot docs/images/lqr.png``. Learning rates
of gradient leaders are the published 0.1, other settings are defaults, but that ``stackelberg_actor_critic``
reads nothing of the follower; nothing is chosen by its outcome on these seeds. Values are exact and
undiscounted over 100 stages, as in the published figure; leaders train on the discounted return.
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
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy
from stackelberg_games.errors import SolverError
from stackelberg_games.kinds.linear_quadratic import linear
from stackelberg_games.learning.information import Evidence
from stackelberg_games.learning.plots import COLOURS

TEMPERATURE, EPISODES, STAGES = 0.1, 4, 100
OPTIMUM = 18.4264  # undiscounted, at K = (-9.9655, -10.000)
PUBLISHED = {"bchg": 0.13, "policy_gradient": 0.02}  # published averages at 200,000 transitions
LEADERS: dict[str, tuple[dict[str, Any], int]] = {  # settings, transitions
    "bchg": ({"learning_rate": 0.1}, 200_000),
    "model_based": ({}, 20_000),
    "stackelberg_actor_critic": ({"learning_rate": 0.1, "reads": "none"}, 200_000),
    "bi_actor_critic": ({"learning_rate": 0.1}, 200_000),
    "policy_gradient": ({"learning_rate": 0.1}, 200_000),
    "evolution_strategies": ({}, 200_000),
    "random_search": ({}, 200_000),
    "exact_gradient": ({"learning_rate": 0.1}, 200_000),
}

READS = {"exact_gradient": " (reads the model)"}


def value(policy: Any) -> float:
    """Exact undiscounted value of a commitment; zero where the follower has no stable response."""
    try:
        with torch.no_grad():
            return float(sg.exact.leader_objective(sg.make("lqr-v0"), policy, TEMPERATURE, discount=1.0))
    except SolverError:
        return 0.0


def curve(name: str, seed: int, every: int) -> tuple[list[int], list[float]]:
    """Transitions and values of one run, recorded every so many updates and at the end."""
    settings, budget = LEADERS[name]
    torch.set_num_threads(1)
    iterations = budget // (EPISODES * STAGES)
    transitions, values = [], []

    def note(record: Any, leader: Any) -> None:
        done = int(record["iteration"]) + 1
        if done % every == 0 or done == iterations or (name == "model_based" and done <= 10):
            transitions.append(int(record["transitions"]))
            values.append(round(value(leader.recommendation), 4))

    sg.train(
        sg.make("lqr-v0"),
        sg.make_leader(name, **settings),
        "maxent_lqr",
        iterations=iterations,
        episodes=EPISODES,
        seed=seed,
        evaluate_every=0,
        callbacks=[note],
        progress=False,
    )
    return transitions, values


def study(name: str, seeds: int, workers: int, every: int = 5) -> tuple[list[int], list[list[float]]]:
    """Curves of a leader: transitions ``[K]`` and values ``[seeds, K]``."""
    found = Parallel(n_jobs=workers)(delayed(curve)(name, seed, every) for seed in range(seeds))
    return found[0][0], [values for _, values in found]


def table(results: dict[str, tuple[list[int], list[list[float]]]]) -> None:
    """Print where every leader ends, and when it first reaches 18."""
    print(f"exact optimum {OPTIMUM:.4f} (undiscounted, {STAGES} stages)")
    print(
        f"{'leader':<24}{'transitions':>12}{'median':>9}{'min':>9}{'>= 15':>8}{'>= 18':>8}{'18 first at':>13}{'published':>11}"
    )
    for name, (transitions, values) in results.items():
        rows = np.array(values)
        final, reached = rows[:, -1], (rows >= 18.0)
        first = [transitions[int(row.argmax())] for row in reached if row.any()]
        shown = f"{int(np.median(first)):,}" if len(first) == len(rows) else "-"
        print(
            f"{name:<24}{transitions[-1]:>12,}{np.median(final):>9.3f}{final.min():>9.3f}{(final >= 15).sum():>8}"
            f"{(final >= 18).sum():>8}{shown:>13}{PUBLISHED.get(name, '-'):>11}"
        )


def draw(results: dict[str, tuple[list[int], list[list[float]]]], path: str) -> None:
    """Regret to the exact optimum on a log axis: median and interquartile band over seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for colour, (name, (transitions, values)) in zip(COLOURS, results.items(), strict=False):
        low, middle, high = np.quantile(np.maximum(OPTIMUM - np.array(values), 1e-3), [0.25, 0.5, 0.75], axis=0)
        reference = name == "exact_gradient"
        style = {"color": "0.35" if reference else colour, "linestyle": "--" if reference else "-"}
        axes.plot(transitions, middle, label=name + READS.get(name, ""), linewidth=1.8, **style)
        axes.fill_between(transitions, low, high, color=style["color"], alpha=0.2, linewidth=0)
    axes.set(yscale="log", xlabel="transitions played", ylabel="regret to the exact optimum 18.43")
    axes.set_title("lqr-v0, 20 seeds: median and quartiles of exact regret", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.ticklabel_format(axis="x", style="plain")
    axes.text(200_000, 14.5, "the three at the top lie on each other", fontsize=7, color="0.35", ha="right", va="top")
    axes.legend(frameon=False, fontsize=8, loc="center right", bbox_to_anchor=(1, 0.49))
    figure.savefig(path)


def speed() -> None:
    """Print CPU time of batched play and of an update, best of several."""
    game = sg.make("lqr-v0")
    policy = LinearGaussianPolicy(game, [[-9.0, -9.0]])
    response = sg.make_follower("maxent_lqr").respond(game, policy).policy
    for episodes in (256, 1000, 4000):
        spent = min(_seconds(lambda n=episodes: sg.rollout(game, policy, response, episodes=n)) for _ in range(20))
        print(f"rollout of {episodes} episodes: {episodes * STAGES / spent / 1e6:.1f} million stages per CPU-second")
    leader = sg.make_leader("bchg")
    leader.begin(game.view(TEMPERATURE))
    linear(leader.commitment)
    batch = sg.rollout(game, leader.commitment, response, episodes=EPISODES)
    evidence = Evidence(batch.leader_returns(game.leader_discount), batch)
    spent = float(np.median([_seconds(lambda: leader.update(evidence)) for _ in range(100)]))
    print(f"update of bchg ({EPISODES} episodes of {STAGES}): {1e3 * spent:.1f} ms CPU")


def _seconds(work: Any) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--plot", help="picture of the learning curves")
    parser.add_argument("--data", help="JSON file: what it holds is not run again, and what is run is added")
    parser.add_argument("--speed", action="store_true", help="measure speed only")
    options = parser.parse_args()
    if options.speed:
        speed()
        return
    stored = None if options.data is None else Path(options.data)
    results = {}
    if stored is not None and stored.exists():
        results = {name: (entry[0], entry[1]) for name, entry in json.loads(stored.read_text()).items()}
    for name in LEADERS:
        if name not in results:
            results[name] = study(name, options.seeds, options.workers)
            if stored is not None:
                stored.write_text(json.dumps(results))
    results = {name: results[name] for name in LEADERS}
    table(results)
    if options.plot:
        draw(results, options.plot)


if __name__ == "__main__":
    main()

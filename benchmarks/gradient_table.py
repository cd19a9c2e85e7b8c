"""Measured bias and deviation of every leader's gradient estimate, at three amounts of data.

Run with ``OMP_NUM_THREADS=1 python benchmarks/gradient_table.py``; it stores
``docs/data/gradients.json``, from which the documentation's pages on leaders are made. Every
estimate starts from nothing: critics and gradient come from the same transitions, 3, 30 or 300
episodes of 150 stages. Compared with the exact hypergradient at two commitments.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import stackelberg_games as sg
from stackelberg_games.errors import StackelbergError
from stackelberg_games.leader import GradientLeader

STAGES = 150
EPISODES = (3, 30, 300)
GAMES: dict[str, dict[str, Any]] = {
    "discrete_toy-v0": {},
    "random_game-v0": {"horizon": STAGES},
}
TEMPERATURES = {"discrete_toy-v0": 0.05, "random_game-v0": 0.2}
TOY_P = 0.25
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "bchg": {
        "": {},
        "centre=False": {"centre": False},
        "trace_decay=0.9": {"trace_decay": 0.9},
        'reads="policy"': {"reads": "policy"},
        'reads="values"': {"reads": "values"},
    }
}


def commitment(name: str, game: Any) -> sg.TabularPolicy:
    """Where gradients are compared: left of the toy's cliff, and a random policy."""
    if name == "discrete_toy-v0":
        return sg.TabularPolicy.from_probabilities(game, [[0.5, 0.5], [1 - TOY_P, TOY_P], [0.5, 0.5]])
    logits = np.random.default_rng(0).normal(size=(game.states, game.leader_actions))
    return sg.TabularPolicy(game, logits)


def candidates() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every leader that estimates a gradient, with its variants."""
    for name in sg.leaders():
        if isinstance(sg.make_leader(name), GradientLeader):
            for label, settings in VARIANTS.get(name, {"": {}}).items():
                yield name, label, settings


def measure(name: str, leader: str, settings: dict[str, Any], episodes: int, batches: int) -> dict[str, Any]:
    """One cell of the table."""
    game = sg.make(name, **GAMES[name])
    report = sg.gradient_check(
        game,
        sg.make_leader(leader, **settings),
        sg.make_follower("soft_value_iteration", temperature=TEMPERATURES[name]),
        commitment=commitment(name, game),
        batches=batches,
        episodes=episodes,
    )
    return {
        "transitions": report.transitions,
        "cosine": report.cosine,
        "single_cosine": report.mean_cosine,
        "bias": report.relative_bias,
        "bias_error": report.relative_bias_error,
        "deviation": report.relative_deviation,
    }


def rows(batches: int) -> Iterator[dict[str, Any]]:
    """All cells; a leader that cannot play a game is left out there."""
    for name in GAMES:
        for leader, label, settings in candidates():
            for episodes in EPISODES:
                try:
                    cell = measure(name, leader, settings, episodes, batches)
                except StackelbergError as error:
                    print(f"{name} {leader}: {error}")
                    break
                print(f"{name} {leader} {label} " + " ".join(f"{k}={v:.4g}" for k, v in cell.items()), flush=True)
                yield {"game": name, "leader": leader, "variant": label, **cell}


def main() -> None:
    """Measure and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=200, help="independent estimates in each cell")
    parser.add_argument("--out", type=Path, default=Path("docs/data/gradients.json"))
    chosen = parser.parse_args()
    stored = {
        "command": f"python benchmarks/gradient_table.py --batches {chosen.batches}",
        "version": sg.__version__,
        "batches": chosen.batches,
        "settings": GAMES,
        "temperatures": TEMPERATURES,
        "rows": list(rows(chosen.batches)),
    }
    chosen.out.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Measured bias and deviation of every leader's gradient estimate, at three amounts of data.

Run with ``OMP_NUM_THREADS=1 python benchmarks/gradient_table.py``; it stores
``docs/data/gradients.json``, from which the documentation's pages on leaders are made. Every
estimate starts from nothing: critics and gradient come from the same transitions, in three amounts.
Compared with the exact hypergradient at one commitment in each game. ``--games`` measures some games
anew, ``--leaders`` some leaders, and the stored rows of the others are kept.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import stackelberg_games as sg
from stackelberg_games.errors import StackelbergError
from stackelberg_games.learning.ascent import GradientLeader

STAGES = 150
PLAN = "xxxxxxx\nxS   Gx\nx xxx x\nx  T  x\nxxxxxxx"


class Case(NamedTuple):
    """A game, how it is played, and the amounts of data; the commitment is made by ``commitment``."""

    settings: dict[str, Any]
    temperature: float
    episodes: tuple[int, ...] = (3, 30, 300)
    follower: str = "soft_value_iteration"


CASES: dict[str, Case] = {
    "discrete_toy-v0": Case({}, 0.05),
    "random_game-v0": Case({"horizon": STAGES}, 0.2),
    "four_rooms-v0": Case({"plan": PLAN, "discount": 0.9}, 0.02, (10, 100, 1000)),
    "thermal_control-v0": Case({}, 0.1, (1, 10, 100), "maxent_lqr"),
    "preference_grid-v0": Case({"variant": "decoy"}, 0.5, (4, 40, 400)),
}
TOY_P = 0.25
UNROLLED = 'adjoint={"kind": "unroll"}'
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "bchg": {
        "": {},
        'adjoint={"centre": False}': {"adjoint": {"centre": False}},
        'adjoint={"decay": 0.9}': {"adjoint": {"decay": 0.9}},
        'reads="policy"': {"reads": "policy"},
        'reads="values"': {"reads": "values"},
        'adjoint={"kind": "unroll"}': {"adjoint": {"kind": "unroll"}},
    },
    "hpgd": {
        "": {},
        'estimation="sarsa"': {"estimation": "sarsa"},
        'estimation="td"': {"estimation": "td"},
        'estimation="oracle"': {"estimation": "oracle"},
    },
    "sobirl": {"": {}, "truncated=True": {"truncated": True}},
    "stackelberg_ppo": {"": {}, "damping=0.0": {"damping": 0.0}},
}
ONLY = {
    "thermal_control-v0": {UNROLLED},
    "preference_grid-v0": {'reads="policy"'},
    "four_rooms-v0": {'adjoint={"decay": 0.9}', 'adjoint={"centre": False}', 'reads="policy"', 'reads="values"'},
}
"""Variants of bchg that say something in a game; finite ones are always unrolled."""


def commitment(name: str, game: Any) -> Any:
    """Where gradients are compared: left of the toy's cliff, and a random policy or configuration."""
    if name == "discrete_toy-v0":
        return sg.TabularPolicy.from_probabilities(game, [[0.5, 0.5], [1 - TOY_P, TOY_P], [0.5, 0.5]])
    if name == "random_game-v0":
        return sg.TabularPolicy(game, np.random.default_rng(0).normal(size=(game.states, game.leader_actions)))
    return game.commitment(0, 0.3 if name == "preference_grid-v0" else 1.0)


def candidates(leaders: list[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Those of the leaders that estimate a gradient, with their variants."""
    for name in leaders:
        if isinstance(sg.make_leader(name), GradientLeader):
            for label, settings in VARIANTS.get(name, {"": {}}).items():
                yield name, label, settings


def measure(name: str, leader: str, settings: dict[str, Any], episodes: int, batches: int) -> dict[str, Any]:
    """One cell of the table."""
    case = CASES[name]
    game = sg.make(name, **case.settings)
    follower = sg.make_follower(case.follower, temperature=case.temperature)
    start = commitment(name, game)
    report = sg.gradient_check(
        game, sg.make_leader(leader, **settings), follower, commitment=start, batches=batches, episodes=episodes
    )
    played = sg.rollout(game, start, follower.respond(game, start).policy, episodes=1000, seed=0).transitions
    return {
        "transitions": round(episodes * played / 1000),
        "cosine": report.cosine,
        "single_cosine": report.mean_cosine,
        "bias": report.relative_bias,
        "bias_error": report.relative_bias_error,
        "deviation": report.relative_deviation,
    }


def rows(games: list[str], leaders: list[str], batches: int) -> Iterator[dict[str, Any]]:
    """All cells; a leader that cannot play a game is left out there."""
    for name in games:
        for leader, label, settings in candidates(leaders):
            if leader == "bchg" and label and label not in ONLY.get(name, set(VARIANTS["bchg"]) - {UNROLLED}):
                continue
            for episodes in CASES[name].episodes:
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
    parser.add_argument("--games", nargs="+", choices=list(CASES), default=list(CASES), help="the others are kept")
    parser.add_argument("--out", type=Path, default=Path("docs/data/gradients.json"))
    parser.add_argument("--leaders", nargs="+", choices=sg.leaders(), default=sg.leaders(), help="the others are kept")
    chosen = parser.parse_args()
    kept = json.loads(chosen.out.read_text())["rows"] if chosen.out.exists() else []
    anew = {(name, leader) for name in chosen.games for leader in chosen.leaders}
    found = [row for row in kept if (row["game"], row["leader"]) not in anew]
    found += rows(chosen.games, chosen.leaders, chosen.batches)
    stored = {
        "command": f"python benchmarks/gradient_table.py --batches {chosen.batches}",
        "version": sg.__version__,
        "batches": chosen.batches,
        "settings": {name: case.settings for name, case in CASES.items()},
        "temperatures": {name: case.temperature for name, case in CASES.items()},
        "rows": sorted(found, key=lambda row: (list(CASES).index(row["game"]), row["leader"])),
    }
    chosen.out.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""What a leader loses who observes the follower's actions, but not its rewards.

``bchg`` and ``model_based`` with ``follower_rewards="observed"`` and ``"unobserved"``, also where they
believe a wrong temperature, on discrete_toy-v0 and on lqr-v0. The costs of lqr-v0 are not the defaults
here, because those are what the inference of costs starts from. Values are exact, against the
follower's true response, at the end of training.
Run with ``python benchmarks/unobserved_rewards.py --data docs/data/unobserved_rewards.json``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from measuring import final_value

import stackelberg_games as sg

GAMES: dict[str, tuple[dict[str, Any], str, float, int]] = {  # settings, follower, true temperature, episodes
    "discrete_toy-v0": ({}, "soft_value_iteration", 0.05, 3),
    "lqr-v0": ({"cost": {"Q": [[3.0, 0.5], [0.5, 0.3]], "R": [[0.2]]}}, "maxent_lqr", 0.1, 4),
}
BOTH = (("observed", 1.0), ("unobserved", 1.0))
BELIEFS = (*BOTH, ("observed", 4.0), ("unobserved", 4.0))
"""What is granted, and the believed temperature over the true one."""
LEADERS: dict[tuple[str, str], tuple[dict[str, Any], int, Any]] = {  # settings, iterations, cases
    ("discrete_toy-v0", "bchg"): ({}, 300, BELIEFS),
    ("discrete_toy-v0", "model_based"): ({}, 300, BOTH),
    ("lqr-v0", "model_based"): ({}, 30, BELIEFS),
    ("lqr-v0", "bchg"): ({"learning_rate": 0.1}, 250, BOTH),
}


def final(game_id: str, leader: str, rewards: str, factor: float, seed: int) -> float:
    """Exact value of what a leader recommends in the end."""
    given, follower, truth, episodes = GAMES[game_id]
    settings, iterations, _ = LEADERS[game_id, leader]
    return final_value(
        game_id,
        given,
        sg.make_leader(leader, follower_rewards=rewards, **settings),
        sg.make_follower(follower, temperature=truth),
        iterations=iterations,
        episodes=episodes,
        temperature=factor * truth,
        seed=seed,
    )


def study(seeds: int, stored: Path | None) -> dict[str, list[float]]:
    """Final values by game, leader, what is granted and the belief; seed by seed, so that it can be cut short."""
    results: dict[str, list[float]] = {}
    if stored is not None and stored.exists():
        results = json.loads(stored.read_text())
    for seed in range(seeds):
        for (game_id, leader), (_, _, cases) in LEADERS.items():
            for rewards, factor in cases:
                found = results.setdefault(f"{game_id} {leader} {rewards} {factor:g}", [])
                if len(found) > seed:
                    continue
                found.append(round(final(game_id, leader, rewards, factor, seed), 4))
                if stored is not None:
                    stored.write_text(json.dumps(results))
    return results


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument(
        "--data", type=Path, help="JSON file: runs that it holds are not played again, others are added"
    )
    options = parser.parse_args()
    print(f"{'game, leader, rewards, believed / true temperature':<52}{'seeds':>6}{'mean':>9}{'error':>8}{'worst':>9}")
    for name, values in study(options.seeds, options.data).items():
        error = np.std(values, ddof=1) / len(values) ** 0.5
        print(f"{name:<52}{len(values):>6}{np.mean(values):>9.3f}{error:>8.3f}{min(values):>9.3f}")


if __name__ == "__main__":
    main()

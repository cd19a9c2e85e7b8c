"""CPU milliseconds of one full training iteration on the toy game.

Rollout of 3 episodes of 150 stages, critics, estimator, step, and the follower's response. Run with
``OMP_NUM_THREADS=1 python benchmarks/iteration.py``.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import stackelberg_games as sg

CASES: dict[str, dict[str, Any]] = {
    "table of logits, 1 actor step": {},
    "MLP 64-64, 10 actor steps": {"start": {"hidden": (64, 64)}, "actor_steps": 10, "learning_rate": 1e-4},
}
ITERATIONS, REPEATS = 200, 7


def milliseconds(settings: dict[str, Any]) -> list[float]:
    """CPU milliseconds for an iteration, once for each repeat."""
    game = sg.make("discrete_toy-v0")
    times = []
    for _ in range(REPEATS + 1):
        leader = sg.make_leader("bchg", **settings)
        start = time.process_time()
        sg.train(game, leader, "soft_value_iteration", iterations=ITERATIONS, evaluate_every=0, progress=False)
        times.append((time.process_time() - start) / ITERATIONS * 1e3)
    return times[1:]  # the first one compiles


def main() -> None:
    """Print the table."""
    print(f"{'commitment':<32}{'min':>8}{'median':>8}{'max':>8}   CPU ms an iteration")
    for label, settings in CASES.items():
        times = milliseconds(settings)
        print(f"{label:<32}{min(times):>8.2f}{np.median(times):>8.2f}{max(times):>8.2f}")


if __name__ == "__main__":
    main()

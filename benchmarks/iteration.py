"""CPU milliseconds of one full training iteration on the toy and in the linear-quadratic game.

Rollout of 3 episodes of 150 stages (100 in ``lqr-v0``), critics, estimator, step, and the follower's response. Run with
``OMP_NUM_THREADS=1 python benchmarks/iteration.py``.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import stackelberg_games as sg

CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "toy: table of logits, 1 actor step": ("discrete_toy-v0", "soft_value_iteration", {}),
    "toy: MLP 64-64, 10 actor steps": (
        "discrete_toy-v0",
        "soft_value_iteration",
        {"start": {"hidden": (64, 64)}, "actor_steps": 10, "learning_rate": 1e-4},
    ),
    "lqr: gains, 10 actor steps": ("lqr-v0", "maxent_lqr", {"actor_steps": 10}),
}
ITERATIONS, REPEATS = 200, 7


def milliseconds(name: str, follower: str, settings: dict[str, Any], repeats: int = REPEATS) -> list[float]:
    """CPU milliseconds for an iteration, once for each repeat after one that compiles."""
    game = sg.make(name)
    times = []
    for _ in range(repeats + 1):
        leader = sg.make_leader("bchg", **settings)
        start = time.process_time()
        sg.train(game, leader, follower, iterations=ITERATIONS, evaluate_every=0, progress=False)
        times.append((time.process_time() - start) / ITERATIONS * 1e3)
    return times[1:]


def main() -> None:
    """Print the table."""
    print(f"{'game and commitment':<38}{'min':>8}{'median':>8}{'max':>8}   CPU ms an iteration")
    for label, case in CASES.items():
        times = milliseconds(*case)
        print(f"{label:<38}{min(times):>8.2f}{np.median(times):>8.2f}{max(times):>8.2f}")


if __name__ == "__main__":
    main()

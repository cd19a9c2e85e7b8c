"""What learned followers earn in CartPole after so many transitions, and the CPU time that they take.

The leader's payments are next to nothing, so that CartPole is what it is: 1 for every stage up to 500. ``soft_dqn`` and the softmax of
DQN answer at a temperature of 0.1, PPO by its own policy, DQN greedily. Run with ``OMP_NUM_THREADS=1 python
benchmarks/learned_followers.py``; ``--transitions`` and ``--seeds`` make it shorter, ``--out`` is the file that the documentation reads.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import print_table

import stackelberg_games as sg

TEMPERATURE, EPISODES = 0.1, 100
TUNED = {
    "learning_rate": 2.3e-3,
    "batch_size": 64,
    "buffer_size": 100_000,
    "learning_starts": 1_000,
    "target_update_interval": 10,
    "train_freq": 256,
    "gradient_steps": 128,
    "exploration_fraction": 0.16,
    "exploration_final_eps": 0.04,
    "policy_kwargs": {"net_arch": [256, 256]},
}
"""What RL Baselines3 Zoo gives DQN for CartPole."""
FOLLOWERS: dict[str, tuple[str, dict[str, Any]]] = {
    "soft_dqn": ("soft_dqn", {"temperature": TEMPERATURE}),
    "sb3, PPO": ("sb3", {"algorithm": "PPO"}),
    "sb3, DQN": ("sb3", {"algorithm": "DQN"}),
    "sb3, DQN, tuned": ("sb3", {"algorithm": "DQN", "options": TUNED}),
    "sb3, DQN, softmax": ("sb3", {"algorithm": "DQN", "temperature": TEMPERATURE, "softmax": True}),
}


def left(step: Any) -> float:
    """What the leader would like, if it paid."""
    return -float(step.next_observation[0])


def learned(name: str, settings: dict[str, Any], transitions: int, seed: int) -> tuple[float, float]:
    """Mean stages of an episode after one response of so many transitions, and its CPU seconds."""
    game = sg.incentives("CartPole-v1", {"kind": "table", "on": "action", "limit": 1e-6}, left, horizon=500)
    commitment = game.commitment()
    with sg.make_follower(name, budget=transitions, **settings) as follower:
        follower.begin(game, seed=seed)
        begun = time.process_time()
        answer = follower.respond(game, commitment)
        spent = time.process_time() - begun
        batch = sg.rollout(game, commitment, answer.policy, episodes=EPISODES, seed=seed + 1)
    return float(batch.lengths.mean()), spent


def main() -> None:
    """Print the table, and store it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transitions", type=int, default=50_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    rows = []
    for label, (name, settings) in FOLLOWERS.items():
        found = np.array([learned(name, settings, chosen.transitions, seed) for seed in range(chosen.seeds)])
        rows.append({"follower": label, "stages": found[:, 0].tolist(), "cpu_seconds": found[:, 1].tolist()})
        print(rows[-1], flush=True)
        if chosen.out is not None:
            stored = {"version": sg.__version__, "transitions": chosen.transitions, "rows": rows}
            chosen.out.write_text(json.dumps(stored, indent=1) + "\n")
    cells = [
        [
            row["follower"],
            *(f"{np.mean(row['stages']):.0f}", f"{min(row['stages']):.0f}", f"{max(row['stages']):.0f}"),
            f"{np.mean(row['cpu_seconds']):.0f}",
        ]
        for row in rows
    ]
    print_table(
        f"CartPole-v1 after {chosen.transitions:,} transitions", ("follower", "mean", "worst", "best", "CPU s"), cells
    )


if __name__ == "__main__":
    main()

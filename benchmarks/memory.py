"""What ``bchg`` gains and loses by remembering older replies, in games of which a batch shows few states; stores ``docs/data/memory.json``.

Run with ``OMP_NUM_THREADS=1 python benchmarks/memory.py``; what is stored already is not run again. Batches are small on purpose: one
episode. In three games of one shot, where a batch shows all there is, they are those of ``stackelberg reproduce literature``.
Seeds are those of no other table.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import stackelberg_games as sg

OUT = Path(__file__).parents[1] / "docs" / "data" / "memory.json"
COMMAND = "python benchmarks/memory.py"
MEMORIES = (0.8, 0.5, 0.0)
FIRST_SEED = 200


class Case(NamedTuple):
    """A game, its follower's temperature, stages of an episode, batches, and how many seeds and episodes in a batch there are."""

    label: str
    game: str
    settings: dict[str, Any]
    temperature: float
    stages: int
    updates: int
    seeds: int = 10
    episodes: int = 1


CASES = (
    Case("random game, 20 states", "random_game-v0", {"states": 20}, 0.1, 60, 150),
    Case("random game, 100 states", "random_game-v0", {"states": 100}, 0.1, 60, 150),
    Case("random game, 400 states", "random_game-v0", {"states": 400}, 0.1, 60, 150),
    Case(
        "random game, 100 states, two actions",
        "random_game-v0",
        {"states": 100, "leader_actions": 2, "seed": 1},
        0.1,
        60,
        150,
    ),
    Case("four rooms", "four_rooms-v0", {}, 0.005, 200, 300),
    Case("warehouse", "warehouse-v0", {}, 0.02, 150, 300),
    Case("tiled rooms, 961 cells", "tiled_rooms-v0", {}, 0.05, 200, 60, seeds=5),
    Case("matching pennies", "matrix-v0", {"preset": "matching_pennies"}, 0.1, 1, 450, episodes=100),
    Case("security, three targets", "security_game-v0", {}, 0.1, 1, 450, episodes=100),
    Case("security, five targets", "security_game-v0", {"preset": "five_targets"}, 0.1, 1, 450, episodes=100),
)


def main() -> None:
    """Run what is missing, and store after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rows = json.loads(chosen.out.read_text())["rows"] if chosen.out.exists() else []
    for case in CASES:
        for memory in MEMORIES:
            facts = {"game": case.label, "memory": memory}
            if any(all(row[name] == fact for name, fact in facts.items()) for row in rows):
                continue
            ended = [_run(case, memory, seed) for seed in range(FIRST_SEED, FIRST_SEED + case.seeds)]
            starts, finals = (list(part) for part in zip(*ended, strict=True))
            rows.append({**facts, "start": float(np.mean(starts)), "final": finals})
            print(rows[-1], flush=True)
            stored = {"command": COMMAND, "version": sg.__version__, "date": str(datetime.date.today()), "rows": rows}
            chosen.out.write_text(json.dumps(stored, indent=1) + "\n")


def _run(case: Case, memory: float, seed: int) -> tuple[float, float]:
    """Value at the first and at the last commitment of a run."""
    game: Any = sg.make(case.game, **case.settings)
    leader = sg.make_leader("bchg", learning_rate=0.1, representation={"memory": memory})
    follower = sg.make_follower("soft_value_iteration", temperature=case.temperature)
    leader.begin(game.view(case.temperature), seed=seed)
    start = sg.exact.leader_objective(game, leader.commitment, case.temperature).item()
    loop: dict[str, Any] = {"iterations": case.updates, "episodes": case.episodes, "stages": case.stages, "seed": seed}
    run = sg.train(game, leader, follower, **loop, evaluate_every=0, progress=False)
    assert run.value is not None
    return start, run.value


if __name__ == "__main__":
    main()

"""Charges on every cell of a large floor: ascent on the exact hypergradient, bchg, and evolution strategies.

Run with ``OMP_NUM_THREADS=1 python benchmarks/tiled_rooms.py``. All climb with Adam at learning rate 0.3 from the standard
start, which nobody tuned. Those that learn from trajectories have a million transitions: bchg in 100 updates of 100 episodes of 100
stages, evolution strategies 10 episodes for each of 1,000 candidates, 8 to a step. Values are exact ones of the commitment in the end.
Results are stored in ``docs/data/tiled_rooms.json``.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

import stackelberg_games as sg

TAU, RATE = 0.05, 0.3
STEPS = {3: 100, 10: 100, 31: 30}
SEEDS = {(3, "bchg"): 3, (3, "evolution_strategies"): 3, (10, "bchg"): 5, (10, "evolution_strategies"): 1}
EPISODES = {"bchg": 100, "evolution_strategies": 10}
TRANSITIONS = 1_000_000


def ascent(tiles: int) -> dict[str, Any]:
    """Steps on the exact hypergradient, each response from the values of the last."""
    game = sg.make("tiled_rooms-v0", tiles=tiles)
    assert isinstance(game, sg.ConfigurableGame)
    commitment = game.commitment(0)
    optimizer = torch.optim.Adam(commitment.parameters(), lr=RATE, maximize=True)
    values, spent, start = [], [], None
    begin = time.process_time()
    for _ in range(STEPS[tiles] + 1):
        optimizer.zero_grad()
        both = sg.exact.differentiable_values(game, commitment, TAU, start=start)
        start = both.follower.detach().numpy()
        value = game.initial_tensor @ both.leader
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        values.append(value.item())
        spent.append(time.process_time() - begin)
    near = int(np.argmax(np.array(values) >= 0.95 * max(values)))
    return {
        "tiles": tiles,
        "charges": game.size,
        "how": "exact hypergradient",
        "start": values[0],
        "values": [max(values)],
        "seconds": [spent[-1]],
        "near": [near, spent[near]],
    }


def learned(tiles: int, name: str, seeds: int) -> dict[str, Any]:
    """A leader that learns from trajectories, over seeds."""
    values, spent = [], []
    for seed in range(seeds):
        game = sg.make("tiled_rooms-v0", tiles=tiles)
        follower = sg.make_follower("soft_value_iteration", temperature=TAU)
        leader = sg.make_leader(name, learning_rate=RATE)
        begin = time.process_time()
        run = sg.train(
            game,
            leader,
            follower,
            episodes=EPISODES[name],
            stages=100,
            iterations=TRANSITIONS // (100 * EPISODES[name]),
            seed=seed,
            evaluate_every=0,
            progress=False,
        )
        spent.append(time.process_time() - begin)
        values.append(float(sg.exact.leader_objective(game, run.commitment, TAU)))
        print(tiles, name, seed, round(values[-1], 3), round(spent[-1], 1), flush=True)
    return {"tiles": tiles, "charges": game.size, "how": name, "values": values, "seconds": spent}  # type: ignore[attr-defined]


def main() -> None:
    """Run and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/data/tiled_rooms.json"))
    chosen = parser.parse_args()
    rows: list[dict[str, Any]] = []
    stored: dict[str, Any] = {
        "command": "OMP_NUM_THREADS=1 python benchmarks/tiled_rooms.py",
        "date": date.today().isoformat(),
    }

    def keep(row: dict[str, Any]) -> None:
        rows.append(row)
        print(row, flush=True)
        chosen.out.write_text(json.dumps({**stored, "rows": rows}, indent=1) + "\n")

    for tiles in STEPS:
        keep(ascent(tiles))
    for (tiles, name), seeds in SEEDS.items():
        keep(learned(tiles, name, seeds))


if __name__ == "__main__":
    main()

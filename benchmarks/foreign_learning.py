"""What leaders learn in three environments of other packages, over seeds, beside random search at equal transitions.

The measures (that of ``mountain_car`` was chosen after trials in CartPole, in which payments did little to PPO):

- ``frozen_lake``: payments by state to the agent of slippery FrozenLake, which plans softly. Measure: the exact value of
  the commitment found, as a share of the exact optimum.
- ``mountain_car``: payments for pushing along the motion or against it to PPO of Stable-Baselines3, by a leader that likes
  speed. Without payments PPO does not find the flag. Measure: the share of episodes that reach it within the 200 steps of
  the environment, with a learner of its own that starts anew and is trained for 8,192 steps under the commitment found.
- ``tictactoe``: the first player against one that plays uniformly among the legal moves. Measure: the mean return of the
  commitment found, 1 for a win and -1 for a loss, over 500 episodes.

Each is measured at the start, too. Run with ``OMP_NUM_THREADS=1 python benchmarks/foreign_learning.py``; ``--only`` names one
of them, ``--seeds`` fewer runs, and ``--out`` the file that the documentation reads.
"""

from __future__ import annotations

import argparse
import copy
import functools
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from scipy import stats

import stackelberg_games as sg
from stackelberg_games.adapters.payments import FunctionPayments
from stackelberg_games.adapters.single import Transition

TAU = 0.02
QUICK: dict[str, Any] = {"learning_rate": 1e-3, "n_steps": 512}


def scaled_mountain_car() -> Any:
    """MountainCar with position and velocity from -1 to 1, as networks like them."""
    env = gymnasium.make("MountainCar-v0")
    return gymnasium.wrappers.RescaleObservation(env, np.float32(-1.0), np.float32(1.0))


def speed(done: Transition) -> float:
    """Of the car, as a share of its largest."""
    return abs(float(done.next_observation[1]))


def along_the_motion(x: Any, states: Any, actions: Any) -> Any:
    """A number for pushing along the motion, and its opposite for pushing against it; the leader chooses it."""
    return x[0] * torch.from_numpy(np.sign(np.asarray(states, dtype=np.float64)[..., 1]) * (np.asarray(actions) - 1))


def frozen_lake() -> sg.Game:
    """The agent is paid by state."""
    form = {"kind": "table", "on": "state", "limit": 0.1}
    discounts: dict[str, Any] = {"leader_discount": 0.95, "follower_discount": 0.95}
    return sg.incentives("FrozenLake-v1", form, "reward", cost=0.1, temperature=TAU, **discounts)


def mountain_car() -> sg.Game:
    """The agent is paid for what it does at its speed."""
    form = FunctionPayments(along_the_motion, 1, -2.0, 2.0)
    return sg.incentives(scaled_mountain_car, form, speed, cost=0.01, follower_discount=0.95, temperature=0.1)


def tictactoe() -> sg.Game:
    """The first player leads."""
    return sg.adapt("classic/tictactoe-v3", "player_1", "player_2", temperature=1.0)


def share_of_the_optimum(game: Any, commitment: Any, seed: int) -> float:
    """The exact value over that of the best commitment known."""
    value = float(sg.exact.leader_objective(game, commitment, TAU).detach())
    return value / optimum()


@functools.cache
def optimum() -> float:
    """Of the lake, the best of sixteen exact ascents."""
    game: Any = frozen_lake()
    return sg.exact.solve(game, TAU, commitment=game.commitment(), starts=16).value


def share_at_the_flag(game: Any, commitment: Any, seed: int) -> float:
    """Of 20 episodes, with a learner trained under the commitment."""
    learner = sg.make_follower("sb3", budget=8192, options=QUICK)
    learner.begin(game, seed=1000 + seed)
    answer = learner.respond(game, commitment)
    batch = sg.rollout(game, commitment, answer.policy, episodes=20, seed=2000 + seed)
    return float(batch.terminated.mean())


def mean_return(game: Any, commitment: Any, seed: int) -> float:
    """Over 500 episodes, the same for every commitment of a seed."""
    opponent = sg.make_follower("black_box")
    opponent.begin(game, seed=1000 + seed)
    answer = opponent.respond(game, commitment)
    batch = sg.rollout(game, commitment, answer.policy, episodes=500, seed=2000 + seed, stages=5)
    return float(batch.leader_rewards.sum(axis=1).mean())


@dataclass(frozen=True)
class Task:
    """One environment.

    Attributes:
        title: what is learned and measured.
        make: makes the game.
        measure: from game, commitment and seed to a number.
        leader, follower: ids and settings.
        loop: of ``train``.
    """

    title: str
    make: Callable[[], Any]
    measure: Callable[[Any, Any, int], float]
    leader: tuple[str, dict[str, Any]]
    follower: tuple[str, dict[str, Any]]
    loop: dict[str, Any]


TASKS = {
    "frozen_lake": Task(
        "FrozenLake, payments by state: value as a share of the exact optimum",
        frozen_lake,
        share_of_the_optimum,
        ("bchg", {"learning_rate": 0.1}),
        ("soft_value_iteration", {"temperature": TAU}),
        {"iterations": 1500, "episodes": 10},
    ),
    "mountain_car": Task(
        "MountainCar, payments to PPO: share of episodes that reach the flag",
        mountain_car,
        share_at_the_flag,
        ("bchg", {"learning_rate": 0.2}),
        ("sb3", {"budget": 512, "options": QUICK}),
        {"iterations": 12, "episodes": 2},
    ),
    "tictactoe": Task(
        "Tic-tac-toe against uniform play: mean return",
        tictactoe,
        mean_return,
        ("policy_gradient", {"learning_rate": 0.003}),
        ("black_box", {}),
        {"iterations": 300, "episodes": 20, "stages": 5},
    ),
}


def run(task: Task, leader: tuple[str, dict[str, Any]], seed: int, budget: int | None) -> tuple[float, float, int]:
    """The measure at the start and at the end, and the transitions between; with a budget of them it is spent."""
    game = task.make()
    made, (kind, settings) = sg.make_leader(leader[0], **leader[1]), task.follower
    made.begin(game.view(game.follower_temperature, game.ledger()), seed=seed)
    start = copy.deepcopy(made.commitment)
    loop = task.loop if budget is None else {**task.loop, "iterations": 1_000_000, "budget": budget}
    follower = sg.make_follower(kind, **settings)
    made = sg.make_leader(leader[0], **leader[1])
    done = sg.train(game, made, follower, seed=seed, progress=False, evaluate_every=0, **loop)
    spent = int(done.history[-1]["transitions"])
    return task.measure(game, start, seed), task.measure(game, done.commitment, seed), spent


def interval(values: Any) -> tuple[float, float, float]:
    """Mean with its 95 % Student interval."""
    found = np.asarray(values, dtype=np.float64)
    wide = stats.t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found))
    return float(found.mean()), float(found.mean() - wide), float(found.mean() + wide)


def main() -> None:
    """Train, measure, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=TASKS)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    stored = json.loads(chosen.out.read_text()) if chosen.out is not None and chosen.out.exists() else {}
    for name, task in TASKS.items():
        if chosen.only not in (None, name):
            continue
        rows: list[dict[str, Any]] = []
        budgets: list[int | None] = [None] * chosen.seeds
        for leader in (task.leader, ("random_search", {})):
            began = time.perf_counter()
            found = [run(task, leader, seed, budgets[seed]) for seed in range(chosen.seeds)]
            budgets = [values[2] for values in found]
            start, end = ([values[k] for values in found] for k in (0, 1))
            gain = interval(np.subtract(end, start))
            row = {
                "leader": leader[0],
                "settings": leader[1],
                "start": interval(start),
                "end": interval(end),
                "gain": gain,
            }
            rows.append({**row, "runs": end, "transitions": float(np.mean([values[2] for values in found]))})
            print(
                f"{task.title}\n  {leader[0]}: start {start[0]:.4f}.., end {interval(end)}, gain {gain}; "
                f"{rows[-1]['transitions']:.0f} transitions; {(time.perf_counter() - began) / chosen.seeds:.1f} s a run; {end}",
                flush=True,
            )
        stored[name] = {
            "title": task.title,
            "rows": rows,
            "seeds": chosen.seeds,
            "loop": task.loop,
            "follower": task.follower,
            "command": f"OMP_NUM_THREADS=1 python benchmarks/foreign_learning.py --only {name}",
            "date": date.today().isoformat(),
        }
        if chosen.out is not None:
            chosen.out.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()

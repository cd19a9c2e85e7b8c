"""``bchg`` against ``policy_gradient`` where the follower is a learner of Stable-Baselines3.

The follower goes on from its last networks and trains for the same budget after every update of either
leader. Each leader gets the same number of candidate settings; where there are several, the best of them
on the tuning seeds (mean return of the last fifth of the updates) plays the reported seeds, which are
others.

PPO is no maximum-entropy follower: the temperature is what ``bchg`` is told to believe, one of its
settings. The follower that is SAC has the temperature that it declares. It has played 32,000 transitions
against the first commitment before a match begins, the same for every seed, and both leaders have one and
the same setting.

Run with ``OMP_NUM_THREADS=1 python benchmarks/foreign_follower.py --data docs/data/foreign_follower.json
--plot docs/images/foreign_follower.png``. It is resumable: finished runs are read from the file.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from measuring import COLOURS
from scipy import stats

import stackelberg_games as sg
from stackelberg_games.agents.followers.sb3 import StableBaselines3
from stackelberg_games.commitments.networks import MLPGaussianPolicy

TUNING, REPORTED = (1000, 1001), tuple(range(10))


class Study(NamedTuple):
    """One game: how it is played, and the candidates of each leader (belief, settings).

    ``practice`` counts the follower's transitions before a match.
    """

    game: tuple[str, dict[str, Any]]
    iterations: int
    episodes: int
    follower: dict[str, Any]
    candidates: dict[str, list[tuple[float, dict[str, Any]]]]
    practice: int = 0


PPO = {"batch_size": 256, "n_epochs": 10, "learning_rate": 1e-3}
SAC = {
    "batch_size": 64,
    "gradient_steps": 8,
    "learning_rate": 3e-3,
    "learning_starts": 0,
    "buffer_size": 4096,  # about eight responses: older transitions are of other commitments
    "tau": 0.02,
    "policy_kwargs": {"net_arch": [64, 64]},
}
CHEAP = {"representation": {"steps": 15}}
NOISY = {"learning_rate": 0.1, "representation": {"steps": 40, "smoothing": 0.7}}
STUDIES = {
    "discrete_toy-v0": Study(
        ("discrete_toy-v0", {}),
        60,
        3,
        {"algorithm": "PPO", "budget": 1024, "options": {**PPO, "ent_coef": 0.05}},
        {
            "policy_gradient": [(0.05, {"learning_rate": rate}) for rate in (0.01, 0.02, 0.05, 0.1)],
            "bchg": [(belief, {"learning_rate": rate}) for belief in (0.05, 0.2) for rate in (0.02, 0.05)],
        },
    ),
    "guided_pendulum-v0": Study(
        (
            "guided_pendulum-v0",
            {"follower_discount": 0.9},
        ),  # with 0.99 PPO does not learn to swing up within the budget
        40,
        8,
        {"algorithm": "PPO", "budget": 2048, "options": {**PPO, "n_epochs": 4, "learning_rate": 3e-3, "ent_coef": 0.0}},
        {
            "policy_gradient": [(1.0, {"learning_rate": rate, **CHEAP}) for rate in (0.01, 0.03, 0.1)],
            "bchg": [
                (belief, {"learning_rate": rate, **CHEAP}) for belief, rate in ((1.0, 0.03), (10.0, 0.03), (10.0, 0.1))
            ],
        },
    ),
    "guided_pendulum-v0, strong pushes": Study(
        ("guided_pendulum-v0", {"max_push": 3.0}),
        40,
        32,
        {"algorithm": "SAC", "budget": 512, "options": SAC},
        {"policy_gradient": [(2.0, NOISY)], "bchg": [(2.0, NOISY)]},
        practice=32_000,
    ),
}


class Practised(StableBaselines3):
    """Begins a match with what it has learned before."""

    learned: Any = None

    def begin(self, game: sg.Game, *, seed: int = 0) -> None:
        """Forget the last match only."""
        super().begin(game, seed=seed)
        if self.learned is not None:
            self.load_state_dict({**self.state_dict(), "model": self.learned})


@functools.cache
def practised(name: str) -> Any:
    """The follower's networks and replay buffer after its practice against the first commitment."""
    study, parts = STUDIES[name], 8
    game = sg.make(study.game[0], **study.game[1])
    temperature = study.candidates["bchg"][0][0]
    settings = {**study.follower, "budget": study.practice // parts}
    follower = Practised(copies=16, temperature=temperature, **settings)
    first = MLPGaussianPolicy(game, ())
    loop: dict[str, Any] = {"iterations": parts, "episodes": 8, "seed": 12345, "evaluate_every": 0, "progress": False}
    sg.train(game, "fixed", follower, commitment=first, **loop)
    return follower.state_dict()["model"]


def play(name: str, leader: str, candidate: int, seed: int) -> dict[str, Any]:
    """One match; the leader's return at every update."""
    study = STUDIES[name]
    belief, settings = study.candidates[leader][candidate]
    follower = Practised(copies=16, temperature=belief, **study.follower)
    if study.practice:
        follower.learned = practised(name)
    started = time.process_time()
    run = sg.train(
        sg.make(study.game[0], **study.game[1]),
        sg.make_leader(leader, **settings),
        follower,
        iterations=study.iterations,
        episodes=study.episodes,
        seed=seed,
        evaluate_every=0,
        progress=False,
    )
    return {
        "leader": [round(row["leader_return"], 4) for row in run.history],
        "follower": [round(row["follower_return"], 4) for row in run.history],
        "follower_transitions": run.history[-1]["follower_transitions"],
        "cpu_seconds": time.process_time() - started,
    }


class Runs:
    """Finished matches, kept in a file."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.found: dict[str, dict[str, Any]] = {}
        if path is not None and path.exists():
            self.found = json.loads(path.read_text())

    def get(self, name: str, leader: str, candidate: int, seed: int) -> dict[str, Any]:
        """A match, played if it is not in the file."""
        key = f"{name} {leader} {candidate} {seed}"
        if key not in self.found:
            self.found[key] = play(name, leader, candidate, seed)
            if self.path is not None:
                self.path.write_text(json.dumps(self.found))
        return self.found[key]

    def chosen(self, name: str, leader: str) -> int:
        """The candidate that did best on the tuning seeds, if there is a choice."""
        if len(STUDIES[name].candidates[leader]) == 1:
            return 0
        scores = [
            np.mean([final(self.get(name, leader, number, seed)) for seed in TUNING])
            for number in range(len(STUDIES[name].candidates[leader]))
        ]
        print(f"{name} {leader}: tuning {np.round(scores, 2).tolist()}", flush=True)
        return int(np.argmax(scores))

    def curves(self, name: str, leader: str) -> np.ndarray[Any, Any]:
        """Returns of the reported seeds, ``[seeds, iterations]``."""
        candidate = self.chosen(name, leader)
        print(f"  settings {STUDIES[name].candidates[leader][candidate]}", flush=True)
        return np.array([self.get(name, leader, candidate, seed)["leader"] for seed in REPORTED])


def final(run: dict[str, Any]) -> float:
    """Mean return of the last fifth of the updates."""
    returns = run["leader"]
    return float(np.mean(returns[-max(1, len(returns) // 5) :]))


def report(name: str, curves: dict[str, Any]) -> None:
    """Print every seed, and the interval of the paired difference."""
    ends = {leader: np.array([final({"leader": list(row)}) for row in rows]) for leader, rows in curves.items()}
    for leader, values in ends.items():
        print(f"  {leader:16} mean {values.mean():8.3f}   seeds {np.round(values, 2).tolist()}")
    gain = ends["bchg"] - ends["policy_gradient"]
    spread = stats.t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / len(gain) ** 0.5
    print(f"  difference {gain.mean():.3f}, 95% t interval [{gain.mean() - spread:.3f}, {gain.mean() + spread:.3f}]")


def draw(results: dict[str, dict[str, Any]], path: str) -> None:
    """Mean and range of the seeds over the updates."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(results), 3.4), dpi=150, layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(results)))
    for axes, (name, curves) in zip(panels, results.items(), strict=True):
        for colour, (leader, rows) in zip(COLOURS, curves.items(), strict=False):
            width = max(1, rows.shape[1] // 20)
            smooth = np.stack([np.convolve(row, np.ones(width) / width, "valid") for row in rows])
            updates = np.arange(smooth.shape[1]) + width
            axes.plot(updates, smooth.T, color=colour, alpha=0.2, linewidth=0.8)
            axes.plot(updates, smooth.mean(axis=0), color=colour, linewidth=2, label=leader)
        axes.set(xlabel="updates of the leader", ylabel="leader's discounted return")
        axes.set_title(f"{name}: {STUDIES[name].follower['algorithm']} follows", loc="left", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)
    figure.savefig(path)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="JSON file of finished runs: read if it exists, and added to")
    parser.add_argument("--game", choices=STUDIES, action="append", help="one game; may be repeated")
    parser.add_argument(
        "--seeds", type=int, nargs="+", help="play these of the reported seeds alone, and report nothing"
    )
    parser.add_argument("--plot", help="picture")
    options = parser.parse_args()
    torch.set_num_threads(1)
    runs, results = Runs(options.data), {}
    if options.seeds is not None:
        for name in options.game or STUDIES:
            for seed, leader in itertools.product(options.seeds, STUDIES[name].candidates):
                runs.get(name, leader, runs.chosen(name, leader), seed)
        return
    for name in options.game or STUDIES:
        results[name] = {leader: runs.curves(name, leader) for leader in STUDIES[name].candidates}
        report(name, results[name])
    print(f"CPU seconds of all runs: {sum(run['cpu_seconds'] for run in runs.found.values()):.0f}")
    if options.plot:
        draw(results, options.plot)


if __name__ == "__main__":
    main()

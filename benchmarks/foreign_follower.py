"""``bchg`` against ``policy_gradient`` where the follower is a learner of Stable-Baselines3.

The follower goes on from its last networks and trains for the same budget after every update of either
leader. Where there are several candidate settings, each leader has the same number of them, and the best
on the tuning seeds (mean return of the last updates) plays the reported seeds, which are others.

On discrete_toy-v0 the follower is PPO. It is no maximum-entropy follower: the temperature is what ``bchg``
is told to believe, one of its settings. On guided_pendulum-v0 it is SAC, whose temperature is true. It has
played 32,000 transitions against the first commitment before the match begins, the same for every seed,
and both leaders have the same settings.

Run with ``OMP_NUM_THREADS=1 python benchmarks/foreign_follower.py --data docs/data/foreign_follower.json
--plot docs/images/foreign_follower.png``. It is resumable: finished runs are read from the file.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from measuring import COLOURS
from scipy import stats

import stackelberg_games as sg
from stackelberg_games.agents.followers.sb3 import StableBaselines3
from stackelberg_games.neural.policy import MLPGaussianPolicy

TUNING, REPORTED = (1000, 1001), tuple(range(10))


class Study(NamedTuple):
    """One game: how it is played, and the candidates of each leader (belief, settings).

    ``last`` is the share of the updates whose mean return is compared.
    """

    game: dict[str, Any]
    iterations: int
    episodes: int
    follower: dict[str, Any]
    candidates: dict[str, list[tuple[float, dict[str, Any]]]]
    practice: int = 0
    last: float = 0.2


PENDULUM = {"learning_rate": 0.15, "critic_steps": 30, "smoothing": 0.9}
STUDIES = {
    "discrete_toy-v0": Study(
        {},
        60,
        3,
        {
            "algorithm": "PPO",
            "budget": 1024,
            "options": {"batch_size": 256, "n_epochs": 10, "learning_rate": 1e-3, "ent_coef": 0.05},
        },
        {
            "policy_gradient": [(0.05, {"learning_rate": rate}) for rate in (0.01, 0.02, 0.05, 0.1)],
            "bchg": [(belief, {"learning_rate": rate}) for belief in (0.05, 0.2) for rate in (0.02, 0.05)],
        },
    ),
    "guided_pendulum-v0": Study(
        {"max_push": 3.0, "follower_discount": 0.9},
        25,
        12,
        {
            "algorithm": "SAC",
            "budget": 512,
            "options": {
                "batch_size": 64,
                "gradient_steps": 2,
                "learning_rate": 3e-3,
                "learning_starts": 0,
                "buffer_size": 4096,  # about eight responses: older transitions are of other commitments
                "tau": 0.02,
                "policy_kwargs": {"net_arch": [64, 64]},
            },
        },
        {"policy_gradient": [(1.0, PENDULUM)], "bchg": [(1.0, PENDULUM)]},
        practice=32_000,
        last=0.5,
    ),
}


class Practised(StableBaselines3):
    """Begins a match with what it has learned before."""

    learned: Any = None

    def begin(self, game: sg.Game, *, seed: int = 0) -> None:
        """Forget the last match only."""
        super().begin(game, seed=seed)
        if self.learned is not None:
            self.load_state_dict({"model": self.learned, "count": 0})


def made(name: str, temperature: float, **changes: Any) -> Practised:
    """The follower of a study."""
    return Practised(copies=16, temperature=temperature, **{**STUDIES[name].follower, **changes})


@functools.cache
def practised(name: str) -> Any:
    """The follower's networks and replay buffer after its practice against the first commitment."""
    study, parts = STUDIES[name], 8
    game = sg.make(name, **study.game)
    follower = made(name, study.candidates["bchg"][0][0], budget=study.practice // parts)
    sg.train(
        game,
        "fixed",
        follower,
        iterations=parts,
        episodes=8,
        seed=12345,
        commitment=MLPGaussianPolicy(game, ()),
        evaluate_every=0,
        progress=False,
    )
    return follower.state_dict()["model"]


def play(name: str, leader: str, candidate: int, seed: int) -> dict[str, Any]:
    """One match; the leader's return at every update."""
    study = STUDIES[name]
    belief, settings = study.candidates[leader][candidate]
    follower = made(name, belief)
    if study.practice:
        follower.learned = practised(name)
    started = time.process_time()
    run = sg.train(
        sg.make(name, **study.game),
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
        """The candidate that did best on the tuning seeds; they are not played where there is one."""
        if len(STUDIES[name].candidates[leader]) == 1:
            return 0
        scores = [
            np.mean([final(name, self.get(name, leader, number, seed)["leader"]) for seed in TUNING])
            for number in range(len(STUDIES[name].candidates[leader]))
        ]
        print(f"{name} {leader}: tuning {np.round(scores, 2).tolist()}", flush=True)
        return int(np.argmax(scores))

    def curves(self, name: str, leader: str) -> np.ndarray[Any, Any]:
        """Returns of the reported seeds, ``[seeds, iterations]``."""
        candidate = self.chosen(name, leader)
        print(f"  settings {STUDIES[name].candidates[leader][candidate]}", flush=True)
        return np.array([self.get(name, leader, candidate, seed)["leader"] for seed in REPORTED])


def final(name: str, returns: Sequence[float]) -> float:
    """Mean return of the last updates."""
    return float(np.mean(returns[-max(1, int(STUDIES[name].last * len(returns))) :]))


def report(name: str, curves: dict[str, Any]) -> None:
    """Print every seed, and the interval of the paired difference."""
    ends = {leader: np.array([final(name, row) for row in rows]) for leader, rows in curves.items()}
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
        axes.set_title(f"{name}, {STUDIES[name].follower['algorithm']} as the follower", loc="left", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)
    figure.savefig(path)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="JSON file of finished runs: read if it exists, and added to")
    parser.add_argument("--game", choices=STUDIES, action="append", help="one game; may be repeated")
    parser.add_argument("--plot", help="picture")
    options = parser.parse_args()
    torch.set_num_threads(1)
    runs, results = Runs(options.data), {}
    for name in options.game or STUDIES:
        results[name] = {leader: runs.curves(name, leader) for leader in STUDIES[name].candidates}
        report(name, results[name])
    print(f"CPU seconds of all runs: {sum(run['cpu_seconds'] for run in runs.found.values()):.0f}")
    if options.plot:
        draw(results, options.plot)


if __name__ == "__main__":
    main()

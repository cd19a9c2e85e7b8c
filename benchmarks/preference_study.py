"""Rewards learned from a judge's labels in environments of others: what is truly earned, as a share of the oracle's.

The agent is trained on a reward network of the leader's, and the environment's own reward is known to the judge alone. The
oracle is the same follower with the same number of transitions, paid by the environment. Variants:

    oracle       paid by the environment
    fixed        drlhf, both segments of a pair are a random walker's
    on_policy    drlhf, both are the follower's
    anchored     drlhf, one is the follower's and one the walker's
    once         policy_gradient: on-policy pairs, used once
    response     bchg: the same with the response row

Run with ``OMP_NUM_THREADS=1 python benchmarks/preference_study.py pendulum``; ``--seeds`` and ``--variants`` choose runs, and
``--workers`` how many at once. Every run is kept in ``--folder`` as it ends, and is not played again.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
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
from stackelberg_games.learning.interview import Walker

VARIANTS = ("oracle", "fixed", "on_policy", "anchored", "once", "response")
LEADERS: dict[str, tuple[str, dict[str, Any]]] = {
    "fixed": ("drlhf", {"pairs": "fixed"}),
    "on_policy": ("drlhf", {}),
    "anchored": ("drlhf", {"pairs": "anchored"}),
    "once": ("policy_gradient", {}),
    "response": ("bchg", {}),
}
STEP = {"learning_rate": 0.03}
FIT: dict[str, dict[str, Any]] = {
    "drlhf": {"learning_rate": 0.01, "actor_steps": 40, "penalty": 1e-4},
    "policy_gradient": STEP,
    "bchg": STEP,
}
COLOURS = ("#1b6ca8", "#d1495b")
HELD_OUT = 200
"""Segments of a walker, the first of its episodes, on which a reward is compared with the truth."""


class Torques(gymnasium.ActionWrapper[Any, Any, Any]):
    """Five torques of the pendulum."""

    def __init__(self) -> None:
        super().__init__(gymnasium.make("Pendulum-v1"))
        self.action_space = gymnasium.spaces.Discrete(5)

    def action(self, action: Any) -> Any:
        """From -2 to 2."""
        return np.array([action - 2.0], dtype=np.float32)


def scaled(env: gymnasium.Env[Any, Any], low: float, high: float) -> gymnasium.Env[Any, Any]:
    """Rewards from -1 to 1, as the leader's network has them, where they are between two bounds."""
    return gymnasium.wrappers.TransformReward(env, lambda reward: (2 * reward - low - high) / (high - low))


class Endless(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Episodes of equal length, life after life: how long somebody lives would tell what labels should (arXiv 1706.03741)."""

    def __init__(self, env: gymnasium.Env[Any, Any], stages: int) -> None:
        super().__init__(env)
        self.stages, self.played = stages, 0

    def reset(self, **settings: Any) -> Any:
        """Begin."""
        self.played = 0
        return self.env.reset(**settings)

    def step(self, action: Any) -> Any:
        """A step; another life begins where one ends."""
        seen, reward, ended, cut, told = self.env.step(action)
        self.played += 1
        if ended or cut:
            seen, told = self.env.reset()
        return seen, reward, False, self.played >= self.stages, told


def reacher() -> Any:
    """MuJoCo's arm with two joints; rewards of -2.3 to 0 a step."""
    return scaled(gymnasium.make("Reacher-v5"), -2.3, 0.0)


def space_invaders() -> Any:
    """MinAtar's, 10 by 10 cells in six channels; a reward of 1 for every alien."""
    import minatar.gym

    minatar.gym.register_envs()
    env = gymnasium.make("MinAtar/SpaceInvaders-v1")
    seen = gymnasium.spaces.Box(0.0, 1.0, env.observation_space.shape, np.float32)
    env = gymnasium.wrappers.TransformObservation(env, lambda cells: cells.astype(np.float32), seen)
    return Endless(env, 200)


def beam_rider() -> Any:
    """Atari's, 84 by 84 grey pixels, four frames a decision; rewards as signs."""
    import ale_py

    gymnasium.register_envs(ale_py)
    env: Any = gymnasium.make("BeamRiderNoFrameskip-v4")
    env = gymnasium.wrappers.AtariPreprocessing(env, scale_obs=True)
    return Endless(gymnasium.wrappers.TransformReward(env, np.sign), 300)


def pendulum() -> Any:
    """Rewards of -16.28 to 0 a step."""
    return scaled(Torques(), -16.2736, 0.0)


@dataclass(frozen=True)
class Task:
    """An environment, and how much of it is played.

    Attributes:
        title: for people.
        make: makes it.
        follower: id and settings of whoever plays it.
        temperature: of the follower.
        discount: of the follower.
        segment, windows: see ``preferences``.
        iterations, episodes: of the leader; labels are their product by half the windows.
        unit: from a scaled return of so many stages to the environment's own.
    """

    title: str
    make: Callable[[], Any]
    follower: tuple[str, dict[str, Any]]
    unit: Callable[[float, int], float]
    temperature: float = 0.05
    discount: float = 0.98
    segment: int = 25
    windows: int = 5
    iterations: int = 25
    episodes: int = 8
    hidden: tuple[int, ...] = (32,)

    def game(self) -> Any:
        """The preference game."""
        form = {"kind": "network", "hidden": self.hidden, "low": -1.0, "high": 1.0}
        drawn: dict[str, Any] = {"segment": self.segment, "windows": self.windows}
        return sg.preferences(self.make, form, **drawn, follower_discount=self.discount, temperature=self.temperature)

    def paid(self) -> Any:
        """The same environment, whose agent is paid by it."""
        form = FunctionPayments(
            lambda x, states, actions: 0.0 * x[0] * torch.ones(len(states), dtype=torch.float64), size=1
        )
        return sg.incentives(self.make, form, "reward", follower_discount=self.discount, temperature=self.temperature)

    def learner(self) -> sg.Follower:
        """Who plays the agent."""
        name, settings = self.follower
        return sg.make_follower(name, **settings)


SAC = {"learning_rate": 1e-3, "batch_size": 128, "learning_starts": 500, "policy_kwargs": {"net_arch": [64, 64]}}
TASKS = {
    "pendulum": Task(
        "Pendulum with five torques, against soft_dqn",
        pendulum,
        ("soft_dqn", {"temperature": 0.05, "budget": 800, "memory": 20_000}),
        lambda value, stages: 16.2736 / 2 * (value - stages),
    ),
    "reacher": Task(
        "Reacher of MuJoCo, against SAC",
        reacher,
        ("sb3", {"algorithm": "SAC", "temperature": 0.02, "budget": 800, "options": SAC}),
        lambda value, stages: 2.3 / 2 * (value - stages),
        temperature=0.02,
        discount=0.95,
        windows=2,
        episodes=20,
    ),
    "space_invaders": Task(
        "Space Invaders of MinAtar, 200 frames, against soft_dqn",
        space_invaders,
        ("soft_dqn", {"temperature": 0.02, "budget": 2_400, "memory": 60_000}),
        lambda value, stages: value,
        temperature=0.02,
        discount=0.97,
        iterations=20,
        episodes=10,
    ),
    "beam_rider": Task(
        "Beam Rider of Atari, 300 decisions of four frames, against soft_dqn",
        beam_rider,
        ("soft_dqn", {"temperature": 0.02, "budget": 200, "memory": 1_000}),
        lambda value, stages: value,
        temperature=0.02,
        discount=0.97,
        iterations=2,
        episodes=4,
        hidden=(16,),
    ),
}


def one(task_name: str, variant: str, seed: int, folder: str) -> dict[str, Any]:
    """One run, read where it is there already."""
    path = Path(folder) / f"{task_name}_{variant}_{seed}.json"
    if path.exists():
        return dict(json.loads(path.read_text()))
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    task, begun = TASKS[task_name], time.process_time()
    game, oracle = task.game(), variant == "oracle"
    learner = task.learner()
    told: dict[str, Any] = {"task": task_name, "variant": variant, "seed": seed}
    if oracle:
        posed = task.paid()
        learner.begin(posed, seed=seed)
        commitment, spent = posed.commitment(), 0
        for _ in range(task.iterations):
            answer = learner.respond(posed, commitment)
            spent += answer.transitions
        told |= {"labels": 0, "transitions": 0, "follower_transitions": spent}
        policy = answer.policy
        commitment = game.commitment()
    else:
        name, chosen = LEADERS[variant]
        leader = sg.make_leader(name, **{**FIT[name], **chosen})
        run = sg.train(
            game, leader, learner, iterations=task.iterations, episodes=task.episodes, seed=seed, progress=False
        )
        told["training_seconds"] = time.process_time() - begun
        last, commitment = run.history[-1], run.commitment
        told |= {"labels": int(last["labels"])}
        told |= {key: int(last[key]) for key in ("transitions", "follower_transitions")}
        answer = learner.respond(game, commitment)
        told["follower_transitions"] += answer.transitions
        policy = answer.policy
        told |= agreement(game, commitment, seed)
        learned = commitment
    batch = sg.rollout(game, commitment, policy, episodes=20, seed=seed + 10_000)
    worth = game.true_rewards(batch).sum(axis=1)
    if not oracle:
        told["loss"] = loss(game, learned, batch, seed)
    told["true_return"] = float(np.mean([task.unit(w, n) for w, n in zip(worth, batch.lengths, strict=True)]))
    told["cpu_seconds"] = time.process_time() - begun
    path.write_text(json.dumps(told, indent=1))
    return told


def agreement(game: Any, commitment: Any, seed: int) -> dict[str, float | None]:
    """How a reward orders a walker's held-out segments, beside how the truth does; no order where all are worth the same."""
    twin = sg.rollout(game, commitment, Walker(game), episodes=HELD_OUT, seed=seed + 30_000, stages=game.segment)
    size, x = game.segment, commitment.configuration().detach().numpy()
    states = twin.states[:, :size].reshape(-1, *twin.states.shape[2:])
    chosen = game.charged(x, states, twin.follower_actions[:, :size].reshape(-1, *twin.follower_actions.shape[2:]))
    chosen, truth = chosen.reshape(HELD_OUT, size).sum(axis=1), game.true_rewards(twin)[:, :size].sum(axis=1)
    half = HELD_OUT // 2
    gap, right = chosen[:half] - chosen[half:], truth[:half] - truth[half:]
    sure = 1 / (1 + np.exp(-right))
    return {
        "rank_correlation": float(stats.spearmanr(chosen, truth).statistic) if np.ptp(truth) > 0 else None,
        "accuracy": float(np.where(gap > 0, sure, 1 - sure).mean()),
        "ceiling": float(np.maximum(sure, 1 - sure).mean()),
    }


def loss(game: Any, commitment: Any, batch: Any, seed: int) -> float:
    """F: the mean loss of the judge's labels of pairs that the follower plays in the end, 200 windows."""
    random, size = np.random.default_rng(seed), game.segment
    x = commitment.configuration().detach().numpy()
    sides = []
    for offset in (0, 1):
        rows = np.repeat(np.arange(offset, batch.episodes, 2), 400 // batch.episodes)
        starts = random.integers(0, batch.lengths[rows] - size + 1)
        where = rows[:, None], starts[:, None] + np.arange(size)
        states, moves = batch.states[where], batch.follower_actions[where]
        chosen = game.charged(x, states.reshape(-1, *states.shape[2:]), moves.reshape(-1, *moves.shape[2:]))
        sides.append((chosen.reshape(len(rows), size).sum(axis=1), game.true_rewards(batch)[where].sum(axis=1)))
    gap, right = (one - other for one, other in zip(*sides, strict=True))
    return float((np.logaddexp(0, gap) - gap / (1 + np.exp(-right))).mean())


def walked(task_name: str) -> float:
    """What a random walker earns."""
    task = TASKS[task_name]
    game = task.game()
    batch = sg.rollout(game, game.commitment(), Walker(game), episodes=50, seed=0)
    worth = game.true_rewards(batch).sum(axis=1)
    return float(np.mean([task.unit(w, n) for w, n in zip(worth, batch.lengths, strict=True)]))


def summary(task_name: str, runs: list[dict[str, Any]], command: str) -> dict[str, Any]:
    """What the documentation shows of a task."""
    floor = walked(task_name)
    paid = [told["true_return"] for told in runs if told["variant"] == "oracle"]
    rows = []
    for variant in [name for name in VARIANTS if any(told["variant"] == name for told in runs)]:
        members = [told for told in runs if told["variant"] == variant]
        returns = np.array([told["true_return"] for told in members])
        row: dict[str, Any] = {"variant": variant, "seeds": len(members), "true_return": described(returns)}
        row["share"] = float((returns.mean() - floor) / (np.mean(paid) - floor)) if paid else None
        for name in ("loss", "rank_correlation", "accuracy", "ceiling"):
            found = [told[name] for told in members if told.get(name) is not None]
            row[name] = float(np.mean(found)) if found else None
        row["labels"] = members[0]["labels"]
        row["transitions"] = members[0]["transitions"] + members[0]["follower_transitions"]
        row["cpu_seconds"] = float(np.mean([told["cpu_seconds"] for told in members]))
        rows.append(row)
    spent, timed = sum(told["cpu_seconds"] for told in runs), [told for told in runs if "training_seconds" in told]
    stages = sum(told["transitions"] + told["follower_transitions"] for told in timed)
    pace = 1_000 * sum(told["training_seconds"] for told in timed) / stages if timed else None
    facts = {"title": TASKS[task_name].title, "walker": floor, "command": command, "date": date.today().isoformat()}
    return {**facts, "cpu_seconds": spent, "seconds_per_thousand": pace, "rows": rows, "runs": runs}


def described(returns: Any) -> dict[str, Any]:
    """Mean, its 95 % interval by Student's t where there are three runs at least, least and largest."""
    interval = None
    if len(returns) >= 3:
        half = float(stats.t.ppf(0.975, len(returns) - 1) * returns.std(ddof=1) / len(returns) ** 0.5)
        interval = [float(returns.mean()) - half, float(returns.mean()) + half]
    ends = {"least": float(returns.min()), "largest": float(returns.max())}
    return {"mean": float(returns.mean()), "interval": interval, **ends}


def draw(told: dict[str, Any], path: Path) -> None:
    """Every run's true return, by variant."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.4), dpi=150, layout="constrained")
    axes = figure.subplots()
    names = [row["variant"] for row in told["rows"]]
    for place, row in enumerate(told["rows"]):
        returns = [run["true_return"] for run in told["runs"] if run["variant"] == row["variant"]]
        axes.plot([place] * len(returns), returns, "o", color=COLOURS[0], alpha=0.6, markersize=6, markeredgewidth=0)
        axes.plot([place - 0.22, place + 0.22], [row["true_return"]["mean"]] * 2, color=COLOURS[1], linewidth=2)
    axes.axhline(told["walker"], color="0.5", linewidth=0.9, linestyle="--")
    axes.annotate("random walker", (-0.45, told["walker"]), fontsize=8, color="0.35", va="bottom")
    axes.set_xticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylabel("true return of the follower")
    axes.set_title(told["title"], loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def main() -> None:
    """Play what is missing, print every run, and store the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=sorted(TASKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("preference_study"))
    parser.add_argument("--out", type=Path, help="file that the documentation reads")
    parser.add_argument("--picture", type=Path)
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    jobs = [(chosen.task, variant, seed, str(chosen.folder)) for seed in chosen.seeds for variant in chosen.variants]
    with ProcessPoolExecutor(chosen.workers) as pool:
        runs = []
        for told in pool.map(one, *zip(*jobs, strict=True)):
            print(json.dumps(told), flush=True)
            runs.append(told)
    said = f"python benchmarks/preference_study.py {chosen.task} --seeds {' '.join(map(str, chosen.seeds))}"
    if set(chosen.variants) != set(VARIANTS):
        said += f" --variants {' '.join(chosen.variants)}"
    found = summary(chosen.task, runs, said)
    if chosen.out:
        stored = json.loads(chosen.out.read_text()) if chosen.out.exists() else {}
        chosen.out.write_text(json.dumps({**stored, chosen.task: found}, indent=1) + "\n")
    if chosen.picture:
        draw(found, chosen.picture)


if __name__ == "__main__":
    main()

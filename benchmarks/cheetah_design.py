"""Leaders design the half cheetah's legs for a SAC follower; stores ``docs/data/cheetah_design.json``.

Run with ``OMP_NUM_THREADS=1 python benchmarks/cheetah_design.py``; a seed that is stored already is not run again. For each seed one follower
practises on bodies drawn from the whole range. From it as it is then, each leader is run: its follower learns on while the leader tries
bodies, and last with the body that the leader recommends. What is reported is that body, played by the follower that has settled with it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import stackelberg_games as sg
from stackelberg_games.envs.cheetah_design_v0 import SEGMENTS, SHAPE, CheetahDesign
from stackelberg_games.numerics.randomness import generator

OUT = Path(__file__).parents[1] / "docs" / "data" / "cheetah_design.json"
COMMAND = "python benchmarks/cheetah_design.py"
LEADERS: dict[str, dict[str, Any]] = {
    "fixed": {},
    "random_search": {},
    "evolution_strategies": {"learning_rate": 0.5, "pairs": 2},
}
BUDGET, PRACTICE, UPDATES, SETTLING, EPISODES, SCORED = 500, 40, 16, 6, 4, 50
"""Transitions of a response; responses in practice, while the leader learns, and to its last body; episodes of a batch and of the score."""
TAU = 0.05
OPTIONS = {
    "policy_kwargs": {"net_arch": [64, 64]},
    "learning_starts": 1000,
    "train_freq": 2,
    "gradient_steps": 1,
    "batch_size": 128,
    "learning_rate": 1e-3,
    "buffer_size": 100_000,
}


def game_of(**settings: Any) -> CheetahDesign:
    """The game of the study: 5 seconds."""
    return CheetahDesign(horizon=100, **settings)


def follower_of(game: CheetahDesign, seed: int) -> sg.Follower:
    """A SAC follower that has learned nothing."""
    follower = sg.make_follower("sb3", algorithm="SAC", budget=BUDGET, temperature=TAU, options=OPTIONS)
    follower.begin(game, seed=seed)
    return follower


def body(longer: Any) -> sg.Configuration:
    """A commitment to a body."""
    parameters = SHAPE.parameters(torch.as_tensor(np.asarray(longer, dtype=np.float64)))
    return sg.Configuration(parameters, SHAPE)


def scored(game: CheetahDesign, answer: Any, commitment: Any, seed: int) -> dict[str, Any]:
    """What a body is worth with a response."""
    batch = sg.rollout(game, commitment, answer.policy, episodes=SCORED, seed=seed, first_episode=10_000)
    returns, ran = batch.leader_returns(1.0), batch.states[:, -1, 0] - batch.states[:, 0, 0]
    assert batch.follower_rewards is not None
    return {
        "return": float(returns.mean()),
        "error": float(returns.std(ddof=1) / len(returns) ** 0.5),
        "metres": float(ran.mean()),
        "follower": float(batch.follower_rewards.sum(axis=1).mean()),
    }


def played(game: CheetahDesign, name: str, state: Any, seed: int) -> dict[str, Any]:
    """A leader's run from a follower that has practised."""
    follower = follower_of(game, seed)
    follower.load_state_dict(state)
    leader = sg.make_leader(name, **LEADERS[name])
    start, begun = body(np.zeros(len(SEGMENTS))), time.process_time()
    leader.begin(game.view(TAU), seed=seed, commitment=start)
    history = []
    for update in range(UPDATES):
        answer = follower.respond(game, leader.commitment)
        batch = sg.rollout(
            game, leader.commitment, answer.policy, episodes=EPISODES, seed=seed, first_episode=update * EPISODES
        )
        returns = batch.leader_returns(game.leader_discount)
        history.append({"return": float(returns.mean()), "longer": chosen(leader.commitment)})
        leader.update(sg.Evidence(returns))
    final = leader.recommendation
    for _ in range(SETTLING):
        answer = follower.respond(game, final)
    return {
        "leader": name,
        "seed": seed,
        "longer": chosen(final),
        **scored(game, answer, final, seed),
        "transitions": (PRACTICE + UPDATES + SETTLING) * BUDGET + UPDATES * EPISODES * 100,
        "seconds": time.process_time() - begun,
        "history": history,
    }


def chosen(commitment: Any) -> list[float]:
    """The body of a commitment."""
    return [round(float(share), 4) for share in commitment.configuration().detach()]


def practised(game: CheetahDesign, seed: int) -> tuple[Any, float, dict[str, Any]]:
    """State of a follower that has practised, what that cost, and what the usual body is worth with it."""
    follower, random, begun = follower_of(game, seed), generator(seed, 7), time.process_time()
    for _ in range(PRACTICE):
        follower.respond(game, body(random.uniform(-0.49, 0.49, len(SEGMENTS))))
    usual = body(np.zeros(len(SEGMENTS)))
    state = follower.state_dict()
    seconds = time.process_time() - begun
    return state, seconds, scored(game, follower.respond(game, usual), usual, seed)


def main() -> None:
    """Play what is missing, a seed at a time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data: dict[str, Any] = json.loads(arguments.out.read_text()) if arguments.out.exists() else {"rows": []}
    game = game_of()
    for seed in arguments.seeds:
        if any(row["seed"] == seed for row in data["rows"]):
            continue
        state, seconds, before = practised(game, seed)
        print(f"seed {seed} practised, {seconds:.0f} s: {before}", flush=True)
        rows = []
        for name in LEADERS:
            rows.append({**played(game, name, state, seed), "practice_seconds": seconds, "before": before})
            shown = {key: value for key, value in rows[-1].items() if key not in ("history", "before")}
            print(json.dumps(shown), flush=True)
        data["rows"] += rows
        about = {"command": COMMAND, "date": datetime.date.today().isoformat(), "processor": platform.machine()}
        data.update(about, python=platform.python_version(), cost=game.cost, horizon=game.horizon, temperature=TAU)
        arguments.out.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()

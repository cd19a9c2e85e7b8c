"""Cost of one update where the leader configures a finite game.

Rollout, response, estimate and step together: on Four Rooms at the published batch of about 1,000
transitions, and against the number of
configured parameters, where the follower's reward comes out of a network whose weights are the
configuration. Memory is the growth of the process's peak over 20 updates after the first small one;
beside it stands what a gradient of all parameters for every transition would hold. Run with
``OMP_NUM_THREADS=1 python benchmarks/configured.py``.
"""

from __future__ import annotations

import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from measuring import print_table

import stackelberg_games as sg
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables

LEADERS = ("policy_gradient", "bchg", "hpgd")
SIZES = (100, 1_000, 10_000, 100_000)
EPISODES, ITERATIONS, REPEATS = 30, 150, 7
STATES, REPLIES, STAGES = 30, 4, 100


def four_rooms(leader: str) -> tuple[list[float], float]:
    """CPU milliseconds of an update, once for each repeat, and transitions an update."""
    torch.set_num_threads(1)
    game = sg.make("four_rooms-v0")
    times, transitions = [], 0.0
    for repeat in range(REPEATS + 1):
        follower = sg.make_follower("soft_value_iteration", temperature=0.003)
        agent = sg.make_leader(leader, learning_rate=0.01)
        loop: dict[str, Any] = {"iterations": ITERATIONS, "episodes": EPISODES, "stages": 200, "seed": repeat}
        start = time.process_time()
        run = sg.train(game, agent, follower, **loop, evaluate_every=0, progress=False)
        times.append((time.process_time() - start) / ITERATIONS * 1e3)
        transitions = run.history[-1]["transitions"] / ITERATIONS
    return times[1:], transitions  # the first one compiles


def network_game(size: int) -> ConfigurableGame:
    """A random MDP; the follower's reward is a network of one hidden layer with about ``size`` weights."""
    width = max(1, size // (STATES + REPLIES))
    random = np.random.default_rng(0)
    transition = random.dirichlet(np.full(STATES, 0.2), size=(STATES, REPLIES))
    leader, follower = random.normal(size=(2, STATES, REPLIES))

    def configure(x: torch.Tensor) -> Tables:
        hidden, out = x[: STATES * width].reshape(STATES, width), x[STATES * width :].reshape(width, REPLIES)
        reward = (torch.tanh(hidden) @ out / width**0.5)[:, None]
        return Tables(game.base.transition, game.base.leader_reward, game.base.follower_reward + reward)

    game = ConfigurableGame(
        transition,
        leader,
        follower,
        np.full(STATES, 1 / STATES),
        size=width * (STATES + REPLIES),
        configure=configure,
        spread=1.0,
        leader_discount=0.95,
        follower_discount=0.95,
    )
    return game


def network(size: int) -> tuple[int, float, float, float]:
    """Parameters, transitions an update, CPU ms an update, growth of the peak memory in MB; in a fresh process."""
    torch.set_num_threads(1)
    game = network_game(size)
    follower = sg.make_follower("soft_value_iteration", temperature=0.2)

    def train(episodes: int, iterations: int) -> Any:
        loop: dict[str, Any] = {"episodes": episodes, "stages": STAGES, "iterations": iterations}
        return sg.train(game, "bchg", follower, **loop, evaluate_every=0, progress=False)

    train(2, 2)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    run = train(100, 20)
    spent = (time.process_time() - start) / 20 * 1e3
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3
    return game.size, run.history[-1]["transitions"] / 20, spent, grown


def main() -> None:
    """Print both tables."""
    rows = []
    for leader in LEADERS:
        times, transitions = four_rooms(leader)
        figures = (min(times), float(np.median(times)), max(times))
        rows.append((leader, f"{transitions:,.0f}", *(f"{figure:.2f}" for figure in figures)))
    print_table("Four Rooms: CPU ms of an update", ("leader", "transitions", "min", "median", "max"), rows)
    rows = []
    for size in SIZES:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            parameters, transitions, spent, grown = pool.submit(network, size).result()
        naive = 8e-6 * parameters * transitions
        rows.append((f"{parameters:,}", f"{transitions:,.0f}", f"{spent:.2f}", f"{grown:.1f}", f"{naive:,.0f}"))
    columns = ("parameters", "transitions", "CPU ms an update", "peak growth MB", "a gradient per transition, MB")
    print_table("bchg against the number of configured parameters", columns, rows)


if __name__ == "__main__":
    main()

"""Turns per CPU second of every face of a game.

Run with ``OMP_NUM_THREADS=1 python benchmarks/faces.py``; with ``--rps`` beside the rock-paper-scissors of PettingZoo, which needs
Pygame. A turn is one player's move, so a round of
the plan form counts as two, and a step of the Gymnasium face, in which the leader moves as well, as
two. The loops do what a training loop does (read what ``last`` or ``step`` returns) with actions
that cost nothing to choose; CPU time is the process's own, so other load hardly matters.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from measuring import ratio
from pettingzoo.utils.conversions import parallel_to_aec, turn_based_aec_to_parallel
from rich.console import Console
from rich.table import Table

import stackelberg_games as sg
from stackelberg_games.play.rollout import TabularResponse

LEADER, FOLLOWER = "leader_0", "follower_0"
ACTIONS = {LEADER: 1, FOLLOWER: 2}
THEIR_ACTIONS = {"player_0": 1, "player_1": 2}
TURNS = 30_000


def aec(env: Any, turns: int, actions: dict[str, Any] = ACTIONS) -> int:
    """The loop of PettingZoo's performance benchmark."""
    env.reset(seed=0)
    for _ in range(turns):
        agent = env.agent_selection
        _, _, terminated, truncated, _ = env.last()
        env.step(None if terminated or truncated else actions[agent])
        if not env.agents:
            env.reset()
    return turns


def parallel(env: Any, turns: int, actions: dict[str, Any], moves: int) -> int:
    """``moves`` of the actions count in a step."""
    env.reset(seed=0)
    for _ in range(turns // moves):
        env.step(actions)
        if not env.agents:
            env.reset()
    return turns


def gym(env: Any, turns: int, moves: int = 2) -> int:
    """The follower's loop; where the leader acts it moves inside."""
    env.reset(seed=0)
    for _ in range(turns // moves):
        _, _, terminated, truncated, _ = env.step(2)
        if terminated or truncated:
            env.reset()
    return turns


def batched(game: Any, turns: int) -> int:
    """The rollout that training uses, for comparison."""
    episodes = max(1, turns // (2 * game.stages()))
    policy, response = sg.TabularPolicy(game), TabularResponse.uniform(game)
    return 2 * sg.rollout(game, policy, response, episodes=episodes, seed=0).transitions


def contests(game: Any) -> dict[str, tuple[int, Callable[[int], int]]]:
    """By name: how many turns to measure, and what plays them."""
    plan = {LEADER: 1, FOLLOWER: np.full(game.leader_actions, 2)}
    response = sg.best_response_env(game, sg.TabularPolicy(game))
    return {
        "raw_env()": (100_000, lambda n: aec(game.raw_env(), n)),
        "env()": (60_000, lambda n: aec(game.env(), n)),
        "parallel_env('turns')": (60_000, lambda n: parallel(game.parallel_env("turns"), n, ACTIONS, 1)),
        "parallel_env('plan')": (60_000, lambda n: parallel(game.parallel_env("plan"), n, plan, 2)),
        "best_response_env()": (60_000, lambda n: gym(response, n)),
        "parallel_to_aec(turns)": (
            20_000,
            lambda n: aec(parallel_to_aec(game.parallel_env("turns")), n),
        ),
        "turn_based_aec_to_parallel(env())": (
            20_000,
            lambda n: parallel(turn_based_aec_to_parallel(game.env()), n, ACTIONS, 1),
        ),
        "rollout()": (3_000_000, lambda n: batched(game, n)),
    }


def configured(game: Any) -> dict[str, tuple[int, Callable[[int], int]]]:
    """The same for a game that the leader only configures: nearly all turns are the follower's."""
    game.configuration_space.seed(0)
    actions = {LEADER: game.configuration_space.sample(), FOLLOWER: 2}
    response = sg.best_response_env(game, actions[LEADER])
    return {
        "raw_env()": (60_000, lambda n: aec(game.raw_env(), n, actions)),
        "env()": (60_000, lambda n: aec(game.env(), n, actions)),
        "parallel_env('turns')": (60_000, lambda n: parallel(game.parallel_env("turns"), n, actions, 1)),
        "best_response_env()": (60_000, lambda n: gym(response, n, 1)),
    }


def rps_contests() -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """The same game by both packages, 15 rounds an episode: what makes a face here, and there."""
    pays = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    ours = sg.make("matrix-v0", leader=pays, follower=-pays, horizon=15)
    return {"raw_env()": (ours.raw_env, lambda: theirs().raw_env()), "env()": (ours.env, lambda: theirs().env())}


def theirs() -> Any:
    """PettingZoo's module, which needs Pygame."""
    from pettingzoo.classic import rps_v2

    return rps_v2


def beside_rps(pairs: int) -> Table:
    """Both, alternating in one process."""
    table = Table(title=f"Rock, paper, scissors: turns per CPU second, {pairs} alternating pairs")
    table.add_column("face")
    for column in ("matrix-v0", "rps_v2", "ratio"):
        table.add_column(column, justify="right")
    for name, makers in rps_contests().items():
        rates = []
        for _ in range(pairs + 1):  # the first loads and compiles
            pair = []
            for make, actions in zip(makers, (ACTIONS, THEIR_ACTIONS), strict=True):
                start = time.process_time()
                pair.append(aec(make(), TURNS, actions) / (time.process_time() - start))
            rates.append(pair)
        mine, yours = (statistics.median(column) for column in zip(*rates[1:], strict=True))
        table.add_row(name, f"{mine:,.0f}", f"{yours:,.0f}", ratio([(other, one) for one, other in rates[1:]]))
    return table


def measure(play: Callable[[int], int], turns: int, repeats: int) -> list[float]:
    """Turns per CPU second of each repeat, after a short run that loads and compiles."""
    play(min(turns, 1000))
    rates = []
    for _ in range(repeats):
        start = time.process_time()
        played = play(turns)
        rates.append(played / (time.process_time() - start))
    return rates


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--game", default="discrete_toy-v0", help="id of a finite game with at least 2 x 3 actions, or configured"
    )
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--rps", action="store_true", help="beside PettingZoo's own environment instead")
    chosen = parser.parse_args()
    if chosen.rps:
        Console().print(beside_rps(chosen.repeats))
        return
    table = Table(title=f"{chosen.game}: turns per CPU second, {chosen.repeats} repeats")
    table.add_column("face")
    for column in ("min", "median", "max"):
        table.add_column(column, justify="right")
    game = sg.make(chosen.game)
    only_configured = game.configuration_space is not None and game.idle_action is not None
    for name, (turns, play) in (configured if only_configured else contests)(game).items():
        rates = measure(play, turns, chosen.repeats)
        table.add_row(name, *(f"{value:,.0f}" for value in (min(rates), statistics.median(rates), max(rates))))
    Console().print(table)


if __name__ == "__main__":
    main()

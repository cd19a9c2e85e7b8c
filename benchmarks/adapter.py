"""CPU time that an adapter adds to a step of simple_tag.

Run with ``OMP_NUM_THREADS=1 python benchmarks/adapter.py``. All four agents move in a step. The environment's own loop and
``rollout`` of the adapted game play the same moves, chosen at no cost; they take turns, and the medians of many turns are
compared, so that other load weighs on both.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import stackelberg_games as sg

HUNTERS = ["adversary_0", "adversary_1", "adversary_2"]
STEPS = 25


class Still(sg.Commitment):
    """A commitment that always plays action 1."""

    def probabilities(self) -> Any:
        """Of games of tables, which this is not."""
        raise NotImplementedError

    def sample(self, states: Any, streams: Any, stage: int) -> Any:
        """Action 1 for every state."""
        return ONES


class Standing:
    """A response that always plays action 1."""

    def reply(self, observations: Any, streams: Any, number: int, masks: Any = None) -> Any:
        """Action 1 for the one observation."""
        return ONES


ONES = np.ones(1, dtype=np.int64)


def plain(env: Any, episodes: int) -> int:
    """The environment's own loop."""
    steps = 0
    for number in range(episodes):
        env.reset(seed=number)
        while env.agents:
            env.step(dict.fromkeys(env.agents, 1))
            steps += 1
    return steps


def adapted(game: Any, episodes: int) -> int:
    """The same as a game."""
    leader, follower = Still(), Standing()
    batch = sg.rollout(game, leader, follower, episodes=episodes, stages=STEPS)  # type: ignore[arg-type]
    return int(batch.lengths.sum())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=40)
    chosen = parser.parse_args()
    env = importlib.import_module("mpe2.simple_tag_v3").parallel_env(max_cycles=STEPS)
    source = {"id": "mpe2.simple_tag_v3:parallel_env", "max_cycles": STEPS}
    game = sg.adapt(source, "agent_0", HUNTERS, follower_sees_action=False)
    ways: dict[str, Callable[[], int]] = {"its own loop": lambda: plain(env, 8), "adapted": lambda: adapted(game, 8)}
    spent: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(chosen.turns):
        for way, play in ways.items():
            began = time.process_time()
            steps = play()
            spent[way].append((time.process_time() - began) / steps)
    medians = {way: statistics.median(times) for way, times in spent.items()}
    ratios = [mine / own - 1 for own, mine in zip(*spent.values(), strict=True)]
    for way, median in medians.items():
        print(f"{way:<14}{1e6 * median:8.1f} microseconds a step")
    print(f"the adapter adds {statistics.median(ratios):.1%} (median of {len(ratios)} pairs)")


if __name__ == "__main__":
    main()

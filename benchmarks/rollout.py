"""Stages per CPU second of compiled tabular rollouts with traces, beside the generic batched loop.

Run with ``OMP_NUM_THREADS=1 python benchmarks/rollout.py``.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

import stackelberg_games as sg
from stackelberg_games.hypergradient import traces
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.numerics.randomness import Streams
from stackelberg_games.play.rollout import _rollout_batched

BUDGET, REPEATS = 2_000_000, 5


def rate(play: Callable[[int], sg.Trajectories], episodes: int, budget: int) -> float:
    """Median of million stages per CPU second."""
    play(0)
    rates = []
    for repeat in range(REPEATS):
        calls = max(1, budget // (episodes * 150))
        start = time.process_time()
        for call in range(calls):
            batch = play(repeat * calls + call)
            traces(batch.leader_rewards, batch.lengths, 0.99, 0.99)
        rates.append(calls * episodes * 150 / (time.process_time() - start) / 1e6)
    return float(np.median(rates))


def main() -> None:
    """Print the table."""
    game = sg.make("discrete_toy-v0")
    assert isinstance(game, TabularGame)
    policy = sg.TabularPolicy(game)
    response = sg.TabularResponse(sg.exact.best_response(game, policy, 0.05).policy)
    print(f"{'episodes of 150 stages':>24}{'compiled':>12}{'batched':>12}{'ratio':>8}   million stages per CPU second")
    for episodes in (3, 30, 300, 3_000):

        def fast(number: int, episodes: int = episodes) -> sg.Trajectories:
            return sg.rollout(game, policy, response, episodes=episodes, first_episode=number * episodes)

        def slow(number: int, episodes: int = episodes) -> sg.Trajectories:
            streams = Streams.of(0, episodes, number * episodes)
            return _rollout_batched(game, policy, response, streams, 150)

        compiled, batched = rate(fast, episodes, BUDGET), rate(slow, episodes, BUDGET // 20)
        print(f"{episodes:>24}{compiled:>12.2f}{batched:>12.3f}{compiled / batched:>8.0f}")


if __name__ == "__main__":
    main()

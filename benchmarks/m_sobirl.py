"""CPU milliseconds of an iteration of M-SoBiRL on its synthetic problem, and where the run ends.

Run with ``OMP_NUM_THREADS=1 python benchmarks/m_sobirl.py``. All 3,000 iterations of the published
run are timed one by one, by the processor's clock, so that other load counts little.
"""

from __future__ import annotations

import time

import numpy as np

import stackelberg_games as sg

ITERATIONS, WARM_UP = 3000, 20


def run(iterations: int) -> tuple[list[float], dict[str, float]]:
    """CPU seconds of each iteration after some, and the last figures."""
    game = sg.make("random_mdp-v0")
    leader = sg.make_leader("m_sobirl")
    leader.begin(game.view(1.0), seed=3)
    evidence = sg.Evidence(np.zeros(1), game=game)
    times, figures = [], {"gradient_norm": np.nan, "objective": np.nan}
    for _ in range(iterations):
        start = time.process_time()
        figures = leader.update(evidence)
        times.append(time.process_time() - start)
    return times[WARM_UP:], figures


def main() -> None:
    """Print quantiles and the final figures."""
    times, figures = run(ITERATIONS)
    low, median, high = (1e3 * np.quantile(times, share) for share in (0.1, 0.5, 0.9))
    print(f"CPU ms an iteration: {median:.2f} (median), {low:.2f} to {high:.2f} (10 % to 90 %)")
    print(
        f"after {ITERATIONS} iterations: gradient norm {figures['gradient_norm']:.8g}, -f {figures['objective']:.12g}"
    )


if __name__ == "__main__":
    main()

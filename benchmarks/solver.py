"""The follower's soft response: Newton's method against soft value iteration, to the same residual.

Run with ``OMP_NUM_THREADS=1 python benchmarks/solver.py [--plot FILE.png]``. Both methods solve the
same random games (discount 0.99, temperature 0.05) to a Bellman residual of 1e-10 relative to the
largest value: cold from zero, and warm from the response to the commitment before a step of 0.05
in every logit, as in training. CPU time is the process's own; each figure is the median over games
of the median over repeats.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from measuring import COLOURS, cpu_seconds, new_figure, print_table, save

import stackelberg_games as sg
from stackelberg_games.arrays import FloatArray
from stackelberg_games.exact.response import Arrays
from stackelberg_games.exact.soft_response import CAP, soft_backup, soft_response
from stackelberg_games.kinds.finite import TabularGame

SIZES = (3, 10, 30, 100, 200)
TAU, TOLERANCE, STEP = 0.05, 1e-10, 0.05


@dataclass(frozen=True)
class Contest:
    """Steps and CPU seconds of both methods on one game, cold and warm."""

    newton_steps: tuple[int, int]
    sweeps: tuple[int, int]
    newton: tuple[float, float]
    sweeping: tuple[float, float]


def sweep(arrays: Arrays, start: FloatArray) -> tuple[FloatArray, int]:
    """Soft value iteration until the residual is small enough, and the number of sweeps."""
    values, count = start, 0
    while True:
        updated, _ = soft_backup(arrays, arrays.follower_q(values), TAU)
        if np.abs(updated - values).max() <= TOLERANCE * max(1.0, np.abs(values).max()):
            return values, count
        values, count = updated, count + 1


def newton(arrays: Arrays, start: FloatArray, largest: float) -> tuple[FloatArray, int]:
    """Soft policy iteration to the same residual where values are up to ``largest``, and the number of linear solves."""
    tolerance = TOLERANCE * max(1.0, largest) / min(largest + TAU, CAP * TAU)
    solved = soft_response(arrays, TAU, start, tolerance=tolerance)
    return solved.values, solved.newton_steps


def arrays_of(game: TabularGame, logits: FloatArray) -> Arrays:
    """The game under a tabular policy."""
    with torch.no_grad():
        return Arrays.of(game, game.model(sg.TabularPolicy(game, logits)))


def contest(states: int, seed: int, repeats: int) -> Contest:
    """Both methods on one random game."""
    game = sg.make("random_game-v0", states=states, seed=seed, follower_discount=0.99)
    assert isinstance(game, TabularGame)
    draws = np.random.default_rng(seed)
    logits = draws.normal(size=(states, game.leader_actions))
    before = arrays_of(game, logits)
    after = arrays_of(game, logits + STEP * draws.choice([-1.0, 1.0], size=logits.shape))
    zero = np.zeros(states)
    known = sweep(before, zero)[0]
    largest = float(np.abs(known).max())
    tasks = ((before, zero), (after, known))
    solvers = (partial(newton, largest=largest), sweep)
    for task in tasks:
        assert np.allclose(solvers[0](*task)[0], sweep(*task)[0], rtol=1e-7)
    steps, sweeps = ([solver(*task)[1] for task in tasks] for solver in solvers)
    fast, slow = ([cpu_seconds(partial(solver, *task), repeats) for task in tasks] for solver in solvers)
    return Contest((steps[0], steps[1]), (sweeps[0], sweeps[1]), (fast[0], fast[1]), (slow[0], slow[1]))


def median(contests: list[Contest], field: str, which: int) -> float:
    """Median over games of one figure."""
    return statistics.median(getattr(c, field)[which] for c in contests)


def rows(results: dict[int, list[Contest]], which: int) -> list[tuple[str, ...]]:
    """Table of the cold (0) or warm (1) solves."""
    table = []
    for states, contests in results.items():
        fast, slow = median(contests, "newton", which), median(contests, "sweeping", which)
        counts = (median(contests, "newton_steps", which), median(contests, "sweeps", which))
        table.append(
            (
                str(states),
                f"{counts[0]:.0f}",
                f"{fast * 1e3:.3f}",
                f"{counts[1]:.0f}",
                f"{slow * 1e3:.2f}",
                f"{slow / fast:.0f}x",
            )
        )
    return table


def plot(results: dict[int, list[Contest]], file: Path) -> None:
    """CPU time against the number of states, cold and warm."""
    figure, axes = new_figure(2)
    for which, (axis, title) in enumerate(zip(axes, ("from zero", "after a learning step"), strict=True)):
        for colour, field, label in zip(COLOURS, ("sweeping", "newton"), ("value iteration", "Newton"), strict=False):
            times = [1e3 * median(contests, field, which) for contests in results.values()]
            axis.plot(list(results), times, "o-", color=colour, label=label)
        axis.set(xlabel="states", ylabel="CPU time (ms)", title=f"Soft response, {title}")
        axis.legend(frameon=False)
    low = min(axis.get_ylim()[0] for axis in axes)
    for axis in axes:
        axis.set_ylim(low, max(a.get_ylim()[1] for a in axes))
    save(figure, file)


def main() -> None:
    """Print the tables and plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--games", type=int, default=3, help="random games of each size")
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    chosen = parser.parse_args()
    results = {s: [contest(s, seed, chosen.repeats) for seed in range(chosen.games)] for s in SIZES}
    columns = ("states", "Newton steps", "CPU ms", "sweeps", "CPU ms", "ratio")
    for which, title in enumerate(("Soft response from zero", f"Soft response after a step of {STEP} in the logits")):
        print_table(title, columns, rows(results, which))
    if chosen.plot:
        plot(results, chosen.plot)


if __name__ == "__main__":
    main()

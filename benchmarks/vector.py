"""Rounds per CPU second of many copies of a game: the batched environment against SuperSuit's.

Run with ``OMP_NUM_THREADS=1 python benchmarks/vector.py``. Both environments have the same rows, the
same observations and the same masks; actions are drawn once, so that the loops measure the
environments. The ratio is the median over repeats in which the two take turns; CPU time is the
process's own, so other load hardly matters.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import stackelberg_games as sg


def rate(env: Any, copies: int, rounds: int) -> float:
    """Rounds (two steps) of all copies per CPU second."""
    actions = np.zeros(2 * copies, dtype=np.int64)
    start = time.process_time()
    for _ in range(rounds):
        env.step(actions)
        env.step(actions)
    return rounds * copies / (time.process_time() - start)


def compare(game: Any, copies: int, repeats: int) -> tuple[list[float], list[float], float]:
    """Rates of both and the lengths they are measured over, which adapt to their speed."""
    envs = [sg.vector_env(game, copies, backend=backend) for backend in ("batched", "supersuit")]
    lengths = []
    for env in envs:
        env.reset(seed=0)
        rate(env, copies, 2)
        lengths.append(max(5, int(0.3 * rate(env, copies, 5) / copies)))
    rates = [[rate(env, copies, length) for env, length in zip(envs, lengths, strict=True)] for _ in range(repeats)]
    ratio = statistics.median(mine / theirs for mine, theirs in rates)
    return [row[0] for row in rates], [row[1] for row in rates], ratio


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    table = Table(title=f"rounds per CPU second, median of {chosen.repeats}")
    for column in ("game", "copies", "batched", "SuperSuit", "ratio"):
        table.add_column(column, justify="left" if column == "game" else "right")
    settings: tuple[tuple[str, dict[str, Any]], ...] = (
        ("discrete_toy-v0", {}),
        ("random_game-v0", {"states": 50, "horizon": 50, "transitions": {"terminal_states": 3}}),
    )
    for name, arguments in settings:
        game = sg.make(name, **arguments)
        for copies in (1, 16, 256, 4096):
            mine, theirs, ratio = compare(game, copies, chosen.repeats if copies < 4096 else 3)
            label = name + (" (ends at different times)" if arguments else "")
            numbers = f"{statistics.median(mine):,.0f}", f"{statistics.median(theirs):,.0f}", f"{ratio:,.1f}"
            table.add_row(label, f"{copies:,}", *numbers)
    Console().print(table)


if __name__ == "__main__":
    main()

"""Exact optima of the registered games; stores ``docs/data/optima.json`` for the documentation.

Run with ``OMP_NUM_THREADS=1 python benchmarks/optima.py``. Against a soft follower the optimum is
the best of many L-BFGS ascents on the exact hypergradient, and the share of starts that reach it
within 0.1 % says how far to trust it. At temperature 0 it comes from linear programs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import stackelberg_games as sg
from stackelberg_games.errors import UnknownIdError
from stackelberg_games.tabular import TabularGame

TOYS = ("1_1a", "1_1b", "1_2a", "1_2b", "1_2c", "1_2d", "1_2e", "1_2f", "1_2g", "2_1", "2_2", "3_1a", "3_1b", "3_2")


class Case(NamedTuple):
    """A game with settings, and the follower's temperature."""

    game: str
    settings: dict[str, Any]
    temperature: float


CASES = (
    Case("discrete_toy-v0", {}, 0.05),
    Case("discrete_toy-v0", {"R": 2.0}, 0.05),
    *(Case("discrete_toy-v0", {"variant": variant}, 0.05) for variant in TOYS),
    *(
        Case("matrix-v0", {"preset": preset}, temperature)
        for preset in ("letchford", "conitzer_sandholm", "escape", "maintain")
        for temperature in (0.0, 0.05)
    ),
    Case("random_game-v0", {}, 0.05),
    Case("random_game-v0", {"seed": 1}, 0.05),
    Case("random_game-v0", {"follower_discount": 0.0}, 0.0),
)


def uniform_value(game: TabularGame, temperature: float) -> float:
    """What the uniform policy is worth against the same follower."""
    policy = sg.TabularPolicy(game)
    response = sg.exact.best_response(game, policy, temperature).policy
    return float(sg.exact.leader_value(game, policy, response))


def rows(starts: int) -> Iterator[dict[str, Any]]:
    """One record for each case whose game is installed."""
    for case in CASES:
        try:
            game = sg.make(case.game, **case.settings)
        except UnknownIdError as error:
            print(error)
            continue
        assert isinstance(game, TabularGame)
        found = sg.exact.solve(game, case.temperature, starts=starts)
        near = sum(value >= found.value - 1e-3 * abs(found.value) for value in found.start_values)
        row = {
            "game": case.game,
            "settings": case.settings,
            "temperature": case.temperature,
            "value": found.value,
            "uniform": uniform_value(game, case.temperature),
            "reached": None if case.temperature == 0 else [near, len(found.start_values)],
            "policy": found.commitment.probabilities().detach().numpy().round(4).tolist(),
        }
        print({name: value for name, value in row.items() if name != "policy"}, flush=True)
        yield row


def main() -> None:
    """Compute and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=32)
    parser.add_argument("--out", type=Path, default=Path("docs/data/optima.json"))
    chosen = parser.parse_args()
    command = f"python benchmarks/optima.py --starts {chosen.starts}"
    stored = {"command": command, "version": sg.__version__, "rows": list(rows(chosen.starts))}
    chosen.out.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()

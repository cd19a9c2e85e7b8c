"""Where the penalty method ends at a fixed weight, and annealed. Run with ``OMP_NUM_THREADS=1 python benchmarks/penalty_windows.py``."""

from __future__ import annotations

from typing import Any

import stackelberg_games as sg

GAMES: tuple[tuple[str, dict[str, Any], float, float], ...] = (
    ("discrete_toy-v0", {}, 0.05, 0.05),
    ("matrix-v0", {"preset": "letchford"}, 0.1, 0.1),
    ("matrix-v0", {"preset": "maintain"}, 0.1, 0.1),
    ("repeated_pd-v0", {}, 0.01, 0.05),
)
"""Id, settings, temperature, learning rate."""

UPDATES = 400


def ended(game: sg.Game, temperature: float, **settings: Any) -> float:
    """The value against the true response after so many updates."""
    follower = sg.make_follower("soft_value_iteration", temperature=temperature)
    loop = {"iterations": UPDATES, "episodes": 1, "stages": 1, "seed": 0, "evaluate_every": 0}
    value = sg.train(game, sg.make_leader("penalty", **settings), follower, **loop).value
    assert value is not None
    return value


def main() -> None:
    """A row for each game, as Markdown."""
    weights = (1.0, 10.0, 100.0, 1000.0)
    print(f"| game | {' | '.join(f'{weight:g}' for weight in weights)} | annealed |")
    print("|---|" + "---|" * (len(weights) + 1))
    for name, chosen, temperature, rate in GAMES:
        game = sg.make(name, **chosen)
        row = [ended(game, temperature, learning_rate=rate, weight=w, last_weight=w) for w in weights]
        row.append(ended(game, temperature, learning_rate=rate, annealing=300))
        print(f"| {chosen.get('preset', name)} | {' | '.join(f'{value:.3f}' for value in row)} |", flush=True)


if __name__ == "__main__":
    main()

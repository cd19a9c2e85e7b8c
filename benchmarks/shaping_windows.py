"""Where penalty, LOLA and contextual followers end against their own constants; stores ``docs/data/shaping_windows.json``.

Run with ``OMP_NUM_THREADS=1 python benchmarks/shaping_windows.py``; what is stored already is not run again. Every value is
that of the leader's recommendation against the true response, exactly.
"""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import stackelberg_games as sg
from stackelberg_games.errors import SolverError

OUT = Path(__file__).parents[1] / "docs" / "data" / "shaping_windows.json"
COMMAND = "python benchmarks/shaping_windows.py"


class Case(NamedTuple):
    """A game, its follower's temperature and optimum, and the learning rate of all leaders."""

    label: str
    game: str
    settings: dict[str, Any]
    temperature: float
    optimum: float
    rate: float
    loop: dict[str, Any]


CASES = (
    Case("discrete_toy", "discrete_toy-v0", {}, 0.05, 27.315565, 0.05, {"episodes": 30}),
    Case("letchford", "matrix-v0", {"preset": "letchford"}, 0.1, 2.266839, 0.1, {"episodes": 100}),
    Case("maintain", "matrix-v0", {"preset": "maintain"}, 0.1, 27.150552, 0.1, {"episodes": 100}),
    Case("repeated_pd", "repeated_pd-v0", {}, 0.01, 4.26498, 0.05, {"episodes": 30, "stages": 50}),
)

WEIGHTS = (1.0, 10.0, 100.0, 1000.0)
LOOKAHEADS, STEPS = (1, 10, 100), (0.1, 1.0, 5.0)
PRACTICES = (10, 30, 100)
UPDATES = {"penalty": 300, "lola": 100, "contextual": 100}
"""Of the commitment; practice comes on top."""


def runs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Leaders and the settings in question."""
    for weight in WEIGHTS:
        yield "penalty", {"weight": weight, "last_weight": weight}
    yield "penalty", {"annealing": 200}
    for step in STEPS:
        for lookahead in LOOKAHEADS:
            yield "lola", {"lookahead": lookahead, "step_size": step}
    yield "lola", {"lookahead": 100}
    for practice in PRACTICES:
        yield "contextual", {"practice": practice}


def ended(case: Case, leader: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Value at the end, and the best and the worst since half of the updates."""
    game, updates = sg.make(case.game, **case.settings), UPDATES[leader]
    practice = settings.get("practice", 0)
    loop = {"episodes": 1, "stages": 1} if leader == "penalty" else case.loop
    every = {"seed": 0, "iterations": practice + updates, "evaluate_every": 10}
    follower = sg.make_follower("soft_value_iteration", temperature=case.temperature)
    try:
        run = sg.train(
            game, sg.make_leader(leader, learning_rate=case.rate, **settings), follower, progress=False, **loop, **every
        )
    except SolverError as error:
        return {"value": None, "failed": str(error)}
    seen = [record["recommended_value"] for record in run.history if "recommended_value" in record]
    late = [*seen[-(updates // 20) :], run.value]
    return {"value": run.value, "least": min(late), "largest": max(late), "first": seen[0]}


def main() -> None:
    """Run what is missing, and store after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args()
    rows = json.loads(chosen.out.read_text())["rows"] if chosen.out.exists() else []
    for case in CASES:
        for leader, settings in runs():
            facts = {"game": case.label, "leader": leader, "settings": settings}
            if any(all(row[name] == fact for name, fact in facts.items()) for row in rows):
                continue
            rows.append({**facts, "optimum": case.optimum, **ended(case, leader, settings)})
            print(rows[-1], flush=True)
            stored = {"command": COMMAND, "date": str(datetime.date.today()), "updates": UPDATES, "rows": rows}
            chosen.out.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()

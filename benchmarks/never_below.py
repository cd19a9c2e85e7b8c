"""Is any leader worth more than the optimum that ``exact.solve`` finds?

    OMP_NUM_THREADS=1 python benchmarks/never_below.py --workers 2

Leaders that know the model, that fit one, that follow sampled gradients and that search are trained on every shipped
finite game and on random configured ones (principals and agents, levers within bounds or a budget, levers that also
move the transitions), against the soft-optimal follower. Stored in ``docs/data/never_below.json``: the best value any of
them recommends, beside the optimum and what it rests on. Games that the file holds already are not computed again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

import stackelberg_games as sg
from stackelberg_games.errors import StackelbergError
from stackelberg_games.kinds.finite import TabularGame

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from tests.configured_games import configured

SHIPPED: tuple[tuple[str, dict[str, Any], float], ...] = (
    ("discrete_toy-v0", {}, 0.05),
    ("discrete_toy-v0", {"R": 2.0}, 0.05),
    ("discrete_toy-v0", {"variant": "3_2"}, 0.05),
    *(("matrix-v0", {"preset": p}, 0.05) for p in ("letchford", "conitzer_sandholm", "escape", "maintain")),
    ("random_game-v0", {}, 0.05),
    ("random_game-v0", {"seed": 1}, 0.05),
    ("random_mdp-v0", {}, 1.0),
    ("tax_design-v0", {}, 0.1),
    ("four_rooms-v0", {}, 0.001),
    ("four_rooms-v0", {}, 0.003),
    ("four_rooms-v0", {}, 0.005),
    ("four_rooms-v0", {"goals": 2}, 0.003),
    ("warehouse-v0", {}, 0.02),
    ("warehouse-v0", {}, 0.05),
    ("warehouse-v0", {"lever": "one_way"}, 0.02),
    ("security_game-v0", {}, 0.1),
    ("repeated_pd-v0", {}, 0.01),
    ("repeated_pd-v0", {}, 0.1),
    ("myopic-v0", {}, 0.1),
    ("contract-v0", {}, 0.1),
    ("principal_agent-v0", {}, 0.1),
    ("bayesian_matrix-v0", {}, 0.1),
    ("duopoly-v0", {}, 0.1),
    ("wholesale-v0", {}, 0.1),
    ("tax_linear-v0", {}, 0.1),
    ("tiled_rooms-v0", {"tiles": 1}, 0.05),
    ("toll-v0", {}, 0.05),
    ("toll-v0", {"preset": "braess"}, 0.05),
    *(("matrix-v0", {"preset": p}, 0.05) for p in ("inspection", "entry_deterrence", "chicken", "matching_pennies")),
)
LEADERS: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("exact_gradient", {"learning_rate": 0.1}, 400),
    ("model_based", {}, 100),
    ("bchg", {"learning_rate": 0.1}, 300),
    ("evolution_strategies", {}, 300),
    ("random_search", {}, 300),
)


def case(number: int) -> tuple[str, TabularGame, float]:
    """A game's name, the game, and the temperature of its follower; random ones follow the shipped ones."""
    if number < len(SHIPPED):
        name, settings, temperature = SHIPPED[number]
        game = sg.make(name, **settings)
        assert isinstance(game, TabularGame)
        text = ", ".join(f"{key}={value}" for key, value in settings.items())
        return f"{name} {text}".strip(), game, temperature
    random = number - len(SHIPPED)
    made, temperature = configured(random)
    return f"random {random}: {made.name}", made, temperature


def compared(number: int, seeds: int) -> dict[str, Any]:
    """The optimum of one game, and the best value that a leader recommends."""
    name, game, temperature = case(number)
    start = time.process_time()
    best = sg.exact.solve(game, temperature)
    record: dict[str, Any] = {"game": name, "temperature": temperature, "value": best.value}
    record |= {"evidence": best.evidence, "seconds": time.process_time() - start, "leader": None, "leaders": {}}
    for leader, settings, iterations in LEADERS:
        follower = sg.make_follower("soft_value_iteration", temperature=temperature)
        for seed in range(seeds):
            try:
                run = sg.train(
                    game,
                    sg.make_leader(leader, **settings),
                    follower,
                    iterations=iterations,
                    episodes=10,
                    stages=100 if game.horizon is None else None,
                    seed=seed,
                    evaluate_every=20,
                    progress=False,
                )
            except StackelbergError as error:
                record["leaders"][leader] = f"{type(error).__name__}: {error}"
                break
            values = [row["recommended_value"] for row in run.history if "recommended_value" in row]
            record["leaders"][leader] = max(record["leaders"].get(leader, -float("inf")), *values)
    reached = {name: value for name, value in record["leaders"].items() if isinstance(value, float)}
    record["leader"] = max(reached, key=reached.__getitem__)
    record["above"] = reached[record["leader"]] - best.value
    print({key: record[key] for key in ("game", "value", "evidence", "leader", "above", "seconds")}, flush=True)
    return record


def main() -> None:
    """Run and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, default=50, help="random configured games")
    parser.add_argument("--seeds", type=int, default=2, help="runs of each leader")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/data/never_below.json")
    chosen = parser.parse_args()
    numbers = range(len(SHIPPED) + chosen.random)
    before = json.loads(chosen.out.read_text())["rows"] if chosen.out.exists() else []
    known = {(row["game"], row["temperature"]): row for row in before}
    asked = [(name, temperature) for name, _, temperature in map(case, numbers)]
    missing = [number for number, key in zip(numbers, asked, strict=True) if key not in known]
    command = f"python benchmarks/never_below.py --random {chosen.random} --seeds {chosen.seeds}"
    made = Parallel(n_jobs=chosen.workers, return_as="generator_unordered")(
        delayed(compared)(number, chosen.seeds) for number in missing
    )
    for row in made:
        known[(row["game"], row["temperature"])] = row
        rows = [known[key] for key in asked if key in known]
        chosen.out.write_text(json.dumps({"command": command, "rows": rows}, indent=1) + "\n")
    rows = [known[key] for key in asked]
    above = [row for row in rows if row["above"] > 1e-6 * max(1.0, abs(row["value"]))]
    print(f"{len(rows)} games, a leader above the optimum in {len(above)}: {[row['game'] for row in above]}")


if __name__ == "__main__":
    main()

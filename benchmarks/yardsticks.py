"""Leaders in games of vectors whose truth is known, at equal transitions.

``pendulum_grid-v0`` has exact values; in the guided pendulum a commitment is scored by play against a follower that has
settled on it, beside the constant and linear pushes of ``benchmarks/guided_games.py``, and so in the guided cart-pole. SAC has
practised against the first commitment as in ``benchmarks/foreign_follower.py``, and trains for 2,048 transitions after every update.

Run with ``OMP_NUM_THREADS=1 python benchmarks/yardsticks.py --data docs/data/yardsticks.json --plot
docs/images/yardsticks.png``; runs that the file has are kept. ``--cost`` shows the parts of an update of ``model_based``.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from foreign_follower import SAC, Practised, practised
from guided_games import CARTPOLE
from measuring import COLOURS, print_table

import stackelberg_games as sg
from stackelberg_games.learning.score import score
from stackelberg_games.numerics.threads import single_threaded


class Match(NamedTuple):
    """A leader in a study: its settings, how its transitions are divided, and what to call it where it comes twice."""

    leader: str
    settings: dict[str, Any]
    iterations: int
    episodes: int
    seeds: int = 10
    called: str = ""

    @property
    def label(self) -> str:
        """In rows and pictures."""
        return self.called or self.leader


class Study(NamedTuple):
    """A game, the follower, who leads, and values to compare with."""

    game: str
    settings: dict[str, Any]
    follower: str
    follower_settings: dict[str, Any]
    matches: tuple[Match, ...]
    levels: dict[str, float]


SOFT = {"temperature": 2.0}
CELLS = {"kind": "prototypes", "states": 300, "memory": 0.95}
FITTED = {"kind": "modelled", "steps": 20}
STUDIES = {
    "pendulum_grid": Study(
        "pendulum_grid-v0",
        {},
        "soft_value_iteration",
        SOFT,
        (
            Match("model_based", {}, 5, 10),
            Match("bchg", {"learning_rate": 0.5, "representation": FITTED}, 24, 20, called="bchg, modelled"),
            Match("bchg", {"learning_rate": 0.3, "representation": CELLS}, 48, 10, called="bchg, prototypes"),
            Match("bchg", {"learning_rate": 0.1}, 48, 10, 5, called="bchg, networks"),
            Match("policy_gradient", {"learning_rate": 0.1}, 48, 10, 5),
            Match("bi_actor_critic", {"learning_rate": 0.1}, 48, 10, 5),
            Match("evolution_strategies", {}, 48, 10),
            Match("random_search", {}, 48, 10),
        ),
        {"wind 0": -6.68, "wind 1": -4.01},
    ),
    "guided_pendulum": Study(
        "guided_pendulum-v0",
        {"max_push": 3.0},
        "grid_planner",
        SOFT,
        (
            Match("model_based", {}, 4, 16),
            Match("bchg", {"learning_rate": 0.3, "representation": FITTED}, 12, 16, called="bchg, modelled"),
        ),
        {"no push": -9.67, "push 1": -6.17},
    ),
    "guided_cartpole": Study(
        "guided_cartpole-v0",
        {"target": "right"},
        "grid_planner",
        {**CARTPOLE, "points": tuple(CARTPOLE["points"])},
        (
            Match("evolution_strategies", {"sigma": 0.5, "learning_rate": 0.5}, 120, 6, 5),
            Match("model_based", {}, 4, 16, 5),
        ),
        {"no wind": 13.46, "wind 0.05": 33.64},
    ),
    "guided_pendulum, SAC": Study(
        "guided_pendulum-v0",
        {"max_push": 3.0},
        "sb3",
        {"algorithm": "SAC", "budget": 2048, "copies": 16, "temperature": 2.0, "options": SAC},
        (Match("model_based", {}, 4, 16),),
        {"no push": -9.67, "push 1": -7.07},
    ),
}
SCORED = 1000
"""Episodes in which the recommendation is scored where there is no exact value."""
COMMAND = "python benchmarks/yardsticks.py --data docs/data/yardsticks.json"


@single_threaded()
def played(study: Study, match: Match, seed: int) -> dict[str, Any]:
    """One match: what was recommended after every batch, and what that is worth in the end."""
    exact, learns = study.follower == "soft_value_iteration", study.follower == "sb3"
    game = sg.make(study.game, **study.settings)
    follower: Any = (Practised if learns else partial(sg.make_follower, study.follower))(**study.follower_settings)
    if learns:
        follower.learned = practised("guided_pendulum-v0, strong pushes")
    began = time.process_time()
    run = sg.train(
        game,
        sg.make_leader(match.leader, **match.settings),
        follower,
        iterations=match.iterations,
        episodes=match.episodes,
        seed=seed,
        evaluate_every=int(exact),
        score_episodes=0 if exact or learns else SCORED,
        progress=False,
    )
    found: dict[str, Any] = {
        "transitions": [row["transitions"] for row in run.history],
        "returns": [round(row["leader_return"], 4) for row in run.history],
        "cpu_seconds": round(time.process_time() - began, 2),
    }
    if exact:
        found["values"] = [round(row["recommended_value"], 4) for row in run.history]
        return {**found, "value": run.value}
    if learns:
        run.score = score(game, run.commitment, follower, episodes=400, responses=4, seed=seed + 1)
    assert run.score is not None
    return {**found, "value": run.score.value, "standard_error": run.score.standard_error}


def parts(episodes: int = 32) -> None:
    """Print the CPU seconds of an update of ``model_based`` in ``guided_pendulum-v0``, part by part."""
    from stackelberg_games.representations import anchors, climber, world

    spent: dict[str, float] = {}

    def timed(owner: Any, name: str, label: str) -> None:
        work = getattr(owner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return work(*arguments, **named)
            finally:
                spent[label] = spent.get(label, 0.0) + time.process_time() - began

        setattr(owner, name, call)

    study = STUDIES["guided_pendulum"]
    game = sg.make(study.game, **study.settings)
    follower = sg.make_follower(study.follower, **study.follower_settings)
    follower.begin(game)
    leader = sg.make_leader("model_based")
    leader.begin(game.view(2.0), seed=0)
    for owner, name, label in (
        (world.World, "observe", "networks: fit"),
        (world.World, "predict", "networks: where all cells of the model lead"),
        (anchors, "cover", "anchors: chosen"),
        (anchors, "combinations", "anchors: combinations of the nearest"),
        (anchors, "soft_response", "climb: the follower's response"),
        (anchors, "derivatives", "climb: value and derivative"),
        (climber.Climber, "_climb", "climb: all"),
    ):
        timed(owner, name, label)
    for number in range(2):  # the first pays for compiling
        answer = follower.respond(game, leader.commitment)
        batch = sg.rollout(game, leader.commitment, answer.policy, episodes=episodes, seed=number)
        spent.clear()
        began = time.process_time()
        leader.update(sg.Evidence(batch.leader_returns(game.leader_discount), batch))
        spent["the update"] = time.process_time() - began
    rows = [(label, f"{seconds:.2f}") for label, seconds in spent.items()]
    print_table(
        f"model_based, {leader.learned.model.world.seen.rows.shape[0]} transitions seen", ("part", "CPU s"), rows
    )


def table(stored: dict[str, Any]) -> None:
    """Print mean, standard error and worst of every leader."""
    for name, study in STUDIES.items():
        rows = []
        for match in study.matches:
            found = [row for row in stored["rows"] if (row["study"], row["leader"]) == (name, match.label)]
            if not found:
                continue
            values = [row["value"] for row in found]
            error = np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
            spent = np.mean([row["cpu_seconds"] for row in found])
            figures = f"{found[0]['transitions'][-1]:,}", f"{np.mean(values):.2f} ± {error:.2f}", f"{min(values):.2f}"
            rows.append((match.label, str(len(values)), *figures, f"{max(values):.2f}", f"{spent:.0f}"))
        if rows:
            print_table(name, ("leader", "seeds", "transitions", "mean", "worst", "best", "CPU s"), rows)


def draw(stored: dict[str, Any], path: str) -> None:
    """What was recommended in ``pendulum_grid-v0`` by the transitions, every seed; ends in the games that are played."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.8), dpi=150, layout="constrained")
    curves, ends = figure.subplots(1, 2, width_ratios=(1.3, 1))
    study = STUDIES["pendulum_grid"]
    for number, match in enumerate(study.matches):
        rows = [row for row in stored["rows"] if (row["study"], row["leader"]) == ("pendulum_grid", match.label)]
        if not rows:
            continue
        values = np.array([[*row["values"], row["value"]] for row in rows])
        at = np.array([0, *rows[0]["transitions"]]) / 1000
        style = {"color": (*COLOURS, "#E69F00", "#777777", "#56B4E9", "#000000")[number]}
        curves.plot(at, values.T, alpha=0.18, linewidth=0.8, **style)
        curves.plot(at, values.mean(axis=0), linewidth=1.8, label=match.label, **style)
    for label, level in study.levels.items():
        curves.axhline(level, color="0.6", linewidth=0.8, linestyle=":")
        curves.annotate(label, (56, level), va="bottom", fontsize=8, color="0.4")
    curves.set(
        xlabel="thousand transitions",
        ylabel="exact value of the recommendation",
        xlim=(-2, 86),
        xticks=range(0, 50, 10),
    )
    curves.set_title("pendulum_grid-v0", loc="left", fontsize=10)
    curves.legend(frameon=False, fontsize=8, loc="center right")
    for name, leader, told, style in (
        ("guided_pendulum", "model_based", "planner", {"marker": "o", "color": COLOURS[0]}),
        ("guided_pendulum", "bchg, modelled", "planner", {"marker": "s", "color": COLOURS[1]}),
        ("guided_pendulum, SAC", "model_based", "SAC", {"marker": "^", "color": COLOURS[0], "markerfacecolor": "none"}),
    ):
        rows = [row for row in stored["rows"] if (row["study"], row["leader"]) == (name, leader)]
        if rows:
            label = f"{leader} against {told}, {rows[0]['transitions'][-1]:,}"
            numbers, values = ([row[key] for row in rows] for key in ("seed", "value"))
            ends.plot(numbers, values, linestyle="none", label=label, **style)
    for label, level in {"no push": -9.67, "push 1, planner": -6.17, "push 1, SAC": -7.07}.items():
        ends.axhline(level, color="0.6", linewidth=0.8, linestyle=":")
        ends.annotate(label, (9.6, level), va="bottom", fontsize=8, color="0.4")
    ends.set(xlabel="seed", ylabel="played return of the recommendation", xlim=(-0.7, 13.5), xticks=range(0, 10, 3))
    ends.set_title("guided_pendulum-v0, after so many transitions", loc="left", fontsize=10)
    ends.legend(frameon=False, fontsize=8, loc="center right")
    for axes in (curves, ends):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="JSON file of runs: read if it exists, and added to")
    parser.add_argument("--study", choices=STUDIES, action="append", help="one study; may be repeated")
    parser.add_argument("--leader", action="append", help="one leader; may be repeated")
    parser.add_argument("--plot", help="picture")
    parser.add_argument(
        "--cost", action="store_true", help="show the parts of an update of model_based, and nothing else"
    )
    options = parser.parse_args()
    if options.cost:
        parts()
        return
    data: Path | None = options.data
    stored: dict[str, Any] = {"rows": []} if data is None or not data.exists() else json.loads(data.read_text())
    known = {(row["study"], row["leader"], row["seed"]) for row in stored["rows"]}
    for name in options.study or STUDIES:
        for match in STUDIES[name].matches:
            for seed in range(match.seeds):
                wanted = options.leader is None or match.label in options.leader
                if not wanted or (name, match.label, seed) in known:
                    continue
                row = {"study": name, "leader": match.label, "seed": seed, **played(STUDIES[name], match, seed)}
                stored["rows"].append(row)
                stored.update(version=sg.__version__, command=COMMAND)
                if data is not None:
                    data.write_text(json.dumps(stored) + "\n")
                print(name, match.label, seed, round(row["value"], 3), row["cpu_seconds"], flush=True)
    table(stored)
    if options.plot:
        draw(stored, options.plot)


if __name__ == "__main__":
    main()

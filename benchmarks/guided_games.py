"""Constant pushes and the best known linear ones in the guided games, against a planner and against a learner.

A commitment is scored by play against a follower that has settled on it: ``grid_planner``, and in the pendulum SAC of
Stable-Baselines3 as ``benchmarks/foreign_follower.py`` uses it, after 32,000 transitions of practice against the very
commitment. Linear pushes are searched for against the planner by the cross-entropy method and scored on other episodes.

Run with ``OMP_NUM_THREADS=1 python benchmarks/guided_games.py --data docs/data/guided_games.json``; rows that the file
has are kept.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from foreign_follower import SAC

import stackelberg_games as sg
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.networks import MLPGaussianPolicy
from stackelberg_games.learning.score import Score, score
from stackelberg_games.numerics.threads import single_threaded

STD, PLAYED, PRACTICE = 0.02, 2000, 32_000
POPULATION, ELITE, ROUNDS, SEARCHED = 16, 4, 14, 200
COMMAND = "python benchmarks/guided_games.py --data docs/data/guided_games.json"


class Yardstick(NamedTuple):
    """A game with settings, a planner for it, what is searched, and whether SAC plays too."""

    game: str
    settings: dict[str, Any]
    planner: dict[str, Any]
    constants: tuple[float, ...]
    spread: tuple[float, ...]
    learner: bool = False


CARTPOLE = {"temperature": 0.1, "points": [13, 13, 17, 15], "replies": 5}
YARDSTICKS = (
    Yardstick(
        "guided_pendulum-v0", {"max_push": 3.0}, {"temperature": 2.0}, (-1, -0.5, 0, 0.5, 1), (2.0, 2.0, 4.0, 2.0), True
    ),
    Yardstick(
        "guided_cartpole-v0", {"target": "right"}, CARTPOLE, (-0.1, 0, 0.05, 0.1, 0.2), (1.0, 1.0, 8.0, 2.0, 0.6)
    ),
    Yardstick(
        "guided_cartpole-v0", {"target": "centre"}, CARTPOLE, (-0.1, 0, 0.05, 0.1, 0.2), (1.0, 1.0, 8.0, 2.0, 0.6)
    ),
)


def linear(game: sg.Game, numbers: FloatArray) -> MLPGaussianPolicy:
    """The push tanh(gain state + offset), with next to no noise; the offset is the last number."""
    policy = MLPGaussianPolicy(game, (), std=STD)
    layer: Any = policy.network.layers[-1]
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(numbers[None, :-1]) * policy.network.scale)
        layer.bias.fill_(float(numbers[-1]))
    return policy


def constant(game: sg.Game, push: float) -> FloatArray:
    """Numbers of a constant push."""
    size = game.state_space.shape[0]  # type: ignore[index]
    return np.append(np.zeros(size), np.arctanh(np.clip(push, -0.9999, 0.9999)))


@single_threaded()
def planned(yardstick: Yardstick, numbers: FloatArray, episodes: int, seed: int) -> Score:
    """Against the planner."""
    game, settings = sg.make(yardstick.game, **yardstick.settings), dict(yardstick.planner)
    if "points" in settings:
        settings["points"] = tuple(settings["points"])
    follower = sg.make_follower("grid_planner", **settings)
    follower.begin(game)
    return score(game, linear(game, numbers), follower, episodes=episodes, responses=1, seed=seed)


@single_threaded()
def learned(yardstick: Yardstick, numbers: FloatArray) -> Score:
    """Against SAC that has practised on the commitment."""
    game = sg.make(yardstick.game, **yardstick.settings)
    options = {"temperature": yardstick.planner["temperature"], "copies": 16, "options": SAC}
    follower = sg.make_follower("sb3", algorithm="SAC", budget=PRACTICE // 8, **options)
    follower.begin(game, seed=12345)
    commitment = linear(game, numbers)
    for _ in range(8):
        follower.respond(game, commitment)
    return score(game, commitment, follower, episodes=400, responses=8, seed=1)


def search(yardstick: Yardstick) -> FloatArray:
    """The mean that the cross-entropy method ends at."""
    random, spread = np.random.default_rng(0), np.array(yardstick.spread)
    mean, deviation = np.zeros(len(spread)), spread.copy()
    for number in range(ROUNDS):
        drawn = mean + deviation * random.normal(size=(POPULATION, len(mean)))
        drawn[0] = mean
        values = [planned(yardstick, row, SEARCHED, 100 + number).value for row in drawn]
        best = drawn[np.argsort(values)[-ELITE:]]
        mean, deviation = 0.2 * mean + 0.8 * best.mean(axis=0), 0.3 * deviation + 0.7 * best.std(axis=0) + 0.02 * spread
        print(number, np.round(mean, 2).tolist(), np.round(np.sort(values)[-ELITE:], 2).tolist(), flush=True)
    return mean


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    data: Path = parser.parse_args().data
    stored: dict[str, Any] = json.loads(data.read_text()) if data.exists() else {"rows": []}
    known = {(row["game"], json.dumps(row["settings"]), row["push"], row["follower"]) for row in stored["rows"]}

    def add(yardstick: Yardstick, push: str, numbers: FloatArray, follower: str) -> None:
        if (yardstick.game, json.dumps(yardstick.settings), push, follower) in known:
            return
        found = planned(yardstick, numbers, PLAYED, 1) if follower == "grid_planner" else learned(yardstick, numbers)
        row = {"game": yardstick.game, "settings": yardstick.settings, "push": push, "follower": follower}
        row |= {"numbers": numbers.round(3).tolist(), "temperature": yardstick.planner["temperature"]}
        row |= {"value": found.value, "standard_error": found.standard_error, "responses": found.responses}
        stored["rows"].append(row)
        stored.update(version=sg.__version__, command=COMMAND)
        data.write_text(json.dumps(stored, indent=1) + "\n")
        print(row, flush=True)

    for yardstick in YARDSTICKS:
        game = sg.make(yardstick.game, **yardstick.settings)
        for push in yardstick.constants:
            add(yardstick, f"{push:g}", constant(game, push), "grid_planner")
        held = [
            row for row in stored["rows"] if (row["game"], row["settings"], row["push"]) == (*yardstick[:2], "linear")
        ]
        numbers = np.array(held[0]["numbers"]) if held else search(yardstick)
        add(yardstick, "linear", numbers, "grid_planner")
        if yardstick.learner:
            for push in (0.0, 1.0):
                add(yardstick, f"{push:g}", constant(game, push), "SAC")
            add(yardstick, "linear", numbers, "SAC")


if __name__ == "__main__":
    main()

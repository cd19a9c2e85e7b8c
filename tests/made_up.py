"""Results with known numbers, without playing anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stackelberg_games.arrays import FloatArray
from stackelberg_games.tournaments.evaluation import Evaluation
from stackelberg_games.tournaments.match import BEST, OWN, REFERENCES, Outcome
from stackelberg_games.tournaments.results import Results

CLASSES = ("TRAJECTORIES", "RETURNS", "MODEL")


def made_up(
    payoffs: FloatArray,
    optimum: float = 10.0,
    uniform: float = 0.0,
    *,
    classes: Sequence[str] = CLASSES,
    points: int = 12,
    held_out: Sequence[str] = ("stranger",),
) -> Results:
    """A finished tournament with given payoffs ``[G, L, F, S]`` against the best response.

    The follower as trained pays the leader 0.1 less, held-out followers 0.2 less.
    """
    games, leaders, followers, seeds = payoffs.shape
    names = {
        kind: [f"{kind} {i}" for i in range(n)] for kind, n in zip("glf", (games, leaders, followers), strict=True)
    }
    reference_payoffs = dict(zip((r.label for r in REFERENCES), (optimum, 0.9 * optimum, uniform), strict=True))
    outcomes: dict[str, Outcome] = {}
    index: list[list[str | int | None]] = []
    for g, game in enumerate(names["g"]):
        for f, follower in enumerate(names["f"]):
            for label, value in reference_payoffs.items():
                key = f"{g}-{f}-{label}"
                index.append([key, game, label, follower, None])
                outcomes[key] = Outcome("done", evaluations=_evaluations(value, held_out))
            for number, leader in enumerate(names["l"]):
                for seed in range(seeds):
                    key = f"{g}-{number}-{f}-{seed}"
                    index.append([key, game, leader, follower, seed])
                    outcomes[key] = _outcome(
                        float(payoffs[g, number, f, seed]), classes[number % len(classes)], points, held_out
                    )
    plan: dict[str, Any] = {
        "version": "0",
        "games": [{"label": name, "id": "game-v0", "settings": {}} for name in names["g"]],
        "leaders": [
            {"label": name, "id": "leader", "settings": {}, "information": classes[i % len(classes)]}
            for i, name in enumerate(names["l"])
        ],
        "followers": [{"label": name, "id": "follower", "settings": {}} for name in names["f"]],
        "held_out": [{"label": name, "id": "stranger", "settings": {}} for name in held_out],
        "references": list(reference_payoffs),
        "seeds": list(range(seeds)),
        "rules": {name: {"budget": 1000, "episodes": 3, "stages": None} for name in names["g"]},
        "bounds": {},
        "matches": index,
    }
    return Results(plan, outcomes)


def _evaluations(value: float, held_out: Sequence[str]) -> tuple[Evaluation, ...]:
    best, own = Evaluation(BEST, value, 2 * value, 0.0), Evaluation(OWN, value - 0.1, 2 * value - 0.3, 0.3)
    return (best, own, *(Evaluation(name, value - 0.2, value, 0.5) for name in held_out))


def _outcome(value: float, information: str, points: int, held_out: Sequence[str]) -> Outcome:
    spent = np.linspace(1000 / max(points, 1), 1000, points).astype(int).tolist()
    curve = (tuple(spent), tuple(np.linspace(0.0, value, points).tolist()))
    return Outcome(
        "done", information, _evaluations(value, held_out), curve, 1000, 500, cpu_seconds=0.25, wall_seconds=0.5
    )

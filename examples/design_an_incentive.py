"""Design an incentive: how high should the toll be, and when?

A city sets the toll of a highway for every level of traffic. A haulier with many trucks sees the
toll and sends its next truck over the highway or through a village. Trucks on the highway slow
down everybody, of whom the haulier is a part; trucks in the village annoy those who live there. The
city has no use for the money, and every toll that is shown makes it less popular, so it looks for
the smallest tolls that do.

Run with ``python examples/design_an_incentive.py``; it takes some ten seconds and draws
``design_an_incentive.png``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import stackelberg_games as sg

LEVELS, TOLLS = 6, np.array([0.0, 0.5, 1.0, 1.5, 2.0, 2.5])
HIGHWAY, VILLAGE = 0, 1
COLOURS = ("#c9ced4", "#6a4fb3", "#1a8f6a")
TEMPERATURE = 0.1  # how much the haulier errs, in minutes


def toll_game(
    delay: float = 0.5, detour: float = 2.0, others: float = 2.0, annoyance: float = 1.0, resentment: float = 0.4
) -> sg.TabularGame:
    """The city's game.

    Args:
        delay: minutes that a level of traffic adds on the highway.
        detour: minutes that the way through the village takes longer than an empty highway.
        others: delay of everybody else, for a minute of the haulier's.
        annoyance: what a truck in the village costs the city, in minutes.
        resentment: what a toll of 1 costs the city, paid or not, in minutes.
    """
    level = np.arange(LEVELS)
    transition = np.zeros((LEVELS, len(TOLLS), 2, LEVELS))
    for s in range(LEVELS):
        for reply, (up, down) in ((HIGHWAY, (0.7, 0.1)), (VILLAGE, (0.1, 0.6))):
            transition[s, :, reply, min(s + 1, LEVELS - 1)] += up
            transition[s, :, reply, max(s - 1, 0)] += down
            transition[s, :, reply, s] += 1 - up - down
    minutes = np.stack([delay * level, np.full(LEVELS, detour)], axis=1)  # [state, reply]
    follower = -np.repeat(minutes[:, None, :], len(TOLLS), axis=1)
    follower[:, :, HIGHWAY] -= TOLLS
    city = minutes * 1.0
    city += others * delay * level[:, None]  # the others are on the highway
    city[:, VILLAGE] += annoyance
    leader = -np.repeat(city[:, None, :], len(TOLLS), axis=1) - resentment * TOLLS[:, None]
    start = np.eye(LEVELS)[0]
    return sg.TabularGame(transition, leader, follower, start, 0.95, 0.9, horizon=100, name="toll-v0")


def flat(game: sg.TabularGame, index: int) -> float:
    """What the same toll at every level is worth."""
    rows = np.tile(np.eye(len(TOLLS))[index], (LEVELS, 1))
    policy = sg.TabularPolicy.from_probabilities(game, rows)
    return float(sg.exact.leader_objective(game, policy, TEMPERATURE).detach())


def schedule(commitment: Any) -> Any:
    """Mean toll at every level."""
    return commitment.probabilities().detach().numpy() @ TOLLS


def highway_share(game: sg.TabularGame, commitment: Any) -> Any:
    """How often the haulier takes the highway at every level."""
    response = sg.exact.best_response(game, commitment, TEMPERATURE).policy
    return (commitment.probabilities().detach().numpy() * response[:, :, HIGHWAY]).sum(axis=1)


def time_spent(game: sg.TabularGame, commitment: Any) -> Any:
    """Share of the stages that play spends at every level, from sampled episodes."""
    response = sg.TabularResponse(sg.exact.best_response(game, commitment, TEMPERATURE).policy)
    batch = sg.rollout(game, commitment, response, episodes=500, seed=1)
    counts = np.bincount(batch.states[:, :-1].ravel(), minlength=LEVELS)
    return counts / counts.sum()


def draw(game: sg.TabularGame, commitments: dict[str, Any], out: str) -> None:
    """Tolls, answers and what comes of them, by level of traffic."""
    figure = Figure(figsize=(10, 3.4), dpi=150, layout="constrained")
    tolls, answers, times = figure.subplots(1, 3)
    offsets = np.linspace(-0.27, 0.27, len(commitments))
    for (label, commitment), offset, colour in zip(commitments.items(), offsets, COLOURS, strict=True):
        levels = np.arange(LEVELS) + offset
        tolls.bar(levels, schedule(commitment), width=0.25, color=colour, label=label)
        answers.bar(levels, highway_share(game, commitment), width=0.25, color=colour)
        times.bar(levels, time_spent(game, commitment), width=0.25, color=colour)
    tolls.set(ylabel="mean toll")
    answers.set(ylabel="haulier takes the highway", ylim=(0, 1))
    times.set(ylabel="share of the time")
    for axes in (tolls, answers, times):
        axes.set_xlabel("traffic on the highway")
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(out)
    print(f"picture: {out}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare simple tolls with the best and with a learned schedule."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=400)
    parser.add_argument("--starts", type=int, default=4, help="of the exact ascent")
    parser.add_argument("--out", default="design_an_incentive.png")
    chosen = parser.parse_args(arguments)

    game = toll_game()
    for index, toll in enumerate(TOLLS):
        print(f"toll {toll:.1f} whatever the traffic: {flat(game, index):8.2f}")
    best = sg.exact.solve(game, TEMPERATURE, starts=chosen.starts)
    print(f"best schedule, from the model:  {best.value:8.2f}")

    follower = sg.make_follower("soft_value_iteration", temperature=TEMPERATURE)
    leader = sg.make_leader("bchg", learning_rate=0.05)
    run = sg.train(game, leader, follower, iterations=chosen.iterations, episodes=5, seed=0, progress=False)
    print(f"learned from trajectories:      {run.value:8.2f}")
    print("tolls by traffic, best:   ", " ".join(f"{toll:.2f}" for toll in schedule(best.commitment)))
    print("tolls by traffic, learned:", " ".join(f"{toll:.2f}" for toll in schedule(run.commitment)))
    print("Levels that are no longer visited keep tolls that no longer matter.")
    free = sg.TabularPolicy.from_probabilities(game, np.tile(np.eye(len(TOLLS))[0], (LEVELS, 1)))
    schedules = {"no toll": free, "best, from the model": best.commitment, "learned from trajectories": run.commitment}
    draw(game, schedules, chosen.out)


if __name__ == "__main__":
    main()

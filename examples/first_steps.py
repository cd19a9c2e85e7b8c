"""First steps: a game, a commitment, a response, an exact gradient, and two leaders that learn.

Run with ``python examples/first_steps.py``; it takes a few seconds and draws ``first_steps.png``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

import stackelberg_games as sg

TEMPERATURE = 0.05  # how much the follower errs
STATE, ACTION = 1, 1  # the one choice that matters: action 1 in state A


def commit(game: Any, p: float) -> sg.TabularPolicy:
    """The commitment that plays 1 in A with probability p."""
    return sg.TabularPolicy.from_probabilities(game, [[0.5, 0.5], [1 - p, p], [0.5, 0.5]])


def watch(game: Any) -> None:
    """Play four turns with random moves, and look."""
    env = game.env(render_mode="ansi")
    env.reset(seed=0)
    for agent in env.agent_iter(4):
        env.step(env.action_space(agent).sample())
    print(env.render(), end="\n\n")


def ask_exactly(game: Any) -> None:
    """What three commitments are worth, what the follower does, and where the leader should go."""
    print("   p    value   follower goes to A   slope of the value in the logit of p")
    for p in (0.1, 0.25, 0.5):
        policy = commit(game, p)
        response = sg.exact.best_response(game, policy, TEMPERATURE).policy  # [state, leader, follower]
        value = sg.exact.leader_objective(game, policy, TEMPERATURE)
        (gradient,) = torch.autograd.grad(value, policy.logits)  # the exact hypergradient, response included
        slope = gradient[STATE, ACTION].item()
        print(f"{p:>4}{value.item():>9.2f}{response[0, 0, 1]:>16.0%}{slope:>+26.2f}")
    print()


def learn(game: Any, leader: str, iterations: int, seed: int) -> tuple[sg.Run, list[float]]:
    """Train a leader from trajectories; returns the run and p after every update."""
    path: list[float] = []

    def note(record: Any, learner: sg.Leader) -> None:
        path.append(learner.commitment.probabilities()[STATE, ACTION].item())

    start = commit(game, 0.3)
    run = sg.train(
        game,
        leader,
        "soft_value_iteration",
        commitment=start,
        iterations=iterations,
        seed=seed,
        callbacks=[note],
        progress=False,
    )
    return run, path


def draw(game: Any, paths: dict[str, list[float]], out: str) -> None:
    """The value of every commitment, and the way of each leader over it."""
    grid = np.linspace(0.005, 0.7, 120)
    values = [sg.exact.leader_objective(game, commit(game, p), TEMPERATURE).item() for p in grid]
    figure = Figure(figsize=(7, 4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(grid, values, color="0.6", linewidth=2)
    for (leader, path), colour in zip(paths.items(), ("#1a8f6a", "#d55e00"), strict=True):
        heights = np.interp(path, grid, values)
        axes.plot(path, heights, ".", color=colour, alpha=0.4, label=leader)
        axes.plot(path[-1], heights[-1], "o", color=colour, markersize=9)
    axes.set(xlabel="commitment p", ylabel="leader's value", title="Both start at p = 0.3; dots are updates")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(out)
    print(f"picture: {out}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Everything in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="first_steps.png")
    chosen = parser.parse_args(arguments)

    game = sg.make("discrete_toy-v0", R=1.0)
    assert isinstance(game, sg.TabularGame)  # a finite game: everything about it is known exactly
    watch(game)
    ask_exactly(game)

    best = sg.exact.solve(game, TEMPERATURE, starts=4)
    print(f"best commitment: p = {best.commitment.probabilities()[STATE, ACTION].item():.2f}, value {best.value:.2f}")
    paths = {}
    for leader in ("bchg", "policy_gradient"):
        run, paths[leader] = learn(game, leader, chosen.iterations, chosen.seed)
        print(f"{leader:<16} ends at p = {paths[leader][-1]:.2f}, value {run.value:.2f}")
    draw(game, paths, chosen.out)


if __name__ == "__main__":
    main()

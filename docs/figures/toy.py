"""Pictures of the toy game: the value of a commitment, and the two rows of its gradient.

Run with ``python docs/figures/toy.py``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from style import FAINT, FOLLOWER, INK, LEADER, TOTAL, figure, save

import stackelberg_games as sg
from stackelberg_games.arrays import FloatArray
from stackelberg_games.kinds.chain import leader_chain

TAU = 0.05
A = 1  # the state whose choice matters
GRID = np.linspace(0.002, 0.8, 400)


class Point(NamedTuple):
    """A commitment p = f(1 | A): its value, how its gradient splits, and what the follower does."""

    value: float
    direct: float
    response: float
    visits: float


def policy(game: Any, p: Any) -> sg.TabularPolicy:
    """The commitment that plays 1 in A with probability p."""
    return sg.TabularPolicy.from_probabilities(game, [[0.5, 0.5], [1 - p, p], [0.5, 0.5]])


def point(game: Any, p: float) -> Point:
    """Value and slopes in p, by the chain rule from the logit of action 1 in A."""
    made = policy(game, p)
    value = sg.exact.leader_objective(game, made, TAU)
    (total,) = torch.autograd.grad(value, made.logits)
    response = torch.tensor(sg.exact.best_response(game, made, TAU).policy)
    chain, reward = leader_chain(game.model(made), response, game.alive_tensor)
    state, frozen = game.initial_tensor, torch.zeros((), dtype=torch.float64)
    for t in range(game.horizon):
        frozen = frozen + game.leader_discount**t * (state @ reward)
        state = state @ chain
    (direct,) = torch.autograd.grad(frozen, made.logits)
    slope = p * (1 - p)
    visits = float(response[0, :, 1].mean())
    return Point(
        float(value.detach()),
        float(direct[A, 1]) / slope,
        float(total[A, 1] - direct[A, 1]) / slope,
        visits,
    )


def switch(game: Any) -> float:
    """Where a follower that never errs stops visiting A, by bisection."""
    low, high = 0.01, 0.9
    while high - low > 1e-9:
        middle = (low + high) / 2
        response = sg.exact.best_response(game, policy(game, middle), 0.0).policy
        low, high = (middle, high) if response[0, 0, 1] > 0.5 else (low, middle)
    return low


def draw_values(studies: dict[float, list[Point]], switches: dict[float, float]) -> None:
    """The leader's value and the follower's answer against p."""
    made, (values, answers) = figure(5.8, 4.4, nrows=2, sharex=True, height_ratios=[2, 1])
    for (R, points), colour in zip(studies.items(), (LEADER, TOTAL), strict=True):
        curve = [point.value for point in points]
        best = int(np.argmax(curve))
        values.plot(GRID, curve, color=colour, linewidth=2.2, label=f"R = {R:g}")
        values.plot(GRID[best], curve[best], "o", color=colour, markersize=7)
        values.annotate(
            f"{curve[best]:.2f} at p = {GRID[best]:.2f}",
            (GRID[best], curve[best]),
            (0, 8),
            textcoords="offset points",
            ha="center",
            color=colour,
        )
        answers.plot(GRID, [point.visits for point in points], color=colour, linewidth=2.2)
        for axis in (values, answers):
            axis.axvline(switches[R], color=colour, linestyle=":", linewidth=1.2)
    values.set(ylabel="leader's value", ylim=(-1, 36))
    answers.set(ylabel="follower\ngoes to A", xlabel="commitment p: how often the leader plays 1 in A", yticks=[0, 1])
    note = "dotted: a follower\nwithout errors switches"
    answers.annotate(note, (switches[1.0], 0.5), (0.02, 0.18), fontsize=8, color=FAINT)
    values.legend(frameon=False, loc="upper right")
    save(made, "commitment_value")


def draw_rows(points: list[Point]) -> None:
    """Direct row, response row and their sum."""
    made, axes = figure(5.8, 3.4)
    direct, response = (np.array([getattr(point, name) for point in points]) for name in ("direct", "response"))
    rows: tuple[tuple[FloatArray, str, str, str], ...] = (
        (direct, LEADER, "direct: as if the follower stayed as it is", "--"),
        (response, FOLLOWER, "response: what the follower changes", "--"),
        (direct + response, INK, "sum: the hypergradient", "-"),
    )
    for row, colour, label, style in rows:
        axes.plot(GRID, row, color=colour, label=label, linestyle=style, linewidth=2)
    axes.axhline(0, color=FAINT, linewidth=0.8)
    best = GRID[int(np.argmax([point.value for point in points]))]
    axes.plot(best, 0, "o", color=TOTAL, markersize=7, zorder=4)
    axes.annotate("optimum", (best, 0), (6, 7), textcoords="offset points", color=TOTAL)
    axes.set(xlabel="commitment p", ylabel="slope of the leader's value", xlim=(0, 0.3), ylim=(-32, 13))
    axes.legend(frameon=False, loc="lower left", fontsize=9)
    save(made, "gradient_rows")


def main() -> None:
    """Draw both."""
    games = {R: sg.make("discrete_toy-v0", R=R) for R in (1.0, 2.0)}
    studies = {R: [point(game, p) for p in GRID] for R, game in games.items()}
    switches = {R: switch(game) for R, game in games.items()}
    print(switches)
    draw_values(studies, switches)
    draw_rows(studies[1.0])


if __name__ == "__main__":
    main()

"""What a leader misses that does not know that its follower is a population. Run with ``python docs/figures/population.py``."""

from __future__ import annotations

import numpy as np
from style import FAINT, FOLLOWER, LEADER, TOTAL, figure, save

import stackelberg_games as sg
from stackelberg_games.commitments.configuration import Configuration

TAU, TOLLS, BATCHES, EPISODES = 0.1, np.linspace(0.1, 1.1, 11), 20, 200
LEADERS = (("exact_gradient", LEADER, "-"), ("evolution_strategies", FOLLOWER, "-"), ("bchg", TOTAL, "-"))


def main() -> None:
    """Two panels on Pigou's roads: the derivative by the toll, and where leaders go."""
    made, (left, right) = figure(8.6, 3.6, ncols=2)
    game, follower = sg.make("toll-v0", temperature=TAU), sg.make_follower("soft_value_iteration", temperature=TAU)
    assert isinstance(game, sg.ConfigurableGame)
    exact, estimated = [], []
    for toll in TOLLS:
        share = toll / 2
        commitment = Configuration([np.log(share / (1 - share))], game.parametrisation, states=1)
        inner = 2 * share * (1 - share)  # of the toll by its parameter
        found = sg.gradient_check(
            game, "bchg", follower, commitment=commitment, batches=BATCHES, episodes=EPISODES, seed=0
        )
        exact.append(found.exact[0] / inner)
        estimated.append(found.mean[0] / inner)
    print([f"{a:.3f} {b:.3f}" for a, b in zip(exact, estimated, strict=True)])
    left.axhline(0, color=FAINT, linewidth=0.8)
    left.plot(TOLLS, exact, color=LEADER, label="exact")
    left.plot(TOLLS, estimated, color=TOTAL, label="bchg, from trajectories")
    left.axvline(0.5, color=FAINT, linestyle=":", label="the optimal toll")
    left.set(xlabel="toll on the road that fills up", ylabel="derivative of the leader's value", title="gradient")
    for name, color, style in LEADERS:
        run = sg.train(
            game,
            sg.make_leader(name, learning_rate=0.1),
            follower,
            iterations=150,
            episodes=100,
            evaluate_every=1,
            seed=0,
        )
        values = [record["recommended_value"] for record in run.history]
        right.plot(values, style, color=color, label=name)
        print(name, run.value)
    right.axhline(-0.75, color=FAINT, linestyle=":", label="optimum")
    right.set(xlabel="iteration", ylabel="leader's value (exact)", title="learning")
    for axes in (left, right):
        axes.legend(frameon=False, fontsize=9)
    save(made, "population")


if __name__ == "__main__":
    main()

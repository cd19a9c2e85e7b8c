"""A trajectory of the toy game with its benefits and the two traces. Run with ``python docs/figures/traces.py``."""

from __future__ import annotations

import numpy as np
from style import FAINT, FOLLOWER, INK, LEADER, TOTAL, figure, save

import stackelberg_games as sg
from stackelberg_games.hypergradient import traces

TAU, STAGES, EPISODE = 0.5, 16, 9


def main() -> None:
    """Play an episode against a follower that errs often, and draw what the estimator sees of it."""
    game = sg.make("discrete_toy-v0", follower_discount=0.9, leader_discount=0.97)
    assert isinstance(game, sg.TabularGame)
    policy = sg.TabularPolicy.from_probabilities(game, [[0.5, 0.5], [0.75, 0.25], [0.5, 0.5]])
    critics = sg.exact.critics(game, policy, TAU)
    response = sg.TabularResponse(critics.response)
    batch = sg.rollout(game, policy, response, episodes=1, seed=EPISODE, stages=STAGES)
    benefit = critics.benefit_at(batch)
    before, after, _ = traces(benefit, batch.lengths, game.leader_discount, game.follower_discount)
    made, (path, bars, lines) = figure(5.8, 5.0, nrows=3, sharex=True, height_ratios=[1.1, 1, 1.3])
    stages = np.arange(STAGES)
    path.plot(stages, batch.states[0, :-1], "-o", color=INK, markersize=5, linewidth=1.2)
    path.set(yticks=[0, 1, 2], yticklabels=["S", "A", "B"], ylabel="state and actions", ylim=(-0.8, 2.6))
    for t in stages:
        actions = f"{batch.leader_actions[0, t]}{'sab'[batch.follower_actions[0, t]]}"
        path.annotate(
            actions,
            (t, batch.states[0, t]),
            (0, 7 if batch.states[0, t] else -16),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=FAINT,
        )
    bars.bar(stages, benefit[0], color=TOTAL, width=0.5)
    bars.axhline(0, color=FAINT, linewidth=0.8)
    bars.set(ylabel="benefit B")
    lines.axhline(0, color=FAINT, linewidth=0.8)
    lines.plot(stages, after[0], "-o", color=FOLLOWER, markersize=4, label="w: this action and all before it")
    lines.plot(stages, before[0], "--s", color=LEADER, markersize=4, label="u: the actions before")
    lines.set(ylabel="traces", xlabel="stage", xticks=stages[::2])
    lines.legend(frameon=False, fontsize=9, ncols=2, loc="lower right")
    save(made, "traces")


if __name__ == "__main__":
    main()

"""How well two paid followers tell the hypergradient, against the weight. Run with ``python docs/figures/twins.py``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from style import FAINT, FOLLOWER, LEADER, TOTAL, figure, save

import stackelberg_games as sg
from stackelberg_games.kinds.paid import paid
from stackelberg_games.learning.information import Evidence
from stackelberg_games.learning.powers import Doings

TAU, EPISODES, REPEATS = 0.05, 100, 12
EXACT, SAMPLED = np.geomspace(10, 1e4, 13), np.geomspace(10, 1e4, 7)


def slope(value: torch.Tensor, policy: sg.TabularPolicy) -> Any:
    """The gradient of a scalar in the policy's parameters."""
    (found,) = torch.autograd.grad(value, list(policy.parameters()))
    return found.numpy().ravel()


def sampled(game: sg.TabularGame, policy: sg.TabularPolicy, weight: float, name: str, common: bool, repeat: int) -> Any:
    """One estimate from trajectories, of followers that answer exactly or learn."""

    def played(share: float) -> Any:
        settings = {"transitions": 300_000, "first_transitions": 300_000} if name == "soft_q_learning" else {}
        follower = sg.make_follower(name, temperature=TAU, **settings)
        seed = 2 * repeat + (0 if common or share > 0 else 1)
        follower.begin(paid(game, share), seed=seed)
        answer = follower.respond(paid(game, share), policy)
        return sg.rollout(game, policy, answer.policy, episodes=EPISODES, seed=seed, stages=150)

    leader: Any = sg.make_leader("twin_followers", weight=weight)
    leader.begin(game.view(TAU), commitment=policy)
    batch = played(1e-9)
    evidence = Evidence(batch.leader_returns(game.leader_discount), batch, doings=Doings(pay=played))
    return leader.estimate(evidence).numpy()


def main() -> None:
    """Two panels: without sampling, and with."""
    game = sg.make("discrete_toy-v0", horizon=None)
    assert isinstance(game, sg.TabularGame)
    policy = sg.TabularPolicy.from_probabilities(game, [[0.5, 0.5]] * 3)
    truth = slope(sg.exact.leader_objective(game, policy, TAU), policy)
    made, (left, right) = figure(8.6, 3.6, ncols=2, sharey=True)
    for form, color in (("forward", FAINT), ("central", LEADER)):
        errors = [
            np.linalg.norm(slope(sg.exact.twin_objective(game, policy, TAU, w, form), policy) - truth)  # type: ignore[arg-type]
            for w in EXACT
        ]
        left.loglog(EXACT, np.array(errors) / np.linalg.norm(truth), "-o", color=color, markersize=4, label=form)
    left.loglog(EXACT, 19 / EXACT, ":", color=FAINT, linewidth=1, label="1 / w")
    left.loglog(EXACT, 60 / EXACT**2, ":", color=LEADER, linewidth=1, label="1 / w²")
    left.set(xlabel="weight w", ylabel="relative error of the gradient", title="exact")
    kinds = (
        ("soft_value_iteration", False, FAINT, "numbers of their own"),
        ("soft_value_iteration", True, LEADER, "common random numbers"),
        ("soft_q_learning", True, FOLLOWER, "the same, both learn"),
    )
    for name, common, color, label in kinds:
        errors = []
        for weight in SAMPLED:
            found = np.stack([sampled(game, policy, weight, name, common, repeat) for repeat in range(REPEATS)])
            errors.append(np.sqrt(((found - truth) ** 2).sum(axis=1).mean()) / np.linalg.norm(truth))
        print(label, [f"{error:.3g}" for error in errors], flush=True)
        right.loglog(SAMPLED, errors, "-o", color=color, markersize=4, label=label)
    right.axvline(2 / (2 * TAU), color=TOTAL, linewidth=1, linestyle="--")
    right.annotate("default", (2 / (2 * TAU), 3e-6), (4, 0), textcoords="offset points", color=TOTAL, fontsize=9)
    right.set(xlabel="weight w", title=f"from {3 * EPISODES} episodes, root mean square")
    for axes in (left, right):
        axes.legend(frameon=False, fontsize=9)
    save(made, "twins")


if __name__ == "__main__":
    main()

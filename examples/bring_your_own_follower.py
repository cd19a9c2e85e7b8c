"""Bring your own follower: an agent that knows nothing of Stackelberg games learns in a Gymnasium loop.

The follower below is plain tabular Q-learning with some exploration. All it ever sees is
``sg.best_response_env``. The leader's code does not change, and it is not told what it plays against.

Run with ``python examples/bring_your_own_follower.py``; it takes some ten seconds and draws
``bring_your_own_follower.png``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import stackelberg_games as sg
from stackelberg_games.learning.follower import Answer, finite
from stackelberg_games.numerics.randomness import generator


@dataclass
class QLearner(sg.Follower):
    """Q-learning through the Gymnasium face; the table is kept from commitment to commitment.

    Args:
        temperature: of the Boltzmann policy; also what leaders are told.
        stages: played for every commitment.
        rate: step size.
        exploration: how often it tries something while it learns.
    """

    temperature: float = 0.05
    stages: int = 500
    rate: float = 0.2
    exploration: float = 0.3

    def begin(self, game: sg.Game, *, seed: int = 0) -> None:
        """Forget everything."""
        tables = finite(game, self)
        self.q = np.zeros((tables.states, tables.leader_actions, tables.follower_actions))
        self.random, self.answers = generator(seed, 3), 0

    def boltzmann(self, q: Any) -> Any:
        """Better actions exponentially more often."""
        weights = np.exp((q - q.max(axis=-1, keepdims=True)) / self.temperature)
        return weights / weights.sum(axis=-1, keepdims=True)

    def respond(self, game: sg.Game, commitment: Any) -> Answer:
        """Play, learn, and answer with the Boltzmann policy of the table."""
        states = len(self.q)
        leader = commitment.probabilities().detach().numpy()
        env = sg.best_response_env(game, commitment)
        observation, _ = env.reset(seed=self.answers)
        for _ in range(self.stages):
            row = self.q[observation[:states].argmax(), observation[states:].argmax()]
            mixture = (1 - self.exploration) * self.boltzmann(row) + self.exploration / len(row)
            action = int((self.random.random() > mixture.cumsum()[:-1]).sum())
            observation, reward, terminated, truncated, _ = env.step(action)
            following = observation[:states].argmax()
            soft = (self.boltzmann(self.q[following]) * self.q[following]).sum(axis=1)  # what it expects to play
            target = float(reward) + (not terminated) * game.follower_discount * (leader[following] @ soft)
            row[action] += self.rate * (target - row[action])
            if terminated or truncated:
                observation, _ = env.reset()
        self.answers += 1
        return Answer(sg.TabularResponse(self.boltzmann(self.q)), transitions=self.stages)

    def state_dict(self) -> dict[str, Any]:
        """What it has learned; with this and the next method runs can be resumed."""
        return {"q": self.q, "random": self.random.bit_generator.state, "answers": self.answers}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue."""
        self.q, self.answers = np.array(state["q"]), int(state["answers"])
        self.random.bit_generator.state = state["random"]


def draw(runs: dict[tuple[str, str], sg.Run], optimum: float, out: str) -> None:
    """Exact value of what was played, for every leader and follower."""
    figure = Figure(figsize=(7, 4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    colours, styles = (
        {"bchg": "#1a8f6a", "policy_gradient": "#d55e00"},
        {"plans exactly": "--", "learns by playing": "-"},
    )
    for (leader, follower), run in runs.items():
        axes.plot(
            *run.column("leader_value"), styles[follower], color=colours[leader], label=f"{leader}; follower {follower}"
        )
    axes.axhline(optimum, color="0.6", linewidth=1, linestyle=":")
    axes.set(xlabel="updates of the leader", ylabel="leader's value")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(out)
    print(f"picture: {out}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Two leaders against the exact follower and against the learning one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--stages", type=int, default=500, help="that the learner plays for every commitment")
    parser.add_argument("--out", default="bring_your_own_follower.png")
    chosen = parser.parse_args(arguments)

    game = sg.make("discrete_toy-v0", R=1.0, follower_discount=0.9)
    assert isinstance(game, sg.TabularGame)  # a finite game: its optimum is known
    optimum = sg.exact.solve(game, 0.05, starts=4).value
    runs = {}
    for leader in ("bchg", "policy_gradient"):
        for label, follower in (
            ("plans exactly", sg.make_follower("soft_value_iteration")),
            ("learns by playing", QLearner(stages=chosen.stages)),
        ):
            run = sg.train(
                game, leader, follower, iterations=chosen.iterations, seed=0, evaluate_every=5, progress=False
            )
            runs[leader, label] = run
            last = run.history[-1]
            print(
                f"{leader:<16} follower {label:<18} value {run.column('leader_value')[1][-1]:6.2f} of {optimum:.2f}, "
                f"transitions {last['transitions']:,.0f} and the follower's own {last['follower_transitions']:,.0f}"
            )
    draw(runs, optimum, chosen.out)


if __name__ == "__main__":
    main()

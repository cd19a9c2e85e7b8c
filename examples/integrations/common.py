"""What the integration examples share: the game they learn, and the figure they print."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import stackelberg_games as sg

LEADER, FOLLOWER = "leader_0", "follower_0"
Players = Mapping[str, Callable[[Any], Any]]
"""For each agent, an action for an observation."""


def game() -> Any:
    """Ten rounds of a 3 x 3 game whose payoffs both players share; the follower sees the row.

    Nobody can do better than 300 an episode; the best that a careless pair settles for is 150.
    """
    return sg.make("matrix-v0", preset="escape", follower_sees_action=True, horizon=10)


def evaluate(players: Players, episodes: int = 50) -> dict[str, float]:
    """Mean return of each agent in the AEC environment; unknown agents play at random."""
    env = game().env()
    totals = {LEADER: 0.0, FOLLOWER: 0.0}
    for number, agent in enumerate(totals):
        env.action_space(agent).seed(number)  # a space draws from a generator of its own, which reset does not seed
    for seed in range(episodes):
        env.reset(seed=seed)
        for agent in env.agent_iter():
            observation, reward, terminated, truncated, _ = env.last()
            totals[agent] += reward  # also on the turns after the end: the last reward is read there
            if terminated or truncated:
                env.step(None)
            elif agent in players:
                env.step(int(players[agent](observation)))
            else:
                env.step(env.action_space(agent).sample())
    return {agent: total / episodes for agent, total in totals.items()}


def show(library: str, players: Players) -> None:
    """Print the figure: mean returns of random play, and of what was learned."""
    random, learned = evaluate({}), evaluate(players)
    for agent in (LEADER, FOLLOWER):
        print(f"{library}: {agent} {random[agent]:.1f} -> {learned[agent]:.1f} of 300")


def greedy(scores: Any) -> int:
    """The action with the highest score."""
    return int(np.argmax(np.asarray(scores).ravel()))

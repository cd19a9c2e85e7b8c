"""Episodes of this package's own environments, played from outside as a stranger plays them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from stackelberg_games.adapters.stages import Lead
from stackelberg_games.faces.aec import StackelbergEnv
from stackelberg_games.rules.scene import FOLLOWER, LEADER, PLAYERS
from stackelberg_games.rules.trajectories import Trajectories, padded, width

Turn = tuple[Any, float, bool, bool, dict[str, Any]]
"""What ``env.last()`` returns: observation, reward, termination, truncation, info."""

Reply = Callable[[Turn, int], Any]
"""The follower: from ``env.last()`` and the stage to an action; None once the episode has ended."""


def play_episode(env: StackelbergEnv, leader: Lead, follower: Reply, stages: int, idle: Any = None) -> Trajectories:
    """Play the episode that an environment was set to.

    Args:
        env: one of this package's own, after ``begin``.
        leader, follower: the players. At the end of the episode the follower is called once more,
            with ``env.last()`` saying so, and must return None.
        stages: the episode is truncated here if it has not ended.
        idle: what to record as the leader's actions where it has configured the game and moves no more.

    Returns:
        A batch of one episode, cut at ``stages``.
    """
    states, rewards = [env.get_state().episode.states[0]], []
    actions: list[list[Any]] = []
    ended = terminated = False
    while not ended and len(actions) < stages:
        stage, lead = len(actions), idle
        if idle is None:
            lead = leader(states[-1], stage)
            env.step(lead)
        turn: Any = env.last()
        reply = follower(turn, stage)
        env.step(reply)
        actions.append([lead, reply])
        rewards.append([env.rewards[player] for player in PLAYERS])
        states.append(env.get_state().episode.states[0])
        terminated = env.terminations[LEADER]
        ended = terminated or env.truncations[LEADER]
    follower((env.observe(FOLLOWER), rewards[-1][1], terminated, not terminated, {}), len(actions))
    return _padded(states, actions, rewards, terminated, stages)


def _padded(states: list[Any], actions: list[Any], rewards: list[Any], terminated: bool, stages: int) -> Trajectories:
    room = width(len(actions), stages)
    sides = [np.stack([np.asarray(move[side]) for move in actions])[None] for side in (0, 1)]
    paid = padded(np.array(rewards)[None], room)
    return Trajectories(
        padded(np.stack(states)[None], room + 1, last=True),
        padded(sides[0], room),
        padded(sides[1], room),
        np.ascontiguousarray(paid[..., 0]),
        np.ascontiguousarray(paid[..., 1]),
        np.array([len(actions)]),
        np.array([terminated]),
        stages,
    )

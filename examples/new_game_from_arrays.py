"""Template: a game from arrays. A toll on the short cut through a small grid.

Copy this file, change the rules, and run ``stackelberg check new_game_from_arrays.py``. To list the
game beside the built-in ones, give it an entry point, as ``third_party/pyproject.toml`` does.

| fact            | value                                                              |
|-----------------|--------------------------------------------------------------------|
| Agents          | leader_0 (toll keeper), follower_0 (traveller)                     |
| States          | cells of a 3 x 3 grid, row by row; start 0, goal 8 (terminal)      |
| Leader actions  | 0: no toll, 1: low toll, 2: high toll in the middle cell           |
| Follower actions| up, down, left, right                                              |
| Discounts       | 0.95, 0.95                                                         |
| Horizon         | 20                                                                 |
| Order           | the follower sees the toll                                         |

Version history: v0, first version.
"""

from __future__ import annotations

import numpy as np

from stackelberg_games import TabularGame
from stackelberg_games.faces import faces

SIDE, GOAL, MIDDLE = 3, 8, 4
MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))
TOLLS = (0.0, 1.0, 4.0)
CROWDED = (2, 6)  # the corners on the ways around the middle


def game(slip: float = 0.1, horizon: int | None = 20) -> TabularGame:
    """The toll game.

    Args:
        slip: probability that a move is a random one, in [0, 1].
        horizon: stages; None for the infinite game.
    """
    states, leader, follower = SIDE * SIDE, len(TOLLS), len(MOVES)
    transition = np.zeros((states, leader, follower, states))  # [S, A, B, S]: rows sum to one
    leader_reward = np.zeros((states, leader, follower))  # [S, A, B]
    follower_reward = np.full((states, leader, follower), -0.2)  # time costs
    follower_reward[list(CROWDED)] -= 1.3
    for state in range(states):
        for move in range(follower):
            transition[state, :, move, _neighbour(state, move)] += 1 - slip
            for other in range(follower):
                transition[state, :, move, _neighbour(state, other)] += slip / follower
    for action, toll in enumerate(TOLLS):  # paid on leaving the middle
        leader_reward[MIDDLE, action] += toll
        follower_reward[MIDDLE, action] -= toll
    follower_reward += 4.0 * transition[..., GOAL]  # arriving pays, as an expectation over where one ends up
    terminal = np.arange(states) == GOAL
    initial = np.eye(states)[0]
    return TabularGame(
        transition,
        leader_reward,
        follower_reward,
        initial,
        leader_discount=0.95,
        follower_discount=0.95,
        horizon=horizon,
        terminal=terminal,
        name="toll_grid-v0",
    )


def _neighbour(state: int, move: int) -> int:
    """Where a move leads; walls keep one where one is."""
    row, column = state // SIDE + MOVES[move][0], state % SIDE + MOVES[move][1]
    return row * SIDE + column if 0 <= row < SIDE and 0 <= column < SIDE else state


env, raw_env, parallel_env = faces(game)  # the PettingZoo habit: a module with these three names

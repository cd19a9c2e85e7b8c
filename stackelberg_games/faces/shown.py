"""What ``best_response_env`` shows of states and leader actions, for whole batches: what a response policy is asked about."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackelberg_games.arrays import FloatArray
from stackelberg_games.faces.episode import Actions
from stackelberg_games.rules.rules import Rules
from stackelberg_games.rules.scene import LEADER


def shown(
    game: Rules, states: Any, leader_actions: Any, configuration: FloatArray | None = None
) -> NDArray[np.float32]:
    """The state, the configuration if there is one, and the code of the leader's action where the follower sees it.

    Args:
        game: whose states they are.
        states: ``[N, ...]``.
        leader_actions: ``[N, ...]``.
        configuration: of the game that is played, or None.

    Returns:
        Observations ``[N, d]``.
    """
    width = game.observation_space.shape[0]
    chosen = np.zeros(0) if configuration is None else configuration.ravel()
    leader = Actions(LEADER, game.leader_action_space)
    idle = configuration is not None and game.idle_action is not None
    codes = len(leader.low) if game.follower_sees_action and not idle else 0
    observations = np.zeros((len(states), width + len(chosen) + codes), dtype=np.float32)
    observations[:, width : width + len(chosen)] = chosen
    for row, state, action in zip(observations, states, leader_actions, strict=True):
        row[:width] = game.observe(state)
        if codes:
            leader.encode(action, row[width + len(chosen) :])
    return observations

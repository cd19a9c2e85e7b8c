"""Games of one state: all that a player can do is in two tables of payoffs."""

from __future__ import annotations

import numpy as np

from stackelberg_games.arrays import FloatArray
from stackelberg_games.kinds.finite import TabularGame


def one_state(
    name: str, leader: FloatArray, follower: FloatArray, horizon: int, *, follower_sees_action: bool = True
) -> TabularGame:
    """A game in which independent rounds are paid from the same tables, the sum of the leader's being its objective.

    Args:
        name: of the game.
        leader: the leader's payoffs, ``[A, B]``.
        follower: the follower's payoffs, ``[A, B]``.
        horizon: number of rounds.
        follower_sees_action: whether the follower observes the leader's action of the round.

    Raises:
        InvalidGameError: see ``TabularGame``.
    """
    return TabularGame(
        np.ones((1, *leader.shape, 1)),
        leader[None],
        follower[None],
        [1.0],
        leader_discount=0.0 if horizon == 1 else 1.0,
        follower_discount=0.0,
        horizon=horizon,
        follower_sees_action=follower_sees_action,
        name=name,
    )

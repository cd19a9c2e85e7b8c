"""Inspection: how often must one check so that nobody cheats?

| fact            | value                                                              |
|-----------------|--------------------------------------------------------------------|
| Agents          | leader_0 (inspector), follower_0 (inspectee)                       |
| States          | 1                                                                  |
| Leader actions  | 0: inspect, 1: do not                                              |
| Follower actions| 0: comply, 1: violate                                              |
| Horizon         | 1                                                                  |
| Order           | the follower knows how often it is inspected, not whether this time|
| Optimum         | inspect with probability gain / (gain + fine); value -cost times it|

Version history: v0, first version.
"""

from __future__ import annotations

from stackelberg_games import TabularGame
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.faces import faces


def game(gain: float = 1.0, fine: float = 4.0, cost: float = 0.5, damage: float = 2.0, horizon: int = 1) -> TabularGame:
    """An inspection game.

    Args:
        gain: what the inspectee gets out of a violation.
        fine: what it pays when it is caught.
        cost: of an inspection.
        damage: what an undetected violation costs the inspector.
        horizon: number of independent rounds.

    Raises:
        InvalidGameError: one of the numbers is not positive.
    """
    if min(gain, fine, cost, damage) <= 0:
        raise InvalidGameError(f"gain={gain}, fine={fine}, cost={cost}, damage={damage}: expected numbers > 0")
    return TabularGame(
        transition=[[[[1.0]] * 2] * 2],
        leader_reward=[[[-cost, -cost], [0.0, -damage]]],
        follower_reward=[[[0.0, -fine], [0.0, gain]]],  # who is caught loses the gain as well
        initial=[1.0],
        leader_discount=0.0 if horizon == 1 else 1.0,
        follower_discount=0.0,
        horizon=horizon,
        follower_sees_action=False,
        name="inspection-v0",
    )


env, raw_env, parallel_env = faces(game)

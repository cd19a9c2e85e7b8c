"""A far-sighted leader and a myopic follower on a random chain: the solvable case of commitment in Markov games.

| fact            | value                                                                |
|-----------------|----------------------------------------------------------------------|
| Agents          | leader_0, follower_0                                                 |
| States          | 3                                                                    |
| Leader actions  | 2                                                                    |
| Follower actions| 3                                                                    |
| Dynamics        | rows drawn uniformly from the simplex; rewards from [0, 1]           |
| Discounts       | 0.9 (leader), 0 (follower)                                           |
| Horizon         | None; starts in state 0                                              |
| Order           | the follower knows the mixture, not the action drawn from it         |
| Optimum         | 6.284163 (``seed`` 0)                                                |

Proof: a follower that does not look ahead answers the leader's mixture of its own state alone, so the best value
fulfils a Bellman equation, V(s) = max over replies b and mixtures f to which b is a best reply of
sum_a f(a) (rL + gL P V)(s, a, b). Each stage is a matrix game and solved by linear programs, and the equation is a
contraction. Where the follower looks ahead finding the best stationary commitment is NP-hard (Letchford et al.,
"Computing optimal strategies to commit to in stochastic games", AAAI 2012).

Version history: v0, first version.
"""

from __future__ import annotations

import numpy as np

from stackelberg_games.errors import InvalidGameError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.settings import checked


@checked
def game(
    states: int = 3,
    leader_actions: int = 2,
    follower_actions: int = 3,
    *,
    seed: int = 0,
    leader_discount: float = 0.9,
    follower_sees_action: bool = False,
    horizon: int | None = None,
) -> TabularGame:
    """A random game with a myopic follower.

    Args:
        states: S >= 1.
        leader_actions: A >= 1.
        follower_actions: B >= 1.
        seed: of the instance; an integer >= 0.
        leader_discount: gL in [0, 1).
        follower_sees_action: true if the follower observes the leader's action.
        horizon: stages; None for the endless game.

    Raises:
        InvalidGameError: a size or the seed is out of range.
    """
    shape = (states, leader_actions, follower_actions)
    if min(shape) < 1 or seed < 0:
        raise InvalidGameError(f"states, actions {shape}, seed={seed}: expected numbers >= 1, and >= 0")
    draws = np.random.default_rng(seed)
    transition = draws.dirichlet(np.ones(states), shape)
    return TabularGame(
        transition,
        draws.random(shape),
        draws.random(shape),
        np.eye(states)[0],
        leader_discount=leader_discount,
        follower_discount=0.0,
        horizon=horizon,
        follower_sees_action=follower_sees_action,
        name="myopic-v0",
    )


env, raw_env, parallel_env = faces(game)

"""Bayesian matrix games: one mixture against a follower whose type the leader does not see.

| fact            | value                                                                     |
|-----------------|---------------------------------------------------------------------------|
| Agents          | leader_0, follower_0                                                      |
| States          | the follower's type; the leader observes nothing of it                    |
| Leader actions  | rows                                                                      |
| Follower actions| columns                                                                   |
| Horizon         | 1                                                                         |
| Order           | the follower knows the mixture and its type, not the row                  |
| Optimum         | 2.8, by the first row; replies (0, 1); 2.800018 at temperature 0.1        |

The leader has one mixture for all types, as it does not learn which it meets: all states are one observation
(``TabularGame.partially_observed``). Leaders that learn from trajectories read in the record which type they had met.

Proof: one linear program for each combination of replies, the best mixture to which each is a best reply of its type; and a
mixed-integer program, which does not enumerate them (DOBSS).

Source: Paruchuri et al., "Playing games for security: an efficient exact algorithm for solving Bayesian Stackelberg
games", AAMAS 2008, in numbers of our own.

Version history: v0, first version.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from stackelberg_games import checks
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.numerics.sampling import check_probabilities
from stackelberg_games.settings import checked

LEADER: ArrayLike = ((2.0, 4.0), (1.0, 3.0))
FOLLOWERS: ArrayLike = (((1.0, 0.0), (0.0, 1.0)), ((0.0, 1.0), (2.0, 0.0)))
CHANCES: ArrayLike = (0.6, 0.4)


@checked
def game(
    *,
    leader: ArrayLike = LEADER,
    followers: ArrayLike = FOLLOWERS,
    chances: ArrayLike = CHANCES,
    follower_sees_action: bool = False,
    horizon: int = 1,
) -> TabularGame:
    """A Bayesian matrix game.

    Args:
        leader: the leader's payoffs against every type, ``[A, B]``, or against each, ``[K, A, B]``.
        followers: the types' payoffs, ``[K, A, B]``.
        chances: of the types, ``[K]``, which sum to one.
        follower_sees_action: true if the follower observes the row.
        horizon: number of independent rounds, each with a type drawn anew.

    Raises:
        InvalidGameError: shapes disagree, or the chances are no distribution.
    """
    theirs = checks.array("followers", followers, 3, error=InvalidGameError)
    likely = checks.array("chances", chances, (len(theirs),), error=InvalidGameError)
    check_probabilities("chances", likely)
    ours = checks.array("leader", leader, np.ndim(leader), error=InvalidGameError)
    if ours.shape not in (theirs.shape, theirs.shape[1:]):
        raise InvalidGameError(f"leader has shape {ours.shape}: expected {theirs.shape[1:]} or {theirs.shape}")
    made = TabularGame(
        np.broadcast_to(likely, (*theirs.shape, len(theirs))),
        np.broadcast_to(ours, theirs.shape),
        theirs,
        likely,
        leader_discount=0.0 if horizon == 1 else 1.0,
        follower_discount=0.0,
        horizon=horizon,
        follower_sees_action=follower_sees_action,
        name="bayesian_matrix-v0",
    )
    made.state_labels = [f"type {number}" for number in range(len(theirs))]
    return made.partially_observed(np.zeros(len(theirs), dtype=np.int64))


env, raw_env, parallel_env = faces(game)

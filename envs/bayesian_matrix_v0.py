"""Bayesian matrix games: one mixture against a follower whose type the leader does not see.

| fact            | value                                                                     |
|-----------------|---------------------------------------------------------------------------|
| Agents          | leader_0, follower_0                                                      |
| States          | 1: what the leader sees, which is nothing                                 |
| Leader actions  | rows                                                                      |
| Follower actions| a reply for each type, B^K of them, type 0 the most significant digit     |
| Leader          | expected over the types                                                   |
| Follower        | the sum of what each type gets, whatever its chance                       |
| Horizon         | 1                                                                         |
| Order           | the follower knows the mixture and its type, not the row                  |
| Optimum         | 2.8, by the first row; replies (0, 1); 2.800018 at temperature 0.1        |

The leader has one mixture for all types, as it does not learn which it meets. The follower is written down ex ante: it
decides for every type at once. Types are summed and not weighed in its reward, so that each of them answers, with errors
too, as if it were alone: a softmax of a sum is a product of softmaxes. A played action shows the replies of all types.

Proof: one linear program for each combination of replies, the best mixture to which each is a best reply of its type; and a
mixed-integer program, which does not enumerate them (DOBSS).

Source: Paruchuri et al., "Playing games for security: an efficient exact algorithm for solving Bayesian Stackelberg
games", AAMAS 2008, in numbers of our own.

Version history: v0, first version.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike

from stackelberg_games import checks
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.payoffs import one_state
from stackelberg_games.numerics.sampling import check_probabilities

LEADER: ArrayLike = ((2.0, 4.0), (1.0, 3.0))
FOLLOWERS: ArrayLike = (((1.0, 0.0), (0.0, 1.0)), ((0.0, 1.0), (2.0, 0.0)))
CHANCES: ArrayLike = (0.6, 0.4)
MOST_REPLIES = 10_000


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
        InvalidGameError: shapes disagree, the chances are no distribution, or there are too many combinations of replies.
    """
    theirs = checks.array("followers", followers, 3, error=InvalidGameError)
    likely = checks.array("chances", chances, (len(theirs),), error=InvalidGameError)
    check_probabilities("chances", likely)
    ours = checks.array("leader", leader, np.ndim(leader), error=InvalidGameError)
    if ours.shape not in (theirs.shape, theirs.shape[1:]):
        raise InvalidGameError(f"leader has shape {ours.shape}: expected {theirs.shape[1:]} or {theirs.shape}")
    types, _, replies = theirs.shape
    if min(theirs.shape) < 1 or float(replies) ** types > MOST_REPLIES:
        raise InvalidGameError(
            f"followers has shape {theirs.shape}: expected at most {MOST_REPLIES} combinations of replies"
        )
    ours = np.broadcast_to(ours, theirs.shape)
    chosen = np.array(list(itertools.product(range(replies), repeat=types)))  # [B^K, K]
    kinds = np.arange(types)
    earned = np.einsum("k,ckr->rc", likely, ours[kinds, :, chosen])
    paid = theirs[kinds, :, chosen].sum(axis=1).T
    return one_state("bayesian_matrix-v0", earned, paid, horizon, follower_sees_action=follower_sees_action)


env, raw_env, parallel_env = faces(game)

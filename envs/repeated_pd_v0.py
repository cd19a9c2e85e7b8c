"""The repeated prisoner's dilemma: a commitment that remembers the last round is worth 13/3 a round.

| fact            | value                                                                             |
|-----------------|-----------------------------------------------------------------------------------|
| Agents          | leader_0, follower_0                                                              |
| States          | start, then what was played last, the leader's move first: CC, CD, DC, DD         |
| Actions         | 0 cooperate, 1 defect, of both                                                    |
| Rewards         | 3 each for CC, 1 each for DD, 5 to who defects alone and 0 to the other; times 1 - g, so that values are those of an average round |
| Discounts       | g = ``discount`` (0.9), both                                                      |
| Horizon         | None                                                                              |
| Order           | both move at once: the follower knows the commitment, not the move                |
| Optimum         | 13/3 for the leader and 1 for the follower, for g >= 1/2                          |

The leader cooperates with probability (0, 1, 0, (1 - g)/(2 g), 0) in (start, CC, CD, DC, DD): it exploits, and forgives
just often enough that being exploited pays.

Proof. Let X_s be what the follower gets from state s on, in total and above mutual defection for ever. While it
cooperates X_s = 3 p_s - 1 + g (p_s X_CC + (1 - p_s) X_DC); after a defection both defect for ever, so defecting now brings
4 p_s. With p_CC = 1, X_CC = 2 / (1 - g); X_start = 0 at p_start = 0 gives X_DC = 1/g, hence p_DC = (1 - g)/(2 g).
Cooperating is best as 4 p_DC <= 1/g and 4 <= 2/(1 - g), which is g >= 1/2. All play is then CC or DC, on the segment
L = 5 - 2 F / 3 of what can be had at all, at F = 1, which the follower can always secure by defecting. So no
commitment, with any memory, gives the leader more than 13/3.

At ``start`` the follower is exactly indifferent, so against an adversarial tie-breaker it is a supremum; against one with
errors the leader gives a margin: 4.26498 at temperature 0.01 with g = 0.9. To compare discounts compare
temperatures in the units of the rewards here.

With ``leader_remembers="own"`` the leader does not see what the follower did. Nothing it does then depends on the follower's
moves, so that to defect always is a best reply to every commitment, and the best of them is worth 1, by defecting always.

Version history: v0, first version.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.settings import checked

TEMPTATION, REWARD, PUNISHMENT, SUCKER = 5.0, 3.0, 1.0, 0.0
STATES = ("start", "CC", "CD", "DC", "DD")
OWN = (0, 1, 1, 2, 2)
"""What a leader observes of them that remembers its own moves alone."""


def optimal_cooperation(discount: float) -> FloatArray:
    """The leader's probabilities of cooperating in ``STATES`` at the optimum, for discounts of 1/2 and above."""
    return np.array([0.0, 1.0, 0.0, (1 - discount) / (2 * discount), 0.0])


@checked
def game(
    discount: float = 0.9,
    *,
    horizon: int | None = None,
    follower_sees_action: bool = False,
    leader_remembers: Literal["both", "own"] = "both",
) -> TabularGame:
    """The repeated prisoner's dilemma.

    Args:
        discount: g of both players, in [0, 1).
        horizon: rounds; None for the endless game.
        follower_sees_action: true if the follower observes the leader's move of the round.
        leader_remembers: what the leader knows of the last round: both moves, or its own alone. Then it cannot answer a
            defection, and the follower's best reply is to defect always.

    Raises:
        InvalidGameError: the discount is out of range, or there is no such memory.
    """
    checks.choice("leader_remembers", leader_remembers, ["both", "own"], error=InvalidGameError)
    if not 0 <= discount < 1:
        raise InvalidGameError(f"discount={discount!r}: expected a number in [0, 1)")
    leader = (1 - discount) * np.array([[REWARD, SUCKER], [TEMPTATION, PUNISHMENT]])
    following = np.eye(5)[1:].reshape(2, 2, 5)  # the pair just played
    made = TabularGame(
        np.tile(following, (5, 1, 1, 1)),
        np.tile(leader, (5, 1, 1)),
        np.tile(leader.T, (5, 1, 1)),
        np.eye(5)[0],
        leader_discount=discount,
        follower_discount=discount,
        horizon=horizon,
        follower_sees_action=follower_sees_action,
        name="repeated_pd-v0",
    )
    made.state_labels = list(STATES)
    return made if leader_remembers == "both" else made.partially_observed(OWN)


env, raw_env, parallel_env = faces(game)

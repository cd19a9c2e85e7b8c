"""Matrix games: commitment to a mixed strategy in one shot.

| fact            | value                                                              |
|-----------------|--------------------------------------------------------------------|
| Agents          | leader_0, follower_0                                               |
| States          | 1                                                                  |
| Leader actions  | rows                                                               |
| Follower actions| columns                                                            |
| Horizon         | 1                                                                  |
| Order           | the follower knows the mixture, not the row drawn from it          |
| Optimum         | strong Stackelberg value by linear programs (``exact.solve(temperature=0)``) |

Presets and their strong Stackelberg values: ``letchford`` 2.5, ``conitzer_sandholm`` 3.5 (Conitzer
and Sandholm, EC 2006), ``escape`` 30 and ``maintain`` 27.5 (Zhang et al., arXiv 1909.03510);
``prisoners_dilemma`` 1, ``stag_hunt`` 4, ``chicken`` 4, ``battle`` 4, ``matching_pennies`` 0,
``inspection`` -2/3, ``entry_deterrence`` 5 (fighting with probability 2/3 or more keeps the entrant
out), ``ultimatum_4`` 4 (row k offers k of 4; only by the tie at offer 0: against a follower with
errors the best offer is interior, and worth 3.5432 at temperature 0.1).

Proof: one linear program for each column, maximising over the mixtures that make it a best reply;
the best of them is the optimum, for some column is a best reply to any mixture.

Version history: v0, first version.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from stackelberg_games.errors import InvalidGameError, UnknownIdError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.payoffs import one_state
from stackelberg_games.settings import checked

PRESETS: dict[str, tuple[ArrayLike, ArrayLike]] = {
    "letchford": ([[1, 3], [0, 2]], [[1, 0], [0, 1]]),
    "conitzer_sandholm": ([[2, 4], [1, 3]], [[1, 0], [0, 1]]),
    "escape": ([[15, 10, 0], [10, 10, 0], [0, 0, 30]], [[15, 10, 0], [10, 10, 0], [0, 0, 30]]),
    "maintain": ([[20, 0, 0], [30, 10, 0], [0, 0, 5]], [[15, 0, 0], [0, 5, 0], [0, 0, 10]]),
    "prisoners_dilemma": ([[3, 0], [5, 1]], [[3, 5], [0, 1]]),
    "stag_hunt": ([[4, 1], [3, 2]], [[4, 3], [1, 2]]),
    "chicken": ([[3, 2], [4, 1]], [[3, 4], [2, 1]]),
    "battle": ([[2, 3], [4, 1]], [[2, 4], [3, 1]]),
    "matching_pennies": ([[1, -1], [-1, 1]], [[-1, 1], [1, -1]]),
    "inspection": ([[0, -1], [-3, 0]], [[-1, 0], [2, 0]]),
    "entry_deterrence": ([[5, 2], [5, 0]], [[0, 2], [0, -1]]),
    "ultimatum_4": ([[4 - k, 0] for k in range(5)], [[k, 0] for k in range(5)]),
}


@checked
def game(
    preset: str = "letchford",
    *,
    leader: ArrayLike | None = None,
    follower: ArrayLike | None = None,
    follower_sees_action: bool = False,
    horizon: int = 1,
) -> TabularGame:
    """A matrix game.

    Args:
        preset: name of a game of the literature; ignored when payoffs are given.
        leader: the leader's payoffs, ``[A, B]``.
        follower: the follower's payoffs, ``[A, B]``.
        follower_sees_action: true for the sequential game, in which the follower observes the row.
        horizon: number of independent rounds.

    Raises:
        UnknownIdError: no such preset.
        InvalidGameError: only one payoff matrix is given, or they are not numeric matrices of one shape.
    """
    if leader is None and follower is None:
        if preset not in PRESETS:
            raise UnknownIdError("matrix game", preset, PRESETS)
        leader, follower = PRESETS[preset]
    if leader is None or follower is None:
        raise InvalidGameError("leader and follower payoffs are given together or not at all")
    try:
        payoffs = np.asarray(leader, dtype=float), np.asarray(follower, dtype=float)
    except (TypeError, ValueError) as error:
        raise InvalidGameError(f"leader and follower payoffs are not both numeric arrays: {error}") from error
    if payoffs[0].ndim != 2 or payoffs[0].shape != payoffs[1].shape:
        raise InvalidGameError(f"payoffs have shapes {payoffs[0].shape} and {payoffs[1].shape}: expected [A, B] twice")
    return one_state("matrix-v0", *payoffs, horizon, follower_sees_action=follower_sees_action)


env, raw_env, parallel_env = faces(game)

"""Stackelberg's duopoly: the leader fills the market first, and the follower takes what is left.

| fact            | value                                                                   |
|-----------------|-------------------------------------------------------------------------|
| Agents          | leader_0, follower_0: two firms                                         |
| States          | 1                                                                       |
| Leader actions  | quantities 0, 2 ``step``, 4 ``step``, ... up to m = ``demand`` - ``cost`` |
| Follower actions| quantities 0, ``step``, 2 ``step``, ... up to m / 2                     |
| Rewards         | (``demand`` - ``cost`` - both quantities) times one's own               |
| Horizon         | 1                                                                       |
| Order           | the follower sees the leader's quantity                                 |
| Optimum         | q = (4.5, 2.25), worth 10.125 to the leader and 5.0625 to the follower; Cournot's equilibrium is worth 9 to both |

Proof: the follower answers q with (m - q) / 2, so the leader earns q (m - q) / 2, which is m^2 / 8
at q = m / 2. The follower's grid is twice as fine as the leader's, so that every best reply is on it and there are no
ties: the optimum on the grid is that of the continuum. On equal grids every other best reply would be a tie, and the
value with ties for the leader higher by half a step times its quantity.

Source: von Stackelberg, "Marktform und Gleichgewicht", 1934.

Version history: v0, first version.
"""

from __future__ import annotations

import numpy as np

from stackelberg_games.errors import InvalidGameError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.payoffs import one_state
from stackelberg_games.settings import checked


@checked
def game(demand: float = 10.0, *, cost: float = 1.0, step: float = 0.125, horizon: int = 1) -> TabularGame:
    """The duopoly on grids of quantities.

    Args:
        demand: price at which nothing is sold.
        cost: of a unit, below ``demand``.
        step: of the follower's quantities; m must be four steps, or a multiple of it.
        horizon: number of independent rounds.

    Raises:
        InvalidGameError: the numbers are out of range, or the best quantities not on the grid.
    """
    margin = demand - cost
    if not (np.isfinite([demand, cost, step]).all() and margin > 0 and step > 0):
        raise InvalidGameError(f"demand={demand}, cost={cost}, step={step}: expected a margin and a step > 0")
    count = round(margin / (4 * step))
    if count < 1 or abs(margin - 4 * step * count) > 1e-9 * margin:
        raise InvalidGameError(f"step={step}: expected a quarter of the margin {margin} divided by an integer")
    first, second = 2 * step * np.arange(2 * count + 1), step * np.arange(2 * count + 1)
    left = margin - first[:, None] - second[None, :]
    return one_state("duopoly-v0", left * first[:, None], left * second[None, :], horizon)


env, raw_env, parallel_env = faces(game)

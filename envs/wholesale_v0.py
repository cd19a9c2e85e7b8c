"""Wholesale: a supplier names a price, a newsvendor orders before it knows the demand.

| fact            | value                                                                  |
|-----------------|------------------------------------------------------------------------|
| Agents          | leader_0 (the supplier), follower_0 (the retailer)                     |
| States          | 1                                                                      |
| Leader actions  | wholesale prices w in [0, 1], ``levels`` + 1 of them                   |
| Follower actions| orders q in [0, 1], ``levels`` + 1 of them                             |
| Follower        | E min(q, D) - w q = q - q^2 / 2 - w q, for D uniform on [0, 1] and a retail price of 1 |
| Leader          | (w - ``cost``) q                                                       |
| Horizon         | 1                                                                      |
| Order           | the follower sees the price                                            |
| Optimum         | w = (1 + c) / 2 = 0.6, q = 0.4, worth 0.16; an integrated channel would earn (1 - c)^2 / 2 = 0.32 |

Proof: the retailer orders 1 - w, so the supplier earns (w - c)(1 - w), which is (1 - c)^2 / 4 at (1 + c) / 2. Every best
reply is on the grid and unique, so the optimum on the grid is that of the continuum where the price is on it. Half of what
the channel could earn is lost: double marginalisation.

Source: Lariviere and Porteus, "Selling to the newsvendor", M&SOM 2001.

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
def game(cost: float = 0.2, *, levels: int = 50, horizon: int = 1) -> TabularGame:
    """The wholesale contract on grids of prices and orders.

    Args:
        cost: c of the supplier, in [0, 1).
        levels: steps of both grids, >= 2.
        horizon: number of independent rounds.

    Raises:
        InvalidGameError: a number is out of range.
    """
    if not 0 <= cost < 1 or levels < 2:
        raise InvalidGameError(f"cost={cost}, levels={levels}: expected a number in [0, 1) and an integer >= 2")
    grid = np.arange(levels + 1) / levels
    price, order = grid[:, None], grid[None, :]
    return one_state("wholesale-v0", (price - cost) * order, order - order**2 / 2 - price * order, horizon)


env, raw_env, parallel_env = faces(game)

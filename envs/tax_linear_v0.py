"""A linear income tax: the higher the rate, the less is worked, and the revenue has a peak.

| fact            | value                                                                    |
|-----------------|--------------------------------------------------------------------------|
| Agents          | leader_0 (the state), follower_0 (a household)                           |
| States          | 1                                                                        |
| Follower actions| labour l in [0, 1], ``levels`` + 1 amounts                               |
| Configuration   | the tax rate t in [0, 1]                                                 |
| Follower        | (1 - t) l - l^(1 + 1/e) / (1 + 1/e), with the elasticity e = 0.5         |
| Leader          | t l                                                                      |
| Horizon         | 1                                                                        |
| Optimum         | t = 1 / (1 + e) = 2/3, worth t (1 - t)^e = 0.38490018 where labour is continuous |

Proof: the household works l = (1 - t)^e, so the revenue is t (1 - t)^e, the Laffer curve, with its peak at 1 / (1 + e).

On a grid the state sets the rate at which the household is indifferent between two amounts, and takes the larger: the value
with ties for the leader exceeds that of the continuum by l^2 / ``levels`` for e = 0.5, to first order, and by the linear
programs it is exact. Against a household with errors the grid hardly shows: 0.37983 at temperature 0.01, at the rate 0.658.

Source: the isoelastic case of Saez, "Using elasticities to derive optimal income tax rates", Review of Economic
Studies 2001. Not to be confused with ``tax_design-v0``.

Version history: v0, first version.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.commitments.parametrisation import Bounded
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables
from stackelberg_games.settings import checked


@dataclass
class _Taxing:
    """What a rate does to both players' rewards; an object, so that copies of the game can be sent."""

    worked: Tensor
    toil: Tensor
    transition: Tensor = field(init=False)

    def __call__(self, rate: Tensor) -> Tables:
        taken = rate[0] * self.worked
        return Tables(self.transition, taken[None, None], (self.worked - taken - self.toil)[None, None])


@checked
def game(elasticity: float = 0.5, *, levels: int = 300, horizon: int = 1) -> ConfigurableGame:
    """The tax on a grid of labour.

    Args:
        elasticity: e of labour, > 0.
        levels: steps of the grid, >= 2.
        horizon: number of independent rounds.

    Raises:
        InvalidGameError: a number is out of range.
    """
    if not 0 < elasticity < float("inf") or levels < 2:
        raise InvalidGameError(f"elasticity={elasticity}, levels={levels}: expected a number > 0 and an integer >= 2")
    labour = np.arange(levels + 1) / levels
    power = 1 + 1 / elasticity
    worked, toil = torch.from_numpy(labour), torch.from_numpy(labour**power / power)

    configure = _Taxing(worked, toil)
    made = ConfigurableGame(
        np.ones((1, levels + 1, 1)),
        np.zeros((1, levels + 1)),
        (worked - toil)[None].numpy(),
        [1.0],
        size=1,
        configure=configure,
        parametrisation=Bounded(0.0, 1.0),
        leader_discount=0.0 if horizon == 1 else 1.0,
        follower_discount=0.0,
        horizon=horizon,
        name="tax_linear-v0",
    )
    configure.transition = made.base.transition
    return made


env, raw_env, parallel_env = faces(game)

"""A contract: the leader pays for outcomes, the follower chooses how hard it works.

| fact            | value                                                                          |
|-----------------|--------------------------------------------------------------------------------|
| Agents          | leader_0 (the principal), follower_0 (the agent)                               |
| States          | 1                                                                              |
| Follower actions| efforts e, from low to high                                                    |
| Configuration   | payments for failure and for success, each in [0, ``highest_payment``]: none below zero |
| Follower        | expected payment less the cost of its effort                                   |
| Leader          | ``prize`` (10) for a success, less the expected payment                        |
| Horizon         | 1                                                                              |
| Optimum         | ``two_efforts`` 6.4, paying 2 for success; ``four_efforts`` 3.6, paying 4      |

The outcome is drawn inside the stage: both are paid its expectation. Without limited liability the leader would sell
the firm and earn the first best, 7 with two efforts.

Proof: one linear program for each effort, the cheapest payments under which it is best; and with two outcomes paying
for success only is enough, so a search over one number gives the same. The agent may refuse at no cost to it
(its outside option is zero): here that never binds, as effort 0 costs nothing and no payment is negative.

Source: the textbook case of Laffont and Martimort, "The theory of incentives", 2002, in numbers of our own.

Version history: v0, first version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.commitments.parametrisation import Bounded
from stackelberg_games.errors import InvalidGameError, UnknownIdError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables
from stackelberg_games.settings import checked

PRESETS: dict[str, tuple[Sequence[float], Sequence[float], float]] = {
    "two_efforts": ((0.3, 0.8), (0.0, 1.0), 8.0),
    "four_efforts": ((0.1, 0.35, 0.6, 0.8), (0.0, 0.5, 1.5, 3.0), 10.0),
}
"""Chances of success, costs of effort, highest payment."""


@dataclass
class _Paying:
    """What payments by outcome do to both players' rewards; an object, so that copies of the game can be sent."""

    outcomes: Tensor
    leader: Tensor
    follower: Tensor
    transition: Tensor = field(init=False)

    def __call__(self, payments: Tensor) -> Tables:
        paid = payments @ self.outcomes
        return Tables(self.transition, (self.leader - paid)[None, None], (self.follower + paid)[None, None])


@checked
def game(
    preset: str = "two_efforts",
    *,
    chances: Sequence[float] | None = None,
    costs: Sequence[float] | None = None,
    highest_payment: float | None = None,
    prize: float = 10.0,
    horizon: int = 1,
) -> ConfigurableGame:
    """A contract under limited liability.

    Args:
        preset: one of ``PRESETS``.
        chances: of success, by effort, in [0, 1]; those of the preset if not given.
        costs: of each effort; those of the preset if not given.
        highest_payment: for an outcome, > 0; that of the preset if not given.
        prize: what a success brings the leader.
        horizon: number of independent rounds.

    Raises:
        UnknownIdError: no such preset.
        InvalidGameError: a chance, a cost or the highest payment is out of range.
    """
    if preset not in PRESETS:
        raise UnknownIdError("contract", preset, PRESETS)
    given = zip((chances, costs, highest_payment), PRESETS[preset], strict=True)
    try:
        likely, effort, highest = (np.asarray(b if a is None else a, dtype=np.float64) for a, b in given)
    except (TypeError, ValueError) as error:
        raise InvalidGameError(f"chances={chances!r}, costs={costs!r}: expected numbers") from error
    if likely.ndim != 1 or likely.shape != effort.shape or not ((likely >= 0) & (likely <= 1)).all():
        raise InvalidGameError(
            f"chances={likely.tolist()}, costs={effort.tolist()}: expected as many chances in [0, 1]"
        )
    if not (highest > 0 and np.isfinite(highest) and np.isfinite(prize)):
        raise InvalidGameError(f"highest_payment={highest}, prize={prize}: expected a finite number > 0 and a number")
    outcomes = torch.from_numpy(np.stack([1 - likely, likely]))  # [2, B]
    leader, follower = torch.from_numpy(prize * likely), torch.from_numpy(-effort)

    configure = _Paying(outcomes, leader, follower)
    made = ConfigurableGame(
        np.ones((1, len(likely), 1)),
        leader[None].numpy(),
        follower[None].numpy(),
        [1.0],
        size=2,
        configure=configure,
        parametrisation=Bounded(0.0, float(highest)),
        leader_discount=0.0 if horizon == 1 else 1.0,
        follower_discount=0.0,
        horizon=horizon,
        name="contract-v0",
    )
    configure.transition = made.base.transition
    return made


env, raw_env, parallel_env = faces(game)

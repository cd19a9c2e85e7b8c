"""What trajectories that were cut owe to stages beyond their end, in a finite game: the exact adjoint of the estimate.

With the leader's discounted occupancies dL after the end and W = dL f g c, c the credits, the follower's
occupancy dF starts from what the traces carried over the end + gF W P, and what multiplies is

    leader reward  dL f g,     follower reward  W + dF f g,
    log f          dL f AL + f (dF f g) AF (with W where the follower does not see the action),
    log P          gL VL(s') (dL f g P) + gF VF(s') ((W + dF f g) P).

Where the leader's objective ends with its horizon, dL and W are zero: the follower looks further.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stackelberg_games.arrays import FloatArray
from stackelberg_games.exact.pair import Pair
from stackelberg_games.numerics.averages import weighed
from stackelberg_games.numerics.randomness import compiled
from stackelberg_games.rules.trajectories import Trajectories


@compiled
def _end(states: Any, lengths: Any, terminated: Any, weights: Any, out: Any) -> None:
    for i in range(lengths.shape[0]):
        if not terminated[i]:
            out[states[i, lengths[i]]] += weights[i] / lengths.shape[0]


class Beyond:
    """Occupancies beyond the end of trajectories.

    Args:
        pair: both players' policies in the game.
        endless: whether the leader's objective goes on where a trajectory was cut.
    """

    def __init__(self, pair: Pair, endless: bool) -> None:
        self.pair, self.endless = pair, endless

    def at_ends(self, batch: Trajectories, weights: FloatArray) -> FloatArray:
        """Weights of the episodes at the states where they were cut, ``[S]``; mean over episodes."""
        out = np.zeros(len(self.pair.joint))
        _end(batch.states, batch.lengths, batch.terminated, weights, out)
        return out

    def occupied(self, batch: Trajectories) -> FloatArray | None:
        """dL, ``[S]``; None where the leader's play ends with the trajectories."""
        if not self.endless or batch.terminated.all():
            return None
        discount = self.pair.arrays.leader_discount
        at_ends = self.at_ends(batch, discount**batch.lengths)
        return self.pair.system(discount).solve_transposed(at_ends, 1.0)  # an episode begins with a weight of 1

    def owed(
        self, credit: FloatArray, occupied: FloatArray | None, entering: FloatArray, whole: float = 0.0
    ) -> tuple[FloatArray, FloatArray | None]:
        """What is owed to states by earlier replies, dF ``[S]``, and to stages by their own, W ``[S, A, B]``; None for zeros.

        Args:
            credit: c of a stage of weight one, ``[S, A, B]``.
            occupied: see ``occupied``.
            entering: what the traces carried over the end, ``[S]``.
            whole: what the credits of the stages played add up to; mean over episodes.
        """
        arrays, own = self.pair.arrays, None
        if occupied is not None:
            own = np.asarray(weighed(occupied, self.pair.joint, credit))
            entering = entering + arrays.follower_discount * arrays.kernel.inflow(own)
        return self.pair.system(arrays.follower_discount).solve_transposed(entering, whole), own

    def at_stages(self, following: FloatArray, own: FloatArray | None) -> FloatArray:
        """All that is owed to stages, ``[S, A, B]``; see ``owed``."""
        before = np.asarray(following[:, None, None] * self.pair.joint)
        return before if own is None else before + own

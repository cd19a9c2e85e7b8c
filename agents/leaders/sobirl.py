"""SoBiRL: score-form hypergradient from the returns of whole trajectories (arXiv 2405.19697).

    direct    sum_t gL^t dVL(s_t)
    response  (1/tau) G sum_t [ dQF(s_t, b_t) - dVF(s_t) ],   G = sum_t gL^t rL_t

The public code replaces dQF - dVF by its first term, d rF(s, b) - E_b d rF(s, b), and so drops what
the commitment changes later. Where the follower's rewards do not depend on it, that leaves nothing at all;
``truncated=True`` shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stackelberg_games.learning.weighted_sum import Total
from stackelberg_games.representations.adjoint import Average, Truncate
from stackelberg_games.representations.algorithm import Algorithm
from stackelberg_games.representations.protocol import Credit, Needs, Values


@dataclass
class SoBiRL(Algorithm):
    """SoBiRL; class TRAJECTORIES with the follower's rewards.

    Args:
        learning_rate: see ``GradientAscent``.
        actor_steps: see ``GradientAscent``.
        start: see ``GradientAscent``.
        representation: see ``Algorithm``.
        truncated: the one-step scores of the public code.
        baseline: subtract from each return the mean of the other episodes', which leaves the mean
            of the estimate and lowers its variance; a batch of one episode has none. Where pairs of episodes are
            compared it is log 2, the loss of a reward that tells nothing.
    """

    truncated: bool = False
    baseline: bool = True

    needs_follower_rewards: ClassVar[bool] = True
    needs_temperature: ClassVar[bool] = True

    @property
    def needs(self) -> Needs:
        """Both players' values; the leader's alone where the scores are truncated."""
        return Needs(self.backup, follower=not self.truncated)

    def surrogate(self, values: Values) -> Total:
        """The direct row, and the response row for returns as credits."""
        credit = Credit(values.returns(self.baseline) * values.batch.mask) / values.temperature
        return values.direct() + (Truncate() if self.truncated else Average())(values, credit)

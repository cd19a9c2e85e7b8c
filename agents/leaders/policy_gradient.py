"""Naive policy gradient: the direct row alone, as if the follower did not respond.

    sum_t gL^t dVL(s_t)

Sutton, McAllester, Singh and Mansour, NeurIPS 1999; the "Naive-PGD" baseline of BC-HG
(arXiv 2603.14867). Its fixed points are those of a follower frozen at its current response.
"""

from __future__ import annotations

from dataclasses import dataclass

from stackelberg_games.learning.weighted_sum import Total
from stackelberg_games.representations.algorithm import Algorithm
from stackelberg_games.representations.protocol import Values


@dataclass
class PolicyGradient(Algorithm):
    """Ascent on the leader's own return; class TRAJECTORIES, the follower's rewards are not used.

    Args:
        learning_rate: see ``GradientAscent``.
        actor_steps: see ``GradientAscent``.
        start: see ``GradientAscent``.
        representation: see ``Algorithm``.
    """

    def surrogate(self, values: Values) -> Total:
        """The direct row."""
        return values.direct()

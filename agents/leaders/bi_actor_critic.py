"""Bilevel actor-critic (Bi-AC; Zhang, Chen, Yang et al., AAAI 2020, arXiv 1909.03510).

The critic backs up the Stackelberg value of the stage game,

    Q(s, a, b) = rL + gL max_i Q(s', i, b_i),   b_i = argmax_b g(b | s', i),

and the actor ascends the direct term on that critic, as in the comparison of BC-HG (arXiv
2603.14867). It is bilevel in the stage but blind to how the follower's plan depends on later
stages of the commitment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stackelberg_games.learning.weighted_sum import Total
from stackelberg_games.representations.algorithm import Algorithm
from stackelberg_games.representations.protocol import STACKELBERG, Backup, Values


@dataclass
class BiActorCritic(Algorithm):
    """Direct row on a Stackelberg critic; class TRAJECTORIES, the follower's rewards are not used.

    Args:
        learning_rate: see ``GradientAscent``.
        actor_steps: see ``GradientAscent``.
        start: see ``GradientAscent``.
        representation: see ``Algorithm``.
    """

    backup: ClassVar[Backup] = STACKELBERG

    def surrogate(self, values: Values) -> Total:
        """The direct row."""
        return values.direct()

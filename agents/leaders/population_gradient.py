"""Descent on the loss of a preference game over all pairs and labels: what sampled leaders would do without noise.

    direct + c response,     of F = E softplus(D) - y D

c = 1 is the hypergradient, the bilevel problem itself; c = 0 leaves the response out, as DRLHF does; c = -1 turns it around
and looks for what is not explained. The pairs may be the follower's, anchored or fixed, see ``drlhf``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.agents.leaders.exact_gradient import ExactGradient
from stackelberg_games.exact.preference import Pairs, preference_rows
from stackelberg_games.learning.information import Evidence


@dataclass
class PopulationGradient(ExactGradient):
    """Descent on a loss over all pairs; class MODEL. Further arguments are those of ``GradientAscent``.

    Args:
        pairs: who plays them: ``"on_policy"``, ``"anchored"`` or ``"fixed"``.
        response: c.
        truncated: the one-step scores of SoBiRL's public code in the place of the response row.
        win_rate: climb the probability that the follower's segment is preferred to the walker's, in the place of F.
        penalty: on the sum of squares of the parameters, >= 0.
    """

    learning_rate: float = 0.1
    pairs: Pairs = "on_policy"
    response: float = 1.0
    truncated: bool = False
    win_rate: bool = False
    penalty: float = 1e-3

    needs_payment = "known judge"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("penalty", self.penalty, 0)

    def objective(self, evidence: Evidence) -> Callable[[], Tensor]:
        """A scalar that falls with the loss."""
        game, pairs = evidence.require_game(), self.pairs

        def surrogate() -> Tensor:
            rows = preference_rows(game, self.commitment, self.temperature, pairs=pairs, win_rate=self.win_rate)
            pull = rows.direct + self.response * (rows.truncated if self.truncated else rows.response)
            chosen = self.commitment.configuration()
            assert chosen is not None
            return -(torch.from_numpy(pull) * chosen).sum() - self.penalty * chosen.square().sum()

        return surrogate

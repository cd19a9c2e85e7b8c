"""DRLHF: a reward fitted to a judge's labels, as if the pairs had nothing to do with it (Christiano et al., arXiv 1706.03741).

    direct    - mean of dl over all labels so far,     l = softplus(D) - y D
with D the difference of two segments' returns under the reward x. The response row is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.exact.preference import Pairs
from stackelberg_games.learning.answered import Answered
from stackelberg_games.learning.ascent import GradientAscent
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import require_lever
from stackelberg_games.rules.view import LeaderView


@dataclass
class DRLHF(GradientAscent):
    """A reward fitted to labels; class TRAJECTORIES, in games with a judge. Further arguments are those of ``GradientAscent``.

    Args:
        actor_steps: of Adam on all labels so far, in each iteration.
        pairs: who plays them: the follower, as published, ``"on_policy"``; one of the two a walker, ``"anchored"``; or ``"fixed"``.
        penalty: on the sum of squares of the parameters, >= 0.
    """

    learning_rate: float = 0.1
    actor_steps: int = 40
    pairs: Pairs = "on_policy"
    penalty: float = 1e-3

    information = Information.TRAJECTORIES
    needs_payment = "judge"
    asks = property(lambda self: self.pairs)
    keeps = ("answered",)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("penalty", self.penalty, 0)

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``."""
        super().begin(view, seed=seed, commitment=commitment)
        self.lever, self.answered = require_lever(view.lever, self), Answered()

    def objective(self, evidence: Evidence) -> Callable[[], Tensor]:
        """Keep the labels; the fit of all of them."""
        self.answered.add(evidence.require_comparisons())
        return lambda: -self.answered.cost(self.lever, self.commitment, self.penalty)

    def update(self, evidence: Evidence) -> dict[str, float]:
        """Fit; logs the mean loss of all labels."""
        return {**super().update(evidence), "loss": self.answered.last}

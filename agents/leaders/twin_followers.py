"""Twin followers: the hypergradient as the difference of two followers that are paid, with no derivative of a response.

Where both players discount alike a follower that is paid r_F + r_L / w in sight solves one soft control problem. Two of them,
paid plus and minus, have soft values whose difference is what the leader gets,

    (w / 2) (V[r_F + r_L / w] - V[r_F - r_L / w]) = J_L + O(1 / w^2),

and so have the gradients. By Danskin's theorem each is the gradient of that follower's own return with its response held:

    dJ_L = (1/2) sum over both of dJ_L(g)  +  (w / 2) (dJ_F(g+) - dJ_F(g-)).

Nothing is assumed of how the followers learn, as long as each answers well. What a stage does and pays is counted from all
episodes together; responses are counted apart and anew in every batch, from episodes under the same random numbers, so that
most of their noise cancels. A small w is biased and a large one noisy: payments of a temperature or two are a good start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from torch import Tensor

from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.learning.information import Evidence
from stackelberg_games.learning.powers import Power
from stackelberg_games.learning.weighted_sum import Total
from stackelberg_games.representations.counting import CountingAlgorithm, logits_of
from stackelberg_games.representations.protocol import Values
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.trajectories import table_of
from stackelberg_games.rules.view import LeaderView


@dataclass
class TwinFollowers(CountingAlgorithm):
    """Ascent on the difference of two paid followers; class TRAJECTORIES with the follower's rewards, and it pays.

    Args:
        learning_rate: see ``Algorithm``.
        actor_steps: see ``Algorithm``.
        start: see ``Algorithm``.
        representation: see ``Algorithm``; games are counted (``finite``).
        weight: w > 0; if not given such that payments differ by up to ``push`` temperatures.
        push: see ``weight``.
    """

    weight: float | None = None
    push: float = 2.0

    powers: ClassVar[frozenset[Power]] = frozenset({Power.PAY})
    further_batches: ClassVar[int] = 2
    keeps: ClassVar[tuple[str, ...]] = ("low", "high")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.weight is None or self.weight > 0) or not self.push > 0:
            raise InvalidArgumentError(f"{self}: expected weight > 0 and push > 0")

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Algorithm.begin``."""
        super().begin(view, seed=seed, commitment=commitment)
        self.low, self.high = np.inf, -np.inf

    def objective(self, evidence: Evidence) -> Callable[[], Total]:
        """Have both followers answer, and count."""
        batch = evidence.require_trajectories()
        self.low, self.high = min(self.low, batch.leader_rewards.min()), max(self.high, batch.leader_rewards.max())
        span = self.high - self.low or 1.0
        self.used = self.weight or 2 * span / (self.push * self.temperature)
        twins = [evidence.doings.paid(sign / self.used) for sign in (1, -1)]
        counts = np.stack([table_of(twin, np.ones(twin.leader_rewards.shape), self.view.sizes()) for twin in twins])
        if not self.view.follower_sees_action:
            counts = np.broadcast_to(counts.sum(axis=2, keepdims=True), counts.shape)
        came = counts.sum(axis=3, keepdims=True) > 0
        # Where one of them did not come it is taken to answer as the other, and where neither did, at random.
        self.replies = np.where(came.all(axis=0), counts, np.where(came.any(axis=0), counts.sum(axis=0), 1.0))
        return super().objective(replace(evidence, trajectories=batch.joined(*twins)))

    def surrogate(self, values: Values) -> Tensor:
        """Both followers' returns and the leader's under them, each with its response held."""
        above, below = (values.both_returns(logits_of(counts)) for counts in self.replies)
        return (above[0] + below[0]) / 2 + self.used / 2 * (above[1] - below[1])

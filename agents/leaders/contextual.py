"""Contextual followers (Oracles and Followers; Gerstgrasser and Parkes, arXiv 2210.11942): learn how everybody is answered, then lead.

For ``practice`` iterations a network g(b | s, a, z) learns to answer random leaders, z being what a leader answers when it is
queried: it climbs its own soft return in the game as counted so far. Then it is frozen, and the leader climbs its return
against it. Where the network errs the leader exploits the error, so the random leaders must cover where it goes, corners too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.learning.information import Evidence
from stackelberg_games.learning.powers import Power
from stackelberg_games.learning.weighted_sum import Total
from stackelberg_games.representations.contextual import ContextualFollower
from stackelberg_games.representations.counting import CountingAlgorithm
from stackelberg_games.representations.protocol import Values
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView


@dataclass
class Contextual(CountingAlgorithm):
    """Ascent against a follower of its own, trained first; class TRAJECTORIES with the follower's rewards, and it trains.

    Args:
        practice: iterations in which the network learns and the leader stays, >= 1.
        leaders: random leaders in each of them, >= 1.
        hidden: width >= 1 of the network's two layers; ``rate`` > 0 is its Adam's. For the others see ``Algorithm``.
    """

    practice: int = 100
    leaders: int = 32
    hidden: int = 32
    rate: float = 0.01

    powers: ClassVar[frozenset[Power]] = frozenset({Power.TRAIN})
    further_batches: ClassVar[int] = 1
    keeps: ClassVar[tuple[str, ...]] = ("network", "updates")

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.practice, self.leaders, self.hidden) < 1 or not self.rate > 0:
            raise InvalidArgumentError(f"{self}: expected practice, leaders and hidden >= 1, and rate > 0")

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Algorithm.begin``."""
        super().begin(view, seed=seed, commitment=commitment)
        self.network = ContextualFollower(view, self.commitment, (self.hidden, self.hidden), self.rate, seed)
        self.updates = 0

    def objective(self, evidence: Evidence) -> Callable[[], Total]:
        """Practise while it lasts."""
        surrogate, self.updates = super().objective(evidence), self.updates + 1
        if self.updates <= self.practice:
            shown = self.network.leader()
            batch = evidence.doings.practised(shown, self.network.response(shown))
            self.learned.observe(replace(evidence, trajectories=batch), shown)
            for _ in range(self.leaders):
                drawn = self.network.leader()
                self.network.climb(self.learned.at(drawn).both_returns(self.network.logits(drawn))[1])
        return surrogate

    def surrogate(self, values: Values) -> Tensor:
        """The leader's return against the network; nothing before it is trained."""
        return float(self.updates > self.practice) * values.both_returns(self.network.logits(self.commitment))[0]

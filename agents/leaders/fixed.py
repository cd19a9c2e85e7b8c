"""A leader that keeps its commitment: the reference row of every comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stackelberg_games.commitment import Commitment, TabularPolicy
from stackelberg_games.game import LeaderView
from stackelberg_games.information import Evidence, Information
from stackelberg_games.leader import Leader


@dataclass
class FixedLeader(Leader):
    """Plays one commitment for ever; class RETURNS, of which it makes no use.

    Args:
        probabilities: action probabilities ``[S, A]``; the first of every leader if empty.
    """

    probabilities: Sequence[Sequence[float]] = ()

    @property
    def information(self) -> Information:
        """RETURNS."""
        return Information.RETURNS

    def first_commitment(self, view: LeaderView, seed: int) -> Commitment:
        """The given policy."""
        if len(self.probabilities):
            return TabularPolicy.from_probabilities(view, self.probabilities)
        return super().first_commitment(view, seed)

    def update(self, evidence: Evidence) -> dict[str, float]:
        """Nothing changes."""
        return {}

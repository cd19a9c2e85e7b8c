"""A leader that keeps its commitment: the reference row of every comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.learning.leader import Leader
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView


@dataclass
class FixedLeader(Leader):
    """Plays one commitment for ever; class RETURNS, of which it makes no use.

    Args:
        probabilities: action probabilities ``[S, A]``; the first of every leader if empty.
    """

    probabilities: Sequence[Sequence[float]] = ()

    information = Information.RETURNS

    def first_commitment(self, view: LeaderView, seed: int) -> Commitment:
        """The given policy."""
        if len(self.probabilities):
            return TabularPolicy.from_probabilities(view, self.probabilities)
        return super().first_commitment(view, seed)

    def update(self, evidence: Evidence) -> dict[str, float]:
        """Nothing changes."""
        return {}

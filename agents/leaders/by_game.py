"""One leader, several forms of its algorithm: which one plays is decided by the kind of the game.

Not a leader by itself: a class that goes before the form for finite games and names the others.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from stackelberg_games.learning.information import Evidence
from stackelberg_games.learning.leader import GradientLeader
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView


@dataclass
class ByGame(GradientLeader):
    """Hands everything to another form where the game asks for one; goes before the usual form's class."""

    @abstractmethod
    def other_form(self, view: LeaderView) -> GradientLeader | None:
        """A leader of the form that fits a game, or None where the usual form does."""

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``; the forms raise ``UnsupportedGameError`` where none fits."""
        self.form = self.other_form(view)
        if self.form is None:
            super().begin(view, seed=seed, commitment=commitment)
            return
        self.form.begin(view, seed=seed, commitment=commitment)
        self.view, self.commitment = view, self.form.commitment

    def observe(self, evidence: Evidence) -> None:
        """See ``GradientLeader``."""
        if self.form is None:
            super().observe(evidence)
        else:
            self.form.observe(evidence)

    def surrogate(self, evidence: Evidence) -> Tensor:
        """See ``GradientLeader``."""
        if self.form is None:
            return super().surrogate(evidence)  # type: ignore[safe-super]
        return self.form.surrogate(evidence)

    def update(self, evidence: Evidence) -> dict[str, float]:
        """See ``Leader.update``."""
        return super().update(evidence) if self.form is None else self.form.update(evidence)

    @property
    def recommendation(self) -> Commitment:
        """See ``Leader``."""
        return super().recommendation if self.form is None else self.form.recommendation

    def state_dict(self) -> dict[str, Any]:
        """See ``Leader.state_dict``."""
        return super().state_dict() if self.form is None else self.form.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Leader.load_state_dict``."""
        if self.form is None:
            super().load_state_dict(state)
        else:
            self.form.load_state_dict(state)

"""Policies over finitely many actions in finitely many states."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from stackelberg_games import checks
from stackelberg_games.arrays import IntArray
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError
from stackelberg_games.numerics.randomness import Lane, Streams
from stackelberg_games.numerics.sampling import check_probabilities, cumulative
from stackelberg_games.numerics.threads import in_own_modes
from stackelberg_games.rules.commitment import Commitment, parameters_from
from stackelberg_games.rules.rules import Rules, require_game
from stackelberg_games.rules.view import LeaderView

NEVER = -1000.0
"""A logit beside which an action has the probability zero."""

FiniteSized = Rules | LeaderView | tuple[int, int]
"""A finite game, the view of one, or its numbers of states and leader actions."""


class DiscretePolicy(Commitment):
    """A policy over finitely many actions in finitely many states."""

    states: int
    actions: int

    def describe(self) -> dict[str, Any]:
        """Class and sizes."""
        return {"class": type(self).__name__, "sizes": [self.states, self.actions]}

    @abstractmethod
    def log_probabilities(self) -> Tensor:
        """Log-probabilities ``[S, A]``, float64, differentiable."""

    def rows(self, states: Tensor, *, sparse: bool = False) -> Tensor:
        """Log-probabilities in some states ``[M]``, ``[M, A]``.

        Args:
            states: their numbers.
            sparse: whether gradients shall hold the rows of these states alone, where that is possible.
        """
        return self.log_probabilities()[states]

    def probabilities(self) -> Tensor:
        """Action probabilities ``[S, A]``."""
        return self.log_probabilities().exp()

    def sample(self, states: Any, streams: Streams, stage: int) -> IntArray:
        """Draw actions by inversion, int64 ``[N]``."""
        with torch.no_grad():
            rows = cumulative(self.probabilities().numpy()[np.asarray(states)])
        draws = streams.uniform(Lane.LEADER, stage)
        return np.asarray((draws >= rows).sum(axis=1), dtype=np.int64)


class TabularPolicy(DiscretePolicy):
    """One logit for each state and action.

    Args:
        game: a finite game, the view of one, or its numbers of states and leader actions.
        logits: ``[S, A]``; zeros (the uniform policy) if not given.
    """

    draws = False

    @in_own_modes
    def __init__(self, game: FiniteSized, logits: ArrayLike | Tensor | None = None) -> None:
        super().__init__()
        self.states, self.actions = sizes_of(game)
        values = torch.zeros(self.states, self.actions, dtype=torch.float64)
        if logits is not None:
            values = parameters_from("logits", logits, finite=False)
        if tuple(values.shape) != (self.states, self.actions) or bool(torch.isnan(values).any()):
            raise InvalidArgumentError(
                f"logits of shape {tuple(values.shape)}: expected ({self.states}, {self.actions}), no NaN"
            )
        self.logits = nn.Parameter(values)

    @classmethod
    def from_probabilities(cls, game: FiniteSized, probabilities: ArrayLike, floor: float = 0.0) -> TabularPolicy:
        """The policy with given action probabilities ``[S, A]``; those below ``floor`` are raised to it."""
        rows = checks.array("probabilities", probabilities, 2, finite=False, error=InvalidGameError)
        check_probabilities("probabilities", rows)
        rows = np.maximum(rows, checks.number("floor", floor, 0))
        return cls(game, np.where(rows > 0, np.log(np.where(rows > 0, rows, 1.0)), NEVER))

    def log_probabilities(self) -> Tensor:
        """Log-softmax of the logits, ``[S, A]``."""
        return torch.log_softmax(self.logits, dim=1)

    def rows(self, states: Tensor, *, sparse: bool = False) -> Tensor:
        """See ``DiscretePolicy.rows``; no other row is looked at."""
        return torch.log_softmax(nn.functional.embedding(states, self.logits, sparse=sparse), dim=1)


def sizes_of(game: FiniteSized) -> tuple[int, int]:
    """Numbers of states and leader actions of a finite game."""
    if isinstance(game, tuple):
        if len(game) != 2:
            raise InvalidArgumentError(
                f"{checks.shown(game)}: expected a game, or its numbers of states and leader actions"
            )
        return checks.integer("states", game[0], 1), checks.integer("leader actions", game[1], 1)
    view = game if isinstance(game, LeaderView) else require_game(game).view()
    states, actions, _ = view.sizes()
    return states, actions

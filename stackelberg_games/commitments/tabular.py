"""Policies over finitely many actions in finitely many states."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError
from stackelberg_games.numerics.log_rows import log_rows
from stackelberg_games.numerics.randomness import Lane, Streams, compiled
from stackelberg_games.numerics.sampling import check_probabilities, cumulative
from stackelberg_games.numerics.threads import in_own_modes
from stackelberg_games.rules.commitment import Commitment, add_gradient, parameters_from
from stackelberg_games.rules.observations import Observations
from stackelberg_games.rules.rules import Rules, require_game
from stackelberg_games.rules.view import LeaderView

NEVER = -1000.0
"""A logit beside which an action has the probability zero."""


class Sizes(NamedTuple):
    """What a policy has to know of a finite game.

    Attributes:
        states, actions: numbers of states and leader actions.
        observations: what the leader sees of the states, where it does not tell all of them apart.
    """

    states: int
    actions: int
    observations: Observations | None = None

    @property
    def rows(self) -> int:
        """In how many cases the leader decides: of observations, or of states."""
        return self.states if self.observations is None else self.observations.count


FiniteSized = Rules | LeaderView | Sizes | tuple[int, int]
"""A finite game, the view of one, or its numbers of states and leader actions."""


class DiscretePolicy(Commitment):
    """A policy over finitely many actions in finitely many states.

    Where the leader does not tell all states apart, a row of parameters belongs to an observation and stands for all of its
    states, so that gradients add up over them.
    """

    states: int
    actions: int
    observations: Observations | None = None
    _seen: Tensor | None = None

    def describe(self) -> dict[str, Any]:
        """Class and sizes, and what is observed of the states where that is less."""
        facts = {"class": type(self).__name__, "sizes": [self.states, self.actions]}
        return facts if self.observations is None else {**facts, "observations": self.observations.numbers.tolist()}

    def size(self, game: FiniteSized) -> Sizes:
        """Take over the sizes of a game."""
        sizes = sizes_of(game)
        self.states, self.actions, self.observations = sizes
        self._seen = None if sizes.observations is None else torch.tensor(sizes.observations.numbers)
        return sizes

    @property
    def row_of(self) -> IntArray:
        """The row of every state, ``[S]``."""
        return np.arange(self.states) if self.observations is None else self.observations.numbers

    def spread(self, rows: Tensor) -> Tensor:
        """Rows of what is observed, ``[O, ...]``, as rows of the states, ``[S, ...]``."""
        return rows if self._seen is None else rows[self._seen]

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

    def pull(self, weights: FloatArray) -> None:
        """Add to the parameters' ``grad`` the derivative of the log-probabilities' sum with weights ``[S, A]``."""
        decided = self.log_probabilities()
        if decided.requires_grad:
            decided.backward(torch.from_numpy(weights).view_as(decided))  # type: ignore[no-untyped-call]

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
    """One logit for each state and action, or for each observation and action where the leader sees less than the state.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("discrete_toy-v0")
        >>> sg.TabularPolicy(game).probabilities().tolist()
        [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]
        >>> policy = sg.TabularPolicy.from_probabilities(
        ...     game, [[0.5, 0.5], [0.75, 0.25], [0.5, 0.5]]
        ... )
        >>> policy.probabilities().detach().numpy().round(2)
        array([[0.5 , 0.5 ],
               [0.75, 0.25],
               [0.5 , 0.5 ]])

    Args:
        game: a finite game, the view of one, or its numbers of states and leader actions.
        logits: ``[S, A]``, or ``[O, A]`` for O observations; zeros (the uniform policy) if not given.
    """

    draws = False

    @in_own_modes
    def __init__(self, game: FiniteSized, logits: ArrayLike | Tensor | None = None) -> None:
        super().__init__()
        shape = (self.size(game).rows, self.actions)
        values = torch.zeros(shape, dtype=torch.float64)
        if logits is not None:
            values = parameters_from("logits", logits, finite=False)
        if tuple(values.shape) != shape or bool(torch.isnan(values).any()):
            case = "state" if self.observations is None else "observation of the leader"
            raise InvalidArgumentError(
                f"logits of shape {tuple(values.shape)}: expected {shape}, a row for each {case}, no NaN"
            )
        self.logits = nn.Parameter(values)

    @classmethod
    def from_probabilities(cls, game: FiniteSized, probabilities: ArrayLike, floor: float = 0.0) -> TabularPolicy:
        """The policy with given action probabilities ``[S, A]``; those below ``floor`` are raised to it.

        Raises:
            InvalidGameError, InvalidArgumentError: they are no distributions, or differ between states that the leader does not tell apart.
        """
        rows = checks.array("probabilities", probabilities, 2, finite=False, error=InvalidGameError)
        check_probabilities("probabilities", rows)
        sizes = sizes_of(game)
        if sizes.observations is not None and len(rows) == sizes.states:
            sizes.observations.require_alike("probabilities", rows)
            rows = rows[sizes.observations.first]
        rows = np.maximum(rows, checks.number("floor", floor, 0))
        return cls(sizes, np.where(rows > 0, np.log(np.where(rows > 0, rows, 1.0)), NEVER))

    def log_probabilities(self) -> Tensor:
        """Log-softmax of the logits, ``[S, A]``."""
        return self.spread(torch.log_softmax(self.logits, dim=1))

    def pull(self, weights: FloatArray) -> None:
        """See ``DiscretePolicy.pull``."""
        if type(self).log_probabilities is not TabularPolicy.log_probabilities:  # somebody else's softmax
            return super().pull(weights)
        return add_gradient(self.logits, pulled(self.logits.detach().numpy(), weights, self.row_of))

    def rows(self, states: Tensor, *, sparse: bool = False) -> Tensor:
        """See ``DiscretePolicy.rows``; no other row is looked at."""
        states = states if self._seen is None else self._seen[states]
        return log_rows(self.logits, states, sparse=sparse)


@compiled
def pulled(logits: Any, weights: Any, numbers: Any) -> Any:
    """What weights ``[S, A]`` of a log-softmax are in its logits, ``[O, A]``; rows of the states by the numbers of theirs."""
    out = np.zeros(logits.shape)
    for s in range(weights.shape[0]):
        out[numbers[s]] += weights[s]
    for o in range(out.shape[0]):
        chances = np.exp(logits[o] - logits[o].max())
        out[o] -= chances / chances.sum() * out[o].sum()
    return out


class PolicyRows(NamedTuple):
    """The policy of one episode in a finite game; a torch module would be evaluated at every stage."""

    rows: FloatArray  # cumulative, [S, A]

    def sample(self, states: Any, streams: Streams, stage: int) -> list[int]:
        """The action of a batch of one, by inversion as in ``rollout``."""
        draw = streams.uniform(Lane.LEADER, stage)[0, 0]
        return [int(np.searchsorted(self.rows[states[0]], draw, side="right"))]


def sizes_of(game: FiniteSized) -> Sizes:
    """Numbers of states and leader actions of a finite game, and what its leader sees."""
    if isinstance(game, Sizes):
        return game
    if isinstance(game, tuple):
        if len(game) != 2:
            raise InvalidArgumentError(
                f"{checks.shown(game)}: expected a game, or its numbers of states and leader actions"
            )
        return Sizes(checks.integer("states", game[0], 1), checks.integer("leader actions", game[1], 1))
    view = game if isinstance(game, LeaderView) else require_game(game).view()
    states, actions, _ = view.sizes()
    return Sizes(states, actions, view.observations)

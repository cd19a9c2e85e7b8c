"""What a gradient leader asks of what it has learned, whatever the form of that; shapes are N episodes x T stages.

By the covariance trick the hypergradient of a soft-optimal follower is a sum of two rows,

    direct    sum_t gL^t dVL(s_t)
    response  sum_t c_t dQF(s_t, a_t, b_t),      c_t = the credit of the reply b_t

where VL is differentiated with the follower held as it is. An *algorithm* is a choice of the critic's
backup, of the credit and of how dQF is had (``adjoint``); a *representation* is a way to hold VL and QF
and to differentiate them. How the decision enters (the score of an action, an action that moves along, a
configuration of rewards or of dynamics) is the representation's affair.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.hypergradient import Influence
from stackelberg_games.learning import registry
from stackelberg_games.learning.information import Evidence
from stackelberg_games.learning.weighted_sum import Total
from stackelberg_games.numerics.stateful import Stateful
from stackelberg_games.representations.surprise import Surprise
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.trajectories import Trajectories, powers
from stackelberg_games.rules.view import LeaderView, not_estimated


class Manner(NamedTuple):
    """How a fitted game is climbed with every batch.

    Attributes:
        rate, steps: of Adam, where the leader does not say.
        keeps: whether the best point on the way is kept, or the last one.
        fresh: whether every climb begins with a new optimiser.
        proves: whether climbs are bounded, and a plan has to be confirmed by play before it is climbed on from.
        lane: of its random numbers.
    """

    rate: float = 0.02
    steps: int = 1
    keeps: bool = False
    fresh: bool = False
    proves: bool = False
    lane: int = 6


class Backup(NamedTuple):
    """What the leader's critic QL expects at the next state.

    Attributes:
        leader: of its own action: the ``"mean"`` over its policy, or the ``"max"``.
        follower: of the reply: the ``"mean"`` over the response, or its ``"mode"``.
    """

    leader: Literal["mean", "max"] = "mean"
    follower: Literal["mean", "mode"] = "mean"


MEANS, STACKELBERG = Backup(), Backup("max", "mode")


@dataclass(frozen=True)
class Needs:
    """What an algorithm is going to ask of a representation.

    Attributes:
        backup: of the leader's critic.
        follower: whether the follower's values are asked for.
        reads: what is read of the follower: nothing, its ``"policy"``, or its ``"values"`` too.
        infers: whether the follower's rewards are not observed but inferred from its actions.
        values: whether critics are asked for; not by a planner, which asks for the fitted game.
        players: whether both players' returns are asked for.
        sarsa: step size of a table of the leader's action values that SARSA carries along; None for no such table.
    """

    backup: Backup = MEANS
    follower: bool = False
    reads: Literal["none", "policy", "values"] = "none"
    infers: bool = False
    values: bool = True
    players: bool = False
    sarsa: float | None = None


@dataclass(frozen=True)
class Credit:
    """A weight of the replies: a function of (s, a, b).

    Attributes:
        at: at the stages played, ``[N, T]``; zero in padding.
        table: everywhere, ``[S, A, B]``, where the game is finite and the function known beyond what was
            played. There it is what a stage of weight one is credited; else None.
        weights: where it is a multiple of the benefit at every stage, of which, ``[N, T]``; else None.
    """

    at: FloatArray
    table: FloatArray | None = None
    weights: FloatArray | None = None

    def scaled(self, weights: FloatArray) -> Credit:
        """Times weights of the stages, ``[N, T]``."""
        return Credit(self.at * weights, self.table, None if self.weights is None else self.weights * weights)

    def __truediv__(self, number: float) -> Credit:
        table, weights = (None if part is None else part / number for part in (self.table, self.weights))
        return Credit(self.at / number, table, weights)


class Values(ABC):
    """Both players' values at a batch, differentiable in a commitment.

    Examples:
        >>> import stackelberg_games as sg
        >>> from stackelberg_games.representations.finite import Finite
        >>> from stackelberg_games.representations.protocol import Needs
        >>> game = sg.make("discrete_toy-v0")
        >>> policy = sg.TabularPolicy(game)
        >>> batch = sg.rollout(game, policy, sg.TabularResponse.uniform(game), episodes=50)
        >>> learned = Finite(game.view(temperature=0.05), policy, Needs())
        >>> evidence = sg.Evidence(batch.leader_returns(0.99), trajectories=batch)
        >>> learned.observe(evidence, policy)
        >>> learned.at(policy).direct().backward()  # the direct row, as a gradient
        >>> policy.logits.grad.shape
        torch.Size([3, 2])

    Attributes:
        batch: the episodes.
        view: what the leader was told of the game.
        trace: of credits that were unrolled along the batch, the last if several.
        block: so many episodes in a row depend on each other.
        lasting: whether all else than what a ``WeightedSum`` weighs stays as it is when the commitment moves.
    """

    batch: Trajectories
    view: LeaderView
    lasting: bool = False
    trace: Influence | None = None
    block: int = 1

    @property
    def temperature(self) -> float:
        """The follower's, as the leader was told."""
        assert self.view.temperature is not None
        return self.view.temperature

    @property
    def terms(self) -> tuple[Tensor, ...]:
        """What is differentiated in the commitment, where all else here stays as it is when the commitment moves.

        All sums offered here are then linear in these tensors, and climbing on needs their weights only. Empty where
        that is not so.
        """
        return ()

    def figures(self) -> dict[str, float]:
        """What an update logs: where traces were unrolled, how much of them is left where trajectories were cut."""
        return {} if self.trace is None else {"carried": self.trace.left(self.batch)}

    @cached_property
    def discounts(self) -> FloatArray:
        """gL^t at the stages played, ``[N, T]``; zero in padding."""
        return np.asarray(powers(self.view.leader_discount, self.batch.stages) * self.batch.mask)

    @abstractmethod
    def benefit(self) -> Credit:
        """B = QL(s, a, b) - E_b QL(s, a, b)."""

    def returns(self, baseline: bool) -> FloatArray:
        """The leader's return of every episode, ``[N, 1]``, by which its score is weighed; or of every stage, ``[N, T]``.

        Args:
            baseline: less the mean of the other episodes, which a batch of one has not.
        """
        returns = self.batch.leader_returns(self.view.leader_discount)
        if not baseline or self.batch.episodes == 1:
            return returns[:, None]
        return np.asarray(returns - (returns.sum() - returns) / (self.batch.episodes - 1))[:, None]

    @abstractmethod
    def direct(self) -> Total:
        """sum_t gL^t dVL(s_t), the follower held as it is; a scalar, the mean over the episodes."""

    @abstractmethod
    def unrolled(self, trace: Influence, credit: Credit, batch: Trajectories) -> Total:
        """sum_t c_t dQF(s_t, a_t, b_t) along trajectories, a scalar, the mean over the episodes.

        Args:
            trace: how much earlier credits owe to each stage.
            credit: which they were.
            batch: the episodes that the trace belongs to.
        """

    def bootstrapped(self, credit: Credit) -> Total:
        """The same with dQF from the critic of the next state at once."""
        raise self._lacks("the adjoint 'bootstrap'")

    def solved(self, credit: Credit) -> Total:
        """The same with dQF from the fitted game, by one linear solve."""
        raise self._lacks("the adjoint 'solve'")

    def truncated(self, credit: Credit) -> Total:
        """The same with nothing of dQF - E_b dQF but its first term, d rF(s, a, b) - E_b d rF."""
        raise self._lacks("truncated scores")

    def averaged(self, credit: Credit, wide: Trajectories) -> Credit:
        """Credits c' of the stages of ``wide`` with c'U = c (E[U | s, a, b] - E[U | s, a]), means over visits."""
        raise self._lacks("averages over visits")

    def advantage(self, how: str, wide: Trajectories) -> Credit:
        """QL(s, a, b) less its mean over b, fitted to the returns of ``wide``: ``"monte_carlo"`` or ``"sarsa"``."""
        raise self._lacks(f"the advantages {how!r}")

    def players(self) -> tuple[Tensor, Tensor, Tensor]:
        """Both players' returns in the fitted game, and the parameters of the response they are functions of."""
        raise self._lacks("both players' returns as functions of both policies")

    def both_returns(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Both players' endless returns in the fitted game, the follower's with its entropy, under a response of one's own.

        Args:
            logits: the response's, ``[S, A, B]``; the same for every action that the follower does not see.
        """
        raise self._lacks("returns under a response of one's own")

    def _lacks(self, what: str) -> UnsupportedGameError:
        return UnsupportedGameError(
            f"{type(self).__name__} do not give {what}; bchg and policy_gradient ask for nothing of the kind"
        )


class Fitted(ABC):
    """A game fitted to what was observed, as planners see it.

    Attributes:
        tolerance: on the follower's values, relative, where they are iterated; the estimate is far less accurate.
    """

    tolerance: float = 1e-12

    @abstractmethod
    def objective(self, commitment: Commitment, temperature: float, share: float = 1.0) -> tuple[float, Tensor]:
        """The leader's value against the soft-optimal follower, and a scalar with its gradient.

        Args:
            commitment: its parameters receive the gradient.
            temperature: tau > 0.
            share: of what its own configuration costs the leader that counts.

        Raises:
            SolverError: there is no such response.
        """

    def distance(self, one: Commitment, other: Commitment) -> float:
        """How far apart what two commitments do is, mean over the game's states, in [0, 1]; see ``ActionGrid.distance``."""
        raise UnsupportedGameError(f"{type(self).__name__} does not compare commitments")

    def judged(self, commitment: Commitment, temperature: float, replies: Any) -> float:
        """What a commitment is worth given the replies that were seen under it; the objective, where they tell no more.

        Args:
            commitment: whose value.
            temperature: tau > 0.
            replies: what ``Representation.replies`` gave under it, added up; None where it was not played.
        """
        with torch.no_grad():
            return self.objective(commitment, temperature)[0]

    def believe(self, played: list[tuple[Commitment, Any]], temperature: float, last: Any) -> Any:
        """What the follower believes of the dynamics, from its replies under commitments; see ``under``."""
        raise UnsupportedGameError(f"belief='estimated': {type(self).__name__} does not tell beliefs from the truth")

    def under(self, belief: Any) -> Fitted:
        """The same game, the follower planning with what ``believe`` gave."""
        raise UnsupportedGameError(f"belief='estimated': {type(self).__name__} does not tell beliefs from the truth")


class Representation(Stateful, ABC):
    """What a leader has learned of a game; it knows no algorithm.

    A subclass takes what every one takes, then its settings as keywords. ``settings`` names those that are
    in force: the others are refused by name. What it has learned is named in ``keeps``, see ``Stateful``.

    Examples:
        >>> import stackelberg_games as sg
        >>> from stackelberg_games.representations.finite import Finite
        >>> from stackelberg_games.representations.protocol import Needs
        >>> game = sg.make("discrete_toy-v0")
        >>> policy = sg.TabularPolicy(game)
        >>> batch = sg.rollout(game, policy, sg.TabularResponse.uniform(game), episodes=50)
        >>> learned = Finite(game.view(temperature=0.05), policy, Needs(follower=True))
        >>> evidence = sg.Evidence(batch.leader_returns(0.99), trajectories=batch)
        >>> learned.observe(evidence, policy)
        >>> learned.at(policy).benefit().at.shape
        (50, 150)

    Args:
        view: all that the leader was told.
        commitment: of the first episode.
        needs: what it is going to be asked.
        seed: of its own randomness.

    Attributes:
        adjoints: names of the ways to have dQF along a trajectory that it offers, the usual one first.
        reads: what it can read of the follower where an algorithm asks it to.
        planning: names of the settings of ``Planning`` that its fitted game makes use of.
        manner: how its fitted game is climbed.
        compares: whether it learns from a judge's labels, in the place of rewards of stages.
        rivals: factors of a declared temperature that the follower's replies are held against, see ``temperature.Doubt``.
        sparse: whether gradients hold only the rows of a large table that a batch has touched.
    """

    compares: bool = False
    adjoints: tuple[str, ...] = ("unroll",)
    reads: tuple[str, ...] = ("none",)
    planning: tuple[str, ...] = ("rate", "steps", "explore", "reach")
    manner: Manner = Manner()
    rivals: tuple[float, ...] = ()
    sparse: bool = False

    def __init__(self, view: LeaderView, commitment: Commitment, needs: Needs, seed: int = 0) -> None:
        self.view, self.needs, self.seed = view, needs, seed

    @property
    def name(self) -> str:
        """Under which its kind is registered, for messages."""
        return registry.id_of("representation", self)

    @classmethod
    @abstractmethod
    def fits(cls, view: LeaderView, commitment: Commitment) -> bool:
        """Whether it is the usual one for a kind of game and commitment."""

    @classmethod
    def settings(cls, view: LeaderView, needs: Needs) -> tuple[str, ...]:
        """Names of the settings that make a difference in a game, for what is going to be asked."""
        return ()

    @abstractmethod
    def observe(self, evidence: Evidence, commitment: Commitment) -> None:
        """Learn from a batch that was played under a commitment.

        Raises:
            InformationError: something is missing that is going to be asked for.
        """

    @abstractmethod
    def at(self, commitment: Commitment) -> Values:
        """The values of the last batch, differentiable in the commitment: the one played, or where it has moved since."""

    def fitted(self) -> Fitted:
        """The game that was fitted.

        Raises:
            UnsupportedGameError: none is.
        """
        raise UnsupportedGameError(
            f"{self.name} does not fit a game to plan in; bchg and policy_gradient learn without one"
        )

    def surprise(self, commitment: Commitment) -> Surprise:
        """How surprising the replies of the last batch, or those before too, are to the fitted game, by the temperature.

        Args:
            commitment: under which the last ones were given.

        Raises:
            InvalidGameError: too little was seen to fit a game.
            SolverError: there is no response in it.
            UnsupportedGameError: it fits none.
        """
        raise not_estimated(f"{self.name} does not tell what follows from it")

    def retell(self, temperature: float) -> None:
        """Believe in another temperature from now on, the last batch included."""
        self.view = replace(self.view, temperature=temperature)

    def replies(self) -> Any:
        """How the follower answered in the last batch, in a form that adds up; None where it is of no use."""
        return None


Adjoint = Callable[[Values, Credit], Total]
"""How the response row is had from values and credits."""

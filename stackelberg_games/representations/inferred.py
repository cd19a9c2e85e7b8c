"""Doing without the follower's rewards: they are inferred from its actions, and a representation learns as ever.

Inferred are the rewards of finite games (``exact.inverse``) and the costs of linear-quadratic ones
(``exact.linear_inverse``).

The maximum-entropy identity alone, A_F(s, a, b) = tau log g(b | s, a), does not make the rewards
unnecessary where the leader acts at every stage: it compares the follower's actions with each
other, and the hypergradient asks how much the follower values the leader's. Where the leader
configures known incentives only, the hypergradient asks nothing of the kind, and nothing is inferred.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.exact.inverse import SoftInverse
from stackelberg_games.exact.linear_inverse import LinearInverse
from stackelberg_games.kinds.linear_quadratic import Cost, linear
from stackelberg_games.learning.information import Evidence
from stackelberg_games.representations.counts import TabularEstimator
from stackelberg_games.representations.finite import Finite
from stackelberg_games.representations.least_squares import LinearEstimator
from stackelberg_games.representations.linear import Linear
from stackelberg_games.representations.protocol import Fitted, Representation, Values
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.trajectories import Trajectories, table_of
from stackelberg_games.rules.view import LeaderView

REFIT = 1.05
"""Growth of the number of batches after which the rewards are inferred anew."""


class Inference(ABC):
    """What completes a batch by the follower's rewards as its actions tell them."""

    @abstractmethod
    def completed(self, batch: Trajectories, commitment: Commitment, due: bool) -> Trajectories:
        """The batch with what could be inferred; where it is ``due``, of past batches too."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """What was inferred, and from what."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a stored state."""


class FiniteInference(Inference):
    """Rewards of a finite game, for counts."""

    def __init__(self, view: LeaderView, counts: TabularEstimator, temperature: float) -> None:
        self.view, self.counts, self.inverse = view, counts, SoftInverse(view.sizes(), temperature)

    def completed(self, batch: Trajectories, commitment: Commitment, due: bool) -> Trajectories:
        """See ``Inference``."""
        policy, counts = commitment.probabilities().detach().numpy(), self.counts
        cells = (batch.states[:, :-1], batch.leader_actions, batch.follower_actions)
        self.inverse.observe(policy, table_of(batch, np.ones(batch.leader_rewards.shape), counts.shape))
        if due:
            ahead = TabularEstimator(self.view, 1.0)
            ahead.load_state_dict(counts.state_dict())
            ahead.observe(batch)
            self.inverse.fit(ahead.arrays(policy))
            counts.follower_rewards = self.inverse.reward * counts.totals
        return replace(batch, follower_rewards=self.inverse.reward[cells] * batch.mask)

    def state_dict(self) -> dict[str, Any]:
        """See ``Inference``."""
        return self.inverse.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Inference``."""
        self.inverse.load_state_dict(state)


class LinearInference(Inference):
    """Costs of a linear-quadratic game, for fits."""

    def __init__(self, view: LeaderView, fit: LinearEstimator, temperature: float) -> None:
        self.view, self.fit = view, fit
        self.inverse = LinearInverse((fit.n, fit.k, fit.m), temperature)

    def completed(self, batch: Trajectories, commitment: Commitment, due: bool) -> Trajectories:
        """See ``Inference``; the costs are given to the fits, and the batch stays as it is."""
        self.inverse.observe(linear(commitment), batch)
        if due:
            ahead = LinearEstimator(self.view)
            ahead.load_state_dict(self.fit.state_dict())
            ahead.observe(batch)
            idle = Cost(np.zeros((self.fit.n, self.fit.n)), np.eye(self.fit.m))
            self.fit.inferred = self.inverse.fit(ahead.game(idle))
        return batch

    def state_dict(self) -> dict[str, Any]:
        """See ``Inference``."""
        kept, cost = self.inverse.state_dict(), self.fit.inferred
        return kept if cost is None else {**kept, "costs": [np.asarray(cost.state), np.asarray(cost.control)]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Inference``."""
        self.inverse.load_state_dict({name: part for name, part in state.items() if name != "costs"})
        if "costs" in state:
            state_cost, control_cost = state["costs"]
            self.fit.inferred = Cost(np.array(state_cost), np.array(control_cost))


class Inferred(Representation):
    """A representation that is shown the follower's rewards as they were inferred.

    Args:
        inner: the representation.
        inference: of the rewards.
    """

    def __init__(self, inner: Representation, inference: Inference) -> None:
        self.view, self.needs, self.seed = inner.view, inner.needs, inner.seed
        self.adjoints, self.planning, self.manner = inner.adjoints, inner.planning, inner.manner
        self.inner, self.inference = inner, inference
        self.batches, self.next_fit = 0, 1

    @classmethod
    def fits(cls, view: LeaderView, commitment: Commitment) -> bool:
        """It is not chosen by itself."""
        return False

    @property
    def name(self) -> str:
        """That of what it wraps."""
        return self.inner.name

    def observe(self, evidence: Evidence, commitment: Commitment) -> None:
        """Infer the rewards, then learn as if they had been observed."""
        batch = evidence.require_trajectories().without_follower_rewards()
        self.batches += 1
        due = self.batches >= self.next_fit
        if due:
            self.next_fit = max(self.batches + 1, math.ceil(REFIT * self.batches))
        completed = self.inference.completed(batch, commitment, due)
        self.inner.observe(replace(evidence, trajectories=completed), commitment)

    def at(self, commitment: Commitment) -> Values:
        """See ``Representation.at``."""
        return self.inner.at(commitment)

    def fitted(self) -> Fitted:
        """See ``Representation.fitted``."""
        return self.inner.fitted()

    def replies(self) -> Any:
        """See ``Representation.replies``."""
        return self.inner.replies()

    def state_dict(self) -> dict[str, Any]:
        """What was learned, and what was inferred."""
        inferred = {**self.inference.state_dict(), "batches": self.batches, "next_fit": self.next_fit}
        return {"inner": self.inner.state_dict(), "inferred": inferred}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Representation.load_state_dict``."""
        self.inner.load_state_dict(state["inner"])
        inferred = dict(state["inferred"])
        self.batches, self.next_fit = int(inferred.pop("batches")), int(inferred.pop("next_fit"))
        self.inference.load_state_dict(inferred)


def inferring(made: Representation, view: LeaderView) -> Representation:
    """A representation that does without the follower's rewards; as it is where nothing reads them.

    Raises:
        UnsupportedGameError: rewards cannot be inferred in this game.
    """
    if isinstance(made, Finite) and made.needs.values and not made.values_needed:
        return made
    if view.lever is not None:
        raise UnsupportedGameError(
            "follower_rewards='unobserved': rewards are inferred where the leader acts at every stage only"
        )
    assert view.temperature is not None
    if isinstance(made, Finite):
        return Inferred(made, FiniteInference(view, made.counts, view.temperature))
    if isinstance(made, Linear):
        return Inferred(made, LinearInference(view, made.fit, view.temperature))
    raise UnsupportedGameError(
        "follower_rewards='unobserved': rewards are inferred in finite and in linear-quadratic games"
    )

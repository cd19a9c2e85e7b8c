"""Doing without the follower's rewards: they are inferred from its actions, and the leader goes on as ever.

Not a leader by itself: a class that goes before a leader's own. Inferred are the rewards of finite games
(``stackelberg_games.exact.inverse``) and the costs of linear-quadratic ones (``linear.inverse``).

The maximum-entropy identity alone, A_F(s, a, b) = tau log g(b | s, a), does not make the rewards
unnecessary where the leader acts at every stage: it compares the follower's actions with each
other, and the hypergradient asks how much the follower values the leader's. Where the leader
configures known incentives only, the hypergradient asks nothing of the kind, and nothing is inferred.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.exact.inverse import SoftInverse
from stackelberg_games.exact.linear_inverse import LinearInverse
from stackelberg_games.kinds.linear_quadratic import Cost, linear
from stackelberg_games.learning.information import Evidence
from stackelberg_games.learning.leader import GradientLeader
from stackelberg_games.representations.counts import TabularEstimator
from stackelberg_games.representations.least_squares import LinearEstimator
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.trajectories import Trajectories, table_of
from stackelberg_games.rules.view import LeaderView

REFIT = 1.05
"""Growth of the number of batches after which the rewards are inferred anew."""


@dataclass
class Unrewarded(GradientLeader):
    """Gives a leader the choice not to observe the follower's rewards; goes before its class.

    Args:
        follower_rewards: ``"observed"``, or ``"unobserved"``: then they are not granted, but inferred.
    """

    follower_rewards: Literal["observed", "unobserved"] = "observed"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.follower_rewards not in ("observed", "unobserved"):
            raise InvalidArgumentError(
                f"follower_rewards={self.follower_rewards!r}: expected 'observed' or 'unobserved'"
            )

    @property
    def granted_follower_rewards(self) -> bool:
        """See ``Leader``."""
        return self.follower_rewards == "observed" and super().granted_follower_rewards

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``.

        Raises:
            UnsupportedGameError: rewards cannot be inferred in this game.
        """
        super().begin(view, seed=seed, commitment=commitment)
        self.inverse: SoftInverse | LinearInverse | None = None
        self.batches, self.next_fit = 0, 1
        if self.follower_rewards == "observed" or self.rewards_are_idle():
            return
        if view.lever is not None:
            raise UnsupportedGameError(
                "follower_rewards='unobserved': rewards are inferred where the leader acts at every stage only"
            )
        assert view.temperature is not None
        estimates = self.estimates()
        if isinstance(estimates, LinearEstimator):
            self.inverse = LinearInverse((estimates.n, estimates.k, estimates.m), view.temperature)
        elif isinstance(estimates, TabularEstimator):
            self.inverse = SoftInverse(view.sizes(), view.temperature)
        else:
            raise UnsupportedGameError(
                "follower_rewards='unobserved': rewards are inferred in finite and in linear-quadratic games"
            )

    def rewards_are_idle(self) -> bool:
        """Whether nothing that the leader computes in this game reads the follower's rewards."""
        return False

    def estimates(self) -> TabularEstimator | LinearEstimator | None:
        """What the leader has estimated of the game; None where rewards cannot be inferred."""
        owner = self._other() or self
        found = getattr(owner, "linear", None) or getattr(owner, "estimator", None)
        return found if isinstance(found, TabularEstimator | LinearEstimator) else None

    def _other(self) -> GradientLeader | None:
        """The form that plays in this game, where it is another leader."""
        other = getattr(self, "form", None)
        return other if isinstance(other, GradientLeader) else None

    def update(self, evidence: Evidence) -> dict[str, float]:
        """See ``Leader.update``; another form observes by itself, so it is given what was inferred."""
        return super().update(evidence if self._other() is None else self._completed(evidence))

    def observe(self, evidence: Evidence) -> None:
        """Infer the rewards, then learn as if they had been observed."""
        super().observe(self._completed(evidence))

    def _completed(self, evidence: Evidence) -> Evidence:
        """Evidence as the leader would have it, with everything that can be inferred."""
        if self.follower_rewards == "observed":
            return evidence
        batch, estimates = evidence.require_trajectories().without_follower_rewards(), self.estimates()
        self.batches += 1
        due = self.batches >= self.next_fit
        if due:
            self.next_fit = max(self.batches + 1, math.ceil(REFIT * self.batches))
        if isinstance(estimates, LinearEstimator) and isinstance(self.inverse, LinearInverse):
            self.inverse.observe(linear(self.commitment), batch)
            if due:
                ahead = LinearEstimator(self.view)
                ahead.load_state_dict(estimates.state_dict())
                ahead.observe(batch)
                idle = Cost(np.zeros((estimates.n, estimates.n)), np.eye(estimates.m))
                estimates.inferred = self.inverse.fit(ahead.game(idle))
            return replace(evidence, trajectories=batch)
        filled: FloatArray = np.zeros(batch.leader_rewards.shape)
        if isinstance(estimates, TabularEstimator) and isinstance(self.inverse, SoftInverse):
            filled = self._infer(self.inverse, estimates, batch, due)
        return replace(evidence, trajectories=replace(batch, follower_rewards=filled))

    def _infer(self, inverse: SoftInverse, estimates: TabularEstimator, batch: Trajectories, due: bool) -> FloatArray:
        """Rewards of a batch, ``[N, T]``; those of past batches are inferred anew too."""
        policy = self.commitment.probabilities().detach().numpy()
        cells = (batch.states[:, :-1], batch.leader_actions, batch.follower_actions)
        inverse.observe(policy, table_of(batch, np.ones(batch.leader_rewards.shape), estimates.shape))
        if due:
            ahead = TabularEstimator(self.view, 1.0)
            ahead.load_state_dict(estimates.state_dict())
            ahead.observe(batch)
            inverse.fit(ahead.arrays(policy))
            estimates.follower_rewards = inverse.reward * estimates.totals
        return np.asarray(inverse.reward[cells] * batch.mask)

    def state_dict(self) -> dict[str, Any]:
        """What the leader keeps, and what was inferred."""
        kept = super().state_dict()
        if self.inverse is None:
            return kept
        inferred = {**self.inverse.state_dict(), "batches": self.batches, "next_fit": self.next_fit}
        estimates = self.estimates()
        if isinstance(estimates, LinearEstimator) and estimates.inferred is not None:
            inferred["costs"] = [np.asarray(estimates.inferred.state), np.asarray(estimates.inferred.control)]
        return {**kept, "inverse": inferred}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Leader.load_state_dict``."""
        super().load_state_dict(state)
        if self.inverse is not None:
            self.inverse.load_state_dict(state["inverse"])
            self.batches, self.next_fit = state["inverse"]["batches"], state["inverse"]["next_fit"]
            estimates = self.estimates()
            if isinstance(estimates, LinearEstimator) and "costs" in state["inverse"]:
                state_cost, control_cost = state["inverse"]["costs"]
                estimates.inferred = Cost(np.array(state_cost), np.array(control_cost))

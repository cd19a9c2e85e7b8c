"""Values that are known at the stages played: what a representation needs to give to play with every algorithm.

The decision enters by the score of the action drawn and by the terms of the lever where the leader configures
the game; critics at the stages played weigh them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.networks import log_prob
from stackelberg_games.hypergradient import Influence, StageCritics
from stackelberg_games.representations.finite_advantage import returns_to_go
from stackelberg_games.representations.protocol import Credit, Values
from stackelberg_games.representations.quadratic_features import fit, raised
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Stages, Terms
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView


class StageValues(Values):
    """Critics at the stages of a batch.

    Args:
        view: what the leader was told of the game.
        batch: the episodes.
        critics: at their stages.
        commitment: to differentiate in.
        faced: vectors of what the follower faces at the stages, ``[N, T, n]``.
        replies: vectors of its actions, ``[N, T, m]``.
    """

    def __init__(
        self,
        view: LeaderView,
        batch: Trajectories,
        critics: StageCritics,
        commitment: Commitment,
        faced: FloatArray,
        replies: FloatArray,
    ) -> None:
        self.view, self.batch, self.critics = view, batch, critics
        self._faced, self._replies = faced, replies
        configuration, mask = commitment.configuration(), batch.mask
        self._scores: Tensor | None = None
        self._terms = Terms()
        if configuration is None:
            self._scores = log_prob(commitment, batch.states[:, :-1][mask], batch.leader_actions[mask])
        elif view.lever is not None:
            self._terms = view.lever.terms(configuration, Stages.of(batch))
        self._constant = 0.0 * next(iter(commitment.parameters())).sum()

    def benefit(self) -> Credit:
        """See ``Values.benefit``."""
        return Credit(self.critics.benefit, None, np.ones(self.batch.mask.shape))

    def direct(self) -> Tensor:
        """See ``Values.direct``."""
        discounts, moved = self.discounts, self.critics.leader_next_value
        moved = None if moved is None else discounts * self.view.leader_discount * moved
        return self._weighed(discounts * self.critics.leader_advantage, discounts, None, moved)

    def unrolled(self, trace: Influence, credit: Credit, batch: Trajectories) -> Tensor:
        """See ``Values.unrolled``."""
        owed = trace.before if self.view.follower_sees_action else trace.after
        moved = self.critics.follower_next_value
        moved = None if moved is None else trace.after * self.view.follower_discount * moved
        return self._weighed(owed * self.critics.follower_advantage, None, trace.after, moved)

    def truncated(self, credit: Credit) -> Tensor:
        """See ``Values.truncated``; E_b is a least-squares fit on what the follower faces."""
        weights = credit.at.copy()
        mask = self.batch.mask
        weights[mask] -= fit(raised(self._seen), credit.at[mask])
        return self._weighed(None, None, weights, None)

    def averaged(self, credit: Credit, wide: Trajectories) -> Credit:
        """See ``Values.averaged``; means are least squares with quadratic features, or linear ones where those are many."""
        mask, out = self.batch.mask, np.zeros_like(credit.at)
        out[mask] = fit(raised(self._joint), credit.at[mask]) - fit(raised(self._seen), credit.at[mask])
        return Credit(out)

    def advantage(self, how: str, wide: Trajectories) -> Credit:
        """See ``Values.advantage``; SARSA is its fixed point with quadratic features, or linear ones where those are many (LSTD-Q)."""
        batch, mask, discount = self.batch, self.batch.mask, self.view.leader_discount
        values, out = returns_to_go(batch, discount), np.zeros(self.batch.mask.shape)
        if how == "sarsa":
            features = np.zeros((*mask.shape, raised(self._joint).shape[1]))
            features[mask] = raised(self._joint)
            following = np.roll(features, -1, axis=1)
            following[np.arange(batch.episodes), batch.lengths - 1] = 0.0
            now, rest = features[mask], features[mask] - discount * following[mask]
            solved = np.linalg.lstsq(now.T @ rest, now.T @ batch.leader_rewards[mask], rcond=1e-9)[0]
            out[mask] = now @ solved
        else:
            out[mask] = fit(raised(self._joint), values[mask])
        out[mask] -= fit(raised(self._seen), out[mask])
        return Credit(out)

    @property
    def _seen(self) -> FloatArray:
        """One, and what the follower faces, ``[M, 1 + n]``."""
        faced = self._faced[self.batch.mask]
        return np.concatenate([np.ones((len(faced), 1)), faced], axis=1)

    @property
    def _joint(self) -> FloatArray:
        """The same with its action, ``[M, 1 + n + m]``."""
        return np.concatenate([self._seen, self._replies[self.batch.mask]], axis=1)

    def _weighed(
        self,
        score: FloatArray | None,
        leader: FloatArray | None,
        follower: FloatArray | None,
        moved: FloatArray | None,
    ) -> Tensor:
        """Weights ``[N, T]`` times the terms in which the decision enters; the mean over the episodes."""
        mask, total = self.batch.mask, self._constant
        for weights, term in (
            (score, self._scores),
            (leader, self._terms.leader_reward),
            (follower, self._terms.follower_reward),
            (moved, self._terms.log_transition),
        ):
            if weights is not None and term is not None:
                total = total + (torch.from_numpy(weights[mask]) * term).sum()
        return total / self.batch.episodes

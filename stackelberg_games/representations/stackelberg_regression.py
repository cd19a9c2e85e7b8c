"""The backup of the bilevel actor-critic as a regression with networks (Bi-AC; Zhang et al., AAAI 2020).

The critic is a network on (s, a, b, t) fitted to

    Q(s, a, b) = rL + gL max_i Q(s', i, b_i),   b_i = argmax_b g(b | s', i),

with g fitted by maximum likelihood. Where the leader's actions are real the maximum runs over some of
those it has played.
"""

from __future__ import annotations

import numpy as np
import torch

from stackelberg_games.arrays import FloatArray
from stackelberg_games.hypergradient import StageCritics
from stackelberg_games.numerics.randomness import Streams, generator
from stackelberg_games.representations.network import Regressor
from stackelberg_games.representations.regressions import Estimation, NeuralEstimator, Observed
from stackelberg_games.representations.response_network import ResponseNetwork
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView

TRIED = 8  # leader actions among which the maximum is taken where they are real, and drawn for a baseline


class StackelbergEstimator(NeuralEstimator):
    """The Bi-AC critic as a network: Q(s, a, b, t) with the maximum over leader actions in its target.

    Args:
        view, settings, temperature, seed: see ``NeuralEstimator``.
    """

    def __init__(self, view: LeaderView, settings: Estimation, temperature: float | None, seed: int = 0) -> None:
        super().__init__(view, settings, temperature, seed)
        n, k, m = (feature.size for feature in self.features)
        self.staged = Regressor(n + int(view.horizon is not None) + k + m, seed + 4)

    def fit(self) -> None:
        """Descend on the response's likelihood, then on the backup's squared error."""
        self.fit_response()
        if self.temperature is not None:
            self.fit_follower()
        rows, targets = [], []
        for old in self.kept:
            mask, timed = old.batch.mask, self.timed(old)
            rows.append(np.concatenate([timed[:, :-1][mask], old.leader[mask], old.follower[mask]], axis=1))
            targets.append((old.leader_rewards + self.view.leader_discount * self._best(old))[mask])
        self.regress(self.staged, 4, rows, targets)

    def _best(self, seen: Observed) -> FloatArray:
        """The largest value at the next states against the likeliest reply, ``[N, T]``; zero where play is over."""
        timed, states = self.timed(seen)[:, 1:], seen.states[:, 1:]
        best = np.full(states.shape[:2], -np.inf)
        for action in self._candidates(seen):
            leader = np.broadcast_to(action, (*states.shape[:2], len(action)))
            shown = np.concatenate([states, leader], axis=2) if self.view.follower_sees_action else states
            reply = self.response.likeliest(shown)
            best = np.maximum(best, self.staged(np.concatenate([timed, leader, reply], axis=2)))
        values = np.concatenate([np.zeros_like(best[:, :1]), best], axis=1)
        if self.view.horizon is not None:
            values = values * (np.arange(values.shape[1]) < self.view.horizon)
        return self.ended(seen, values)[:, 1:]

    def _candidates(self, seen: Observed) -> FloatArray:
        """All leader actions, or some of those played where they are real, ``[K, k]``."""
        if self.features[1].discrete:
            return np.eye(self.features[1].size)
        played = seen.leader[seen.batch.mask]
        return np.asarray(generator(self.seed, 9, self.count).choice(played, size=TRIED))

    def action_values(self, leader: FloatArray) -> FloatArray:
        """E_b Q at the stages played in the newest batch, ``[M]``, for leader actions as vectors ``[M, k]``."""
        seen = self.kept[0]
        mask = seen.batch.mask
        states, timed = seen.states[:, :-1][mask], self.timed(seen)[:, :-1][mask]
        shown = np.concatenate([states, leader], axis=1) if self.view.follower_sees_action else states
        weights, replies = self.response.nodes(shown)
        total = np.zeros(len(states))
        for column in range(weights.shape[1]):
            rows = np.concatenate([timed, leader, replies[:, column]], axis=1)
            total += weights[:, column] * self.staged(rows)
        return total

    def critics(self, commitment: Commitment) -> StageCritics:
        """See ``NeuralEstimator.critics``; an advantage is an action's value less the mean over actions drawn anew."""
        new = self.kept[0]
        mask = new.batch.mask
        none: FloatArray = np.zeros(mask.shape)
        values = self.action_values(new.leader[mask])
        following = np.where(mask, self._best(new), 0.0)
        benefit = none.copy()
        benefit[mask] = self._staged_at(new) - values
        follower, gained = none, none
        if self.temperature is not None:
            owed = self.follower_deltas(new)
            follower, gained = self.advantages(new, *owed), self.gained(new, *owed)
        advantage = none.copy()
        advantage[mask] = values
        if commitment.configuration() is None:  # else there is no action to compare
            streams = Streams.of(int(generator(self.seed, 10, self.count).integers(2**62)), len(values))
            for draw in range(TRIED):
                with torch.no_grad():
                    drawn = self.features[1](commitment.sample(new.batch.states[:, :-1][mask], streams, draw))
                advantage[mask] = advantage[mask] - self.action_values(drawn) / TRIED
        return StageCritics(benefit, advantage, follower, following, gained)

    def _staged_at(self, seen: Observed) -> FloatArray:
        """Q at the stages played, ``[M]``."""
        mask = seen.batch.mask
        rows = [self.timed(seen)[:, :-1][mask], seen.leader[mask], seen.follower[mask]]
        return self.staged(np.concatenate(rows, axis=1))

    @property
    def parts(self) -> dict[str, Regressor | ResponseNetwork]:
        """The networks by name."""
        return {**super().parts, "staged": self.staged}

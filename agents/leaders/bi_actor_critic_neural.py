"""What ``bi_actor_critic`` does in games of vectors that are not linear-quadratic.

The critic is a network on (s, a, b, t) fitted to the Bi-AC backup,

    Q(s, a, b) = rL + gL max_i Q(s', i, b_i),   b_i = argmax_b g(b | s', i),

with g fitted by maximum likelihood. Where the leader's actions are real the maximum runs over some of
those it has played. The actor ascends the score form of the direct term on that critic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from stackelberg_games.agents.leaders.neural import NeuralDirect
from stackelberg_games.arrays import FloatArray
from stackelberg_games.learning.information import Evidence
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
        view, settings, seed: see ``NeuralEstimator``; the follower's values are not fitted.
    """

    def __init__(self, view: LeaderView, settings: Estimation, seed: int = 0) -> None:
        super().__init__(view, settings, None, seed)
        n, k, m = (feature.size for feature in self.features)
        self.staged = Regressor(n + int(view.horizon is not None) + k + m, seed + 4)

    def fit(self) -> None:
        """Descend on the response's likelihood, then on the backup's squared error."""
        self.fit_response()
        rows, targets = [], []
        for old in self.kept:
            mask, timed = old.batch.mask, self.timed(old)
            rows.append(np.concatenate([timed[:, :-1][mask], old.leader[mask], old.follower[mask]], axis=1))
            targets.append((old.batch.leader_rewards + self.view.leader_discount * self._best(old))[mask])
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

    @property
    def parts(self) -> dict[str, Regressor | ResponseNetwork]:
        """The networks by name."""
        return {**super().parts, "staged": self.staged}


@dataclass
class NeuralBilevel(NeuralDirect):
    """The direct term on the Stackelberg critic, in games of vectors; class TRAJECTORIES.

    Args:
        learning_rate, actor_steps, hidden, estimation: see ``NeuralDirect``; ``smoothing`` has no effect.
    """

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``NeuralDirect.begin``."""
        super().begin(view, seed=seed, commitment=commitment)
        self.seed = seed
        self.estimator: StackelbergEstimator = StackelbergEstimator(view, self.estimation, seed)

    def stage_weights(self, evidence: Evidence) -> FloatArray:
        """Advantage on the critic: the action's value less the mean over actions drawn anew."""
        batch = evidence.require_trajectories()
        mask, estimator = batch.mask, self.estimator
        states = batch.states[:, :-1][mask]
        advantage = estimator.action_values(estimator.kept[0].leader[mask])
        streams = Streams.of(int(generator(self.seed, 10, estimator.count).integers(2**62)), len(states))
        with torch.no_grad():
            for draw in range(TRIED):
                drawn = estimator.features[1](self.commitment.sample(states, streams, draw))
                advantage = advantage - estimator.action_values(drawn) / TRIED
        out = np.zeros(mask.shape)
        out[mask] = advantage
        return self.view.leader_discount ** np.arange(batch.stages) * out

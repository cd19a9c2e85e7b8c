"""The leader's values in a linear-quadratic game at fixed policies, with their slopes, in closed form.

With m_i(y) = M^i y the mean of the state i stages after y, and S_i its covariance, the sum over the stages that are left of

    gL^{i+1} E r(N(m_i, S_i))

is one polynomial of the second degree in y where the reward is quadratic, and a sum of bumps where it is a bump; the
leader's own effort a'N a adds to the polynomial.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.kinds.linear_quadratic import LinearGaussianGame
from stackelberg_games.kinds.moments import Bump, Quadratic
from stackelberg_games.kinds.riccati import SoftRiccati, closed_loop, powers
from stackelberg_games.numerics.randomness import compiled

FAR = 1500.0
"""Exponents beyond add nothing that a double can hold."""


class LeaderCritic(NamedTuple):
    """VL of a linear-quadratic game at fixed policies.

    Attributes:
        game: true or estimated; its reward is a bump or quadratic.
        powers: M^i, ``[K, n, n]``.
        spread: S_i, ``[K, n, n]``, covariance of i stages of noise.
        weights: gL^{i+1}, ``[K]``.
        bent: K'N K, ``[n, n]``, and tr(N W W'): what the leader's actions cost it in a state.
    """

    game: LinearGaussianGame
    powers: FloatArray
    spread: FloatArray
    weights: FloatArray
    bent: tuple[FloatArray, float]

    @classmethod
    def of(
        cls, game: LinearGaussianGame, policy: LinearGaussianPolicy, response: SoftRiccati, count: int
    ) -> LeaderCritic:
        """The critic for up to ``count`` stages to go.

        Raises:
            UnsupportedGameError: the reward has another form.
        """
        if not isinstance(game.reward, Bump | Quadratic):
            raise UnsupportedGameError(f"{type(game.reward).__name__} is no reward that is fitted: bump or quadratic")
        with torch.no_grad():
            loop = closed_loop(game.plant, policy, response)
            stack = powers(loop.matrix, max(1, count - 1)).numpy()
        grown = (stack @ loop.noise.numpy() @ stack.transpose(0, 2, 1)).cumsum(axis=0)
        spread = np.concatenate([np.zeros_like(grown[:1]), grown[:-1]])
        gain, drawn = policy.gain.detach().numpy(), policy.covariance.detach().numpy()
        effort = np.zeros((len(gain), len(gain))) if game.effort is None else game.effort
        bent = gain.T @ effort @ gain, float(np.trace(effort @ drawn))
        return cls(game, stack, spread, game.leader_discount ** np.arange(1.0, len(stack) + 1), bent)

    def future(self, following: FloatArray, covariance: FloatArray, left: IntArray) -> tuple[FloatArray, FloatArray]:
        """Expected discounted rewards after a stage, ``[...]``, and their slopes in ``following``, ``[..., n]``.

        Args:
            following: mean of the next state, ``[..., n]``.
            covariance: its covariance, ``[n, n]``.
            left: stages left from this one on, ``[...]``.
        """
        size, reward = following.shape[-1], self.game.reward
        means, ahead = np.ascontiguousarray(following.reshape(-1, size)), np.broadcast_to(left, following.shape[:-1])
        counted = np.minimum(ahead.ravel() - 1, len(self.weights))
        spread = self.spread + self.powers @ covariance @ self.powers.transpose(0, 2, 1)
        values, slopes = np.zeros(len(means)), np.zeros_like(means)
        if isinstance(reward, Bump):
            shaken = np.eye(size) + spread @ reward.precision
            heights = self.weights * reward.scale / np.sqrt(np.linalg.det(shaken))
            precisions = reward.precision @ np.linalg.inv(shaken)
            precisions = 0.5 * (precisions + precisions.transpose(0, 2, 1))
            _bumps(means, counted, self.powers, heights, precisions, reward.target, values, slopes)
        if not isinstance(reward, Bump) or self.game.effort is not None:
            self._add_polynomial(means, counted, spread, values, slopes)
        return values.reshape(following.shape[:-1]), slopes.reshape(following.shape)

    def _add_polynomial(
        self, means: FloatArray, counted: IntArray, spread: FloatArray, values: FloatArray, slopes: FloatArray
    ) -> None:
        """What a quadratic reward and the leader's effort add."""
        reward, (curvature, always) = self.game.reward, self.bent
        constant = -always
        slope: FloatArray = np.zeros(means.shape[1])
        if isinstance(reward, Quadratic):
            constant, slope, curvature = constant + reward.constant, reward.slope, curvature + 0.5 * reward.curvature
        at = self.powers.transpose(0, 2, 1)
        terms = (constant - (spread * curvature).sum(axis=(1, 2)), slope @ self.powers, at @ curvature @ self.powers)
        fixed, sloped, bent = (_summed(self.weights, term)[counted] for term in terms)
        turned = (bent @ means[:, :, None])[:, :, 0]
        values += fixed + ((sloped - turned) * means).sum(axis=1)
        slopes += sloped - 2 * turned


def _summed(weights: FloatArray, terms: FloatArray) -> FloatArray:
    """Sums of the first 0, 1, ... terms, weighed."""
    weighed = weights.reshape(-1, *([1] * (terms.ndim - 1))) * terms
    return np.concatenate([np.zeros_like(weighed[:1]), weighed.cumsum(axis=0)])


@compiled
def _bumps(
    means: Any, counted: Any, powers: Any, heights: Any, precisions: Any, target: Any, values: Any, slopes: Any
) -> None:
    size = means.shape[1]
    apart, turned = np.empty(size), np.empty(size)
    for t in range(means.shape[0]):
        for i in range(counted[t]):
            for j in range(size):
                apart[j] = -target[j]
                for k in range(size):
                    apart[j] += powers[i, j, k] * means[t, k]
            exponent = 0.0
            for j in range(size):
                turned[j] = 0.0
                for k in range(size):
                    turned[j] += precisions[i, j, k] * apart[k]
                exponent += apart[j] * turned[j]
            if exponent > FAR:
                continue
            value = heights[i] * np.exp(-0.5 * exponent)
            values[t] += value
            for k in range(size):
                for j in range(size):
                    slopes[t, k] -= value * turned[j] * powers[i, j, k]

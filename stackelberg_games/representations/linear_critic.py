"""The leader's values in a linear-quadratic game at fixed policies, with their slopes, in closed form.

With m_i(y) = M^i y the mean of the state i stages after y, and S_i its covariance, the sum over the stages that are left of

    gL^{i+1} E r(N(m_i, S_i))

is one polynomial of the second degree in y where the reward is quadratic, and a sum of bumps where it is a bump; the
leader's own effort a'N a adds to the polynomial.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.kinds.linear_quadratic import LinearGaussianGame
from stackelberg_games.kinds.moments import Bump, Quadratic
from stackelberg_games.kinds.riccati_compiled import ClosedReply, LinearLaw
from stackelberg_games.numerics.randomness import compiled
from stackelberg_games.numerics.small_matrices import (
    combination,
    largest,
    multiply,
    product,
    sandwiched,
    solution,
    symmetric,
)

NOTHING = 1e-100
"""Powers of the closed loop below it move no state that a double tells from another."""

ROOM = 1 << 17
"""Exponents that are worked out at a time, so that they stay in the cache."""


class StagesAhead(NamedTuple):
    """How many rewards the values of each of some rows count, rows with most of them first.

    Attributes:
        shape: of the rows.
        order: their numbers, ``[R]``.
        counted: how many rewards, in that order, ``[R]``.
        blocks: rows that are worked on at a time, and how many of them count more than i rewards, ``[K]``: the first.
        scratch: room for what is worked out of a block.
    """

    shape: tuple[int, ...]
    order: IntArray
    counted: IntArray
    blocks: Sequence[tuple[slice, IntArray]]
    scratch: FloatArray

    @classmethod
    def of(cls, left: IntArray) -> StagesAhead:
        """Where ``left`` stages are left, this one included."""
        counted = np.maximum(left.ravel() - 1, 0)
        order = np.argsort(-counted, kind="stable")
        counted = counted[order]
        stages = np.arange(max(1, counted.max(initial=0)))
        room = max(16, ROOM // len(stages))
        parts = [slice(first, first + room) for first in range(0, len(order), room)]
        blocks = [(part, np.searchsorted(-counted[part], -stages)) for part in parts]
        return cls(left.shape, order, counted, blocks, np.empty(max(int(active.sum()) for _, active in blocks)))

    @property
    def most(self) -> int:
        """K, the largest number of rewards; 1 if there are none."""
        return len(self.blocks[0][1])

    def rows(self, vectors: FloatArray) -> FloatArray:
        """Vectors ``[..., n]`` in that order, ``[n, R]``."""
        return np.ascontiguousarray(vectors.reshape(-1, vectors.shape[-1])[self.order].T)

    def back(self, numbers: FloatArray) -> FloatArray:
        """Numbers of rows, ``[R]``, where they belong, ``[...]``."""
        out = np.empty_like(numbers)
        out[self.order] = numbers
        return out.reshape(self.shape)


class LeaderCritic(NamedTuple):
    """VL of a linear-quadratic game at fixed policies.

    Attributes:
        game: true or estimated; its reward is a bump or quadratic.
        powers: M^i, ``[K, n, n]``.
        spread: S_i, ``[K, n, n]``, covariance of i stages of noise.
        weights: gL^{i+1}, ``[K]``.
        law: the leader's.
    """

    game: LinearGaussianGame
    powers: FloatArray
    spread: FloatArray
    weights: FloatArray
    law: LinearLaw

    @classmethod
    def of(cls, game: LinearGaussianGame, law: LinearLaw, reply: ClosedReply, weights: FloatArray) -> LeaderCritic:
        """The critic of rewards to come.

        Args:
            game: see the class.
            law: see the class.
            reply: the follower's response.
            weights: see the class; at least one.

        Raises:
            UnsupportedGameError: the reward has another form.
        """
        if not isinstance(game.reward, Bump | Quadratic):
            raise UnsupportedGameError(f"{type(game.reward).__name__} is no reward that is fitted: bump or quadratic")
        powers, spread = _spreads(reply.loop, reply.noise, len(weights))
        return cls(game, powers, spread, weights, law)

    def future(
        self, rows: FloatArray, covariance: FloatArray, ahead: StagesAhead, sloped: bool = True
    ) -> tuple[FloatArray, FloatArray]:
        """Expected discounted rewards after a stage, ``[R]``, and their slopes in ``rows``, ``[n, R]``.

        Args:
            rows: means of the next state, ``[n, R]``, in the order of ``ahead``.
            covariance: of the next state, ``[n, n]``.
            ahead: rewards that count from each on, no more than the critic's.
            sloped: whether slopes are asked for; zeros if not.
        """
        out, reward = (np.zeros(rows.shape[1]), np.zeros(rows.shape)), self.game.reward
        if isinstance(reward, Bump):
            self._add_bumps(reward, rows, covariance, ahead, sloped, out)
        if not isinstance(reward, Bump) or self.game.effort is not None:
            self._add_polynomial(rows, covariance, ahead.counted, out)
        return out

    def _add_bumps(
        self,
        reward: Bump,
        rows: FloatArray,
        covariance: FloatArray,
        ahead: StagesAhead,
        sloped: bool,
        out: tuple[FloatArray, FloatArray],
    ) -> None:
        """What a bump adds, some rows at a time."""
        heights, unit = self.weights * reward.scale, (0,) * len(rows)
        forms = _shapes(self.powers, self.spread, covariance, reward.precision, reward.target, heights)
        with np.errstate(over="ignore"):  # where the fitted precision is indefinite
            for part, active in ahead.blocks:
                bumps, block = ahead.scratch[: active.sum()], np.ascontiguousarray(rows[:, part])
                _exponents(unit, block, active, forms, reward.target, bumps)
                np.exp(bumps, out=bumps)
                slopes = np.zeros(block.shape)
                _sums(unit, block, active, forms, heights, bumps, sloped, out[0][part], slopes)
                out[1][:, part] = slopes

    def _add_polynomial(
        self, rows: FloatArray, covariance: FloatArray, counted: IntArray, out: tuple[FloatArray, FloatArray]
    ) -> None:
        """What a quadratic reward and the leader's effort add."""
        reward, effort, law = self.game.reward, self.game.effort, self.law
        slope: FloatArray = np.zeros(len(rows))
        curvature: FloatArray = np.zeros((len(rows), len(rows)))
        constant = 0.0
        if effort is not None:  # K'N K, and tr(N W W')
            constant, curvature = -float(np.trace(effort @ law.covariance)), law.gain.T @ effort @ law.gain
        if isinstance(reward, Quadratic):
            constant, slope, curvature = constant + reward.constant, reward.slope, curvature + 0.5 * reward.curvature
        at = self.powers.transpose(0, 2, 1)
        spread = self.spread + self.powers @ covariance @ at
        terms = (constant - (spread * curvature).sum(axis=(1, 2)), slope @ self.powers, at @ curvature @ self.powers)
        fixed, sloped, bent = (_summed(self.weights, term)[counted] for term in terms)
        turned = np.einsum("tij,jt->it", bent, rows)
        out[0][:] += fixed + ((sloped.T - turned) * rows).sum(axis=0)
        out[1][:] += sloped.T - 2 * turned


def _summed(weights: FloatArray, terms: FloatArray) -> FloatArray:
    """Sums of the first 0, 1, ... terms, weighed."""
    weighed = weights.reshape(-1, *([1] * (terms.ndim - 1))) * terms
    return np.concatenate([np.zeros_like(weighed[:1]), weighed.cumsum(axis=0)])


@compiled
def _spreads(loop: Any, noise: Any, count: int) -> Any:
    """M^i and S_i of the first ``count`` stages; powers below ``NOTHING`` are zero, as their squares are slow."""
    size = len(loop)
    powers, spread = np.zeros((count, size, size)), np.zeros((count, size, size))
    half, grown = np.empty((size, size)), np.empty((size, size))
    for j in range(size):
        powers[0, j, j] = 1.0
    for i in range(1, count):
        multiply(powers[i - 1], loop, powers[i])
        multiply(powers[i - 1], noise, half)
        multiply(half, powers[i - 1].T, grown)
        faded = largest(powers[i]) < NOTHING
        for j in range(size):
            for k in range(size):
                spread[i, j, k] = spread[i - 1, j, k] + grown[j, k]
                if faded:
                    powers[i, j, k] = 0.0
    return powers, spread


@compiled
def _shapes(powers: Any, spread: Any, covariance: Any, precision: Any, target: Any, heights: Any) -> Any:
    """M^i, P_i M^i and P_i t, where P_i = H (I + S_i H)^-1; ``heights`` are divided by the root of det(I + S_i H)."""
    count, size = powers.shape[0], powers.shape[1]
    turning, shifts = np.empty((count, size, size)), np.zeros((count, size))
    unit = np.eye(size)
    for i in range(count):
        spreads = combination(1.0, sandwiched(powers[i], covariance), 1.0, spread[i])
        inverse, determinant = solution(combination(1.0, unit, 1.0, product(spreads, precision)), unit)
        heights[i] /= np.sqrt(determinant)
        shape = symmetric(product(precision, inverse))
        multiply(shape, powers[i], turning[i])
        for j in range(size):
            for k in range(size):
                shifts[i, j] += shape[j, k] * target[k]
    return powers, turning, shifts


@compiled
def _exponents(unit: Any, rows: Any, active: Any, forms: Any, target: Any, out: Any) -> None:
    """-(M^i y - t)' P_i (M^i y - t) / 2 for the first ``active[i]`` rows y, one i after the other.

    ``unit`` has an entry for each coordinate: loops over its length have a length that is known when they are compiled.
    """
    (powers, turning, shifts), at = forms, 0
    for i in range(active.shape[0]):
        here = out[at : at + active[i]]
        for t in range(active[i]):
            exponent = 0.0
            for j in range(len(unit)):
                apart, turned = -target[j], -shifts[i, j]
                for k in range(len(unit)):
                    apart += powers[i, j, k] * rows[k, t]
                    turned += turning[i, j, k] * rows[k, t]
                exponent += apart * turned
            here[t] = -0.5 * exponent
        at += active[i]


@compiled
def _sums(
    unit: Any, rows: Any, active: Any, forms: Any, heights: Any, bumps: Any, sloped: bool, values: Any, slopes: Any
) -> None:
    """Sums of the bumps of each row times their heights, and their slopes in the row."""
    (powers, turning, shifts), at = forms, 0
    for i in range(active.shape[0]):
        here, height = bumps[at : at + active[i]], heights[i]
        for t in range(active[i]):
            here[t] *= height
            values[t] += here[t]
        if sloped:
            for t in range(active[i]):
                for j in range(len(unit)):
                    turned = -shifts[i, j]
                    for k in range(len(unit)):
                        turned += turning[i, j, k] * rows[k, t]
                    for k in range(len(unit)):
                        slopes[k, t] -= here[t] * turned * powers[i, j, k]
        at += active[i]

"""Global optima of one stage against a soft follower, by branch and bound over few free numbers.

With z the leader's numbers, the follower's log-weights u(z) and the leader's values l(z) of each reply affine in z, and
g the softmax of u, the objective is J(z) = E_g l. Along a direction in which u and l change by du and dl,

    J'' = 2 Cov_g(dl, du) + E_g (l - E_g l) (du - E_g du)^2,

so on a simplex with K corners J exceeds its greatest value at a corner by at most (1 - 1/K)^2 / 2 times
2 sd(dl) sd(du) + span(l) Var(du) along its edges, where the variances are bounded by those under the largest chance
that each reply has in the simplex. Simplices are halved until none can hold more than the best corner seen.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from stackelberg_games.arrays import FloatArray

LIMIT = 200_000
"""Simplices that are looked at."""


class Maximum(NamedTuple):
    """The best point found, its value, and what no point exceeds."""

    point: FloatArray
    value: float
    bound: float


def maximise(weights: FloatArray, replies: FloatArray, values: FloatArray, chances: FloatArray) -> Maximum:
    """The maximum of J over a union of simplices.

    Args:
        weights: z at the corners, ``[N, K, D]`` for N simplices of K corners.
        replies: u at the corners, in W stages, ``[N, W, K, B]``.
        values: l, likewise.
        chances: weights of the stages, ``[W]``.
    """
    best, point, discarded, seen = -np.inf, weights[0, 0], -np.inf, 0
    share = (1 - 1 / weights.shape[1]) ** 2 / 2
    tolerance = 1e-9 * max(1e-300, float(chances @ np.ptp(values, axis=(0, 2, 3))))
    while True:
        response = softmax(replies, axis=3)
        corners = np.einsum("w,nwkb->nk", chances, response * values)
        top = np.unravel_index(int(corners.argmax()), corners.shape)
        if corners[top] > best:
            best, point = float(corners[top]), weights[top]
        bounds = corners.max(axis=1) + share * (_curvature(replies, values) @ chances)
        open_ = bounds > best + tolerance
        discarded = max(discarded, float(bounds[~open_].max(initial=-np.inf)))
        seen += len(bounds)
        if not open_.any() or seen > LIMIT or share == 0.0:
            return Maximum(point, best, max(best, discarded, float(bounds[open_].max(initial=-np.inf))))
        weights, replies, values = (_halved(part[open_], replies[open_]) for part in (weights, replies, values))


def _curvature(replies: FloatArray, values: FloatArray) -> FloatArray:
    """Bound on the size of J'' along any edge, by simplex and stage, ``[N, W]``."""
    gaps = replies[..., None, :] - replies[..., :, None]  # of b' over b at each corner
    with np.errstate(over="ignore"):
        largest = 1.0 / np.exp(gaps.min(axis=2)).sum(axis=3)
    likely = largest.argmax(axis=2)[..., None, None]
    spread = np.zeros((2, *replies.shape[:2]))
    corners = replies.shape[2]
    for i in range(corners):
        for j in range(i):
            for kind, table in enumerate((replies, values)):
                change = table[:, :, i] - table[:, :, j]
                centred = change - np.take_along_axis(change, likely[..., 0], axis=2)
                variance = np.minimum((largest * centred**2).sum(axis=2), np.ptp(change, axis=2) ** 2 / 4)
                spread[kind] = np.maximum(spread[kind], variance)
    span = np.ptp(values, axis=3).max(axis=2)
    return np.asarray(2 * np.sqrt(spread[0] * spread[1]) + span * spread[0])


def _halved(part: FloatArray, replies: FloatArray) -> FloatArray:
    """Both halves of each simplex, cut in the middle of the edge along which replies change most."""
    corners = replies.shape[2]
    edges = [(i, j) for i in range(corners) for j in range(i)]
    lengths = np.stack([np.ptp(replies[:, :, i] - replies[:, :, j], axis=2).max(axis=1) for i, j in edges], axis=1)
    longest = lengths.argmax(axis=1)
    first, second = part.copy(), part.copy()
    for number, (i, j) in enumerate(edges):
        rows = longest == number
        axis = part.ndim - 2
        middle = 0.5 * (np.take(part[rows], i, axis=axis) + np.take(part[rows], j, axis=axis))
        for half, corner in ((first, i), (second, j)):
            chosen = half[rows]
            np.moveaxis(chosen, axis, 0)[corner] = middle
            half[rows] = chosen
    return np.concatenate([first, second])

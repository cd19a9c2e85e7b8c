"""Points as convex combinations of their nearest neighbours in a cloud."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.numerics.randomness import compiled

NEIGHBOURS = 6
RIDGE, STEPS, SETTLED = 1e-3, 100, 1e-4


def combinations(cloud: FloatArray, points: FloatArray, neighbours: int = NEIGHBOURS) -> tuple[IntArray, FloatArray]:
    """Numbers of the nearest points of a cloud and their weights, ``[N, K]`` each.

    Weights are at least zero, sum to one, and minimise |sum w x - y|^2 / 2 + RIDGE sum w |x - y|^2: the mean comes out
    right where the point lies among its neighbours, and the nearest have most of the weight.

    Args:
        cloud: ``[M, n]``.
        points: y, ``[N, n]``.
        neighbours: at most, K.
    """
    count = min(neighbours, len(cloud))
    distance, numbers = cKDTree(cloud).query(points, k=count)
    numbers = numbers.reshape(len(points), count)
    weights = np.empty(numbers.shape)
    _weigh(cloud, np.ascontiguousarray(points), numbers, distance.reshape(numbers.shape), weights)
    return numbers, weights


def spread(points: FloatArray) -> FloatArray:
    """Deviations of the coordinates, 1 where one is constant, ``[n]``."""
    deviation = points.std(axis=0)
    return np.where(deviation > 0, deviation, 1.0)


def cover(points: FloatArray, count: int) -> IntArray:
    """Numbers of so many points that every other is near one of them: each is the farthest from those before."""
    chosen = np.empty(min(count, len(points)), dtype=np.int64)
    _cover(np.ascontiguousarray(points), int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmin()), chosen)
    return chosen


@compiled
def _cover(points: Any, first: int, chosen: Any) -> None:
    nearest = np.full(len(points), np.inf)
    following = first
    for number in range(len(chosen)):
        chosen[number] = following
        last, farthest = following, -1.0
        for i in range(len(points)):
            distance = 0.0
            for d in range(points.shape[1]):
                distance += (points[i, d] - points[last, d]) ** 2
            nearest[i] = min(nearest[i], distance)
            if nearest[i] > farthest:
                farthest, following = nearest[i], i


@compiled
def _weigh(cloud: Any, points: Any, numbers: Any, distance: Any, weights: Any) -> None:
    """Accelerated projected gradient, from weights that fall with the square of the distance."""
    count, dimensions = numbers.shape[1], cloud.shape[1]
    gaps = np.empty((count, dimensions))
    gram, lead, slope = np.empty((count, count)), np.empty(count), np.empty(count)
    for i in range(points.shape[0]):
        scale = 1e-300
        for k in range(count):
            scale += distance[i, k] ** 2 / count
            for d in range(dimensions):
                gaps[k, d] = cloud[numbers[i, k], d] - points[i, d]
        trace = 0.0
        for k in range(count):
            for j in range(count):
                total = 0.0
                for d in range(dimensions):
                    total += gaps[k, d] * gaps[j, d]
                gram[k, j] = total / scale
            trace += gram[k, k]
        total = 0.0
        for k in range(count):
            weights[i, k] = 1.0 / (distance[i, k] ** 2 + 1e-9 * scale)
            total += weights[i, k]
        for k in range(count):
            weights[i, k] /= total
            lead[k] = weights[i, k]
        if trace == 0.0:
            continue
        momentum = 1.0
        for _ in range(STEPS):
            for k in range(count):
                slope[k] = RIDGE * gram[k, k]
                for j in range(count):
                    slope[k] += gram[k, j] * lead[j]
                slope[k] = lead[k] - slope[k] / trace
            _project(slope)
            following = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
            moved = 0.0
            for k in range(count):
                moved = max(moved, abs(slope[k] - weights[i, k]))
                lead[k] = slope[k] + (momentum - 1.0) / following * (slope[k] - weights[i, k])
                weights[i, k] = slope[k]
            momentum = following
            if moved < SETTLED:
                break


@compiled
def _project(values: Any) -> None:
    """The nearest point of the simplex, in place."""
    ordered = np.sort(values)[::-1]
    total, level = 0.0, 0.0
    for k in range(len(ordered)):
        total += ordered[k]
        candidate = (total - 1.0) / (k + 1)
        if ordered[k] > candidate:
            level = candidate
    for k in range(len(values)):
        values[k] = max(values[k] - level, 0.0)

"""Averages over short axes, where a reduction by NumPy costs more than what it adds up."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackelberg_games.arrays import FloatArray
from stackelberg_games.numerics.randomness import compiled


@compiled
def averages(policy: Any, tables: Any) -> Any:
    """Averages of tables ``[H, X, Y, Z]`` over a policy ``[X, Y, Z]``, ``[H, X, Y]``."""
    out = np.empty(tables.shape[:3])
    for h in range(tables.shape[0]):
        for x in range(tables.shape[1]):
            for y in range(tables.shape[2]):
                total = 0.0
                for z in range(tables.shape[3]):
                    total += policy[x, y, z] * tables[h, x, y, z]
                out[h, x, y] = total
    return out


@compiled
def joint_averages(joint: Any, table: Any) -> Any:
    """Averages of a table ``[X, Y, Z]`` over both of the last axes, ``[X]``."""
    out = np.zeros(table.shape[0])
    for x in range(table.shape[0]):
        for y in range(table.shape[1]):
            for z in range(table.shape[2]):
                out[x] += joint[x, y, z] * table[x, y, z]
    return out


@compiled
def joined(policy: Any, alive: Any, response: Any) -> Any:
    """A policy ``[X, Y]`` times a response to it ``[X, Y, Z]``, or ``[X, 1, Z]``; zero where not alive."""
    rows = response.shape[1] - 1
    out = np.empty((*policy.shape, response.shape[2]))
    for x in range(policy.shape[0]):
        for y in range(policy.shape[1]):
            share = policy[x, y] * alive[x]
            for z in range(response.shape[2]):
                out[x, y, z] = share * response[x, min(y, rows), z]
    return out


@compiled
def weighed(weights: Any, joint: Any, table: Any) -> Any:
    """Weights ``[X]`` times both players' policies ``[X, Y, Z]`` times a table ``[X, Y, Z]``."""
    out = np.empty(joint.shape)
    for x in range(joint.shape[0]):
        for y in range(joint.shape[1]):
            for z in range(joint.shape[2]):
                out[x, y, z] = weights[x] * joint[x, y, z] * table[x, y, z]
    return out


@compiled
def means(sums: Any, counts: Any) -> Any:
    """Sums ``[X, Y, Z]`` over as many observations as were counted; those of none as they are."""
    out, total, times = np.empty(sums.size), sums.ravel(), counts.ravel()
    for i in range(sums.size):
        out[i] = total[i] * (1.0 / (times[i] if times[i] > 0 else 1.0))  # several at once: nothing branches
    return out.reshape(sums.shape)


@compiled
def shares(counts: Any, seen: Any) -> Any:
    """Counts ``[X, Y, Z]`` divided by their sums over the last axis; without any, equal shares of what was seen, or of all."""
    out = np.empty(counts.shape)
    for x in range(counts.shape[0]):
        for y in range(counts.shape[1]):
            total, known = 0.0, 0
            for z in range(counts.shape[2]):
                total += counts[x, y, z]
                known += seen[x, y, z] > 0
            for z in range(counts.shape[2]):
                if total > 0:
                    out[x, y, z] = counts[x, y, z] / total
                elif known == 0:
                    out[x, y, z] = 1.0 / counts.shape[2]
                else:
                    out[x, y, z] = 1.0 / known if seen[x, y, z] > 0 else 0.0
    return out


@compiled
def entropies(policy: Any) -> Any:
    """Entropies of the rows of a policy ``[X, Y, Z]``, ``[X, Y]``."""
    out = np.zeros(policy.shape[:2])
    last, term = 1.0, 0.0
    for x in range(policy.shape[0]):
        for y in range(policy.shape[1]):
            for z in range(policy.shape[2]):
                share = policy[x, y, z]
                if 0.0 < share < 1.0:
                    if share != last:  # equal shares have one logarithm, which is what takes time here
                        last, term = share, share * np.log(share)
                    out[x, y] -= term
    return out


@compiled
def owing(policy: Any, owed: Any, advantage: Any) -> Any:
    """What is owed to stages ``[X, Y, Z]``, summed over y, times advantages ``[X, Y, Z]``, times a policy ``[X, Y]``."""
    out, pooled = np.empty(policy.shape), np.empty(owed.shape[2])
    for x in range(owed.shape[0]):
        pooled[:] = 0.0
        for y in range(owed.shape[1]):
            for z in range(owed.shape[2]):
                pooled[z] += owed[x, y, z]
        for y in range(owed.shape[1]):
            total = 0.0
            for z in range(owed.shape[2]):
                total += pooled[z] * advantage[x, y, z]
            out[x, y] = policy[x, y] * total
    return out


def usual_and_spread(rewards: FloatArray, ends: bool) -> tuple[float, float]:
    """What a stage usually pays, and how far rewards lie from that: the unit in which values differ.

    Where play ends an end is worth nothing, and values differ by what is earned before it, alike as rewards may be: 0 is usual there.
    """
    usual = 0.0 if ends else float(rewards.mean())
    return usual, float(np.sqrt(np.square(rewards - usual).mean()))

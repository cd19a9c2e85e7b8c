"""BiCGSTAB, preconditioned from both sides by Eisenstat's trick, compiled, for systems scaled as in ``chain_system``."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackelberg_games.numerics.randomness import compiled


@compiled
def _upper(first: Any, columns: Any, own: Any, scaled: Any, x: Any, transposed: bool) -> None:
    """X <- (I + U)^-1 x, where U is the transpose of L in the transposed system."""
    for s in range(x.shape[0] - 1, -1, -1):
        if transposed:
            value = x[s]
            for place in range(first[s], own[s]):
                x[columns[place]] -= scaled[place] * value
        else:
            value = x[s]
            for place in range(own[s] + 1, first[s + 1]):
                value -= scaled[place] * x[columns[place]]
            x[s] = value


@compiled
def _lower(first: Any, columns: Any, own: Any, scaled: Any, x: Any, transposed: bool) -> None:
    """X <- (I + L)^-1 x, where L is the transpose of U in the transposed system."""
    for s in range(x.shape[0]):
        if transposed:
            value = x[s]
            for place in range(own[s] + 1, first[s + 1]):
                x[columns[place]] -= scaled[place] * value
        else:
            value = x[s]
            for place in range(first[s], own[s]):
                value -= scaled[place] * x[columns[place]]
            x[s] = value


@compiled
def _apply(parts: Any, scaled: Any, y: Any, work: Any, other: Any, z: Any, transposed: bool) -> Any:
    """Z <- (I + L)^-1 A (I + U)^-1 y; its products with another vector and with itself."""
    first, columns, own = parts
    states = y.shape[0]
    if transposed:
        for s in range(states):
            z[s] = y[s]
    for s in range(states - 1, -1, -1):
        if transposed:
            value = z[s]
            for place in range(first[s], own[s]):
                z[columns[place]] -= scaled[place] * value
        else:
            value = y[s]
            for place in range(first[s + 1] - 1, own[s], -1):  # the value that is waited for comes last
                value -= scaled[place] * z[columns[place]]
            z[s] = value
        work[s] = y[s] + scaled[own[s]] * value - value - value
    product, square = 0.0, 0.0
    for s in range(states):
        value = work[s]
        if transposed:
            for place in range(first[s + 1] - 1, own[s], -1):
                work[columns[place]] -= scaled[place] * value
        else:
            for place in range(first[s], own[s]):
                value -= scaled[place] * work[columns[place]]
            work[s] = value
        z[s] += value
        product += other[s] * z[s]
        square += z[s] * z[s]
    return product, square


@compiled
def bicgstab(parts: Any, scaled: Any, right: Any, x: Any, goal: float, most: int, transposed: bool) -> int:
    """Solve A x = right from zero until the preconditioned residual is at most ``goal``; returns the iterations."""
    states = right.shape[0]
    first, columns, own = parts
    r = right.copy()
    _lower(first, columns, own, scaled, r, transposed)
    shadow, p, v = r.copy(), np.zeros_like(r), np.zeros_like(r)
    t, work = np.empty_like(r), np.empty_like(r)
    rho, alpha, omega = 1.0, 1.0, 1.0
    size, again, done = 0.0, 0.0, 0
    for s in range(states):
        size = size + abs(r[s]) if transposed else max(size, abs(r[s]))
        again += r[s] * r[s]
    while done < most and size > goal:
        if abs(again) < 1e-290:
            again = 0.0
            for s in range(states):
                shadow[s] = r[s]
                p[s] = v[s] = 0.0
                again += r[s] * r[s]
            rho, alpha, omega = 1.0, 1.0, 1.0
        beta = (again / rho) * (alpha / omega)
        rho = again
        for s in range(states):
            p[s] = r[s] + beta * (p[s] - omega * v[s])
        turn, _ = _apply(parts, scaled, p, work, shadow, v, transposed)
        if turn == 0.0:
            break
        alpha = rho / turn
        for s in range(states):
            r[s] -= alpha * v[s]
        turned, square = _apply(parts, scaled, r, work, r, t, transposed)
        omega = turned / square if square > 0.0 else 0.0
        size, again = 0.0, 0.0
        for s in range(states):
            x[s] += alpha * p[s] + omega * r[s]
            r[s] -= omega * t[s]
            size = size + abs(r[s]) if transposed else max(size, abs(r[s]))
            again += shadow[s] * r[s]
        done += 1
        if omega == 0.0:
            break
    _upper(first, columns, own, scaled, x, transposed)
    return done

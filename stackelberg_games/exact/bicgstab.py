"""BiCGSTAB, preconditioned from both sides by Eisenstat's trick, compiled, for systems scaled as in ``chain_system``."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackelberg_games.numerics.randomness import compiled


@compiled
def _upper(parts: Any, x: Any, transposed: bool, width: int) -> None:
    """X <- (I + U)^-1 x, where U is the transpose of L in the transposed system."""
    first, columns, values = parts[0] if transposed else parts[1]
    for s in range(first.shape[0] - 2, -1, -1):
        for j in range(width):
            own = s * width + j
            for k in range(first[s], first[s + 1]):
                if transposed:
                    x[columns[k] * width + j] -= values[k] * x[own]
                else:
                    x[own] -= values[k] * x[columns[k] * width + j]


@compiled
def _lower(parts: Any, x: Any, transposed: bool, width: int) -> None:
    """X <- (I + L)^-1 x, where L is the transpose of U in the transposed system."""
    first, columns, values = parts[1] if transposed else parts[0]
    for s in range(first.shape[0] - 1):
        for j in range(width):
            own = s * width + j
            for k in range(first[s], first[s + 1]):
                if transposed:
                    x[columns[k] * width + j] -= values[k] * x[own]
                else:
                    x[own] -= values[k] * x[columns[k] * width + j]


@compiled
def _apply(parts: Any, y: Any, work: Any, other: Any, z: Any) -> Any:
    """Z <- (I + L)^-1 A (I + U)^-1 y; its products with another vector and with itself."""
    (begins, before, under), (ends, after, over), excess = parts
    states = y.shape[0]
    k = ends[states]
    for s in range(states - 1, -1, -1):
        value, end = y[s], ends[s]
        while k > end:  # the value that is waited for comes last
            k -= 1
            value -= over[k] * z[after[k]]
        z[s] = value
        work[s] = y[s] + excess[s] * value
    product, square = 0.0, 0.0
    k = begins[0]
    for s in range(states):
        value, end = work[s], begins[s + 1]
        while k < end:
            value -= under[k] * work[before[k]]
            k += 1
        work[s] = value
        value += z[s]
        z[s] = value
        product += other[s] * value
        square += value * value
    return product, square


@compiled
def _apply_both(parts: Any, y: Any, work: Any, other: Any, z: Any) -> Any:
    """The same for two vectors, whose numbers take turns: while one waits for a value, the other has it."""
    (begins, before, under), (ends, after, over), excess = parts
    states = excess.shape[0]
    k = ends[states]
    for s in range(states - 1, -1, -1):
        one, two, end = y[2 * s], y[2 * s + 1], ends[s]
        while k > end:
            k -= 1
            share, place = over[k], 2 * after[k]
            one -= share * z[place]
            two -= share * z[place + 1]
        z[2 * s], z[2 * s + 1] = one, two
        work[2 * s], work[2 * s + 1] = y[2 * s] + excess[s] * one, y[2 * s + 1] + excess[s] * two
    product, square = 0.0, 0.0
    k = begins[0]
    for s in range(states):
        one, two, end = work[2 * s], work[2 * s + 1], begins[s + 1]
        while k < end:
            share, place = under[k], 2 * before[k]
            one -= share * work[place]
            two -= share * work[place + 1]
            k += 1
        work[2 * s], work[2 * s + 1] = one, two
        one += z[2 * s]
        two += z[2 * s + 1]
        z[2 * s], z[2 * s + 1] = one, two
        product += other[2 * s] * one + other[2 * s + 1] * two
        square += one * one + two * two
    return product, square


@compiled
def _apply_transposed(parts: Any, y: Any, work: Any, other: Any, z: Any) -> Any:
    """The same for the transpose of A, whose upper triangle is that of L."""
    (begins, before, under), (ends, after, over), excess = parts
    states = y.shape[0]
    for s in range(states):
        z[s] = y[s]
    k = begins[states]
    for s in range(states - 1, -1, -1):
        value, end = z[s], begins[s]
        while k > end:  # what is waited for goes first
            k -= 1
            z[before[k]] -= under[k] * value
        work[s] = y[s] + excess[s] * value
    product, square = 0.0, 0.0
    k = ends[0]
    for s in range(states):
        value, end = work[s], ends[s + 1]
        while k < end:
            work[after[k]] -= over[k] * value
            k += 1
        value += z[s]
        z[s] = value
        product += other[s] * value
        square += value * value
    return product, square


@compiled
def _applied(parts: Any, y: Any, work: Any, other: Any, z: Any, transposed: bool) -> Any:
    if y.shape[0] > parts[2].shape[0]:
        return _apply_both(parts, y, work, other, z)
    return _apply_transposed(parts, y, work, other, z) if transposed else _apply(parts, y, work, other, z)


@compiled
def bicgstab(parts: Any, right: Any, x: Any, goal: float, most: int, transposed: bool) -> int:
    """Solve A x = right from zero until the preconditioned residual is at most ``goal``; returns the iterations.

    Args:
        parts: A, see ``Triangles``.
        right: ``[S]``; or two of them for which A is the same, not transposed, their numbers taking turns, ``[2 S]``.
        x: zeros of the same shape, where the solution goes.
        goal: of the residual's largest entry, or, of transposed systems, of their sum.
        most: iterations.
        transposed: whether A^T x = right is meant.
    """
    states, width = right.shape[0], right.shape[0] // parts[2].shape[0]
    r = right.copy()
    _lower(parts, r, transposed, width)
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
        turn, _ = _applied(parts, p, work, shadow, v, transposed)
        if turn == 0.0:
            break
        alpha = rho / turn
        for s in range(states):
            r[s] -= alpha * v[s]
        turned, square = _applied(parts, r, work, r, t, transposed)
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
    _upper(parts, x, transposed, width)
    return done

"""Means over visits and fitted advantages where the game is linear-quadratic: least squares with quadratic features.

What the follower faces is a vector y, and it answers by u = F y + e with e of covariance Sigma.
"""

from __future__ import annotations

import numpy as np

from stackelberg_games.arrays import BoolArray, FloatArray
from stackelberg_games.numerics.rows import product
from stackelberg_games.representations.finite_advantage import returns_to_go
from stackelberg_games.representations.least_squares import products, unpack
from stackelberg_games.rules.trajectories import Trajectories

MOST = 1_000
"""Features of a fit: it takes their square in memory, and their cube to solve."""


def centred(error: FloatArray, spread: FloatArray, slope: FloatArray, curvature: FloatArray) -> FloatArray:
    """-(z'H z - E_u z'H z) at the visited stages, ``[N, T]``, for a form with z = (y, u), u = F y + e.

    Args:
        error: e = u - F y, ``[N, T, m]``.
        spread: Sigma, ``[m, m]``.
        slope: (H_uy + H_uu F) y, ``[N, T, m]``.
        curvature: H_uu, ``[T, m, m]`` or ``[1, m, m]``.
    """
    bent = (error[..., None, :] @ curvature.transpose(0, 2, 1))[..., 0, :]
    mean = np.einsum("tij,ij->t", curvature, spread)
    return np.asarray(mean - ((bent + 2 * slope) * error).sum(axis=2))


def fitted_advantages(
    how: str, batch: Trajectories, faced: FloatArray, gain: FloatArray, spread: FloatArray, discount: float
) -> FloatArray:
    """Advantages of an action value that is quadratic in z = (y, u), fitted by least squares, ``[N, T]``.

    Args:
        how: ``"monte_carlo"`` fits the returns; ``"sarsa"`` bootstraps from the next stage, which gives the fixed
            point of SARSA with linear features (LSTD-Q; Bradtke and Barto 1996, Lagoudakis and Parr
            2003). The last stages are then left out: episodes are cut, and do not end.
        batch: N episodes.
        faced: y, ``[N, T, n]``.
        gain, spread: F and Sigma, over which the fit is centred.
        discount: gL.
    """
    n = faced.shape[-1]
    features = quadratic(np.concatenate([faced, batch.follower_actions], axis=2))
    used = batch.mask.copy()
    if how == "sarsa":
        used[np.arange(batch.episodes), batch.lengths - 1] = False
    targets = batch.leader_rewards if how == "sarsa" else returns_to_go(batch, discount)
    now, then = features[used], np.roll(features, -1, axis=1)[used]
    scale = np.maximum(np.linalg.norm(now, axis=0), np.finfo(float).tiny)
    now, then = now / scale, then / scale
    system = (now, targets[used])
    if how == "sarsa":
        system = (now.T @ (now - discount * then), now.T @ targets[used])
    solved = np.linalg.lstsq(*system, rcond=1e-12)[0] / scale
    form = -unpack(solved[1:], n + batch.follower_actions.shape[-1])
    joint = form[n:, :n] + form[n:, n:] @ gain
    error = batch.follower_actions - product(faced, gain)
    return centred(error, spread, product(faced, joint), form[None, n:, n:]) * batch.mask


def averaged(faced: FloatArray, replies: FloatArray, mask: BoolArray, credit: FloatArray) -> FloatArray:
    """Credits c' of stages with c'U = c'(fit of U on (y, u) - fit of U on y), ``[N, T]``.

    Fits are least squares with quadratic features over all stages of the batch, as averages over
    visits are in finite games.

    Args:
        faced: y, ``[N, T, n]``.
        replies: u, ``[N, T, m]``.
        mask: bool ``[N, T]``, the stages played.
        credit: c, ``[N, T]``.
    """
    states, played = faced[mask], credit[mask]
    joint = np.concatenate([states, replies[mask]], axis=1)
    out = np.zeros_like(credit)
    out[mask] = fit(quadratic(joint), played) - fit(quadratic(states), played)
    return out


def quadratic(rows: FloatArray) -> FloatArray:
    """One and all products of two coordinates, ``[..., 1 + pairs]``."""
    flat = products(rows.reshape(-1, rows.shape[-1]))
    return np.concatenate([np.ones((len(flat), 1)), flat], axis=1).reshape(*rows.shape[:-1], -1)


def raised(rows: FloatArray) -> FloatArray:
    """All products of two coordinates of rows ``[..., n]`` that begin with one; the rows themselves where these are many."""
    width = rows.shape[-1]
    return quadratic(rows)[..., 1:] if width * (width + 1) // 2 <= MOST else rows


def fit(features: FloatArray, targets: FloatArray) -> FloatArray:
    """Least-squares fit of targets ``[K]`` on features ``[K, d]``, at the rows themselves."""
    scale = np.maximum(np.linalg.norm(features, axis=0), np.finfo(float).tiny)
    scaled = features / scale
    basis, triangle = np.linalg.qr(scaled)
    diagonal = np.abs(np.diagonal(triangle))
    if len(features) >= len(scale) and diagonal.min() > 1e-10 * diagonal.max():
        return np.asarray(basis @ (basis.T @ targets))
    return np.asarray(scaled @ np.linalg.lstsq(scaled, targets, rcond=1e-10)[0])

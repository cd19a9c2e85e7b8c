"""Points that stand for the leader's random action at a state."""

from __future__ import annotations

import itertools
from typing import Any

import gymnasium
import numpy as np
import torch

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.gaussian import ContinuousPolicy
from stackelberg_games.commitments.networks import MLPCategoricalPolicy
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.numerics.randomness import Streams
from stackelberg_games.rules.commitment import Commitment

HERMITE = 3
"""Points of a Gaussian along each direction."""

DRAWN = 8
"""Draws that stand for an action of which nothing else is known."""


def action_nodes(commitment: Commitment, space: gymnasium.Space[Any], states: FloatArray) -> tuple[FloatArray, Any]:
    """Actions and their weights.

    All actions of a policy over finitely many; Gauss-Hermite points of one that is Gaussian before it is squashed; of
    another, draws.

    Args:
        commitment: of a leader that acts.
        space: of its actions.
        states: ``[S, n]``.

    Returns:
        Weights ``[S, A]`` that sum to one, and actions ``[S, A, ...]``.
    """
    count = len(states)
    with torch.no_grad():
        if isinstance(commitment, MLPCategoricalPolicy) and isinstance(space, gymnasium.spaces.Discrete):
            chances = commitment.log_probabilities(states).exp().numpy()
            codes = np.arange(int(space.n)) + int(space.start)
            return chances, np.broadcast_to(codes, chances.shape)
        if isinstance(commitment, ContinuousPolicy):
            noise, weights = gaussian_nodes(commitment.action_size)
            rows = torch.from_numpy(np.repeat(states, len(weights), axis=0))
            drawn = commitment.act(rows, torch.from_numpy(np.tile(noise, (count, 1)))).numpy()
            assert isinstance(space, gymnasium.spaces.Box)
            inside = np.clip(drawn, space.low, space.high)  # float32 bounds need not hold every rounding
            return np.broadcast_to(weights, (count, len(weights))), inside.reshape(count, len(weights), -1)
        drawn = commitment.sample(np.repeat(states, DRAWN, axis=0), Streams.of(0, count * DRAWN), 0)
    return np.full((count, DRAWN), 1 / DRAWN), np.asarray(drawn).reshape(count, DRAWN, *np.shape(drawn)[1:])


def gaussian_nodes(dimensions: int) -> tuple[FloatArray, FloatArray]:
    """Points ``[K, d]`` and weights ``[K]`` that integrate against a standard normal density.

    Raises:
        UnsupportedGameError: the points of so many dimensions would be too many.
    """
    if dimensions > 3:
        raise UnsupportedGameError(f"leader actions of {dimensions} dimensions: points cover 3 at most")
    points, weights = np.polynomial.hermite_e.hermegauss(HERMITE)
    weights = weights / weights.sum()
    noise = np.array(list(itertools.product(points, repeat=dimensions)))
    return noise, np.array([np.prod(part) for part in itertools.product(weights, repeat=dimensions)])

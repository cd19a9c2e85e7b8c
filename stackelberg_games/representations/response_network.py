"""The follower's response fitted by maximum likelihood to the actions it was seen to take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import torch
from scipy.special import log_softmax, ndtri
from torch import Tensor

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.representations.network import Network
from stackelberg_games.rules.features import Features

NODES = 16  # antithetic points of a Gaussian response
_LEAST, _MOST = -4.0, 2.0  # logarithms of the deviation, in units of the scale of the actions
_HALF_LN_2PI = 0.5 * float(np.log(2 * np.pi))


class ResponseNetwork:
    """g(b | x): a softmax over finitely many replies, or a Gaussian around a network's mean.

    A Gaussian's deviation is a network's too; both are in units of ``Features.scale``.

    Args:
        space: of the follower's actions.
        inputs: numbers in a row x, which holds whatever the follower sees.
        seed: of the weights.

    Raises:
        UnsupportedGameError: the space is neither a flat Box nor Discrete.
    """

    def __init__(self, space: gymnasium.Space[Any], inputs: int, seed: int) -> None:
        self.features = Features(space)
        self.discrete, self.size = self.features.discrete, self.features.size
        self.network = Network(inputs, self.size if self.discrete else 2 * self.size, seed)
        half = ndtri((np.arange(NODES // 2) + 0.5) / NODES)
        line = np.concatenate([half, -half])
        source = generator(seed, 8)  # pairs of antithetic points: odd functions average to zero exactly
        order = [source.permutation(NODES // 2) for _ in range(self.size)]
        columns = [np.concatenate([line[: NODES // 2][o], line[NODES // 2 :][o]]) for o in order]
        self._noise = np.stack(columns, axis=1) / line.std()

    def log_prob(self, rows: FloatArray, replies: FloatArray) -> FloatArray:
        """Log-probabilities ``[...]`` of replies, as vectors ``[..., size]``, at rows ``[..., inputs]``."""
        out = self.network(rows)
        if self.discrete:
            return np.asarray((log_softmax(out, axis=-1) * replies).sum(axis=-1))
        mean, deviation = self._law(out)
        noise = (replies - mean) / deviation
        return np.asarray((-0.5 * noise**2 - np.log(deviation) - _HALF_LN_2PI).sum(axis=-1))

    def nodes(self, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weights and vectors of replies that averages over the response are taken at.

        All replies of a finite space; else points of the Gaussian, moved into the bounds.

        Returns:
            ``[M, K]`` that sum to one, and ``[M, K, size]``, for rows ``[M, inputs]``.
        """
        out = self.network(rows)
        if self.discrete:
            codes = np.broadcast_to(np.eye(self.size), (len(rows), self.size, self.size))
            return np.exp(log_softmax(out, axis=-1)), codes
        mean, deviation = self._law(out)
        points = mean[:, None] + deviation[:, None] * self._noise
        assert isinstance(self.features.space, gymnasium.spaces.Box)
        inside = np.clip(points, self.features.space.low, self.features.space.high)
        return np.full(points.shape[:2], 1.0 / NODES), inside

    def likeliest(self, rows: FloatArray) -> FloatArray:
        """The mode as a vector, ``[M, size]``."""
        out = self.network(rows)
        if self.discrete:
            return np.asarray(np.eye(self.size)[out.argmax(axis=-1)])
        assert isinstance(self.features.space, gymnasium.spaces.Box)
        return np.clip(self._law(out)[0], self.features.space.low, self.features.space.high)

    def _law(self, out: FloatArray) -> tuple[FloatArray, FloatArray]:
        mean, log_deviation = np.split(out, 2, axis=-1)
        return mean * self.features.scale, np.exp(np.clip(log_deviation, _LEAST, _MOST)) * self.features.scale

    def fit(self, rows: FloatArray, replies: FloatArray, picks: IntArray) -> None:
        """Descend on the negative log-likelihood; see ``Network.descend``."""
        wanted = torch.from_numpy((replies / self.features.scale).astype(np.float32))

        def surprise(out: Tensor, numbers: Tensor) -> Tensor:
            if self.discrete:
                return -(torch.log_softmax(out, dim=1) * wanted[numbers]).sum(dim=1).mean()
            mean, log_deviation = out.chunk(2, dim=1)
            log_deviation = log_deviation.clamp(_LEAST, _MOST)
            noise = (wanted[numbers] - mean) / log_deviation.exp()
            return (0.5 * noise.square() + log_deviation).sum(dim=1).mean()

        self.network.descend(rows, surprise, picks)

    def state_dict(self) -> dict[str, Any]:
        """The network."""
        return self.network.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a stored state."""
        self.network.load_state_dict(state)

"""Finitely many actions that stand for all of a space, and a commitment's shares of them."""

from __future__ import annotations

import itertools
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.gaussian import ContinuousPolicy
from stackelberg_games.commitments.networks import MLPCategoricalPolicy
from stackelberg_games.commitments.nodes import gaussian_nodes
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.features import Features

DIMENSIONS = 3


class ActionGrid:
    """All actions of a Discrete space; points of a Box, equally spaced from end to end of every coordinate.

    Args:
        space: a Discrete space or a flat Box.
        seen: vectors of actions, ``[K, d]``; they span the coordinates that have no bounds.
        points: along a coordinate, by the number of coordinates.

    Attributes:
        vectors: as networks read them, ``[A, d]``.
        weights: of the measure that entropy is relative to, ``[A]``: 1 each where they are all there are, else those of the
            uniform density, the ends of a coordinate with half the weight.
        ends: the vectors at the ends of every coordinate, or all.

    Raises:
        UnsupportedGameError: the space has more coordinates than points can cover.
    """

    def __init__(self, space: gymnasium.Space[Any], seen: FloatArray, points: tuple[int, ...]) -> None:
        features = Features(space)
        self.discrete, size = features.discrete, features.size
        if self.discrete:
            self.vectors, self.weights = np.eye(size), np.ones(size)
            self.ends = self.vectors
            return
        assert isinstance(space, gymnasium.spaces.Box)
        if size > min(DIMENSIONS, len(points)):
            raise UnsupportedGameError(
                f"actions in {space}: points cover {min(DIMENSIONS, len(points))} coordinates at most; bchg and "
                "policy_gradient learn without a model"
            )
        self.count = points[size - 1]
        self.low = np.where(space.bounded_below, space.low.astype(np.float64), seen.min(axis=0))
        high = np.where(space.bounded_above, space.high.astype(np.float64), seen.max(axis=0))
        self.width = np.maximum(high - self.low, 1e-9) / (self.count - 1)
        index = np.array(list(itertools.product(range(self.count), repeat=size)))
        self.vectors = self.low + index * self.width
        last = ((index == 0) | (index == self.count - 1)).sum(axis=1)
        self.ends = self.vectors[last == size]
        self.weights = 0.5**last / (0.5**last).sum()

    def shares(self, values: Tensor) -> Tensor:
        """Weights ``[..., A]`` of the points around actions ``[..., d]`` of a Box that interpolate linearly between them."""
        place = ((values - torch.from_numpy(self.low)) / torch.from_numpy(self.width)).clamp(0, self.count - 1)
        each = torch.relu(1 - (place[..., None] - torch.arange(self.count)).abs())
        total = each[..., 0, :]
        for axis in range(1, each.shape[-2]):
            total = (total[..., :, None] * each[..., axis, None, :]).flatten(-2)
        return total

    def laid(self, vectors: FloatArray) -> FloatArray:
        """Weights of the points that stand for actions, ``[K, A]``; vectors ``[K, d]``."""
        return vectors if self.discrete else self.shares(torch.from_numpy(vectors)).numpy()

    def policy(self, commitment: Commitment, states: Any) -> Tensor:
        """A commitment's probabilities of the points at states, ``[S, A]``, differentiable.

        Raises:
            UnsupportedGameError: the commitment is of another kind.
        """
        if self.discrete and isinstance(commitment, MLPCategoricalPolicy):
            return commitment.log_probabilities(states).exp()
        drawn, weights = self._drawn(commitment, states)
        return (weights[:, None] * self.shares(drawn)).sum(dim=1)

    def distance(self, one: Commitment, other: Commitment, states: Any) -> float:
        """How far two commitments are apart, the mean over states, in [0, 1].

        Total variation where actions are finitely many; else how far the action moves under the same noise, in shares of the range.
        """
        with torch.no_grad():
            if self.discrete:
                return float((self.policy(one, states) - self.policy(other, states)).abs().sum(dim=1).mean()) / 2
            (first, weights), (second, _) = self._drawn(one, states), self._drawn(other, states)
            moved = ((first - second).abs() / torch.from_numpy(self.width * (self.count - 1))).mean(dim=-1)
            return min(1.0, float((weights * moved).sum(dim=1).mean()))

    def _drawn(self, commitment: Commitment, states: Any) -> tuple[Tensor, Tensor]:
        """Actions ``[S, K, d]`` that stand for a random one, and their weights ``[K]``."""
        if self.discrete or not isinstance(commitment, ContinuousPolicy):
            raise UnsupportedGameError(f"{type(commitment).__name__} has no probabilities at points; a network has")
        noise, weights = gaussian_nodes(commitment.action_size)
        rows: Any = np.repeat(states, len(weights), axis=0)
        drawn = commitment.act(rows, torch.from_numpy(np.tile(noise, (len(states), 1))))
        return drawn.reshape(len(states), len(weights), -1), torch.from_numpy(weights)

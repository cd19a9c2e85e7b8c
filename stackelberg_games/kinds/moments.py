"""Rewards that depend on a vector state, and their expectations when the state is Gaussian.

Every class offers ``value(x)`` and ``expectation(m, S) = E value(x)`` for x ~ N(m, S) in closed form
(for ``Disk``: by a quadrature of one dimension), differentiable in m and S.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.numerics.rows import product, quadratic

_SMALLEST_VARIANCE = 1e-24
_NODES, _WEIGHTS = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(96))
_REACH = 9.0  # standard deviations that a quadrature covers


class StateReward(ABC):
    """A reward r(x) of states ``[..., n]``."""

    @abstractmethod
    def value(self, states: Any) -> FloatArray:
        """r(x), ``[...]``."""

    @abstractmethod
    def expectation(self, mean: Tensor, covariance: Tensor) -> Tensor:
        """E r(x) for x ~ N(mean, covariance): ``[..., n]`` and ``[..., n, n]`` give ``[...]``."""

    def check(self, size: int) -> None:  # noqa: B027
        """Raise ``InvalidGameError`` if the reward does not fit states of ``size`` coordinates."""


@dataclass(frozen=True)
class Bump(StateReward):
    """r(x) = c exp(-(x - t)' H (x - t) / 2), with H symmetric.

        E r = c det(I + S H)^(-1/2) exp(-(m - t)' H (I + S H)^-1 (m - t) / 2)

    Args:
        scale: c.
        target: t, ``[n]``.
        precision: H, ``[n, n]``; ``Bump.of_widths`` builds it from standard widths.
    """

    scale: float
    target: FloatArray
    precision: FloatArray

    @classmethod
    def of_widths(cls, scale: float, target: ArrayLike, widths: ArrayLike) -> Bump:
        """A bump with axes along the coordinates; ``widths`` play the part of standard deviations.

        Raises:
            InvalidGameError: a width is not positive.
        """
        breadth = np.asarray(widths, dtype=np.float64)
        if breadth.ndim != 1 or not (breadth > 0).all():
            raise InvalidGameError(f"widths={widths!r}: expected positive numbers, one for each coordinate")
        return cls(float(scale), np.asarray(target, dtype=np.float64), np.diag(breadth**-2.0))

    def value(self, states: Any) -> FloatArray:
        """See the class."""
        states = np.asarray(states, dtype=np.float64)
        aligned = not np.count_nonzero(self.precision - np.diag(np.diag(self.precision)))
        scales, turned, centre = np.diag(self.precision), states, self.target
        if not aligned:
            scales, axes = np.linalg.eigh(self.precision)
            turned, centre = states @ axes, self.target @ axes
        exponent = np.zeros(states.shape[:-1])
        for i, scale in enumerate(scales):  # coordinate by coordinate and in place: this is a hot path
            part = turned[..., i] - centre[i]
            part *= part
            part *= -0.5 * scale
            exponent += part
        return np.asarray(np.exp(exponent) * self.scale)

    def expectation(self, mean: Tensor, covariance: Tensor) -> Tensor:
        """See the class."""
        precision = torch.from_numpy(self.precision)
        spread = torch.eye(len(self.target), dtype=torch.float64) + covariance @ precision
        distance = mean - torch.from_numpy(self.target)
        weight = precision @ torch.linalg.inv(spread)
        along = distance.unbind(dim=-1)  # coordinate by coordinate: this is a hot path
        turned = [sum(weight[..., i, j] * part for j, part in enumerate(along)) for i in range(len(along))]
        exponent = sum(part * other for part, other in zip(along, turned, strict=True))
        value: Tensor = self.scale * torch.exp(-0.5 * exponent) / torch.linalg.det(spread).sqrt()
        return value

    def check(self, size: int) -> None:
        """See ``StateReward.check``."""
        if self.target.shape != (size,) or self.precision.shape != (size, size):
            raise InvalidGameError(f"the reward has {self.target.size} coordinates, the states have {size}")


@dataclass(frozen=True)
class Quadratic(StateReward):
    """r(x) = c + h'x - x'H x / 2, with H symmetric.

    Args:
        constant: c.
        slope: h, ``[n]``.
        curvature: H, ``[n, n]``.
    """

    constant: float
    slope: FloatArray
    curvature: FloatArray

    def value(self, states: Any) -> FloatArray:
        """See the class."""
        states = np.asarray(states, dtype=np.float64)
        sloped = product(states, self.slope[None])[..., 0]
        return np.asarray(self.constant + sloped - 0.5 * quadratic(states, self.curvature))

    def expectation(self, mean: Tensor, covariance: Tensor) -> Tensor:
        """See the class."""
        curvature = torch.from_numpy(self.curvature)
        bent = ((mean @ curvature) * mean).sum(dim=-1) + (covariance * curvature).sum(dim=(-1, -2))
        value: Tensor = self.constant + mean @ torch.from_numpy(self.slope) - 0.5 * bent
        return value

    def check(self, size: int) -> None:
        """See ``StateReward.check``."""
        if self.slope.shape != (size,) or self.curvature.shape != (size, size):
            raise InvalidGameError(f"the reward has {self.slope.size} coordinates, the states have {size}")


@dataclass(frozen=True)
class NegativePart(StateReward):
    """r(x) = c min(x_i, 0); E r = c (m Phi(-m/s) - s phi(m/s)) with the mean and deviation of x_i."""

    scale: float
    coordinate: int = 0

    def value(self, states: Any) -> FloatArray:
        """See the class."""
        return np.asarray(self.scale * np.minimum(states[..., self.coordinate], 0.0))

    def expectation(self, mean: Tensor, covariance: Tensor) -> Tensor:
        """See the class."""
        centre, deviation = _marginal(mean, covariance, self.coordinate)
        ratio = centre / deviation
        density = torch.exp(-0.5 * ratio.square()) / math.sqrt(2 * math.pi)
        value: Tensor = self.scale * (centre * torch.special.ndtr(-ratio) - deviation * density)
        return value

    def check(self, size: int) -> None:
        """See ``StateReward.check``."""
        _check_coordinate(self.coordinate, size)


@dataclass(frozen=True)
class Band(StateReward):
    """r(x) = c where |x_i| <= limit, else 0."""

    scale: float
    limit: float
    coordinate: int = 1

    def value(self, states: Any) -> FloatArray:
        """See the class."""
        return np.asarray(self.scale * (np.abs(states[..., self.coordinate]) <= self.limit))

    def expectation(self, mean: Tensor, covariance: Tensor) -> Tensor:
        """See the class."""
        centre, deviation = _marginal(mean, covariance, self.coordinate)
        return self.scale * _interval(centre, deviation, -self.limit, self.limit)

    def check(self, size: int) -> None:
        """See ``StateReward.check``."""
        _check_coordinate(self.coordinate, size)


@dataclass(frozen=True)
class Disk(StateReward):
    """r(x) = c where |x - t| < radius in the plane, else 0.

    The expectation integrates, in axes turned to the principal ones of S, the conditional
    probability of the chord over the narrow axis by Gauss-Legendre quadrature.
    """

    scale: float
    target: FloatArray
    radius: float

    def value(self, states: Any) -> FloatArray:
        """See the class."""
        return np.asarray(self.scale * (np.square(states - self.target).sum(axis=-1) < self.radius**2))

    def expectation(self, mean: Tensor, covariance: Tensor) -> Tensor:
        """See the class."""
        axes = torch.linalg.eigh(covariance.detach()).eigenvectors  # narrow axis first
        centre = ((mean - torch.from_numpy(self.target)).unsqueeze(-2) @ axes).squeeze(-2)
        turned = axes.transpose(-1, -2) @ covariance @ axes
        across, along = centre[..., :1], centre[..., 1:]
        variance = turned[..., 0, 0, None].clamp_min(_SMALLEST_VARIANCE)
        deviation = variance.sqrt()
        low = torch.maximum(-_REACH * torch.ones_like(across), (-self.radius - across) / deviation)
        high = torch.minimum(_REACH * torch.ones_like(across), (self.radius - across) / deviation)
        half = 0.5 * (high - low).clamp_min(0.0)
        points = 0.5 * (high + low) + half * _NODES
        chord = (self.radius**2 - (across + deviation * points).square()).clamp_min(_SMALLEST_VARIANCE).sqrt()
        slope = turned[..., 0, 1, None] / deviation
        rest = (turned[..., 1, 1, None] - slope.square()).clamp_min(_SMALLEST_VARIANCE).sqrt()
        inside = _interval(along + slope * points, rest, -chord, chord)
        density = torch.exp(-0.5 * points.square()) / math.sqrt(2 * math.pi)
        return self.scale * (half * _WEIGHTS * density * inside).sum(dim=-1)

    def check(self, size: int) -> None:
        """See ``StateReward.check``."""
        if size != 2 or self.target.shape != (2,):
            raise InvalidGameError(
                f"a disk needs states and a target of 2 coordinates, got {size} and {self.target.size}"
            )


def _marginal(mean: Tensor, covariance: Tensor, coordinate: int) -> tuple[Tensor, Tensor]:
    variance = covariance[..., coordinate, coordinate].clamp_min(_SMALLEST_VARIANCE)
    return mean[..., coordinate], variance.sqrt()


def _interval(centre: Tensor, deviation: Tensor, low: Any, high: Any) -> Tensor:
    """Probability that a Gaussian lies in [low, high]."""
    inside: Tensor = torch.special.ndtr((high - centre) / deviation) - torch.special.ndtr((low - centre) / deviation)
    return inside


def _check_coordinate(coordinate: int, size: int) -> None:
    if not 0 <= coordinate < size:
        raise InvalidGameError(f"the reward reads coordinate {coordinate}; states have {size}")

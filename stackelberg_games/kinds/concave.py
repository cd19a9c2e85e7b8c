"""Configured games of which the leader's value against a follower without errors is known as a concave quadratic."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from stackelberg_games.arrays import FloatArray


class ConcaveValue(NamedTuple):
    """c + b'x - x'M x / 2 of a configuration x.

    Attributes:
        constant: c.
        slope: b, ``[C]``.
        curvature: M, ``[C, C]``, symmetric positive definite.
    """

    constant: float
    slope: FloatArray
    curvature: FloatArray


@runtime_checkable
class ConcavelyConfigured(Protocol):
    """A game that knows its leader's value so; the follower's errors must not change it."""

    def concave_value(self) -> ConcaveValue:
        """The leader's value of a configuration in the game's space."""

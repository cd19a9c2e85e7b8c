"""Scalars that are known by their gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray

Pull = Callable[[Mapping[str, FloatArray]], None]
"""Adds to the parameters' ``grad`` the derivative of a sum of terms with these weights."""


class WeightedSum:
    """A weighted sum of terms that a commitment decides: added, scaled and climbed like a scalar tensor, for less.

    The weights stay as they are when the commitment moves, and the gradient is that at the commitment as it is by then.

    Args:
        pull: how the terms are differentiated.
        weights: of the terms, by name.
        others: scalar tensors that are added.
    """

    def __init__(self, pull: Pull, weights: Mapping[str, FloatArray], others: tuple[Tensor, ...] = ()) -> None:
        self.pull, self.weights, self.others = pull, weights, others

    def __add__(self, other: Total) -> WeightedSum:
        if isinstance(other, Tensor):
            return WeightedSum(self.pull, self.weights, (*self.others, other))
        weights = dict(self.weights)
        for name, more in other.weights.items():
            weights[name] = weights[name] + more if name in weights else more
        return WeightedSum(self.pull, weights, (*self.others, *other.others))

    __radd__ = __add__

    def __mul__(self, number: float) -> WeightedSum:
        scaled = {name: number * weights for name, weights in self.weights.items()}
        return WeightedSum(self.pull, scaled, tuple(number * other for other in self.others))

    __rmul__ = __mul__

    def __neg__(self) -> WeightedSum:
        return -1.0 * self

    def __sub__(self, other: Total) -> WeightedSum:
        return self + -1.0 * other

    def __truediv__(self, number: float) -> WeightedSum:
        return self * (1.0 / number)

    def backward(self) -> None:
        """Add its gradient to the ``grad`` of the commitment's parameters."""
        self.pull(self.weights)
        for other in self.others:
            other.backward()  # type: ignore[no-untyped-call]

    def gradients(self, parameters: Iterable[Tensor]) -> list[Tensor]:
        """Its gradient in parameters, whose ``grad`` stays as it is."""
        kept = [(parameter, parameter.grad) for parameter in parameters]
        for parameter, _ in kept:
            parameter.grad = None
        self.backward()
        found = [torch.zeros_like(parameter) if parameter.grad is None else parameter.grad for parameter, _ in kept]
        for parameter, before in kept:
            parameter.grad = before
        return found


Total = Tensor | WeightedSum
"""What a gradient leader climbs."""

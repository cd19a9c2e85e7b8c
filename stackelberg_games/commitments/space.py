"""Spaces of configurations: what a leader may choose at the start of an episode."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.errors import InvalidArgumentError

_SLACK = 1e-12
ROUNDING = 1e-6
"""Relative excess of a budget that is taken for rounding, for instance of float32."""


class BudgetBox(gymnasium.spaces.Box):
    """Numbers >= 0 whose sum is at most a budget; float64.

    To libraries that know ``Box`` it is one; what they clip to its bounds may still exceed the sum, and is
    then not contained.

    Args:
        budget: largest sum, >= 0.
        size: how many numbers.
    """

    def __init__(self, budget: float, size: int) -> None:
        super().__init__(0.0, float(budget), (size,), np.float64)
        self.budget = float(budget)

    def sample(self, mask: None = None, probability: None = None) -> NDArray[Any]:
        """Uniform among all that are allowed; masks do not apply."""
        shares: NDArray[Any] = self.np_random.dirichlet(np.ones(self.low.size + 1))
        return self.budget * shares[:-1]

    def contains(self, x: Any) -> bool:
        """Whether the shape fits, no number is negative or NaN, and the sum is within the budget."""
        array = np.asarray(x)
        if array.shape != self.shape or array.dtype.kind not in "iuf":
            return False
        return bool((array >= 0).all() and array.sum() <= self.budget * (1 + ROUNDING))

    def __eq__(self, other: object) -> bool:
        """Whether the other space has the same budget and size."""
        return isinstance(other, BudgetBox) and (self.budget, self.shape) == (other.budget, other.shape)

    __hash__ = None  # type: ignore[assignment]  # as of every Box

    def __repr__(self) -> str:
        """As a call of the constructor."""
        return f"BudgetBox({self.budget:g}, {self.low.size})"


def check_inside(space: gymnasium.spaces.Box | None, configuration: Any) -> None:
    """Raise ``InvalidArgumentError`` unless a configuration lies in a space; rounding at a bound is let pass."""
    if space is None:
        return
    try:
        values = configuration.detach().numpy() if isinstance(configuration, Tensor) else np.asarray(configuration)
    except ValueError:  # a ragged list
        values = np.asarray(None)
    if values.shape == space.shape and values.dtype.kind == "f":
        inside = bool(((values >= space.low) & (values <= space.high) & np.isfinite(values)).all())
        if inside and (not isinstance(space, BudgetBox) or values.sum() <= space.budget):
            return
        nearest = np.clip(values, space.low, space.high)
        slack = _SLACK * np.maximum(np.abs(nearest), 1.0)
        values = np.where(np.abs(values - nearest) <= slack, nearest, values)
    wrong = fault(space, values)
    if wrong is not None:
        raise InvalidArgumentError(f"the configuration {wrong}")


def fault(space: gymnasium.spaces.Box, configuration: Any) -> str | None:
    """What keeps a configuration from being in a space, in words; None if nothing does."""
    try:
        array = np.asarray(configuration)
    except ValueError:  # a ragged list
        array = np.asarray(None)
    if array.dtype.kind not in "iuf":
        return f"is {checks.shown(configuration)}: expected numbers of shape {space.shape}"
    if array.shape != space.shape:
        return f"has shape {array.shape}: expected {space.shape}"
    high = space.high * (1 + ROUNDING) if isinstance(space, BudgetBox) else space.high
    inside = np.isfinite(array) & (array >= space.low) & (array <= high)
    if not inside.all():
        where = tuple(int(i) for i in np.argwhere(~inside)[0])
        bounds = f"{space.low[where]:g} to {space.high[where]:g}"
        return f"has {array[where]:g} as entry {where[0] if len(where) == 1 else where}: expected {bounds}"
    if isinstance(space, BudgetBox) and not space.contains(array):
        return f"sums to {array.sum():.6g}: the budget is {space.budget:g}"
    return None

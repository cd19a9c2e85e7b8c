"""Parametrisations of a configuration: from free parameters to the numbers that configure a game.

The parametrisation belongs to the leader's commitment; a game only suggests one. Each is a frozen
dataclass, so that a stored commitment can name it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from scipy.special import expit
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.space import BudgetBox
from stackelberg_games.errors import CheckpointError, InvalidArgumentError
from stackelberg_games.numerics.randomness import compiled
from stackelberg_games.settings import check_fields, checked

NEAR = 1e-3
"""How close to a bound parameters are sought: there they still move the configuration."""


@dataclass(frozen=True)
class Parametrisation(ABC):
    """A differentiable function from parameters to a configuration."""

    @abstractmethod
    def __call__(self, parameters: Tensor) -> Tensor:
        """The configuration, float64 ``[C]``."""

    def pulled(self, parameters: FloatArray, weights: FloatArray) -> FloatArray | None:
        """The derivative in parameters of the configuration's sum with weights ``[C]``; None where torch is to find it."""
        return None

    def parameters(self, configuration: Tensor) -> Tensor | None:
        """Parameters of a configuration, or of one close to it where none give it exactly; None if not known."""
        return None

    def space(self, size: int) -> Box:
        """Where ``size`` configured numbers lie, bounds included; float64."""
        return Box(-np.inf, np.inf, (size,), np.float64)

    def parameter_count(self, size: int) -> int:
        """Number of parameters behind ``size`` configured numbers."""
        return size

    def describe(self) -> dict[str, Any]:
        """Name and settings, for ``parametrisation``."""
        return {"name": type(self).__name__, **asdict(self)}


@dataclass(frozen=True)
class Plain(Parametrisation):
    """The parameters themselves.

    Examples:
        >>> import torch
        >>> import stackelberg_games as sg
        >>> sg.Plain()(torch.tensor([0.5, -2.0])).tolist()
        [0.5, -2.0]
    """

    @checked
    def __call__(self, parameters: Tensor) -> Tensor:
        """Return them unchanged."""
        return parameters

    def pulled(self, parameters: FloatArray, weights: FloatArray) -> FloatArray:
        """See ``Parametrisation.pulled``."""
        return weights

    def parameters(self, configuration: Tensor) -> Tensor:
        """See ``Parametrisation.parameters``."""
        return configuration


@dataclass(frozen=True)
class Bounded(Parametrisation):
    """Numbers between two bounds: x = low + (high - low) sigmoid(theta).

    Examples:
        >>> import torch
        >>> import stackelberg_games as sg
        >>> sg.Bounded(-1.0, 3.0)(torch.tensor([0.0, 50.0])).tolist()
        [1.0, 3.0]

    Args:
        low: lower bound.
        high: upper bound, > low.

    Raises:
        InvalidArgumentError: the bounds are not in order.
    """

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.low < self.high:
            raise InvalidArgumentError(f"low={self.low!r}, high={self.high!r}: expected low < high")

    @checked
    def __call__(self, parameters: Tensor) -> Tensor:
        """Elementwise sigmoid between the bounds."""
        return self.low + (self.high - self.low) * torch.sigmoid(parameters)

    def pulled(self, parameters: FloatArray, weights: FloatArray) -> FloatArray:
        """See ``Parametrisation.pulled``."""
        share = expit(parameters)
        return np.asarray((self.high - self.low) * share * (1 - share) * weights)

    def parameters(self, configuration: Tensor) -> Tensor:
        """See ``Parametrisation.parameters``; a bound is passed over by ``NEAR`` of the range."""
        return torch.logit((configuration - self.low) / (self.high - self.low), eps=NEAR)

    def space(self, size: int) -> Box:
        """All numbers from ``low`` to ``high``."""
        return Box(self.low, self.high, (size,), np.float64)


@dataclass(frozen=True)
class Budgeted(Parametrisation):
    """Shares of a budget: x = budget * softmax(theta) without its last entry, which is not spent.

    Examples:
        >>> import torch
        >>> import stackelberg_games as sg
        >>> sg.Budgeted(3.0)(torch.zeros(3)).tolist()
        [1.0, 1.0]

    Args:
        budget: largest possible sum, >= 0.
        temperature: divides the parameters, > 0.

    Raises:
        InvalidArgumentError: the budget is negative or the temperature is not positive.
    """

    budget: float = 1.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_budget(self.budget)
        checks.number("temperature", self.temperature, above=0)

    @checked
    def __call__(self, parameters: Tensor) -> Tensor:
        """Softmax shares of the budget, the unspent one dropped."""
        if not parameters.ndim:
            raise InvalidArgumentError(
                "parameters is a single number: expected one for each share, and one for what is not spent"
            )
        scaled = parameters if self.temperature == 1 else parameters / self.temperature
        return self.budget * torch.softmax(scaled, dim=0)[:-1]

    def pulled(self, parameters: FloatArray, weights: FloatArray) -> FloatArray:
        """See ``Parametrisation.pulled``."""
        columns, rows = parameters.reshape(len(parameters), -1), weights.reshape(len(weights), -1)
        return np.asarray(_of_shares(columns / self.temperature, rows, self.budget / self.temperature))

    def parameters(self, configuration: Tensor) -> Tensor:
        """See ``Parametrisation.parameters``; no share is taken below ``NEAR`` of the budget."""
        shares = configuration / self.budget if self.budget else torch.zeros_like(configuration)
        return self.temperature * torch.cat([shares, 1 - shares.sum(dim=0, keepdim=True)]).clamp(min=NEAR).log()

    def space(self, size: int) -> Box:
        """Numbers >= 0 with a sum of at most ``budget``."""
        return BudgetBox(self.budget, size)

    def parameter_count(self, size: int) -> int:
        """One more than the configuration has: the unspent share."""
        return size + 1


@compiled
def _of_shares(parameters: Any, weights: Any, scale: float) -> Any:
    """``scale`` times what weights of all shares but the last are in the parameters of a softmax, in every column."""
    out = np.empty(parameters.shape)
    for c in range(parameters.shape[1]):
        shares = np.exp(parameters[:, c] - parameters[:, c].max())
        shares /= shares.sum()
        mean = 0.0
        for k in range(weights.shape[0]):
            mean += shares[k] * weights[k, c]
        for k in range(shares.shape[0]):
            out[k, c] = scale * shares[k] * ((weights[k, c] if k < weights.shape[0] else 0.0) - mean)
    return out


def check_budget(budget: float) -> float:
    """Return a finite budget >= 0 as a float; raise ``InvalidArgumentError`` otherwise."""
    return checks.number("budget", budget, 0)


KNOWN: dict[str, type[Parametrisation]] = {cls.__name__: cls for cls in (Plain, Bounded, Budgeted)}


def parametrisation(description: Mapping[str, Any]) -> Parametrisation:
    """The object that ``describe`` described.

    Raises:
        CheckpointError: its class is not one of this module.
    """
    settings = dict(description)
    name = settings.pop("name", None)
    if name not in KNOWN:
        raise CheckpointError(
            f"unknown parametrisation {name!r}; known: {', '.join(sorted(KNOWN))}; for another, pass `commitment` to "
            "load into"
        )
    return KNOWN[name](**settings)

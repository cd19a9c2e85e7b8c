"""Commitments: the leader's decision as a torch module.

A commitment decides per stage (a policy over leader actions given the state), per episode (a
configuration of the game), or both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.numerics.randomness import Streams

_PLAIN = frozenset({nn.Sequential, nn.Linear, nn.ReLU, nn.Tanh})
"""Layers of networks that draw nothing."""


class Commitment(nn.Module, ABC):
    """The leader's decision theta. Parameters are float64.

    Examples:
        >>> import stackelberg_games as sg
        >>> policy = sg.make("discrete_toy-v0").commitment()
        >>> policy.probabilities().tolist(), policy.configuration()
        ([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]], None)
        >>> budget = sg.make("warehouse-v0").commitment()
        >>> isinstance(budget, sg.Commitment), budget.configuration().shape
        (True, torch.Size([45]))
    """

    def configuration(self) -> Tensor | None:
        """The per-episode configuration, or None where the leader only acts."""
        return None

    def pull_configuration(self, weights: FloatArray) -> None:
        """Add to the parameters' ``grad`` the derivative of the configuration's sum with weights ``[C]``."""
        configuration = self.configuration()
        if configuration is not None and configuration.requires_grad:
            configuration.backward(torch.from_numpy(weights))  # type: ignore[no-untyped-call]

    @abstractmethod
    def probabilities(self) -> Tensor:
        """Action probabilities in every state, ``[S, A]``; finite games only."""

    def describe(self) -> dict[str, Any]:
        """What ``restore`` needs to build an object of the same class and shape."""
        return {"class": type(self).__name__}

    @abstractmethod
    def sample(self, states: Any, streams: Streams, stage: int) -> Any:
        """Leader actions for a batch of states, drawn from the leader's lane."""


def parameters_from(name: str, values: ArrayLike | Tensor, *, finite: bool = True) -> Tensor:
    """Initial parameters: a fresh float64 tensor without gradient.

    Raises:
        InvalidArgumentError: they are no numbers, or not finite.
    """
    plain = values.detach() if isinstance(values, Tensor) else values
    return torch.from_numpy(checks.array(name, plain, finite=finite))


def add_gradient(parameter: nn.Parameter, found: FloatArray) -> None:
    """Add to a parameter's ``grad``, as ``backward`` does."""
    if parameter.requires_grad:
        gradient = torch.from_numpy(found).view_as(parameter)
        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def parts(module: nn.Module) -> list[nn.Module]:
    """A module and all within it; what ``modules()`` gives, in less time."""
    found = [module]
    for part in found:
        found += [inner for inner in part._modules.values() if inner is not None]
    return found


def draws(commitment: Commitment) -> bool:
    """Whether it might draw random numbers in evaluation mode: unless each part or its very class says ``draws = False``.

    A subclass says so anew: it may have overridden what decides.
    """
    said = (vars(part).get("draws", vars(type(part)).get("draws")) for part in parts(commitment))
    return not all(type(part) in _PLAIN or word is False for part, word in zip(parts(commitment), said, strict=True))


class evaluating:
    """Evaluation mode meanwhile: without dropout, with the statistics of normalising layers as they were learned."""

    def __init__(self, commitment: nn.Module) -> None:
        self._training = [module for module in parts(commitment) if module.training]

    def __enter__(self) -> None:
        for module in self._training:
            vars(module)["training"] = False  # torch looks at every attribute that is set

    def __exit__(self, *_: object) -> None:
        for module in self._training:
            vars(module)["training"] = True


def flatten(commitment: nn.Module) -> Tensor:
    """All trainable parameters as one detached vector."""
    return nn.utils.parameters_to_vector(commitment.parameters()).detach().clone()


def assign(commitment: nn.Module, vector: Tensor) -> None:
    """Write a vector from ``flatten`` back into the parameters."""
    with torch.no_grad():
        nn.utils.vector_to_parameters(vector.clone(), commitment.parameters())

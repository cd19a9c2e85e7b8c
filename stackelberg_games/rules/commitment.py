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


def parts(module: nn.Module) -> list[nn.Module]:
    """A module and all within it; what ``modules()`` gives, in less time."""
    found = [module]
    for part in found:
        found += [inner for inner in part._modules.values() if inner is not None]
    return found


def draws(commitment: Commitment) -> bool:
    """Whether it might draw random numbers in evaluation mode: unless the very class of each part says ``draws = False``.

    A subclass says so anew: it may have overridden what decides.
    """
    return not all(type(part) in _PLAIN or vars(type(part)).get("draws") is False for part in parts(commitment))


class evaluating:
    """Evaluation mode meanwhile: without dropout, with the statistics of normalising layers as they were learned."""

    def __init__(self, commitment: nn.Module) -> None:
        self._training = [module for module in parts(commitment) if module.training]

    def __enter__(self) -> None:
        for module in self._training:
            module.training = False

    def __exit__(self, *_: object) -> None:
        for module in self._training:
            module.training = True


def flatten(commitment: nn.Module) -> Tensor:
    """All trainable parameters as one detached vector."""
    return nn.utils.parameters_to_vector(commitment.parameters()).detach().clone()


def assign(commitment: nn.Module, vector: Tensor) -> None:
    """Write a vector from ``flatten`` back into the parameters."""
    with torch.no_grad():
        nn.utils.vector_to_parameters(vector.clone(), commitment.parameters())

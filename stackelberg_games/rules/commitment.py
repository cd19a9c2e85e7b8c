"""Commitments: the leader's decision as a torch module.

A commitment decides per stage (a policy over leader actions given the state), per episode (a
configuration of the game), or both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from stackelberg_games import checks
from stackelberg_games.numerics.randomness import Streams


class Commitment(nn.Module, ABC):
    """The leader's decision theta. Parameters are float64."""

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


@contextmanager
def evaluating(commitment: nn.Module) -> Iterator[None]:
    """Evaluation mode meanwhile: without dropout, with the statistics of normalising layers as they were learned."""
    training = [module for module in commitment.modules() if module.training]
    commitment.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def flatten(commitment: nn.Module) -> Tensor:
    """All trainable parameters as one detached vector."""
    return nn.utils.parameters_to_vector(commitment.parameters()).detach().clone()


def assign(commitment: nn.Module, vector: Tensor) -> None:
    """Write a vector from ``flatten`` back into the parameters."""
    with torch.no_grad():
        nn.utils.vector_to_parameters(vector.clone(), commitment.parameters())

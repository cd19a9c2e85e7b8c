"""Commitments: the leader's decision as a torch module.

A commitment decides per stage (a policy over leader actions given the state), per episode (a
configuration of the game), or both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from stackelberg_games.arrays import IntArray
from stackelberg_games.errors import CheckpointError, InvalidArgumentError
from stackelberg_games.game import Game, LeaderView, require_game
from stackelberg_games.randomness import Lane, Streams
from stackelberg_games.sampling import check_probabilities, cumulative

Sized = Game | LeaderView | tuple[int, int]
"""A finite game, the view of one, or its numbers of states and leader actions."""


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


class DiscretePolicy(Commitment):
    """A policy over finitely many actions in finitely many states."""

    states: int
    actions: int

    def describe(self) -> dict[str, Any]:
        """Class and sizes."""
        return {"class": type(self).__name__, "sizes": [self.states, self.actions]}

    @abstractmethod
    def log_probabilities(self) -> Tensor:
        """Log-probabilities ``[S, A]``, float64, differentiable."""

    def probabilities(self) -> Tensor:
        """Action probabilities ``[S, A]``."""
        return self.log_probabilities().exp()

    def sample(self, states: Any, streams: Streams, stage: int) -> IntArray:
        """Draw actions by inversion, int64 ``[N]``."""
        with torch.no_grad():
            table = cumulative(self.probabilities().numpy())
        draws = streams.uniform(Lane.LEADER, stage)
        return np.asarray((draws >= table[np.asarray(states)]).sum(axis=1), dtype=np.int64)


class TabularPolicy(DiscretePolicy):
    """One logit for each state and action.

    Args:
        game: a finite game, the view of one, or its numbers of states and leader actions.
        logits: ``[S, A]``; zeros (the uniform policy) if not given.
    """

    def __init__(self, game: Sized, logits: ArrayLike | Tensor | None = None) -> None:
        super().__init__()
        self.states, self.actions = _sizes(game)
        values = torch.zeros(self.states, self.actions, dtype=torch.float64)
        if logits is not None:
            values = torch.as_tensor(logits, dtype=torch.float64).clone()
        if tuple(values.shape) != (self.states, self.actions) or bool(torch.isnan(values).any()):
            raise InvalidArgumentError(
                f"logits of shape {tuple(values.shape)}: expected ({self.states}, {self.actions}), no NaN"
            )
        self.logits = nn.Parameter(values)

    @classmethod
    def from_probabilities(cls, game: Sized, probabilities: ArrayLike, floor: float = 1e-300) -> TabularPolicy:
        """The policy with given action probabilities ``[S, A]``; zeros become ``floor``."""
        rows = np.asarray(probabilities, dtype=np.float64)
        check_probabilities("probabilities", rows)
        return cls(game, np.log(np.maximum(rows, floor)))

    def log_probabilities(self) -> Tensor:
        """Log-softmax of the logits, ``[S, A]``."""
        return torch.log_softmax(self.logits, dim=1)


class MLPPolicy(DiscretePolicy):
    """A multilayer perceptron on one-hot states, evaluated once for all states.

    Args:
        game: a finite game, the view of one, or its numbers of states and leader actions.
        hidden: widths of the hidden layers.
        seed: of the initial weights (Xavier-uniform; the last layer starts at zero, so that the
            first commitment is the uniform policy).
    """

    def __init__(self, game: Sized, hidden: Sequence[int] = (64, 64), seed: int = 0) -> None:
        super().__init__()
        self.states, self.actions = _sizes(game)
        self.hidden = tuple(hidden)
        self.network = perceptron([self.states, *hidden, self.actions], seed)
        self.register_buffer("inputs", torch.eye(self.states, dtype=torch.float64), persistent=False)

    def describe(self) -> dict[str, Any]:
        """Class, sizes and hidden widths."""
        return {**super().describe(), "hidden": list(self.hidden)}

    def log_probabilities(self) -> Tensor:
        """Log-softmax of the network's outputs in every state, ``[S, A]``."""
        return torch.log_softmax(self.network(self.inputs), dim=1)


def perceptron(widths: Sequence[int], seed: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """A float64 multilayer perceptron, Xavier-uniform but for the last layer, which starts at zero.

    Args:
        widths: of the inputs, the hidden layers and the outputs.
        seed: of the weights.
        activation: between the layers.
    """
    layers: list[nn.Module] = []
    source = torch.Generator().manual_seed(seed)
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        layer = nn.Linear(inputs, outputs, dtype=torch.float64)
        nn.init.zeros_(layer.bias)
        last = index == len(widths) - 2
        nn.init.zeros_(layer.weight) if last else nn.init.xavier_uniform_(layer.weight, generator=source)
        layers += [layer] if last else [layer, activation()]
    return nn.Sequential(*layers)


class Configuration(Commitment):
    """A per-episode configuration, with an optional per-stage policy beside it.

    Args:
        parameters: initial parameters, any shape.
        transform: from parameters to configuration (the parametrisation: sigmoid, softmax over a
            budget, ...); the identity if not given.
        policy: the per-stage policy; None where the leader has a single action.
        states: number of states, needed only without ``policy``.
    """

    def __init__(
        self,
        parameters: ArrayLike,
        transform: Callable[[Tensor], Tensor] | None = None,
        policy: DiscretePolicy | None = None,
        states: int = 1,
    ) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.as_tensor(parameters, dtype=torch.float64).clone())
        self.transform = transform
        self.policy = policy
        self.states = states

    def describe(self) -> dict[str, Any]:
        """Class, shape of the parameters, parametrisation, and the policy beside it."""
        named = {"name": getattr(self.transform, "__name__", type(self.transform).__name__)}
        transform = None if self.transform is None else getattr(self.transform, "describe", lambda: named)()
        policy = None if self.policy is None else self.policy.describe()
        return {
            **super().describe(),
            "shape": list(self.weights.shape),
            "transform": transform,
            "policy": policy,
            "states": self.states,
        }

    def configuration(self) -> Tensor:
        """The configuration, a float64 tensor."""
        return self.weights if self.transform is None else self.transform(self.weights)

    def probabilities(self) -> Tensor:
        """Action probabilities ``[S, A]``; a single sure action without a policy."""
        if self.policy is None:
            return torch.ones(self.states, 1, dtype=torch.float64)
        return self.policy.probabilities()

    def sample(self, states: Any, streams: Streams, stage: int) -> IntArray:
        """Leader actions, int64 ``[N]``."""
        if self.policy is None:
            return np.zeros(len(states), dtype=np.int64)
        return self.policy.sample(states, streams, stage)


def flatten(commitment: nn.Module) -> Tensor:
    """All trainable parameters as one detached vector."""
    return nn.utils.parameters_to_vector(commitment.parameters()).detach().clone()


def assign(commitment: nn.Module, vector: Tensor) -> None:
    """Write a vector from ``flatten`` back into the parameters."""
    with torch.no_grad():
        nn.utils.vector_to_parameters(vector.clone(), commitment.parameters())


def restore(description: Mapping[str, Any]) -> Commitment:
    """An object as ``Commitment.describe`` described it, with fresh parameters.

    Raises:
        CheckpointError: the class is not one of this package's own; give an object to load into.
    """
    sizes = tuple(description.get("sizes", ()))
    if description["class"] == "TabularPolicy":
        return TabularPolicy((sizes[0], sizes[1]))
    if description["class"] == "MLPPolicy":
        return MLPPolicy((sizes[0], sizes[1]), description["hidden"])
    if description["class"] in ("LinearGaussianPolicy", "SquashedPolicy", "TabularActions"):
        from stackelberg_games.linear.gaussian import rebuild

        return rebuild(description)
    if description["class"] in ("MLPCategoricalPolicy", "MLPGaussianPolicy"):
        from stackelberg_games.neural.policy import rebuild

        return rebuild(description)
    if description["class"] == "Configuration":
        return _rebuild(description)
    raise CheckpointError(f"cannot rebuild a {description['class']} by itself; pass `commitment` to load into")


def _rebuild(description: Mapping[str, Any]) -> Configuration:
    from stackelberg_games.configurable.parametrisation import parametrisation

    transform, policy = description["transform"], description["policy"]
    beside = None if policy is None else restore(policy)
    if not (beside is None or isinstance(beside, DiscretePolicy)):
        raise CheckpointError(
            f"a configuration has a {policy['class']} beside it: expected a policy over finite actions"
        )
    found = None if transform is None else parametrisation(transform)
    return Configuration(np.zeros(description["shape"]), found, beside, description["states"])


def _sizes(game: Sized) -> tuple[int, int]:
    if isinstance(game, tuple):
        return game
    view = game if isinstance(game, LeaderView) else require_game(game).view()
    states, actions, _ = view.sizes()
    return states, actions

"""A network as the policy of a finite game."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.perceptron import perceptron
from stackelberg_games.commitments.tabular import DiscretePolicy, FiniteSized, pulled
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.numerics.randomness import check_seed
from stackelberg_games.numerics.threads import in_own_modes
from stackelberg_games.rules.commitment import add_gradient


class MLPPolicy(DiscretePolicy):
    """A multilayer perceptron on one-hot states, or on one-hot observations where the leader sees less; evaluated once for all.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("discrete_toy-v0")
        >>> policy = sg.MLPPolicy(game, hidden=[16], seed=0)
        >>> policy.probabilities().tolist()
        [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]
        >>> run = sg.train(
        ...     game,
        ...     "bchg",
        ...     "soft_value_iteration",
        ...     commitment=policy,
        ...     iterations=2,
        ...     progress=False,
        ... )
        >>> type(run.commitment).__name__
        'MLPPolicy'

    Args:
        game: a finite game, the view of one, or its numbers of states and leader actions.
        hidden: widths of the hidden layers.
        seed: of the initial weights (Xavier-uniform; the last layer starts at zero, so that the
            first commitment is the uniform policy).
    """

    draws = False

    @in_own_modes
    def __init__(self, game: FiniteSized, hidden: Sequence[int] = (64, 64), seed: int = 0) -> None:
        super().__init__()
        inputs = self.size(game).rows
        if isinstance(hidden, str) or not isinstance(hidden, Sequence):
            raise InvalidArgumentError(f"hidden={checks.shown(hidden)}: expected a list of integers >= 1")
        self.hidden = tuple(checks.integer("width of a hidden layer", width, 1) for width in hidden)
        self.network = perceptron([inputs, *self.hidden, self.actions], check_seed(seed))

    def describe(self) -> dict[str, Any]:
        """Class, sizes and hidden widths."""
        return {**super().describe(), "hidden": list(self.hidden)}

    def pull(self, weights: FloatArray) -> None:
        """See ``DiscretePolicy.pull``; by hand, for torch takes longer to note down what happens than it takes."""
        kinds = [type(layer) for layer in self.network]  # somebody may have put in others
        usual = kinds == [nn.Linear, *[nn.ReLU, nn.Linear] * (len(kinds) // 2)]
        if not usual or type(self).log_probabilities is not MLPPolicy.log_probabilities:
            return super().pull(weights)
        layers: list[Any] = list(self.network)[::2]
        kernels = [layer.weight.detach().numpy() for layer in layers]
        shifts = [layer.bias.detach().numpy() for layer in layers]
        outputs = [np.ascontiguousarray(kernels[0].T) + shifts[0]]
        for kernel, shift in zip(kernels[1:], shifts[1:], strict=True):
            outputs.append(np.maximum(outputs[-1], 0.0) @ kernel.T + shift)
        owed = pulled(outputs.pop(), weights, self.row_of)
        while outputs:
            layer, before = layers.pop(), outputs.pop()
            add_gradient(layer.weight, owed.T @ np.maximum(before, 0.0))
            add_gradient(layer.bias, owed.sum(axis=0))
            owed = (owed @ kernels[len(layers)]) * (before > 0)
        add_gradient(layers[0].weight, owed.T)
        return add_gradient(layers[0].bias, owed.sum(axis=0))

    def log_probabilities(self) -> Tensor:
        """Log-softmax of the network's outputs in every state, ``[S, A]``."""
        layers: list[Any] = list(self.network)
        first, *rest = layers
        made = first.weight.T + first.bias  # of every one-hot vector
        outputs = made.contiguous()  # gradients take five times as long where rows are columns in memory
        for layer in rest:
            outputs = layer(outputs)
        return self.spread(torch.log_softmax(outputs, dim=1))

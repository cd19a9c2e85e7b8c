"""A network as the policy of a finite game."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.commitments.perceptron import perceptron
from stackelberg_games.commitments.tabular import DiscretePolicy, FiniteSized
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.numerics.randomness import check_seed
from stackelberg_games.numerics.threads import in_own_modes


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

    def log_probabilities(self) -> Tensor:
        """Log-softmax of the network's outputs in every state, ``[S, A]``."""
        layers: list[Any] = list(self.network)
        first, *rest = layers
        made = first.weight.T + first.bias  # of every one-hot vector
        outputs = made.contiguous()  # gradients take five times as long where rows are columns in memory
        for layer in rest:
            outputs = layer(outputs)
        return self.spread(torch.log_softmax(outputs, dim=1))

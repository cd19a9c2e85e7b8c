"""Perceptrons fitted to rows of data by Adam, with standardised inputs and targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.commitments.perceptron import perceptron
from stackelberg_games.numerics.adam import Adam

HIDDEN = (64, 64)
LEARNING_RATE = 2e-3


class Scale:
    """Running mean and deviation of columns.

    Args:
        columns: their number.
    """

    def __init__(self, columns: int) -> None:
        self.sums: FloatArray = np.zeros((3, columns))
        """Count, sum and sum of squares of every column."""

    def see(self, rows: FloatArray) -> None:
        """Take in rows ``[K, columns]``."""
        self.sums = self.sums + np.stack([np.full(rows.shape[1], len(rows)), rows.sum(axis=0), (rows**2).sum(axis=0)])

    def moments(self) -> tuple[FloatArray, FloatArray]:
        """Mean and deviation, 0 and 1 before anything was seen; a constant column has deviation 1."""
        count = np.maximum(self.sums[0], 1.0)
        mean = self.sums[1] / count
        variance = self.sums[2] / count - mean**2
        constant = variance <= 1e-12 * np.maximum(mean**2, 1e-12)
        return mean, np.where(constant, 1.0, np.sqrt(np.maximum(variance, 0.0)))


class Network:
    """A tanh perceptron on standardised inputs, and its optimiser.

    Args:
        inputs, outputs: their numbers.
        seed: of the weights; the outputs start at zero.
    """

    def __init__(self, inputs: int, outputs: int, seed: int) -> None:
        self.layers = perceptron([inputs, *HIDDEN, outputs], seed, nn.Tanh).float()
        self.optimizer = Adam(self.layers.parameters(), LEARNING_RATE, fused=False)
        self.inputs = Scale(inputs)

    def standardised(self, rows: FloatArray) -> Tensor:
        """The network's inputs for rows ``[..., inputs]``, float32."""
        mean, deviation = self.inputs.moments()
        return torch.from_numpy(((rows - mean) / deviation).astype(np.float32))

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Outputs ``[..., outputs]``, float64."""
        with torch.no_grad():
            return np.asarray(self.layers(self.standardised(rows)).double().numpy())

    def descend(self, rows: FloatArray, loss: Callable[[Tensor, Tensor], Tensor], picks: IntArray) -> None:
        """Adam steps on minibatches.

        Args:
            rows: inputs, ``[K, inputs]``.
            loss: of the outputs for the picked rows, and the rows' numbers.
            picks: numbers of the rows of every step, ``[steps, size]``.
        """
        inputs = self.standardised(rows)
        for numbers in torch.from_numpy(picks):
            self.optimizer.zero_grad()
            loss(self.layers(inputs[numbers]), numbers).backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimiser and scales."""
        return {
            "layers": dict(self.layers.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "inputs": self.inputs.sums,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a stored state."""
        self.layers.load_state_dict(state["layers"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.inputs.sums = np.array(state["inputs"])


class Regressor:
    """Least squares of one number on a row.

    Args:
        inputs: numbers in a row.
        seed: of the weights; predicts the mean of the targets before its first step.
    """

    def __init__(self, inputs: int, seed: int) -> None:
        self.network, self.targets = Network(inputs, 1, seed), Scale(1)

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Predictions ``[...]`` for rows ``[..., inputs]``."""
        mean, deviation = self.targets.moments()
        return np.asarray(mean[0] + deviation[0] * self.network(rows)[..., 0])

    def see(self, rows: FloatArray, targets: FloatArray) -> None:
        """Count new rows ``[K, inputs]`` and targets ``[K]`` into the scales."""
        self.network.inputs.see(rows)
        self.targets.see(targets[:, None])

    def fit(self, rows: FloatArray, targets: FloatArray, picks: IntArray) -> None:
        """Descend on the squared error; see ``Network.descend``."""
        mean, deviation = self.targets.moments()
        wanted = torch.from_numpy(((targets - mean[0]) / deviation[0]).astype(np.float32))
        self.network.descend(rows, lambda out, numbers: (out[:, 0] - wanted[numbers]).square().mean(), picks)

    def state_dict(self) -> dict[str, Any]:
        """Network and scale."""
        return {"network": self.network.state_dict(), "targets": self.targets.sums}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a stored state."""
        self.network.load_state_dict(state["network"])
        self.targets.sums = np.array(state["targets"])

"""Multilayer perceptrons in double precision."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


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

"""What one stage does, fitted to everything that was observed: a network for the next state, both rewards and the end.

None of it moves with the commitment, so nothing that was observed fades.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.perceptron import perceptron
from stackelberg_games.numerics.adam import Adam
from stackelberg_games.numerics.randomness import generator

HIDDEN, ROWS = (128, 128), 256
RATES = (3e-3, 5e-5)
"""Of Adam, at the first and at the last step after every batch."""


class Transitions(NamedTuple):
    """What happened in K stages, as vectors.

    Attributes:
        states, leader, follower: before the stage, ``[K, n]``, ``[K, k]`` and ``[K, m]``.
        next_states: ``[K, n]``.
        leader_rewards, follower_rewards: ``[K]``.
        ended: 1 where the stage was the last by its own doing, ``[K]``.
    """

    states: FloatArray
    leader: FloatArray
    follower: FloatArray
    next_states: FloatArray
    leader_rewards: FloatArray
    follower_rewards: FloatArray
    ended: FloatArray

    @property
    def rows(self) -> FloatArray:
        """Inputs of the network, ``[K, n + k + m]``."""
        return np.concatenate(self[:3], axis=1)

    def __len__(self) -> int:
        return len(self.states)


class World:
    """The network and its data.

    Args:
        sizes: numbers in the vectors of a state, a leader action and a follower action.
        seed: of weights and minibatches.
    """

    def __init__(self, sizes: tuple[int, int, int], seed: int) -> None:
        self.seed, self.count = seed, 0
        self.seen = Transitions(*(np.zeros((0, size)) for size in (*sizes, sizes[0])), *(np.zeros(0) for _ in range(3)))
        outputs = sizes[0] + 3  # the change of state, both rewards, and the logit of the end
        self.layers = perceptron([sum(sizes), *HIDDEN, outputs], seed, nn.SiLU).float()
        self.optimizer = Adam(self.layers.parameters(), RATES[0])

    def observe(self, new: Transitions, steps: int) -> None:
        """Add stages and descend on the error of all; twice as many steps the first time."""
        self.seen = Transitions(*(np.concatenate(parts) for parts in zip(self.seen, new, strict=True)))
        self._scale()
        inputs, targets = self._inputs(self.seen.rows), self._targets()
        ended = torch.from_numpy(self.seen.ended.astype(np.float32))
        ends = bool(ended.any())
        source = generator(self.seed, 9, self.count)
        picks = torch.from_numpy(source.integers(len(inputs), size=(steps * (1 if self.count else 2), ROWS)))
        for number, numbers in enumerate(picks):
            self.optimizer.learning_rate = RATES[0] * (RATES[1] / RATES[0]) ** (number / len(picks))
            self.optimizer.zero_grad()
            out = self.layers(inputs[numbers])
            loss = (out[:, :-1] - targets[numbers]).square().mean()
            if ends:
                loss = loss + nn.functional.binary_cross_entropy_with_logits(out[:, -1], ended[numbers])
            loss.backward()
            self.optimizer.step()
        self.count += 1

    def predict(self, states: FloatArray, leader: FloatArray, follower: FloatArray) -> Transitions:
        """Means of what a stage leads to, rewards not beyond those seen; ``ended`` is the probability."""
        with torch.no_grad():
            out = self.layers(self._inputs(np.concatenate([states, leader, follower], axis=1))).double()
        found = out[:, :-1].numpy() * self._outputs[1] + self._outputs[0]
        ended = torch.sigmoid(out[:, -1]).numpy() if self.seen.ended.any() else np.zeros(len(states))
        earned, paid = (
            np.clip(found[:, column], rewards.min(), rewards.max())
            for column, rewards in ((-2, self.seen.leader_rewards), (-1, self.seen.follower_rewards))
        )
        return Transitions(states, leader, follower, states + found[:, :-2], earned, paid, ended)

    def _scale(self) -> None:
        self._scales, self._outputs = _moments(self.seen.rows), _moments(self._changes())

    def _changes(self) -> FloatArray:
        seen = self.seen
        rewards = np.stack([seen.leader_rewards, seen.follower_rewards], axis=1)
        return np.concatenate([seen.next_states - seen.states, rewards], axis=1)

    def _inputs(self, rows: FloatArray) -> Tensor:
        return torch.from_numpy(((rows - self._scales[0]) / self._scales[1]).astype(np.float32))

    def _targets(self) -> Tensor:
        return torch.from_numpy(((self._changes() - self._outputs[0]) / self._outputs[1]).astype(np.float32))

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimiser and data."""
        weights = {"layers": dict(self.layers.state_dict()), "optimizer": self.optimizer.state_dict()}
        return {**weights, "count": self.count, "seen": list(self.seen)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a stored state."""
        self.layers.load_state_dict(state["layers"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.count, self.seen = int(state["count"]), Transitions(*(np.array(part) for part in state["seen"]))
        if self.count:
            self._scale()


def _moments(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and deviation of columns; 1 for a constant one."""
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    return mean, np.where(deviation <= 1e-6 * np.maximum(np.abs(mean), 1e-6), 1.0, deviation)

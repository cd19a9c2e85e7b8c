"""A follower's response as a network that is told what the leader has committed to."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.commitments.perceptron import perceptron
from stackelberg_games.numerics.adam import Adam
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.play.rollout import TabularResponse
from stackelberg_games.rules.commitment import Commitment, assign, flatten
from stackelberg_games.rules.view import LeaderView

SPREADS = (0.5, 2.0, 8.0)
"""Deviations of the parameters of random leaders: from near the middle to the corners."""

PROBES = 256
"""Random leaders that the scale of what they answer is read off."""


class ContextualFollower:
    """g(b | s, a, z): a perceptron on the state, the action where it is seen, and z, what the leader answers when queried.

    The leader is queried in every state; where it only configures, z is the configuration.

    Args:
        view: of a finite game.
        commitment: of the class of leaders.
        hidden: widths of the layers.
        rate: of Adam.
        seed: of the weights and of the random leaders.
    """

    def __init__(self, view: LeaderView, commitment: Commitment, hidden: Sequence[int], rate: float, seed: int) -> None:
        self.view, self.template, self.random = view, copy.deepcopy(commitment), generator(seed, 9)
        self.states, self.actions, self.replies = view.sizes()
        self.seen = self.actions if view.follower_sees_action else 1
        with torch.no_grad():
            answers = torch.stack([self._raw(self.leader()) for _ in range(PROBES)])
        self.centre, self.scale = answers.mean(dim=0), answers.std(dim=0).clamp_min(1e-6)
        inputs = self.states + self.seen + len(self.centre)
        self.network = perceptron([inputs, *hidden, self.replies], seed, torch.nn.Tanh)
        self.optimizer = Adam(self.network.parameters(), rate, maximize=True, fused=False)
        cells = torch.cartesian_prod(torch.arange(self.states), torch.arange(self.seen)).reshape(-1, 2)
        self.cells = torch.cat(
            [torch.eye(size, dtype=torch.float64)[cells[:, k]] for k, size in enumerate((self.states, self.seen))],
            dim=1,
        )

    def leader(self) -> Commitment:
        """A random leader."""
        made, size = copy.deepcopy(self.template), len(flatten(self.template))
        assign(made, torch.from_numpy(self.random.choice(SPREADS) * self.random.normal(size=size)))
        return made

    def _raw(self, commitment: Commitment) -> Tensor:
        configuration = commitment.configuration()
        acted = commitment.probabilities().ravel()
        return (
            acted if configuration is None else torch.cat([configuration, acted]) if self.actions > 1 else configuration
        )

    def logits(self, commitment: Commitment) -> Tensor:
        """Of the response to a leader, ``[S, A or 1, B]``, differentiable in the leader and in the network."""
        context = (self._raw(commitment) - self.centre) / self.scale
        rows = torch.cat([self.cells, context.expand(len(self.cells), -1)], dim=1)
        return torch.as_tensor(self.network(rows).reshape(self.states, self.seen, self.replies))

    def response(self, commitment: Commitment) -> TabularResponse:
        """The response to a leader, to be played."""
        with torch.no_grad():
            table = torch.softmax(self.logits(commitment), dim=2).expand(-1, self.actions, -1)
        return TabularResponse(np.ascontiguousarray(table.numpy()))

    def climb(self, objective: Tensor) -> None:
        """One step of Adam up a scalar."""
        self.optimizer.zero_grad()
        objective.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """Network, optimiser and random numbers."""
        return {
            "network": dict(self.network.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "random": self.random.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore them."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.random.bit_generator.state = state["random"]

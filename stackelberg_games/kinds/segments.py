"""All segments of a finite MDP, those with equal visit counts merged.

What a segment is worth depends on its counts alone, and what a follower makes of a segment on its path. So paths are
merged as they are extended: a layer has one node for each state and counts that some path reaches, and an edge for each
way to go on. Probabilities of the final counts are then sums along the layers, differentiable in the policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.errors import InvalidGameError

MOST = 4000
"""Groups whose pairs are still looked at one by one."""


class _Layer(NamedTuple):
    """Edges into a layer: from which node, by which action of which state, how likely, into which of how many nodes."""

    parents: Tensor
    actions: Tensor
    chances: Tensor
    children: Tensor
    size: int


@dataclass(frozen=True)
class Segments:
    """The segments of H stages from the first states of an MDP.

    Attributes:
        counts: how often each group of segments visits each cell, ``[G, C]``.
    """

    counts: FloatArray
    _starts: Tensor
    _layers: tuple[_Layer, ...]

    @classmethod
    def of(cls, transition: FloatArray, initial: FloatArray, cells: IntArray, stages: int) -> Segments:
        """Enumerate them.

        Args:
            transition: ``[S, B, S]``.
            initial: ``[S]``.
            cells: the cell that an action in a state visits, ``[S, B]``.
            stages: H >= 1.

        Raises:
            InvalidGameError: there are more than ``MOST`` groups.
        """
        moves = [np.argwhere(table > 0) for table in transition]  # of every state, rows (b, s')
        states = np.flatnonzero(initial)
        counts = np.zeros((len(states), int(cells.max()) + 1), dtype=np.int16)
        starts, layers = torch.from_numpy(initial[states]), []
        for stage in range(stages):
            parents = np.repeat(np.arange(len(states)), [len(moves[s]) for s in states])
            actions, following = np.concatenate([moves[s] for s in states]).T
            here = states[parents]
            reached = counts[parents]
            reached[np.arange(len(parents)), cells[here, actions]] += 1
            last = stage == stages - 1
            keys = reached if last else np.column_stack([following, reached])
            found, children = np.unique(keys, axis=0, return_inverse=True)
            if len(found) > MOST:
                raise InvalidGameError(
                    f"segments of {stages} stages fall into more than {MOST} groups of equal visits: shorten them, or "
                    "let fewer cells be told apart"
                )
            index = torch.from_numpy(here * transition.shape[1] + actions)
            layers.append(
                _Layer(
                    torch.from_numpy(parents),
                    index,
                    torch.from_numpy(transition[here, actions, following]),
                    torch.from_numpy(children.ravel()),
                    len(found),
                )
            )
            states, counts = (states, found) if last else (found[:, 0].astype(np.int64), found[:, 1:])
        return cls(counts.astype(np.float64), starts, tuple(layers))

    def probabilities(self, response: Tensor) -> Tensor:
        """How likely each group is under a policy ``[S, B]``, ``[G]``; differentiable, rows need not be normalised."""
        chances, policy = self._starts, response.reshape(-1)
        for layer in self._layers:
            flow = chances[layer.parents] * policy[layer.actions] * layer.chances
            chances = torch.zeros(layer.size, dtype=torch.float64).index_add(0, layer.children, flow)
        return chances


def pair_losses(differences: Tensor, chances: Any) -> Tensor:
    """Expected logistic loss of a label: softplus(D) - p D, for D of the leader's reward and p of the judge's."""
    return torch.nn.functional.softplus(differences) - torch.as_tensor(chances) * differences

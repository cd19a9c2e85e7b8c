"""State aggregation by prototypes (Singh, Jaakkola and Jordan, 1995, with hard clusters).

Vectors count as the nearest of some points. The first batch supplies these, each as far as possible from those before.
"""

from __future__ import annotations

import gymnasium
import numpy as np

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.representations.aggregated import Aggregated, Cells
from stackelberg_games.representations.finite import Finite
from stackelberg_games.representations.protocol import Needs
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView

TIE = 1e-9
"""Squared distances, in scaled coordinates, that count as the same: on a grid many are, and their rounding is the processor's."""


class Nearest(Cells):
    """The cells of the points nearest to them."""

    def chosen(self, vectors: FloatArray) -> FloatArray:
        """The first vector, then always the one farthest from all so far."""
        numbers, distance = [0], np.full(len(vectors), np.inf)
        while len(numbers) < self.size:
            distance = np.minimum(distance, np.square(vectors - vectors[numbers[-1]]).sum(axis=1))
            numbers.append(int((distance >= distance.max() - TIE).argmax()))
        return vectors[numbers]

    def numbers(self, vectors: FloatArray) -> IntArray:
        """See ``Cells.numbers``."""
        distance = (
            np.square(self.points).sum(axis=1) - 2 * vectors @ self.points.T
        )  # less what is the same for all points
        return np.asarray((distance <= distance.min(axis=-1, keepdims=True) + TIE).argmax(axis=-1))


class Prototypes(Aggregated):
    """Counts of prototypes, where the leader acts at every stage.

    Args:
        view, commitment, needs, seed: see ``Representation``.
        states, replies: prototypes of states and of the follower's actions, where these are vectors; >= 2.
        memory: see ``Finite``.

    Raises:
        InvalidArgumentError: a setting is out of range.
        UnsupportedGameError: see ``Aggregated``; or another space is neither a flat Box nor Discrete.
    """

    def __init__(
        self,
        view: LeaderView,
        commitment: Commitment,
        needs: Needs,
        seed: int = 0,
        *,
        states: int = 64,
        replies: int = 9,
        memory: float = 0.8,
    ) -> None:
        if min(states, replies) < 2:
            raise InvalidArgumentError(f"states={states!r}, replies={replies!r}: expected integers >= 2")
        cells = Nearest(view.state_space, states), Nearest(view.follower_action_space, replies)
        super().__init__(view, commitment, needs, seed, cells, memory=memory)

    @classmethod
    def settings(cls, view: LeaderView, needs: Needs) -> tuple[str, ...]:
        """``states`` and ``replies`` where they are vectors, and those of ``Finite``."""
        spaces = {"states": view.state_space, "replies": view.follower_action_space}
        own = [name for name, space in spaces.items() if isinstance(space, gymnasium.spaces.Box)]
        return (*own, *Finite.settings(view, needs))

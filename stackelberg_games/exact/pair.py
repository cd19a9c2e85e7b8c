"""Both players' policies in a finite game, and what follows from the two of them: made once, for all who ask."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from stackelberg_games.arrays import FloatArray
from stackelberg_games.exact.chain_system import ChainSystem
from stackelberg_games.exact.response import Arrays, System
from stackelberg_games.numerics.averages import joint_averages


class Pair:
    """The leader's policy and a response to it.

    Args:
        arrays: the game under the leader's policy.
        response: g, ``[S, A, B]``.
    """

    def __init__(self, arrays: Arrays, response: FloatArray) -> None:
        self.arrays, self.response = arrays, response
        self._systems: dict[float, System] = {}

    @cached_property
    def joint(self) -> FloatArray:
        """See ``Arrays.joint``."""
        return self.arrays.joint(self.response)

    def average(self, table: FloatArray) -> FloatArray:
        """Expectation of a table ``[S, A, B]``, ``[S]``; zero where terminal."""
        return np.asarray(joint_averages(self.joint, table))

    def system(self, discount: float) -> System:
        """See ``Arrays.system``."""
        if discount not in self._systems:
            self._systems[discount] = self.arrays.system(self.response, discount)
        return self._systems[discount]

    @cached_property
    def leader_values(self) -> FloatArray:
        """The leader's, ``[S]``, where its play does not end."""
        return self.system(self.arrays.leader_discount).solve(self.average(self.arrays.leader_reward))

    def follower_values(self, reward: FloatArray, *, beside: bool) -> FloatArray:
        """What the follower gets from every state on, ``[S]``.

        Args:
            reward: of a stage in each state, ``[S]``.
            beside: whether ``leader_values`` are needed too, which may be had by the way.
        """
        system = self.system(self.arrays.follower_discount)
        alike = self.arrays.follower_discount == self.arrays.leader_discount
        if not (beside and alike and isinstance(system, ChainSystem)):
            return system.solve(reward)
        found, self.leader_values = system.solve_both(reward, self.average(self.arrays.leader_reward))
        return found

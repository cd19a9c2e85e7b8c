"""Algorithms that evaluate responses of their own making in the game as it was counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.exact.players import log_policy
from stackelberg_games.learning.registry import id_of
from stackelberg_games.representations.algorithm import Algorithm
from stackelberg_games.representations.protocol import Needs
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView


@dataclass
class CountingAlgorithm(Algorithm):
    """An algorithm that asks for both players' returns under responses of its own; see ``Algorithm`` for its settings."""

    needs_follower_rewards: ClassVar[bool] = True
    needs_temperature: ClassVar[bool] = True
    estimates_temperature: ClassVar[bool] = False

    @property
    def needs(self) -> Needs:
        """Both players' returns."""
        return Needs(players=True)

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Algorithm.begin``.

        Raises:
            UnsupportedGameError: the game is not learned as counts.
        """
        super().begin(view, seed=seed, commitment=commitment)
        if self.learned.name != "finite":
            raise UnsupportedGameError(
                f"{id_of('leader', self)} counts the game (representation finite), and this one is learned as "
                f"{self.learned.name}; bchg plays it"
            )


def logits_of(counts: FloatArray) -> Tensor:
    """Logarithms of the policy that counts ``[S, A, B]`` describe."""
    return log_policy(counts / counts.sum(axis=2, keepdims=True))

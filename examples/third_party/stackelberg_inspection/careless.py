"""A follower that best-responds, but slips now and then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stackelberg_games import Follower, Game, TabularResponse
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.exact.objective import best_response
from stackelberg_games.learning.follower import Answer, finite
from stackelberg_games.rules.commitment import Commitment


@dataclass
class Careless(Follower):
    """Plays a nearly hard best response, and a random action with a small probability.

    Args:
        slip: probability of a random action, in [0, 1].
        temperature: of the response, and what leaders are told, > 0.
    """

    slip: float = 0.05
    temperature: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.slip <= 1 or not self.temperature > 0:
            raise InvalidArgumentError(
                f"slip={self.slip!r}, temperature={self.temperature!r}: expected [0, 1] and a number > 0"
            )

    def respond(self, game: Game, commitment: Commitment) -> Answer:
        """Plan with the model of the game, then slip."""
        planned = best_response(finite(game, self), commitment, self.temperature).policy
        return Answer(TabularResponse((1 - self.slip) * np.asarray(planned) + self.slip / planned.shape[-1]))

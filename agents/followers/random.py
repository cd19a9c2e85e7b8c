"""A follower that plays uniformly at random whatever the commitment."""

from __future__ import annotations

from dataclasses import dataclass

from stackelberg_games.kinds.game import Game
from stackelberg_games.learning.follower import Answer, FiniteFollower, finite
from stackelberg_games.play.rollout import TabularResponse
from stackelberg_games.rules.commitment import Commitment


@dataclass
class RandomFollower(FiniteFollower):
    """Uniform over its actions."""

    def respond(self, game: Game, commitment: Commitment) -> Answer:
        """The uniform policy."""
        return Answer(TabularResponse.uniform(finite(game, self)))

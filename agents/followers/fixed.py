"""A follower that plays one policy whatever the commitment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.kinds.game import Game
from stackelberg_games.learning.follower import Answer, FiniteFollower, finite
from stackelberg_games.play.rollout import TabularResponse
from stackelberg_games.rules.commitment import Commitment


@dataclass
class FixedFollower(FiniteFollower):
    """Plays a given table.

    Args:
        probabilities: ``[S, A, B]``; always the first action if empty.
    """

    probabilities: Sequence[Sequence[Sequence[float]]] = ()

    def respond(self, game: Game, commitment: Commitment) -> Answer:
        """The given policy.

        Raises:
            InvalidArgumentError: its shape does not fit the game.
        """
        game = finite(game, self)
        shape = (game.states, game.leader_actions, game.follower_actions)
        table = np.zeros(shape)
        table[..., 0] = 1.0
        if len(self.probabilities):
            table = np.asarray(self.probabilities, dtype=np.float64)
        if table.shape != shape:
            raise InvalidArgumentError(f"probabilities of shape {table.shape}: this game needs {shape}")
        return Answer(TabularResponse(table))

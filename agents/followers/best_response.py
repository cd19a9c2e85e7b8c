"""Hard best response by policy iteration (the classical Stackelberg follower)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.exact.hard_response import Ties, hard_response
from stackelberg_games.exact.objective import best_response
from stackelberg_games.exact.response import Arrays
from stackelberg_games.kinds.game import Game
from stackelberg_games.kinds.population import PopulationGame
from stackelberg_games.learning.follower import Answer, FiniteFollower, finite
from stackelberg_games.play.rollout import TabularResponse
from stackelberg_games.rules.commitment import Commitment


@dataclass
class BestResponse(FiniteFollower):
    """Plans with the model of the game and never errs.

    Args:
        ties: among best responses, the one best for the leader (strong Stackelberg), the first in
            index order, or the one worst for the leader (weak Stackelberg).
    """

    ties: Ties = "leader"

    def __post_init__(self) -> None:
        if self.ties not in ("leader", "first", "against"):
            raise InvalidArgumentError(f"ties={self.ties!r}: expected 'leader', 'first' or 'against'")

    def begin(self, game: Game, *, seed: int = 0) -> None:
        """See ``Follower.begin``."""
        super().begin(game, seed=seed)
        game.check_temperature(0.0)
        if isinstance(game, PopulationGame) and self.ties != "leader":
            raise UnsupportedGameError(
                f"ties={self.ties!r}: how members of a population choose among equally good choices follows from what "
                f"others choose; in {game.name} leave ties as they are"
            )

    def respond(self, game: Game, commitment: Commitment) -> Answer:
        """A deterministic best response."""
        game = finite(game, self)
        if self.ties == "leader":
            solved = best_response(game, commitment, 0.0)
            return Answer(TabularResponse(solved.policy), solved)
        with torch.no_grad():
            solved = hard_response(Arrays.of(game, game.model(commitment)), self.ties)
        return Answer(TabularResponse(solved.policy), solved)

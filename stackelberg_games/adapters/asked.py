"""Policies that people have as response policies: asked for every action, in any game."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stackelberg_games.adapters.policies import ask
from stackelberg_games.adapters.spaces import Moves
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import FollowerError
from stackelberg_games.faces.shown import shown
from stackelberg_games.kinds.game import Game
from stackelberg_games.numerics.containing import contained
from stackelberg_games.numerics.randomness import Lane, Streams
from stackelberg_games.rules.scene import FOLLOWER


@dataclass(frozen=True)
class PolicyResponse:
    """A policy object (see ``policies.ask``) that answers what ``best_response_env`` shows.

    Args:
        policy: who is asked.
        game: which it plays.
        deterministic: whether its likeliest action is played; else it draws, on random numbers of the episode.
        configuration: of the commitment that it answers, if that has one.
    """

    policy: Any
    game: Game
    deterministic: bool = True
    configuration: FloatArray | None = None

    def sample(self, states: Any, leader_actions: Any, streams: Streams, stage: int) -> Any:
        """Actions for states ``[N, ...]`` and the leader actions it observes."""
        found = self.reply(shown(self.game, states, leader_actions, self.configuration), streams, stage)
        moves = Moves(FOLLOWER, self.game.follower_action_space)
        return np.stack([np.asarray(moves.decode(action)) for action in found])

    def reply(self, observations: Any, streams: Streams, stage: int, masks: Any = None) -> list[Any]:
        """Actions, as ints or flat vectors, for observations ``[N, ...]`` and masks ``[N, n]``.

        Raises:
            FollowerError: the policy raised an error.
            InvalidActionError: it answered something that is not an action, or is forbidden.
        """
        moves = Moves(FOLLOWER, self.game.follower_action_space)
        asked = ask(self.policy, moves, self.deterministic)
        seeds = (streams.uniform(Lane.FOLLOWER, stage)[:, 0] * 2**31).astype(np.int64)
        found = []
        for row, seed in enumerate(seeds):
            mask = None if masks is None else masks[row]
            try:
                if self.deterministic:
                    found.append(asked(observations[row], mask))
                else:
                    with contained(int(seed)):
                        found.append(asked(observations[row], mask))
            except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError) as error:
                raise FollowerError(f"the follower's policy raised {type(error).__name__}: {error}") from error
        return found

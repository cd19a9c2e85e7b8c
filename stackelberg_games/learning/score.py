"""What a commitment earns against a follower that has settled on it, beside one that is still on its way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.kinds.game import Game
from stackelberg_games.learning.follower import Follower
from stackelberg_games.play.rollout import rollout
from stackelberg_games.rules.commitment import Commitment

CLOSE = 2.0
"""Standard errors of the paired difference by which two responses may differ and still count as the same."""

LEAST = 4
"""Responses of a follower that learns by playing before it is asked whether it has settled."""


@dataclass(frozen=True)
class Score:
    """The leader's discounted return from played episodes.

    Attributes:
        value: mean against the follower's last response.
        standard_error: of ``value``.
        moment: mean against its first response, the same episodes played.
        responses: how many it gave to the same commitment.
        settled: whether the last one earned the leader what one half as old did, up to noise.
        follower_transitions: stages that it played on its own for them.
        episodes: played against each.
    """

    value: float
    standard_error: float
    moment: float
    responses: int
    settled: bool
    follower_transitions: int
    episodes: int


def score(
    game: Game, commitment: Commitment, follower: Follower, *, episodes: int = 400, responses: int = 20, seed: int = 0
) -> Score:
    """Let a follower respond to the same commitment until it has settled, and play.

    It has settled where the last response and one half as old earn the leader the same, up to twice the standard error
    of their difference, on the same episodes; a follower that learns by playing gives at least four.

    Args:
        game: the rules.
        commitment: what is scored.
        follower: one that has begun a match in this game; it goes on from what it has learned.
        episodes: played against every response, >= 2.
        responses: at most, >= 1.
        seed: of the episodes.

    Raises:
        InvalidArgumentError: a count is out of range.
    """
    episodes, responses = checks.integer("episodes", episodes, 2), checks.integer("responses", responses, 1)
    seen: list[FloatArray] = []
    spent, settled = 0, False
    while len(seen) < responses and not settled:
        answer = follower.respond(game, commitment)
        spent += answer.transitions
        batch = rollout(game, commitment, answer.policy, episodes=episodes, seed=seed)
        seen.append(batch.leader_returns(game.leader_discount))
        settled = len(seen) >= (LEAST if spent else 2) and _same(seen[-1] - seen[len(seen) // 2 - 1])
    error = float(seen[-1].std(ddof=1) / episodes**0.5)
    return Score(float(seen[-1].mean()), error, float(seen[0].mean()), len(seen), settled, spent, episodes)


def _same(difference: FloatArray) -> bool:
    error = float(difference.std(ddof=1)) / len(difference) ** 0.5
    return bool(np.abs(difference.mean()) <= CLOSE * error + 1e-12)

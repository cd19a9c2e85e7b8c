"""How surprising the follower's replies are to a finite game on points, by the temperature.

Values come from the game on points; a reply is judged where it was given, by the stage that begins in the very state that was
visited. Laid on the points around, the preferences of several states mix, and a mixture looks hot.

Where the game is wrong it is wrong about all replies in a place alike. So by how much the slopes of their likelihoods vary from place to place,
beyond what they would if each were by itself, is by how much an interval has to be wider than the fit taken for the truth would make it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.spatial import cKDTree
from scipy.special import logsumexp

from stackelberg_games.arrays import FloatArray
from stackelberg_games.exact.soft_response import soft_response
from stackelberg_games.representations.anchors import PointGame, PointModel
from stackelberg_games.representations.convex import combinations
from stackelberg_games.representations.surprise import Surprise
from stackelberg_games.representations.world import Transitions
from stackelberg_games.rules.commitment import Commitment

COVER = 800
"""Anchors that replies are judged with at least: with fewer, values are too smooth, and what is smooth looks hot."""
STAGES, CELLS = 10_000, 200_000
"""Last stages whose replies are judged, and stages that are predicted for it, those of other replies included; at most."""
TOLERANCE = 1e-6
STEP = 0.05
"""Of the temperature, relative, in which slopes are taken."""


class Replies:
    """Replies under one commitment.

    Args:
        game: on the points.
        commitment: under which they were given.
        stages: in which they were given.
    """

    def __init__(self, game: PointGame, commitment: Commitment, stages: Transitions) -> None:
        self.game, sees = game, game.view.follower_sees_action
        with torch.no_grad():
            self.policy = game.policy(commitment)
            drawn = torch.ones(len(stages), 1) if sees else game.leader.policy(commitment, game.elements(stages.states))
        self.drawn: FloatArray = drawn.double().numpy()
        shape = *self.drawn.shape, len(game.follower.vectors)
        row, action, reply = np.indices(shape).reshape(3, -1)
        leader = stages.leader[row] if sees else game.leader.vectors[action]
        ahead = game.world.predict(stages.states[row], leader, game.follower.vectors[reply])
        self.paid = ahead.follower_rewards.reshape(shape)
        numbers, weights = combinations(game.features / game.scale, ahead.next_states / game.scale)
        self.numbers, self.weights = numbers, weights * (1 - ahead.ended)[:, None]
        self.given = game.follower.laid(stages.follower)
        self._values: FloatArray | None = None

    def surprise(self, temperature: float) -> FloatArray:
        """Their negative log-likelihoods, ``[K]``."""
        game = self.game
        arrays = game.arrays(self.policy, temperature)
        self._values = soft_response(arrays, temperature, self._values, tolerance=TOLERANCE).values
        ahead = (self._values[self.numbers] * self.weights).sum(axis=1).reshape(self.paid.shape)
        worth = np.einsum("kab,ka->kb", self.paid + game.view.follower_discount * ahead, self.drawn)
        scores = worth / temperature + np.log(game.follower.weights)
        return np.asarray(logsumexp(scores, axis=1) - (self.given * scores).sum(axis=1))


def surprise(game: PointGame, played: Sequence[tuple[Commitment, Transitions]]) -> Surprise:
    """How surprising replies under some commitments are together."""
    parts = [Replies(game, *each) for each in played]
    states = np.concatenate([stages.states for _, stages in played])
    places = cKDTree(game.features / game.scale).query(states / game.scale)[1]

    def each(temperature: float) -> FloatArray:
        return np.concatenate([part.surprise(temperature) for part in parts])

    def dispersion(temperature: float) -> float:
        scores = each(temperature * (1 + STEP)) - each(temperature / (1 + STEP))
        total = float((scores**2).sum())
        return max(1.0, float((np.bincount(places, scores) ** 2).sum()) / total) if total > 0 else 1.0

    return Surprise(lambda temperature: float(each(temperature).sum()), True, dispersion)


def remembered(model: PointModel, game: PointGame) -> Surprise:
    """How surprising the replies under the last commitments are to what is known now.

    Args:
        model: what remembers them.
        game: the one that it plans in, which judges them if it has anchors enough.
    """
    game = game if model.anchors >= COVER else model.game(COVER)
    others = 1 if game.view.follower_sees_action else len(game.leader.vectors)
    return surprise(game, model.replied(min(STAGES, CELLS // (others * len(game.follower.vectors)))))

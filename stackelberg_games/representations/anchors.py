"""A finite game on states that were visited or are near, for planners and for derivatives of both players' returns.

Successors that a network predicts are taken as convex combinations of the nearest of these states. Actions that are
real are those of a grid, between which everything is linear. What is left is a finite game: its soft-optimal response
and its hypergradient are exact.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.grids import ActionGrid
from stackelberg_games.errors import InformationError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.exact.derivatives import carrying, derivatives
from stackelberg_games.exact.players import Objectives
from stackelberg_games.exact.response import Arrays
from stackelberg_games.exact.soft_response import soft_response
from stackelberg_games.hypergradient import Influence
from stackelberg_games.kinds.kernel import SparseKernel
from stackelberg_games.representations.convex import combinations, cover, spread
from stackelberg_games.representations.protocol import Credit, Fitted, Values
from stackelberg_games.representations.regressions import repeated
from stackelberg_games.representations.response_network import ResponseNetwork
from stackelberg_games.representations.world import Transitions, World
from stackelberg_games.rules.commitment import Commitment, assign, flatten
from stackelberg_games.rules.features import Features
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView

COORDINATES = 6
"""Of a state, beyond which visited states are too few to be near what follows."""
LEADER, FOLLOWER = (7, 4, 3), (9, 5, 3)
"""Points of a grid of actions along a coordinate, by the number of coordinates."""
AHEAD = 2
"""Stages that are imagined beyond what was visited: on visited states alone, every deviation leads back to them."""
MISSED = 0.5
"""Share of its move by which a combination of anchors may miss where an imagined stage leads."""
TOLERANCE = 1e-8
COMMITMENTS = 10
"""Last ones that are remembered, for what their replies tell."""
STEPS = 12
"""Steps of the network of a stage for each of the others'."""


class PointGame(Fitted):
    """The finite game.

    Args:
        view: what the leader was told.
        world: the networks.
        anchors: vectors of visited states, ``[S, n]``.
        starts: vectors of first states, ``[K, n]``.
    """

    def __init__(self, view: LeaderView, world: World, anchors: FloatArray, starts: FloatArray) -> None:
        self.view, self.world, self.features = view, world, anchors
        self.states = self.elements(anchors)
        self.leader = ActionGrid(view.leader_action_space, world.seen.leader, LEADER)
        self.follower = ActionGrid(view.follower_action_space, world.seen.follower, FOLLOWER)
        self.shape = len(anchors), len(self.leader.vectors), len(self.follower.vectors)
        self.scale = scale = spread(anchors)
        cells = np.indices(self.shape).reshape(3, -1)
        ahead = world.predict(anchors[cells[0]], self.leader.vectors[cells[1]], self.follower.vectors[cells[2]])
        numbers, weights = combinations(anchors / scale, ahead.next_states / scale)
        weights = weights * (1 - ahead.ended)[:, None]
        first = np.arange(len(numbers) + 1) * numbers.shape[1]
        self.kernel = SparseKernel(self.shape, first, numbers.ravel(), weights.ravel())
        self.rewards = ahead.leader_rewards.reshape(self.shape), ahead.follower_rewards.reshape(self.shape)
        numbers, weights = combinations(anchors / scale, starts / scale)
        count = np.bincount(numbers.ravel(), weights=weights.ravel(), minlength=len(anchors))
        self.starts: FloatArray = count / count.sum()
        self._values: FloatArray | None = None

    def elements(self, vectors: FloatArray) -> Any:
        """States, as commitments read them, from their vectors."""
        space = self.view.state_space
        return vectors.argmax(axis=1) + int(space.start) if isinstance(space, gymnasium.spaces.Discrete) else vectors

    def policy(self, commitment: Commitment) -> Tensor:
        """The commitment at the anchors, ``[S, A]``, differentiable."""
        return self.leader.policy(commitment, self.states)

    def arrays(self, policy: Tensor, temperature: float) -> Arrays:
        """The game under a policy; replies that stand for others are paid for them."""
        leader, follower = self.rewards
        follower = follower + temperature * np.log(self.follower.weights)
        alive, view = np.ones(self.shape[0], dtype=np.bool_), self.view
        discounts = (view.leader_discount, view.follower_discount)
        return Arrays(
            policy.detach().numpy(), self.kernel, leader, follower, alive, *discounts, view.follower_sees_action
        )

    def objective(self, commitment: Commitment, temperature: float, share: float = 1.0) -> tuple[float, Tensor]:
        """See ``Fitted.objective``."""
        policy = self.policy(commitment)
        arrays = self.arrays(policy, temperature)
        solved = soft_response(arrays, temperature, self._values, tolerance=TOLERANCE)
        self._values = solved.values
        found = derivatives(arrays, solved, self.starts, self.view.horizon)
        return found.value, carrying(found.value, (torch.from_numpy(found.policy) * policy).sum())

    def distance(self, one: Commitment, other: Commitment) -> float:
        """See ``Fitted.distance``."""
        return self.leader.distance(one, other, self.states)

    def replies(self, response: ResponseNetwork) -> FloatArray:
        """The response that was seen, at the anchors: ``[S, A, B]``."""
        features = Features(self.view.state_space)(self.states)
        actions = len(self.leader.vectors) if self.view.follower_sees_action else 1
        rows = np.repeat(features, actions, axis=0)
        if self.view.follower_sees_action:
            rows = np.concatenate([rows, np.tile(self.leader.vectors, (len(features), 1))], axis=1)
        weights, points = response.nodes(rows)
        if not self.follower.discrete:
            shares = self.follower.shares(torch.from_numpy(points)).numpy()
            weights = (weights[:, :, None] * shares).sum(axis=1)
        return np.broadcast_to(weights.reshape(len(features), actions, -1), self.shape)


class PointModel:
    """The networks of a stage and everything that was observed.

    Args:
        view: what the leader was told.
        commitment: the first one.
        anchors: at most, >= 2.
        steps: of Adam after a batch.
        seed: of weights and minibatches.

    Raises:
        InvalidArgumentError: a number is out of range.
        UnsupportedGameError: the states have too many coordinates.
    """

    def __init__(self, view: LeaderView, commitment: Commitment, anchors: int, steps: int, seed: int) -> None:
        if isinstance(anchors, bool) or not isinstance(anchors, int | np.integer) or anchors < 2:
            raise InvalidArgumentError(f"anchors={anchors!r}: expected an integer >= 2")
        self.view, self.anchors, self.steps = view, int(anchors), steps
        spaces = (view.state_space, view.leader_action_space, view.follower_action_space)
        self.features = tuple(Features(space) for space in spaces)
        n, k, m = (feature.size for feature in self.features)
        if n > COORDINATES and not self.features[0].discrete:
            raise UnsupportedGameError(
                f"states of {n} coordinates: visited states are too far apart to plan on beyond {COORDINATES}; bchg and "
                "policy_gradient learn without a model"
            )
        for space, points in ((view.leader_action_space, LEADER), (view.follower_action_space, FOLLOWER)):
            ActionGrid(space, np.zeros((1, Features(space).size)), points)
        self.world, self.starts = World((n, k, m), seed), np.zeros((0, n))
        self.commitment = copy.deepcopy(commitment)
        self.played: list[tuple[Tensor, int]] = []
        """Parameters of the last commitments, and in how many stages each was played."""

    def observe(self, batch: Trajectories, commitment: Commitment) -> None:
        """Add a batch that was played under a commitment, and fit.

        Raises:
            InformationError: the follower's rewards are missing.
        """
        if batch.follower_rewards is None:
            raise InformationError("the game is fitted with the follower's rewards; these trajectories hold none")
        actions = (repeated(values, batch) for values in (batch.leader_actions, batch.follower_actions))
        vectors = zip(self.features, (batch.states, *actions), strict=True)
        states, leader, follower = (feature(values) for feature, values in vectors)
        ended = np.zeros(batch.mask.shape)
        rows = np.flatnonzero(batch.terminated)
        ended[rows, batch.lengths[rows] - 1] = 1.0
        parts = (states[:, :-1], leader, follower, states[:, 1:], batch.leader_rewards, batch.follower_rewards, ended)
        self.last = Transitions(*(part[batch.mask] for part in parts))
        self.world.observe(self.last, self.steps)
        self.played = [*self.played, (flatten(commitment), len(self.last))][-COMMITMENTS:]
        self.starts = np.concatenate([self.starts, states[:, 0]])

    def game(self, anchors: int = 0) -> PointGame:
        """The finite game on what was visited, and on where deviations would lead; on so many anchors if more than the setting says."""
        seen, count = self.world.seen, max(anchors, self.anchors)
        points = _covered(np.concatenate([self.starts, seen.states, seen.next_states[seen.ended == 0]]), count)
        if not self.features[0].discrete:
            for _ in range(AHEAD):
                points = _covered(np.concatenate([points, self._missed(points)]), count)
        return PointGame(self.view, self.world, points, self.starts)

    def replied(self, stages: int) -> list[tuple[Commitment, Transitions]]:
        """The last commitments, and the last stages, so many at most, in which they were played; the newest first."""
        end, found = len(self.world.seen), []
        for parameters, count in reversed(self.played):
            taken, commitment = min(count, stages), copy.deepcopy(self.commitment)
            if taken:
                assign(commitment, parameters)
                found.append((commitment, Transitions(*(part[end - taken : end] for part in self.world.seen))))
            stages, end = stages - taken, end - count
        return found

    def _missed(self, points: FloatArray) -> FloatArray:
        """Where the players could go from points, by the network, that no combination of the points is near."""
        view, seen = self.view, self.world.seen
        leader = ActionGrid(view.leader_action_space, seen.leader, LEADER).ends
        follower = ActionGrid(view.follower_action_space, seen.follower, FOLLOWER).ends
        cells = np.indices((len(points), len(leader), len(follower))).reshape(3, -1)
        ahead = self.world.predict(points[cells[0]], leader[cells[1]], follower[cells[2]])
        space = view.state_space
        assert isinstance(space, gymnasium.spaces.Box)
        going, scale = ahead.ended < 0.5, spread(points)
        begun = ahead.states[going] / scale
        led = np.clip(ahead.next_states[going], space.low, space.high) / scale
        numbers, weights = combinations(points / scale, led)
        met = ((points / scale)[numbers] * weights[:, :, None]).sum(axis=1)
        missed = np.linalg.norm(met - led, axis=1) > MISSED * np.linalg.norm(led - begun, axis=1)
        return np.asarray(led[missed] * scale)

    def state_dict(self) -> dict[str, Any]:
        """Networks and data."""
        return {"world": self.world.state_dict(), "starts": self.starts, "played": self.played}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a stored state."""
        self.world.load_state_dict(state["world"])
        self.starts = np.array(state["starts"])
        self.played = [(torch.as_tensor(parameters).clone(), int(stages)) for parameters, stages in state["played"]]


def point_model(view: LeaderView, commitment: Commitment, anchors: int, steps: int, seed: int) -> PointModel:
    """The model for a first commitment; ``steps`` as ``Networks`` counts them.

    Raises:
        InvalidArgumentError: a number is out of range.
        UnsupportedGameError: the leader configures the game, or the states have too many coordinates.
    """
    if commitment.configuration() is not None:
        raise UnsupportedGameError(
            "a lever tells of stages that were played, and a model has to know what it does in others too; bchg and "
            "policy_gradient configure games of vectors"
        )
    return PointModel(view, commitment, anchors, STEPS * steps, seed)


class PointValues(Values):
    """Both players' returns in the finite game, around the response that was seen.

    Args:
        game: on the anchors.
        batch: the last episodes.
        commitment: to differentiate in.
        response: the follower's, ``[S, A, B]``.
    """

    def __init__(self, game: PointGame, batch: Trajectories, commitment: Commitment, response: FloatArray) -> None:
        self.batch, self.view = batch, game.view
        self._game, self._commitment, self._response = game, commitment, response

    def players(self) -> tuple[Tensor, Tensor, Tensor]:
        """See ``Values.players``; the parameters are the response's logits."""
        policy = self._game.policy(self._commitment)
        arrays = self._game.arrays(policy, self.temperature)
        objectives = Objectives(arrays, torch.from_numpy(self._game.starts), self.view.horizon)
        logits = objectives.logits(self._response)
        return *objectives(policy, logits, self.temperature), logits

    def benefit(self) -> Credit:
        """Not asked for."""
        raise self._lacks("benefits")

    def direct(self) -> Tensor:
        """Not asked for."""
        raise self._lacks("the direct row")

    def unrolled(self, trace: Influence, credit: Credit, batch: Trajectories) -> Tensor:
        """Not asked for."""
        raise self._lacks("unrolled responses")


def _covered(points: FloatArray, count: int) -> FloatArray:
    """So many of the points as may be anchors."""
    points = np.unique(points, axis=0)
    return points if len(points) <= count else points[cover(points / spread(points), count)]

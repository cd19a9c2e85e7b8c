"""Finite games whose states are shown as points, so that they are played by networks and solved by tables."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree
from torch import Tensor

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.commitments.networks import MLPCategoricalPolicy
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError, UnsupportedGameError
from stackelberg_games.kinds.conditioning import common_offset
from stackelberg_games.kinds.kernel import SparseKernel
from stackelberg_games.kinds.reading import check_range, check_rows, frozen, indices
from stackelberg_games.kinds.vector import VectorGame
from stackelberg_games.numerics.randomness import Lane, Streams
from stackelberg_games.numerics.sampling import Sampler, check_probabilities, cumulative
from stackelberg_games.numerics.sampling import step as sample_step
from stackelberg_games.rules.commitment import Commitment, evaluating
from stackelberg_games.rules.rules import Step

NEAR = 1e-6
"""Distance from its point, relative to the nearest two points, within which a state is recognised."""


class EmbeddedGame(VectorGame):
    """A finite game whose states are points of space. Nothing but the table of points tells that it is finite.

    Players act by index; the follower sees the leader's action; no state is terminal.

    Args:
        name: id.
        points: ``[S, n]``, all different.
        successors: ``[S, A, B, K]``, numbers of the states that can follow.
        probability: ``[S, A, B, K]``, their probabilities; repeated successors are added up.
        leader_reward, follower_reward: broadcast to ``[S, A, B]``.
        initial: ``[S]``, distribution of the first state.
        leader_discount, follower_discount, horizon: see ``Game``.

    Raises:
        InvalidGameError: a shape, a number, a probability, a discount or the horizon is out of range.
    """

    def __init__(
        self,
        name: str,
        points: ArrayLike,
        successors: IntArray,
        probability: ArrayLike,
        leader_reward: ArrayLike,
        follower_reward: ArrayLike,
        initial: ArrayLike,
        *,
        leader_discount: float,
        follower_discount: float,
        horizon: int | None,
    ) -> None:
        self.points = frozen("points", points, 2)
        self.probability = frozen("probability", probability, 4)
        shape = self.probability.shape
        if shape[0] != len(self.points) or successors.shape != shape or 0 in shape:
            raise InvalidGameError(
                f"points {self.points.shape}, successors {successors.shape} and probability {shape}: expected "
                "[S, n] and twice [S, A, B, K], no empty axis"
            )
        if successors.dtype.kind not in "iu" or successors.min() < 0 or successors.max() >= shape[0]:
            raise InvalidGameError(f"successors: expected integers in [0, {shape[0]})")
        self.successors = np.array(successors, dtype=np.int64)
        check_probabilities("probability", self.probability)
        rewards = (np.broadcast_to(np.asarray(reward, float), shape[:3]) for reward in (leader_reward, follower_reward))
        self.leader_reward, self.follower_reward = (frozen("reward", reward, shape[:3]) for reward in rewards)
        self.initial_distribution = frozen("initial", initial, (shape[0],))
        check_probabilities("initial", self.initial_distribution)
        self._tree = cKDTree(self.points)
        self._near = NEAR * float(self._tree.query(self.points, k=2)[0][:, 1].min()) if shape[0] > 1 else NEAR
        if self._near == 0:
            raise InvalidGameError("two points are the same: a state could not be told from its vector")
        super().__init__(
            name,
            gymnasium.spaces.Box(self.points.min(axis=0), self.points.max(axis=0), dtype=np.float64),
            gymnasium.spaces.Discrete(shape[1]),
            gymnasium.spaces.Discrete(shape[2]),
            leader_discount=leader_discount,
            follower_discount=follower_discount,
            horizon=horizon,
        )

    def commitment(self, seed: int = 0, spread: float | None = None) -> MLPCategoricalPolicy:
        """The commitment that the game declares: the uniform policy, of the class that is linear in a point."""
        return MLPCategoricalPolicy(self, ())

    @cached_property
    def offsets(self) -> tuple[float, float]:
        """Constants in all of the leader's and all of the follower's rewards, which decide nothing."""
        return common_offset(self.leader_reward), common_offset(self.follower_reward)

    @cached_property
    def kernel(self) -> SparseKernel:
        """The transitions as lists."""
        shape = self.probability.shape
        first = np.arange(0, self.probability.size + 1, shape[3])
        return SparseKernel(shape[:3], first, self.successors.ravel(), self.probability.ravel())

    @cached_property
    def sampler(self) -> Sampler:
        """The tables, prepared for compiled sampling."""
        shape = self.probability.shape
        return Sampler(
            (shape[1], shape[2]),
            self.kernel.first,
            cumulative(self.initial_distribution),
            self.successors.ravel(),
            cumulative(self.probability).ravel(),
            self.leader_reward.ravel(),
            self.follower_reward.ravel(),
            np.zeros(shape[0], dtype=np.bool_),
            None,
        )

    def codes(self, states: Any) -> IntArray:
        """Numbers of states ``[..., n]``, int64 ``[...]``.

        Raises:
            InvalidArgumentError: a vector is none of the points.
        """
        distance, found = self._tree.query(np.asarray(states, dtype=np.float64))
        wrong = np.asarray(distance) > self._near
        if wrong.any():
            raise InvalidArgumentError(f"{np.asarray(states)[wrong][0].tolist()} is no state of {self.name}")
        return np.asarray(found, dtype=np.int64)

    def policy(self, commitment: Commitment) -> Tensor:
        """The commitment's action probabilities at all points, ``[S, A]``, differentiable.

        Raises:
            UnsupportedGameError: it has no probabilities at points.
        """
        if not isinstance(commitment, MLPCategoricalPolicy):
            raise UnsupportedGameError(
                f"{type(commitment).__name__} has no probabilities at the points of {self.name}; MLPCategoricalPolicy has"
            )
        with evaluating(commitment):
            return commitment.log_probabilities(self.points).exp()

    def check_response(self, response: FloatArray) -> None:
        """Raise ``InvalidArgumentError`` unless a response policy has shape ``[S, A, B]`` and rows that are distributions."""
        check_rows("the response", response, self.probability.shape[:3])

    def initial(self, streams: Streams) -> FloatArray:
        """First states, ``[N, n]``."""
        draws = streams.uniform(Lane.ENVIRONMENT, 0)[:, 0]
        return np.asarray(self.points[np.searchsorted(self.sampler.initial, draws, side="right")])

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Streams, stage: int) -> Step:
        """Play one stage in every episode.

        Raises:
            InvalidActionError: an action is not an index of the player's actions.
            InvalidArgumentError: a vector is none of the points.
        """
        codes = self.codes(states)
        counts, count = self.probability.shape[1:3], len(codes)
        leader = indices("leader", leader_actions, counts[0], (count,))
        follower = indices("follower", follower_actions, counts[1], (count,))
        out = Step(np.empty(count, np.int64), np.empty(count), np.empty(count), np.empty(count, np.bool_))
        draws = streams.uniform(Lane.ENVIRONMENT, stage + 1)[:, 0]
        if not sample_step(codes, leader, follower, draws, self.sampler, tuple(out)):
            check_range("leader", leader, counts[0])
            check_range("follower", follower, counts[1])
        return out._replace(states=self.points[out.states])

    def fingerprint(self) -> str:
        """Hash of the arrays and of everything else that defines the game."""
        digest = hashlib.sha256(super().fingerprint().encode())
        for name in ("points", "successors", "probability", "leader_reward", "follower_reward", "initial_distribution"):
            digest.update(getattr(self, name).tobytes())
        return digest.hexdigest()

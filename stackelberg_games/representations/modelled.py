"""Critics of a fitted game, for leaders that follow trajectories in games of vectors.

Returns along a batch tell little of what *other* replies would have brought, and values that are fitted to them travel a few
stages with every batch. Here a stage is fitted to everything that was observed (``world``) and laid on points (``anchors``);
critics are those of the soft-optimal response in that finite game, between points convex combinations of the nearest
(Ormoneit and Sen, Machine Learning, 2002). What was played are the states; leader actions are averaged over, and so are
replies where dQF is solved for. Where it is unrolled the replies are those that were played: a benefit whose mean over them is
not zero, because the follower answers otherwise than in the fitted game, then adds up along the trajectory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.exact.critics import critic_tables
from stackelberg_games.exact.soft_response import soft_response
from stackelberg_games.hypergradient import Influence
from stackelberg_games.learning.information import Evidence
from stackelberg_games.representations.anchors import TOLERANCE, PointGame, point_model
from stackelberg_games.representations.convex import combinations
from stackelberg_games.representations.protocol import MEANS, Credit, Needs, Representation, Values
from stackelberg_games.representations.replies import remembered
from stackelberg_games.representations.surprise import Surprise
from stackelberg_games.representations.world import Transitions
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView


class StageTables:
    """Tables of a finite game on points, read at the stages of a batch.

    Args:
        view: what the leader was told of the game.
        game: on the points.
        policy: the commitment that was played there, ``[S, A]``.
        batch: the episodes.
        played: their stages as vectors.
    """

    def __init__(
        self, view: LeaderView, game: PointGame, policy: Tensor, batch: Trajectories, played: Transitions
    ) -> None:
        assert view.temperature is not None
        self.view, self.game, self.batch, self.played = view, game, batch, played
        arrays = game.arrays(policy, view.temperature)
        solved = soft_response(arrays, view.temperature, tolerance=TOLERANCE)
        self.tables = critic_tables(arrays, solved, view.horizon)
        shape = game.shape
        self.benefits: FloatArray = self.tables.benefit.reshape(-1, *shape)
        self.points, self.near = combinations(game.features / game.scale, played.states / game.scale)
        stage = np.broadcast_to(np.arange(batch.stages), batch.mask.shape)[batch.mask]
        left = len(self.benefits) - 1 if view.horizon is None else view.horizon - 1 - stage
        self.left = np.broadcast_to(np.minimum(left, len(self.benefits) - 1), stage.shape)[:, None]

    def benefit(self) -> FloatArray:
        """B of the replies, ``[N, T]``."""
        leader, follower = self.game.leader.laid(self.played.leader), self._replies
        benefits = self.benefits[self.left, self.points]
        return self._padded(np.einsum("mkab,mk,ma,mb->m", benefits, self.near, leader, follower, optimize=True))

    def leader_advantage(self) -> FloatArray:
        """AL of every leader action, ``[N, T, A]``."""
        advantage = self.tables.leader_advantage.reshape(-1, *self.game.shape[:2])[self.left, self.points]
        return self._padded(np.einsum("mka,mk->ma", advantage, self.near))

    def follower_advantage(self) -> FloatArray:
        """AF of every leader action, ``[N, T, A]``; with the reply where the follower does not see the action."""
        advantage = self.tables.follower_advantage[self.points]
        return self._padded(np.einsum("mkab,mk,mb->ma", advantage, self.near, self._replies, optimize=True))

    def owed(self, weights: FloatArray) -> FloatArray:
        """What dVF(s) at the points owes to benefits with weights ``[N, T]``, by leader actions: ``[S, A]``."""
        tables, kernel, discount = self.tables, self.game.kernel, self.view.follower_discount
        placed = np.zeros(self.benefits.shape[:2])
        weighed = self.near * weights[self.batch.mask][:, None] / self.batch.episodes
        np.add.at(placed, (self.left, self.points), weighed)
        joint = tables.policy[:, :, None] * tables.response
        credited = joint * np.einsum("hs,hsab->sab", placed, self.benefits, optimize=True)
        chain = np.eye(len(joint)) - discount * kernel.chain(joint).T
        reached = np.linalg.solve(chain, discount * kernel.inflow(credited))
        carried = reached[:, None, None] * tables.response
        if not tables.sees:
            carried = carried + credited.sum(axis=1, keepdims=True)
        return np.asarray((carried * tables.follower_advantage).sum(axis=2))

    @property
    def _replies(self) -> FloatArray:
        """Weights of the points that stand for the replies, ``[M, B]``."""
        return self.game.follower.laid(self.played.follower)

    def _padded(self, found: FloatArray) -> FloatArray:
        """Numbers of the stages played, ``[M, ...]``, as ``[N, T, ...]``."""
        out = np.zeros((*self.batch.mask.shape, *found.shape[1:]))
        out[self.batch.mask] = found
        return out


class ModelledValues(Values):
    """Critics of a fitted game at the stages of a batch, the leader's action averaged over.

    Args:
        critics: at the commitment that was played.
        commitment: to differentiate in.
    """

    def __init__(self, critics: StageTables, commitment: Commitment) -> None:
        self.view, self.batch, self.critics = critics.view, critics.batch, critics
        mask, game = self.batch.mask, critics.game
        chances = game.leader.policy(commitment, self.batch.states[:, :-1][mask])
        policy = chances.new_zeros((*mask.shape, chances.shape[1]))
        policy[torch.tensor(mask)] = chances
        self.policy, self.anchored = policy.ravel(), game.policy(commitment).ravel()

    @property
    def terms(self) -> tuple[Tensor, ...]:
        """See ``Values.terms``."""
        return self.policy, self.anchored

    def benefit(self) -> Credit:
        """See ``Values.benefit``."""
        return Credit(self.critics.benefit(), None, np.ones(self.batch.mask.shape))

    def direct(self) -> Tensor:
        """See ``Values.direct``."""
        return self._weighed(self.discounts, self.critics.leader_advantage())

    def solved(self, credit: Credit) -> Tensor:
        """See ``Values.solved``; the replies are averaged over."""
        if credit.weights is None:
            raise self._lacks("the adjoint 'solve' of credits that are no benefits")
        return torch.dot(torch.from_numpy(self.critics.owed(credit.weights).ravel()), self.anchored)

    def unrolled(self, trace: Influence, credit: Credit, batch: Trajectories) -> Tensor:
        """See ``Values.unrolled``."""
        owed = trace.before if self.view.follower_sees_action else trace.after
        return self._weighed(owed, self.critics.follower_advantage())

    def _weighed(self, weights: FloatArray, advantage: FloatArray) -> Tensor:
        """Weights ``[N, T]`` times E_a of an advantage; the mean over the episodes."""
        return torch.dot(torch.from_numpy((weights[..., None] * advantage).ravel()), self.policy) / self.batch.episodes


class Modelled(Representation):
    """A fitted game, and the critics of its soft-optimal response at what was played; asked for by its name.

    Args:
        view, commitment, needs, seed: see ``Representation``.
        steps, anchors: see ``Networks``.

    Raises:
        InvalidArgumentError: a setting is out of range.
        UnsupportedGameError: the leader configures the game, something else is asked for than both players' values, or no
            game can be fitted.
    """

    adjoints: tuple[str, ...] = ("solve", "unroll")

    def __init__(
        self,
        view: LeaderView,
        commitment: Commitment,
        needs: Needs,
        seed: int = 0,
        *,
        steps: int = 40,
        anchors: int = 800,
    ) -> None:
        super().__init__(view, commitment, needs, seed)
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise InvalidArgumentError(f"steps={steps!r}: expected an integer >= 1")
        if not (needs.values and needs.follower) or needs.players or needs.backup != MEANS:
            raise UnsupportedGameError(
                "modelled has both players' values, as bchg asks for them; networks has what this leader asks for"
            )
        self.model = point_model(view, commitment, anchors, steps, seed)

    @classmethod
    def fits(cls, view: LeaderView, commitment: Commitment) -> bool:
        """It is not chosen by itself."""
        return False

    @classmethod
    def settings(cls, view: LeaderView, needs: Needs) -> tuple[str, ...]:
        """Both."""
        return "steps", "anchors"

    def observe(self, evidence: Evidence, commitment: Commitment) -> None:
        """Fit the game, and work out its critics at the commitment that was played."""
        self.batch = evidence.require_trajectories()
        self.model.observe(self.batch, commitment)
        self.game = self.model.game()
        with torch.no_grad():
            self.policy = self.game.policy(commitment)
        self._judge()

    def _judge(self) -> None:
        self.critics = StageTables(self.view, self.game, self.policy, self.batch, self.model.last)

    def at(self, commitment: Commitment) -> ModelledValues:
        """See ``Representation.at``; the critics are those of the commitment that was played."""
        return ModelledValues(self.critics, commitment)

    def surprise(self, commitment: Commitment) -> Surprise:
        """See ``Representation.surprise``."""
        return remembered(self.model, self.game)

    def retell(self, temperature: float) -> None:
        """See ``Representation.retell``."""
        super().retell(temperature)
        self.model.view = self.view
        if hasattr(self, "game"):  # a stored state holds no critics
            self.game.view = self.view
            self._judge()

    def state_dict(self) -> dict[str, Any]:
        """What a stage does, and the data it is fitted to."""
        return {"model": self.model.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Representation.load_state_dict``."""
        self.model.load_state_dict(state["model"])

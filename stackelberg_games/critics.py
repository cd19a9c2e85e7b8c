"""Tables of both players' values, read off at visited stages. Exact or estimated, the form is one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stackelberg_games.game import BoolArray, FloatArray
from stackelberg_games.hypergradient import StageCritics
from stackelberg_games.trajectories import Trajectories


@dataclass(frozen=True)
class CriticTables:
    """Values of a finite game at one commitment and response.

    Attributes:
        leader_q: QL, ``[S, A, B]``, or ``[H, S, A, B]`` where the leader's objective has a
            horizon: entry h has h + 1 stages to go.
        follower_q: QF, ``[S, A, B]``.
        follower_action_values: VF(s, a), ``[S, A]``.
        follower_values: VF(s), ``[S]``.
        response: g, ``[S, A, B]``.
        policy: f, ``[S, A]``.
        alive: bool ``[S]``, false at terminal states.
        sees: whether the follower sees the leader's action.
    """

    leader_q: FloatArray
    follower_q: FloatArray
    follower_action_values: FloatArray
    follower_values: FloatArray
    response: FloatArray
    policy: FloatArray
    alive: BoolArray
    sees: bool

    @property
    def leader_action_values(self) -> FloatArray:
        """VL(s, a) = E_b QL(s, a, b), ``[(H,) S, A]``."""
        return np.asarray((self.response * self.leader_q).sum(axis=-1))

    @property
    def leader_values(self) -> FloatArray:
        """VL(s), zero at terminal states, ``[(H,) S]``."""
        return np.asarray((self.policy * self.leader_action_values).sum(axis=-1) * self.alive)

    @property
    def benefit(self) -> FloatArray:
        """B = QL - E_b QL, ``[(H,) S, A, B]``; for an unseen a, of the average of QL over a."""
        if self.sees:
            return np.asarray(self.leader_q - self.leader_action_values[..., None])
        blind = (self.policy[:, :, None] * self.leader_q).sum(axis=-2)
        centred = blind - (self.response[:, 0] * blind).sum(axis=-1, keepdims=True)
        return np.broadcast_to(centred[..., None, :], self.leader_q.shape)

    @property
    def leader_advantage(self) -> FloatArray:
        """AL(s, a) = VL(s, a) - VL(s), ``[(H,) S, A]``."""
        return np.asarray(self.leader_action_values - self.leader_values[..., None])

    @property
    def follower_advantage(self) -> FloatArray:
        """AF, ``[S, A, B]``: VF(s, a) - VF(s), or QF - E_a QF for an unseen a."""
        if self.sees:
            seen = self.follower_action_values
            centred = seen - (self.policy * seen).sum(axis=1, keepdims=True)
            return np.broadcast_to(centred[:, :, None], self.follower_q.shape)
        mean = (self.policy[:, :, None] * self.follower_q).sum(axis=1, keepdims=True)
        return np.asarray(self.follower_q - mean)

    def at(self, batch: Trajectories, *, transitions: bool = False) -> StageCritics:
        """The values at the visited stages; next values too if ``transitions``."""
        states, following = batch.states[:, :-1], batch.states[:, 1:]
        cell = (states, batch.leader_actions, batch.follower_actions)
        timed = self.leader_q.ndim == 4
        left = len(self.leader_q) - 1 - np.arange(batch.stages)[None, :] if timed else None
        prefix = () if left is None else (left,)
        leader_next = None
        if transitions:
            values = self.leader_values
            leader_next = values[following]
            if left is not None:  # after the last stage nothing is left
                values = np.concatenate([np.zeros_like(values[:1]), values])
                leader_next = values[left, following]
        return StageCritics(
            self.benefit[(*prefix, *cell)],
            self.leader_advantage[(*prefix, *cell[:2])],
            self.follower_advantage[cell],
            leader_next,
            self.follower_values[following] if transitions else None,
        )

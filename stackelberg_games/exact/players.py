"""Both players' returns in a finite game as functions of both policies, for derivatives through the follower's condition."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.exact.response import Arrays
from stackelberg_games.kinds.chain import listed_chain
from stackelberg_games.kinds.finite import Tables
from stackelberg_games.kinds.kernel import SparseKernel

TINY = 1e-30
"""Probability whose logarithm stands for that of a reply that is never made; it has no gradient."""


def log_policy(response: FloatArray) -> Tensor:
    """Logarithms of a response, those of replies that are never made at ``TINY``."""
    return torch.log(torch.tensor(response).clamp_min(TINY))


@dataclass(frozen=True)
class Objectives:
    """Both returns.

    Args:
        arrays: the game; its ``policy`` is not read.
        initial: distribution of the first state, ``[S]``.
        horizon: of the leader's return, or None; the follower's is that of endless play.
        tables: transition and rewards, where they are to be differentiated too; those of ``arrays`` if None.
    """

    arrays: Arrays
    initial: Tensor
    horizon: int | None
    tables: Tables | None = None

    def logits(self, response: FloatArray) -> Tensor:
        """A leaf of the follower's parameters at a response ``[S, A, B]``; one row where it does not see the action."""
        return log_policy(response if self.arrays.sees else response[:, :1]).requires_grad_()

    def __call__(self, policy: Tensor, logits: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        """The leader's return, and the follower's mean value with ``temperature`` times its entropy added; see ``returns``."""
        leader, follower = self.returns(policy, logits, temperature)
        return leader, follower.mean()

    def returns(self, policy: Tensor, logits: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        """The leader's return, and the follower's value of every state with ``temperature`` times its entropy added, ``[S]``.

        Args:
            policy: the leader's, ``[S, A]``.
            logits: the follower's, ``[S, A, B]``, or ``[S, 1, B]`` where it does not see the action.
            temperature: tau > 0.
        """
        arrays = self.arrays
        log_response = torch.log_softmax(logits, dim=2).expand(arrays.leader_reward.shape)
        joint = policy[:, :, None] * log_response.exp() * torch.from_numpy(arrays.alive)[:, None, None]
        chain, leader_reward, follower_reward = self._chain(joint), *self._rewards()
        earned = (joint * leader_reward).sum(dim=(1, 2))
        paid = (joint * (follower_reward - temperature * log_response)).sum(dim=(1, 2))
        identity = torch.eye(len(chain), dtype=torch.float64)
        follower = torch.linalg.solve(identity - arrays.follower_discount * chain, paid)
        if self.horizon is None:
            leader = torch.linalg.solve(identity - arrays.leader_discount * chain, earned)
        else:
            leader = torch.zeros_like(earned)
            for _ in range(self.horizon):
                leader = earned + arrays.leader_discount * chain @ leader
        return self.initial @ leader, follower

    def _chain(self, joint: Tensor) -> Tensor:
        """State transitions where both actions have the probabilities ``[S, A, B]``, ``[S, S]``."""
        lists, given = self.arrays.kernel, None if self.tables is None else self.tables.transition
        if given is not None and given.dim() == 4:  # an estimate's tables are dense also where its counts are lists
            return torch.einsum("sab,sabn->sn", joint, given)
        if isinstance(lists, SparseKernel):
            return listed_chain(lists, joint, torch.from_numpy(lists.probability) if given is None else given)
        return torch.einsum("sab,sabn->sn", joint, torch.from_numpy(lists.dense))

    def _rewards(self) -> tuple[Tensor, Tensor]:
        """Both players', ``[S, A, B]``."""
        if self.tables is not None:
            return self.tables.leader_reward, self.tables.follower_reward
        return torch.from_numpy(self.arrays.leader_reward), torch.from_numpy(self.arrays.follower_reward)

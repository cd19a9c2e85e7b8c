"""Both players' returns in a finite game as functions of both policies, for derivatives through the follower's condition."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.exact.response import Arrays
from stackelberg_games.kinds.finite import Tables

TINY = 1e-30
"""Probability whose logarithm stands for that of a reply that is never made; it has no gradient."""


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
        given = torch.tensor(response if self.arrays.sees else response[:, :1])
        return torch.log(given.clamp_min(TINY)).requires_grad_()

    def __call__(self, policy: Tensor, logits: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        """The leader's return, and the follower's mean value with ``temperature`` times its entropy added.

        Args:
            policy: the leader's, ``[S, A]``.
            logits: the follower's, ``[S, A, B]``, or ``[S, 1, B]`` where it does not see the action.
            temperature: tau > 0.
        """
        arrays, tables = self.arrays, self._tables()
        log_response = torch.log_softmax(logits, dim=2).expand(arrays.leader_reward.shape)
        joint = policy[:, :, None] * log_response.exp() * torch.from_numpy(arrays.alive)[:, None, None]
        chain = torch.einsum("sab,sabn->sn", joint, tables.transition)
        earned = (joint * tables.leader_reward).sum(dim=(1, 2))
        paid = (joint * (tables.follower_reward - temperature * log_response)).sum(dim=(1, 2))
        identity = torch.eye(len(chain), dtype=torch.float64)
        follower = torch.linalg.solve(identity - arrays.follower_discount * chain, paid)
        if self.horizon is None:
            leader = torch.linalg.solve(identity - arrays.leader_discount * chain, earned)
        else:
            leader = torch.zeros_like(earned)
            for _ in range(self.horizon):
                leader = earned + arrays.leader_discount * chain @ leader
        return self.initial @ leader, follower.mean()

    def _tables(self) -> Tables:
        if self.tables is not None:
            return self.tables
        arrays = self.arrays
        return Tables(*map(torch.from_numpy, (arrays.transition, arrays.leader_reward, arrays.follower_reward)))

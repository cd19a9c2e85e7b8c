"""What a configuration decides of a finite game, and the game under one commitment."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Tables(NamedTuple):
    """What a configuration decides: float64 tensors, differentiable in the configuration.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("four_rooms-v0")
        >>> doubled = sg.Tables(
        ...     game.base.transition, 2 * game.base.leader_reward, game.base.follower_reward
        ... )
        >>> doubled.transition.shape, doubled.leader_reward.shape
        (torch.Size([105, 1, 4, 105]), torch.Size([105, 1, 4]))

    Attributes:
        transition: ``[S, A, B, S]``, rows sum to one; in a game given as lists the probabilities of the successors that
            it lists, ``[K]``, in their order.
        leader_reward: ``[S, A, B]``.
        follower_reward: ``[S, A, B]``.
    """

    transition: Tensor
    leader_reward: Tensor
    follower_reward: Tensor


class Model(NamedTuple):
    """A finite game under one commitment: ``Tables`` and the leader's policy, ``[S, A]``."""

    policy: Tensor
    transition: Tensor
    leader_reward: Tensor
    follower_reward: Tensor

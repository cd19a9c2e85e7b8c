"""A finite game under a commitment as it is evaluated: states that play never enters and offsets left out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import IntArray
from stackelberg_games.exact.response import Arrays
from stackelberg_games.kinds.chain import check_objective
from stackelberg_games.kinds.embedded import EmbeddedGame
from stackelberg_games.kinds.finite import Model, TabularGame
from stackelberg_games.kinds.kernel import kernel
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.rules import Rules


class Posed(NamedTuple):
    """A game under a commitment as it is evaluated: states that play never enters and offsets may be left out.

    Attributes:
        model: differentiable in the commitment's parameters; of a game shown as points its transition is empty, for
            lists of successors stand in ``arrays``.
        arrays: the same as arrays.
        alive: 1 where an episode goes on, ``[R]``.
        initial: distribution of the first state, ``[R]``.
        kept: indices of the R states; None if they are all.
        offsets: taken out of the leader's and the follower's rewards.
    """

    model: Model
    arrays: Arrays
    alive: Tensor
    initial: Tensor
    kept: IntArray | None
    offsets: tuple[float, float]

    def of(self, table: Any) -> Any:
        """A table of all states for those that are kept."""
        return table if self.kept is None else table[self.kept]


def pose(game: TabularGame, model: Model, *, entered: bool) -> Posed:
    """A model as it is evaluated; see ``Condition``.

    Args:
        game: the game.
        model: it under a commitment.
        entered: whether states that play never enters may be left out.
    """
    condition = game.condition(model)
    arrays = Arrays.of(game, model, condition)
    kept, offsets = condition if entered else (None, arrays.offsets)
    alive, initial = game.alive_tensor, game.initial_tensor
    if kept is None and offsets == (0.0, 0.0):
        return Posed(model, arrays, alive, initial, None, offsets)
    if kept is not None:
        policy, transition, leader, follower = (table[kept] for table in model)
        model, alive, initial = Model(policy, transition[..., kept], leader, follower), alive[kept], initial[kept]
        arrays = replace(arrays, kernel=kernel((model.transition * alive).detach().numpy()), alive=arrays.alive[kept])
    model = model._replace(
        leader_reward=model.leader_reward - offsets[0], follower_reward=model.follower_reward - offsets[1]
    )
    posed = replace(
        arrays,
        policy=model.policy.detach().numpy(),
        leader_reward=model.leader_reward.detach().numpy(),
        follower_reward=model.follower_reward.detach().numpy(),
        initial=initial.numpy(),
        offsets=(0.0, 0.0),
    )
    return Posed(model, posed, alive, initial, kept, offsets)


def under(game: TabularGame | EmbeddedGame, commitment: Commitment, *, entered: bool = True) -> Posed:
    """A game under a commitment as it is evaluated; ``entered``: see ``pose``."""
    if isinstance(game, TabularGame):
        return pose(game, game.model(commitment), entered=entered)
    policy = game.policy(commitment)
    arrays, _ = point_arrays(game, policy).centred()
    rewards = (torch.from_numpy(reward) for reward in (arrays.leader_reward, arrays.follower_reward))
    model = Model(policy, torch.empty(0, dtype=torch.float64), *rewards)
    alive, initial = torch.ones(len(policy), dtype=torch.float64), torch.tensor(game.initial_distribution)
    return Posed(model, arrays, alive, initial, None, game.offsets)


def point_arrays(game: EmbeddedGame, policy: Tensor) -> Arrays:
    """A game shown as points under the action probabilities ``[S, A]`` at its points."""
    rewards, discounts = (game.leader_reward, game.follower_reward), (game.leader_discount, game.follower_discount)
    alive, sees = np.ones(len(game.points), dtype=np.bool_), game.follower_sees_action
    start = game.initial_distribution
    table = policy.detach().numpy()
    return Arrays(table, game.kernel, *rewards, alive, *discounts, sees, game.horizon, start, game.offsets)


def annuity(game: Rules, discount: float | None, horizon: int | None) -> float:
    """What a reward of 1 in every stage is worth to the leader."""
    discount, horizon = check_objective(game, discount, horizon)
    if horizon is None:
        return 1 / (1 - discount)
    if discount in (0, 1):
        return float(horizon) if discount else 1.0
    return -math.expm1(horizon * math.log(discount)) / (1 - discount)  # 1 - discount^H would lose digits near 1

"""What both policies make of a finite game: a chain of states and a reward in each, and their discounted sums."""

from __future__ import annotations

import torch
from torch import Tensor

from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.kinds.finite import Model, TabularGame
from stackelberg_games.rules.rules import check_horizon


def leader_chain(game: TabularGame, model: Model, response: Tensor) -> tuple[Tensor, Tensor]:
    """State transitions ``[S, S]`` and expected leader rewards ``[S]``; dead where terminal."""
    alive = game.alive_tensor
    joint = model.policy[:, :, None] * response * alive[:, None, None]
    chain = torch.einsum("sab,sabn->sn", joint, model.transition * alive)
    return chain, (joint * model.leader_reward).sum(dim=(1, 2))


def accumulate(game: TabularGame, chain: Tensor, reward: Tensor, discount: float | None, horizon: int | None) -> Tensor:
    """sum_t (discount * chain)^t reward: one solve, or doubling over the bits of the horizon."""
    discount = game.leader_discount if discount is None else discount
    horizon = game.horizon if horizon is None else check_horizon(horizon)
    if not (0 <= discount < 1 or (discount == 1 and horizon is not None)):
        raise InvalidArgumentError(f"discount={discount!r}: expected [0, 1), or 1 with a finite horizon")
    step = discount * chain
    if horizon is None:
        infinite: Tensor = torch.linalg.solve(torch.eye(game.states, dtype=torch.float64) - step, reward)
        return infinite
    total, block, power = torch.zeros_like(reward), reward, step
    remaining = horizon
    while remaining:
        if remaining & 1:
            total = block + power @ total
        remaining >>= 1
        if remaining:
            block = block + power @ block
            power = power @ power
    return total

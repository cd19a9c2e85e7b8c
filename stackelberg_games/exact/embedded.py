"""Exact values of finite games whose states are shown as points, on lists of successors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.exact.derivatives import carrying, derivatives, leader_values
from stackelberg_games.exact.response import Arrays, soft_response
from stackelberg_games.kinds.embedded import EmbeddedGame
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.rules import check_horizon


def embedded_arrays(game: EmbeddedGame, commitment: Commitment) -> Arrays:
    """The finite game under a commitment.

    Raises:
        UnsupportedGameError: the commitment has no probabilities at points.
    """
    with torch.no_grad():
        policy = game.policy(commitment).numpy()
    alive = np.ones(len(game.points), dtype=np.bool_)
    rewards, discounts = (game.leader_reward, game.follower_reward), (game.leader_discount, game.follower_discount)
    return Arrays(policy, game.kernel, *rewards, alive, *discounts, game.follower_sees_action)


def embedded_objective(
    game: EmbeddedGame,
    commitment: Commitment,
    temperature: float,
    discount: float | None = None,
    horizon: int | None = None,
    start: FloatArray | None = None,
) -> Tensor:
    """See ``exact.leader_objective``."""
    arrays, horizon = _summed(game, commitment, discount, horizon)
    solved = soft_response(arrays, temperature, start)
    found = derivatives(arrays, solved, game.initial_distribution, horizon)
    return carrying(found.value, (torch.from_numpy(found.policy) * game.policy(commitment)).sum())


def embedded_value(
    game: EmbeddedGame,
    commitment: Commitment,
    response: FloatArray,
    discount: float | None = None,
    horizon: int | None = None,
) -> float:
    """See ``exact.leader_value``."""
    arrays, horizon = _summed(game, commitment, discount, horizon)
    if response.shape != arrays.leader_reward.shape:
        raise InvalidArgumentError(
            f"the response has shape {response.shape}: expected {arrays.leader_reward.shape}, [S, A, B]"
        )
    return float(game.initial_distribution @ leader_values(arrays, response, horizon))


def _summed(
    game: EmbeddedGame, commitment: Commitment, discount: float | None, horizon: int | None
) -> tuple[Arrays, int | None]:
    """The game with the discount and the horizon of the sum asked for."""
    arrays = embedded_arrays(game, commitment)
    horizon = game.horizon if horizon is None else check_horizon(horizon)
    discount = arrays.leader_discount if discount is None else discount
    if not (0 <= discount < 1 or (discount == 1 and horizon is not None)):
        raise InvalidArgumentError(f"discount={discount!r}: expected [0, 1), or 1 with a finite horizon")
    return replace(arrays, leader_discount=discount), horizon

"""Values of both players in finite games: the follower's at a response, and all critics at the soft-optimal one."""

from __future__ import annotations

import math

import numpy as np
import torch

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import PrecisionError
from stackelberg_games.exact.bounds import EPSILON
from stackelberg_games.exact.critics import CriticTables, critic_tables
from stackelberg_games.exact.objective import overflow_is_checked, require_finite
from stackelberg_games.exact.posed import pose
from stackelberg_games.exact.response import Arrays, lift, overflowed
from stackelberg_games.exact.soft_response import soft_response
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.preference import require_paid_by_stage
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.settings import checked

LOST = 1e-9
"""Share of the differences within a table that rounding may take."""


@checked
@overflow_is_checked
def follower_value(game: TabularGame, commitment: Commitment, response: FloatArray, temperature: float = 0.0) -> float:
    """The follower's expected discounted return, with tau times its entropy added, from the start.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("discrete_toy-v0")
        >>> uniform = sg.TabularPolicy(game), sg.TabularResponse.uniform(game).probabilities
        >>> round(sg.exact.follower_value(game, *uniform), 3)
        20.915

    Raises:
        InvalidArgumentError, PrecisionError: see ``leader_value``.
    """
    game, temperature = require_finite(game), checks.number("temperature", temperature, 0)
    game.check_response(response)
    with torch.no_grad():
        posed = pose(game, game.model(commitment), entered=True)
    arrays, response = posed.arrays, posed.of(response)
    entropy = -np.log(np.where(response > 0, response, 1.0))
    reward = arrays.average(arrays.follower_reward + temperature * entropy, response)
    values = arrays.system(response, game.follower_discount).solve(reward)
    value = float(posed.initial.numpy() @ values)
    if not math.isfinite(value):
        raise overflowed("the follower's value", arrays.follower_reward)
    return value + lift(posed.offsets[1], 1 / (1 - game.follower_discount))


@checked
@overflow_is_checked
def critics(game: TabularGame, commitment: Commitment, temperature: float) -> CriticTables:
    """All values of both players at a commitment and its soft-optimal response.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("discrete_toy-v0")
        >>> critics = sg.exact.critics(game, sg.TabularPolicy(game), temperature=0.05)
        >>> critics.leader_q.shape
        (150, 3, 2, 3)

    Raises:
        UnsupportedGameError: the game is not finite.
        PrecisionError: values overflow, or a constant in all rewards leaves no digits for their differences.
    """
    game = require_finite(game)
    require_paid_by_stage(game)
    game.check_temperature(temperature)
    with torch.no_grad():
        arrays = Arrays.of(game, game.model(commitment))
    found = critic_tables(arrays, soft_response(arrays, temperature), game.horizon)
    if not np.isfinite(found.leader_q).all():
        raise overflowed("the leader's values", arrays.leader_reward)
    for constant, table in zip(arrays.offsets, (found.leader_q, found.follower_q), strict=True):
        if constant and EPSILON * np.abs(table).max() > LOST * np.ptp(table):
            raise PrecisionError(
                f"tables of values around {table.flat[0]:.3g} cannot hold their differences, of {np.ptp(table):.3g} at "
                f"most: take the constant {constant:.6g} out of the rewards, it decides nothing"
            )
    return found

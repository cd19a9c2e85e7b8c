"""The hypergradient from two followers that were paid, and no derivative of a response.

Where both players discount alike the follower's answer to r_F + r_L / w is the solution of one soft control problem, of
value V. Its slope in the payment is what the leader gets, so

    forward   w (V[r_F + r_L / w] - V[r_F])                  ->  J_L,  error O(1 / w), never below J_L
    central   (w / 2) (V[r_F + r_L / w] - V[r_F - r_L / w])  ->  J_L,  error O(1 / w^2)

and the same holds of their gradients, which are policy gradients of the followers' own soft returns: at its own
optimum a follower's response has no part in them (Danskin's theorem).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.exact.objective import best_response
from stackelberg_games.exact.players import Objectives, log_policy
from stackelberg_games.exact.response import Arrays
from stackelberg_games.kinds.finite import Tables, TabularGame
from stackelberg_games.kinds.paid import one_control_problem, paid, paid_by_stage
from stackelberg_games.rules.commitment import Commitment


def held_returns(
    game: TabularGame,
    commitment: Commitment,
    logits: Tensor,
    temperature: float,
    *,
    share: float = 0.0,
    horizon: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Both players' returns from the first states under a response held, differentiable in the commitment and in it.

    Args:
        game: a finite game.
        commitment: the leader's.
        logits: of the response, ``[S, A, B]``, or ``[S, 1, B]`` where the follower does not see the action.
        temperature: weight of the response's entropy in the follower's return.
        share: of the leader's reward that the follower is paid beside its own.
        horizon: of the leader's return; None for that of endless play.

    Raises:
        UnsupportedGameError: what a player gets is not all in the game's tables.
    """
    model = paid_by_stage(game, "held_returns").model(commitment)
    paid_reward = model.follower_reward + share * model.leader_reward
    alive = game.alive_tensor if game.lists is None else torch.from_numpy(~game.terminal[game.lists.successors])
    tables = Tables(model.transition * alive, model.leader_reward, paid_reward)
    objectives = Objectives(Arrays.of(game, model), game.initial_tensor, horizon, tables)
    leader, follower = objectives.returns(model.policy, logits, temperature)
    return leader, game.initial_tensor @ follower


def soft_value(game: TabularGame, commitment: Commitment, temperature: float, share: float = 0.0) -> Tensor:
    """The soft value of a follower that is paid a share of the leader's reward; its gradient is by Danskin's theorem."""
    asked = game if share == 0 else paid(one_control_problem(game, "soft_value"), share)
    logits = log_policy(best_response(asked, commitment, temperature).policy)
    return held_returns(game, commitment, logits, temperature, share=share)[1]


def twin_objective(
    game: TabularGame,
    commitment: Commitment,
    temperature: float,
    weight: float,
    form: Literal["central", "forward"] = "central",
) -> Tensor:
    """The leader's endless return as a difference of two followers' soft values; see the module's text.

    ``backward()`` gives an estimate of the hypergradient.

    Args:
        game: a finite game in which both players discount alike; its horizon is not looked at.
        commitment: the leader's.
        temperature: tau > 0.
        weight: w > 0.
        form: see the module's text.

    Raises:
        InvalidArgumentError: ``weight`` or ``temperature`` is not positive, or there is no such form.
        UnsupportedGameError: see ``kinds.paid.one_control_problem``.
    """
    weight, temperature = checks.number("weight", weight, above=0), checks.number("temperature", temperature, above=0)
    checks.choice("form", form, ["central", "forward"])
    game = one_control_problem(game, "twin_objective")
    above = soft_value(game, commitment, temperature, 1 / weight)
    if form == "forward":
        return weight * (above - soft_value(game, commitment, temperature))
    return weight / 2 * (above - soft_value(game, commitment, temperature, -1 / weight))

"""Objective and hypergradient of a configured reward by three linear solves of the state space.

For a leader whose configuration enters the rewards only, in the endless game, with the response g,
its state chain P_g and the benefit B = QL - E_g QL:

    dL (I - gL P_g) = start,      W = dL g B / tau,
    dF (I - gF P_g) = gF W P,
    grad J = sum over (s, b) of dL(s) g(b|s) grad rL(s, b) + (W(s, b) + dF(s) g(b|s)) grad rF(s, b).

A follower that plans with other transitions than those played enters through g, and through the P of
the second row and of its chain. The same number as automatic differentiation through the response gives, at a fraction of the cost.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.exact.response import Arrays, Factorised, soft_response
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.rules.commitment import Commitment


def reward_objective(
    game: ConfigurableGame, commitment: Commitment, temperature: float, start: FloatArray | None = None
) -> tuple[Tensor, FloatArray]:
    """The leader's objective, a scalar tensor with the exact hypergradient, and the follower's values.

    Args:
        game: a configurable MDP without horizon, whose transitions stay as they are.
        commitment: its parameters receive the gradient.
        temperature: tau > 0.
        start: the follower's values ``[S]`` to warm-start from.

    Raises:
        UnsupportedGameError: the game has a horizon or configured transitions.
    """
    configuration = commitment.configuration()
    if configuration is None or game.horizon is not None:
        raise UnsupportedGameError(f"{game.name}: reward_objective needs a configuration and no horizon")
    tables = game.tables(configuration)
    if tables.transition.requires_grad:
        raise UnsupportedGameError(f"{game.name}: reward_objective needs transitions that are not configured")
    arrays = Arrays.of(game, game.single(tables))
    solved = soft_response(arrays, temperature, start)
    value, leader, follower = reward_weights(arrays, solved.policy, temperature, game.initial_distribution)
    pulled = torch.from_numpy(leader) * tables.leader_reward + torch.from_numpy(follower) * tables.follower_reward
    total = pulled.sum()
    return total - total.detach() + value, solved.values


def reward_weights(
    arrays: Arrays, response: FloatArray, temperature: float, start: FloatArray, believed: Arrays | None = None
) -> tuple[float, FloatArray, FloatArray]:
    """J and its derivatives by both rewards, ``[S, A, B]`` each; see the module's text.

    Args:
        arrays: the game under a commitment.
        response: g, ``[S, A, B]``, of a follower that sees the leader's action.
        temperature: tau > 0.
        start: weights of the first states, ``[S]``.
        believed: the game that the follower plans with, where it is not the one that is played.
    """
    planned = arrays if believed is None else believed
    joint = arrays.joint(response)
    system = Factorised(arrays.kernel.chain(joint), arrays.leader_discount)
    values = system.solve((joint * arrays.leader_reward).sum(axis=(1, 2)))
    q = arrays.leader_q(values)
    benefit = q - (response * q).sum(axis=2, keepdims=True)
    leader = system.solve_transposed(start)[:, None, None] * joint
    answer = leader * benefit / temperature
    entering = arrays.follower_discount * planned.kernel.inflow(answer)
    if believed is not None or arrays.follower_discount != arrays.leader_discount:
        system = Factorised(planned.kernel.chain(joint), arrays.follower_discount)
    follower = answer + system.solve_transposed(entering)[:, None, None] * joint
    return float(start @ values), leader, follower

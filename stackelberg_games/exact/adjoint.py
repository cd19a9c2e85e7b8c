"""The leader's objective with its exact hypergradient, by adjoint solves; see ``exact.derivatives``.

For a leader whose configuration enters the rewards only, in the endless game, with the response g,
its state chain P_g and the benefit B = QL - E_g QL:

    dL (I - gL P_g) = start,      W = dL g B / tau,
    dF (I - gF P_g) = gF W P,
    grad J = sum over (s, b) of dL(s) g(b|s) grad rL(s, b) + (W(s, b) + dF(s) g(b|s)) grad rF(s, b).

A follower that plans with other transitions than those played enters through g, and through the P of
the second row and of its chain.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.exact.derivatives import derivatives
from stackelberg_games.exact.listed_values import listed_values
from stackelberg_games.exact.posed import Posed, annuity
from stackelberg_games.exact.response import Arrays, Factorised, lift, overflowed
from stackelberg_games.exact.soft_response import soft_response
from stackelberg_games.kinds.chain import check_objective
from stackelberg_games.kinds.successors import SuccessorLists
from stackelberg_games.rules.rules import Rules


class Objective(NamedTuple):
    """The leader's objective at a commitment.

    Attributes:
        value: without ``constant``.
        constant: what a constant in all of the leader's rewards adds.
        surrogate: a scalar tensor; its gradient is the exact hypergradient.
        values: the follower's, ``[R]``, to warm-start the next call from.
    """

    value: float
    constant: float
    surrogate: Tensor
    values: FloatArray


def adjoint_objective(
    game: Rules,
    posed: Posed,
    temperature: float,
    start: FloatArray | None = None,
    *,
    discount: float | None = None,
    horizon: int | None = None,
) -> Objective:
    """The leader's objective and its exact hypergradient.

    Args:
        game: a finite game.
        posed: it under a commitment, whose parameters receive the gradient.
        temperature: tau > 0.
        start: the follower's values of an earlier call in the same game.
        discount, horizon: override the leader's.

    Raises:
        PrecisionError: double precision cannot tell the answer.
    """
    discount, horizon = check_objective(game, discount, horizon)
    arrays = replace(posed.arrays, leader_discount=discount, horizon=horizon)
    if start is not None and len(start) != len(posed.initial):
        start = None
    constant = lift(posed.offsets[0], annuity(game, discount, horizon))
    if isinstance(arrays.kernel, SuccessorLists):
        leader, follower = listed_values(arrays, posed.model, temperature, horizon, start)
        listed: Tensor = posed.initial @ leader
        return Objective(_finite(listed.item(), arrays), constant, listed, follower.detach().numpy())
    solved = soft_response(arrays, temperature, start)
    found = derivatives(arrays, solved, posed.initial.numpy(), horizon)
    by_transition = None
    if posed.model.transition.requires_grad:
        owing = arrays.follower_discount * found.follower[..., None] * solved.values
        by_transition = (arrays.joint(solved.policy)[..., None] * found.ahead[:, None, None, :] + owing) * arrays.alive
    pulls = (found.policy, by_transition, found.leader, found.follower)
    terms = [
        (torch.from_numpy(np.ascontiguousarray(pull)) * part).sum()
        for pull, part in zip(pulls, posed.model, strict=True)
        if pull is not None and part.requires_grad
    ]
    surrogate = torch.stack(terms).sum() if terms else torch.zeros((), dtype=torch.float64)
    return Objective(_finite(found.value, arrays), constant, surrogate, solved.values)


def _finite(value: float, arrays: Arrays) -> float:
    if not math.isfinite(value):
        raise overflowed("the leader's value", arrays.leader_reward)
    return value


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

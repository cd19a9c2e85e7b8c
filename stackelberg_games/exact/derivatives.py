"""Value and hypergradient of a finite game by adjoint solves of the state space, whatever enters it.

With the leader's policy f, the response g, their state chain P_fg, the leader's values QL and the credit C:

    dL_t = discounted visits of the leader's play,    X = sum_t dL_t QL_t,    C = X - E_g X,    W = f g C / tau,
    dF (I - gF P_fg) = gF W P,
    dJ/df  = E_g X + dF VF,     dJ/drL = sum_t dL_t f g,     dJ/drF = W + dF f g,
    dJ/dP(s') = f g gL sum_t dL_t VL_{t+1}(s') + gF (W + dF f g) VF(s').

Without a horizon dL (I - gL P_fg) = start and X = dL QL. A follower that does not see the leader's action has its X
averaged over f first, and dJ/df gains sum_b W QF / f. The same numbers as automatic differentiation through the
response gives, at a fraction of the cost, and on lists of successors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.exact.response import Arrays, Factorised, Response
from stackelberg_games.kinds.kernel import SparseKernel
from stackelberg_games.kinds.successors import SuccessorLists
from stackelberg_games.numerics.randomness import compiled


@dataclass(frozen=True)
class Derivatives:
    """J and its derivatives, the follower's response included.

    Attributes:
        value: J.
        policy: by the leader's policy f, ``[S, A]``; a number added to a row changes nothing.
        leader, follower: by both rewards, ``[S, A, B]``.
        ahead: gL sum_t dL_t(s) VL_{t+1}(s'), ``[S, S]``.
    """

    value: float
    policy: FloatArray
    leader: FloatArray
    follower: FloatArray
    ahead: FloatArray


def carrying(value: float, pull: Tensor) -> Tensor:
    """A number with the gradient of a scalar."""
    return pull - pull.detach() + value


def derivatives(arrays: Arrays, solved: Response, start: FloatArray, horizon: int | None = None) -> Derivatives:
    """J and its derivatives by everything that a commitment may decide; see the module's text.

    Args:
        arrays: the game under a commitment.
        solved: the soft-optimal response to it.
        start: weights of the first states, ``[S]``.
        horizon: of the leader's return, or None.
    """
    response = solved.policy
    joint = arrays.joint(response)
    chain, reward = arrays.kernel.chain(joint), (joint * arrays.leader_reward).sum(axis=(1, 2))
    system: Factorised | None = None
    if horizon is None:
        system = Factorised(chain, arrays.leader_discount)
        values, visits = system.solve(reward), system.solve_transposed(start)
        value, ahead = float(start @ values), arrays.leader_discount * np.outer(visits, values)
    else:
        staged, times = _unrolled(chain, reward, start, arrays.leader_discount, horizon)
        value, visits = float(start @ staged[0]), times.sum(axis=0)
        ahead = arrays.leader_discount * (times.T @ staged[1:])
    reached = visits[:, None, None] * arrays.leader_reward + arrays.kernel.expected_each(ahead)
    credit = _credit(arrays, response, reached) / solved.temperature
    answer = credit * joint
    entering = arrays.follower_discount * arrays.kernel.inflow(answer)
    if system is None or arrays.follower_discount != arrays.leader_discount:
        system = Factorised(chain, arrays.follower_discount)
    owed = system.solve_transposed(entering)
    policy = (response * reached).sum(axis=2) + owed[:, None] * solved.action_values
    if not arrays.sees:
        policy = policy + (response * credit * solved.q).sum(axis=2)
    policy = policy * arrays.alive[:, None]
    return Derivatives(value, policy, visits[:, None, None] * joint, answer + owed[:, None, None] * joint, ahead)


def leader_values(arrays: Arrays, response: FloatArray, horizon: int | None = None) -> FloatArray:
    """The leader's values of the first stage against any response, ``[S]``."""
    reward = arrays.average(arrays.leader_reward, response)
    if horizon is None:
        return arrays.system(response, arrays.leader_discount).solve(reward)
    if isinstance(arrays.kernel, SuccessorLists):
        return arrays.accumulated(response, reward, arrays.leader_discount, horizon)
    chain = arrays.kernel.chain(arrays.joint(response))
    return np.asarray(_unrolled(chain, reward, np.zeros_like(reward), arrays.leader_discount, horizon)[0][0])


def _credit(arrays: Arrays, response: FloatArray, reached: FloatArray) -> FloatArray:
    """X - E_g X, ``[S, A, B]``; of its average over the leader's policy where the follower does not see it."""
    if not arrays.sees:
        reached = np.broadcast_to((arrays.policy[:, :, None] * reached).sum(axis=1, keepdims=True), reached.shape)
    return np.asarray(reached - (response * reached).sum(axis=2, keepdims=True))


def _unrolled(
    chain: FloatArray, reward: FloatArray, start: FloatArray, discount: float, horizon: int
) -> tuple[FloatArray, FloatArray]:
    """Values at every stage, ``[H + 1, S]``, and discounted visits, ``[H, S]``."""
    values, visits = np.zeros((horizon + 1, len(reward))), np.zeros((horizon, len(reward)))
    visits[0] = start
    lists = SparseKernel.of(chain[:, None, None, :])
    _unroll(lists.first, lists.successors, discount * lists.probability, reward, values, visits)
    return values, visits


@compiled
def _unroll(first: Any, successors: Any, weights: Any, reward: Any, values: Any, visits: Any) -> None:
    horizon, states = visits.shape
    for t in range(horizon - 1, -1, -1):
        for s in range(states):
            total = reward[s]
            for k in range(first[s], first[s + 1]):
                total += weights[k] * values[t + 1, successors[k]]
            values[t, s] = total
    for t in range(horizon - 1):
        for s in range(states):
            weight = visits[t, s]
            if weight != 0.0:
                for k in range(first[s], first[s + 1]):
                    visits[t + 1, successors[k]] += weight * weights[k]

"""Differentiable values of both players in games given as lists of successors; see ``exact.derivatives`` for the formulas.

Forwards the response and both players' values are solved for; backwards two transposed solves give the derivatives by whatever a
commitment decides: action probabilities, both rewards, and the probabilities of the listed successors. Nothing of the size of pairs
of states is made, and what asks for no derivative costs none.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.exact.chain_rows import product, weighted_chain
from stackelberg_games.exact.chain_system import ChainSystem
from stackelberg_games.exact.response import Arrays
from stackelberg_games.exact.soft_response import soft_response
from stackelberg_games.kinds.finite import Model
from stackelberg_games.kinds.successors import Pattern, SuccessorLists
from stackelberg_games.numerics.averages import averages
from stackelberg_games.numerics.randomness import compiled

NOTHING: FloatArray = np.empty(0)


def listed_values(
    arrays: Arrays, model: Model, temperature: float, horizon: int | None, start: FloatArray | None
) -> tuple[Tensor, Tensor]:
    """VL of the first stage and VF, ``[S]`` each, differentiable in what the model's tables depend on.

    Args:
        arrays: the game under a commitment, its leader's discount that of the objective.
        model: the same, differentiable.
        temperature: tau > 0.
        horizon: of the leader's return, or None.
        start: the follower's values of an earlier call.

    Raises:
        PrecisionError, SolverError: see ``soft_response``.
    """
    solve: Any = _Values.apply
    leader, follower = solve(arrays, temperature, horizon, start, *model)
    return leader, follower


class _Forward(NamedTuple):
    """What the way back needs of the way there."""

    arrays: Arrays
    temperature: float
    horizon: int | None
    response: FloatArray  # [S, A, B] or [S, 1, B]
    leader: FloatArray
    follower: FloatArray
    system: ChainSystem | None  # of the leader's values; None with a horizon
    chain: FloatArray  # discounted, at the places of the pattern; empty without a horizon


class _Values(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        arrays: Arrays,
        temperature: float,
        horizon: int | None,
        start: FloatArray | None,
        *model: Tensor,
    ) -> tuple[Tensor, Tensor]:
        solved = soft_response(arrays, temperature, start)
        response = solved.policy if arrays.sees else np.ascontiguousarray(solved.policy[:, :1])
        values = solved.values
        del solved  # its action values are as large as a reward
        reward, system, chain = _expectation(arrays, response), None, NOTHING
        if horizon is None:
            system = _system(arrays, response, arrays.leader_discount)
            leader = system.solve(reward)
        else:
            lists = arrays.kernel
            assert isinstance(lists, SuccessorLists)
            chain = weighted_chain(lists, arrays.policy, response, arrays.leader_discount, arrays.alive)
            leader = _staged(lists.pattern, chain, reward, horizon)
        ctx.kept = _Forward(arrays, temperature, horizon, response, leader, values, system, chain)
        return torch.from_numpy(leader.copy()), torch.from_numpy(values.copy())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, of_leader: Tensor, of_follower: Tensor) -> tuple[Tensor | None, ...]:
        pulls = _pulled(ctx.kept, of_leader.numpy(), of_follower.numpy(), ctx.needs_input_grad[4:])
        return None, None, None, None, *(None if pull is None else torch.from_numpy(pull) for pull in pulls)


def _expectation(arrays: Arrays, response: FloatArray) -> FloatArray:
    """The leader's mean reward in each state, ``[S]``; zero where terminal."""
    rows = np.broadcast_to(response, arrays.leader_reward.shape)
    paid = averages(rows, arrays.leader_reward[None])  # [1, S, A]
    return np.asarray(averages(arrays.policy[None], paid[:, None])[0, 0] * arrays.alive)


def _system(arrays: Arrays, response: FloatArray, discount: float) -> ChainSystem:
    system = arrays.system(response, discount)
    assert isinstance(system, ChainSystem)
    return system


def _staged(
    pattern: Pattern, chain: FloatArray, reward: FloatArray, horizon: int, kept: FloatArray | None = None
) -> FloatArray:
    """Values with a horizon; ``kept`` ``[H + 1, S]`` gets those of every stage."""
    values = np.zeros_like(reward)
    for stage in range(horizon - 1, -1, -1):
        values = reward + product(pattern, chain, values)
        if kept is not None:
            kept[stage] = values
    return values


def _ahead(
    kept: _Forward, pattern: Pattern, reward: FloatArray, start: FloatArray, horizon: int
) -> tuple[FloatArray, FloatArray]:
    """Visits summed over stages, ``[S]``, and gL sum_t dL_t(s) VL_{t+1}(s') at the places of the pattern."""
    checks.affordable(f"values of {horizon} stages of {len(reward)} states", (horizon + 1) * len(reward))
    values = np.zeros((horizon + 1, len(reward)))
    _staged(pattern, kept.chain, reward, horizon, values)
    ahead: FloatArray = np.zeros(len(pattern.columns))
    visits, now = np.zeros_like(reward), start.copy()
    for stage in range(horizon):
        visits += now
        _add_outer(pattern.first, pattern.columns, kept.arrays.leader_discount, now, values[stage + 1], ahead)
        now = product(pattern, kept.chain, now, transposed=True)
    return visits, ahead


def _pulled(
    kept: _Forward, of_leader: FloatArray, of_follower: FloatArray, wanted: tuple[bool, ...]
) -> tuple[FloatArray | None, ...]:
    """Derivatives by the policy, the probabilities and both rewards, as far as they are wanted."""
    arrays, response = kept.arrays, kept.response
    lists, alive = arrays.kernel, arrays.alive
    assert isinstance(lists, SuccessorLists)
    discounts = (arrays.leader_discount, arrays.follower_discount)
    start = of_leader * alive
    ahead: FloatArray
    if kept.horizon is None:
        assert kept.system is not None
        visits, ahead = kept.system.solve_transposed(start), NOTHING
    else:
        visits, ahead = _ahead(kept, lists.pattern, _expectation(arrays, response), start, kept.horizon)
    shape = arrays.follower_reward.shape
    policy = np.zeros(shape[:2])
    answer = np.zeros(shape if wanted[1] or wanted[3] else (0, 0, 0))
    entering = of_follower * alive
    listed = (lists.first, lists.successors, lists.probability, lists.pattern.first, lists.pattern.slot)
    rewards = (arrays.leader_reward, arrays.follower_reward)
    policies = (arrays.policy, response, alive)
    values = (kept.leader, kept.follower)
    _credit(
        listed,
        rewards,
        policies,
        (*discounts, kept.temperature, arrays.sees),
        values,
        (visits, ahead),
        (policy, answer, entering),
    )
    system = kept.system
    if system is None or discounts[0] != discounts[1]:
        system = _system(arrays, response, arrays.follower_discount)
    owed = system.solve_transposed(entering)
    chances = np.zeros(len(lists.probability) if wanted[1] else 0)
    _owe(
        listed,
        rewards,
        policies,
        (*discounts, kept.temperature, arrays.sees),
        values,
        (visits, ahead, owed),
        (policy, answer, chances),
    )
    leader = visits[:, None, None] * arrays.joint(response) if wanted[2] else None
    return policy, chances if wanted[1] else None, leader, answer if wanted[3] else None


@compiled
def _add_outer(first: Any, columns: Any, discount: float, visits: Any, values: Any, ahead: Any) -> None:
    for s in range(visits.shape[0]):
        weight = discount * visits[s]
        if weight != 0.0:
            for place in range(first[s], first[s + 1]):
                ahead[place] += weight * values[columns[place]]


@compiled
def _table(listed: Any, reward: float, discount: float, values: Any, cell: int) -> float:
    """R + discount P V in a cell."""
    first, successors, probability, _, _ = listed
    total = 0.0
    for k in range(first[cell], first[cell + 1]):
        total += probability[k] * values[successors[k]]
    return reward + discount * total


@compiled
def _credit(listed: Any, rewards: Any, policies: Any, settings: Any, values: Any, reached: Any, out: Any) -> None:
    """E_g X and W = f g C / tau; what W makes flow into the states; and where a is not seen what W owes to its QF."""
    first, successors, probability, places, slot = listed
    (leader_reward, follower_reward), (f, g, alive) = rewards, policies
    leader_discount, follower_discount, temperature, sees = settings
    (leader, follower), (visits, ahead), (policy, answer, entering) = values, reached, out
    states, actions, replies = leader_reward.shape
    x, weight = np.empty((actions, replies)), np.empty((actions, replies))
    for s in range(states):
        if not alive[s]:
            continue
        for a in range(actions):
            mean = 0.0
            for b in range(replies):
                cell = (s * actions + a) * replies + b
                if ahead.shape[0] == 0:
                    x[a, b] = visits[s] * _table(listed, leader_reward[s, a, b], leader_discount, leader, cell)
                else:
                    x[a, b] = visits[s] * leader_reward[s, a, b]
                    for k in range(first[cell], first[cell + 1]):
                        x[a, b] += probability[k] * ahead[places[s] + slot[k]]
                mean += g[s, a if sees else 0, b] * x[a, b]
            policy[s, a] = mean
            if sees:
                for b in range(replies):
                    weight[a, b] = f[s, a] * g[s, a, b] * (x[a, b] - mean) / temperature
        if not sees:
            mean = 0.0
            for a in range(actions):
                mean += f[s, a] * policy[s, a]
            for b in range(replies):
                blind = -mean
                for a in range(actions):
                    blind += f[s, a] * x[a, b]
                blind *= g[s, 0, b] / temperature
                for a in range(actions):
                    cell = (s * actions + a) * replies + b
                    weight[a, b] = f[s, a] * blind
                    policy[s, a] += blind * _table(listed, follower_reward[s, a, b], follower_discount, follower, cell)
        for a in range(actions):
            for b in range(replies):
                cell = (s * actions + a) * replies + b
                flow = follower_discount * weight[a, b]
                if flow != 0.0:
                    for k in range(first[cell], first[cell + 1]):
                        entering[successors[k]] += flow * probability[k]
                if answer.shape[0] > 0:
                    answer[s, a, b] = weight[a, b]


@compiled
def _owe(listed: Any, rewards: Any, policies: Any, settings: Any, values: Any, reached: Any, out: Any) -> None:
    """Adds what the follower's values owe: dF VF to the policy, dF f g to its rewards; and derivatives by probabilities."""
    first, successors, _, places, slot = listed
    (_, follower_reward), (f, g, alive) = rewards, policies
    leader_discount, follower_discount, temperature, sees = settings
    (leader, follower), (visits, ahead, owed), (policy, answer, chances) = values, reached, out
    states, actions, replies = follower_reward.shape
    for s in range(states):
        if not alive[s]:
            continue
        for a in range(actions):
            for b in range(replies):
                cell = (s * actions + a) * replies + b
                reply = g[s, a if sees else 0, b]
                q = _table(listed, follower_reward[s, a, b], follower_discount, follower, cell)
                surprise = temperature * np.log(reply) if reply > 0.0 else 0.0
                policy[s, a] += owed[s] * reply * (q - surprise)
                joint = f[s, a] * reply
                if answer.shape[0] > 0:
                    answer[s, a, b] += owed[s] * joint
                if chances.shape[0] > 0:
                    pull = follower_discount * answer[s, a, b]
                    for k in range(first[cell], first[cell + 1]):
                        n = successors[k]
                        forward = (
                            ahead[places[s] + slot[k]]
                            if ahead.shape[0] > 0
                            else leader_discount * visits[s] * leader[n]
                        )
                        chances[k] = joint * forward + pull * follower[n] * alive[n]

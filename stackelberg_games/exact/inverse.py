"""Soft inverse reinforcement learning: the follower's reward from its actions under several commitments.

The reward r(s, a, b) is the maximum a posteriori of the soft Bellman model

    l(r) = sum_k sum_{s,a,b} n_k(s, a, b) log g_k(b | s, a; r) - |r|^2 / (2 d^2)

with the counts n_k of replies under commitment k, g_k its soft-optimal response in the game estimated so
far, and a normal prior of deviation d. Ziebart, Maas, Bagnell and Dey, AAAI 2008, and Ziebart's
thesis (2010) for the causal form; here the follower sees the leader's action and answers many
commitments, and that is what the reward is learned from: the behaviour under a single one fits any
values V(s, a), by r = tau log g + V - gF P V, and so determines no hypergradient. Under several
commitments it has to fit the same reward to all of them.

With m = (n_k - n_k(s, a) g_k) / tau and one adjoint solve w = (I - gF P_g)'^-1 gF P'm for each
commitment, the gradient is sum_k (m + w f_k g_k) - r / d^2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize

from stackelberg_games.arrays import FloatArray
from stackelberg_games.exact.response import Arrays
from stackelberg_games.exact.soft_response import soft_response

KEPT = 24
"""Commitments that are kept apart; beyond, the two neighbours that are most alike are merged."""


class ReplyCounts(NamedTuple):
    """What was seen under a commitment: the leader's policy ``[S, A]`` and counts ``[S, A, B]``."""

    policy: FloatArray
    counts: FloatArray


class SoftInverse:
    """The follower's reward, from what it replied to the commitments so far.

    Args:
        shape: numbers of states, leader actions and follower actions.
        temperature: tau > 0, as believed.
        deviation: d > 0 of the prior, in units of reward.
        steps: of L-BFGS in each fit, >= 1; a fit starts from the last.
    """

    def __init__(
        self, shape: tuple[int, int, int], temperature: float, deviation: float = 10.0, steps: int = 10
    ) -> None:
        self.temperature, self.deviation, self.steps = temperature, deviation, steps
        self.reward: FloatArray = np.zeros(shape)
        self.seen: list[ReplyCounts] = []
        self._values: list[FloatArray | None] = []

    def observe(self, policy: FloatArray, counts: FloatArray) -> None:
        """Take in the replies to a commitment."""
        self.seen.append(ReplyCounts(policy, counts))
        self._values.append(None)
        if len(self.seen) > KEPT:
            gaps = [
                float(np.abs(one.policy - two.policy).sum()) for one, two in zip(self.seen, self.seen[1:], strict=False)
            ]
            first = int(np.argmin(gaps))
            self.seen[first : first + 2] = [_merged(*self.seen[first : first + 2])]
            self._values[first : first + 2] = [None]

    def fit(self, arrays: Arrays) -> FloatArray:
        """The reward ``[S, A, B]`` in an estimated game, whose own follower reward is not read."""
        found = minimize(
            lambda flat: self._loss(arrays, flat),
            self.reward.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": self.steps},
        )
        self.reward = found.x.reshape(self.reward.shape)
        return self.reward

    def _loss(self, arrays: Arrays, flat: FloatArray) -> tuple[float, FloatArray]:
        """Minus l, and its gradient."""
        reward = flat.reshape(self.reward.shape)
        total, gradient = -0.5 * float(flat @ flat) / self.deviation**2, -reward / self.deviation**2
        for number, replies in enumerate(self.seen):
            under = replace(arrays, policy=replies.policy, follower_reward=reward)
            solved = soft_response(under, self.temperature, self._values[number])
            self._values[number] = solved.values
            value, slope = _likelihood(under, solved.policy, replies.counts, self.temperature)
            total, gradient = total + value, gradient + slope
        return -total, -gradient.ravel()

    def state_dict(self) -> dict[str, Any]:
        """Reward and counts."""
        return {"reward": self.reward, "seen": [list(replies) for replies in self.seen]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore reward and counts."""
        self.reward = np.array(state["reward"])
        self.seen = [ReplyCounts(np.array(policy), np.array(counts)) for policy, counts in state["seen"]]
        self._values = [None] * len(self.seen)


def _merged(one: ReplyCounts, two: ReplyCounts) -> ReplyCounts:
    """ReplyCounts to two commitments that differ little, as if to their mean."""
    weights = np.array([one.counts.sum(), two.counts.sum()])
    policy = (weights[0] * one.policy + weights[1] * two.policy) / weights.sum()
    return ReplyCounts(policy, one.counts + two.counts)


def _likelihood(
    arrays: Arrays, response: FloatArray, counts: FloatArray, temperature: float
) -> tuple[float, FloatArray]:
    """Log-likelihood of counts under a soft-optimal response, and its gradient in the reward."""
    joint = arrays.policy[:, :, None] * response
    if arrays.sees:
        surprise = counts - counts.sum(axis=2, keepdims=True) * response
    else:  # a log-probability is moved by values averaged over the leader's action
        pooled = counts.sum(axis=1, keepdims=True)
        surprise = arrays.policy[:, :, None] * (pooled - pooled.sum(axis=2, keepdims=True) * response)
    pull = surprise / temperature
    inflow = arrays.follower_discount * arrays.kernel.inflow(pull)
    system = np.eye(len(inflow)) - arrays.follower_discount * arrays.chain(response)
    adjoint = np.linalg.solve(system.T, inflow) * arrays.alive
    value = float((counts * np.log(np.where(counts > 0, response, 1.0))).sum())
    return value, np.asarray(pull + adjoint[:, None, None] * joint)

"""The covariance hypergradient: an O(T) estimator from trajectories (BC-HG, arXiv 2603.14867).

For a follower that responds with g = softmax(QF / tau), the leader's hypergradient is

    direct    sum_t gL^t [ AL_t d log f_t + d rL_t + gL VL(s_{t+1}) d log P_t ]
    response  (1/tau) sum_t [ u_t AF_t d log f_t + w_t d rF_t + w_t gF VF(s_{t+1}) d log P_t ]

in expectation, with two traces that carry the *benefit* B_t = QL_t - E_b QL_t forward:

    u_0 = 0,   w_t = u_t + gL^t B_t,   u_{t+1} = gF w_t.

The response row is E_b[QL d log g] = Cov_b(QL, d QF) / tau, with d QF unrolled along the very
trajectory. Where the follower does not see the leader's action, log f enters with w_t in place of
u_t, because its action then answers the policy and not the drawn action.

This module turns trajectories and critics into coefficients of the differentiable terms; it knows
nothing of how the critics were had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.game import FloatArray
from stackelberg_games.randomness import compiled
from stackelberg_games.trajectories import Trajectories


@dataclass(frozen=True)
class StageCritics:
    """Critics at the visited stages; every field is float64 ``[N, T]``.

    Attributes:
        benefit: B = QL(s, a, b) - E_b QL(s, a, b); where the follower does not see a, of
            QL(s, b) = E_a QL(s, a, b).
        leader_advantage: AL = VL(s, a) - VL(s) (a baseline must not depend on b unless the
            follower does not see a).
        follower_advantage: AF = VF(s, a) - VF(s); where the follower does not see a,
            QF(s, a, b) - E_a QF(s, a, b).
        leader_next_value: VL(s_{t+1}), zero at terminal states; only where the leader configures
            the transitions.
        follower_next_value: VF(s_{t+1}), likewise.
    """

    benefit: FloatArray
    leader_advantage: FloatArray
    follower_advantage: FloatArray
    leader_next_value: FloatArray | None = None
    follower_next_value: FloatArray | None = None


class Coefficients(NamedTuple):
    """Weights of the differentiable terms at every stage, float64 ``[N, T]``; zero in padding.

    ``direct_policy`` and ``response_policy`` both multiply log f; they are kept apart so that the
    naive gradient, and the size of each row, can be read off. ``carry`` is u at the end, ``[N]``.
    """

    direct_policy: FloatArray
    response_policy: FloatArray
    leader_reward: FloatArray
    follower_reward: FloatArray
    log_transition: FloatArray
    carry: FloatArray


class Terms(NamedTuple):
    """The leader's lever: how theta enters at the visited stages; tensors ``[N, T]`` or None."""

    log_policy: Tensor | None = None
    leader_reward: Tensor | None = None
    follower_reward: Tensor | None = None
    log_transition: Tensor | None = None


class Tails(NamedTuple):
    """Differentiable values at the last states, ``[N]``, for trajectories cut before play ends.

    Attributes:
        leader: VL_theta(s_T); zero where the leader's objective ends with the trajectory.
        follower: VF_theta(s_T); zero at terminal states.
    """

    leader: Tensor
    follower: Tensor


@compiled
def _traces(benefit: Any, lengths: Any, leader_discount: float, follower_discount: float, out: Any) -> None:
    before, after, carry = out
    for i in range(benefit.shape[0]):
        u, weight = 0.0, 1.0
        for t in range(lengths[i]):
            before[i, t] = u
            w = u + weight * benefit[i, t]
            after[i, t] = w
            u = follower_discount * w
            weight *= leader_discount
        carry[i] = u


def traces(
    benefit: FloatArray, lengths: Any, leader_discount: float, follower_discount: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The traces u ``[N, T]``, w ``[N, T]`` and the final u ``[N]``; one pass over the stages."""
    out = (np.zeros_like(benefit), np.zeros_like(benefit), np.zeros(benefit.shape[0]))
    _traces(benefit, lengths, leader_discount, follower_discount, out)
    return out


def coefficients(
    batch: Trajectories,
    critics: StageCritics,
    *,
    leader_discount: float,
    follower_discount: float,
    temperature: float,
    follower_sees_action: bool = True,
    trace_decay: float = 1.0,
) -> Coefficients:
    """Weights of the differentiable terms.

    Args:
        batch: N episodes of at most T stages.
        critics: at the visited stages.
        leader_discount: gL.
        follower_discount: gF.
        temperature: tau > 0.
        follower_sees_action: see the module's text.
        trace_decay: the traces decay by ``trace_decay * gF`` a stage; 1 is unbiased, less forgets
            influences that reach far ahead and lowers the variance.

    Raises:
        InvalidArgumentError: a shape disagrees with the batch, or tau is not positive.
    """
    if not temperature > 0:
        raise InvalidArgumentError(f"temperature={temperature!r}: expected a number > 0")
    if not 0 <= trace_decay <= 1:
        raise InvalidArgumentError(f"trace_decay={trace_decay!r}: expected a number in [0, 1]")
    shape = (batch.episodes, batch.stages)
    for name, values in vars(critics).items():
        if values is not None and values.shape != shape:
            raise InvalidArgumentError(f"critics.{name} has shape {values.shape}: expected {shape}")
    decay = trace_decay * follower_discount
    u, w, carry = traces(critics.benefit, batch.lengths, leader_discount, decay)
    discounts = leader_discount ** np.arange(batch.stages) * batch.mask
    influence = (u if follower_sees_action else w) / temperature
    transition = np.zeros(shape)
    if critics.leader_next_value is not None and critics.follower_next_value is not None:
        transition = discounts * leader_discount * critics.leader_next_value
        transition += w * follower_discount / temperature * critics.follower_next_value
    return Coefficients(
        discounts * critics.leader_advantage,
        influence * critics.follower_advantage,
        discounts,
        w / temperature,
        transition,
        carry / temperature,
    )


def covariance(
    batch: Trajectories,
    terms: Terms,
    critics: StageCritics,
    *,
    leader_discount: float,
    follower_discount: float,
    temperature: float,
    follower_sees_action: bool = True,
    tails: Tails | None = None,
) -> Tensor:
    """Surrogate whose gradient is the hypergradient estimate, a scalar tensor.

    Args:
        batch: N episodes.
        terms: the differentiable terms at the visited stages.
        critics: see ``StageCritics``.
        leader_discount, follower_discount, temperature, follower_sees_action: see ``coefficients``.
        tails: values beyond the end of the trajectories. Without them influences that reach
            beyond it are lost, which biases the estimate by O(gF^(T - t)).

    Raises:
        InvalidArgumentError: see ``coefficients``; or log P is given without next values.
    """
    weights = coefficients(
        batch,
        critics,
        leader_discount=leader_discount,
        follower_discount=follower_discount,
        temperature=temperature,
        follower_sees_action=follower_sees_action,
    )
    if terms.log_transition is not None and critics.leader_next_value is None:
        raise InvalidArgumentError("log_transition needs critics.leader_next_value and follower_next_value")
    pairs = (
        (weights.direct_policy + weights.response_policy, terms.log_policy),
        (weights.leader_reward, terms.leader_reward),
        (weights.follower_reward, terms.follower_reward),
        (weights.log_transition, terms.log_transition),
    )
    total = sum(
        ((torch.from_numpy(weight) * term).sum() for weight, term in pairs if term is not None),
        start=torch.zeros((), dtype=torch.float64),
    )
    if tails is not None:
        ends = leader_discount ** torch.from_numpy(batch.lengths)
        total = total + (ends * tails.leader).sum()
        total = total + (torch.from_numpy(weights.carry) * tails.follower).sum()
    return total / batch.episodes


def collapse(weights: FloatArray, batch: Trajectories, states: int, actions: int) -> FloatArray:
    """Sum stage weights into a table ``[S, A]`` over visited states and leader actions.

    With it the surrogate of a finite game is ``(table * log f).sum()``: one backward pass over S
    rows, however long the trajectories are.
    """
    cells = batch.states[:, :-1] * actions + batch.leader_actions
    sums = np.bincount(cells.ravel(), weights=weights.ravel(), minlength=states * actions)
    return sums.reshape(states, actions) / batch.episodes

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

Examples:
    >>> import torch
    >>> import stackelberg_games as sg
    >>> from stackelberg_games import hypergradient
    >>> game = sg.make("discrete_toy-v0")
    >>> policy = sg.TabularPolicy(game)
    >>> critics = sg.exact.critics(game, policy, temperature=0.05)
    >>> batch = sg.rollout(
    ...     game, policy, sg.TabularResponse(critics.response), episodes=20_000, seed=0
    ... )
    >>> discounts = {
    ...     "leader_discount": game.leader_discount,
    ...     "follower_discount": game.follower_discount,
    ... }
    >>> weights = hypergradient.coefficients(
    ...     batch, critics.at(batch), temperature=0.05, **discounts
    ... )
    >>> table = hypergradient.collapse(
    ...     weights.direct_policy + weights.response_policy, batch, 3, 2
    ... )
    >>> (torch.from_numpy(table) * policy.log_probabilities()).sum().backward()
    >>> estimate = policy.logits.grad.clone()
    >>> policy.zero_grad()
    >>> sg.exact.leader_objective(game, policy, temperature=0.05).backward()
    >>> cosine = torch.cosine_similarity(estimate.ravel(), policy.logits.grad.ravel(), dim=0)
    >>> print(f"cosine with the exact hypergradient {cosine.item():.2f}")
    cosine with the exact hypergradient 1.00
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.numerics.randomness import compiled
from stackelberg_games.rules.lever import Terms
from stackelberg_games.rules.trajectories import Trajectories, leader_table, powers
from stackelberg_games.settings import check_fields, checked


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

    def __post_init__(self) -> None:
        check_fields(self)


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


class Tails(NamedTuple):
    """Differentiable values at the last states, ``[N]``, for trajectories cut before play ends.

    Attributes:
        leader: VL_theta(s_T); zero where the leader's objective ends with the trajectory.
        follower: VF_theta(s_T); zero at terminal states.
    """

    leader: Tensor
    follower: Tensor


@compiled
def _traces(benefit: Any, lengths: Any, discounts: Any, scale: float, out: Any) -> bool:
    """Fill ``out``; false, and nothing done, where an episode is longer than there are stages."""
    (leader_discount, follower_discount), (before, after, carry) = discounts, out
    for i in range(benefit.shape[0]):
        if lengths[i] > benefit.shape[1]:
            return False
    for i in range(benefit.shape[0]):
        u, weight = 0.0, scale
        for t in range(lengths[i]):
            before[i, t] = u
            w = u + weight * benefit[i, t]
            after[i, t] = w
            u = follower_discount * w
            weight *= leader_discount
        carry[i] = u
    return True


def _room(shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """For the traces of so many episodes and stages."""
    return np.zeros(shape), np.zeros(shape), np.zeros(shape[0])


@checked
def traces(
    benefit: FloatArray, lengths: Any, leader_discount: float, follower_discount: float, scale: float = 1.0
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """``scale`` times the traces u ``[N, T]``, w ``[N, T]`` and the final u ``[N]``; one pass over the stages."""
    lengths = np.asarray(lengths)
    if benefit.ndim == 2 and lengths.shape == benefit.shape[:1] and lengths.dtype.kind in "iu":
        out = _room(benefit.shape)
        if _traces(benefit, lengths, (leader_discount, follower_discount), scale, out):
            return out
    raise InvalidArgumentError(f"benefit has shape {benefit.shape}: expected [N, T], and N lengths up to T")


class Influence(NamedTuple):
    """How much past follower actions owe to the current stage, divided by tau; float64.

    Attributes:
        before: u_t / tau, ``[N, T]``; multiplies what follows the follower's earlier actions.
        after: w_t / tau, ``[N, T]``; counts the current action too.
        carry: u at the end of each episode, ``[N]``.
    """

    before: FloatArray
    after: FloatArray
    carry: FloatArray

    @classmethod
    def of(
        cls,
        batch: Trajectories,
        benefit: FloatArray,
        discounts: tuple[float, float],
        temperature: float,
        trace_decay: float,
        centre: bool,
        block: int = 1,
    ) -> Influence:
        """``influence`` of arguments whose types are known to be right, for a loop that calls it often."""
        temperature = checks.number("temperature", temperature, above=0)
        trace_decay, episodes = checks.number("trace_decay", trace_decay, 0, 1), batch.episodes
        if benefit.shape != batch.leader_rewards.shape:
            raise InvalidArgumentError(f"benefit has shape {benefit.shape}: expected {batch.leader_rewards.shape}")
        if checks.integer("block", block, 1) and episodes % block:
            raise InvalidArgumentError(f"block={block}: {episodes} episodes are no whole number of blocks")
        if centre and episodes < 2 * block:
            raise InvalidArgumentError(f"centre=True needs at least {2 * block} episodes in a batch")
        decay = trace_decay * discounts[1]
        traces = _room(benefit.shape)
        _traces(benefit, batch.lengths, (discounts[0], decay), 1.0 / temperature, traces)
        if centre:
            _centre(traces, batch.lengths, batch.horizon, decay, block)
        return cls(*traces)

    def left(self, batch: Trajectories) -> float:
        """Mean size of a trace where an episode was cut, as a share of the largest mean size at a stage."""
        return float(_left(self.after, self.carry, batch.terminated))


@checked
def influence(
    batch: Trajectories,
    benefit: FloatArray,
    *,
    leader_discount: float,
    follower_discount: float,
    temperature: float,
    trace_decay: float = 1.0,
    centre: bool = False,
    block: int = 1,
) -> Influence:
    """The traces of a batch, ready to multiply follower terms.

    Args:
        batch: N episodes of at most T stages.
        benefit: B at the visited stages, ``[N, T]``.
        leader_discount: gL.
        follower_discount: gF.
        temperature: tau > 0.
        trace_decay: the traces decay by ``trace_decay * gF`` a stage; 1 is unbiased, less forgets
            influences that reach far ahead and lowers the variance.
        centre: subtract from the traces of each episode their mean over the other episodes. The
            traces have mean zero, so this is a control variate: it replaces each follower term X
            by X - mean(X) with the mean of independent episodes, which keeps the estimate unbiased
            and removes the variance that the common part of X would add; likewise from what is
            carried over their ends. Needs two episodes.
        block: so many episodes in a row depend on each other, and are left out of the mean for each other; divides N.

    Raises:
        InvalidArgumentError: an argument is out of range.
    """
    return Influence.of(batch, benefit, (leader_discount, follower_discount), temperature, trace_decay, centre, block)


@compiled
def _left(after: Any, carry: Any, terminated: Any) -> float:
    largest, left, cut = 0.0, 0.0, 0
    for t in range(after.shape[1]):
        largest = max(largest, np.abs(after[:, t]).sum() / len(carry))
    for i in range(len(carry)):
        if not terminated[i]:
            left += abs(carry[i])
            cut += 1
    return left / max(1, cut) / largest if largest > 0 else 0.0


@compiled
def _centre(traces: Any, lengths: Any, horizon: int, decay: float, block: int) -> None:
    """Subtract from each episode's traces, and from what is carried over its end, the mean of other blocks'.

    Beyond the end of an episode the terms are zero but the traces go on fading; leaving that part out would correlate
    their mean with when the episode ends.
    """
    before, after, carry = traces
    episodes, sums = len(carry), np.zeros((3, len(carry)))
    for i in range(episodes):
        missing = float(horizon - lengths[i])
        sums[:2, i] = carry[i] * (missing if decay == 1 else (1 - decay**missing) / (1 - decay))
        sums[2, i] = carry[i] * decay**missing
        for t in range(lengths[i]):
            sums[0, i] += before[i, t]
            sums[1, i] += after[i, t]
    total, others = sums.sum(axis=1), np.empty(3)
    for i in range(episodes):
        first = i - i % block
        for k in range(3):
            others[k] = (total[k] - sums[k, first : first + block].sum()) / (episodes - block)
        carry[i] -= others[2]
        for t in range(lengths[i]):
            before[i, t] -= others[0] / horizon
            after[i, t] -= others[1] / horizon


@checked
def coefficients(
    batch: Trajectories,
    critics: StageCritics,
    *,
    leader_discount: float,
    follower_discount: float,
    temperature: float,
    follower_sees_action: bool = True,
    trace_decay: float = 1.0,
    centre: bool = False,
) -> Coefficients:
    """Weights of the differentiable terms.

    Args:
        batch: N episodes of at most T stages.
        critics: at the visited stages.
        leader_discount: see ``influence``.
        follower_discount: see ``influence``.
        temperature: see ``influence``.
        trace_decay: see ``influence``.
        centre: see ``influence``.
        follower_sees_action: see the module's text.

    Raises:
        InvalidArgumentError: a shape disagrees with the batch, or see ``influence``.
    """
    shape = batch.leader_rewards.shape
    for name, values in vars(critics).items():
        if values is not None and values.shape != shape:
            raise InvalidArgumentError(f"critics.{name} has shape {values.shape}: expected {shape}")
    trace = Influence.of(batch, critics.benefit, (leader_discount, follower_discount), temperature, trace_decay, centre)
    discounts = powers(leader_discount, shape[1]) * batch.mask
    transition = np.zeros(shape)
    if critics.leader_next_value is not None and critics.follower_next_value is not None:
        transition = discounts * leader_discount * critics.leader_next_value
        transition += trace.after * follower_discount * critics.follower_next_value
    return Coefficients(
        discounts * critics.leader_advantage,
        (trace.before if follower_sees_action else trace.after) * critics.follower_advantage,
        discounts,
        trace.after,
        transition,
        trace.carry,
    )


@checked
def covariance(
    batch: Trajectories,
    terms: Terms,
    critics: StageCritics,
    *,
    leader_discount: float,
    follower_discount: float,
    temperature: float,
    follower_sees_action: bool = True,
    centre: bool = False,
    tails: Tails | None = None,
) -> Tensor:
    """Surrogate whose gradient is the hypergradient estimate, a scalar tensor.

    Args:
        batch: N episodes.
        terms: the differentiable terms at the visited stages.
        critics: see ``StageCritics``.
        leader_discount: see ``coefficients``.
        follower_discount: see ``coefficients``.
        temperature: see ``coefficients``.
        follower_sees_action: see ``coefficients``.
        centre: see ``coefficients``.
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
        centre=centre,
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
        ends = torch.from_numpy(leader_discount**batch.lengths)
        total = total + (ends * tails.leader).sum()
        total = total + (torch.from_numpy(weights.carry) * tails.follower).sum()
    return total / batch.episodes


@checked
def collapse(weights: FloatArray, batch: Trajectories, states: int, actions: int) -> FloatArray:
    """Sum stage weights into a table ``[S, A]`` over visited states and leader actions.

    With it the surrogate of a finite game is ``(table * log f).sum()``: one backward pass over S
    rows, however long the trajectories are.
    """
    if weights.shape != batch.leader_rewards.shape:
        raise InvalidArgumentError(f"weights have shape {weights.shape}: expected {batch.leader_rewards.shape}")
    sizes = checks.integer("states", states, 1), checks.integer("actions", actions, 1)
    return leader_table(batch, weights, sizes) / batch.episodes

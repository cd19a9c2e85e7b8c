"""Exact values with bounds on their errors.

What the follower's values leave open moves its response: with VF and QF known to within e, log g(b) is known to
within 2 e / tau. By the performance difference lemma the leader's value then moves by at most

    sum over s of D(s) sum over a, b of f |dg| |QL - E_b QL|,

with D the discounted visits under transitions that are larger by sum f |dg| P: a bound, not an estimate. A hard
response is a choice; where it was between actions that double precision cannot tell apart, the value is that of
them as ties.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from stackelberg_games.exact.bounds import EPSILON, SPARE, evaluation_error, open_change
from stackelberg_games.exact.chain_system import INFLATED
from stackelberg_games.exact.critics import leader_q
from stackelberg_games.exact.hard_response import hard_response
from stackelberg_games.exact.objective import best_response, overflow_is_checked, require_finite
from stackelberg_games.exact.pair import Pair
from stackelberg_games.exact.posed import annuity, under
from stackelberg_games.exact.response import Arrays, Response, lift, overflowed
from stackelberg_games.exact.soft_response import certify, soft_response
from stackelberg_games.kinds.chain import check_objective
from stackelberg_games.kinds.embedded import EmbeddedGame
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.population import PopulationGame
from stackelberg_games.kinds.preference import require_paid_by_stage
from stackelberg_games.kinds.successors import SuccessorLists
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.settings import checked


@dataclass(frozen=True)
class Certificate:
    """The leader's value at a commitment.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("discrete_toy-v0")
        >>> worth = sg.exact.certificate(game, sg.TabularPolicy(game), temperature=0.05)
        >>> worth.error < 1e-8, worth.follower_error < 1e-8
        (True, True)

    Attributes:
        value: its expected return.
        error: bound on the error of ``value``, from the solver's residual, rounding, and what the follower's
            values leave open of its response; infinite where that is too much for a bound.
        follower_error: bound on the error of the follower's values at the first states.
    """

    value: float
    error: float
    follower_error: float


@overflow_is_checked
@checked
def certificate(
    game: TabularGame | EmbeddedGame,
    commitment: Commitment,
    temperature: float,
    *,
    discount: float | None = None,
    horizon: int | None = None,
) -> Certificate:
    """The leader's exact value against the best response at a temperature, with a bound on its error.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("discrete_toy-v0")
        >>> worth = sg.exact.certificate(game, sg.TabularPolicy(game), temperature=0.05)
        >>> print(f"{worth.value:.6f}")
        0.480792

    Args:
        game: a finite game.
        commitment: what the follower responds to.
        temperature: tau >= 0; 0 for a hard response, ties for the leader.
        discount: in the place of the leader's.
        horizon: in the place of that of the leader's objective.

    Raises:
        UnsupportedGameError: the game is not finite.
        PrecisionError: double precision cannot tell the answer.
    """
    if not isinstance(game, EmbeddedGame):
        game = require_finite(game)
    require_paid_by_stage(game)
    game.check_temperature(temperature)
    discount, horizon = check_objective(game, discount, horizon)
    with torch.no_grad():
        posed = under(game, commitment)
    arrays = replace(posed.arrays, leader_discount=discount, horizon=horizon)
    solved = hard_response(arrays) if temperature == 0 else certify(arrays, soft_response(arrays, temperature))
    if temperature == 0 and isinstance(game, PopulationGame):
        solved = replace(solved, policy=posed.of(best_response(game, commitment, 0.0).policy))
    assert solved.error is not None
    value, error = _leader(arrays, solved)
    value += lift(posed.offsets[0], annuity(game, discount, horizon))
    error += EPSILON * abs(value)
    return Certificate(value, error, float(posed.initial.numpy() @ solved.error))


def _leader(arrays: Arrays, solved: Response) -> tuple[float, float]:
    """The leader's value and the bound on its error."""
    assert arrays.initial is not None
    policy, discount, horizon = solved.policy, arrays.leader_discount, arrays.horizon
    reward = arrays.average(arrays.leader_reward, policy)
    if horizon is None:
        factors = arrays.system(policy, discount)
        values = factors.solve(reward)
        error = float(
            arrays.initial @ evaluation_error(arrays, arrays.leader_reward, discount, policy, values, factors)
        )
    else:
        values = arrays.accumulated(policy, reward, discount, horizon)
        sizes = arrays.accumulated(policy, arrays.average(np.abs(arrays.leader_reward), policy), discount, horizon)
        listed = isinstance(arrays.kernel, SuccessorLists)
        stages = horizon if listed else horizon.bit_length()
        roundings = ((arrays.kernel.terms if listed else len(policy)) + policy[0].size + SPARE) * (1 + stages)
        error = INFLATED * EPSILON * roundings * float(arrays.initial @ sizes)
    value = float(arrays.initial @ values)
    if not np.isfinite([value, error]).all():
        raise overflowed("the leader's value", arrays.leader_reward)
    return value, error + (_moved(arrays, solved) if solved.temperature > 0 else 0.0)


def _moved(arrays: Arrays, solved: Response) -> float:
    """Bound on what the error of the follower's values moves of the leader's value."""
    assert arrays.initial is not None
    change = open_change(arrays, solved)
    change = np.where(arrays.entered(solved.policy)[:, None, None], change, 0.0)
    q = leader_q(Pair(arrays, solved.policy), arrays.horizon)
    compared = np.stack([arrays.compared(table) for table in (q if q.ndim == 4 else q[None])])
    benefit = np.abs(compared - (solved.policy * compared).sum(axis=3, keepdims=True)).max(axis=0)
    at_stake = (arrays.joint(change) * benefit).sum(axis=(1, 2))
    more, discount = solved.policy + change, arrays.leader_discount
    if arrays.horizon is not None:
        return INFLATED * float(arrays.visits(more, arrays.initial, discount, arrays.horizon) @ at_stake)
    if discount * arrays.joint(more).sum(axis=(1, 2)).max() >= 1.0:
        return float("inf")
    return INFLATED * float(arrays.system(more, discount).solve_transposed(arrays.initial) @ at_stake)

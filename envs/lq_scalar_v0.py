"""A leader and a follower push the same number towards zero, and each leaves the pushing to the other.

| fact            | value                                                                         |
|-----------------|-------------------------------------------------------------------------------|
| Agents          | leader_0, follower_0                                                          |
| State           | x in R, 1 at first; x' = x + u + a                                            |
| Leader action   | a in R, a = l x for a committed gain l                                        |
| Follower action | u in R; the follower sees a                                                   |
| Follower reward | -(0.2 x^2 + 0.5 u^2)                                                          |
| Leader reward   | -(x^2 + a^2)                                                                  |
| Discounts       | 0.95 for both                                                                 |
| Horizon         | None                                                                          |
| Optimum         | l = -0.271962, worth -1.3537198 against a follower without errors; feedback Stackelberg l = -0.361719, -1.3617186 |

Two solutions that are easily confused. *Committed*: the leader names a gain once, the follower answers it for good, and the
leader knows that: of all l the best is sought. *Feedback*: nobody is bound, at every stage the leader moves first, and both
know that later stages are played likewise (``feedback``). There the leader cannot promise to push less tomorrow, which
would make the follower push more today; to be bound is worth 0.6 % to it.

Proof: against l the follower's Riccati equation is a quadratic equation in one number, P, so that the leader's cost
(1 + l^2) / (1 - 0.95 m^2), where m is what is left of x after a stage, is an explicit function of l. ``exact.solve`` bounds it from
below on every interval of gains, and leaves none that could cost less (``exact.linear_optimum``).

Source: Başar and Olsder, "Dynamic noncooperative game theory", 1999, section 7; the numbers are our own.

Version history: v0, first version.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stackelberg_games import checks
from stackelberg_games.errors import InvalidGameError, SolverError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.linear_quadratic import Cost, Dynamics, LinearGaussianGame
from stackelberg_games.kinds.moments import Quadratic
from stackelberg_games.rules.rules import check_discount
from stackelberg_games.settings import checked

SWEEPS = 100_000


class Feedback(NamedTuple):
    """The feedback Stackelberg solution: the leader's gain, a = l x, and what it costs it from x = 1."""

    gain: float
    cost: float


def feedback(
    state_cost: float = 0.2, control_cost: float = 0.5, effort: float = 1.0, discount: float = 0.95
) -> Feedback:
    """Where nobody is bound: at every stage the leader moves first, the follower answers, and later stages likewise.

    Stage by stage with the leader's value p x^2 and the follower's q x^2 of what follows: u = -k (x + a) leaves
    (1 - k)(x + a), and the leader's best a is linear in x.

    Args:
        state_cost, control_cost, effort, discount: see ``game``.

    Raises:
        InvalidGameError: a number is out of range.
        SolverError: the values do not settle.
    """
    checks.number("state_cost", state_cost, 0, error=InvalidGameError)
    checks.number("control_cost", control_cost, above=0, error=InvalidGameError)
    checks.number("effort", effort, above=0, error=InvalidGameError)
    check_discount("discount", discount)
    p = q = 0.0
    for _ in range(SWEEPS):
        k = discount * q / (control_cost + discount * q)
        left = discount * p * (1 - k) ** 2
        gain = -left / (effort + left)
        after = 1 + gain
        before, p = p, 1 + effort * gain**2 + left * after**2
        q = state_cost + control_cost * (k * after) ** 2 + discount * q * ((1 - k) * after) ** 2
        if abs(p - before) <= 1e-15 * p:
            return Feedback(gain, p)
    raise SolverError(f"the values of the feedback solution do not settle: {p:.6g} after {SWEEPS} sweeps")


@checked
def game(
    state_cost: float = 0.2,
    control_cost: float = 0.5,
    effort: float = 1.0,
    *,
    discount: float = 0.95,
    horizon: int | None = None,
) -> LinearGaussianGame:
    """The scalar game.

    Args:
        state_cost: of x^2 to the follower, >= 0; to the leader it is 1.
        control_cost: of u^2 to the follower, > 0.
        effort: of a^2 to the leader, > 0.
        discount: of both, in [0, 1).
        horizon: stages of play and of the leader's objective; None for the endless game.

    Raises:
        InvalidGameError: a number is out of range.
    """
    checks.number("effort", effort, above=0, error=InvalidGameError)
    one = np.eye(1)
    return LinearGaussianGame(
        Dynamics(one, one, one, start=np.ones(1)),
        Cost(state_cost * one, control_cost * one),
        Quadratic(0.0, np.zeros(1), 2 * one),
        effort=effort * one,
        leader_discount=discount,
        follower_discount=discount,
        horizon=horizon,
        name="lq_scalar-v0",
    )


env, raw_env, parallel_env = faces(game)

"""A principal that pays an agent for where it goes in a Markov decision process.

| fact            | value                                                                       |
|-----------------|-----------------------------------------------------------------------------|
| Agents          | leader_0 (the principal), follower_0 (the agent)                            |
| States          | 4                                                                           |
| Follower actions| 0 idle, which is free, 1 work, at a cost of 0.5 to 1.5 by state             |
| Configuration   | payments x(s, s') in [0, ``highest_payment``] (12) on each transition: none below zero |
| Dynamics        | rows drawn from a Dirichlet distribution of weights 1/2                     |
| Follower        | payment less the cost of what it does                                       |
| Leader          | what the next state brings, up to 10, less the payment                      |
| Discounts       | 0.9, 0.9                                                                    |
| Horizon         | None; starts in state 0                                                     |
| Optimum         | 43.269691 (``seed`` 4): x(2, 3) = 2.8425, x(3, 2) = 1.0522, all others 0    |

Proof: under a policy of the agent both players' values are affine in the payments, and so are the inequalities
Q(s, b) <= V(s) that make it a best response: one linear program for each of the 16 policies. A hard best response to
the payments found, ties for the leader, gives the same value. Payments that are best again in every state
(subgame-perfect contracts, which a leader without commitment would offer) are worth 43.051325; no payments 39.306.

This landscape has a trap: where nothing is paid nothing small changes what the agent does, and plain ascents end there.
Against an agent with errors the best known payments are worth 42.48501 (temperature 0.05).

Source: in the form of Ben-Porat et al., "Principal-agent reward shaping in MDPs", AAAI 2024.

Version history: v0, first version.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.commitments.parametrisation import Bounded
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables
from stackelberg_games.settings import checked


@dataclass
class _Paying:
    """What payments by transition do to both players' rewards; an object, so that copies of the game can be sent."""

    chances: Tensor
    leader: Tensor
    follower: Tensor
    transition: Tensor = field(init=False)

    def __call__(self, payments: Tensor) -> Tables:
        states = len(self.chances)
        paid = torch.einsum("sbt,st->sb", self.chances, payments.reshape(states, states))
        return Tables(self.transition, (self.leader - paid)[:, None], (self.follower + paid)[:, None])


@checked
def game(
    states: int = 4,
    *,
    seed: int = 4,
    discount: float = 0.9,
    highest_payment: float = 12.0,
    horizon: int | None = None,
) -> ConfigurableGame:
    """A principal and an agent on a random Markov decision process with two actions.

    Args:
        states: S >= 2; the leader sets S^2 payments.
        seed: of the instance; an integer >= 0.
        discount: of both players, in [0, 1).
        highest_payment: on a transition, > 0.
        horizon: stages of play and of the leader's objective; None for the endless game.

    Raises:
        InvalidGameError: an argument is out of range.
    """
    if states < 2 or seed < 0 or not 0 < highest_payment < float("inf"):
        raise InvalidGameError(
            f"states={states}, seed={seed}, highest_payment={highest_payment}: expected >= 2, >= 0 and a number > 0"
        )
    draws = np.random.default_rng(seed)
    transition = draws.dirichlet(0.5 * np.ones(states), (states, 2))
    costs = np.array([[0.0, 0.5 + draws.random()] for _ in range(states)])
    earned = transition @ (10 * draws.random(states))
    chances, leader, follower = torch.from_numpy(transition), torch.from_numpy(earned), torch.from_numpy(-costs)

    configure = _Paying(chances, leader, follower)
    made = ConfigurableGame(
        transition,
        earned,
        -costs,
        np.eye(states)[0],
        size=states**2,
        configure=configure,
        parametrisation=Bounded(0.0, float(highest_payment)),
        leader_discount=discount,
        follower_discount=discount,
        horizon=horizon,
        name="principal_agent-v0",
    )
    configure.transition = made.base.transition
    return made


env, raw_env, parallel_env = faces(game)

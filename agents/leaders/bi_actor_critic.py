"""Bilevel actor-critic (Bi-AC; Zhang, Chen, Yang et al., AAAI 2020, arXiv 1909.03510).

The critic backs up the Stackelberg value of the stage game,

    Q(s, a, b) = rL + gL max_i Q(s', i, b_i),   b_i = argmax_b g(b | s', i),

and the actor ascends the direct term on that critic, as in the comparison of BC-HG (arXiv
2603.14867). It is bilevel in the stage but blind to how the follower's plan depends on later
stages of the commitment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import gymnasium
import numpy as np

from stackelberg_games.agents.leaders.bi_actor_critic_linear import LinearBilevel
from stackelberg_games.agents.leaders.bi_actor_critic_neural import NeuralBilevel
from stackelberg_games.agents.leaders.neural import ByNetworks, NeuralDirect
from stackelberg_games.agents.leaders.policy_gradient import PolicyGradient
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import SolverError, UnsupportedGameError
from stackelberg_games.exact.critics import CriticTables
from stackelberg_games.exact.response import Arrays
from stackelberg_games.learning.information import Evidence
from stackelberg_games.learning.leader import GradientLeader
from stackelberg_games.rules.view import LeaderView

MAX_ROUNDS = 1000


@dataclass
class FiniteBilevel(PolicyGradient):
    """The form for finite games; its settings are those of ``BiActorCritic``."""

    def critics(self, evidence: Evidence) -> CriticTables:
        """The estimated critics with the leader's table replaced by the Stackelberg values."""
        tables = super().critics(evidence)
        arrays = self.estimator.arrays(tables.policy)
        tried = self.estimator.totals.sum(axis=2) > 0
        return replace(tables, leader_q=stackelberg_q(arrays, tables.response, tried))


@dataclass
class BiActorCritic(ByNetworks, FiniteBilevel):
    """Direct term with a Stackelberg critic; class TRAJECTORIES.

    Args:
        learning_rate, actor_steps, hidden, memory: see ``PolicyGradient``.
        smoothing, critic_steps: see ``ByNetworks``.
    """

    def neural_form(self) -> NeuralDirect:
        """See ``ByNetworks``."""
        return NeuralBilevel(self.learning_rate, self.actor_steps, self.hidden, self.estimation)

    def other_form(self, view: LeaderView) -> GradientLeader | None:
        """Networks where neither of the other two fits, the linear-Gaussian form where states and actions are real."""
        form = super().other_form(view)
        if form is not None or not isinstance(view.state_space, gymnasium.spaces.Box) or view.lever is not None:
            return form
        return LinearBilevel(self.learning_rate, self.actor_steps, self.hidden, self.memory)


def stackelberg_q(arrays: Arrays, response: FloatArray, tried: FloatArray) -> FloatArray:
    """Fixed point of the Bi-AC backup by policy iteration, ``[S, A, B]``.

    Args:
        arrays: the (estimated) game.
        response: g, ``[S, A, B]``.
        tried: bool ``[S, A]``; the maximum runs over these leader actions only.

    Raises:
        SolverError: the iteration did not settle.
        UnsupportedGameError: an undiscounted game goes on for ever.
    """
    states = np.arange(len(arrays.policy))
    replies = response.argmax(axis=2)
    allowed = np.where(tried.any(axis=1, keepdims=True), tried, True)
    values = np.zeros(len(states))
    choice = np.full(len(states), -1)
    for _ in range(MAX_ROUNDS):
        q = arrays.leader_q(values)
        staged = np.take_along_axis(q, replies[:, :, None], axis=2)[:, :, 0]
        greedy = np.where(allowed, staged, -np.inf).argmax(axis=1)
        keep = (choice >= 0) & (staged[states, greedy] <= staged[states, choice] + 1e-12)
        greedy = np.where(keep, choice, greedy)
        if np.array_equal(greedy, choice):
            return np.asarray(q)
        choice = greedy
        cell = (states, choice, replies[states, choice])
        system = np.eye(len(states)) - arrays.leader_discount * arrays.transition[cell] * arrays.alive[:, None]
        try:
            values = np.linalg.solve(system, arrays.leader_reward[cell] * arrays.alive)
        except np.linalg.LinAlgError:
            raise UnsupportedGameError(
                f"the Stackelberg backup never ends: with leader_discount={arrays.leader_discount:g} every play must "
                "reach a terminal state; use a discount below 1, or bchg"
            ) from None
    raise SolverError(f"the Stackelberg backup did not settle in {MAX_ROUNDS} rounds")

"""Stackelberg actor-critic: ascent on the total derivative through the follower's first-order condition.

    dJL/dtheta = grad_theta JL - (d^2 JF / dw dtheta)' (d^2 JF / dw^2)^-1 grad_w JL

Zheng, Fiez, Alumbaugh, Chasnov and Ratliff, AAAI 2022 (arXiv 2109.12286), with the follower of a
Stackelberg game in the place of their critic. JF is the follower's entropy-regularised return, averaged
over all states as the first, so that every reply counts; w are the logits of its policy. At the soft-optimal response this is the exact hypergradient; away from it
the first-order condition fails, and the follower's steps towards it are not accounted for.

The published method shares one graph of both players. Here the leader reads the follower's policy
(FOLLOWER_POLICY), unless told to estimate it from what was played (TRAJECTORIES), and both objectives
are those of the game estimated from trajectories that hold the follower's rewards. Beyond what
``bchg`` needs, it needs second derivatives of the follower's objective, and so a model of the game.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import gymnasium
import numpy as np
import torch
from torch import Tensor

from stackelberg_games.agents.leaders.by_game import ByGame
from stackelberg_games.agents.leaders.policy_gradient import PolicyGradient
from stackelberg_games.agents.leaders.stackelberg_actor_critic_linear import LinearTotal
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InformationError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.exact.response import Arrays
from stackelberg_games.exact.total_derivative import total_surrogate
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.learning.leader import GradientLeader
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView

TINY = 1e-30
"""Probability whose logarithm stands for that of a reply that is never made; it has no gradient."""


@dataclass
class FiniteTotal(PolicyGradient):
    """The form for finite games; its settings are those of ``StackelbergActorCritic``."""

    regularisation: float = 0.0
    reads: Literal["none", "policy"] = "policy"

    needs_follower_rewards: ClassVar[bool] = True
    needs_temperature: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.regularisation >= 0 or self.reads not in ("none", "policy"):
            raise InvalidArgumentError(f"{self}: expected regularisation >= 0 and reads='policy' or 'none'")

    @property
    def information(self) -> Information:
        """FOLLOWER_POLICY, or TRAJECTORIES where nothing is read; both with the follower's rewards."""
        return Information.FOLLOWER_POLICY if self.reads == "policy" else Information.TRAJECTORIES

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``.

        Raises:
            UnsupportedGameError: the game is not finite, or the leader configures it.
        """
        if view.lever is not None:
            raise UnsupportedGameError(
                "stackelberg_actor_critic acts at every stage; a configuration is for bchg, and evolution_strategies "
                "where nothing else fits"
            )
        super().begin(view, seed=seed, commitment=commitment)
        self.starts = np.zeros(view.sizes()[0])

    def observe(self, evidence: Evidence) -> None:
        """Add the batch to the estimate, and take note of the follower's policy."""
        batch = evidence.require_trajectories()
        if batch.follower_rewards is None:
            raise InformationError("stackelberg_actor_critic needs the follower's rewards in its trajectories")
        self.estimator.observe(batch)
        self.starts += np.bincount(batch.states[:, 0], minlength=len(self.starts))
        self.updates += 1
        self.response = self.estimator.follower_policy()
        if self.reads == "policy":
            self.response = self._seen(evidence.require_table("stackelberg_actor_critic"))

    def _seen(self, response: FloatArray) -> FloatArray:
        """The response over the replies that were ever seen, where any was: what others lead to is not known."""
        seen = self.estimator.totals > 0
        if not self.view.follower_sees_action:
            seen = np.broadcast_to(seen.any(axis=1, keepdims=True), seen.shape)
        kept = np.where(seen, response, 0.0)
        total = kept.sum(axis=2, keepdims=True)
        return np.asarray(np.where(total > 0, kept / np.where(total > 0, total, 1.0), response))

    def surrogate(self, evidence: Evidence) -> Tensor:
        """See ``total_surrogate``; both objectives are those of the estimated game."""
        arrays = self.estimator.arrays(self.policy_table())
        sees = self.view.follower_sees_action
        given = torch.tensor(self.response if sees else self.response[:, :1])
        logits = torch.log(given.clamp_min(TINY)).requires_grad_()
        assert self.view.temperature is not None
        objectives = Objectives(arrays, torch.from_numpy(self.starts / self.starts.sum()), self.view.horizon)
        leader, follower = objectives(self.commitment.probabilities(), logits, self.view.temperature)
        return total_surrogate(leader, follower, logits, regularisation=self.regularisation)

    def state_dict(self) -> dict[str, Any]:
        """What ``PolicyGradient`` keeps, and first states."""
        return {**super().state_dict(), "starts": self.starts}

    def load_state_dict(self, state: Any) -> None:
        """See ``Leader.load_state_dict``."""
        super().load_state_dict(state)
        self.starts = np.array(state["starts"])


@dataclass(frozen=True)
class Objectives:
    """Both players' returns in a finite game as functions of both policies.

    Args:
        arrays: the game; its ``policy`` is not read.
        initial: distribution of the first state, ``[S]``.
        horizon: of the leader's return, or None; the follower's is that of endless play.
    """

    arrays: Arrays
    initial: Tensor
    horizon: int | None

    def __call__(self, policy: Tensor, logits: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        """The leader's return, and the follower's mean value with ``temperature`` times its entropy added.

        Args:
            policy: the leader's, ``[S, A]``.
            logits: the follower's, ``[S, A, B]``, or ``[S, 1, B]`` where it does not see the action.
            temperature: tau > 0.
        """
        arrays = self.arrays
        log_response = torch.log_softmax(logits, dim=2).expand(arrays.leader_reward.shape)
        joint = policy[:, :, None] * log_response.exp() * torch.from_numpy(arrays.alive)[:, None, None]
        chain = torch.einsum("sab,sabn->sn", joint, torch.from_numpy(arrays.transition))
        earned = (joint * torch.from_numpy(arrays.leader_reward)).sum(dim=(1, 2))
        paid = (joint * (torch.from_numpy(arrays.follower_reward) - temperature * log_response)).sum(dim=(1, 2))
        identity = torch.eye(len(chain), dtype=torch.float64)
        follower = torch.linalg.solve(identity - arrays.follower_discount * chain, paid)
        if self.horizon is None:
            leader = torch.linalg.solve(identity - arrays.leader_discount * chain, earned)
        else:
            leader = torch.zeros_like(earned)
            for _ in range(self.horizon):
                leader = earned + arrays.leader_discount * chain @ leader
        return self.initial @ leader, follower.mean()


@dataclass
class StackelbergActorCritic(ByGame, FiniteTotal):
    """Ascent on the total derivative; class FOLLOWER_POLICY, or TRAJECTORIES with ``reads="none"``.

    Args:
        learning_rate, actor_steps, hidden: see ``GradientLeader``.
        memory: factor by which the estimate of the follower's policy fades, where it is estimated.
        spread, ramp: no effect here.
        regularisation: d >= 0 added to the follower's negative Hessian; the larger, the nearer it comes to
            the naive policy gradient.
        reads: ``"policy"`` reads the follower's policy, ``"none"`` estimates it from trajectories.
    """

    def other_form(self, view: LeaderView) -> GradientLeader | None:
        """The linear-Gaussian form where states and actions are real."""
        if not isinstance(view.state_space, gymnasium.spaces.Box) or view.lever is not None:
            return None
        settings = (self.learning_rate, self.actor_steps, self.hidden, self.memory)
        return LinearTotal(*settings, self.regularisation, self.reads == "policy")

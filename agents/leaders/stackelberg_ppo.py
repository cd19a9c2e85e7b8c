"""Stackelberg PPO: clipped ratios for the leader's own term, an implicit term for the follower's answer.

    own       sum_t gL^t min(r_t A_t, clip(r_t, 1 - e, 1 + e) A_t),      r_t = f(a_t | s_t) / f_old(a_t | s_t)
    implicit  -(d^2 JF / dw dtheta)' (d^2 JF / dw^2 - d I)^-1 grad_w JL,      by conjugate gradients

Dai, Wang, Ashley and Schmidhuber, ICLR 2026 (arXiv 2603.15388), written for bodies and their controllers. A_t is the leader's
return from t on, less the mean of the other episodes there; JF is the follower's entropy-regularised return and w the
parameters of its policy. At the first of its steps on a batch all ratios are 1, and without damping the gradient is that of
``stackelberg_actor_critic`` with a sampled direct row: the exact hypergradient, in the mean, at a soft-optimal response.

The published curvature is F + d I with F the Fisher matrix of the follower's policy. At a soft-optimal response the Hessian of JF
is -tau F, F weighed by the visits, for JF falls short by tau times the divergence from that response, wherever it is
visited. So the Hessian is taken here, and ``damping`` in units of F. The published leader shares the follower's reward and
network; this one has its own reward, and the follower's part is that of a game fitted to trajectories with
the follower's rewards. Where the leader configures the game nothing is drawn that has a ratio, and the own term is the fitted game's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.commitments.networks import log_prob
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.exact.total_derivative import implicit_term
from stackelberg_games.learning.information import Evidence
from stackelberg_games.learning.weighted_sum import Total
from stackelberg_games.representations.algorithm import Algorithm
from stackelberg_games.representations.finite_advantage import returns_to_go
from stackelberg_games.representations.protocol import Needs, Values
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView

CLIP = 0.2
"""Where the leader does not say."""


@dataclass
class StackelbergPPO(Algorithm):
    """Clipped steps on the total derivative; class FOLLOWER_POLICY, or TRAJECTORIES with ``reads="none"``.

    Args:
        learning_rate: see ``GradientAscent``.
        actor_steps: see ``GradientAscent``; ratios leave 1 after the first.
        start: see ``GradientAscent``.
        representation: see ``Algorithm``.
        clip: e > 0, how far from 1 a ratio may go and still pull; 0.2 if not given. Not in games that the leader configures.
        damping: d >= 0, in units of the Fisher matrix of the follower's policy, at mean visits; published with 0.01.
        reads: ``"policy"`` reads the follower's policy, ``"none"`` estimates it from trajectories.
    """

    actor_steps: int = 4
    clip: float | None = None
    damping: float = 0.001
    reads: Literal["none", "policy"] = "policy"

    needs_follower_rewards: ClassVar[bool] = True
    needs_temperature: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.damping >= 0 or not (self.clip is None or self.clip > 0):
            raise InvalidArgumentError(
                f"clip={self.clip!r}, damping={self.damping!r}: expected clip > 0 and damping >= 0"
            )
        if self.clip is not None and self.actor_steps == 1:
            raise InvalidArgumentError(
                f"clip={self.clip!r}: ratios are 1 at the only step; set actor_steps, or leave it out"
            )

    @property
    def needs(self) -> Needs:
        """Both players' returns as functions of both policies."""
        return Needs(reads=self.reads, players=True)

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Algorithm.begin``.

        Raises:
            InvalidArgumentError: ``clip`` is given in a game that the leader configures.
        """
        super().begin(view, seed=seed, commitment=commitment)
        if self.clip is not None and self.commitment.configuration() is not None:
            raise InvalidArgumentError(
                f"clip={self.clip!r}: a configuration is not drawn and has no ratio; leave it out"
            )

    def objective(self, evidence: Evidence) -> Callable[[], Total]:
        """See ``GradientLeader.objective``; ratios are to the commitment as it was played."""
        self._played: Tensor | None = None
        return super().objective(evidence)

    def surrogate(self, values: Values) -> Tensor:
        """The own term and the implicit term."""
        leader, follower, response = values.players()
        # The Hessian is tau F times the visits, which are 1 / (1 - gF) in all.
        damping = self.damping * values.temperature / (1 - values.view.follower_discount)
        implicit = implicit_term(leader, follower, response, regularisation=damping)
        configured = self.commitment.configuration() is not None
        return implicit + (leader if configured else self._own(values))

    def _own(self, values: Values) -> Tensor:
        """The clipped sum, a mean over the episodes."""
        batch = values.batch
        now = log_prob(self.commitment, batch.states[:, :-1][batch.mask], batch.leader_actions[batch.mask])
        if self._played is None:
            self._played = now.detach()
        ratio, reach = torch.exp(now - self._played), CLIP if self.clip is None else self.clip
        ahead = returns_to_go(batch, values.view.leader_discount)
        others = np.maximum(batch.mask.sum(axis=0) - 1, 1)
        beyond = ahead - (ahead.sum(axis=0) - ahead) / others
        worth = torch.from_numpy((values.discounts * beyond)[batch.mask] / batch.episodes)
        return torch.minimum(ratio * worth, ratio.clamp(1 - reach, 1 + reach) * worth).sum()

"""BC-HG: the decentralised covariance hypergradient (arXiv 2603.14867).

    direct    sum_t gL^t dVL(s_t)
    response  (1/tau) sum_t gL^t B_t dQF(s_t, a_t, b_t),      B = QL - E_b QL

By the Boltzmann covariance trick E_b[QL d log g] = (1/tau) Cov_b(QL, dQF): every reply is credited with its
benefit to the leader. The published code reads the follower's policy and soft values; this leader estimates
both from the trajectories unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from stackelberg_games.learning.weighted_sum import Total
from stackelberg_games.representations.adjoint import adjoint
from stackelberg_games.representations.algorithm import Algorithm
from stackelberg_games.representations.protocol import Needs, Values
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView


@dataclass
class BCHG(Algorithm):
    """Covariance hypergradient ascent. Further arguments are those of ``Algorithm``.

    Args:
        adjoint: how dQF is had: ``kind`` (``"unroll"``, or ``"bootstrap"`` where the representation has it) and the
            settings of that kind, see ``representations.adjoint``.
        reads: what it reads of the follower: ``"none"`` (class TRAJECTORIES), ``"policy"``
            (FOLLOWER_POLICY) or ``"values"`` too (FOLLOWER_VALUES, as the published code does).
        follower_rewards: ``"observed"``, or ``"unobserved"``: inferred from the follower's actions, in finite and in
            linear-quadratic games; not needed where the leader configures known rewards only.
    """

    adjoint: Mapping[str, Any] = field(default_factory=dict)
    reads: Literal["none", "policy", "values"] = "none"
    follower_rewards: Literal["observed", "unobserved"] = "observed"

    needs_follower_rewards: ClassVar[bool] = True
    needs_temperature: ClassVar[bool] = True

    @property
    def needs(self) -> Needs:
        """Both players' values."""
        return Needs(self.backup, follower=True, reads=self.reads, infers=self.follower_rewards == "unobserved")

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Algorithm.begin``."""
        super().begin(view, seed=seed, commitment=commitment)
        self.unroll = adjoint(self.adjoint, self.learned.adjoints, self.learned.name)

    def surrogate(self, values: Values) -> Total:
        """The direct row, and the response row for benefits as credits."""
        credit = values.benefit().scaled(values.discounts) / values.temperature
        return values.direct() + self.unroll(values, credit)

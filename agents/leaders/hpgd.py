"""HPGD: hypergradient with advantages of both players (Thoma et al., arXiv 2406.01575).

    direct    sum_t gL^t dVL(s_t)
    response  (1/tau) sum_t gL^t AL(s_t, b_t) [ dQF(s_t, b_t) - dVF(s_t) ]

where dQF and dVF are averages, over all visits to (s, b) and to s, of what follows along the trajectory.
Where both averages and advantages come from the same batch, their product is biased: chance visits
are credited as if the commitment had caused them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.learning.weighted_sum import Total
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.play.rollout import rollout
from stackelberg_games.representations.adjoint import Average
from stackelberg_games.representations.algorithm import Algorithm
from stackelberg_games.representations.finite import Finite
from stackelberg_games.representations.protocol import Needs, Values
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView


@dataclass
class HPGD(Algorithm):
    """HPGD; class TRAJECTORIES with the follower's rewards, with ``"oracle"`` MODEL.

    Args:
        learning_rate: see ``GradientAscent``.
        actor_steps: see ``GradientAscent``.
        start: see ``GradientAscent``.
        representation: see ``Algorithm``.
        estimation: of the leader's advantages: ``"monte_carlo"`` (averages of the batch's returns),
            ``"sarsa"`` (carried from update to update in finite games), ``"td"`` (the values of the
            fitted game); or, where it configures a finite game, ``"oracle"``: all averages from a batch of its own
            that the game starts uniformly over the states.
        sarsa_step: step size of SARSA's table, in (0, 1]; 0.5 if not given.
        oracle_transitions: least size of the oracle's batch; 10,000 if not given.
    """

    estimation: Literal["monte_carlo", "sarsa", "td", "oracle"] = "monte_carlo"
    sarsa_step: float | None = None
    oracle_transitions: int | None = None

    needs_follower_rewards: ClassVar[bool] = True
    needs_temperature: ClassVar[bool] = True
    keeps: ClassVar[tuple[str, ...]] = ("random",)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value, owner in (
            ("sarsa_step", self.sarsa_step, "sarsa"),
            ("oracle_transitions", self.oracle_transitions, "oracle"),
        ):
            if value is not None and self.estimation != owner:
                raise InvalidArgumentError(f"{name}={value!r}: has an effect only with estimation={owner!r}")
        if not 0 < self._step <= 1 or self._least < 1:
            raise InvalidArgumentError(
                f"sarsa_step={self.sarsa_step!r}, oracle_transitions={self.oracle_transitions!r}: "
                "expected a number in (0, 1] and an integer >= 1"
            )

    @property
    def _step(self) -> float:
        return 0.5 if self.sarsa_step is None else self.sarsa_step

    @property
    def _least(self) -> int:
        return 10_000 if self.oracle_transitions is None else self.oracle_transitions

    @property
    def information(self) -> Information:
        """TRAJECTORIES; an oracle that starts episodes anywhere needs the game."""
        return Information.MODEL if self.estimation == "oracle" else Information.TRAJECTORIES

    @property
    def needs(self) -> Needs:
        """Both players' values, and a table of SARSA where it is used."""
        return Needs(self.backup, follower=True, sarsa=self._step if self.estimation == "sarsa" else None)

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Algorithm.begin``."""
        super().begin(view, seed=seed, commitment=commitment)
        finite = isinstance(self.learned, Finite) and view.lever is not None and not self.learned.acts
        if self.estimation == "oracle" and not finite:
            raise UnsupportedGameError(
                "hpgd's oracle restarts episodes in every state, which needs a finite game whose leader only configures"
            )
        self.wide: Trajectories | None = None
        self.random = generator(seed, 11)

    def objective(self, evidence: Evidence) -> Callable[[], Total]:
        """See ``Algorithm.objective``; the oracle plays its own episodes first."""
        if self.estimation == "oracle":
            self.wide = self._oracle(evidence)
        return super().objective(evidence)

    def surrogate(self, values: Values) -> Total:
        """The direct row, and the response row for advantages as credits."""
        wide = values.batch if self.wide is None else self.wide
        how = "monte_carlo" if self.estimation == "oracle" else self.estimation
        advantage = values.benefit() if how == "td" else values.advantage(how, wide)
        credit = advantage.scaled(values.discounts) / values.temperature
        return values.direct() + Average(self.wide)(values, credit)

    def _oracle(self, evidence: Evidence) -> Trajectories:
        """Episodes from uniformly drawn first states, against the response that was played."""
        game, learned = evidence.require_game(), self.learned
        assert isinstance(game, ConfigurableGame)
        assert isinstance(learned, Finite)
        batch, policy = evidence.require_trajectories(), evidence.follower_policy
        assert policy is not None
        alive = np.flatnonzero(~game.terminal)
        episodes = max(1, -(-self._least // batch.horizon), len(alive))
        restarted = game.starting_from(np.bincount(alive, minlength=game.states) / len(alive))
        seed = int(self.random.integers(2**62))
        wide = rollout(restarted, self.commitment, policy, episodes=episodes, seed=seed, stages=batch.horizon)
        learned.widen(game, batch, wide)
        return wide

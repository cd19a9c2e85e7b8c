"""Model-based hypergradient: fit the game to trajectories, then differentiate the fitted game exactly.

The follower is taken to be soft-optimal for the rewards that were fitted, at the temperature the leader was
told; its response, and how that moves with the commitment, come from the fitted game.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from torch import Tensor

from stackelberg_games.commitments.first import first_commitment
from stackelberg_games.learning.ascent import GradientLeader
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.representations.choose import choose
from stackelberg_games.representations.planner import planner_of
from stackelberg_games.representations.protocol import Needs
from stackelberg_games.representations.temperature import doubt, thermometer
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView


@dataclass
class ModelBased(GradientLeader):
    """Exact hypergradient of a fitted game; class TRAJECTORIES.

    Args:
        start: settings of the first commitment, see ``commitments.first``.
        representation: see ``Algorithm``; what fits the game.
        planning: see ``representations.climber.Planning``: it climbs with every batch, or plans from several starts.
        follower_rewards: ``"observed"``, or ``"unobserved"``: inferred from the follower's actions
            where the leader acts at every stage.
    """

    start: Mapping[str, Any] = field(default_factory=dict)
    representation: Mapping[str, Any] = field(default_factory=dict)
    planning: Mapping[str, Any] = field(default_factory=dict)
    follower_rewards: Literal["observed", "unobserved"] = "observed"

    information = Information.TRAJECTORIES
    needs_follower_rewards: ClassVar[bool] = True
    needs_temperature: ClassVar[bool] = True
    estimates_temperature: ClassVar[bool] = True
    keeps: ClassVar[tuple[str, ...]] = ("learned", "planner")

    @property
    def granted_follower_rewards(self) -> bool:
        """See ``Leader``."""
        return self.follower_rewards == "observed"

    def first_commitment(self, view: LeaderView, seed: int) -> Commitment:
        """See ``commitments.first``."""
        return first_commitment(view, seed, self.start)

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``.

        Raises:
            InvalidArgumentError: a setting makes no difference in this game.
            UnsupportedGameError: no representation fits a game to plan in.
        """
        super().begin(view, seed=seed, commitment=commitment)
        needs = Needs(follower=True, infers=self.follower_rewards == "unobserved", values=False)
        self.learned = choose(view, self.commitment, needs, seed, self.representation)
        self.thermometer, self.doubt = thermometer(view, needs, self.learned), doubt(view, needs, self.learned)
        self.planner = planner_of(self.planning, self.learned, self.commitment, self.temperature, seed)

    def objective(self, evidence: Evidence) -> Callable[[], Tensor]:
        """The leader's value in the game fitted to all that was observed."""
        self._learn(evidence)
        model = self.learned.fitted()
        return lambda: model.objective(self.commitment, self.planner.temperature)[1]

    def update(self, evidence: Evidence) -> dict[str, float]:
        """Fit, then plan."""
        told = self._learn(evidence)
        return {**told, **self.planner.improve(self.learned, evidence.leader_returns)}

    def _learn(self, evidence: Evidence) -> dict[str, float]:
        """Fit, and estimate the temperature where it is not told; figures to log."""
        self.learned.observe(evidence, self.commitment)
        if self.doubt is not None:
            self.doubt.look(self.learned, self.commitment)
        if self.thermometer is None:
            return {}
        told = self.thermometer.tell(self.learned, self.commitment, evidence.require_trajectories())
        self.planner.temperature = self.thermometer.value
        return told

    @property
    def recommendation(self) -> Commitment:
        """The plan that is worth most by what was seen, or the commitment where it climbs."""
        return self.planner.recommendation(self.learned)

    def state_dict(self) -> dict[str, Any]:
        """Commitment, fits and plans."""
        kept = super().state_dict()
        return kept if self.thermometer is None else {**kept, "thermometer": self.thermometer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Leader.load_state_dict``."""
        super().load_state_dict(state)
        self.doubt = None  # the first batches were looked at when they were played
        if self.thermometer is not None:
            self.thermometer.resume(self.learned, state["thermometer"])
            self.planner.temperature = self.thermometer.value

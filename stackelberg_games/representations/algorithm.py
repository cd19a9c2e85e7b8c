"""An algorithm, a representation and Adam make a leader."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.learning.ascent import GradientAscent
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.learning.weighted_sum import Total, WeightedSum
from stackelberg_games.representations.choose import choose
from stackelberg_games.representations.protocol import Backup, Needs, Values
from stackelberg_games.representations.temperature import doubt, thermometer
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView

READ = {
    "none": Information.TRAJECTORIES,
    "policy": Information.FOLLOWER_POLICY,
    "values": Information.FOLLOWER_VALUES,
}
"""Information class of what is read of the follower."""


@dataclass
class Algorithm(GradientAscent):
    """A leader that estimates the hypergradient from trajectories; a subclass says how, in ``surrogate``.

    A subclass with a setting ``reads`` is of the information class that this names (see ``READ``), and one whose setting
    ``follower_rewards`` is ``"unobserved"`` is not granted these.

    Examples:
        >>> import stackelberg_games as sg
        >>> from stackelberg_games.representations.protocol import Needs
        >>> class Naive(sg.Algorithm):
        ...     needs = Needs()
        ...
        ...     def surrogate(self, values):
        ...         return values.direct()  # the follower held as it is
        >>> for game, follower in (
        ...     ("discrete_toy-v0", "soft_value_iteration"),
        ...     ("thermal_control-v0", "maxent_lqr"),
        ... ):
        ...     report = sg.gradient_check(
        ...         sg.make(game), Naive(), follower, batches=20, episodes=50
        ...     )
        ...     print(f"{game}: relative bias {report.relative_bias:.1f}")
        discrete_toy-v0: relative bias 1.0
        thermal_control-v0: relative bias 0.8

    Args:
        learning_rate: see ``GradientAscent``.
        actor_steps: see ``GradientAscent``.
        start: see ``GradientAscent``.
        representation: settings of what it learns: ``kind``, and those of that kind. The kind that fits the
            game if not given: ``finite``, ``linear``, ``configured_linear`` or ``networks``.
    """

    representation: Mapping[str, Any] = field(default_factory=dict)

    backup: ClassVar[Backup] = Backup()
    estimates_temperature: ClassVar[bool] = True
    keeps: ClassVar[tuple[str, ...]] = ("learned",)

    @property
    def information(self) -> Information:
        """TRAJECTORIES, or what is read of the follower beside them."""
        return READ[getattr(self, "reads", "none")]

    @property
    def granted_follower_rewards(self) -> bool:
        """See ``Leader``."""
        return self.needs_follower_rewards and getattr(self, "follower_rewards", "observed") == "observed"

    @property
    def needs(self) -> Needs:
        """What it is going to ask of its representation."""
        return Needs(self.backup)

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``.

        Raises:
            InvalidArgumentError: a setting is not one of the representation that fits the game.
            UnsupportedGameError: none fits, or the one that does cannot give what is needed.
        """
        super().begin(view, seed=seed, commitment=commitment)
        self.learned = choose(view, self.commitment, self.needs, seed, self.representation)
        self.thermometer = thermometer(view, self.needs, self.learned)
        self.doubt = doubt(view, self.needs, self.learned)

    @abstractmethod
    def surrogate(self, values: Values) -> Total:
        """A scalar whose gradient is the estimate of the hypergradient."""

    def objective(self, evidence: Evidence) -> Callable[[], Total]:
        """See ``GradientLeader.objective``."""
        self.learned.observe(evidence, self.commitment)
        if self.doubt is not None:
            self.doubt.look(self.learned, self.commitment)
        self.told: dict[str, float] = {}
        if self.thermometer is not None:
            self.told = self.thermometer.tell(self.learned, self.commitment, evidence.require_trajectories())

        rows: list[WeightedSum] = []

        def surrogate() -> Total:
            if rows:  # later steps meet other terms, with the same weights
                return rows[0]
            self.values = self.learned.at(self.commitment)
            total = self.surrogate(self.values)
            if isinstance(total, Tensor) and self.actor_steps > 1 and self.values.terms:
                rows.append(self._linear(total))
            if isinstance(total, WeightedSum) and self.values.lasting and not total.others:
                rows.append(total)
            return total

        return surrogate

    def _linear(self, total: Tensor) -> WeightedSum:
        """A sum that is linear in the terms of its values, as it is climbed on from."""
        weights = torch.autograd.grad(total, self.values.terms, retain_graph=True, materialize_grads=True)
        named = {str(number): weight.numpy() for number, weight in enumerate(weights)}

        def pull(weights: Mapping[str, FloatArray]) -> None:
            terms = self.learned.at(self.commitment).terms
            torch.autograd.backward(terms, [torch.from_numpy(weight) for weight in weights.values()])

        return WeightedSum(pull, named)

    def update(self, evidence: Evidence) -> dict[str, float]:
        """Learn from the batch, then climb; logs what was noted on the way too."""
        return {**super().update(evidence), **self.values.figures(), **self.told}

    def state_dict(self) -> dict[str, Any]:
        """Commitment, optimiser and what was learned."""
        kept = super().state_dict()
        return kept if self.thermometer is None else {**kept, "thermometer": self.thermometer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Leader.load_state_dict``."""
        super().load_state_dict(state)
        self.doubt = None  # the first batches were looked at when they were played
        if self.thermometer is not None:
            self.thermometer.resume(self.learned, state["thermometer"])

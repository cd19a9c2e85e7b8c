"""Leaders that climb an estimate of the hypergradient."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.commitments.first import first_commitment
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.learning.information import Evidence
from stackelberg_games.learning.leader import Leader
from stackelberg_games.learning.weighted_sum import Total, WeightedSum
from stackelberg_games.numerics.adam import Adam
from stackelberg_games.numerics.log_rows import added_up
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView


class GradientLeader(Leader):
    """A leader that estimates the hypergradient at its commitment.

    Examples:
        >>> import stackelberg_games as sg
        >>> [
        ...     name
        ...     for name in sg.leaders()
        ...     if not isinstance(sg.make_leader(name), sg.GradientLeader)
        ... ]
        ['evolution_strategies', 'fixed', 'm_sobirl', 'random_search']
    """

    @abstractmethod
    def objective(self, evidence: Evidence) -> Callable[[], Total]:
        """Learn from a batch.

        Returns:
            A function without arguments: a scalar whose gradient is the estimate of the hypergradient at the
            commitment as it stands when it is called.
        """

    def estimate(self, evidence: Evidence) -> Tensor:
        """The hypergradient estimate from one batch as a vector; the commitment stays as it is."""
        return flat_gradient(self.objective(evidence)(), self.commitment)


def flat_gradient(value: Total, commitment: Commitment) -> Tensor:
    """The gradient of a scalar in the parameters of a commitment, ``[P]``; zero where it does not depend on them."""
    parameters = list(commitment.parameters())
    if isinstance(value, WeightedSum):
        gradients = value.gradients(parameters)
    else:
        gradients = list(torch.autograd.grad(value, parameters, materialize_grads=True))
    return torch.cat([(g.to_dense() if g.is_sparse else g).ravel() for g in gradients])


@dataclass
class GradientAscent(GradientLeader):
    """A leader that climbs its estimate with Adam.

    Examples:
        >>> import torch
        >>> import stackelberg_games as sg
        >>> class Reinforce(sg.GradientAscent):
        ...     information = sg.Information.TRAJECTORIES
        ...
        ...     def objective(self, evidence):
        ...         batch = evidence.require_trajectories()
        ...         states, actions = (
        ...             torch.tensor(batch.states[:, :-1]),
        ...             torch.tensor(batch.leader_actions),
        ...         )
        ...         weights = torch.tensor(
        ...             batch.leader_returns(self.view.leader_discount)[:, None] * batch.mask
        ...         )
        ...         return lambda: (
        ...             (weights * self.commitment.log_probabilities()[states, actions])
        ...             .sum(dim=1)
        ...             .mean()
        ...         )
        >>> report = sg.gradient_check(sg.make("discrete_toy-v0"), Reinforce(), batches=20)
        >>> report.estimates.shape
        (20, 6)

    Args:
        learning_rate: of Adam, > 0.
        actor_steps: ascent steps for each batch, >= 1.
        start: settings of the first commitment, see ``commitments.first``: ``hidden`` widths of a network's
            layers, or ``spread`` of a configuration's parameters.
    """

    learning_rate: float = 0.02
    actor_steps: int = 1
    start: Mapping[str, Any] = field(default_factory=dict)

    keeps: ClassVar[tuple[str, ...]] = ("optimizer",)

    def __post_init__(self) -> None:
        steps = self.actor_steps
        whole = isinstance(steps, int | np.integer) and not isinstance(steps, bool)
        if not self.learning_rate > 0 or not whole or steps < 1:
            raise InvalidArgumentError(
                f"learning_rate={self.learning_rate!r}, actor_steps={steps!r}: expected a number > 0 and an integer >= 1"
            )

    def first_commitment(self, view: LeaderView, seed: int) -> Commitment:
        """See ``commitments.first``."""
        return first_commitment(view, seed, self.start)

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``."""
        super().begin(view, seed=seed, commitment=commitment)
        self.climbed = list(self.commitment.parameters())
        self.optimizer = Adam(self.climbed, self.learning_rate, maximize=True)

    def update(self, evidence: Evidence) -> dict[str, float]:
        """Learn from the batch, then climb."""
        surrogate = self.objective(evidence)
        norm = 0.0
        for _ in range(self.actor_steps):
            for parameter in self.climbed:
                parameter.grad = None
            surrogate().backward()
            self.optimizer.step()
        for parameter in self.climbed:
            if parameter.grad is not None:
                held = added_up(parameter.grad).values() if parameter.grad.is_sparse else parameter.grad
                norm += float(held.square().sum())
        return {"gradient_norm": norm**0.5}

"""A configuration of the game, chosen once an episode, with an optional policy beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.commitments.parametrisation import KNOWN, Parametrisation
from stackelberg_games.commitments.tabular import DiscretePolicy
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.numerics.randomness import Streams
from stackelberg_games.numerics.threads import in_own_modes
from stackelberg_games.rules.commitment import Commitment, add_gradient, parameters_from


class Configuration(Commitment):
    """A per-episode configuration, with an optional per-stage policy beside it.

    Examples:
        >>> import stackelberg_games as sg
        >>> shares = sg.Configuration(
        ...     [0.0, 0.0, 0.0], transform=sg.Budgeted(3.0)
        ... )  # the last one is not spent
        >>> shares.configuration().tolist()
        [1.0, 1.0]

    Args:
        parameters: initial parameters, any shape.
        transform: from parameters to configuration (the parametrisation: sigmoid, softmax over a
            budget, ...); the identity if not given.
        policy: the per-stage policy; None where the leader has a single action.
        states: number of states, needed only without ``policy``.
    """

    @in_own_modes
    def __init__(
        self,
        parameters: ArrayLike,
        transform: Callable[[Tensor], Tensor] | None = None,
        policy: DiscretePolicy | None = None,
        states: int = 1,
    ) -> None:
        super().__init__()
        if not (transform is None or callable(transform)) or not (policy is None or isinstance(policy, DiscretePolicy)):
            raise InvalidArgumentError(
                f"transform={checks.shown(transform)}, policy={checks.shown(policy)}: expected a function of a tensor and "
                "a policy over finite actions, or None"
            )
        self.weights = nn.Parameter(parameters_from("parameters", parameters))
        self.transform = transform
        self.policy = policy
        self.states = checks.integer("states", states, 1)
        if self._is_known():
            self.draws = False

    def _is_known(self) -> bool:
        """Whether nobody else's function decides."""
        return type(self) is Configuration and (self.transform is None or type(self.transform) in KNOWN.values())

    def describe(self) -> dict[str, Any]:
        """Class, shape of the parameters, parametrisation, and the policy beside it."""
        named = {"name": getattr(self.transform, "__name__", type(self.transform).__name__)}
        transform = None if self.transform is None else getattr(self.transform, "describe", lambda: named)()
        policy = None if self.policy is None else self.policy.describe()
        return {
            **super().describe(),
            "shape": list(self.weights.shape),
            "transform": transform,
            "policy": policy,
            "states": self.states,
        }

    def configuration(self) -> Tensor:
        """The configuration, a float64 tensor."""
        return self.weights if self.transform is None else self.transform(self.weights)

    def pull_configuration(self, weights: FloatArray) -> None:
        """See ``Commitment.pull_configuration``."""
        own, found = self._is_known(), None
        if own and self.transform is None:
            found = weights
        elif own and isinstance(self.transform, Parametrisation):
            found = self.transform.pulled(self.weights.detach().numpy(), weights)
        if found is None:
            return super().pull_configuration(weights)
        return add_gradient(self.weights, found)

    def probabilities(self) -> Tensor:
        """Action probabilities ``[S, A]``; a single sure action without a policy."""
        if self.policy is None:
            return torch.ones(self.states, 1, dtype=torch.float64)
        return self.policy.probabilities()

    def sample(self, states: Any, streams: Streams, stage: int) -> IntArray:
        """Leader actions, int64 ``[N]``."""
        if self.policy is None:
            return np.zeros(len(states), dtype=np.int64)
        return self.policy.sample(states, streams, stage)

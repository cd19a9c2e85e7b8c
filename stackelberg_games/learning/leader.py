"""What every leader is: settings, a commitment to play, and an update from what it observes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import gymnasium
import torch
from torch import Tensor

from stackelberg_games.commitments.gaussian import first_policy
from stackelberg_games.commitments.mlp import MLPPolicy
from stackelberg_games.commitments.networks import first_network
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.errors import InformationError, InvalidArgumentError
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView


class Leader(ABC):
    """A learning leader. Subclasses are dataclasses whose fields are their settings.

    A leader is constructed from settings alone and starts a match with ``begin``. It never holds
    a follower or a game (one of class MODEL is handed the game with the evidence).

    Attributes:
        needs_follower_rewards: whether its trajectories must hold the follower's rewards.
        needs_temperature: whether it must be told the follower's temperature.
    """

    needs_follower_rewards: ClassVar[bool] = False
    needs_temperature: ClassVar[bool] = False
    view: LeaderView
    commitment: Commitment

    @property
    @abstractmethod
    def information(self) -> Information:
        """The information class it works in."""

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """Start a match.

        Args:
            view: what the leader is told of the game.
            seed: of the leader's own randomness.
            commitment: to start from; the leader's default if not given.

        Raises:
            InformationError: the leader needs the temperature and the view does not hold it.
        """
        if self.needs_temperature and view.temperature is None:
            raise InformationError(
                f"{type(self).__name__} needs the follower's temperature and was told none; give sg.train a "
                "temperature, or take a follower that declares its own"
            )
        self.view = view
        self.commitment = self.first_commitment(view, seed) if commitment is None else commitment

    def first_commitment(self, view: LeaderView, seed: int) -> Commitment:
        """The commitment of the first episode.

        The uniform policy, as a table or, where states are vectors, linear in them; the game's
        configuration; or, where actions are real, what ``first_policy`` gives.
        """
        if view.lever is not None:
            return view.lever.commitment(seed)
        if isinstance(view.leader_action_space, gymnasium.spaces.Box):
            return first_policy(view, seed)
        return (
            first_network(view, (), seed) if isinstance(view.state_space, gymnasium.spaces.Box) else TabularPolicy(view)
        )

    @abstractmethod
    def update(self, evidence: Evidence) -> dict[str, float]:
        """Improve the commitment; returns figures to log."""

    @property
    def granted_follower_rewards(self) -> bool:
        """Whether its trajectories hold the follower's rewards; not where it was told to do without."""
        return self.needs_follower_rewards

    @property
    def recommendation(self) -> Commitment:
        """The commitment it would deploy; differs from ``commitment`` while it explores."""
        return self.commitment

    @property
    def settings(self) -> dict[str, Any]:
        """The settings it was constructed with."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes during a match, as nested dicts, lists, numbers and arrays."""
        return {"commitment": dict(self.commitment.state_dict())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a stored state, after ``begin`` with the same view."""
        self.commitment.load_state_dict(state["commitment"])


@dataclass
class GradientLeader(Leader):
    """A leader that climbs an estimate of the hypergradient with Adam.

    Args:
        learning_rate: of Adam, > 0.
        actor_steps: ascent steps for each batch, >= 1.
        hidden: widths of the hidden layers of an MLP commitment; empty for a table of logits.
    """

    learning_rate: float = 0.02
    actor_steps: int = 1
    hidden: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.hidden = tuple(self.hidden)
        if not self.learning_rate > 0 or self.actor_steps < 1:
            raise InvalidArgumentError(
                f"learning_rate={self.learning_rate!r}, actor_steps={self.actor_steps!r}: expected > 0 and >= 1"
            )

    def first_commitment(self, view: LeaderView, seed: int) -> Commitment:
        """The uniform policy, as a table or as an MLP, or the game's first configuration."""
        if view.lever is not None or not self.hidden:
            return super().first_commitment(view, seed)
        return MLPPolicy(view, self.hidden, seed)

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``."""
        super().begin(view, seed=seed, commitment=commitment)
        parameters = list(self.commitment.parameters())
        self.optimizer = torch.optim.Adam(parameters, lr=self.learning_rate, maximize=True, fused=True)

    def observe(self, evidence: Evidence) -> None:
        """Learn critics from a batch, before the surrogate is asked for."""

    @abstractmethod
    def surrogate(self, evidence: Evidence) -> Tensor:
        """A scalar whose gradient is the estimate of the hypergradient at the commitment."""

    def update(self, evidence: Evidence) -> dict[str, float]:
        """Learn from the batch, then climb."""
        self.observe(evidence)
        parameters, norm = list(self.commitment.parameters()), 0.0
        for _ in range(self.actor_steps):
            for parameter in parameters:
                parameter.grad = None
            self.surrogate(evidence).backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        for parameter in parameters:
            if parameter.grad is not None:
                norm += float(parameter.grad.square().sum())
        return {"gradient_norm": norm**0.5}

    def estimate(self, evidence: Evidence) -> Tensor:
        """The hypergradient estimate from one batch as a vector; the commitment stays as it is."""
        self.observe(evidence)
        parameters = list(self.commitment.parameters())
        gradients = torch.autograd.grad(self.surrogate(evidence), parameters, materialize_grads=True)
        return torch.cat([gradient.ravel() for gradient in gradients])

    def state_dict(self) -> dict[str, Any]:
        """Commitment and optimiser."""
        return {**super().state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Leader.load_state_dict``."""
        super().load_state_dict(state)
        self.optimizer.load_state_dict(state["optimizer"])

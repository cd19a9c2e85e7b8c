"""The leader's lever: how its configuration enters, at stages that it has observed.

A leader may know how its own decision enters rewards and transitions, and nothing else of the
game. The lever gives, at observed stages (s, a, b, s'), the terms that depend on the configuration
x as differentiable functions of x:

    leader_reward     rL_x(s, a, b) - rL_0(s, a, b)
    follower_reward   rF_x(s, a, b) - rF_0(s, a, b)
    log_transition    log P_x(s' | s, a, b)

The rewards r_0 without incentives, the transitions from other stages and everything about the
follower stay hidden. A stage that was never played is refused.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InformationError, UnsupportedGameError
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.trajectories import Trajectories


class Terms(NamedTuple):
    """The leader's lever: how theta enters at the visited stages; tensors ``[N, T]`` or None."""

    log_policy: Tensor | None = None
    leader_reward: Tensor | None = None
    follower_reward: Tensor | None = None
    log_transition: Tensor | None = None


class Stages(NamedTuple):
    """Stages to ask a lever about; every field has leading dimension K."""

    states: NDArray[np.generic]
    leader_actions: NDArray[np.generic]
    follower_actions: NDArray[np.generic]
    next_states: NDArray[np.generic]

    @classmethod
    def of(cls, batch: Trajectories) -> Stages:
        """The stages of a batch, as often and in the order in which they were played."""
        parts = (batch.states[:, :-1], batch.leader_actions, batch.follower_actions, batch.states[:, 1:])
        return cls(*(part[batch.mask] for part in parts))


class Ledger(ABC):
    """Which stages of a game have been played, and so may be asked about.

    Whoever plays holds it and opens a lever by it (``game.view(ledger=...)``); a leader never does.
    """

    @abstractmethod
    def reveal(self, batch: Trajectories) -> None:
        """Enter the stages of a batch."""

    @abstractmethod
    def require(self, stages: Stages) -> None:
        """Raise ``InformationError`` unless every stage has been entered."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """What has been entered."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Enter what was stored."""


class Lever(ABC):
    """How a configuration enters a game, as far as the leader may know.

    Examples:
        >>> import stackelberg_games as sg
        >>> lever = sg.make("four_rooms-v0").view().lever
        >>> lever.moves_transitions, lever.costs, lever.constant_base
        (False, True, True)
        >>> lever.commitment(seed=0).configuration().shape
        torch.Size([104])
        >>> sg.make(
        ...     "discrete_toy-v0"
        ... ).view().lever is None  # there the leader acts, and sets nothing
        True

    Attributes:
        constant_base: whether rewards minus the lever's terms stay the same under every
            configuration. Where they do not, old observations of rewards go stale.
        moves_transitions: whether the configuration enters the transitions.
        costs: whether it enters the leader's rewards.
    """

    constant_base: bool = True
    moves_transitions: bool = False
    costs: bool = True

    @abstractmethod
    def commitment(self, seed: int, spread: float | None = None) -> Commitment:
        """The game's standard first commitment; ``spread`` is the deviation of its parameters."""

    @abstractmethod
    def terms(self, configuration: Tensor, stages: Stages) -> Terms:
        """The terms at stages that were played, tensors ``[K]``; None where the configuration does not enter.

        Raises:
            InformationError: a stage was never played.
        """

    def pull(self, commitment: Commitment, stages: Stages, weights: Mapping[str, FloatArray]) -> None:
        """Add to the parameters' ``grad`` the derivative of the terms' sum with weights, ``[K]``.

        Args:
            commitment: that configures the game.
            stages: see ``terms``.
            weights: by name of the term; those of a term that does not depend on the configuration do not count.

        Raises:
            InformationError: a stage was never played.
        """
        configuration = commitment.configuration()
        assert configuration is not None
        terms = self.terms(configuration, stages)
        pairs = [(getattr(terms, name), torch.from_numpy(weight)) for name, weight in weights.items()]
        weighed = [(term, weight) for term, weight in pairs if term is not None and term.requires_grad]
        if weighed:
            torch.autograd.backward([term for term, _ in weighed], [weight for _, weight in weighed])


def require_played(ledger: Ledger | None, stages: Stages) -> None:
    """Raise ``InformationError`` unless a ledger has every stage; without a ledger none was played."""
    if ledger is None:
        raise InformationError("this view is of a game that nobody has played; its lever tells nothing yet")
    ledger.require(stages)


def never_played(stages: Stages, index: int) -> InformationError:
    """What a ledger raises for a stage that it lacks."""
    where = tuple(np.asarray(part)[index].tolist() for part in stages)
    return InformationError(f"stage (s, a, b, s') = {where} was never observed")


def require_lever(lever: Lever | None, who: object) -> Lever:
    """``lever`` if there is one; raise ``UnsupportedGameError`` naming the leader if not."""
    if lever is None:
        raise UnsupportedGameError(
            f"{type(who).__name__} is defined for configurable games, as four_rooms-v0 is one; in this one the leader acts "
            "at every stage, for which there are bchg and, given the model, exact_gradient"
        )
    return lever

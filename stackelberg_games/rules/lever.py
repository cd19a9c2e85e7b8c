"""The leader's lever: how its configuration enters, at stages that it has observed.

A leader may know how its own decision enters rewards and transitions, and nothing else of the
game. The lever gives, at observed stages (s, a, b, s'), the terms that depend on the configuration
x as differentiable functions of x:

    leader_reward     rL_x(s, a, b) - rL_0(s, a, b)
    follower_reward   rF_x(s, a, b) - rF_0(s, a, b)
    log_transition    log P_x(s' | s, a, b)

The rewards r_0 without incentives, the transitions from other stages and everything about the
follower stay hidden. A stage that was never revealed is refused.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stackelberg_games.errors import UnsupportedGameError
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


class Lever(ABC):
    """How a configuration enters a game, as far as the leader may know.

    Attributes:
        constant_base: whether rewards minus the lever's terms stay the same under every
            configuration. Where they do not, old observations of rewards go stale.
        moves_transitions: whether the configuration enters the transitions.
    """

    constant_base: bool = True
    moves_transitions: bool = False

    @abstractmethod
    def commitment(self, seed: int, spread: float | None = None) -> Commitment:
        """The game's standard first commitment; ``spread`` is the deviation of its parameters."""

    @abstractmethod
    def reveal(self, batch: Trajectories) -> None:
        """Allow the stages of a batch; called by whoever hands the batch to the leader."""

    @abstractmethod
    def restore(self, stages: Stages) -> None:
        """Allow stages that were revealed before a match was interrupted."""

    @abstractmethod
    def terms(self, configuration: Tensor, stages: Stages) -> Terms:
        """The terms at revealed stages, tensors ``[K]``; None where the configuration does not enter.

        Raises:
            InformationError: a stage was never revealed.
        """


def require_lever(lever: Lever | None, who: object) -> Lever:
    """``lever`` if there is one; raise ``UnsupportedGameError`` naming the leader if not."""
    if lever is None:
        raise UnsupportedGameError(
            f"{type(who).__name__} is defined for configurable games, as four_rooms-v0 is one; in this one the leader acts "
            "at every stage, for which there are bchg and, given the model, exact_gradient"
        )
    return lever

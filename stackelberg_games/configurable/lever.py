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
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.commitment import Commitment
from stackelberg_games.errors import InformationError, UnsupportedGameError
from stackelberg_games.hypergradient import Coefficients, Terms
from stackelberg_games.tabular import Tables
from stackelberg_games.trajectories import Trajectories, mark


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


class TabularLever(Lever):
    """The lever of a finite game whose tables depend on the configuration.

    Args:
        configure: from a configuration to ``Tables``; a table that does not depend on it needs no
            gradient.
        base: the tables r_0 before any configuration.
        start: from a seed and a spread to the standard first commitment.
        constant_base: see ``Lever``.
    """

    def __init__(
        self,
        configure: Callable[[Tensor], Tables],
        base: Tables,
        start: Callable[[int, float | None], Commitment],
        *,
        constant_base: bool = True,
    ) -> None:
        self._configure, self._base, self._start = configure, base, start
        self.constant_base = constant_base
        probe = start(0, None).configuration()
        assert probe is not None
        self._enters = tuple(table.requires_grad for table in configure(probe))
        self.moves_transitions = self._enters[0]
        self._shape = tuple(base.transition.shape)
        self._revealed = np.zeros(self._shape, dtype=np.bool_)
        self._asked: _Asked | None = None

    def commitment(self, seed: int, spread: float | None = None) -> Commitment:
        """See ``Lever.commitment``."""
        return self._start(seed, spread)

    def reveal(self, batch: Trajectories) -> None:
        """Allow the stages of a batch."""
        mark(batch, self._revealed)

    def restore(self, stages: Stages) -> None:
        """See ``Lever.restore``."""
        self._revealed[tuple(stages)] = True

    def terms(self, configuration: Tensor, stages: Stages) -> Terms:
        """See ``Lever.terms``; one call builds each configured table once, whatever K is."""
        asked = self._prepare(stages)
        tables = self._configure(configuration)
        leader, follower = (
            table.reshape(-1).index_select(0, asked.cells) - before if enters else None
            for table, before, enters in zip(tables[1:], asked.base, self._enters[1:], strict=True)
        )
        log_transition = None
        if self.moves_transitions:
            log_transition = tables.transition.reshape(-1).index_select(0, asked.flat).log()
        return Terms(None, leader, follower, log_transition)

    def _prepare(self, stages: Stages) -> _Asked:
        """Indices of stages that were all revealed; those asked about last are not looked up again."""
        if self._asked is None or not all(map(np.array_equal, stages, self._asked.stages)):
            kept = Stages(*(np.array(part) for part in stages))
            allowed = self._revealed[tuple(kept)]
            if not allowed.all():
                where = tuple(int(part[np.argmin(allowed)]) for part in kept)
                raise InformationError(f"stage (s, a, b, s') = {where} was never observed")
            index: Any = tuple(kept)
            flat = torch.from_numpy(np.ravel_multi_index(index, self._shape))
            cells = flat // self._shape[-1]
            base = tuple(table.reshape(-1)[cells] for table in self._base[1:])
            self._asked = _Asked(kept, flat, cells, base)
        return self._asked


class _Asked(NamedTuple):
    """Stages asked about: where they stand in flat tables of (s, a, b, s') and (s, a, b), and both base rewards."""

    stages: Stages
    flat: Tensor
    cells: Tensor
    base: tuple[Tensor, ...]


class ObservedLever(Lever):
    """The lever of a game with real states, given by its terms; stages are told apart by all their numbers.

    Args:
        terms: from a configuration and stages to ``Terms``, differentiable.
        start: from a seed and a spread to the standard first commitment.
        moves_transitions: whether the terms have log P.
    """

    def __init__(
        self,
        terms: Callable[[Tensor, Stages], Terms],
        start: Callable[[int, float | None], Commitment],
        *,
        moves_transitions: bool = True,
    ) -> None:
        self._terms, self._start, self.moves_transitions = terms, start, moves_transitions
        self._revealed: set[bytes] = set()

    def commitment(self, seed: int, spread: float | None = None) -> Commitment:
        """See ``Lever.commitment``."""
        return self._start(seed, spread)

    def reveal(self, batch: Trajectories) -> None:
        """Allow the stages of a batch."""
        mask = batch.mask
        parts = (batch.states[:, :-1], batch.leader_actions, batch.follower_actions, batch.states[:, 1:])
        self.restore(Stages(*(part[mask] for part in parts)))

    def restore(self, stages: Stages) -> None:
        """See ``Lever.restore``."""
        self._revealed.update(row.tobytes() for row in _flat(stages))

    def terms(self, configuration: Tensor, stages: Stages) -> Terms:
        """See ``Lever.terms``."""
        for index, row in enumerate(_flat(stages)):
            if row.tobytes() not in self._revealed:
                where = tuple(np.asarray(part)[index].tolist() for part in stages)
                raise InformationError(f"stage (s, a, b, s') = {where} was never observed")
        return self._terms(configuration, stages)


def _flat(stages: Stages) -> FloatArray:
    """Each stage as a row of numbers."""
    parts = [np.asarray(part, dtype=np.float64) for part in stages]
    return np.ascontiguousarray(np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1))


class Weighted(NamedTuple):
    """Weights of the lever's terms at distinct stages, float64 ``[K]`` each."""

    stages: Stages
    leader_reward: FloatArray
    follower_reward: FloatArray
    log_transition: FloatArray

    def surrogate(self, terms: Terms, share: float = 1.0) -> Tensor:
        """Sum of weight times term, a scalar tensor; one backward pass over K distinct stages.

        Args:
            terms: the lever's at these stages.
            share: factor on the leader's own rewards.
        """
        pairs = (
            (share * self.leader_reward, terms.leader_reward),
            (self.follower_reward, terms.follower_reward),
            (self.log_transition, terms.log_transition),
        )
        total = torch.zeros((), dtype=torch.float64)
        for weight, term in pairs:
            if term is not None:
                total = total + torch.from_numpy(weight) @ term
        return total


def distinct(batch: Trajectories, shape: tuple[int, int, int]) -> tuple[Stages, IntArray]:
    """The distinct stages of a batch of a finite game, and the index of every played stage among them.

    Args:
        batch: N episodes.
        shape: numbers of states, leader actions and follower actions.

    Returns:
        K stages, and int64 ``[batch.transitions]`` in the order of ``batch.mask``.
    """
    states, actions, replies = shape
    flat = (batch.states[:, :-1] * actions + batch.leader_actions) * replies + batch.follower_actions
    unique, inverse = np.unique((flat * states + batch.states[:, 1:])[batch.mask], return_inverse=True)
    cells, following = np.divmod(unique, states)
    pairs, reply = np.divmod(cells, replies)
    state, action = np.divmod(pairs, actions)
    return Stages(state, action, reply, following), np.asarray(inverse.ravel())


def collapse(batch: Trajectories, weights: Coefficients, shape: tuple[int, int, int]) -> Weighted:
    """Add up stage weights over equal stages; memory does not depend on the size of theta."""
    stages, index = distinct(batch, shape)
    sums = (
        np.bincount(index, weights=weight[batch.mask], minlength=len(stages.states)) / batch.episodes
        for weight in (weights.leader_reward, weights.follower_reward, weights.log_transition)
    )
    return Weighted(stages, *sums)

"""Levers of games that are given by tables, and of those given by their terms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InformationError
from stackelberg_games.kinds.finite import Tables
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Lever, Stages, Terms
from stackelberg_games.rules.trajectories import Trajectories, mark


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

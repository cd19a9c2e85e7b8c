"""Levers of games that are given by tables, and of those given by their terms; and the ledgers that open them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.kinds.finite import Tables
from stackelberg_games.kinds.successors import SuccessorLists
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Ledger, Lever, Stages, Terms, never_played, require_played
from stackelberg_games.rules.trajectories import Trajectories, mark


class FiniteLedger(Ledger):
    """The stages played of a finite game.

    Args:
        shape: numbers of states, leader actions, follower actions and states.
        lists: successors of a game given as lists; then a stage is one of their entries.
    """

    def __init__(self, shape: tuple[int, ...], lists: SuccessorLists | None = None) -> None:
        self._lists = lists
        self._played = np.zeros(shape if lists is None else len(lists.successors), dtype=np.bool_)

    def reveal(self, batch: Trajectories) -> None:
        """See ``Ledger.reveal``."""
        if self._lists is None:
            mark(batch, self._played)
        else:
            self._played[self._lists.entries(*Stages.of(batch))] = True

    def require(self, stages: Stages) -> None:
        """See ``Ledger.require``."""
        if self._lists is None:
            allowed = self._played[tuple(stages)]
        else:
            entries = self._lists.entries(*stages)
            allowed = (entries >= 0) & self._played[entries]
        if not allowed.all():
            raise never_played(stages, int(np.argmin(allowed)))

    def state_dict(self) -> dict[str, Any]:
        """Flat indices of (s, a, b, s'), or numbers of entries."""
        return {"played": np.flatnonzero(self._played)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Ledger.load_state_dict``."""
        self._played.ravel()[np.asarray(state["played"])] = True


class ObservedLedger(Ledger):
    """The stages played of a game with real states, told apart by all their numbers."""

    def __init__(self) -> None:
        self._played: set[bytes] = set()

    def reveal(self, batch: Trajectories) -> None:
        """See ``Ledger.reveal``."""
        self._played.update(row.tobytes() for row in _flat(Stages.of(batch)))

    def require(self, stages: Stages) -> None:
        """See ``Ledger.require``."""
        for index, row in enumerate(_flat(stages)):
            if row.tobytes() not in self._played:
                raise never_played(stages, index)

    def state_dict(self) -> dict[str, Any]:
        """A row of numbers for every stage, in no order."""
        rows = [np.frombuffer(row) for row in sorted(self._played)]
        return {"played": np.stack(rows) if rows else np.zeros((0, 0))}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Ledger.load_state_dict``."""
        self._played.update(np.ascontiguousarray(row).tobytes() for row in np.asarray(state["played"]))


class TabularLever(Lever):
    """The lever of a finite game whose tables depend on the configuration.

    Args:
        configure: from a configuration to ``Tables``; a table that does not depend on it needs no
            gradient.
        base: the tables r_0 before any configuration.
        start: from a seed and a spread to the standard first commitment.
        ledger: which stages may be asked about; none without one.
        lists: successors of a game given as lists.
        constant_base: see ``Lever``.
        pulled: see ``ConfigurableGame.pulled``.
    """

    def __init__(
        self,
        configure: Callable[[Tensor], Tables],
        base: Tables,
        start: Callable[[int, float | None], Commitment],
        ledger: Ledger | None,
        *,
        lists: SuccessorLists | None = None,
        constant_base: bool = True,
        pulled: Callable[[FloatArray, FloatArray], FloatArray | None] | None = None,
    ) -> None:
        self._pulled = pulled
        self._configure, self._base, self._start, self._ledger = configure, base, start, ledger
        self._lists, self.constant_base = lists, constant_base
        probe = start(0, None).configuration()
        assert probe is not None
        self._enters = tuple(table.requires_grad for table in configure(probe))
        self.moves_transitions, self.costs = self._enters[:2]
        self._asked: _Asked | None = None

    def commitment(self, seed: int, spread: float | None = None) -> Commitment:
        """See ``Lever.commitment``."""
        return self._start(seed, spread)

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

    def pull(self, commitment: Commitment, stages: Stages, weights: Mapping[str, FloatArray]) -> None:
        """See ``Lever.pull``."""
        found = None
        if self._pulled is not None and not self.moves_transitions:
            tables = [np.zeros(tuple(table.shape)) for table in self._base[1:]]
            for table, name in zip(tables, Tables._fields[1:], strict=True):
                if name in weights:
                    np.add.at(table.ravel(), self._prepare(stages).cells.numpy(), weights[name])
            found = self._pulled(*tables)
        if found is None:
            return super().pull(commitment, stages, weights)
        return commitment.pull_configuration(found)

    def _prepare(self, stages: Stages) -> _Asked:
        """Indices of stages that were all played; those asked about last are not looked up again."""
        key = tuple((part.dtype, part.shape, part.tobytes()) for part in map(np.asarray, stages))
        if self._asked is None or key != self._asked.key:
            kept = Stages(*(np.array(part) for part in stages))
            require_played(self._ledger, kept)
            index: Any = tuple(kept)
            cells = torch.from_numpy(np.ravel_multi_index(index[:3], tuple(self._base.leader_reward.shape)))
            if self._lists is None:
                flat = torch.from_numpy(np.ravel_multi_index(index, tuple(self._base.transition.shape)))
            else:
                flat = torch.from_numpy(self._lists.entries(*index))
            base = tuple(table.reshape(-1)[cells] for table in self._base[1:])
            self._asked = _Asked(key, flat, cells, base)
        return self._asked


class _Asked(NamedTuple):
    """Stages asked about, by type, shape and bytes: where they stand in the flat transition and in tables of (s, a, b), and both base rewards."""

    key: tuple[Any, ...]
    flat: Tensor
    cells: Tensor
    base: tuple[Tensor, ...]


class ObservedLever(Lever):
    """The lever of a game with real states, given by its terms.

    Args:
        terms: from a configuration and stages to ``Terms``, differentiable.
        start: from a seed and a spread to the standard first commitment.
        ledger: which stages may be asked about; none without one.
        moves_transitions: whether the terms have log P.
    """

    def __init__(
        self,
        terms: Callable[[Tensor, Stages], Terms],
        start: Callable[[int, float | None], Commitment],
        ledger: Ledger | None,
        *,
        moves_transitions: bool = True,
    ) -> None:
        self._terms, self._start, self._ledger, self.moves_transitions = terms, start, ledger, moves_transitions

    def commitment(self, seed: int, spread: float | None = None) -> Commitment:
        """See ``Lever.commitment``."""
        return self._start(seed, spread)

    def terms(self, configuration: Tensor, stages: Stages) -> Terms:
        """See ``Lever.terms``."""
        require_played(self._ledger, stages)
        return self._terms(configuration, stages)


def _flat(stages: Stages) -> FloatArray:
    """Each stage as a row of numbers."""
    parts = [np.asarray(part, dtype=np.float64) for part in stages]
    return np.ascontiguousarray(np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1))

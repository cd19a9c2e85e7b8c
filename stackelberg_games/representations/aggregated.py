"""Aggregation: vectors are replaced by numbers of cells, and what is learned of the finite game that remains is ``Finite``.

The commitment enters by the probabilities of its actions at one element of every cell, so there must be finitely many
of them: between cells of real actions its density is not known.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.commitments.tabular import DiscretePolicy
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.learning.information import Evidence
from stackelberg_games.representations.finite import Finite
from stackelberg_games.representations.protocol import Fitted, Needs, Representation, Values
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.features import Features
from stackelberg_games.rules.view import LeaderView


class Cells(ABC):
    """Numbers for the elements of a space.

    Args:
        space: a flat Box, or a Discrete space, whose elements keep their own numbers.
        count: of cells of a Box.

    Attributes:
        points: an element of every cell, ``[size, n]``; empty until ``choose`` was called.
    """

    def __init__(self, space: gymnasium.Space[Any], count: int) -> None:
        self.features = Features(space)
        self.size = self.features.size if self.features.discrete else count
        self.points: FloatArray = np.empty((0, self.features.size))

    @abstractmethod
    def chosen(self, vectors: FloatArray) -> FloatArray:
        """``points``, given elements ``[N, n]`` of a Box, scaled as these are."""

    @abstractmethod
    def numbers(self, vectors: FloatArray) -> IntArray:
        """Numbers of the cells of elements ``[..., n]`` of a Box, scaled."""

    def choose(self, values: Any) -> None:
        """Settle the cells by the first elements that are seen."""
        if not self.features.discrete and not len(self.points):
            self.points = self.chosen(self.features(values) / self.features.scale)

    def __call__(self, values: Any) -> IntArray:
        """Numbers, int64, in the shape of the elements."""
        vectors = self.features(values) / self.features.scale
        return np.asarray(vectors.argmax(axis=-1) if self.features.discrete else self.numbers(vectors))

    @property
    def elements(self) -> Any:
        """One of every cell."""
        if isinstance(self.features.space, gymnasium.spaces.Discrete):
            return np.arange(self.size) + int(self.features.space.start)
        return self.points * self.features.scale


class AtCells(DiscretePolicy):
    """A commitment at the elements of cells; the state after the last cell is the end of play.

    Args:
        commitment: with log-probabilities of finitely many actions in any state.
        cells: of states.
        actions: their number.
    """

    def __init__(self, commitment: Commitment, cells: Cells, actions: int) -> None:
        super().__init__()
        self.commitment, self.cells = commitment, cells
        self.states, self.actions = cells.size + 1, actions

    def log_probabilities(self) -> Tensor:
        """See ``DiscretePolicy``."""
        found = self.commitment.log_probabilities(self.cells.elements)  # type: ignore[operator]
        return torch.cat([found, found[:1]])


class AggregatedGame(Fitted):
    """A game fitted to cells.

    Args:
        inner: the finite game.
        learned: whose cells they are.
    """

    def __init__(self, inner: Fitted, learned: Aggregated) -> None:
        self.inner, self.learned = inner, learned

    def objective(self, commitment: Commitment, temperature: float, share: float = 1.0) -> tuple[float, Tensor]:
        """See ``Fitted.objective``."""
        self.inner.tolerance = self.tolerance
        return self.inner.objective(self.learned.among(commitment), temperature, share)

    def judged(self, commitment: Commitment, temperature: float, replies: Any) -> float:
        """See ``Fitted.judged``."""
        return self.inner.judged(self.learned.among(commitment), temperature, replies)


class Aggregated(Representation):
    """Counts of cells, where the leader acts at every stage; a subclass says which cells.

    Args:
        view, commitment, needs, seed: see ``Representation``.
        cells: of states and of the follower's actions.
        settings: of ``Finite``.

    Raises:
        UnsupportedGameError: the leader configures the game, or has infinitely many actions.
    """

    planning: tuple[str, ...] = tuple(name for name in Finite.planning if name not in ("cold_share", "belief"))

    def __init__(
        self,
        view: LeaderView,
        commitment: Commitment,
        needs: Needs,
        seed: int,
        cells: tuple[Cells, Cells],
        **settings: Any,
    ) -> None:
        super().__init__(view, commitment, needs, seed)
        actions = view.leader_action_space
        if view.lever is not None or not isinstance(actions, gymnasium.spaces.Discrete):
            raise UnsupportedGameError(
                f"{self.name} needs finitely many leader actions at every stage, and no lever: leader actions are in "
                f"{actions}; leave out the representation's kind"
            )
        self.cells, self.actions, self.first = cells, int(actions.n), int(actions.start)
        self.inner = Finite(
            replace(
                view,
                state_space=gymnasium.spaces.Discrete(cells[0].size + 1),
                leader_action_space=gymnasium.spaces.Discrete(self.actions),
                follower_action_space=gymnasium.spaces.Discrete(cells[1].size),
            ),
            self.among(commitment),
            needs,
            seed,
            **settings,
        )

    @classmethod
    def fits(cls, view: LeaderView, commitment: Commitment) -> bool:
        """It is not chosen by itself."""
        return False

    def among(self, commitment: Commitment) -> AtCells:
        """A commitment as one to the finite game."""
        return AtCells(commitment, self.cells[0], self.actions)

    def observe(self, evidence: Evidence, commitment: Commitment) -> None:
        """Number what was played, and count; the first batch settles the cells."""
        batch = evidence.require_trajectories()
        self.cells[0].choose(batch.states[:, :-1][batch.mask])
        self.cells[1].choose(batch.follower_actions[batch.mask])
        states, replies = self.cells[0](batch.states), self.cells[1](batch.follower_actions)
        states[np.flatnonzero(batch.terminated), batch.lengths[batch.terminated]] = self.cells[0].size
        actions = batch.leader_actions - self.first * batch.mask
        coded = replace(batch, states=states, leader_actions=actions, follower_actions=replies)
        self.inner.observe(replace(evidence, trajectories=coded), self.among(commitment))

    def at(self, commitment: Commitment) -> Values:
        """See ``Representation.at``."""
        return self.inner.at(self.among(commitment))

    def fitted(self) -> Fitted:
        """See ``Representation.fitted``."""
        return AggregatedGame(self.inner.fitted(), self)

    def replies(self) -> Any:
        """See ``Representation.replies``."""
        return self.inner.replies()

    def state_dict(self) -> dict[str, Any]:
        """The cells, and what was learned of them."""
        return {"points": [cells.points for cells in self.cells], "inner": self.inner.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Representation.load_state_dict``."""
        for cells, points in zip(self.cells, state["points"], strict=True):
            cells.points = np.array(points)
        self.inner.load_state_dict(state["inner"])

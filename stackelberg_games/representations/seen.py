"""The states that a batch of a large finite game can come to, in all that was seen; what is learned of them is ``Finite``.

Other states carry no weight in the estimate from that batch, so leaving them out changes nothing but the cost: what an update
takes depends neither on how many states the game has nor on how many were seen elsewhere. The commitment enters by the rows of its table
that are left, and Adam moves no others in a large table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import IntArray
from stackelberg_games.commitments.tabular import DiscretePolicy, TabularPolicy
from stackelberg_games.learning.information import Evidence
from stackelberg_games.play.rollout import TabularResponse
from stackelberg_games.representations.finite import Finite
from stackelberg_games.representations.protocol import Fitted, Needs, Representation, Values
from stackelberg_games.representations.tally import Excerpt, Tally
from stackelberg_games.representations.visits import is_large, too_large
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.trajectories import check_played
from stackelberg_games.rules.view import LeaderView

LAZY = 50_000
"""Numbers in a table beyond which Adam moves only the rows that a batch has touched."""


class AtStates(DiscretePolicy):
    """A policy in some of its states.

    Args:
        policy: in all of them.
        numbers: of the states, ``[M]``.
        sparse: whether the gradient shall hold their rows alone.
    """

    def __init__(self, policy: DiscretePolicy, numbers: IntArray, *, sparse: bool) -> None:
        super().__init__()
        self.policy, self.numbers, self.sparse = policy, torch.from_numpy(numbers), sparse
        self.states, self.actions = len(numbers), policy.actions
        self._held: tuple[Tensor, list[int]] | None = None

    def log_probabilities(self) -> Tensor:
        """See ``DiscretePolicy``; what ``probabilities`` has made serves once, while the policy is what it was."""
        held, self._held = self._held, None
        return held[0] if held is not None and held[1] == self._versions() else self._rows()

    def probabilities(self) -> Tensor:
        """See ``DiscretePolicy``."""
        with torch.enable_grad():
            self._held = self._rows(), self._versions()
        return self._held[0].exp()

    def _rows(self) -> Tensor:
        return self.policy.rows(self.numbers, sparse=self.sparse)

    def _versions(self) -> list[int]:
        return [parameter._version for parameter in self.policy.parameters()]


class Seen(Representation):
    """Counts of the states seen, where the leader acts at every stage in a large finite game.

    Args:
        view, commitment, needs, seed: see ``Representation``.
        settings: of ``Finite``.

    Raises:
        UnsupportedGameError: the leader asks for what is not learned in large games.
    """

    keeps: ClassVar[tuple[str, ...]] = ("numbers", "tally")
    reads = Finite.reads
    planning: tuple[str, ...] = tuple(name for name in Finite.planning if name not in ("cold_share", "belief"))

    def __init__(self, view: LeaderView, commitment: Commitment, needs: Needs, seed: int = 0, **settings: Any) -> None:
        super().__init__(view, commitment, needs, seed)
        assert isinstance(commitment, DiscretePolicy)  # see ``fits``
        if not needs.values or needs.players or needs.sarsa is not None:
            raise too_large(view.sizes())
        self.numbers: IntArray = np.zeros(0, dtype=np.int64)
        self.near: IntArray = np.zeros(1, dtype=np.int64)
        self.sparse = isinstance(commitment, TabularPolicy) and commitment.logits.numel() > LAZY
        self._played: AtStates | None = None
        self._code = np.full(view.sizes()[0], -1, dtype=np.int64)
        self.inner = Finite(self._facing(1), self.among(commitment), needs, seed, **settings)
        memory = self.inner.counts.memory
        self.inner.counts = self._excerpt = Excerpt(self.inner.view, memory)
        self.tally = Tally(view.sizes()[1:], memory)

    @property
    def name(self) -> str:
        """That of ``Finite``: which of the two it is follows from the size of the game."""
        return self.inner.name

    @classmethod
    def fits(cls, view: LeaderView, commitment: Commitment) -> bool:
        """Where all spaces are finite, and an array of all transitions would be large."""
        acts = isinstance(commitment, DiscretePolicy) and view.lever is None
        return acts and Finite.fits(view, commitment) and is_large(view.sizes())

    @classmethod
    def settings(cls, view: LeaderView, needs: Needs) -> tuple[str, ...]:
        """Those of ``Finite``."""
        return Finite.settings(view, needs)

    def _facing(self, states: int) -> LeaderView:
        return replace(self.view, state_space=gymnasium.spaces.Discrete(states), observations=None)

    def among(self, commitment: Commitment) -> AtStates:
        """A commitment in the states that the batch can come to."""
        assert isinstance(commitment, DiscretePolicy)
        return AtStates(commitment, self.near, sparse=self.sparse)

    def observe(self, evidence: Evidence, commitment: Commitment) -> None:
        """Number the states that are new, count, and learn of what can follow."""
        batch = evidence.require_trajectories()
        check_played(batch, self.view.sizes())
        played = self._code[batch.states]
        if (new := np.unique(batch.states[played < 0])).size:
            self._code[new] = len(self.numbers) + np.arange(len(new))
            self.numbers = np.concatenate([self.numbers, new])
            self.tally.grow(len(self.numbers))
            played = self._code[batch.states]
        self.tally.add(batch, played)
        self.near = np.sort(self.numbers[self.tally.following(played)])
        following = self._code[self.near]
        coded: dict[str, Any] = {"trajectories": replace(batch, states=self._gather(following, played))}
        if evidence.follower_policy is not None and self.needs.reads != "none":
            coded["follower_policy"] = TabularResponse(evidence.require_table()[self.near])
        if evidence.follower_values is not None:
            held = evidence.follower_values
            parts = {name: getattr(held, name)[self.near] for name in ("policy", "q", "values")}
            coded["follower_values"] = replace(held, **parts, error=None)
        self._played = self.among(commitment)
        self.inner.observe(replace(evidence, **coded), self._played)

    def _gather(self, following: IntArray, played: IntArray) -> IntArray:
        """Make the states that can follow those of ``Finite``; returns the numbers there of those played."""
        self.inner.view = self._excerpt.view = self._facing(len(following))
        self.inner.starts = np.zeros(len(following))
        return self.tally.gather(following, self._excerpt, played)

    def at(self, commitment: Commitment) -> Values:
        """See ``Representation.at``."""
        if self._played is not None and self._played.policy is commitment:
            return self.inner.at(self._played)
        return self.inner.at(self.among(commitment))

    def fitted(self) -> Fitted:
        """See ``Representation.fitted``; there is no such game."""
        raise too_large(self.view.sizes())

    def replies(self) -> Any:
        """See ``Representation.replies``."""
        return self.inner.replies()

    def retell(self, temperature: float) -> None:
        """See ``Representation.retell``."""
        super().retell(temperature)
        self.inner.retell(temperature)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Representation.load_state_dict``."""
        super().load_state_dict(state)
        self._code[:] = -1
        self._code[self.numbers] = np.arange(len(self.numbers))

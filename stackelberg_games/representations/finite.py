"""Counts of a finite game: what the leader learns where states and actions are finitely many.

The decision enters through the probability of the leader's actions, which is averaged over, and through
the terms of its lever where it configures the game. Weights of all stages collapse onto the distinct
ones before anything is differentiated, so that nothing of the size of theta is kept for a transition.
Where the play goes on for ever, the exact adjoint of the estimated game takes over where a trajectory ends.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InformationError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.exact.critics import CriticTables
from stackelberg_games.exact.pair import Pair
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.learning.information import Evidence
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.representations.configured_counts import ConfiguredEstimator
from stackelberg_games.representations.counts import TabularEstimator
from stackelberg_games.representations.finite_advantage import sarsa
from stackelberg_games.representations.finite_model import FiniteModel
from stackelberg_games.representations.finite_values import FiniteValues, acting
from stackelberg_games.representations.protocol import STACKELBERG, Needs, Representation
from stackelberg_games.representations.stackelberg_backup import stackelberg_q
from stackelberg_games.representations.surprise import Surprise
from stackelberg_games.representations.visits import is_large, too_large
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Ledger, require_lever
from stackelberg_games.rules.trajectories import Trajectories, table_of
from stackelberg_games.rules.view import LeaderView


class Finite(Representation):
    """Counts, and the critics of the game that they describe.

    Args:
        view, commitment, needs, seed: see ``Representation``.
        memory: factor in [0, 1] by which the counts of the follower's actions fade from batch to batch; those of
            everything where the rewards without incentives change with the configuration.
        ramp: updates over which the leader phases in what its own configuration costs it. Without
            that cost it first learns to steer the follower, which it could not where not spending
            anything is a local optimum. 0 counts the cost from the start.

    Raises:
        InvalidArgumentError: a setting is out of range.
        UnsupportedGameError: a space is not finite, or the commitment configures a game that offers no lever; or the
            leader asks for more than values in a large game.
    """

    keeps: ClassVar[tuple[str, ...]] = ("counts", "starts", "updates", "sarsa", "random")

    def __init__(
        self,
        view: LeaderView,
        commitment: Commitment,
        needs: Needs,
        seed: int = 0,
        *,
        memory: float = 0.8,
        ramp: int = 0,
    ) -> None:
        super().__init__(view, commitment, needs, seed)
        if isinstance(ramp, bool) or not isinstance(ramp, int | np.integer) or ramp < 0:
            raise InvalidArgumentError(f"ramp={ramp!r}: expected an integer >= 0")
        if (needs.players or not needs.values) and is_large(view.sizes()):
            raise too_large(view.sizes())
        self.ramp, self.updates = ramp, 0
        self.counts: TabularEstimator = TabularEstimator(view, memory)
        if commitment.configuration() is not None:
            if view.lever is None:
                raise UnsupportedGameError("the commitment configures a game that offers no lever")
            self.counts = ConfiguredEstimator(view, view.lever, memory)
        self.acts = acting(commitment) is not None
        if view.lever is None:  # there is no cost of a configuration, and no belief to tell by it
            self.planning = tuple(name for name in self.planning if name not in ("cold_share", "belief"))
        self.starts: FloatArray = np.zeros(self.counts.shape[0])
        self._ledger: Ledger | None = None
        self.random = generator(seed, 7)
        self.sarsa: FloatArray | None = None if needs.sarsa is None else self.random.normal(size=self.counts.shape)

    reads: tuple[str, ...] = ("none", "policy", "values")
    planning: tuple[str, ...] = (
        "rate",
        "steps",
        "starts",
        "explore",
        "reach",
        "hold",
        "replan",
        "heat",
        "cold_share",
        "belief",
    )

    @classmethod
    def fits(cls, view: LeaderView, commitment: Commitment) -> bool:
        """Where all spaces are finite."""
        spaces = (view.state_space, view.leader_action_space, view.follower_action_space)
        return all(isinstance(space, gymnasium.spaces.Discrete) for space in spaces)

    @classmethod
    def settings(cls, view: LeaderView, needs: Needs) -> tuple[str, ...]:
        """``memory`` where the follower's policy is estimated or rewards go stale; ``ramp`` where there is a cost."""
        stale = view.lever is not None and not view.lever.constant_base
        memory = ("memory",) if stale or (needs.values and needs.reads == "none") else ()
        return (*memory, "ramp") if needs.values and view.lever is not None and view.lever.costs else memory

    @property
    def lever(self) -> ConfiguredEstimator | None:
        """The counts, where the leader configures the game."""
        return self.counts if isinstance(self.counts, ConfiguredEstimator) else None

    @property
    def share(self) -> float:
        """How much of what its own configuration costs it the leader counts by now."""
        return 1.0 if self.ramp == 0 else min(1.0, self.updates / self.ramp)

    @property
    def values_needed(self) -> bool:
        """Whether the follower's values count: not where the leader configures known rewards and does nothing else."""
        moves = self.view.lever is not None and self.view.lever.moves_transitions
        return self.needs.follower and (self.acts or moves)

    def observe(self, evidence: Evidence, commitment: Commitment) -> None:
        """Count a batch, and work out the critics at the commitment that was played."""
        batch = evidence.require_trajectories()
        asked = self.values_needed or self.needs.players or not self.needs.values
        if batch.follower_rewards is None and asked:
            raise InformationError("the follower's rewards are needed, and these trajectories do not hold them")
        if self.needs.sarsa is not None and self.sarsa is not None:
            sarsa(self.sarsa, batch, self.needs.sarsa, self.view.leader_discount, self.random)
        if self.lever is None:
            self.counts.observe(batch)
        else:
            configuration = commitment.configuration()
            assert configuration is not None
            self.lever.share = self.share
            self.lever.observe_under(batch, configuration)
        self.starts += np.bincount(batch.states[:, 0], minlength=len(self.starts))
        self.batch = batch
        self.once: dict[str, Any] = {}  # what does not depend on the commitment, for several ascent steps
        self.updates += 1
        if not self.needs.values:
            return
        with torch.no_grad():
            self.arrays = self.counts.arrays(np.asarray(commitment.probabilities().numpy()))
        self.response = self.counts.follower_policy() if self.needs.reads == "none" else evidence.require_table()
        if not self.needs.players:
            read = evidence.follower_values if self.needs.reads == "values" else None
            self.read = None if read is None else read.q
            self.pair = Pair(self.arrays, self.response)
            self.tables = self._critics(self.read)

    def _critics(self, follower_q: FloatArray | None) -> CriticTables:
        """Critics of both players at the commitment that was played, estimated but for what is read."""
        if follower_q is None and not self.values_needed:
            follower_q = np.zeros(self.counts.shape)  # nothing that follows reads the follower's values
        temperature = (self.view.temperature or 0.0) if self.needs.follower else 0.0
        tables = self.counts.tables(self.pair, temperature, follower_q)
        if self.needs.backup != STACKELBERG:
            return tables
        tried = self.counts.totals.sum(axis=2) > 0
        return replace(tables, leader_q=stackelberg_q(self.arrays, tables.response, tried))

    def replies(self) -> FloatArray:
        """How often every reply was seen in the last batch, ``[S, A, B]``."""
        return table_of(self.batch, np.ones(self.batch.leader_rewards.shape), self.counts.shape)

    def surprise(self, commitment: Commitment) -> Surprise:
        """See ``Representation.surprise``."""
        model, replies = self.fitted(), self.replies()

        def surprise(temperature: float) -> float:
            response = model.response(commitment, temperature)
            return -float((replies * np.log(np.maximum(response, np.finfo(np.float64).tiny))).sum())

        return Surprise(surprise)

    def retell(self, temperature: float) -> None:
        """See ``Representation.retell``."""
        super().retell(temperature)
        if hasattr(self, "tables"):  # a stored state holds no critics
            self.tables = self._critics(self.read)

    @property
    def probable(self) -> FloatArray:
        """The response over the replies that were ever seen, where any was: what others lead to is not known."""
        seen = self.counts.totals > 0
        if not self.view.follower_sees_action:
            seen = np.broadcast_to(seen.any(axis=1, keepdims=True), seen.shape)
        kept = np.where(seen, self.response, 0.0)
        total = kept.sum(axis=2, keepdims=True)
        return np.asarray(np.where(total > 0, kept / np.where(total > 0, total, 1.0), self.response))

    def widen(self, game: ConfigurableGame, *batches: Trajectories) -> None:
        """Ask the lever about the stages of batches that are not counted too, for a leader that is given the game."""
        assert self.lever is not None
        if self._ledger is None:
            self._ledger = game.ledger()
            self.lever.lever = require_lever(game.view(self.view.temperature, self._ledger).lever, self)
        assert self._ledger is not None
        for batch in batches:
            self._ledger.reveal(batch)
            self.lever.admit(batch)

    def at(self, commitment: Commitment) -> FiniteValues:
        """See ``Representation.at``; the critics are those of the commitment that was played."""
        return FiniteValues(self, commitment)

    def fitted(self) -> FiniteModel:
        """The game that the counts describe."""
        return FiniteModel.estimated(self.view, self.counts, self.starts)

"""The game that counts describe, for planners: observed frequencies and means, and the lever where there is one.

A reply that was never seen in a state is not expected there. Where the leader configures nothing but
the rewards of an endless game, the hypergradient comes from the adjoint in ``exact.adjoint``, and the follower
may plan with other transitions than are played; everywhere else it comes from automatic differentiation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.exact.adjoint import reward_weights
from stackelberg_games.exact.belief import Behaviour, confused, estimate_confusion
from stackelberg_games.exact.objective import best_response, leader_objective, leader_value
from stackelberg_games.exact.response import Arrays
from stackelberg_games.exact.soft_response import soft_response
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables, TabularGame
from stackelberg_games.kinds.kernel import Kernel, kernel
from stackelberg_games.representations.configured_counts import ConfiguredEstimator
from stackelberg_games.representations.counts import TabularEstimator
from stackelberg_games.representations.protocol import Fitted
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Lever, Stages, Terms
from stackelberg_games.rules.view import LeaderView

UNSEEN = -1e6
"""Follower reward of replies that were never seen, so that no temperature makes them likely."""

TRUSTED = 5.0
"""Observed replies in a state that count as much as the response that the estimate expects there."""


class KnownTerms:
    """The lever's terms at known stages, as the configuration of an estimated game.

    Attributes:
        base: the estimated game's tables without configuration; set once the game exists.
        share: part of the leader's own terms that counts, in [0, 1].
    """

    base: Tables

    def __init__(self, lever: Lever, known: Stages) -> None:
        self.lever, self.known, self.share = lever, known, 1.0
        cells = np.stack([np.asarray(part) for part in known[:3]])
        unique, first = np.unique(cells, axis=1, return_index=True)  # a reward is written once for all successors
        self.cell = tuple(torch.from_numpy(part) for part in unique)
        self.first = torch.from_numpy(first)
        self.full = tuple(torch.from_numpy(np.asarray(part)) for part in known)

    @property
    def cells(self) -> Stages:
        """One known stage of every known (s, a, b)."""
        return Stages(*(np.asarray(part)[self.first.numpy()] for part in self.known))

    def __call__(self, configuration: Tensor) -> Tables:
        """The estimated game's tables under a configuration."""
        terms = self.lever.terms(configuration, self.known)
        base = self.base
        leader, follower, transition = base.leader_reward, base.follower_reward, base.transition
        if terms.leader_reward is not None:
            leader = leader + torch.zeros_like(leader).index_put(
                self.cell, self.share * terms.leader_reward[self.first]
            )
        if terms.follower_reward is not None:
            follower = follower + torch.zeros_like(follower).index_put(self.cell, terms.follower_reward[self.first])
        if terms.log_transition is not None:
            moved = torch.zeros_like(transition).index_put(self.full, terms.log_transition.exp())
            total = moved.sum(dim=-1, keepdim=True)
            transition = torch.where(total > 0, moved / torch.where(total > 0, total, 1.0), transition)
        return Tables(transition, leader, follower)


class FiniteModel(Fitted):
    """A finite game and the terms that its leader's configuration adds to it.

    Args:
        view: what the leader knows of the game.
        game: the game, or an estimate of it.
        incentives: the terms, where the leader configures.
    """

    def __init__(self, view: LeaderView, game: TabularGame, incentives: KnownTerms | None) -> None:
        self.view, self.game, self.incentives = view, game, incentives
        self._believed: Kernel | None = None
        self._values: FloatArray | None = None
        self._arrays: Arrays | None = None

    @property
    def rewards_only(self) -> bool:
        """Whether the leader configures the rewards of an endless game, and nothing else."""
        lever = self.view.lever
        endless = lever is not None and not lever.moves_transitions and self.view.horizon is None
        return endless and self.game.leader_actions == 1

    @classmethod
    def estimated(cls, view: LeaderView, counts: TabularEstimator, starts: FloatArray) -> FiniteModel:
        """The game that was observed; unseen replies keep the state and are never worth making.

        Args:
            view: what the leader knows of the game.
            counts: what was observed.
            starts: how often every state was the first, ``[S]``.
        """
        visits, scale = counts.totals, 1.0 / counts.weights
        transition = counts.counted * scale[..., None]
        unseen = np.nonzero(visits == 0)
        transition[(*unseen, unseen[0])] = 1.0
        leader, follower = counts.leader_rewards * scale, counts.follower_rewards * scale
        follower = np.where((visits == 0) & (visits.sum(axis=2, keepdims=True) > 0), UNSEEN, follower)
        arrays = (transition, leader, follower, starts / starts.sum())
        settings: dict[str, Any] = {
            "leader_discount": view.leader_discount,
            "follower_discount": view.follower_discount,
            "horizon": view.horizon,
            "terminal": ~counts.alive,
            "follower_sees_action": view.follower_sees_action,
            "name": "estimate",
        }
        if not isinstance(counts, ConfiguredEstimator):
            return cls(view, TabularGame(*arrays, **settings), None)
        incentives = KnownTerms(counts.lever, counts.known)
        game = ConfigurableGame(*arrays, size=counts.configuration.numel(), configure=incentives, **settings)
        incentives.base = game.tables()
        return cls(view, game, incentives)

    def under(self, confusion: FloatArray) -> FiniteModel:
        """The same game, the follower planning as if its actions were confused; see ``exact.belief``.

        Raises:
            UnsupportedGameError: the leader does more than configure the rewards of an endless game.
        """
        other = object.__new__(FiniteModel)
        other.__dict__.update(self.__dict__)
        other._believed, other._values = kernel(confused(self.arrays.transition, confusion)), None
        return other

    @property
    def arrays(self) -> Arrays:
        """The game before any configuration, for a leader that configures its rewards only."""
        if not isinstance(self.game, ConfigurableGame) or not self.rewards_only:
            raise UnsupportedGameError("this needs an endless game whose leader configures rewards only")
        if self._arrays is None:
            self._arrays = Arrays.of(self.game, self.game.single(self.game.base))
        return self._arrays

    def objective(self, commitment: Commitment, temperature: float, share: float = 1.0) -> tuple[float, Tensor]:
        """See ``Fitted.objective``."""
        if self.rewards_only:
            return self._by_adjoint(commitment, temperature, share)
        if self.incentives is not None:
            self.incentives.share = share
        value = leader_objective(self.game, commitment, temperature)
        return float(value.detach()), value

    def _rewards(self, commitment: Commitment, share: float = 1.0) -> tuple[Arrays, Terms]:
        """The game under a configuration, and the terms that made it."""
        assert self.incentives is not None
        configuration, cells, arrays = commitment.configuration(), self.incentives.cells, self.arrays
        assert configuration is not None
        terms = self.incentives.lever.terms(configuration, cells)
        leader, follower = arrays.leader_reward.copy(), arrays.follower_reward.copy()
        for table, term, factor in ((leader, terms.leader_reward, share), (follower, terms.follower_reward, 1.0)):
            if term is not None:
                table[cells[:3]] += factor * term.detach().numpy()
        return replace(arrays, leader_reward=leader, follower_reward=follower), terms

    def _planned(self, game: Arrays) -> Arrays:
        return game if self._believed is None else replace(game, kernel=self._believed)

    def _by_adjoint(self, commitment: Commitment, temperature: float, share: float) -> tuple[float, Tensor]:
        game, terms = self._rewards(commitment, share)
        planned = self._planned(game)
        solved = soft_response(planned, temperature, self._values, tolerance=self.tolerance)
        self._values = solved.values
        other = None if self._believed is None else planned
        value, leader, follower = reward_weights(
            game, solved.policy, temperature, self.game.initial_distribution, other
        )
        assert self.incentives is not None
        cell, pull = self.incentives.cells[:3], torch.zeros((), dtype=torch.float64)
        for weights, term in ((share * leader, terms.leader_reward), (follower, terms.follower_reward)):
            if term is not None:
                pull = pull + torch.from_numpy(weights[cell]) @ term
        return value, pull

    def response(self, commitment: Commitment, temperature: float) -> FloatArray:
        """The follower's response, ``[S, A, B]``."""
        if not self.rewards_only:
            return best_response(self.game, commitment, temperature).policy
        with torch.no_grad():
            planned = self._planned(self._rewards(commitment)[0])
        return soft_response(planned, temperature, tolerance=self.tolerance).policy

    def judged(self, commitment: Commitment, temperature: float, replies: Any) -> float:
        """The value against a response in which the replies that were seen outweigh those that the estimate expects.

        So it also holds where the follower does not plan with the transitions that the leader observes.

        Args:
            commitment: whose value.
            temperature: tau > 0.
            replies: how often each was seen under it, ``[S, A, B]``; None where it was not played.
        """
        expected = self.response(commitment, temperature)
        seen = np.zeros_like(expected) if replies is None else replies
        if not self.view.follower_sees_action:
            seen = np.broadcast_to(seen.sum(axis=1, keepdims=True), seen.shape)
        weights = seen + TRUSTED * expected
        return leader_value(self.game, commitment, weights / weights.sum(axis=2, keepdims=True))

    def believe(
        self, played: list[tuple[Commitment, FloatArray]], temperature: float, last: FloatArray | None
    ) -> FloatArray:
        """What the follower believes of the transitions, from its replies under commitments; see ``exact.belief``."""
        behaviours = []
        for commitment, replies in played:
            with torch.no_grad():
                behaviours.append(Behaviour(self._rewards(commitment)[0].follower_reward, replies))
        return estimate_confusion(self.arrays, temperature, behaviours, last)

"""Configurable MDPs: finite games in which the leader acts once, by configuring the follower's MDP.

Such a game is a Markov game whose leader has a single action, and a configuration x on which
rewards and transitions depend.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.parametrisation import Parametrisation, Plain
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.kinds.chain import accumulate, leader_chain
from stackelberg_games.kinds.finite import Model, Tables, TabularGame
from stackelberg_games.kinds.levers import TabularLever
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.numerics.sampling import Sampler, check_probabilities
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView


class ConfigurableGame(TabularGame):
    """A finite MDP of the follower that the leader configures.

    Args:
        transition: ``[S, B, S]``, before any configuration.
        leader_reward: ``[S, B]``, likewise.
        follower_reward: ``[S, B]``, likewise.
        initial: ``[S]``.
        size: C, how many numbers configure the game.
        configure: differentiable, from x ``[C]`` to ``Tables`` of shapes ``[S, 1, B, S]`` and
            ``[S, 1, B]``. A table that does not depend on x should be returned as it stands in
            ``game.base``.
        parametrisation: the one suggested to leaders; ``Plain`` if not given. Its range is the space of
            configurations.
        spread: standard deviation of the standard first parameters around zero.
        constant_base: see ``Lever``.
        settings: what else ``TabularGame`` takes.

    Raises:
        InvalidGameError: see ``TabularGame``; or ``size`` or ``spread`` is out of range.
    """

    def __init__(
        self,
        transition: ArrayLike,
        leader_reward: ArrayLike,
        follower_reward: ArrayLike,
        initial: ArrayLike,
        *,
        size: int,
        configure: Callable[[Tensor], Tables],
        parametrisation: Parametrisation | None = None,
        spread: float = 0.01,
        constant_base: bool = True,
        **settings: Any,
    ) -> None:
        if size < 1 or not spread >= 0:
            raise InvalidGameError(f"size={size!r}, spread={spread!r}: expected >= 1 and >= 0")
        transition, leader_reward, follower_reward = (
            np.asarray(table, dtype=np.float64)[:, None] for table in (transition, leader_reward, follower_reward)
        )
        super().__init__(transition, leader_reward, follower_reward, initial, configure=configure, **settings)
        self.size, self.spread, self.constant_base = int(size), float(spread), constant_base
        self.parametrisation = Plain() if parametrisation is None else parametrisation
        self.configuration_space = self.parametrisation.space(self.size)

    @property
    def base(self) -> Tables:
        """The tables before any configuration, float64 tensors without gradient."""
        return self._tables

    def commitment(self, seed: int = 0, spread: float | None = None) -> Configuration:
        """A first commitment in the suggested parametrisation.

        Args:
            seed: of the parameters, drawn from N(0, spread^2).
            spread: the game's own if not given.
        """
        count = self.parametrisation.parameter_count(self.size)
        scale = self.spread if spread is None else spread
        draws = scale * generator(seed, 5).standard_normal(count)
        return Configuration(draws, self.parametrisation, states=self.states)

    def view(self, temperature: float | None = None) -> LeaderView:
        """What a leader is told, its lever included."""
        view = super().view(temperature)
        if self.configure is None:
            return view
        lever = TabularLever(self.configure, self.base, self.commitment, constant_base=self.constant_base)
        return dataclasses.replace(view, lever=lever)

    def _check(self, tables: Tables) -> None:
        """A transition that is the game's own is not checked again."""
        if tables.transition is not self.base.transition:
            super()._check(tables)
            return
        for name, table, own in zip(Tables._fields[1:], tables[1:], self.base[1:], strict=True):
            if table.shape != own.shape or not np.isfinite(table.detach().numpy()).all():
                raise InvalidGameError(f"configure: {name} is not a finite table of shape {tuple(own.shape)}")

    def follower_tables(self, configuration: Tensor) -> Tables:
        """What the follower faces under a configuration: its reward and the transition; rely on no more."""
        return self.tables(configuration)

    def under(self, commitment: Commitment) -> Sampler:
        """Sampling tables under a commitment; successors are kept where they do not change."""
        configuration = commitment.configuration()
        if configuration is None:
            return self.sampler
        tables = self.tables(configuration)
        arrays = [np.ascontiguousarray(table.detach().numpy()) for table in tables]
        if tables.transition is not self.base.transition:
            return self._prepare(*arrays)
        return self.sampler._replace(leader_reward=arrays[1].ravel(), follower_reward=arrays[2].ravel())

    def starting_from(self, initial: ArrayLike) -> ConfigurableGame:
        """The game with other first states, for estimators that may start episodes anywhere.

        Raises:
            InvalidGameError: ``initial`` is not a distribution over the states.
        """
        other = copy.copy(self)
        other.initial_distribution = np.asarray(initial, dtype=np.float64)
        check_probabilities("initial", other.initial_distribution)
        other.initial_tensor = torch.tensor(other.initial_distribution)
        other._sampler = None
        return other

    def objective(self, configuration: Tensor, response: Tensor) -> Tensor:
        """The leader's objective f(x, g), differentiable in both, a scalar tensor.

        Args:
            configuration: x, ``[C]``.
            response: g, ``[S, 1, B]``; its rows need not be normalised.
        """
        chain, reward = leader_chain(self, self.single(self.tables(configuration)), response)
        return self.initial_tensor @ accumulate(self, chain, reward, None, None)

    def single(self, tables: Tables) -> Model:
        """The model in which the leader plays its only action."""
        return Model(torch.ones(self.states, 1, dtype=torch.float64), *tables)

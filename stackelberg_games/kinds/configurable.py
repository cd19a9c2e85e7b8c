"""Finite games that the leader configures once an episode; it may also act at every stage.

A configurable MDP is such a game whose leader has a single action: all it decides is a configuration x
on which rewards and transitions depend.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.parametrisation import Parametrisation, Plain
from stackelberg_games.commitments.space import check_inside
from stackelberg_games.commitments.tabular import Sizes, TabularPolicy
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.kinds.chain import accumulate, leader_chain
from stackelberg_games.kinds.finite import Model, Tables, TabularGame
from stackelberg_games.kinds.kernel import DenseKernel
from stackelberg_games.kinds.levers import FiniteLedger, TabularLever
from stackelberg_games.kinds.lists import check_listed
from stackelberg_games.kinds.reading import frozen, with_leader
from stackelberg_games.kinds.successors import SuccessorLists
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.numerics.sampling import Sampler, check_probabilities
from stackelberg_games.numerics.threads import in_own_modes
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Ledger
from stackelberg_games.rules.view import LeaderView
from stackelberg_games.settings import checked


class Slopes(NamedTuple):
    """The leader's objective and derivatives in arrays, of a game whose follower's rewards alone are configured.

    Attributes:
        objective: f(x, g).
        configuration: df/dx, ``[C]``.
        response: df/dg, ``[S, 1, B]``.
        rewards: from weights ``[S, B]`` to the derivative in x of their sum with the follower's rewards, ``[C]``.
    """

    objective: float
    configuration: FloatArray
    response: FloatArray
    rewards: Callable[[FloatArray], FloatArray]


def _of_kind(returned: Any) -> Tables:
    """What ``configure`` returned, which may be anything, as tables of tensors in double precision."""
    if not isinstance(returned, tuple) or len(returned) != len(Tables._fields):
        raise InvalidGameError(f"configure returned {checks.shown(returned)}: expected Tables of three tensors")
    for name, table in zip(Tables._fields, returned, strict=True):
        if not isinstance(table, Tensor) or table.dtype != torch.float64:
            kind = f"of {table.dtype}" if isinstance(table, Tensor) else f"of type {type(table).__name__}"
            raise InvalidGameError(f"configure: {name} is {kind}, not a tensor of torch.float64")
    return Tables(*returned)


class ConfigurableGame(TabularGame):
    """A finite game that the leader configures.

    Examples:
        >>> import torch
        >>> import stackelberg_games as sg
        >>> def configure(x):  # the leader pays x for the second action
        ...     paid = torch.stack([torch.zeros_like(x[0]), x[0]])[None, None]
        ...     return sg.Tables(
        ...         game.base.transition,
        ...         game.base.leader_reward - paid,
        ...         game.base.follower_reward + paid,
        ...     )
        >>> game = sg.ConfigurableGame(
        ...     transition=[[[1.0], [1.0]]],
        ...     leader_reward=[[0.0, 3.0]],
        ...     follower_reward=[[1.0, 0.0]],
        ...     initial=[1.0],
        ...     size=1,
        ...     configure=configure,
        ...     parametrisation=sg.Bounded(0.0, 2.0),
        ...     horizon=1,
        ... )
        >>> best = sg.exact.solve(game, temperature=0.1)
        >>> print(f"pays {best.commitment.configuration().item():.2f} and is paid {best.value:.2f}")
        pays 1.28 and is paid 1.62

    Args:
        transition: before any configuration; ``[S, B, S]`` for a leader that does nothing else, or
            ``[S, A, B, S]`` for one that also acts at every stage; ``from_successors`` takes lists.
        leader_reward: ``[S, B]`` or ``[S, A, B]``, likewise.
        follower_reward: ``[S, B]`` or ``[S, A, B]``, likewise.
        initial: ``[S]``.
        size: C, how many numbers configure the game.
        configure: differentiable, from x ``[C]`` to ``Tables`` of shapes ``[S, A, B, S]`` and
            ``[S, A, B]``, with A = 1 for a leader that only configures; in a game given as lists the
            transition is one probability for each successor listed. A table that does not depend on
            x should be returned as it stands in ``game.base``.
        parametrisation: the one suggested to leaders; ``Plain`` if not given. Its range is the space of
            configurations.
        spread: standard deviation of the standard first parameters around zero.
        constant_base: see ``Lever``.
        settings: what else ``TabularGame`` takes.

    Raises:
        InvalidGameError: see ``TabularGame``; or ``size`` or ``spread`` is out of range.

    Attributes:
        objective_is_own: whether ``objective`` is all that the leader is paid for, in the place of rewards of stages.
    """

    objective_is_own: bool = False
    _found: tuple[Any, Tables] | None = None

    @in_own_modes
    @checked
    def __init__(
        self,
        transition: ArrayLike | SuccessorLists,
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
        checks.integer("size", size, 1, error=InvalidGameError)
        checks.number("spread", spread, 0, error=InvalidGameError)
        if not isinstance(transition, SuccessorLists):
            transition = with_leader("transition", transition, 3)
        leader_reward = with_leader("leader_reward", leader_reward, 2)
        follower_reward = with_leader("follower_reward", follower_reward, 2)
        super().__init__(transition, leader_reward, follower_reward, initial, **settings)
        self.configure: Callable[[Tensor], Tables] | None = configure
        self.size, self.spread, self.constant_base = int(size), float(spread), constant_base
        self.parametrisation = Plain() if parametrisation is None else parametrisation
        self.configuration_space = self.parametrisation.space(self.size)
        self.idle_action = 0 if self.leader_actions == 1 else None

    def _hold(self, tables: Tables) -> None:
        super()._hold(tables)
        self._found = None

    @property
    def base(self) -> Tables:
        """The tables before any configuration, float64 tensors without gradient."""
        return self._tables

    def commitment(self, seed: int = 0, spread: float | None = None) -> Configuration:
        """A first commitment in the suggested parametrisation, with the uniform policy where the leader acts.

        Args:
            seed: of the parameters, drawn from N(0, spread^2).
            spread: the game's own if not given.
        """
        count = self.parametrisation.parameter_count(self.size)
        scale = self.spread if spread is None else spread
        draws = scale * generator(seed, 5).standard_normal(count)
        sizes = Sizes(self.states, self.leader_actions, self.observations)
        policy = TabularPolicy(sizes) if self.idle_action is None else None
        return Configuration(draws, self.parametrisation, policy, self.states)

    def view(self, temperature: float | None = None, ledger: Ledger | None = None) -> LeaderView:
        """What a leader is told, its lever included."""
        view = super().view(temperature, ledger)
        if self.configure is None:
            return view
        lists = self.lists
        lever = TabularLever(
            self._decides,
            self.base,
            self.commitment,
            ledger,
            lists=lists,
            constant_base=self.constant_base,
            pulled=self.pulled,
        )
        return dataclasses.replace(view, lever=lever)

    def ledger(self) -> Ledger | None:
        """A record of the stages played, for whoever plays; None once the game is fixed."""
        if self.configure is None:
            return None
        return FiniteLedger((self.states, self.leader_actions, self.follower_actions, self.states), self.lists)

    def tables(self, configuration: Tensor | None = None) -> Tables:
        """Transition and rewards under a configuration (None: before any).

        Raises:
            InvalidGameError: the game is fixed already, or ``configure`` returned invalid tables.
            InvalidArgumentError: the configuration is not in the game's space.
        """
        if configuration is None or self.configure is None:
            return super().tables(configuration)
        still = self.lists is None and isinstance(configuration, Tensor) and not configuration.requires_grad
        key = (configuration.dtype, configuration.shape, configuration.numpy().tobytes()) if still else None
        if still and self._found is not None and self._found[0] == key:
            return self._found[1]
        check_inside(self.configuration_space, configuration)
        tables = self._checked(_of_kind(self.configure(configuration)))
        if still and tables.transition is self.base.transition:  # the follower answers to what is then played
            self._found = key, tables
        return tables

    def _decides(self, configuration: Tensor) -> Tables:
        """What ``configure`` gives; as it is kept already where nothing is differentiated."""
        assert self.configure is not None
        return _of_kind(self.configure(configuration)) if configuration.requires_grad else self.tables(configuration)

    def _checked(self, tables: Tables) -> Tables:
        """Tables by their shapes and numbers; a transition that is the game's own is not looked at again."""
        for name, table, base in zip(Tables._fields, tables, self.base, strict=True):
            if table is self.base.transition:
                continue
            if table.shape != base.shape or not np.isfinite(table.detach().numpy()).all():
                raise InvalidGameError(f"configure: {name} is not a finite table of shape {tuple(base.shape)}")
        if tables.transition is not self.base.transition:
            probabilities = tables.transition.detach().numpy()
            if self.lists is None:
                check_probabilities("configured transition", probabilities)
            else:
                check_listed("configured transition", self.lists.with_probability(probabilities))
        return tables

    def configured(self, configuration: Tensor) -> ConfigurableGame:
        """The game with its tables fixed under a configuration; it cannot be configured again.

        Raises:
            InvalidGameError: see ``tables``.
        """
        found = self.tables(configuration)
        own = found.transition is self.base.transition
        tables = Tables(*(table if table is self.base.transition else table.detach().clone() for table in found))
        fixed = copy.copy(self)
        if not own:
            chances = frozen("transition", tables.transition.numpy(), tables.transition.dim())
            fixed.kernel = DenseKernel(chances) if self.lists is None else self.lists.with_probability(chances)
        fixed.leader_reward, fixed.follower_reward = (
            frozen(name, table.numpy(), 3) for name, table in zip(Tables._fields[1:], tables[1:], strict=True)
        )
        fixed._hold(tables)
        fixed._own_kernel = self._own_kernel if own else None
        fixed.configure = fixed.configuration_space = fixed.idle_action = None
        return fixed

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
        other._hold(self._tables)
        return other

    def objective(self, configuration: Tensor, response: Tensor) -> Tensor:
        """The leader's objective f(x, g), differentiable in both, a scalar tensor; for a leader that only configures.

        Args:
            configuration: x, ``[C]``.
            response: g, ``[S, 1, B]``; its rows need not be normalised.
        """
        model = self.single(self.tables(configuration))
        chain, reward = leader_chain(model, response, self.alive_tensor, self.lists)
        return self.initial_tensor @ accumulate(self, chain, reward, None, None)

    def slopes(self, configuration: FloatArray, response: FloatArray) -> Slopes | None:
        """f(x, g) and its derivatives where a game writes them down, which spares automatic differentiation; else None.

        ``check_game`` holds them against automatic differentiation of ``objective`` and ``follower_tables``.

        Args:
            configuration: x, ``[C]``.
            response: g, ``[S, 1, B]``; its rows need not be normalised.
        """
        return None

    def pulled(self, leader: FloatArray, follower: FloatArray) -> FloatArray | None:
        """The derivative in x of both players' rewards, summed with weights ``[S, A, B]``, ``[C]``; None where it is not written down.

        A game writes it down beside ``configure`` where that is linear in x, which spares automatic differentiation, against
        which ``check_game`` holds it.
        """
        return None

    def single(self, tables: Tables) -> Model:
        """The model in which the leader plays its only action."""
        return Model(torch.ones(self.states, 1, dtype=torch.float64), *tables)

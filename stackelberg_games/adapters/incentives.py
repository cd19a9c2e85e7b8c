"""``incentives``: a Gymnasium environment becomes a game in which the leader pays its agent."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.adapters.aec import AECGame, check_temperature
from stackelberg_games.adapters.payments import Payments, Schedule, described, payments_of
from stackelberg_games.adapters.sides import Sides
from stackelberg_games.adapters.single import Paying, Transition, Worth, worth_of
from stackelberg_games.adapters.sources import Source, describe, gymnasium_source, imported, version_of
from stackelberg_games.adapters.spaces import Moves, Sight
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables
from stackelberg_games.kinds.game import Game
from stackelberg_games.kinds.gymnasium_tables import GymnasiumTables, TableEntry, has_tables, read_tables
from stackelberg_games.kinds.levers import FiniteLedger, ObservedLedger, ObservedLever
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.rules.lever import Ledger, Stages, Terms
from stackelberg_games.rules.view import LeaderView
from stackelberg_games.settings import checked

INCENTIVES = "stackelberg_games:incentives"
"""The factory that a game is made again with."""

_LARGEST = 4_000_000  # entries of a ledger's table


@checked
def incentives(
    source: Any,
    payments: Payments | Mapping[str, Any] | str,
    objective: Worth | str,
    *,
    cost: float = 1.0,
    exact: bool | None = None,
    leader_discount: float = 0.99,
    follower_discount: float = 0.99,
    horizon: int | None = None,
    temperature: float | None = None,
) -> Game:
    """Make a game of a Gymnasium environment: the follower is its agent, and the leader pays it.

    The leader chooses the payments r_x(s, b) once an episode; they are added to the agent's reward. It is paid its
    objective less what it pays. It knows its payments, so that the leaders of configured games learn from trajectories.

    Examples:
        >>> import stackelberg_games as sg
        >>> lake = sg.incentives(
        ...     "FrozenLake-v1", {"kind": "table", "on": "state", "limit": 0.1}, "reward", cost=0.1
        ... )
        >>> lake.commitment().configuration().shape, lake.horizon
        (torch.Size([16]), 100)

    Args:
        source: a factory; an id of Gymnasium or ``"module:attribute"``, alone or as ``id`` in a dict with the factory's
            settings; or an environment, which is copied and only trains.
        payments: a form of payments (``TablePayments``, ``NetworkPayments``, ``FunctionPayments``), or a dict such as
            ``{"kind": "table", "limit": 1.0}``.
        objective: what a step is worth to the leader, a function of a ``Transition``, or its ``"module:attribute"``;
            ``"reward"`` for the agent's own reward.
        cost: what a paid unit costs the leader, >= 0.
        exact: whether the game is made of the environment's dictionary ``P`` (FrozenLake, CliffWalking, Taxi), and so has
            an exact optimum; None for where that can be. The objective is then asked with the info ``{"prob": p}``.
        leader_discount: in [0, 1).
        follower_discount: likewise.
        horizon: stages after which episodes are truncated; the environment's own limit if not given.
        temperature: of whoever plays the agent, which leaders are told where it declares none itself.

    Raises:
        InvalidArgumentError: an argument is none of its kind or out of range.
        InvalidGameError: the environment cannot be played, or a number is out of range.
        UnsupportedGameError: a space is of a kind that cannot be played, or ``exact`` and there is no dictionary ``P``.
    """
    known = locals()
    made, form, worth = gymnasium_source(source), payments_of(payments), objective_of(objective)
    if isinstance(cost, bool) or not isinstance(cost, int | float) or not 0 <= cost < float("inf"):
        raise InvalidArgumentError(f"cost={checks.shown(cost)}: expected a number >= 0")
    env = made.make()
    spec = _spec(made, form, objective, {name: known[name] for name in _NUMBERS})
    wanted = has_tables(env) if exact is None else exact
    discounts = {"leader_discount": leader_discount, "follower_discount": follower_discount}
    if wanted:
        game: Game = PaidTables(read_tables(env), form, worth, cost, horizon=horizon, **discounts)
        game.follower_temperature = check_temperature(temperature)
    else:
        game = PaidGame(made, form, worth, cost, horizon=horizon, temperature=temperature, **discounts)
    env.close()
    game.spec, game.lasting = spec, spec is not None
    return game


_NUMBERS = ("cost", "exact", "leader_discount", "follower_discount", "horizon", "temperature")


def objective_of(given: Worth | str) -> Worth:
    """An objective as users write it: a function, its ``"module:attribute"``, or ``"reward"``.

    Raises:
        InvalidArgumentError: it is nothing of the kind.
    """
    if given == "reward":
        return own_reward
    found = imported(given, "objective") if isinstance(given, str) else given
    if not callable(found):
        raise InvalidArgumentError(f"objective={checks.shown(given)}: expected a function of a Transition, or 'reward'")
    return found


def own_reward(done: Transition) -> float:
    """The reward of the environment's agent."""
    return done.reward


def _spec(made: Source, form: Payments, objective: Any, numbers: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """How another process makes the game; None where it cannot."""
    facts = {
        "source": made.description,
        "payments": described(form),
        "objective": objective if isinstance(objective, str) else describe(objective),
    }
    if any(fact is None for fact in facts.values()):
        return None
    return INCENTIVES, {**facts, **{name: value for name, value in numbers.items() if value is not None}}


def _first(schedule: Schedule, seed: int, spread: float | None, states: int) -> Configuration:
    """A first commitment to payments, its parameters drawn around zero."""
    draws = generator(seed, 5).standard_normal(schedule.parametrisation.parameter_count(schedule.size))
    scale = schedule.deviations if spread is None else spread
    return Configuration(scale * draws, schedule.parametrisation, states=states)


class PaidTables(ConfigurableGame):
    """A Gymnasium environment that lists its transitions, and whose agent the leader pays; see ``incentives``.

    Args:
        read: its tables.
        form: of the payments.
        objective: of the leader.
        cost: what a paid unit costs it.
        settings: what else ``ConfigurableGame`` takes.
    """

    def __init__(self, read: GymnasiumTables, form: Payments, objective: Worth, cost: float, **settings: Any) -> None:
        states, actions = read.reward.shape
        self.schedule = form.schedule(spaces.Discrete(states), spaces.Discrete(actions))
        self._cells = tuple(part.ravel() for part in np.indices((states, actions)))
        self._cost = float(cost)

        def value(outcome: TableEntry) -> float:
            s, b, p, following, reward, over = outcome
            return worth_of(objective, Transition(s, b, reward, following, over, False, {"prob": p}))

        horizon = settings.pop("horizon")
        super().__init__(
            read.lists,
            read.expected(value),
            read.reward,
            read.initial,
            size=self.schedule.size,
            configure=self._pay,
            parametrisation=self.schedule.parametrisation,
            horizon=read.horizon if horizon is None else horizon,
            terminal=read.terminal,
            name=read.name,
            **settings,
        )

    def _pay(self, x: Tensor) -> Tables:
        base = self.base
        paid = self.schedule.pay(x, *self._cells).reshape(base.leader_reward.shape)
        return Tables(base.transition, base.leader_reward - self._cost * paid, base.follower_reward + paid)

    def commitment(self, seed: int = 0, spread: float | None = None) -> Configuration:
        """A first commitment.

        Args:
            seed: of the parameters, drawn around zero.
            spread: their deviation; that of the form of payments if not given.
        """
        return _first(self.schedule, seed, spread, self.states)


class PaidGame(AECGame):
    """A Gymnasium environment whose agent the leader pays, played as it is; see ``incentives``.

    Args:
        source: of the environment.
        form: of the payments.
        objective: of the leader.
        cost: what a paid unit costs it.
        settings: what else ``AECGame`` takes.
    """

    def __init__(self, source: Source, form: Payments, objective: Worth, cost: float, **settings: Any) -> None:
        env = source.make()
        sight, moves = Sight("agent", env.observation_space), Moves("agent", env.action_space)
        finite = isinstance(sight.own, spaces.Discrete)
        states = spaces.Discrete(int(sight.own.n)) if finite else sight.flat  # type: ignore[attr-defined]
        self.schedule, self.cost = form.schedule(states, moves.space), float(cost)
        first = int(sight.own.start) if finite else 0  # type: ignore[attr-defined]
        payment = Payment(self.schedule, sight, moves, first if finite else None)
        self._maker = self._beside(source, objective, payment)
        env.close()
        sides = Sides(follower_sees_action=False)
        self.parametrisation = self.schedule.parametrisation
        super().__init__(Source(self._maker), sides, **settings)
        self.configuration_space, self.idle_action = self.parametrisation.space(self.schedule.size), 0
        self.version = version_of(env)
        if self.horizon is None and env.spec is not None:
            self.horizon = env.spec.max_episode_steps

    def _beside(self, source: Source, objective: Worth, payment: Payment) -> Any:
        """Makes the environment with the leader beside its agent; has an ``opening``, see ``Paying``."""
        return _Maker(source, objective, payment, self.cost)

    @property
    def facts(self) -> dict[str, str]:
        """What ``AECGame`` says, and who pays whom."""
        payments = f"{self.schedule.size} numbers, chosen once an episode, in {self.configuration_space}"
        sees = "what the environment shows its agent; payments are part of its reward"
        return {
            **super().facts,
            "follower sees": sees,
            "payments": payments,
            "cost": f"{self.cost:g} for every paid unit",
        }

    def behind(self, **settings: Any) -> Any:
        """The environment with a leader whose opening move is the configuration of its payments."""
        return dataclasses.replace(self._maker, opening=self.configuration_space)(**settings)

    def commitment(self, seed: int = 0, spread: float | None = None) -> Configuration:
        """A first commitment.

        Args:
            seed: of the parameters, drawn around zero.
            spread: their deviation; that of the form of payments if not given.
        """
        states = int(self.state_space.n) if isinstance(self.state_space, spaces.Discrete) else 1
        return _first(self.schedule, seed, spread, states)

    def charged(self, configuration: FloatArray, observations: Any, actions: Any) -> FloatArray:
        """What a configuration pays the agent, ``[K]``, for what a learner remembers.

        Args:
            configuration: ``[C]``.
            observations, actions: as the learner knows them, ``[K, ...]``.
        """
        rows, shown = np.asarray(observations), self.shown_space
        states = rows - int(shown.start) if isinstance(shown, spaces.Discrete) else rows.reshape(len(rows), -1)
        with torch.no_grad():
            return np.asarray(self.schedule.pay(torch.from_numpy(configuration), states, actions).numpy())

    def ledger(self) -> Ledger:
        """A record of the stages played, for whoever plays."""
        sizes = [
            space.n for space in (self.state_space, self.follower_action_space) if isinstance(space, spaces.Discrete)
        ]
        if len(sizes) == 2 and sizes[0] ** 2 * sizes[1] <= _LARGEST:
            return FiniteLedger((int(sizes[0]), 1, int(sizes[1]), int(sizes[0])))
        return ObservedLedger()

    def view(self, temperature: float | None = None, ledger: Ledger | None = None) -> LeaderView:
        """What a leader is told, its lever included."""
        lever = ObservedLever(self._terms, self.commitment, ledger, moves_transitions=False)
        view = super().view(temperature, ledger)
        return dataclasses.replace(view, follower_action_space=self.follower_action_space, lever=lever)

    def _terms(self, configuration: Tensor, stages: Stages) -> Terms:
        """What the payments of a configuration add to both rewards."""
        paid = self.schedule.pay(configuration, np.asarray(stages.states), np.asarray(stages.follower_actions))
        return Terms(None, -self.cost * paid, paid, None)


@dataclasses.dataclass(frozen=True)
class Payment:
    """The payment of one step, from the environment's own observation and action."""

    schedule: Schedule
    sight: Sight
    moves: Moves
    first: int | None

    def __call__(self, configuration: Any, observation: Any, action: Any) -> float:
        """What is paid."""
        state = self.sight.vector(observation) if self.first is None else int(observation) - self.first
        code = self.moves.encode(action)
        with torch.no_grad():
            return float(self.schedule.pay(torch.from_numpy(configuration), np.stack([state]), np.stack([code]))[0])


@dataclasses.dataclass(frozen=True)
class _Maker:
    """Makes the environment with somebody who pays beside its agent."""

    source: Source
    objective: Worth
    payment: Payment
    cost: float
    opening: Any = None

    def __call__(self, **settings: Any) -> Paying:
        return Paying(self.source.make(**settings), self.objective, self.payment, self.cost, self.opening)

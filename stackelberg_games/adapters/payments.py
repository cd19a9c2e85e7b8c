"""What a leader pays: functions of state and action with parameters that it chooses.

A payment r_x(s, b) is differentiable in the numbers x that configure it, and the leader knows it: that is its lever.

Examples:
    >>> import stackelberg_games as sg
    >>> from stackelberg_games.adapters.payments import FunctionPayments
    >>> def proportional(x, states, actions):
    ...     return x[0] * actions
    >>> paid = sg.incentives(
    ...     "FrozenLake-v1",
    ...     FunctionPayments(proportional, size=1, low=0.0, high=1.0),
    ...     "reward",
    ...     exact=False,
    ... )
    >>> paid.facts["payments"]
    '1 numbers, chosen once an episode, in Box(0.0, 1.0, (1,), float64)'
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.adapters.sources import describe, imported
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.parametrisation import Bounded, Budgeted, Parametrisation, Plain
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.rules.features import Features
from stackelberg_games.settings import check_fields, of_kind

Pay = Callable[[Tensor, Any, Any], Tensor]
"""From a configuration ``[C]``, states ``[K, ...]`` and actions ``[K, ...]`` to payments ``[K]``, differentiable."""


@dataclass(frozen=True)
class Schedule:
    """Payments in a particular environment.

    Attributes:
        size: C, how many numbers configure them.
        pay: the payments.
        parametrisation: of the numbers, with their bounds or their budget.
        deviations: of the standard first parameters around zero, ``[P]``, or one for all.
    """

    size: int
    pay: Pay
    parametrisation: Parametrisation
    deviations: FloatArray | float


class Payments(ABC):
    """A form of payments."""

    @abstractmethod
    def schedule(self, states: gymnasium.Space[Any], actions: gymnasium.Space[Any]) -> Schedule:
        """The payments in an environment.

        Args:
            states: as they are recorded, Discrete or a flat Box.
            actions: likewise.

        Raises:
            UnsupportedGameError: the form needs other spaces.
        """


@dataclass(frozen=True)
class TablePayments(Payments):
    """One number for each action, state, or pair of both.

    Args:
        on: what is told apart: ``"state_action"``, ``"state"`` or ``"action"``.
        limit: largest payment, > 0; payments lie between 0 and it.
        budget: largest sum of all numbers, >= 0, in place of ``limit``.

    Raises:
        InvalidArgumentError: no such ``on``, or a number is out of range.
    """

    on: Literal["state_action", "state", "action"] = "state_action"
    limit: float = 1.0
    budget: float | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        _check_range(0.0, self.limit)

    def schedule(self, states: gymnasium.Space[Any], actions: gymnasium.Space[Any]) -> Schedule:
        """See ``Payments.schedule``."""
        needed = {"state": (states,), "action": (actions,), "state_action": (states, actions)}[self.on]
        for space in needed:
            if not isinstance(space, spaces.Discrete):
                raise UnsupportedGameError(
                    f"payments by table on {self.on!r} need finitely many: {space} is none; pay by 'action', or by a "
                    "network or a function"
                )
        counts = [int(space.n) for space in needed]  # type: ignore[attr-defined]

        def pay(x: Tensor, at: Any, moves: Any) -> Tensor:
            index = {"state": at, "action": moves}.get(self.on)
            if index is None:
                index = np.asarray(at) * counts[1] + np.asarray(moves)
            return x[torch.from_numpy(np.asarray(index, dtype=np.int64))]

        bound = Bounded(0.0, self.limit) if self.budget is None else Budgeted(self.budget)
        return Schedule(int(np.prod(counts)), pay, bound, 0.01)


@dataclass(frozen=True)
class FunctionPayments(Payments):
    """A function of one's own.

    Args:
        function: differentiable, from x ``[C]``, states ``[K, ...]`` and actions ``[K, ...]`` (arrays) to payments ``[K]``.
        size: C >= 1.
        low: bound on the entries of x; None for none.
        high: likewise, from above.
        spread: deviation of the first parameters around zero.
    """

    function: Pay
    size: int
    low: float | None = None
    high: float | None = None
    spread: float = 0.01

    def __post_init__(self) -> None:
        check_fields(self)
        checks.integer("size", self.size, 1)
        checks.number("spread", self.spread, 0)
        if (self.low is None) != (self.high is None):
            raise InvalidArgumentError(
                f"low={checks.shown(self.low)}, high={checks.shown(self.high)}: expected both bounds, or none"
            )

    def schedule(self, states: gymnasium.Space[Any], actions: gymnasium.Space[Any]) -> Schedule:
        """See ``Payments.schedule``."""
        bound = Plain() if self.low is None or self.high is None else Bounded(self.low, self.high)
        return Schedule(self.size, self.function, bound, self.spread)


@dataclass(frozen=True)
class NetworkPayments(Payments):
    """A perceptron with tanh units on state and action, squashed between two bounds.

    Args:
        hidden: widths of its hidden layers.
        low: bound on a payment.
        high: likewise, from above; > low.
        spread: deviation of the first weights of the last layer; the others are scaled by their inputs.
    """

    hidden: Sequence[int] = (32,)
    low: float = 0.0
    high: float = 1.0
    spread: float = 0.01

    def __post_init__(self) -> None:
        check_fields(self)
        _check_range(self.low, self.high)
        for width in self.hidden:
            checks.integer("hidden", width, 1)
        checks.number("spread", self.spread, 0)

    def schedule(self, states: gymnasium.Space[Any], actions: gymnasium.Space[Any]) -> Schedule:
        """See ``Payments.schedule``."""
        seen, played = Features(states), Features(actions)
        widths = [seen.size + played.size, *self.hidden, 1]
        shapes = list(itertools.pairwise(widths))
        deviations = [
            np.full((inputs + 1) * outputs, self.spread if k == len(shapes) - 1 else inputs**-0.5)
            for k, (inputs, outputs) in enumerate(shapes)
        ]

        def pay(x: Tensor, at: Any, moves: Any) -> Tensor:
            rows = np.concatenate([seen(at) / seen.scale, played(moves) / played.scale], axis=-1)
            out, start = torch.from_numpy(rows), 0
            for k, (inputs, outputs) in enumerate(shapes):
                end = start + inputs * outputs
                out = out @ x[start:end].view(inputs, outputs) + x[end : end + outputs]
                out, start = out if k == len(shapes) - 1 else torch.tanh(out), end + outputs
            return self.low + (self.high - self.low) * torch.sigmoid(out[:, 0])

        return Schedule(sum(map(len, deviations)), pay, Plain(), np.concatenate(deviations))


KINDS: Mapping[str, type[Payments]] = {
    "table": TablePayments,
    "network": NetworkPayments,
    "function": FunctionPayments,
}


def payments_of(given: Any) -> Payments:
    """Payments as users write them: an object, the name of a form, or a dict with ``kind`` and its settings.

    Raises:
        InvalidArgumentError: it is nothing of the kind.
    """
    if isinstance(given, Mapping):
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        if isinstance(given.get("function"), str):
            given["function"] = imported(given["function"], "payments")
    more = "or an object such as TablePayments(limit=2.0)"
    return of_kind("payments", given, KINDS, Payments, more)  # type: ignore[type-abstract]


def described(payments: Payments) -> dict[str, Any] | None:
    """The dict that ``payments_of`` reads; None for functions that are in no module, and for forms of one's own."""
    kind = next((kind for kind, made in KINDS.items() if type(payments) is made), None)
    if kind is None:
        return None
    settings = {name: list(v) if isinstance(v, tuple) else v for name, v in vars(payments).items() if v is not None}
    if "function" in settings:
        settings["function"] = describe(settings["function"])
        if not isinstance(settings["function"], str):
            return None
    return {"kind": kind, **settings}


def _check_range(low: float, high: float) -> None:
    if not low < high:
        raise InvalidArgumentError(
            f"payments between {checks.shown(low)} and {checks.shown(high)}: expected bounds in order"
        )

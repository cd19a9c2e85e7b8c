"""Games in which the follower is a population, and the leader sets prices on what its members share."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.parametrisation import Bounded
from stackelberg_games.errors import InvalidGameError, UnsupportedGameError
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.congestion import Resources
from stackelberg_games.kinds.finite import Tables
from stackelberg_games.kinds.levers import TabularLever
from stackelberg_games.rules.lever import Ledger
from stackelberg_games.rules.view import LeaderView

DEAR = 1e4
"""What a choice costs that a group does not have, in units of the dearest one with everybody on it."""


@dataclasses.dataclass(frozen=True)
class Charged:
    """Tables under prices, with everybody's choices as they were before any: what a leader knows of its own lever."""

    base: Tables
    taken: Tensor  # of every priced resource by a choice, [S, 1, B, C]

    def __call__(self, prices: Tensor) -> Tables:
        """The tables; only what members are charged depends on the prices."""
        return self.base._replace(follower_reward=self.base.follower_reward - self.taken @ prices)


class PopulationGame(ConfigurableGame):
    """A population shares resources, and the leader, who bears what its members bear, sets prices on some of them.

    An episode is one member: its group is the state, its choice the follower's action. What it pays follows from how all
    the others choose, and they are at the equilibrium of the prices, at the game's own temperature. A follower of that
    temperature is such a member: its response is the population's. The leader is paid minus what a member bears,
    prices left out, for they only change hands.

    Examples:
        >>> import numpy as np
        >>> import stackelberg_games as sg
        >>> game = sg.make("toll-v0")
        >>> free = game.flow(np.zeros(game.priced.shape[1]))
        >>> best = game.resources.best_flow()
        >>> print(
        ...     f"untolled {game.resources.mean_cost(free):.3f}, at best {game.resources.mean_cost(best):.3f}"
        ... )
        untolled 0.905, at best 0.750

    Args:
        resources: what is shared.
        priced: numbers of the resources that the leader prices.
        highest: price, > 0; none is below zero.
        temperature: of the population, >= 0; 0 for one that never errs.
        name: of the game.

    Raises:
        InvalidGameError: a number is out of range, or a resource's cost falls with its use.
    """

    def __init__(
        self, resources: Resources, priced: Sequence[int], highest: float, *, temperature: float, name: str
    ) -> None:
        self.resources = _sound(resources)
        self.temperature = checks.number("temperature", temperature, 0, error=InvalidGameError)
        count = len(resources.fixed)
        chosen = [
            checks.integer("a priced resource", number, 0, count - 1, error=InvalidGameError) for number in priced
        ]
        if not chosen or len(set(chosen)) < len(chosen):
            raise InvalidGameError(f"priced={list(priced)}: expected one or more different resources")
        self.priced = np.eye(count)[:, chosen]  # [R, C]
        self.highest = checks.number("highest", highest, above=0, error=InvalidGameError)
        groups, choices = resources.open.shape
        everybody = resources.costs(np.full(count, float(resources.amount.sum())))
        self._shut = torch.from_numpy(~resources.open)[:, None]
        self._dear = DEAR * float((resources.uses @ (everybody + self.highest)).max() or 1.0)
        self._uses = torch.from_numpy(resources.uses)[:, None]  # [S, 1, B, R]
        self._terms = tuple(torch.from_numpy(part) for part in (resources.fixed, resources.slope, resources.power))
        self._prices = torch.from_numpy(self.priced)
        first = self._under(torch.zeros(len(chosen), dtype=torch.float64))
        super().__init__(
            np.repeat(np.eye(groups)[:, None], choices, axis=1),
            first[0][:, 0].numpy(),
            first[1][:, 0].numpy(),
            resources.amount / resources.amount.sum(),
            size=len(chosen),
            configure=self._tables_under,
            parametrisation=Bounded(0.0, self.highest),
            constant_base=False,
            leader_discount=0.0,
            follower_discount=0.0,
            horizon=1,
            name=name,
        )
        self._charged = Charged(self.base, self._uses @ self._prices)

    def _tables_under(self, prices: Tensor) -> Tables:
        return Tables(self.base.transition, *self._under(prices))

    def _under(self, prices: Tensor) -> tuple[Tensor, Tensor]:
        """Both players' rewards at the equilibrium of the prices ``[C]``, differentiable in them at a temperature > 0."""
        flow, charged = self._flow(prices), self._prices @ prices
        fixed, slope, power = self._terms
        costs = fixed + slope * flow**power
        leader, follower = -(self._uses @ costs), -(self._uses @ (costs + charged))
        return leader.masked_fill(self._shut, -self._dear), follower.masked_fill(self._shut, -self._dear)

    def _flow(self, prices: Tensor) -> Tensor:
        """The use of the resources; one differentiable step of Newton's method from the fixed point carries its derivative."""
        charged = self._prices @ prices
        flow = self.flow(prices.detach().numpy())
        if not prices.requires_grad or not torch.is_grad_enabled():
            return torch.from_numpy(flow)
        if self.temperature == 0:
            raise UnsupportedGameError(
                f"{self.name}: an equilibrium without errors has no derivative where choices begin to be made; "
                "give the game a temperature > 0"
            )
        now = self.resources.costs(flow)
        play = self.resources.answer(now + charged.detach().numpy(), self.temperature)
        system = np.eye(len(flow)) + self.resources.slopes(play, self.temperature) * self.resources.rise(flow)
        paid = (self._uses[:, 0] @ (torch.from_numpy(now) + charged)).masked_fill(self._shut[:, 0], torch.inf)
        answered = torch.softmax(-paid / self.temperature, dim=1)
        amount = torch.from_numpy(self.resources.amount)
        aimed = torch.einsum("s,sb,sbr->r", amount, answered, self._uses[:, 0])
        fixed = torch.from_numpy(flow)
        carried: Tensor = fixed + torch.linalg.solve(torch.from_numpy(system), aimed - fixed)
        return carried

    def flow(self, prices: FloatArray) -> FloatArray:
        """How much every resource is used in the equilibrium of prices ``[C]`` in [0, ``highest``], ``[R]``."""
        charged = self.priced @ prices
        if self.temperature > 0:
            return self.resources.logit(charged, self.temperature)
        return self.resources.flow(self.resources.wardrop(charged))

    def choices(self, prices: FloatArray) -> FloatArray:
        """How the population chooses in the equilibrium of prices ``[C]``, ``[S, 1, B]``."""
        charged = self.priced @ prices
        if self.temperature == 0:
            return self.resources.wardrop(charged)[:, None]
        flow = self.resources.logit(charged, self.temperature)
        return self.resources.answer(self.resources.costs(flow) + charged, self.temperature)[:, None]

    def check_temperature(self, temperature: float | None) -> None:
        """See ``TabularGame.check_temperature``."""
        if temperature is not None and temperature != self.temperature:
            raise UnsupportedGameError(
                f"{self.name} has a population of temperature {self.temperature:g}, and a follower of {temperature:g} is no "
                f"member of it; give both the same: sg.make({self.name!r}, temperature={temperature:g})"
            )

    def view(self, temperature: float | None = None, ledger: Ledger | None = None) -> LeaderView:
        """What a leader is told; its lever knows what a choice is charged, and nothing of how others answer that."""
        view = super(ConfigurableGame, self).view(temperature)
        if self.configure is None:
            return view
        lever = TabularLever(self._charged, self.base, self.commitment, ledger, constant_base=False)
        return dataclasses.replace(view, lever=lever)

    def fingerprint(self) -> str:
        """Also tells apart resources, what is priced, and populations."""
        digest = hashlib.sha256(super().fingerprint().encode())
        for part in dataclasses.astuple(self.resources):
            digest.update(np.ascontiguousarray(part).tobytes())
        digest.update(self.priced.tobytes() + f"{self.highest} {self.temperature}".encode())
        return digest.hexdigest()


def _sound(resources: Resources) -> Resources:
    """``resources`` if they make sense."""
    facts: tuple[Any, ...] = (resources.fixed, resources.slope, resources.power, resources.amount)
    if not all(np.isfinite(part).all() for part in facts):
        raise InvalidGameError("the costs of resources and the sizes of groups are finite numbers")
    for number, (fixed, slope, power) in enumerate(zip(*facts[:3], strict=True)):
        if fixed < 0 or slope < 0 or power < 1:
            falls = "its cost falls with its use" if slope < 0 else "that is no cost of a resource"
            raise InvalidGameError(
                f"resource {number} costs {fixed:g} + {slope:g} f^{power:g}, where f is its use: {falls}; expected numbers "
                ">= 0, and a power >= 1"
            )
    if not (resources.amount > 0).all() or not resources.open.any(axis=1).all():
        raise InvalidGameError(f"amount={resources.amount.tolist()}: expected groups > 0, each with a choice")
    return resources

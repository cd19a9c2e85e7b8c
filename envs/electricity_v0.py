"""Electricity by the hour of need: a supplier sets a price for each of four periods, and households shift and shed what they use.

| fact            | value                                                                      |
|-----------------|----------------------------------------------------------------------------|
| Agents          | leader_0 (the supplier), follower_0 (the households)                       |
| States          | 1, a constant                                                              |
| Follower actions| demand d in R^4, one number for each period, unbounded                     |
| Configuration   | prices p in [0, ``highest_price``]^4                                       |
| Follower        | (beta - p)'d - d'H d / 2, with H = ``steepness`` I + ``coupling`` in every entry |
| Leader          | (p - c)'d, for what a unit costs it in each period                         |
| Horizon         | 1                                                                          |
| Optimum         | p = (beta + c) / 2 = (3.5, 5.5, 6.5, 4.25), whatever H, worth 19.421875 at every temperature |

Proof: households answer prices with H^-1 (beta - p), the supplier earns (p - c)'H^-1 (beta - p), which is concave in p, with
the gradient H^-1 (beta + c - 2 p): (beta - c)'H^-1 (beta - c) / 4 at its zero. A soft follower's demand is normal around the
same answer, with covariance tau H^-1, and the supplier's reward is linear in demand: errors cost it nothing.

Periods are tied by ``coupling``: what is used in one makes the others worth less, so that a dear evening is moved to the night. A
household whose battery ties them in time, hour by hour, is in the documentation (Configure a game).

Source: linear demand with cross effects as in demand response; the numbers are our own.

Version history: v0, first version.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.parametrisation import Bounded
from stackelberg_games.commitments.space import check_inside
from stackelberg_games.errors import InvalidGameError, UnsupportedGameError
from stackelberg_games.faces import faces
from stackelberg_games.kinds.chain import check_objective
from stackelberg_games.kinds.concave import ConcaveValue
from stackelberg_games.kinds.levers import ObservedLedger, ObservedLever
from stackelberg_games.kinds.linear_quadratic import Cost, Dynamics, LinearGaussianGame
from stackelberg_games.kinds.moments import Quadratic
from stackelberg_games.kinds.riccati import SoftRiccati
from stackelberg_games.numerics.randomness import Streams, generator
from stackelberg_games.numerics.rows import product, quadratic
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Ledger, Stages, Terms
from stackelberg_games.rules.rules import Step
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView
from stackelberg_games.settings import checked

if TYPE_CHECKING:
    from stackelberg_games.rules.scene import Scene

WORTH, COST = (6.0, 9.0, 10.0, 7.0), (1.0, 2.0, 3.0, 1.5)


class Electricity(LinearGaussianGame):
    """See the module's text; one stage, in which the state says nothing and the follower's cost has a linear part.

    Args:
        worth: beta, of the first unit of demand in each period.
        cost: c, of a unit to the supplier.
        curvature: H, symmetric positive definite.
        highest_price: in every period, > 0.
        horizon: independent days.

    Raises:
        InvalidGameError: a shape is wrong, or a number is out of range.
    """

    def __init__(
        self, worth: FloatArray, cost: FloatArray, curvature: FloatArray, highest_price: float, horizon: int
    ) -> None:
        periods = len(worth)
        super().__init__(
            Dynamics(np.eye(1), np.zeros((1, periods)), np.zeros((1, 1)), np.ones(1)),
            Cost(np.zeros((1, 1)), curvature / 2),
            Quadratic(0.0, np.zeros(1), np.zeros((1, 1))),
            leader_discount=0.0 if horizon == 1 else 1.0,
            follower_discount=0.0,
            horizon=horizon,
            name="electricity-v0",
        )
        self.worth, self.unit_cost, self.curvature = worth, cost, curvature
        self.prices = np.zeros(periods)
        self.parametrisation = Bounded(
            0.0, checks.number("highest_price", highest_price, above=0, error=InvalidGameError)
        )
        self.configuration_space = self.parametrisation.space(periods)
        self.idle_action = np.zeros(1)

    @property
    def best_prices(self) -> FloatArray:
        """Where the leader's value is largest, each in its bounds as long as none binds: (beta + c) / 2."""
        return (self.worth + self.unit_cost) / 2

    def configured(self, configuration: Tensor) -> Electricity:
        """The market at prices; see ``Game.configured``."""
        check_inside(self.configuration_space, configuration)
        fixed = copy.copy(self)
        fixed.prices = configuration.detach().numpy().copy()
        fixed.configuration_space = fixed.idle_action = None
        return fixed

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Streams, stage: int) -> Step:
        """Play one day at the prices: none unless ``configured``.

        Raises:
            InvalidActionError: an action has the wrong shape or is not finite.
        """
        step = super().step(states, leader_actions, follower_actions, streams, stage)
        demand = np.asarray(follower_actions, dtype=np.float64)
        bought = product(demand, (self.worth - self.prices)[None])[:, 0]
        sold = product(demand, (self.prices - self.unit_cost)[None])[:, 0]
        return step._replace(leader_rewards=sold, follower_rewards=bought - quadratic(demand, self.curvature) / 2)

    def simulate(
        self, commitment: Commitment, follower_policy: Any, streams: Streams, stages: int
    ) -> Trajectories | None:
        """None: a day is one step."""
        return None

    def commitment(self, seed: int = 0, spread: float | None = None) -> Configuration:
        """The standard start: prices near the middle of their range."""
        scale = 0.01 if spread is None else spread
        return Configuration(scale * generator(seed, 5).standard_normal(len(self.worth)), self.parametrisation)

    def ledger(self) -> Ledger | None:
        """A record of the days played, for whoever plays; None once prices are fixed."""
        return None if self.configuration_space is None else ObservedLedger()

    def view(self, temperature: float | None = None, ledger: Ledger | None = None) -> LeaderView:
        """What a leader is told; its lever knows that households pay it the prices for what they use."""
        view = super().view(temperature, ledger)
        if self.configuration_space is None:
            return view
        lever = ObservedLever(_paid, self.commitment, ledger, moves_transitions=False)
        return dataclasses.replace(view, lever=lever)

    def response(self, commitment: Commitment, temperature: float) -> SoftRiccati:
        """The households' soft-optimal demand, normal around H^-1 (beta - p) with covariance tau H^-1."""
        temperature = checks.number("temperature", temperature, above=0)
        curvature = torch.from_numpy(self.curvature)
        left = torch.from_numpy(self.worth) - self._prices(commitment)
        demand = torch.linalg.solve(curvature, left)
        spread = len(left) * math.log(2 * math.pi * temperature) - float(torch.linalg.slogdet(curvature).logabsdet)
        value, constant = -0.5 * (left @ demand).reshape(1, 1), torch.tensor(-0.5 * temperature * spread)
        return SoftRiccati(
            value, constant, value, constant, -demand[:, None], temperature * torch.linalg.inv(curvature)
        )

    def _prices(self, commitment: Commitment) -> Tensor:
        configuration = commitment.configuration()
        if configuration is None:
            if self.configuration_space is None:
                return torch.from_numpy(self.prices)
            raise UnsupportedGameError("electricity-v0 is configured; give a commitment with a configuration")
        check_inside(self.configuration_space, configuration)
        return configuration

    def leader_objective(
        self, commitment: Commitment, temperature: float, *, discount: float | None = None, horizon: int | None = None
    ) -> Tensor:
        """The leader's expected return in closed form; ``backward()`` gives the exact hypergradient."""
        days = self._days(*check_objective(self, discount, horizon))
        prices, demand = self._prices(commitment), -self.response(commitment, temperature).gain[:, 0]
        value: Tensor = days * ((prices - torch.from_numpy(self.unit_cost)) @ demand)
        return value

    def concave_value(self) -> ConcaveValue:
        """The leader's value of prices p, the same at every temperature: (p - c)'H^-1 (beta - p), each day."""
        days = self._days(self.leader_discount, self.horizon)
        answer = days * np.linalg.inv(self.curvature)
        constant = -float(self.unit_cost @ answer @ self.worth)
        return ConcaveValue(constant, answer @ (self.worth + self.unit_cost), 2 * answer)

    @staticmethod
    def _days(discount: float, horizon: int | None) -> float:
        """How much all days are worth beside one."""
        return sum(discount**day for day in range(horizon or 1))

    def draw(self, axes: Any, scene: Scene) -> bool:
        """Prices, what a unit costs, and the demand of the day that was played."""
        high, dearest = float(self.worth.max()), int(self.worth.argmax())
        axes.set(xlim=(-0.6, len(self.worth) - 0.4), ylim=(-0.2 * high, 1.1 * high))
        axes.set_aspect("auto")
        words = {"ha": "center", "va": "bottom", "zorder": 4}
        for number, (worth, cost) in enumerate(zip(self.worth, self.unit_cost, strict=True)):
            for level, style, name in ((worth, ":", "worth of the first unit"), (cost, "-", "cost of a unit")):
                axes.plot([number - 0.4, number + 0.4], [level, level], style, color="#8b949e", zorder=2)
                if number == dearest:
                    axes.text(number, level + 0.01 * high, name, fontsize=8, color="#57606a", **words)
            axes.text(number, -0.09 * high, f"period {number + 1}", fontsize=10, color="#24292f", **words)
        if scene.configuration is not None:
            prices = np.asarray(scene.configuration)
            axes.bar(np.arange(len(prices)), prices, width=0.8, color="#7b4fc9", alpha=0.25, zorder=1)
            for number, price in enumerate(prices):
                axes.text(number - 0.38, price + 0.01 * high, f"{price:.3g}", color="#7b4fc9", fontsize=11, va="bottom")
        if scene.played is not None:
            for number, demand in enumerate(np.asarray(scene.played.follower_action)):
                axes.text(number, -0.17 * high, f"uses {demand:.2f}", color="#1a8f6a", fontsize=11, **words)
        return True

    def fingerprint(self) -> str:
        """Also tells apart worths, costs and prices."""
        digest = hashlib.sha256(super().fingerprint().encode())
        for part in (self.worth, self.unit_cost, self.curvature, self.prices):
            digest.update(part.tobytes())
        return digest.hexdigest()


def _paid(prices: Tensor, stages: Stages) -> Terms:
    """What households pay the supplier for what they used."""
    paid = torch.from_numpy(np.asarray(stages.follower_actions, dtype=np.float64)) @ prices
    return Terms(leader_reward=paid, follower_reward=-paid)


@checked
def game(
    worth: Sequence[float] = WORTH,
    cost: Sequence[float] = COST,
    *,
    steepness: float = 1.2,
    coupling: float = 0.2,
    highest_price: float = 12.0,
    horizon: int = 1,
) -> Electricity:
    """The market.

    Args:
        worth: beta, of the first unit of demand to the households, one number for each period.
        cost: c, of a unit to the supplier, as many.
        steepness: of the fall of worth with demand in the same period, > 0.
        coupling: of the fall with demand in any period; negative where periods complement each other, as long as H is
            positive definite.
        highest_price: in every period, > 0; below zero none is.
        horizon: number of independent days.

    Raises:
        InvalidGameError: a number is out of range, or H is not positive definite.
    """
    first = checks.array("worth", worth, (len(worth),), error=InvalidGameError)
    second = checks.array("cost", cost, (len(worth),), error=InvalidGameError)
    curvature = steepness * np.eye(len(first)) + coupling
    return Electricity(
        first, second, curvature, highest_price, checks.integer("horizon", horizon, 1, error=InvalidGameError)
    )


env, raw_env, parallel_env = faces(game)

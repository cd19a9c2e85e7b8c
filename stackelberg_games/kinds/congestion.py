"""Populations that share resources: what each member pays depends on how all of them choose.

A population of small members settles where nobody gains by choosing otherwise: without errors at a Wardrop equilibrium,
with errors at a logit equilibrium, in which everybody answers by a softmax at a temperature to the costs that the answers
make. With the use f of the resources, their costs l(f), prices x, and F(v) the use that costs v are answered by,

    f = F(l(f) + x),    df = -(I + K D)^-1 K dx,    K = -F',  D = l',

so that the response to prices is that of a single member, -K dx, less what it does to itself by moving the costs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq, linprog
from scipy.special import softmax

from stackelberg_games.arrays import BoolArray, FloatArray
from stackelberg_games.errors import SolverError

EXACT, CLOSE = 1e-14, 1e-10
"""Gap at which an equilibrium is left alone, and up to which it counts as one; shares of the whole."""

STEPS, SWEEPS = 200, 5000
"""At most: of Newton's method at one temperature, and over all choices."""

COOLING = 0.25
"""Factor from one temperature to the next on the way to a low one."""


@dataclass(frozen=True)
class Resources:
    """What is shared: a resource that is used by f costs ``fixed + slope * f**power`` a unit.

    Examples:
        >>> import numpy as np
        >>> from stackelberg_games.kinds.congestion import Resources
        >>> roads = Resources(  # Pigou's: one costs 1 whoever takes it, the other what share of all takes it
        ...     uses=np.eye(2)[None],
        ...     open=np.array([[True, True]]),
        ...     amount=np.array([1.0]),
        ...     fixed=np.array([1.0, 0.0]),
        ...     slope=np.array([0.0, 1.0]),
        ...     power=np.array([1.0, 1.0]),
        ... )
        >>> roads.wardrop(prices=np.zeros(2)), roads.best_flow().round(6)
        (array([[0., 1.]]), array([0.5, 0.5]))

    Attributes:
        uses: how much of each resource a choice takes, ``[S, B, R]``; S are groups of members.
        open: choices that a group has, bool ``[S, B]``.
        amount: size of each group, ``[S]``.
        fixed, slope, power: of every resource, ``[R]``; none below zero, the powers at least 1.
    """

    uses: FloatArray
    open: BoolArray
    amount: FloatArray
    fixed: FloatArray
    slope: FloatArray
    power: FloatArray

    def costs(self, flow: FloatArray) -> FloatArray:
        """Cost of every resource at a use ``[R]``."""
        return np.asarray(self.fixed + self.slope * flow**self.power)

    def rise(self, flow: FloatArray) -> FloatArray:
        """Its derivative by the use, ``[R]``."""
        return np.asarray(self.slope * self.power * flow ** (self.power - 1))

    def flow(self, play: FloatArray) -> FloatArray:
        """Use of every resource where the groups choose by ``[S, B]``."""
        return np.asarray(np.einsum("s,sb,sbr->r", self.amount, play, self.uses))

    def answer(self, costs: FloatArray, temperature: float) -> FloatArray:
        """How members choose at costs ``[R]`` of the resources, with errors, ``[S, B]``."""
        return np.asarray(softmax(np.where(self.open, -(self.uses @ costs) / temperature, -np.inf), axis=1))

    def slopes(self, play: FloatArray, temperature: float) -> FloatArray:
        """K, minus the derivative of the use by the costs that are answered, ``[R, R]``."""
        mean = np.einsum("sb,sbr->sr", play, self.uses)
        second = np.einsum("s,sb,sbr,sbq->rq", self.amount, play, self.uses, self.uses)
        return np.asarray((second - np.einsum("s,sr,sq->rq", self.amount, mean, mean)) / temperature)

    def mean_cost(self, flow: FloatArray) -> float:
        """What a member bears on average, prices left out."""
        return float(flow @ self.costs(flow)) / float(self.amount.sum())

    def logit(self, prices: FloatArray, temperature: float) -> FloatArray:
        """The use in a logit equilibrium, ``[R]``; Newton's method, from high temperatures to the one asked for.

        Raises:
            SolverError: it was not found.
        """
        flow = self.flow(self.open / self.open.sum(axis=1, keepdims=True))
        spread = np.ptp(np.where(self.open, self.uses @ (self.costs(flow) + prices), 0.0))
        heat = max(temperature, float(spread))
        while True:
            flow = self._newton(flow, prices, heat)
            if heat == temperature:
                return flow
            heat = max(temperature, COOLING * heat)

    def _newton(self, flow: FloatArray, prices: FloatArray, temperature: float) -> FloatArray:
        """From a use to the equilibrium at a temperature, the gap falling in every step."""
        unit, identity = float(self.amount.sum()), np.eye(len(flow))

        def gap(now: FloatArray) -> tuple[FloatArray, FloatArray]:
            play = self.answer(self.costs(now) + prices, temperature)
            return self.flow(play) - now, play

        missing, play = gap(flow)
        for _ in range(STEPS):
            size = float(np.linalg.norm(missing))
            if size <= EXACT * unit:
                break
            system = identity + self.slopes(play, temperature) * self.rise(flow)
            step, share = np.linalg.solve(system, missing), 1.0
            while share > EXACT:
                further = np.maximum(flow + share * step, 0.0)
                left, chosen = gap(further)
                if np.linalg.norm(left) < (1 - 1e-4 * share) * size:
                    break
                share /= 2
            if share <= EXACT:
                break
            flow, missing, play = further, left, chosen
        if np.linalg.norm(missing) > CLOSE * unit:
            raise SolverError(
                f"no logit equilibrium was found at temperature {temperature:g}: a gap of "
                f"{np.linalg.norm(missing) / unit:.1e} of the population is left; raise the temperature"
            )
        return flow

    def wardrop(self, prices: FloatArray) -> FloatArray:
        """How members choose in an equilibrium without errors, ``[S, B]``: only cheapest choices are made.

        Members move from dearer choices to the cheapest one until both cost the same. The use of resources whose cost rises
        is unique; how it is made up of choices need not be.

        Raises:
            SolverError: it was not found.
        """
        play: FloatArray = (self.open / self.open.sum(axis=1, keepdims=True)).astype(np.float64)
        excess = np.inf
        for _ in range(SWEEPS):
            for group, b in zip(*np.nonzero(play), strict=True):
                self._move(play, prices, group, b)
            costs = np.where(self.open, self.uses @ (self.costs(self.flow(play)) + prices), np.inf)
            paid = np.where(play > 0, play * np.where(self.open, costs, 0.0), 0.0).sum(axis=1)
            excess = float(self.amount @ (paid - costs.min(axis=1))) / max(float(self.amount @ paid), 1e-300)
            if excess <= EXACT:
                return play
        if excess > CLOSE:
            raise SolverError(
                f"no Wardrop equilibrium was found: members could save {excess:.1e} of what they bear; give a temperature > 0"
            )
        return play

    def _move(self, play: FloatArray, prices: FloatArray, group: int, b: int) -> None:
        """Move members of a group from choice b to the cheapest one, until both cost the same; in place."""
        flow, share = self.flow(play), float(play[group, b])
        costs = np.where(self.open[group], self.uses[group] @ (self.costs(flow) + prices), np.inf)
        best = int(costs.argmin())
        change = self.uses[group, best] - self.uses[group, b]

        def dearer(moved: float) -> float:
            now = np.maximum(flow + self.amount[group] * moved * change, 0.0)
            return float(-change @ (self.costs(now) + prices))

        if best == b or dearer(0.0) <= 0:
            return
        # A root of nearly nothing would otherwise be sought down to the smallest number there is.
        finest = EXACT**2 * share
        moved = share if dearer(share) >= 0 else float(brentq(dearer, 0.0, share, xtol=finest, rtol=1e-15, maxiter=500))
        play[group, b] -= moved
        play[group, best] += moved

    @property
    def together(self) -> Resources:
        """The same with costs that count what a member does to the others: its equilibrium is best for all."""
        return replace(self, slope=self.slope * (1 + self.power))

    def best_flow(self) -> FloatArray:
        """The use that costs all members the least, ``[R]``: no choice of theirs costs less, under any prices."""
        return self.flow(self.together.wardrop(np.zeros_like(self.fixed)))

    def prices_for(self, flow: FloatArray, priced: FloatArray, highest: float) -> FloatArray | None:
        """The lowest prices in [0, ``highest``] under which a use is an equilibrium without errors; None if there are none.

        A linear program: no choice may be cheaper than what the group pays, and all together pay no more than that.

        Args:
            flow: the use, ``[R]``.
            priced: which resources may have a price, as columns ``[R, C]``.
            highest: of a price.
        """
        groups, costs = len(self.amount), self.costs(flow)
        group, choice = np.nonzero(self.open)
        used = self.uses[group, choice]
        upper = np.hstack([-used @ priced, np.eye(groups)[group]])
        total = np.hstack([flow @ priced, -self.amount])[None]
        count = priced.shape[1]
        found = linprog(
            np.r_[np.ones(count), np.zeros(groups)],
            A_ub=np.vstack([upper, total]),
            b_ub=np.r_[used @ costs, -flow @ costs + CLOSE * abs(flow @ costs)],
            bounds=[(0.0, highest)] * count + [(None, None)] * groups,
            method="highs",
        )
        return np.asarray(found.x[:count]) if found.status == 0 else None

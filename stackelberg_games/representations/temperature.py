"""The follower's temperature, estimated from its replies by maximum likelihood.

What a fitted game says of the replies of a batch is a function of one number: how surprising they are to the soft-optimal
response at that temperature, the fit taken for the truth. It is evaluated on a grid of temperatures and added up over the batches, older ones fading, unless
the fit tells of older ones itself, by what is known now; the
estimate is the least surprising temperature of a spline through it, the interval what a likelihood ratio test at 95 % keeps.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import gammaincinv

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidGameError, SolverError, UnsupportedGameError
from stackelberg_games.numerics.averages import usual_and_spread
from stackelberg_games.representations.protocol import Needs, Representation
from stackelberg_games.representations.surprise import Surprise
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView, not_estimated

MEMORY = 0.9
"""Factor by which batches fade."""
GRID, WIDE, FINE, ASIDE = 61, 1e4, 4001, 3
"""Temperatures there are, the factor by which they reach to either side of the middle, points of the spline, and temperatures that
are tried on either side at least."""
FAR = 1e3
"""Nats above the least surprising temperature beyond which none are tried."""
KEPT = float(gammaincinv(0.5, 0.95))
"""Nats, half the 95 % quantile of chi-squared with one degree of freedom."""
LOOKS, CONTRADICTED = 5, 20.0
"""First batches that a declared temperature is held against, and nats by which another has to explain their replies better."""


class Temperature(NamedTuple):
    """An estimate.

    Attributes:
        value: tau.
        low, high: ends of the interval; 0 and infinity where the replies do not bound it.
    """

    value: float
    low: float
    high: float

    @property
    def figures(self) -> dict[str, float]:
        """What is logged."""
        return {"temperature": self.value, "temperature_low": self.low, "temperature_high": self.high}


class Thermometer:
    """Adds up what batches say of the temperature."""

    def __init__(self) -> None:
        self.grid: FloatArray = np.geomspace(1 / WIDE, WIDE, GRID)
        """Around the size of the follower's rewards in the first batch, so that units make no difference."""
        self.surprise: FloatArray = np.zeros(GRID)
        self.count, self.value = 0, 1.0

    def tell(self, learned: Representation, commitment: Commitment, batch: Trajectories) -> dict[str, float]:
        """Estimate from what was learned of a batch, and make that believed; figures to log."""
        if self.count == 0 and batch.follower_rewards is not None:
            spread = usual_and_spread(batch.follower_rewards[batch.mask], bool(batch.terminated.any()))[1]
            self.grid = self.grid * max(spread, 1e-9)
        try:
            found = self.read(learned.surprise(commitment))
        except (InvalidGameError, SolverError):  # too little was seen to say anything
            return {}
        self.value = found.value
        learned.retell(found.value)
        return found.figures

    def read(self, surprise: Surprise) -> Temperature:
        """Take in a batch; the estimate from all so far. Where that is what ``surprise`` is of, the search begins where the last one ended."""
        again = surprise.recalls and self.count > 0
        begin = int(np.abs(np.log(self.grid / self.value)).argmin()) if again else GRID - 1
        found, least = np.full(GRID, np.inf), np.inf
        for numbers in (range(begin, -1, -1), range(begin + 1, GRID)):
            for number in numbers:
                found[number] = self._tried(surprise, self.grid[number])
                least = min(least, found[number])
                if found[number] > least + FAR and abs(number - begin) >= ASIDE:
                    break
        self.count += 1
        self.surprise = found if surprise.recalls else MEMORY * self.surprise + found
        known = np.flatnonzero(np.isfinite(self.surprise))
        best = int(known[self.surprise[known].argmin()]) if len(known) else 0
        first = best - int(np.argmin(np.append(np.isfinite(self.surprise[best::-1]), False))) + 1
        last = best + int(np.argmin(np.append(np.isfinite(self.surprise[best:]), False)))
        if last - first < 4:
            return Temperature(float(self.grid[GRID // 2]), 0.0, np.inf)
        line = np.linspace(np.log(self.grid[first]), np.log(self.grid[last - 1]), FINE)
        values = CubicSpline(np.log(self.grid[first:last]), self.surprise[first:last])(line)
        value = float(np.exp(line[values.argmin()]))
        wider = 1.0 if surprise.dispersion is None else surprise.dispersion(value)
        inside = np.flatnonzero(values <= values.min() + KEPT * wider)
        low = 0.0 if inside[0] == 0 else float(np.exp(line[inside[0]]))
        high = np.inf if inside[-1] == FINE - 1 else float(np.exp(line[inside[-1]]))
        if low == 0 and high == np.inf:
            return Temperature(float(self.grid[GRID // 2]), low, high)
        return Temperature(value, low, high)

    @staticmethod
    def _tried(surprise: Surprise, temperature: float) -> float:
        try:
            found = surprise.at(temperature)
        except SolverError:
            return np.inf
        return found if np.isfinite(found) else np.inf

    def state_dict(self) -> dict[str, Any]:
        """The temperatures and what was added up."""
        return {"grid": self.grid, "surprise": self.surprise, "count": self.count, "value": self.value}

    def resume(self, learned: Representation, state: Mapping[str, Any]) -> None:
        """Continue from a stored state, and make what was estimated believed."""
        self.value = float(state["value"])
        learned.retell(self.value)
        self.grid, self.surprise, self.count = np.array(state["grid"]), np.array(state["surprise"]), int(state["count"])


class Doubt:
    """Warns once where replies contradict a temperature that was declared.

    It adds up how much better the replies are explained at other temperatures, ``Representation.rivals`` times the declared one. Only where a
    fit is close or refused: a game of which little is known makes replies look random, hence hot, and values that do not carry far enough
    make them look cold.

    Args:
        declared: tau > 0.
        rivals: factors.
    """

    def __init__(self, declared: float, rivals: tuple[float, ...]) -> None:
        self.declared, self.rivals, self.left = declared, rivals, LOOKS
        self.gains: FloatArray = np.zeros(len(rivals))

    def look(self, learned: Representation, commitment: Commitment) -> None:
        """Take in a batch that was learned of."""
        if not self.left:
            return
        self.left -= 1
        try:
            surprise = learned.surprise(commitment).at
            found = np.array([surprise(factor * self.declared) for factor in (1.0, *self.rivals)])
        except (InvalidGameError, SolverError):  # too little was seen to say anything
            return
        if np.isfinite(found).all():
            self.gains += found[0] - found[1:]
        if self.gains.max() > CONTRADICTED:
            better, batches, self.left = self.rivals[int(self.gains.argmax())] * self.declared, LOOKS - self.left, 0
            warnings.warn(
                f"temperature={self.declared:g} was declared, and the follower's replies in {batches} batch{'es' * (batches > 1)} are "
                f"e^{self.gains.max():.0f} times likelier at {better:g}, by the game that was fitted; sg.train(temperature='estimated') finds "
                "out what it is",
                stacklevel=2,
            )


def doubt(view: LeaderView, needs: Needs, learned: Representation) -> Doubt | None:
    """What doubts a declared temperature, where one is used and the representation tells what follows from another."""
    declared, used = view.temperature, needs.follower or needs.players
    if declared is None or not used or view.estimates or needs.infers or view.judged is not None or not learned.rivals:
        return None
    return Doubt(declared, learned.rivals)


def thermometer(view: LeaderView, needs: Needs, learned: Representation) -> Thermometer | None:
    """What estimates the temperature, where the view says that it is to be estimated.

    Raises:
        UnsupportedGameError: the follower's rewards are inferred, which takes a temperature; or what is learned does not tell
            what follows from one.
    """
    if not view.estimates:
        return None
    if needs.infers:
        raise UnsupportedGameError(
            "temperature='estimated' with follower_rewards='unobserved': rewards and temperature are known up to a common factor "
            "only; give sg.train a temperature"
        )
    if type(learned).surprise is Representation.surprise:
        raise not_estimated(f"{learned.name} does not tell what follows from it")
    return Thermometer()

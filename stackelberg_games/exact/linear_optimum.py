"""Global optima of two kinds of linear-quadratic games, each with a bound that proves it.

*A configuration of which the leader's value is a concave quadratic*: the maximum over a box is a least-squares problem
with bounds, and what is concave lies below its tangent, so that no configuration is worth more than the tangent's
greatest value over the box.

*One number each, in an endless game*: x' = A x + B u + C a + xi, and the leader commits to a = l x. With d = A + C l the
follower's equation of Riccati is quadratic in one number, P, which grows with |d|; so do its gain L = gF B P / S and
S = R + gF B^2 P, while R / S falls. Whatever the leader's cost is made of is a monotone function of these:

    m = d R / S,   n = Var xi + B^2 tau / (2 S) + (C W R / S)^2,
    cost = (H/2 + N l^2) (E x_0^2 + gL n / (1 - gL)) / (1 - gL m^2) + N W^2 / (1 - gL),

for a reward c - x'Hx / 2 of the state, a price N of the action and a deviation W of it. So the ends of an interval of gains bound the cost
on all of it, from below; intervals are cut until none can hold less than the best cost seen.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import lsq_linear, minimize_scalar

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy, LinearGaussianResponse
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.exact.bounds import EPSILON
from stackelberg_games.kinds.concave import ConcavelyConfigured
from stackelberg_games.kinds.linear_quadratic import LinearGaussianGame, linear
from stackelberg_games.kinds.moments import Quadratic
from stackelberg_games.rules.commitment import Commitment

SURE = 1e-12
"""Deviation of the actions of a commitment that is as good as certain; none has none."""

CLOSE = 1e-10
"""Share of the cost up to which intervals are told apart."""

PARTS = 16
"""Into which an interval is cut."""

LIMIT = 4_000_000
"""Intervals that are looked at; those that are left then widen the gap."""

ROUNDED = 1e3 * EPSILON
"""Share of a cost that its evaluation may err by, where nothing cancels."""


class LinearOptimum(NamedTuple):
    """What the fields of ``Solution`` are."""

    commitment: Commitment
    value: float
    response: LinearGaussianResponse
    error: float
    method: str
    bound: float


def linear_optimum(game: LinearGaussianGame, temperature: float, template: Commitment | None) -> LinearOptimum:
    """The best commitment, and what none of its class exceeds.

    Args:
        game: linear-quadratic.
        temperature: of the follower, >= 0.
        template: a commitment with the deviation of the leader's actions; ``SURE`` if not given.

    Raises:
        UnsupportedGameError: the game is of neither kind.
        InvalidArgumentError: a template where a configuration is sought.
    """
    if game.configuration_space is not None and isinstance(game, ConcavelyConfigured):
        if template is not None:
            raise InvalidArgumentError("commitment: this game's configuration is not sought from one; leave it out")
        return _configured(game, temperature)
    return _scalar(game, temperature, SURE if template is None else float(linear(template).factor.abs().max()))


def _response(game: LinearGaussianGame, commitment: Commitment, temperature: float) -> LinearGaussianResponse:
    """The follower's, whose errors alone depend on the temperature."""
    found = game.response(commitment, temperature or 1.0).policy(game.plant)
    return found if temperature else replace(found, factor=np.zeros_like(found.factor))


def _configured(game: LinearGaussianGame, temperature: float) -> LinearOptimum:
    """The maximum of a concave quadratic over a box, under its tangent."""
    assert isinstance(game, ConcavelyConfigured)
    space = game.configuration_space
    assert space is not None
    constant, slope, curvature = game.concave_value()
    upper = np.linalg.cholesky(curvature).T
    target = np.linalg.solve(upper.T, slope)
    best = np.clip(
        lsq_linear(upper, target, (space.low, space.high), method="bvls", tol=1e-15).x, space.low, space.high
    )
    value = float(constant + slope @ best - best @ curvature @ best / 2)
    tangent = slope - curvature @ best
    above = float(np.maximum(tangent * (space.low - best), tangent * (space.high - best)).sum())
    terms = abs(constant) + np.abs(slope) @ best + best @ np.abs(curvature) @ best / 2
    # The numbers of the quadratic come of an inverse, which multiplies rounding by the condition.
    error = float((len(best) + 8) * EPSILON * np.linalg.cond(curvature) * terms)
    chosen = Configuration(best, None)
    response = _response(game, chosen, temperature)
    return LinearOptimum(chosen, value, response, error, "a concave quadratic program", value + above + error)


class _Scalar(NamedTuple):
    """The numbers of a game of one number each; see the module's text."""

    a: float
    b: float
    c: float
    state_cost: float
    control_cost: float
    follower_discount: float
    leader_discount: float
    curvature: float
    effort: float
    first: float
    noise: float
    temperature: float
    std: float

    def riccati(self, drift: FloatArray) -> FloatArray:
        """P at |d|, without cancellation."""
        pull = self.follower_discount * self.b**2
        linear = self.control_cost * (1 - self.follower_discount * drift**2) - pull * self.state_cost
        root = np.sqrt(linear**2 + 4 * pull * self.state_cost * self.control_cost)
        product = 2 * self.state_cost * self.control_cost
        above = linear > 0
        return np.where(above, product / np.where(above, linear + root, 1.0), (root - linear) / (2 * pull or 1.0))

    def least(self, low: FloatArray, high: FloatArray) -> FloatArray:
        """No gain in [low, high] costs the leader less; where both are the same, it is the cost."""
        drifts = self.a + self.c * np.stack([low, high])
        slow = np.where(drifts.prod(axis=0) < 0, 0.0, np.abs(drifts).min(axis=0))
        score = self.control_cost + self.follower_discount * self.b**2 * self.riccati(np.abs(drifts).max(axis=0))
        kept = self.control_cost / score
        loop = self.leader_discount * (slow * kept) ** 2
        shaken = self.noise + self.b**2 * self.temperature / (2 * score) + (self.c * self.std * kept) ** 2
        weight = self.curvature / 2 + self.effort * np.where(low * high < 0, 0.0, np.minimum(low**2, high**2))
        ahead = 1 - self.leader_discount
        moved = weight * (self.first + self.leader_discount * shaken / ahead)
        with np.errstate(divide="ignore"):
            return np.where(loop < 1, moved / np.maximum(1 - loop, 0.0), np.inf) + self.effort * self.std**2 / ahead

    def cost(self, gain: float) -> float:
        """What a gain costs the leader."""
        return float(self.least(np.array([gain]), np.array([gain]))[0])


def _numbers(game: LinearGaussianGame, temperature: float, std: float) -> _Scalar:
    """The game's numbers.

    Raises:
        UnsupportedGameError: it is of another kind.
    """
    parts = (game.state_matrix, game.follower_matrix, game.leader_matrix, game.state_cost, game.control_cost)
    reward, effort = game.reward, game.effort
    endless = game.configuration_space is None and (game.shared, game.horizon) == (0.0, None)
    if endless and all(part.shape == (1, 1) for part in parts) and isinstance(reward, Quadratic) and effort is not None:
        first = float(game.start @ game.start + (game.start_factor**2).sum())
        found = _Scalar(
            a=game.state_matrix.item(),
            b=game.follower_matrix.item(),
            c=game.leader_matrix.item(),
            state_cost=game.state_cost.item(),
            control_cost=game.control_cost.item(),
            follower_discount=game.follower_discount,
            leader_discount=game.leader_discount,
            curvature=float(reward.curvature.item()),
            effort=float(effort.item()),
            first=first,
            noise=float((game.noise_factor**2).sum()),
            temperature=temperature,
            std=std,
        )
        moves = found.first + found.leader_discount * found.noise > 0
        if reward.slope.item() == 0 and found.curvature > 0 and found.effort > 0 and found.b and found.c and moves:
            return found
    raise UnsupportedGameError(
        f"{game.name}: a global optimum is known of linear-quadratic games whose configured value is a concave quadratic, "
        "and of endless ones with one state, one leader action that is paid for, one follower action, and a leader's reward "
        "c - H x^2 / 2; elsewhere climb sg.exact.leader_objective"
    )


def _scalar(game: LinearGaussianGame, temperature: float, std: float) -> LinearOptimum:
    """The best gain, and the least that any interval of gains can cost."""
    numbers = _numbers(game, temperature, std)
    assert isinstance(game.reward, Quadratic)
    constant = game.reward.constant / (1 - game.leader_discount)
    first = -numbers.a / numbers.c  # nothing is left of the state, so that the cost is finite
    base = numbers.first + numbers.leader_discount * numbers.noise / (1 - numbers.leader_discount)
    reach = max(abs(first), (numbers.cost(first) / base / numbers.effort) ** 0.5)  # beyond, the action alone costs more
    gain, passed = _searched(game, numbers, first, reach)
    near = {"bounds": (gain - 1e-3 * reach, gain + 1e-3 * reach), "options": {"xatol": 1e-12}}
    gain = min(gain, float(minimize_scalar(numbers.cost, method="bounded", **near).x), key=numbers.cost)
    chosen = LinearGaussianPolicy((1, 1), [[gain]], std)
    response = _response(game, chosen, temperature)
    cost = numbers.cost(gain)
    error = ROUNDED * cost * _amplified(game, chosen, response)
    bound = constant + error - min(passed, cost)
    return LinearOptimum(chosen, constant - cost, response, error, "branch and bound over gains", bound)


def _searched(game: LinearGaussianGame, numbers: _Scalar, gain: float, reach: float) -> tuple[float, float]:
    """The best gain seen, from a first one, and what none in [-reach, reach] costs less than."""
    ends = np.linspace(-reach, reach, PARTS**2 + 1)
    low, high = ends[:-1], ends[1:]
    least, passed, seen = numbers.cost(gain), np.inf, 0
    while len(low):
        seen += len(low)
        middle = (low + high) / 2
        costs = numbers.least(middle, middle)
        if costs.min() < least:
            least, gain = float(costs.min()), float(middle[costs.argmin()])
        bounds = numbers.least(low, high)
        left = bounds < least * (1 - CLOSE)
        if seen + PARTS * left.sum() > LIMIT:
            left[:] = False  # the gap says how far it went
        passed = min(passed, float(bounds[~left].min(initial=np.inf)))
        edges = low[left, None] + (high - low)[left, None] * np.linspace(0, 1, PARTS + 1)
        low, high = edges[:, :-1].ravel(), edges[:, 1:].ravel()
    return gain, passed


def _amplified(game: LinearGaussianGame, chosen: LinearGaussianPolicy, response: LinearGaussianResponse) -> float:
    """By how much an error of what is left of the state comes out larger in what is summed over all stages."""
    gain = chosen.gain.item()
    answered = response.state_gain.item() + response.action_gain.item() * gain
    left = game.state_matrix.item() + game.follower_matrix.item() * answered + game.leader_matrix.item() * gain
    return float(1 / (1 - game.leader_discount * left**2))

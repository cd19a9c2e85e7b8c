"""Many ascents on the exact hypergradient, from starts that differ in kind.

The first start is the commitment itself. Then come strong solutions, where there are linear programs for them: each
of the best ones, and a configuration beside it under which the follower prefers what it should do by some
temperatures. Then commitments from all over their space, with bounds and near-deterministic policies among them: the
best of many, and others that are unlike these. Then random parameters, and some around the best end so far. Where
there are many parameters, and not too many states, these begin with steps of Adam, which cross plateaus; some at a
temperature that falls to the follower's, some with the cost of the leader's lever phased in.

The objective is measured from its first value, in units of how much it differs between starts: so the optimiser's
tolerances mean the same whatever the units of the rewards, and whatever constant is in them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import PrecisionError
from stackelberg_games.exact.adjoint import adjoint_objective
from stackelberg_games.exact.posed import Posed, pose, under
from stackelberg_games.exact.starts import guided_starts, spread_starts
from stackelberg_games.kinds.embedded import EmbeddedGame
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.numerics.adam import Adam
from stackelberg_games.numerics.randomness import check_seed
from stackelberg_games.progress import Advance, patiently
from stackelberg_games.rules.commitment import Commitment, assign, flatten

BOUND = 40.0
"""Of every parameter."""

FEW = 10
"""Parameters up to which no plateaus are to be crossed."""

LARGE = 500
"""States from which on the steps of Adam are left out, for each of them costs as much as one of L-BFGS."""

STEPS, SETTLED, RATE = 200, 140, 0.1
"""Of Adam; from the second number on at the game's own temperature and cost."""

FAR = 4.0
"""Parameters beyond are tried at ``BOUND``."""

SCREENED, KEPT = 32, 2**26
"""Commitments that are looked at for each start, and numbers that all of them hold where that allows one for each."""

LOOKED = 20
"""Per cent of a search after which they have been looked at, as it is shown."""

POLISHED, RESTARTS = 3, 5
"""How many of the best ends are climbed further, and how often at most: a restart forgets a wrong curvature."""

CLOSE = 1e-3


class Walk(NamedTuple):
    """How an ascent begins: factor on the temperature, and the part of the cost of the leader's lever that counts."""

    heat: float = 1.0
    share: float = 1.0


WALKS = (Walk(5.0), Walk(share=0.0), Walk(), Walk(5.0, 0.0))


class End(NamedTuple):
    """Where an ascent ended."""

    value: float
    point: FloatArray


class Found(NamedTuple):
    """What a search found.

    Attributes:
        point: the best parameters.
        ends: the values of all ascents, best first, less a constant.
        reached: how many ended within ``CLOSE`` of the best, in units of the objective.
    """

    point: FloatArray
    ends: list[float]
    reached: int


def search(
    game: TabularGame | EmbeddedGame,
    template: Commitment,
    temperature: float,
    starts: int,
    seed: int,
    known: FloatArray | None = None,
) -> Found:
    """The best end of many ascents.

    Args:
        game: a finite game.
        template: class of the commitment and first start; its parameters are overwritten.
        temperature: of the follower, > 0.
        starts: how many ascents, >= 1.
        seed: of all that is drawn.
        known: parameters that are known to be good; the second start.

    Raises:
        PrecisionError: double precision cannot tell the objective at the first start.
    """
    ends: list[End] = []
    with patiently("of the search for a best commitment") as advance:
        landscape = Landscape(game, template, temperature, advance)
        for point, walk in itertools.islice(_begun(landscape, starts, seed, ends, known), starts):
            walks = len(point) > FEW and len(game.initial_distribution) < LARGE
            ends.append(landscape.climb(landscape.walk(point, walk) if walks else point, 1e-9))
            landscape.done = LOOKED + (99 - LOOKED) * len(ends) // starts
        ends.sort(key=lambda end: end.value, reverse=True)
        ends[:POLISHED] = [_polished(landscape, end) for end in ends[:POLISHED]]
    ends.sort(key=lambda end: end.value, reverse=True)
    values = [end.value for end in ends]
    reached = sum(value >= values[0] - CLOSE * landscape.unit for value in values)
    return Found(ends[0].point, values, reached)


def _polished(landscape: Landscape, end: End) -> End:
    """The end of finer ascents; parameters that have gone far may go all the way, for slopes vanish out there."""
    for _ in range(RESTARTS):
        finer = landscape.climb(end.point, 1e-15)
        for side in (-1.0, 1.0):
            far = side * finer.point > FAR
            if far.any() and (side * finer.point[far] < BOUND).any():
                saturated = landscape.climb(np.where(far, side * BOUND, finer.point), 1e-15)
                finer = max(finer, saturated, key=lambda one: one.value)
        gain, end = finer.value - end.value, max(finer, end, key=lambda one: one.value)
        if gain <= 1e-13 * landscape.unit:
            break
    return end


def _begun(
    landscape: Landscape, starts: int, seed: int, ends: list[End], known: FloatArray | None
) -> Iterator[tuple[FloatArray, Walk]]:
    """Starts, the last of them around the best of ``ends``."""
    game, template = landscape.game, landscape.template
    draws = np.random.default_rng(check_seed(seed))
    first = flatten(template).numpy()
    landscape(first)
    screened = spread_starts(template, min(SCREENED * starts, max(starts, KEPT // len(first))), draws)
    values: list[float] = []
    with torch.no_grad():
        for point in screened:
            values.append(landscape(point)[0])
            landscape.done = LOOKED * len(values) // len(screened)
    landscape.measure([0.0, *values])
    yield first, Walk()
    guided = [] if known is None else [known]
    guided += guided_starts(game, template, landscape.temperature)[: starts // 4]
    yield from ((point, Walk()) for point in guided)
    left = starts - 1 - len(guided)
    looked_at = (left + 1) // (2 if len(first) <= FEW else 5)
    yield from ((point, Walk()) for point in _best_and_unlike(screened, np.array(values), looked_at))
    for index in range(left - looked_at):
        if index % 3 == 2:
            yield _around(max(ends, key=lambda end: end.value).point, first, index, draws), Walk()
        else:
            walk = WALKS[(index - index // 3) % len(WALKS)]
            yield first + draws.normal(scale=3.0, size=first.shape), walk


def _best_and_unlike(points: list[FloatArray], values: FloatArray, count: int) -> list[FloatArray]:
    """Points of high value; every other one is chosen for being far from those before."""
    order = np.argsort(-values)[: 8 * count]
    squashed = np.tanh(0.5 * np.array([points[index] for index in order]))
    chosen: list[int] = []
    for number in range(min(count, len(order))):
        rank = np.arange(len(order)) / len(order)
        rank[chosen] = np.inf
        if number % 2:
            apart = np.abs(squashed[:, None] - squashed[chosen]).sum(axis=2).min(axis=1)
            rank -= 2 * apart / max(apart.max(), 1e-300)
        chosen.append(int(rank.argmin()))
    return [points[order[index]] for index in chosen]


def _around(point: FloatArray, first: FloatArray, index: int, draws: np.random.Generator) -> FloatArray:
    """A point moved a little everywhere, or far in some of its parameters."""
    moved = np.clip(point, -8.0, 8.0)
    if index % 2:
        return moved + draws.normal(size=moved.shape)
    redrawn = draws.random(moved.shape) < 0.25
    redrawn[draws.integers(moved.size)] = True
    return np.where(redrawn, first + draws.normal(scale=3.0, size=moved.shape), moved)


class Landscape:
    """The leader's objective as a function of a commitment's parameters, less its first value.

    Args:
        game: a finite game.
        template: the commitment; its parameters are overwritten.
        temperature: of the follower.
        advance: is told how often it was evaluated.

    Attributes:
        done: per cent of the search.
    """

    def __init__(
        self, game: TabularGame | EmbeddedGame, template: Commitment, temperature: float, advance: Advance
    ) -> None:
        self.game, self.template, self.temperature, self.advance = game, template, temperature, advance
        self.done, self.evaluations = 0, 0
        self.unit, self.worst = 1.0, 0.0
        self._origin: tuple[float, float] | None = None
        self._values: FloatArray | None = None
        self._slope = 0.0

    def __call__(self, point: FloatArray, walk: Walk = Walk()) -> tuple[float, FloatArray]:  # noqa: B008 (immutable)
        """Value and gradient at parameters; where double precision cannot tell them, no more than the worst value."""
        assign(self.template, torch.from_numpy(point))
        self.evaluations += 1
        self.advance(self.done, f"{self.evaluations} commitments evaluated")
        try:
            found = adjoint_objective(self.game, self._posed(walk.share), walk.heat * self.temperature, self._values)
        except PrecisionError:
            if self._origin is None:
                raise
            return self.worst, np.zeros_like(point)
        self._values = found.values
        if self._origin is None:
            self._origin = found.value, found.constant
        value = found.value - self._origin[0] + (found.constant - self._origin[1])
        self.worst = min(self.worst, value)
        if not found.surrogate.requires_grad:
            return value, np.zeros_like(point)
        slopes = torch.autograd.grad(found.surrogate, list(self.template.parameters()), materialize_grads=True)
        gradient = torch.cat([slope.ravel() for slope in slopes]).numpy()
        self._slope = max(self._slope, float(np.abs(gradient).max()))
        return value, gradient

    def _posed(self, share: float) -> Posed:
        """The game under the commitment, with a part of the cost of the leader's lever."""
        if isinstance(self.game, EmbeddedGame) or share == 1:
            return under(self.game, self.template)
        model, base = self.game.model(self.template), self.game.tables().leader_reward
        return pose(self.game, model._replace(leader_reward=base + share * (model.leader_reward - base)), entered=True)

    def measure(self, values: list[float]) -> None:
        """Take the unit from values, and from the slopes so far where they are all alike."""
        self.unit = (max(values) - min(values)) or self._slope or 1.0

    def walk(self, point: FloatArray, walk: Walk) -> FloatArray:
        """Where steps of Adam lead."""
        parameters = torch.tensor(point, requires_grad=True)
        optimizer = Adam([parameters], RATE, maximize=True, fused=False)
        for step in range(STEPS):
            left = max(0.0, 1.0 - step / SETTLED)
            now = Walk(1.0 + (walk.heat - 1.0) * left**2, 1.0 - (1.0 - walk.share) * left)
            _, gradient = self(parameters.detach().numpy(), now)
            parameters.grad = torch.from_numpy(gradient / self.unit)
            optimizer.step()
        return parameters.detach().numpy()

    def climb(self, point: FloatArray, tolerance: float) -> End:
        """Where L-BFGS ends that stops at gains of less than ``tolerance`` units."""

        def negative(x: FloatArray) -> tuple[float, FloatArray]:
            value, gradient = self(x)
            return -value / self.unit, -gradient / self.unit

        options = {"maxiter": 2000, "maxfun": 5000, "ftol": tolerance, "gtol": 1e-10}
        bounds = [(-BOUND, BOUND)] * len(point)
        start = np.clip(point, -BOUND, BOUND)
        found = minimize(negative, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        return End(-float(found.fun) * self.unit, np.asarray(found.x))

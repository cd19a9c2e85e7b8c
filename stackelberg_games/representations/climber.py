"""Climbing the exact hypergradient of a fitted game with every batch, and the settings of planning."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError, SolverError
from stackelberg_games.numerics.adam import Adam
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.numerics.stateful import Stateful
from stackelberg_games.representations.protocol import Fitted, Manner, Representation
from stackelberg_games.rules.commitment import Commitment, assign, flatten

RADIUS = 0.4
"""How far the first climb may go where plans have to be proved."""


@dataclass(frozen=True)
class Planning:
    """How a leader plans.

    Args:
        rate: learning rate of Adam, > 0.
        steps: ascent steps with every batch, or from each start, >= 1.
        starts: starts of every planning; 0 climbs from where it is with every batch instead.
        explore: first commitments, drawn at random with deviation ``reach``.
        reach: see ``explore``; also of the starts of planning.
        hold: batches for which it plays a commitment before the next, where it plans from starts.
        replan: commitments after which it plans again; in between it plays what planning found, the
            best ends in turn, so that it learns where they lead. 0 plans once.
        heat: factor on the temperature, >= 1, with which every other start begins.
        cold_share: share of its own cost with which starts begin, in [0, 1].
        belief: transitions that it takes the follower to plan with: those ``"played"``, or
            ``"estimated"`` from the follower's behaviour too (``exact.belief``): then it plans
            under both, and the replies seen judge.

    Raises:
        InvalidArgumentError: a number is out of range.
    """

    rate: float = 0.02
    steps: int = 1
    starts: int = 0
    explore: int = 0
    reach: float = 3.0
    hold: int = 1
    replan: int = 0
    heat: float = 10.0
    cold_share: float = 0.0
    belief: Literal["played", "estimated"] = "played"

    def __post_init__(self) -> None:
        counts_fit = min(self.explore, self.starts, self.replan) >= 0 and min(self.steps, self.hold) >= 1
        if not (counts_fit and self.rate > 0 and self.heat >= 1 and self.reach >= 0 and 0 <= self.cold_share <= 1):
            raise InvalidArgumentError(
                f"{self}: expected explore, starts, replan, reach >= 0, steps, hold >= 1, rate > 0, heat >= 1 and "
                "cold_share in [0, 1]"
            )
        if self.belief not in ("played", "estimated"):
            raise InvalidArgumentError(f"belief={self.belief!r}: expected 'played' or 'estimated'")


class Climber(Stateful):
    """Climbs the fitted objective with every batch, from where it is.

    Args:
        settings: without ``starts``, or with those of a first planning where ``keeps``.
        commitment: of the first episode; random ones take its place while it explores.
        temperature: the follower's.
        seed: of starts and explorations.
        manner: see ``Manner``.
    """

    keeps: ClassVar[tuple[str, ...]] = ("optimizer", "batches", "random")

    def __init__(
        self, settings: Planning, commitment: Commitment, temperature: float, seed: int, manner: Manner
    ) -> None:
        self.settings, self.commitment, self.temperature, self.manner = settings, commitment, temperature, manner
        self.random = generator(seed, manner.lane)
        self.batches = 0
        self.optimizer = self._adam()
        if settings.explore:
            assign(commitment, self._drawn())

    def _adam(self) -> Adam:
        return Adam(self.commitment.parameters(), self.settings.rate, maximize=True)

    def _drawn(self) -> Tensor:
        size = len(flatten(self.commitment))
        return torch.from_numpy(self.random.normal(scale=self.settings.reach, size=size))

    def improve(self, learned: Representation, returns: FloatArray) -> dict[str, float]:
        """After a batch was observed: choose what is played next; figures to log.

        Args:
            learned: what was learned, the batch included.
            returns: the leader's in the batch, ``[N]``.
        """
        self.batches += 1
        if self.batches < self.settings.explore:
            assign(self.commitment, self._drawn())
            return {}
        try:
            model = learned.fitted()
        except InvalidGameError:  # too little was seen to determine it
            return {"steps": 0.0}
        begins = [flatten(self.commitment)]
        if self.batches == max(1, self.settings.explore):
            begins += [self._drawn() for _ in range(self.settings.starts)]
        ends = [self._climb(model, begin) for begin in begins]
        value, best, steps = max(ends, key=lambda end: end[0])
        assign(self.commitment, best)
        return {"steps": float(steps)} if value == -np.inf else {"steps": float(steps), "model_value": value}

    def _climb(self, model: Fitted, begin: Tensor) -> tuple[float, Tensor, int]:
        """Steps of Adam from a start: the value, where it was, and how many steps there were."""
        if self.manner.fresh:
            assign(self.commitment, begin)
            self.optimizer = self._adam()
        best, value, steps = begin, -np.inf, 0
        for _ in range(self.settings.steps + self.manner.fresh):
            self.optimizer.zero_grad()
            try:
                reached, pull = model.objective(self.commitment, self.temperature)
            except SolverError:  # the fitted follower has no response here; what was found before is kept
                break
            if reached > value or not self.manner.keeps:
                best, value = flatten(self.commitment), reached
            pull.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            steps += 1
            if self._too_far(model):
                break
        return value, best if self.manner.keeps else flatten(self.commitment), steps

    def _too_far(self, model: Fitted) -> bool:
        """Whether a climb has left what the model can be trusted with."""
        return False

    def recommendation(self, learned: Representation) -> Commitment:
        """What is played."""
        return self.commitment


class Proven(Climber):
    """A climber whose plans are bounded and have to hold what they promise, as trust regions do.

    What was played and earned as much as what was best before, up to the standard error of the difference, is the best
    from then on, and the next climb may go twice as far. Where it earned less, the next climb begins at the best again, on a
    model that has seen what went wrong, and may go half as far.
    """

    best: tuple[Tensor, float, float] | None = None
    """Parameters, mean return and its variance."""
    radius = RADIUS / 2
    """How far a climb may go, in ``Fitted.distance``."""

    def improve(self, learned: Representation, returns: FloatArray) -> dict[str, float]:
        """See ``Climber.improve``."""
        mean = float(returns.mean())
        error = float(returns.var(ddof=1)) / len(returns) if len(returns) > 1 else mean**2
        confirmed = self.best is None or mean >= self.best[1] - (error + self.best[2]) ** 0.5
        self.radius = self.radius * 2 if confirmed else self.radius / 2
        if confirmed:
            self.best = flatten(self.commitment), mean, error
        elif self.best is not None:
            assign(self.commitment, self.best[0])
        self.begun = copy.deepcopy(self.commitment)
        return {"confirmed": float(confirmed), **super().improve(learned, returns)}

    def _too_far(self, model: Fitted) -> bool:
        return model.distance(self.commitment, self.begun) > self.radius

    def recommendation(self, learned: Representation) -> Commitment:
        """The best that was played; the first commitment before that."""
        if self.best is None:
            return self.commitment
        found = copy.deepcopy(self.commitment)
        assign(found, self.best[0])
        return found

    def state_dict(self) -> dict[str, Any]:
        """See ``Climber.state_dict``."""
        return {**super().state_dict(), "best": self.best, "radius": self.radius}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Climber.load_state_dict``."""
        super().load_state_dict(state)
        self.radius = float(state["radius"])
        if state["best"] is not None:
            parameters, mean, error = state["best"]
            self.best = torch.as_tensor(parameters).clone(), float(mean), float(error)

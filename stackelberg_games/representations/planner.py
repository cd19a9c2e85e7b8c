"""Planning in a fitted game from many starts, and the choice between that and climbing with every batch.

Gradient ascent alone finds the nearest local optimum. Before it a leader can explore with random
commitments and then plan on its estimate from several starts, for which it anneals what it is free
to imagine: the follower's temperature (from ``heat`` times the true one), and the cost of its own
configuration (from ``cold_share`` of it).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError, SolverError
from stackelberg_games.numerics.adam import Adam
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.representations.climber import Climber, Planning, Proven
from stackelberg_games.representations.protocol import Fitted, Representation
from stackelberg_games.rules.commitment import Commitment, assign, flatten

REMEMBERED = 64
"""Commitments whose replies are kept, the least recently played forgotten first."""

KEPT = 4
"""Ends of a planning that are played."""

COARSE = 1e-9
"""Tolerance on the follower's values while many ascents are made."""


FROM_STARTS = ("hold", "replan", "heat", "cold_share", "belief")
"""Settings that count where it plans from starts only."""


FINITE = Planning(steps=500)
"""From several starts, where the leader does not say."""


def planning(settings: Mapping[str, Any], learned: Representation) -> Planning:
    """The planning that settings describe, such as ``{"starts": 8}``.

    Raises:
        InvalidArgumentError: there is no such setting, or it would make no difference with this representation.
    """
    usual = Planning(rate=learned.manner.rate, steps=learned.manner.steps)
    several = bool(settings.get("starts", 0))
    drawn = several or bool(settings.get("explore", 0))
    for name in settings:
        if name not in learned.planning:
            raise InvalidArgumentError(
                f"planning.{name}: planning with {learned.name} makes no use of such a setting; it makes use of "
                f"{', '.join(learned.planning)}"
            )
        if not (drawn if name == "reach" else several or name not in FROM_STARTS):
            raise InvalidArgumentError(f"planning.{name}: has an effect only where planning.starts is above 0")
    return replace(FINITE if several and not learned.manner.keeps else usual, **settings)


def planner_of(
    settings: Mapping[str, Any], learned: Representation, commitment: Commitment, temperature: float, seed: int
) -> Climber | Planner:
    """What plans with the game fitted by a representation; see ``planning``."""
    chosen = planning(settings, learned)
    if chosen.starts and not learned.manner.keeps:
        return Planner(chosen, commitment, temperature, seed)
    if learned.manner.proves:
        return Proven(chosen, commitment, temperature, seed, learned.manner)
    return Climber(chosen, commitment, temperature, seed, learned.manner)


@dataclass
class Tried:
    """A commitment's parameters, and the replies that were seen under it, added up."""

    parameters: FloatArray
    replies: Any = None


class Planner:
    """Plays random commitments first, then what planning from several starts found.

    Args:
        settings: with ``starts`` above 0.
        commitment: of the first episode; random ones take its place while it explores.
        temperature: the follower's.
        seed: of starts and explorations.
    """

    def __init__(self, settings: Planning, commitment: Commitment, temperature: float, seed: int) -> None:
        self.settings, self.commitment, self.temperature = settings, commitment, temperature
        self.random = generator(seed, 6)
        self.first = flatten(commitment)
        self.tried: list[Tried] = []
        self.candidates: list[FloatArray] = []
        self.belief: Any = None
        self.batches = 0
        self._judged: tuple[int, Commitment] | None = None
        if settings.explore:
            assign(commitment, self._drawn())

    def _drawn(self) -> Tensor:
        return torch.from_numpy(self.random.normal(scale=self.settings.reach, size=len(self.first)))

    def improve(self, learned: Representation, returns: FloatArray) -> dict[str, float]:
        """See ``Climber.improve``; replies that were seen tell more than returns."""
        self._note(learned.replies())
        self.batches += 1
        turn, rest = divmod(self.batches, self.settings.hold)
        if rest:
            return {}
        if turn < self.settings.explore:
            assign(self.commitment, self._drawn())
            return {}
        figures, turn = {}, turn - max(1, self.settings.explore)
        if turn == 0 or (self.settings.replan > 0 and turn % self.settings.replan == 0):
            figures["planned_value"] = self._plan(learned)
        number = turn % len(self.candidates) if self.settings.replan > 0 else 0
        assign(self.commitment, torch.from_numpy(self.candidates[number]))
        return figures

    def _note(self, replies: Any) -> None:
        """Add the replies to the record of the commitment in force, which moves to the end of what is remembered."""
        parameters = flatten(self.commitment).numpy()
        for number in reversed(range(len(self.tried))):
            if np.array_equal(self.tried[number].parameters, parameters):
                self.tried.append(self.tried.pop(number))
                break
        else:
            self.tried = [*self.tried[1 - REMEMBERED :], Tried(parameters)]
        if replies is not None:
            last = self.tried[-1].replies
            self.tried[-1].replies = replies if last is None else last + replies

    def recommendation(self, learned: Representation) -> Commitment:
        """The planned commitment of the highest value given the replies seen; what is played before any was planned."""
        if not self.candidates:
            return self.commitment
        if self._judged is None or self._judged[0] != self.batches:
            model, best = self._models(learned)[0], copy.deepcopy(self.commitment)
            values = []
            for candidate in self.candidates:
                assign(best, torch.from_numpy(candidate))
                values.append(model.judged(best, self.temperature, self._seen_under(candidate)))
            assign(best, torch.from_numpy(self.candidates[int(np.argmax(values))]))
            self._judged = (self.batches, best)
        return self._judged[1]

    def _seen_under(self, parameters: FloatArray) -> Any:
        found = [tried.replies for tried in self.tried if np.array_equal(tried.parameters, parameters)]
        return found[-1] if found else None

    def _models(self, learned: Representation) -> list[Fitted]:
        """The game fitted to all that was observed so far: one for each belief."""
        plain = learned.fitted()
        plain.tolerance = COARSE
        return [plain] if self.belief is None else [plain.under(self.belief), plain]

    def _believe(self, learned: Representation) -> None:
        """Estimate what the follower believes from all replies that are remembered."""
        played = []
        for tried in self.tried:
            commitment = copy.deepcopy(self.commitment)
            assign(commitment, torch.from_numpy(tried.parameters))
            played.append((commitment, tried.replies))
        self.belief = self._models(learned)[-1].believe(played, self.temperature, self.belief)

    def _plan(self, learned: Representation) -> float:
        """Climb on the estimate from several starts and keep the best ends; the best estimated value."""
        kept = [flatten(self.recommendation(learned)).numpy()] if self.candidates else []
        if self.settings.belief == "estimated":
            self._believe(learned)
        models = self._models(learned)
        ends: list[list[tuple[float, FloatArray]]] = [[] for _ in models]
        for number in range(self.settings.starts):
            which, heat = number // 2 % len(ends), self.settings.heat if number % 2 else 1.0
            assign(self.commitment, self._drawn() if number or kept else self.first)
            ends[which].append(self._climb(models[which], heat, self.settings.cold_share))
        for parameters in kept:  # what was best before goes on from where it was
            for found, model in zip(ends, models, strict=True):
                assign(self.commitment, torch.from_numpy(parameters))
                found.append(self._climb(model, 1.0, 1.0))
        for found in ends:
            found.sort(key=lambda end: end[0], reverse=True)
        # The best so far is played on beside the new plans.
        self.candidates = [end for found in ends for _, end in found[: KEPT // len(ends)]] + kept
        return max(found[0][0] for found in ends if found)

    def _climb(self, model: Fitted, heat: float, share: float) -> tuple[float, FloatArray]:
        """One ascent that begins at ``heat`` times the temperature and ``share`` of the leader's cost.

        Returns:
            The best estimated value of the true problem on the way, and its parameters.
        """
        steps = self.settings.steps
        annealed = 0.7 * steps if heat > 1 or share < 1 else 1.0

        def objective(step: int) -> tuple[float, Tensor, bool]:
            left = max(0.0, 1.0 - step / annealed)
            temperature = self.temperature * (1 + (heat - 1) * left**2)
            return *model.objective(self.commitment, temperature, 1.0 - (1.0 - share) * left), left == 0.0

        best, value = flatten(self.commitment), -np.inf
        optimizer = Adam(self.commitment.parameters(), self.settings.rate, maximize=True)
        for step in range(steps + 1):
            optimizer.zero_grad()
            try:
                reached, pull, true = objective(step)
            except SolverError:  # the fitted follower has no response here; what was found before is kept
                break
            if true and reached > value:
                best, value = flatten(self.commitment), reached
            pull.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return value, np.asarray(best.numpy())

    def state_dict(self) -> dict[str, Any]:
        """What was tried, plans, belief and the random state."""
        return {
            "batches": self.batches,
            "first": self.first,
            "candidates": list(self.candidates),
            "tried": [[tried.parameters, tried.replies] for tried in self.tried],
            "belief": self.belief,
            "random": self.random.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a stored state."""
        self.batches, self.first = int(state["batches"]), torch.as_tensor(np.array(state["first"]))
        self.candidates = [np.array(end) for end in state["candidates"]]
        self.tried = [Tried(np.array(one), None if two is None else np.array(two)) for one, two in state["tried"]]
        self.belief = None if state["belief"] is None else np.array(state["belief"])
        self.random.bit_generator.state = state["random"]
        self._judged = None

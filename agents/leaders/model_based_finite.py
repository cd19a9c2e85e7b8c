"""Model-based hypergradient in finite games: count, plan on the estimate, play the plans, count again.

Transitions and rewards are the observed frequencies and means, the configuration enters through the
leader's lever, and the follower is the soft-optimal response to the estimate. A reply that was
never seen in a state is not expected there.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.agents.leaders.policy_gradient import PolicyGradient
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InformationError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.exact.belief import Behaviour, confused, estimate_confusion
from stackelberg_games.exact.objective import leader_objective, leader_value
from stackelberg_games.exact.response import Arrays
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.kernel import kernel
from stackelberg_games.learning.information import Evidence
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.representations.configured_counts import ConfiguredEstimator
from stackelberg_games.representations.planning import ByAdjoint, ByDifferentiation, Incentives
from stackelberg_games.rules.commitment import Commitment, assign, flatten
from stackelberg_games.rules.trajectories import table_of
from stackelberg_games.rules.view import LeaderView

UNSEEN = -1e6
"""Follower reward of replies that were never seen, so that no temperature makes them likely."""

REMEMBERED = 64
"""Commitments whose replies are kept, the least recently played forgotten first."""

KEPT = 4
"""Ends of a planning that are played."""

TRUSTED = 5.0
"""Observed replies in a state that count as much as the response that the estimate expects there."""


@dataclass
class Played:
    """A commitment's parameters, and how often each reply ``[S, A, B]`` was seen under it."""

    parameters: FloatArray
    counts: FloatArray


@dataclass
class FiniteModel(PolicyGradient):
    """The form of ``ModelBased`` for finite games; the settings are explained there."""

    explore: int = 0
    reach: float = 3.0
    starts: int = 0
    steps: int = 500
    heat: float = 10.0
    replan: int = 0
    cold_share: float = 0.0
    hold: int = 1
    belief: Literal["played", "estimated"] = "played"

    needs_follower_rewards: ClassVar[bool] = True
    needs_temperature: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        counts_fit = min(self.explore, self.starts, self.replan) >= 0 and min(self.steps, self.hold) >= 1
        if not (counts_fit and self.heat >= 1 and self.reach >= 0):
            raise InvalidArgumentError(
                f"{self}: expected explore, starts, replan, reach >= 0, steps, hold >= 1 and heat >= 1"
            )
        if self.belief not in ("played", "estimated"):
            raise InvalidArgumentError(f"belief={self.belief!r}: expected 'played' or 'estimated'")

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``."""
        super().begin(view, seed=seed, commitment=commitment)
        lever = view.lever
        self.rewards_only = lever is not None and not lever.moves_transitions and view.horizon is None
        self.rewards_only = self.rewards_only and self.estimator.recent.shape[1] == 1
        if self.belief == "estimated" and not self.rewards_only:
            raise UnsupportedGameError("belief='estimated' needs an endless game whose leader configures rewards only")
        self.random = generator(seed, 6)
        self.starts_seen = np.zeros(view.sizes()[0])
        self.first = flatten(self.commitment)
        self.played: list[Played] = []
        self.candidates: list[FloatArray] = []
        self.confusion: FloatArray | None = None
        self._judged: tuple[int, Commitment] | None = None
        if self.explore:
            assign(self.commitment, self._drawn())

    def _drawn(self) -> Tensor:
        return torch.from_numpy(self.random.normal(scale=self.reach, size=len(self.first)))

    def observe(self, evidence: Evidence) -> None:
        """Add the batch to the estimate."""
        batch = evidence.require_trajectories()
        if batch.follower_rewards is None:
            raise InformationError("model_based needs the follower's rewards in its trajectories")
        configuration = self.commitment.configuration()
        if isinstance(self.estimator, ConfiguredEstimator):
            assert configuration is not None
            self.estimator.observe_under(batch, configuration.detach())
        else:
            self.estimator.observe(batch)
        self.starts_seen += np.bincount(batch.states[:, 0], minlength=len(self.starts_seen))
        self.updates += 1
        if self.starts == 0 and self.updates >= self.explore:
            self.estimate_game = self._estimate()
        elif self.starts:
            ones = np.ones(batch.leader_rewards.shape)
            self._current().counts += table_of(batch, ones, self.estimator.shape)

    def _current(self) -> Played:
        """The record of the commitment in force, moved to the end of what is remembered."""
        parameters = flatten(self.commitment).numpy()
        for number in reversed(range(len(self.played))):
            if np.array_equal(self.played[number].parameters, parameters):
                self.played.append(self.played.pop(number))
                return self.played[-1]
        self.played = [*self.played[1 - REMEMBERED :], Played(parameters, np.zeros(self.estimator.recent.shape))]
        return self.played[-1]

    def update(self, evidence: Evidence) -> dict[str, float]:
        """Explore, then plan and play what planning found; or climb with every batch."""
        if self.starts == 0 and self.updates >= self.explore - 1:
            return super().update(evidence)
        self.observe(evidence)
        turn, rest = divmod(self.updates, self.hold if self.starts else 1)
        if rest:
            return {}
        if turn < self.explore:
            assign(self.commitment, self._drawn())
            return {}
        figures, turn = {}, turn - max(1, self.explore)
        if turn == 0 or (self.replan > 0 and turn % self.replan == 0):
            figures["planned_value"] = self._plan()
        number = turn % len(self.candidates) if self.replan > 0 else 0
        assign(self.commitment, torch.from_numpy(self.candidates[number]))
        return figures

    @property
    def recommendation(self) -> Commitment:
        """The planned commitment of the highest value under the replies seen, or the commitment where it climbs.

        The value is that in the estimate, against a response in which the replies that were seen
        outweigh those that the estimate expects. So it also holds where the follower does not plan
        with the transitions that the leader observes.
        """
        if not self.candidates:
            return self.commitment
        if self._judged is None or self._judged[0] != self.updates:
            self._prepare()
            best = copy.deepcopy(self.commitment)
            values = []
            for candidate in self.candidates:
                assign(best, torch.from_numpy(candidate))
                values.append(self._value(best))
            assign(best, torch.from_numpy(self.candidates[int(np.argmax(values))]))
            self._judged = (self.updates, best)
        return self._judged[1]

    def _value(self, commitment: Commitment) -> float:
        """The estimated value of a commitment under the replies seen so far."""
        assert self.view.temperature is not None
        expected = self.objectives[0].response(commitment, self.view.temperature)
        parameters = flatten(commitment).numpy()
        seen = np.zeros_like(expected)
        for played in self.played:
            if np.array_equal(played.parameters, parameters):
                seen = played.counts
        if not self.view.follower_sees_action:
            seen = np.broadcast_to(seen.sum(axis=1, keepdims=True), seen.shape)
        weights = seen + TRUSTED * expected
        return leader_value(self.estimate_game, commitment, weights / weights.sum(axis=2, keepdims=True))

    def surrogate(self, evidence: Evidence) -> Tensor:
        """The leader's objective in the estimated game."""
        assert self.view.temperature is not None
        return leader_objective(self.estimate_game, self.commitment, self.view.temperature)

    def _estimate(self) -> TabularGame:
        """The estimated game; unseen replies keep the state and are never worth making."""
        estimator, view = self.estimator, self.view
        visits = estimator.totals
        scale = 1.0 / estimator.weights
        transition = estimator.visits * scale[..., None]
        unseen = np.nonzero(visits == 0)
        transition[(*unseen, unseen[0])] = 1.0
        leader, follower = estimator.leader_rewards * scale, estimator.follower_rewards * scale
        follower = np.where((visits == 0) & (visits.sum(axis=2, keepdims=True) > 0), UNSEEN, follower)
        initial = self.starts_seen / self.starts_seen.sum()
        settings: dict[str, Any] = {
            "leader_discount": view.leader_discount,
            "follower_discount": view.follower_discount,
            "horizon": view.horizon,
            "terminal": ~estimator.alive,
            "name": "estimate",
        }
        self.incentives: Incentives | None = None
        if not isinstance(estimator, ConfiguredEstimator):
            sees = view.follower_sees_action
            return TabularGame(transition, leader, follower, initial, follower_sees_action=sees, **settings)
        self.incentives = Incentives(estimator.lever, estimator.known)
        size = estimator.configuration.numel()
        if leader.shape[1] > 1:
            tables = (transition, leader, follower)
            game = TabularGame(*tables, initial, configure=self.incentives, **settings)
        else:
            arrays = (transition[:, 0], leader[:, 0], follower[:, 0])
            game = ConfigurableGame(*arrays, initial, size=size, configure=self.incentives, **settings)
        self.incentives.base = game.tables()
        return game

    def _prepare(self) -> None:
        """Make the objectives that belong to all that was observed so far: one for each belief."""
        self.estimate_game = game = self._estimate()
        if not self.rewards_only:
            self.objectives: list[ByAdjoint | ByDifferentiation] = [ByDifferentiation(game, self.incentives)]
            return
        assert isinstance(game, ConfigurableGame)
        assert self.incentives is not None
        arrays, start = Arrays.of(game, game.single(game.base)), game.initial_distribution
        beliefs = [None] if self.confusion is None else [kernel(confused(arrays.transition, self.confusion)), None]
        self.objectives = [ByAdjoint(arrays, start, self.incentives, believed) for believed in beliefs]

    def _believe(self) -> None:
        """Estimate what the follower believes of the transitions from all replies that are remembered."""
        self._prepare()
        objective, commitment = self.objectives[-1], copy.deepcopy(self.commitment)
        assert isinstance(objective, ByAdjoint)
        assert self.view.temperature is not None
        behaviours = []
        for played in self.played:
            assign(commitment, torch.from_numpy(played.parameters))
            configuration = commitment.configuration()
            assert configuration is not None
            with torch.no_grad():
                game = objective.rewards(configuration)[0]
            behaviours.append(Behaviour(game.follower_reward, played.counts))
        temperature = self.view.temperature
        self.confusion = estimate_confusion(objective.arrays, temperature, behaviours, self.confusion)

    def _plan(self) -> float:
        """Climb on the estimate from several starts and keep the best ends; the best estimated value."""
        kept = [flatten(self.recommendation).numpy()] if self.candidates else []
        if self.belief == "estimated":
            self._believe()
        self._prepare()
        ends: list[list[tuple[float, FloatArray]]] = [[] for _ in self.objectives]
        for number in range(self.starts):
            which, heat = number // 2 % len(ends), self.heat if number % 2 else 1.0
            assign(self.commitment, self._drawn() if number or kept else self.first)
            ends[which].append(self._climb(self.objectives[which], heat, self.cold_share))
        for parameters in kept:  # what was best before goes on from where it was
            for found, objective in zip(ends, self.objectives, strict=True):
                assign(self.commitment, torch.from_numpy(parameters))
                found.append(self._climb(objective, 1.0, 1.0))
        for found in ends:
            found.sort(key=lambda end: end[0], reverse=True)
        # The best so far is played on beside the new plans.
        self.candidates = [end for found in ends for _, end in found[: KEPT // len(ends)]] + kept
        return max(found[0][0] for found in ends if found)

    def _climb(self, objective: ByAdjoint | ByDifferentiation, heat: float, share: float) -> tuple[float, FloatArray]:
        """One ascent that begins at ``heat`` times the temperature and ``share`` of the leader's cost.

        Returns:
            The best estimated value of the true problem on the way, and its parameters.
        """
        assert self.view.temperature is not None
        commitment, parameters = self.commitment, list(self.commitment.parameters())
        optimizer = torch.optim.Adam(parameters, lr=self.learning_rate, maximize=True, fused=True)
        best, value = flatten(commitment), -np.inf
        annealed = 0.7 * self.steps if heat > 1 or share < 1 else 1.0
        for step in range(self.steps + 1):
            left = max(0.0, 1.0 - step / annealed)
            optimizer.zero_grad()
            temperature = self.view.temperature * (1 + (heat - 1) * left**2)
            reached, pull = objective(commitment, temperature, 1.0 - (1.0 - share) * left)
            if left == 0.0 and reached > value:
                best, value = flatten(commitment), reached
            pull.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return value, np.asarray(best.numpy())

    def state_dict(self) -> dict[str, Any]:
        """What ``PolicyGradient`` keeps, first states, what was played, plans and the random state."""
        return {
            **super().state_dict(),
            "starts_seen": self.starts_seen,
            "random": self.random.bit_generator.state,
            "candidates": list(self.candidates),
            "played": [[played.parameters, played.counts] for played in self.played],
            "confusion": self.confusion,
        }

    def load_state_dict(self, state: Any) -> None:
        """See ``Leader.load_state_dict``."""
        super().load_state_dict(state)
        self.starts_seen = np.array(state["starts_seen"])
        self.candidates = [np.array(end) for end in state["candidates"]]
        self.played = [Played(np.array(parameters), np.array(counts)) for parameters, counts in state["played"]]
        self.confusion = None if state["confusion"] is None else np.array(state["confusion"])
        self.random.bit_generator.state = state["random"]
        self._judged = None

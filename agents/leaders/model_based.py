"""Model-based hypergradient: estimate the game from trajectories, then differentiate the estimate exactly.

Transitions and rewards are the observed frequencies and means, the configuration enters through the
leader's lever, and the follower is the soft-optimal response to the estimate. A reply that was
never seen in a state is not expected there.

Gradient ascent alone finds the nearest local optimum. Before it the leader can explore with random
commitments and then plan on its estimate from several starts, for which it anneals what it is free
to imagine: the follower's temperature (from ``heat`` times the true one), or the cost of its own
configuration (from zero).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from torch import Tensor

from stackelberg_games.adjoint import reward_objective
from stackelberg_games.agents.leaders.by_game import ByGame
from stackelberg_games.agents.leaders.model_based_configured_linear import ConfiguredLinearModel
from stackelberg_games.agents.leaders.model_based_linear import LinearModel
from stackelberg_games.agents.leaders.policy_gradient import PolicyGradient
from stackelberg_games.commitment import Commitment, assign, flatten
from stackelberg_games.configurable.estimation import ConfiguredEstimator
from stackelberg_games.configurable.game import ConfigurableGame
from stackelberg_games.configurable.lever import Lever, Stages
from stackelberg_games.errors import InformationError, InvalidArgumentError
from stackelberg_games.game import FloatArray, LeaderView
from stackelberg_games.information import Evidence
from stackelberg_games.leader import GradientLeader
from stackelberg_games.objective import leader_objective
from stackelberg_games.randomness import generator
from stackelberg_games.tabular import Tables, TabularGame

UNSEEN = -1e6
"""Follower reward of replies that were never seen, so that no temperature makes them likely."""


@dataclass
class FiniteForm(PolicyGradient):
    """The form for finite games; its settings are those of ``ModelBased``."""

    explore: int = 0
    reach: float = 3.0
    starts: int = 0
    steps: int = 500
    heat: float = 10.0
    replan: int = 0
    cold_share: float = 0.0

    needs_follower_rewards: ClassVar[bool] = True
    needs_temperature: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if (
            min(self.explore, self.starts, self.replan) < 0
            or self.steps < 1
            or not self.heat >= 1
            or not self.reach >= 0
        ):
            raise InvalidArgumentError(
                f"{self}: expected explore, starts, replan, reach >= 0, steps >= 1 and heat >= 1"
            )

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``."""
        super().begin(view, seed=seed, commitment=commitment)
        self.random = generator(seed, 6)
        self.starts_seen = np.zeros(view.sizes()[0])
        self.first = flatten(self.commitment)
        self.best = copy.deepcopy(self.commitment)
        self.candidates: list[FloatArray] = []
        self.scores: list[tuple[int, float, float]] = []
        self.champion, self.record = 0, -np.inf
        if self.explore:
            self._wander()

    def _wander(self) -> None:
        assign(self.commitment, torch.from_numpy(self.random.normal(scale=self.reach, size=len(self.first))))

    def observe(self, evidence: Evidence) -> None:
        """Add the batch to the estimate."""
        batch = evidence.require_trajectories()
        if batch.follower_rewards is None:
            raise InformationError("model_based needs the follower's rewards in its trajectories")
        configuration = self.commitment.configuration()
        if isinstance(self.estimator, ConfiguredEstimator):
            assert configuration is not None
            self.estimator.observe_under(batch, configuration)
        else:
            self.estimator.observe(batch)
        self.starts_seen += np.bincount(batch.states[:, 0], minlength=len(self.starts_seen))
        self.updates += 1
        if self.starts == 0 and self.updates >= self.explore:
            self.estimate_game = self._estimate()

    def update(self, evidence: Evidence) -> dict[str, float]:
        """Explore, then plan and play what planning found; or climb with every batch."""
        exploring = self.updates < self.explore - 1
        since = self.updates - max(0, self.explore - 1)
        if not exploring and self.starts == 0:
            figures = super().update(evidence)
            assign(self.best, flatten(self.commitment))
            return figures
        self.observe(evidence)
        if exploring:
            self._wander()
            return {}
        figures = {}
        if self.scores:
            self._score((since - 1) % len(self.candidates), evidence.leader_returns)
        if since == 0 or (self.replan > 0 and since % self.replan == 0):
            figures["planned_value"] = self._plan()
        if self.replan > 0:
            assign(self.commitment, torch.from_numpy(self.candidates[since % len(self.candidates)]))
        return figures

    def _score(self, number: int, returns: FloatArray) -> None:
        """Count the returns of a candidate; the best by its mean less a standard error is recommended.

        What was seen decides, not the estimate: it also holds where the follower does not plan with
        the transitions that the leader observes.
        """
        count, total, squares = self.scores[number]
        score = (count + len(returns), total + float(returns.sum()), squares + float(returns @ returns))
        self.scores[number] = score
        bound = _lower_bound(score)
        if number == self.champion or bound > self.record:
            self.champion, self.record = number, bound
            assign(self.best, torch.from_numpy(self.candidates[number]))

    @property
    def recommendation(self) -> Commitment:
        """The planned commitment with the best returns, or the commitment itself where it only climbs."""
        return self.best

    def surrogate(self, evidence: Evidence) -> Tensor:
        """The leader's objective in the estimated game."""
        assert self.view.temperature is not None
        return leader_objective(self.estimate_game, self.commitment, self.view.temperature)

    def _estimate(self) -> TabularGame:
        """The estimated game; unseen replies keep the state and are never worth making."""
        estimator, view = self.estimator, self.view
        visits = estimator.visits.sum(axis=3)
        scale = 1.0 / np.maximum(visits, 1.0)
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
        if not isinstance(estimator, ConfiguredEstimator):
            sees = view.follower_sees_action
            return TabularGame(transition, leader, follower, initial, follower_sees_action=sees, **settings)
        self.incentives = _Incentives(estimator.lever, estimator.known)
        size = estimator.configuration.numel()
        if leader.shape[1] > 1:
            tables = (transition, leader, follower)
            game = TabularGame(*tables, initial, configure=self.incentives, **settings)
        else:
            arrays = (transition[:, 0], leader[:, 0], follower[:, 0])
            game = ConfigurableGame(*arrays, initial, size=size, configure=self.incentives, **settings)
        self.incentives.base = game.tables()
        return game

    def _plan(self) -> float:
        """Climb on the estimate from several starts and keep the best end; its estimated value."""
        self.estimate_game = self._estimate()
        ends = []
        for number in range(self.starts + bool(self.candidates)):
            drawn = self.random.normal(scale=self.reach, size=len(self.first))
            if number == self.starts:  # what was best before goes on from where it was
                assign(self.commitment, flatten(self.best))
                ends.append((self._climb(1.0, 1.0), flatten(self.commitment).numpy()))
                continue
            assign(self.commitment, self.first if number < 2 else torch.from_numpy(drawn))
            hot = number % 2 == 0
            ends.append(
                (
                    self._climb(self.heat if hot else 1.0, 1.0 if hot else self.cold_share),
                    flatten(self.commitment).numpy(),
                )
            )
        ends.sort(key=lambda end: end[0], reverse=True)
        kept, score = flatten(self.best).numpy(), self.scores[self.champion] if self.scores else None
        self.candidates = [end for _, end in ends]
        self.scores = [(0, 0.0, 0.0)] * len(ends)
        if score is None:
            assign(self.best, torch.from_numpy(self.candidates[0]))
        else:  # the best so far is played on beside the new plans
            self.champion = len(ends)
            self.candidates.append(kept)
            self.scores.append(score)
        assign(self.commitment, torch.from_numpy(self.candidates[0]))
        return ends[0][0]

    def _climb(self, heat: float, share: float) -> float:
        """One ascent that begins at ``heat`` times the temperature and ``share`` of the leader's cost.

        Returns:
            The best estimated value of the true problem on the way, at which the commitment is left.
        """
        assert self.view.temperature is not None
        commitment = self.commitment
        optimizer = torch.optim.Adam(commitment.parameters(), lr=self.learning_rate, maximize=True, foreach=False)
        objective = _Objective(self.estimate_game, commitment)
        best, value = flatten(commitment), -np.inf
        annealed = 0.7 * self.steps if heat > 1 or share < 1 else 1.0
        for step in range(self.steps + 1):
            left = max(0.0, 1.0 - step / annealed)
            if isinstance(self.estimator, ConfiguredEstimator):
                self.incentives.share = 1.0 - (1.0 - share) * left
            optimizer.zero_grad()
            reached = objective(self.view.temperature * (1 + (heat - 1) * left**2))
            if left == 0.0 and float(reached.detach()) > value:
                best, value = flatten(commitment), float(reached.detach())
            reached.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        assign(commitment, best)
        return float(value)

    def state_dict(self) -> dict[str, Any]:
        """What ``PolicyGradient`` keeps, first states, plans and the random state."""
        return {
            **super().state_dict(),
            "starts_seen": self.starts_seen,
            "random": self.random.bit_generator.state,
            "best": dict(self.best.state_dict()),
            "candidates": list(self.candidates),
            "scores": [list(score) for score in self.scores],
            "champion": self.champion,
            "record": float(self.record),
        }

    def load_state_dict(self, state: Any) -> None:
        """See ``Leader.load_state_dict``."""
        super().load_state_dict(state)
        self.starts_seen = np.array(state["starts_seen"])
        self.best.load_state_dict(state["best"])
        self.candidates = [np.array(end) for end in state["candidates"]]
        self.scores = [(int(count), float(total), float(squares)) for count, total, squares in state["scores"]]
        self.champion, self.record = state["champion"], state["record"]
        self.random.bit_generator.state = state["random"]


@dataclass
class ModelBased(ByGame, FiniteForm):
    """Exact hypergradient of an estimated game; class TRAJECTORIES.

    Linear-quadratic games are fitted by least squares (``LinearModel``), also where the leader
    configures their dynamics (``ConfiguredLinearModel``).

    Args:
        learning_rate, actor_steps, hidden, memory, spread, ramp: see ``PolicyGradient``.
        explore: first batches, played with random commitments of deviation ``reach``.
        reach: see ``explore``; also of the starts of planning.
        starts: starts of the planning that follows exploration; 0 for none.
        steps: ascent steps from each start.
        heat: factor on the temperature with which every other start begins, >= 1.
        replan: batches after which it plans again; in between it plays what planning found, the
            best end and the others in turn, so that it learns where they lead. 0 plans once.
        cold_share: share of its own cost with which the remaining starts begin, in [0, 1].
        planning_rate, planning_steps: learning rate and ascent steps for each batch in linear-quadratic
            games, where ``starts`` and ``reach`` are those of a configuration and no other setting counts.
    """

    planning_rate: float = 0.1
    planning_steps: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        LinearModel(self.planning_rate, self.planning_steps)  # refuses what is out of range

    def other_form(self, view: LeaderView) -> GradientLeader | None:
        """Least squares where all spaces are Boxes."""
        if not isinstance(view.state_space, gymnasium.spaces.Box):
            return None
        if view.lever is None:
            return LinearModel(self.planning_rate, self.planning_steps)
        return ConfiguredLinearModel(self.planning_rate, self.planning_steps, starts=self.starts, reach=self.reach)


def _lower_bound(score: tuple[int, float, float]) -> float:
    """Mean less one standard error of a number of returns, from their count, sum and sum of squares."""
    count, total, squares = score
    if count < 2:
        return -np.inf
    mean = total / count
    return float(mean - (max(0.0, squares / count - mean**2) / (count - 1)) ** 0.5)


class _Incentives:
    """The lever's terms at known stages, as the configuration of an estimated game."""

    base: Tables

    def __init__(self, lever: Lever, known: Stages) -> None:
        self.lever, self.known, self.share = lever, known, 1.0
        cells = np.stack([np.asarray(part) for part in known[:3]])
        unique, first = np.unique(cells, axis=1, return_index=True)  # a reward is written once for all successors
        self.cell = tuple(torch.from_numpy(part) for part in unique)
        self.first = torch.from_numpy(first)
        self.full = tuple(torch.from_numpy(np.asarray(part)) for part in known)

    def __call__(self, configuration: Tensor) -> Tables:
        terms = self.lever.terms(configuration, self.known)
        base = self.base
        leader, follower, transition = base.leader_reward, base.follower_reward, base.transition
        if terms.leader_reward is not None:
            leader = leader + torch.zeros_like(leader).index_put(
                self.cell, self.share * terms.leader_reward[self.first]
            )
        if terms.follower_reward is not None:
            follower = follower + torch.zeros_like(follower).index_put(self.cell, terms.follower_reward[self.first])
        if terms.log_transition is not None:
            moved = torch.zeros_like(transition).index_put(self.full, terms.log_transition.exp())
            total = moved.sum(dim=-1, keepdim=True)
            transition = torch.where(total > 0, moved / torch.where(total > 0, total, 1.0), transition)
        return Tables(transition, leader, follower)


class _Objective:
    """The exact objective of an estimated game, by the cheaper route where there is one."""

    def __init__(self, game: TabularGame, commitment: Commitment) -> None:
        self.game, self.commitment = game, commitment
        self.values: FloatArray | None = None
        configuration = commitment.configuration()
        self.quick = isinstance(game, ConfigurableGame) and game.horizon is None and configuration is not None
        if self.quick and game.tables(configuration).transition.requires_grad:
            self.quick = False

    def __call__(self, temperature: float) -> Tensor:
        if self.quick:
            assert isinstance(self.game, ConfigurableGame)
            value, self.values = reward_objective(self.game, self.commitment, temperature, self.values)
            return value
        return leader_objective(self.game, self.commitment, temperature)

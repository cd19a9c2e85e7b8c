"""Gymnasium environments whose agent maximises a reward that the leader chooses, in the place of their own."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from typing import Any

import numpy as np
from torch import Tensor

from stackelberg_games import checks
from stackelberg_games.adapters.incentives import PaidGame, Payment, own_reward
from stackelberg_games.adapters.payments import Payments, Schedule
from stackelberg_games.adapters.single import Paying, Transition, Worth, worth_of
from stackelberg_games.adapters.sources import Source
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.kinds.levers import ObservedLever
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.rules.comparisons import Judge, Judged
from stackelberg_games.rules.lever import Ledger, Stages, Terms
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView

PROBED = 5_000
"""Steps of random play after which a reward that was the same in each counts as constant."""


class Rewarding(Paying):
    """The agent is paid by the leader's reward alone; the leader is paid the environment's own, which nobody shows it."""

    def pay(self, done: Transition) -> tuple[float, float]:
        """See ``BesideAgent.pay``."""
        chosen = 0.0
        if self.configuration is not None:
            chosen = self.payment(self.configuration, done.observation, done.action)
        return worth_of(self.objective, done), chosen


@dataclasses.dataclass(frozen=True)
class _RewardMaker:
    """Makes the environment with somebody who chooses its agent's reward."""

    source: Source
    objective: Worth
    payment: Any
    opening: Any = None

    def __call__(self, **settings: Any) -> Rewarding:
        return Rewarding(self.source.make(**settings), self.objective, self.payment, 0.0, self.opening)


def nothing(done: Transition) -> float:
    """What a face pays the leader: nothing, for the environment's own reward is hidden from it."""
    return 0.0


@dataclasses.dataclass(frozen=True)
class ChosenTerms:
    """What a leader knows of a game: its own reward, as a function of what configures it.

    Args:
        schedule: of the reward.
        states: how many there are where they are numbered, else 1.
    """

    schedule: Schedule
    states: int

    def __call__(self, configuration: Tensor, stages: Stages) -> Terms:
        """The reward at stages."""
        chosen = self.schedule.pay(configuration, np.asarray(stages.states), np.asarray(stages.follower_actions))
        return Terms(None, None, chosen, None)

    def first(self, seed: int, spread: float | None = None) -> Configuration:
        """A first reward, its parameters drawn around zero."""
        draws = generator(seed, 5).standard_normal(self.schedule.parametrisation.parameter_count(self.schedule.size))
        scale = self.schedule.deviations if spread is None else spread
        return Configuration(scale * draws, self.schedule.parametrisation, states=self.states)


class PreferredGame(Judged, PaidGame):
    """A Gymnasium environment whose agent maximises the leader's reward, and whose own reward a judge knows.

    Segments are drawn from all over the episodes. Batches pay the leader the environment's own reward, and whoever plays
    for a leader takes it away before handing them over.

    Args:
        source: of the environment.
        form: of the reward.
        judge: who compares.
        segment: stages of a segment.
        windows: segments drawn from each episode.
        settings: what else ``AECGame`` takes.

    Raises:
        InvalidGameError: the environment's own reward is the same at every step, so that all pairs tie.
    """

    anywhere = True

    def __init__(
        self, source: Source, form: Payments, judge: Judge, segment: int, windows: int, **settings: Any
    ) -> None:
        self.judge, self.segment = judge, checks.integer("segment", segment, 1)
        self.windows = checks.integer("windows", windows, 1)
        super().__init__(source, form, own_reward, 0.0, **settings)
        if self.horizon is not None:
            self.leader_discount = 1.0  # a label counts the same wherever in an episode its segments are
        if self.horizon is not None and segment > self.horizon:
            raise InvalidGameError(f"segment={segment}: episodes of {self.name} have {self.horizon} stages")
        self.terms = ChosenTerms(self.schedule, self.commitment(0).states)
        refuse_constant(source, self.name)

    def _beside(self, source: Source, objective: Worth, payment: Payment) -> Any:
        return _RewardMaker(source, objective, payment)

    def behind(self, **settings: Any) -> Any:
        """See ``PaidGame.behind``; its leader is shown no reward."""
        maker = dataclasses.replace(self._maker, objective=nothing, opening=self.configuration_space)
        return maker(**settings)

    @property
    def facts(self) -> dict[str, str]:
        """What ``AECGame`` says, and who is paid what."""
        kept = {name: fact for name, fact in super().facts.items() if name not in ("payments", "cost")}
        chosen = f"{self.schedule.size} numbers, chosen once an episode, in {self.configuration_space}"
        drawn = "" if self.windows == 1 else f", {self.windows} of an episode"
        return {**kept, "reward": chosen, "judge": f"{self.judge!r}, of segments of {self.segment} stages{drawn}"}

    def view(self, temperature: float | None = None, ledger: Ledger | None = None) -> LeaderView:
        """What a leader is told; its lever knows the reward it chose and no other."""
        lever = ObservedLever(self.terms, self.terms.first, ledger, moves_transitions=False)
        return dataclasses.replace(super().view(temperature, ledger), judged=self.segment, lever=lever)

    def true_rewards(self, batch: Trajectories) -> FloatArray:
        """The environment's own rewards, as they were played, ``[N, T]``."""
        return batch.leader_rewards


def refuse_constant(source: Source, name: str) -> None:
    """Play at random until two steps pay differently; raise ``InvalidGameError`` if none do."""
    with closing(source.make()) as env:
        env.action_space.seed(0)
        env.reset(seed=0)
        first = None
        for _ in range(PROBED):
            _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            first = float(reward) if first is None else first
            if float(reward) != first:
                return
            if terminated or truncated:
                env.reset()
    raise InvalidGameError(
        f"{name} paid {first:g} at each of {PROBED:,} steps of random play: segments of equal length were all worth the same, every "
        "pair tied, and no label told anything; wrap it in a reward that tells states apart"
    )

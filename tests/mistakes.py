"""Mistakes that authors of PettingZoo environments make, each a small change of a correct one.

The first 25 are those of a study of what PettingZoo's own tests catch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np

from tests.plain_env import FOLLOWER, LEADER, PLACES, Ferry

MISTAKES: dict[type[Ferry], str] = {}
"""Every mistake and the check that must catch it, in the order of PettingZoo's vocabulary."""


def caught_by(check: Callable[..., Any] | str) -> Callable[[type[Ferry]], type[Ferry]]:
    def plant(mistake: type[Ferry]) -> type[Ferry]:
        MISTAKES[mistake] = check if isinstance(check, str) else check.__name__
        return mistake

    return plant


@caught_by("api_of_env")
class CumulativeRewardsNotZeroed(Ferry):
    def step(self, action: Any) -> Any:
        before = dict(self._cumulative_rewards)
        over = any(self.truncations.values())
        super().step(action)
        if not over:
            self._cumulative_rewards = {agent: before[agent] + self.rewards[agent] for agent in self.agents}


@caught_by("api_of_env")
class RewardsNotCleared(Ferry):
    def step(self, action: Any) -> Any:
        paid = dict(self.rewards)
        super().step(action)
        if self.agent_selection == FOLLOWER and self.agents == self.possible_agents:
            self.rewards = paid


@caught_by("api_of_env")
class FreshSpaceEveryCall(Ferry):
    def action_space(self, agent: str) -> Any:
        return copy.deepcopy(self.choices[agent])


@caught_by("observations_in_their_spaces")
class WrongDtype(Ferry):
    def observe(self, agent: str) -> Any:
        return super().observe(agent).astype(np.float64)


@caught_by("observations_in_their_spaces")
class OutOfBounds(Ferry):
    def observe(self, agent: str) -> Any:
        return super().observe(agent) * 5


@caught_by("observations_in_their_spaces")
class WrongShape(Ferry):
    def observe(self, agent: str) -> Any:
        return super().observe(agent)[:, None]


@caught_by("api_of_env")
class AgentsDroppedAtOnce(Ferry):
    def end(self, over: bool) -> None:
        super().end(over)
        if over:
            self.agents = []


@caught_by("api_of_raw_env")
class NumpyFlags(Ferry):
    def end(self, over: bool) -> None:
        self.truncations = dict.fromkeys(self.agents, np.bool_(over))  # type: ignore[arg-type]


@caught_by("api_of_raw_env")
class ResetWithoutOptions(Ferry):
    def reset(self, seed: int | None = None) -> None:  # type: ignore[override]
        super().reset(seed)


@caught_by("rounds_of_an_episode")
class OneRoundTooMany(Ferry):
    def end(self, over: bool) -> None:
        super().end(self.round > self.max_cycles)


@caught_by("same_seed_same_episode")
class GlobalRandomness(Ferry):
    def seed(self, seed: int | None) -> None:
        self.rng = SimpleNamespace(integers=np.random.randint, random=np.random.random)


@caught_by("infos_are_fresh")
class NoInfos(Ferry):
    def inform(self) -> None:
        self.infos = dict.fromkeys(self.agents)  # type: ignore[assignment]


@caught_by("metadata")
class EmptyMetadata(Ferry):
    metadata: dict[str, Any] = {}  # noqa: RUF012


@caught_by("api_of_env")
class RefusesNumpyIntegers(Ferry):
    def step(self, action: Any) -> Any:
        if action is not None and type(action) is np.int32:
            raise TypeError("expected an int")
        return super().step(action)


@caught_by("state_in_its_space")
class StateOutsideItsSpace(Ferry):
    def state(self) -> Any:
        return super().state() * 2

    def observe(self, agent: str) -> Any:
        return super().observe(agent) / 2


@caught_by("api_of_raw_env")
class StepReturnsSomething(Ferry):
    def step(self, action: Any) -> Any:
        super().step(action)
        return self.observe(LEADER)


@caught_by("api_of_raw_env")
class RenderWithoutClose(Ferry):
    close = Ferry.__mro__[1].close  # type: ignore[attr-defined]


@caught_by("order_of_moves")
class EndsAfterTheLeadersMove(Ferry):
    def step(self, action: Any) -> Any:
        mover = self.agent_selection
        super().step(action)
        if mover == LEADER and self.round == self.max_cycles - 1 and self.agents == self.possible_agents:
            super().end(True)


@caught_by("follower_sees_the_move")
class BlindFollower(Ferry):
    def observe(self, agent: str) -> Any:
        return super().observe(agent) * (np.arange(self.boxes[agent].shape[0]) < PLACES).astype(np.float32)


@caught_by("unseeded_resets_differ")
class ConstantSeed(Ferry):
    def seed(self, seed: int | None) -> None:
        super().seed(0 if seed is None else seed)


@caught_by("reset_forgets")
class StateSurvivesReset(Ferry):
    def begin(self) -> None:
        place = getattr(self, "place", None)
        super().begin()
        self.place = self.place if place is None else place


@caught_by("observations_are_fresh")
class OneBuffer(Ferry):
    def observe(self, agent: str) -> Any:
        buffers = self.__dict__.setdefault("buffers", {a: np.zeros(b.shape, b.dtype) for a, b in self.boxes.items()})
        buffers[agent][:] = super().observe(agent)
        return buffers[agent]


@caught_by("rewards_are_finite")
class NotANumber(Ferry):
    def cross(self, reply: int) -> None:
        super().cross(reply)
        if self.round == 3:
            self.rewards[FOLLOWER] = float("inf")


@caught_by("leader_sees_no_reply")
class LeaderSeesTheReply(Ferry):
    def __init__(self, render_mode: str | None = None, max_cycles: int = 6) -> None:
        super().__init__(render_mode, max_cycles)
        self.boxes[LEADER] = gymnasium.spaces.Box(0, 1, (PLACES + 1,), np.float32)

    def observe(self, agent: str) -> Any:
        if agent == FOLLOWER:
            return super().observe(agent)
        return np.append(self.state()[:PLACES], np.float32(self.last_reply))


@caught_by("infos_are_fresh")
class SharedInfos(Ferry):
    def inform(self) -> None:
        self.infos = dict.fromkeys(self.agents, {})  # noqa: RUF024 (the mistake)


# Beyond the 25 of the study.


@caught_by("infos_are_fresh")
class InfosKeptBetweenSteps(Ferry):
    def inform(self) -> None:
        if self.round == 0 and self.signal is None:
            super().inform()


@caught_by("order_of_moves")
class FollowerMovesFirst(Ferry):
    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        super().reset(seed)
        self.signal, self.agent_selection = 0, FOLLOWER


@caught_by("metadata")
class Parallelizable(Ferry):
    metadata = {**Ferry.metadata, "is_parallelizable": True}  # noqa: RUF012


@caught_by("agents")
class OtherAgents(Ferry):
    def __init__(self, render_mode: str | None = None, max_cycles: int = 6) -> None:
        super().__init__(render_mode, max_cycles)
        self.possible_agents = [LEADER, "player_1"]


@caught_by("follower_sees_the_move")
class DeclaredBlindButSees(Ferry):
    metadata = {**Ferry.metadata, "follower_sees_action": False}  # noqa: RUF012


@caught_by("follower_sees_the_move")
class TwoSignalsLookAlike(Ferry):
    def observe(self, agent: str) -> Any:
        seen = super().observe(agent)
        seen[PLACES + 1 :] = seen[PLACES + 1 :].max(initial=0)
        return seen


@caught_by("masked_play")
class BooleanMasks(Ferry):
    def inform(self) -> None:
        self.infos = {agent: {"action_mask": np.ones(self.choices[agent].n, dtype=bool)} for agent in self.agents}


@caught_by("masked_play")
class NothingIsLegal(Ferry):
    def inform(self) -> None:
        self.infos = {agent: {"action_mask": np.zeros(self.choices[agent].n, np.int8)} for agent in self.agents}


@caught_by("copies_keep_the_episode")
class CopiesStartAfresh(Ferry):
    def __getstate__(self) -> dict[str, Any]:
        return {"render_mode": self.render_mode, "max_cycles": self.max_cycles}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]


@caught_by("render_modes")
class PictureThatIsNoText(Ferry):
    def render(self) -> Any:
        return None


@caught_by("refuses_actions_outside_the_space")
class PlaysAnything(Ferry):
    def step(self, action: Any) -> Any:
        return super().step(None if action is None else action % 3)


@caught_by("same_seed_same_episode")
class NewNoiseFromTheThirdRoundOn(Ferry):
    def cross(self, reply: int) -> None:
        super().cross(reply)
        if self.round >= 2:
            self.place = int(np.random.default_rng().integers(PLACES))

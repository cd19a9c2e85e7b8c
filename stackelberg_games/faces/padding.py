"""Equal spaces for both players, for learners that share one policy or stack their agents.

SuperSuit's padding plays a padded-out action as action 0 and does not combine with action masks;
here padded-out actions are masked, and playing one is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, overload

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.wrappers import BaseParallelWrapper, BaseWrapper

from stackelberg_games import checks
from stackelberg_games.commitments.space import BudgetBox
from stackelberg_games.errors import InvalidActionError, InvalidArgumentError, UnsupportedGameError

Masks = Literal["info", "observation"]
AgentSpaces = Mapping[str, gymnasium.Space[Any]]


class Padding:
    """How observations and actions of several agents are brought to one shape.

    Args:
        observations: Box spaces, or Dict spaces with ``"observation"`` and ``"action_mask"``.
        actions: all Discrete, or all Box with finite bounds.
        masks: where action masks go: into the info, or into the observation beside the vector.
        roles: append a one-hot code of the agent to every observation.

    Raises:
        UnsupportedGameError: other spaces.
    """

    def __init__(
        self, observations: AgentSpaces, actions: AgentSpaces, masks: Masks = "info", roles: bool = False
    ) -> None:
        self.agents = list(observations)
        self.actions = dict(actions)
        self.masks = masks
        self.discrete = all(isinstance(space, spaces.Discrete) for space in actions.values())
        boxes = {agent: _box(agent, space) for agent, space in observations.items()}
        self.width = max(int(np.prod(box.shape)) for box in boxes.values())
        self.roles = len(self.agents) if roles else 0
        self.count = self._widest()
        box = _union(list(boxes.values()), self.width, self.roles)
        self._observations = {agent: self._observation_space(box) for agent in self.agents}
        self._actions = {agent: self._action_space() for agent in self.agents}

    def observation_space(self, agent: str) -> gymnasium.Space[Any]:
        """The same for every agent, though an object of its own."""
        return self._observations[agent]

    def action_space(self, agent: str) -> gymnasium.Space[Any]:
        """The same for every agent, though an object of its own; boxes are scaled to [-1, 1]."""
        return self._actions[agent]

    def mask(self, agent: str, inner: Any = None) -> NDArray[np.int8]:
        """Which of the padded actions the agent has, int8 ``[n]``; ``inner`` is its own mask."""
        mask = np.zeros(self.count, dtype=np.int8)
        own = int(self.actions[agent].n)  # type: ignore[attr-defined]
        mask[:own] = 1 if inner is None else np.asarray(inner)
        return mask

    def observation(self, agent: str, seen: Any, info: Mapping[str, Any]) -> Any:
        """The padded observation."""
        nested = isinstance(seen, dict)
        inner = seen["observation"] if nested else seen
        vector = np.zeros(self.width + self.roles, dtype=np.float32)
        vector[: np.size(inner)] = np.ravel(inner)
        if self.roles:
            vector[self.width + self.agents.index(agent)] = 1.0
        if self.masks == "info" or not self.discrete:
            return vector
        own = seen.get("action_mask") if nested else info.get("action_mask")
        return {"observation": vector, "action_mask": self.mask(agent, own)}

    def info(self, agent: str, seen: Any, info: Mapping[str, Any]) -> dict[str, Any]:
        """The info, with the mask of the padded actions where masks go there."""
        if not self.discrete:
            return dict(info)
        if self.masks == "observation":
            return {key: value for key, value in info.items() if key != "action_mask"}
        own = seen.get("action_mask") if isinstance(seen, dict) else info.get("action_mask")
        return {**info, "action_mask": self.mask(agent, own)}

    def action(self, agent: str, action: Any) -> Any:
        """The agent's own action for a padded one.

        Raises:
            InvalidActionError: the agent has no such action.
        """
        space = self.actions[agent]
        if isinstance(space, spaces.Discrete):
            if not 0 <= action < space.n:
                raise InvalidActionError(
                    f"{agent} submitted {checks.shown(action)}: it has {space.n} actions; see the action mask"
                )
            return type(action)(action + space.start)
        assert isinstance(space, spaces.Box)
        unit = np.ravel(action)[: int(np.prod(space.shape))].reshape(space.shape)
        if not np.all(np.abs(unit) <= 1):
            raise InvalidActionError(f"{agent} submitted {checks.shown(action)}: expected numbers in [-1, 1]")
        scaled = space.low + (unit + 1) / 2 * (space.high - space.low)
        return scaled.astype(space.dtype).clip(space.low, space.high)  # rounding may step over a bound

    def _widest(self) -> int:
        kinds = list(self.actions.values())
        if self.discrete:
            return max(int(space.n) for space in kinds)  # type: ignore[attr-defined]
        for space in kinds:
            if isinstance(space, BudgetBox):
                raise UnsupportedGameError(f"cannot pad {space}: numbers in [-1, 1] of its own would exceed the budget")
        if all(isinstance(space, spaces.Box) and space.is_bounded() for space in kinds):
            return max(int(np.prod(space.shape or ())) for space in kinds)
        raise UnsupportedGameError(f"cannot pad {self.actions}: expected Discrete only, or Box with finite bounds only")

    def _observation_space(self, box: spaces.Box) -> gymnasium.Space[Any]:
        box = spaces.Box(box.low, box.high, dtype=np.float32)
        if self.masks == "info" or not self.discrete:
            return box
        return spaces.Dict({"observation": box, "action_mask": spaces.MultiBinary(self.count)})

    def _action_space(self) -> gymnasium.Space[Any]:
        return spaces.Discrete(self.count) if self.discrete else spaces.Box(-1.0, 1.0, (self.count,), np.float32)


def _box(agent: str, space: gymnasium.Space[Any]) -> spaces.Box:
    inner = space["observation"] if isinstance(space, spaces.Dict) and "observation" in space.spaces else space
    if not isinstance(inner, spaces.Box):
        raise UnsupportedGameError(f"cannot pad the observations of {agent}: expected a Box, got {space}")
    return inner


def _union(boxes: list[spaces.Box], width: int, roles: int) -> spaces.Box:
    """Bounds that hold for every agent, entry by entry; padding is zero."""
    low, high = np.zeros(width + roles, dtype=np.float32), np.zeros(width + roles, dtype=np.float32)
    for box in boxes:
        size = int(np.prod(box.shape))
        low[:size], high[:size] = np.minimum(low[:size], box.low.ravel()), np.maximum(high[:size], box.high.ravel())
    high[width:] = 1.0
    return spaces.Box(low, high, dtype=np.float32)


class HomogenizedAEC(BaseWrapper[str, Any, Any]):
    """An AEC environment whose agents have equal spaces; see ``homogenize``."""

    def __init__(self, env: AECEnv[Any, Any, Any], masks: Masks, roles: bool) -> None:
        super().__init__(env)
        self.padding = _padding(env, masks, roles)
        self.infos: dict[str, dict[str, Any]] = {}

    def observation_space(self, agent: Any) -> gymnasium.Space[Any]:
        """See ``Padding``."""
        return self.padding.observation_space(agent)

    def action_space(self, agent: Any) -> gymnasium.Space[Any]:
        """See ``Padding``."""
        return self.padding.action_space(agent)

    def observe(self, agent: Any) -> Any:
        """The padded observation."""
        return self.padding.observation(agent, self.env.observe(agent), self.env.infos[agent])

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """As the environment does."""
        super().reset(seed=seed, options=options)
        self._read_infos()

    def step(self, action: Any) -> None:
        """Play the mover's action.

        Raises:
            InvalidActionError: it has no such action.
        """
        super().step(None if action is None else self.padding.action(self.agent_selection, action))
        self._read_infos()

    def _read_infos(self) -> None:
        inner = self.env
        self.infos = {a: self.padding.info(a, inner.observe(a), inner.infos[a]) for a in inner.agents}


class HomogenizedParallel(BaseParallelWrapper[str, Any, Any]):
    """A Parallel environment whose agents have equal spaces; see ``homogenize``."""

    def __init__(self, env: ParallelEnv[Any, Any, Any], masks: Masks, roles: bool) -> None:
        super().__init__(env)
        self.padding = _padding(env, masks, roles)
        self._waiting: set[str] = set()

    def observation_space(self, agent: Any) -> gymnasium.Space[Any]:
        """See ``Padding``."""
        return self.padding.observation_space(agent)

    def action_space(self, agent: Any) -> gymnasium.Space[Any]:
        """See ``Padding``."""
        return self.padding.action_space(agent)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """As the environment does."""
        return self._padded(*super().reset(seed=seed, options=options))

    def step(self, actions: dict[str, Any]) -> Any:
        """Play the actions; whatever an agent submits that waits for its turn is ignored.

        Raises:
            InvalidActionError: an agent has no such action.
        """
        played = {a: self.padding.action(a, action) for a, action in actions.items() if a not in self._waiting}
        seen, rewards, terminations, truncations, infos = super().step(played)
        observations, infos = self._padded(seen, infos)
        return observations, rewards, terminations, truncations, infos

    def _padded(self, seen: dict[str, Any], infos: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        self._waiting = {a for a, info in infos.items() if _waits(a, info)}
        return (
            {a: self.padding.observation(a, view, infos.get(a, {})) for a, view in seen.items()},
            {a: self.padding.info(a, seen.get(a), info) for a, info in infos.items()},
        )


def _padding(env: Any, masks: Masks, roles: bool) -> Padding:
    agents = env.possible_agents
    observations = {agent: env.observation_space(agent) for agent in agents}
    return Padding(observations, {agent: env.action_space(agent) for agent in agents}, masks, roles)


@overload
def homogenize(env: AECEnv[Any, Any, Any], *, masks: Masks = ..., roles: bool = ...) -> HomogenizedAEC: ...
@overload
def homogenize(env: ParallelEnv[Any, Any, Any], *, masks: Masks = ..., roles: bool = ...) -> HomogenizedParallel: ...
def homogenize(env: Any, *, masks: Masks = "info", roles: bool = False) -> Any:
    """An environment in which both players have the same observation and action space.

    Observations are flattened, then padded with zeros. Discrete actions are padded to the larger
    number and masked (int8): playing a padded-out action is an error. Continuous actions are scaled
    to [-1, 1]; superfluous entries are not looked at.

    Examples:
        >>> import stackelberg_games as sg
        >>> env = sg.homogenize(sg.make("discrete_toy-v0").parallel_env())
        >>> env.observation_space("leader_0") == env.observation_space("follower_0")
        True

    Args:
        env: an AEC or Parallel environment of PettingZoo with Box observations, also with masks of
            its own, in the info or in a Dict observation.
        masks: ``"info"``: ``infos[agent]["action_mask"]``, observations are plain vectors;
            ``"observation"``: ``{"observation": ..., "action_mask": ...}``, as Tianshou reads them.
        roles: append a one-hot code of the agent, so that one policy can tell its roles apart.

    Raises:
        InvalidArgumentError: no such place for masks, or not an environment of PettingZoo.
        UnsupportedGameError: the spaces cannot be padded, as in most games that are configured: there
            the leader submits numbers, often under a budget, and the follower the index of an action.
    """
    checks.choice("masks", masks, ("info", "observation"))
    roles = checks.flag("roles", roles)
    if isinstance(env, AECEnv):
        return HomogenizedAEC(env, masks, roles)
    if isinstance(env, ParallelEnv):
        return HomogenizedParallel(env, masks, roles)
    raise InvalidArgumentError(
        f"{checks.shown(env)} is neither an AEC nor a Parallel environment of PettingZoo; see game.env()"
    )


def _waits(agent: str, info: dict[str, Any]) -> bool:
    """Whether an info says that it is another agent's turn: as our Parallel face does, or as PettingZoo's conversion."""
    return not info.get("moving", True) or info.get("active_agent", agent) not in (agent, None)

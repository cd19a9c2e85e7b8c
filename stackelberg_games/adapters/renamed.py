"""An AEC environment under other names: everything passes through as it is, faults included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pettingzoo import AECEnv


class Renamed(AECEnv[str, Any, Any]):
    """An AEC environment whose agents have other names.

    Args:
        env: the environment.
        names: new names of its agents; those not named keep theirs.
    """

    def __init__(self, env: AECEnv[str, Any, Any], names: Mapping[str, str]) -> None:
        self.inner, self.names = env, dict(names)
        self._back = {new: old for old, new in names.items()}

    def __getattr__(self, name: str) -> Any:
        """Everything that has no agents in it."""
        if name.startswith("__") or name == "inner":
            raise AttributeError(name)
        found = getattr(self.inner, name)
        if name in ("agents", "possible_agents"):
            return [self._new(agent) for agent in found]
        if name == "agent_selection":
            return self._new(found)
        if name in ("rewards", "_cumulative_rewards", "terminations", "truncations", "infos"):
            return {self._new(agent): value for agent, value in found.items()}
        return found

    @property
    def unwrapped(self) -> AECEnv[str, Any, Any]:
        """The environment without its wrappers, under the same names."""
        bare = self.inner.unwrapped
        return self if bare is self.inner else Renamed(bare, self.names)

    def _new(self, agent: str) -> str:
        return self.names.get(agent, agent)

    def _old(self, agent: str) -> str:
        return self._back.get(agent, agent)

    def observation_space(self, agent: str) -> Any:
        """That of the agent."""
        return self.inner.observation_space(self._old(agent))

    def action_space(self, agent: str) -> Any:
        """That of the agent."""
        return self.inner.action_space(self._old(agent))

    def observe(self, agent: str) -> Any:
        """What the agent observes."""
        return self.inner.observe(self._old(agent))

    def last(self, observe: bool = True) -> Any:
        """What the environment says to the selected agent."""
        return self.inner.last(observe)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Begin an episode."""
        self.inner.reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        """The selected agent moves."""
        return self.inner.step(action)

    def state(self) -> Any:
        """The environment's."""
        return self.inner.state()

    def render(self) -> Any:
        """The environment's picture."""
        return self.inner.render()

    def close(self) -> None:
        """Close the environment."""
        self.inner.close()  # type: ignore[no-untyped-call]

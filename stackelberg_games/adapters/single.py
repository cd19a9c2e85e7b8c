"""Gymnasium environments with somebody beside their agent: PettingZoo environments with a leader that pays or designs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidActionError, InvalidArgumentError
from stackelberg_games.rules.scene import FOLLOWER, LEADER


class Transition(NamedTuple):
    """A step of a Gymnasium environment, as an objective is asked about it.

    Examples:
        >>> import stackelberg_games as sg
        >>> def upright(step):  # step is a Transition
        ...     return float(step.next_observation[0]) - 0.1 * float(step.action[0]) ** 2
        >>> game = sg.incentives(
        ...     "Pendulum-v1", {"kind": "network", "hidden": [4]}, upright, horizon=20
        ... )
        >>> game.facts["payments"]
        '25 numbers, chosen once an episode, in Box(-inf, inf, (25,), float64)'

    Attributes:
        observation, action: before the step, in the environment's own form.
        reward: of the environment's agent, without payments.
        next_observation: after it.
        terminated, truncated: whether the episode ends there.
        info: what the environment said.
    """

    observation: Any
    action: Any
    reward: float
    next_observation: Any
    terminated: bool
    truncated: bool
    info: Any


Worth = Callable[[Transition], float]
"""What a step is worth to the leader, payments apart."""


def worth_of(objective: Worth, done: Transition) -> float:
    """What an objective says of a step, checked.

    Raises:
        InvalidArgumentError: it is no finite number.
    """
    try:
        value = float(objective(done))
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"objective: {error}; it takes a Transition and returns a number") from error
    if not np.isfinite(value):
        raise InvalidArgumentError(f"objective({done}) is {value}: expected a finite number")
    return value


class BesideAgent(AECEnv[str, Any, Any]):
    """A Gymnasium environment as an AEC environment: the leader moves, then its agent, the follower.

    A subclass says what the leader does and when it moves again.

    Args:
        env: the environment.
        objective: of the leader.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], objective: Worth) -> None:
        self.env, self.objective = env, objective
        name = env.spec.id if env.spec is not None else type(env.unwrapped).__name__
        self.metadata = {"name": name, "render_modes": [], "is_parallelizable": False}
        self.render_mode = env.render_mode
        self.possible_agents = [LEADER, FOLLOWER]
        self.agents = []
        self.spaces: dict[str, tuple[Any, Any]] = {FOLLOWER: (env.observation_space, env.action_space)}

    def observation_space(self, agent: str) -> Any:
        """Of a player, always the same object."""
        return self.spaces[agent][0]

    def action_space(self, agent: str) -> Any:
        """Of a player, always the same object."""
        return self.spaces[agent][1]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Begin an episode."""
        self.agents = [LEADER, FOLLOWER]
        self._place(LEADER, self.begin(seed, options), 0.0, 0.0)
        self._cumulative_rewards = {LEADER: 0.0, FOLLOWER: 0.0}
        self.terminations, self.truncations = {LEADER: False, FOLLOWER: False}, {LEADER: False, FOLLOWER: False}

    def begin(self, seed: int | None, options: dict[str, Any] | None) -> Any:
        """The environment begins an episode; what it says to its agent."""
        seen, info = self.env.reset(seed=seed, options=options)
        self.seen = _kept(seen)
        return info

    def _place(self, selection: str, info: Any, leader: float, follower: float) -> None:
        self.agent_selection = selection
        self.infos = {LEADER: {}, FOLLOWER: info}
        self.rewards = {LEADER: leader, FOLLOWER: follower}

    def step(self, action: Any) -> None:
        """The selected player moves; None once the episode has ended."""
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        self._cumulative_rewards[agent] = 0.0
        if agent == LEADER:
            self.lead(action)
            self._place(FOLLOWER, self.infos[FOLLOWER], 0.0, 0.0)
            return
        before = self.seen
        seen, reward, terminated, truncated, info = self.env.step(action)
        self.seen = _kept(seen)
        done = Transition(before, action, float(reward), self.seen, bool(terminated), bool(truncated), info)
        leader, follower = self.pay(done)
        over = done.terminated or done.truncated
        self._place(LEADER if over else self.after_follower, info, leader, follower)
        self.terminations = dict.fromkeys(self.agents, done.terminated)
        self.truncations = dict.fromkeys(self.agents, done.truncated and not done.terminated)
        self._cumulative_rewards[LEADER] += leader
        self._cumulative_rewards[FOLLOWER] += follower

    after_follower: str = LEADER
    """Who moves after the follower."""

    def lead(self, action: Any) -> None:
        """The leader moves."""

    def pay(self, done: Transition) -> tuple[float, float]:
        """What a step pays to leader and follower."""
        return worth_of(self.objective, done), done.reward

    def observe(self, agent: str) -> Any:
        """What a player sees."""
        return self.seen

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def render(self) -> Any:
        """The environment's picture."""
        return self.env.render()


def _kept(seen: Any) -> Any:
    """An observation that later steps do not change."""
    return seen.copy() if isinstance(seen, np.ndarray) else seen


class Paying(BesideAgent):
    """The leader pays the agent for what it does, by a function that it has configured.

    It configures by its one move, which opens the episode; or, where the game is played stage by stage, it is
    ``configure``d, and its move at every stage says nothing.

    Args:
        env, objective: see ``BesideAgent``.
        payment: from a configuration, an observation and an action to a payment.
        cost: what a paid unit costs the leader.
        opening: the space of the configurations of the opening move; None for play by stages.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        objective: Worth,
        payment: Callable[[Any, Any, Any], float],
        cost: float,
        opening: spaces.Box | None = None,
    ) -> None:
        super().__init__(env, objective)
        self.payment, self.cost = payment, cost
        self.spaces[LEADER] = (env.observation_space, spaces.Discrete(1) if opening is None else opening)
        self.configuration: FloatArray | None = None
        if opening is not None:
            self.after_follower = FOLLOWER

    def configure(self, configuration: FloatArray) -> None:
        """Pay by this configuration from now on."""
        self.configuration = configuration

    def lead(self, action: Any) -> None:
        """See ``BesideAgent.lead``.

        Raises:
            InvalidActionError: the configuration is not in its space.
        """
        if self.after_follower == LEADER:
            return
        chosen = np.asarray(action)
        if not self.spaces[LEADER][1].contains(chosen):
            raise InvalidActionError(f"{LEADER} chose {action!r}: expected a configuration in {self.spaces[LEADER][1]}")
        self.configure(chosen)

    def pay(self, done: Transition) -> tuple[float, float]:
        """See ``BesideAgent.pay``; nothing is added before anything is configured."""
        paid = 0.0
        if self.configuration is not None:
            paid = self.payment(self.configuration, done.observation, done.action)
        return worth_of(self.objective, done) - self.cost * paid, done.reward + paid

"""Playing PettingZoo AEC environments: third-party games, and followers that only know ``env.last()``.

Any AEC environment with the agents ``leader_0`` and ``follower_0`` that take turns in this order, the
leader first, is a game: what the leader observes is the state. It is played one episode at a time,
in worker processes if wanted; nothing else about it is assumed.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium
import joblib
import numpy as np
import pettingzoo
from numpy.typing import NDArray

from stackelberg_games import checks
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError, UnsupportedGameError
from stackelberg_games.faces.episode import Actions
from stackelberg_games.kinds.game import Game
from stackelberg_games.numerics.randomness import Streams, check_seed, fresh_seed, generator
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.rules import Step, check_discount, check_horizon, require_game
from stackelberg_games.rules.scene import FOLLOWER, LEADER, PLAYERS
from stackelberg_games.rules.trajectories import Trajectories, concatenate

Turn = tuple[Any, float, bool, bool, dict[str, Any]]
"""What ``env.last()`` returns: observation, reward, termination, truncation, info."""

Lead = Callable[[Any, int], Any]
"""The leader: from a state and the stage to an action."""

Reply = Callable[[Turn, int], Any]
"""The follower: from ``env.last()`` and the stage to an action; None once the episode has ended."""


class Replies(Protocol):
    """A response policy that answers what the follower observes."""

    def reply(self, observations: Any, streams: Streams, stage: int) -> Any:
        """Actions for a batch of observations ``[N, ...]``."""


def episode_seed(seed: int, number: int) -> int:
    """The seed that an environment is reset with for an episode; fits 31 bits, as some expect."""
    return int(generator(seed, 5, number).integers(2**31))


def play_episode(
    env: Any,
    leader: Lead,
    follower: Reply,
    stages: int,
    state: Callable[[], Any] | None = None,
    idle: Any = None,
) -> Trajectories:
    """Play the episode that an environment was reset to, in its AEC form.

    Args:
        env: a PettingZoo AEC environment that has been reset.
        leader, follower: the players. At the end of the episode the follower is called once more,
            with ``env.last()`` saying so, and must return None.
        stages: the episode is truncated here if it has not ended.
        state: what to record as the state; the leader's observation if not given.
        idle: what to record as the leader's actions where it has configured the game and moves no more.

    Returns:
        A batch of one episode, padded to ``stages``.

    Raises:
        InvalidGameError: the agents do not take turns.
    """
    watched = state if state is not None else lambda: np.array(env.observe(LEADER))
    states, rewards = [watched()], []
    actions: list[list[Any]] = []
    ended = False
    while not ended and len(actions) < stages:
        paid = np.zeros(2)
        moves = []
        for agent in PLAYERS:
            if agent == LEADER and idle is not None:
                moves.append(idle)
                continue
            if env.agent_selection != agent:
                raise InvalidGameError(f"{env} selects {env.agent_selection!r} where it was {agent!r}'s turn")
            stage = len(actions)
            moves.append(leader(states[-1], stage) if agent == LEADER else follower(env.last(), stage))
            env.step(moves[-1])
            paid += [float(env.rewards.get(player, 0.0)) for player in PLAYERS]
            if agent == LEADER and _over(env):
                raise InvalidGameError(f"{env} ended after the leader's move; an episode ends with a round")
        actions.append(moves)
        rewards.append(paid)
        states.append(watched())
        ended = _over(env)
    terminated = ended and any(env.terminations.values())
    follower((env.observe(FOLLOWER), rewards[-1][1], terminated, not terminated, {}), len(actions))
    return _padded(states, actions, rewards, terminated, stages)


def _over(env: Any) -> bool:
    return not env.agents or any(env.terminations.values()) or any(env.truncations.values())


def _padded(states: list[Any], actions: list[Any], rewards: list[Any], terminated: bool, stages: int) -> Trajectories:
    missing = stages - len(actions)
    sides = [np.stack([np.asarray(move[side]) for move in actions])[None] for side in (0, 1)]

    def filled(array: Any, repeat_last: bool = False) -> Any:
        pads = [(0, 0), (0, missing), *([(0, 0)] * (array.ndim - 2))]
        return np.pad(array, pads, mode="edge" if repeat_last else "constant")

    paid = filled(np.array(rewards)[None])
    return Trajectories(
        filled(np.stack(states)[None], repeat_last=True),
        filled(sides[0]),
        filled(sides[1]),
        np.ascontiguousarray(paid[..., 0]),
        np.ascontiguousarray(paid[..., 1]),
        np.array([len(actions)]),
        np.array([terminated]),
    )


class AECGame(Game):
    """A plain PettingZoo AEC environment as a game.

    The leader's observation is taken for the state, so leaders of finite games need it to be
    ``Discrete``. Only followers that learn by interaction can face it.

    Args:
        factory: makes the environment; it must pickle where ``workers`` > 1.
        leader_discount, follower_discount: in [0, 1).
        horizon: stages after which episodes are truncated; None leaves it to the environment and
            to ``stages`` of ``rollout`` and ``train``.
        workers: processes that share the episodes of a batch.

    Raises:
        InvalidArgumentError: ``factory`` makes nothing.
        InvalidGameError: the environment has other agents, or a discount is out of range.
        UnsupportedGameError: an action space is of a kind that cannot be recorded.
    """

    def __init__(
        self,
        factory: Callable[[], Any],
        *,
        leader_discount: float = 0.99,
        follower_discount: float = 0.99,
        horizon: int | None = None,
        workers: int = 1,
    ) -> None:
        if not callable(factory):
            raise InvalidArgumentError(
                f"factory={checks.shown(factory)}: expected a function without arguments that makes the env"
            )
        self.factory, self.workers = factory, checks.integer("workers", workers, 1)
        self._env = factory()
        if not isinstance(self._env, pettingzoo.AECEnv):
            raise InvalidArgumentError(
                f"the factory makes {checks.shown(self._env)}: expected a PettingZoo AEC environment"
            )
        agents = sorted(map(str, self._env.possible_agents))
        if agents != sorted(PLAYERS):
            raise InvalidGameError(f"{self._env} has the agents {agents}: expected {sorted(PLAYERS)}")
        self.name = str(self._env.metadata.get("name", self._env))
        self.state_space = self._env.observation_space(LEADER)
        self.leader_action_space = self._env.action_space(LEADER)
        self.follower_action_space = self._env.action_space(FOLLOWER)
        Actions(LEADER, self.leader_action_space)
        Actions(FOLLOWER, self.follower_action_space)
        self.leader_discount = check_discount("leader_discount", leader_discount, one_allowed=horizon is not None)
        self.follower_discount = check_discount("follower_discount", follower_discount)
        self.horizon = check_horizon(horizon)
        self.follower_sees_action = True

    def initial(self, streams: Streams) -> Any:
        """Not to be had: the environment is played as a whole."""
        raise UnsupportedGameError(f"{self.name} can only be played through its environment")

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Streams, stage: int) -> Step:
        """Not to be had: the environment is played as a whole."""
        raise UnsupportedGameError(f"{self.name} can only be played through its environment")

    @property
    def observation_space(self) -> gymnasium.spaces.Box:
        """The state as a flat vector."""
        flat = gymnasium.spaces.flatten_space(self.state_space)
        assert isinstance(flat, gymnasium.spaces.Box)
        return flat

    def observe(self, state: Any) -> NDArray[np.float32]:
        """The state, flattened."""
        return np.asarray(gymnasium.spaces.flatten(self.state_space, state), dtype=np.float32)

    def fingerprint(self) -> str:
        """Hash of the factory's name and the spaces; the rules themselves cannot be seen."""
        name = getattr(self.factory, "__qualname__", type(self.factory).__qualname__)
        return hashlib.sha256(f"{getattr(self.factory, '__module__', '')}.{name} {self.view()}".encode()).hexdigest()

    def best_response_env(self, commitment: Commitment, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
        """What the follower faces in the environment; it is not drawn."""
        return AECResponseEnv(self, commitment)

    def simulate(self, commitment: Commitment, follower_policy: Any, streams: Streams, stages: int) -> Trajectories:
        """Play episodes in the environment, shared among the workers.

        Raises:
            UnsupportedGameError: the response does not answer observations.
        """
        if not hasattr(follower_policy, "reply"):
            raise UnsupportedGameError(f"{type(follower_policy).__name__} does not answer a follower's observations")
        numbers = [int(number) for number in streams.episodes]
        parts = min(self.workers, len(numbers))
        if parts <= 1:
            return concatenate(_play(self._env, commitment, follower_policy, streams.seed, numbers, stages))
        shares = [list(share) for share in np.array_split(numbers, parts)]
        play = joblib.delayed(_play_share)
        found = joblib.Parallel(n_jobs=parts)(
            play(self.factory, commitment, follower_policy, streams.seed, share, stages) for share in shares
        )
        return concatenate([episode for share in found for episode in share])

    def env(self, render_mode: str | None = None) -> Any:
        """A fresh environment from the factory, whose own render mode stands."""
        return self.factory()

    raw_env = env


def _play(
    env: Any, commitment: Commitment, response: Any, seed: int, numbers: list[int], stages: int
) -> list[Trajectories]:
    found = []
    for number in numbers:
        streams = Streams.of(seed, 1, int(number))
        env.reset(seed=episode_seed(seed, int(number)))
        found.append(play_episode(env, leading(commitment, streams), _replying(response, streams), stages))
    return found


def _play_share(
    factory: Callable[[], Any], commitment: Commitment, response: Any, seed: int, numbers: list[int], stages: int
) -> list[Trajectories]:
    """One worker's share; a function of its own so that it can be sent there."""
    env = factory()
    try:
        return _play(env, commitment, response, seed, numbers, stages)
    finally:
        env.close()


def leading(commitment: Commitment, streams: Streams) -> Lead:
    """The leader as a player of an episode."""

    def act(state: Any, stage: int) -> Any:
        return commitment.sample(np.asarray(state)[None], streams, stage)[0]

    return act


def _replying(response: Replies, streams: Streams) -> Reply:
    def act(turn: Turn, stage: int) -> Any:
        if turn[2] or turn[3]:
            return None
        return response.reply(np.asarray(turn[0])[None], streams, stage)[0]

    return act


@dataclass(frozen=True)
class _Copies:
    """A factory that copies one environment."""

    env: Any

    def __call__(self) -> Any:
        return copy.deepcopy(self.env)


def as_game(game: Any) -> Game:
    """A game as it is, or a plain AEC environment as a game with default settings.

    Raises:
        InvalidArgumentError: it is neither.
    """
    return AECGame(_Copies(game)) if isinstance(game, pettingzoo.AECEnv) else require_game(game)


class AECResponseEnv(gymnasium.Env[Any, Any]):
    """What the follower faces in an AEC environment under a commitment, as a Gymnasium environment.

    ``reset(seed=s)`` plays episode 0 of seed s, each later ``reset()`` the next one.

    Args:
        game: the environment as a game.
        commitment: the leader's decision, read at every stage.
    """

    def __init__(self, game: AECGame, commitment: Commitment) -> None:
        self.game, self.commitment = game, commitment
        self.env: Any = game.factory()
        self.observation_space = self.env.observation_space(FOLLOWER)
        self.action_space = self.env.action_space(FOLLOWER)
        self._seed, self._number, self._stage = -1, -1, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin episode 0 of ``seed``, or the next episode of the seed in use."""
        super().reset(seed=seed)
        if seed is not None or self._seed < 0:
            self._seed, self._number = fresh_seed() if seed is None else check_seed(seed), -1
        self._number, self._stage = self._number + 1, 0
        self._streams = Streams.of(self._seed, 1, self._number)
        self.env.reset(seed=episode_seed(self._seed, self._number))
        self._commit()
        return np.array(self.env.observe(FOLLOWER)), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play the follower's action, then the leader's next one."""
        self.env.step(action.item() if isinstance(action, np.ndarray) and action.ndim == 0 else action)
        reward = float(self.env.rewards.get(FOLLOWER, 0.0))
        self._stage += 1
        over = _over(self.env)
        terminated = over and any(self.env.terminations.values())
        truncated = (over and not terminated) or (not over and self._stage == self.game.horizon)
        if not (terminated or truncated):
            reward += self._commit()
        return np.array(self.env.observe(FOLLOWER)), reward, terminated, truncated, {}

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def _commit(self) -> float:
        """Let the leader move; what its move pays the follower."""
        self.env.step(leading(self.commitment, self._streams)(self.env.observe(LEADER), self._stage))
        return float(self.env.rewards.get(FOLLOWER, 0.0))

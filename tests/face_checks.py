"""Games, players and records that the tests of the PettingZoo and Gymnasium faces share."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pettingzoo.test
import torch
from numpy.typing import NDArray

import stackelberg_games as sg
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.envs import discrete_toy_v0, matrix_v0, random_game_v0
from stackelberg_games.faces import faces
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.learning import registry
from stackelberg_games.numerics.randomness import Lane, Streams
from stackelberg_games.play.rollout import ResponsePolicy, TabularResponse
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.rules import Rules, Step
from stackelberg_games.rules.trajectories import Trajectories

official: Any = pettingzoo.test
"""PettingZoo's compliance tests, which are not typed."""


class Drift(Game):
    """Two continuous numbers that both players push; ends when the first one leaves [-3, 3]."""

    name = "drift-v0"
    leader_discount = follower_discount = 0.9

    def __init__(self, horizon: int | None = 12, follower_sees_action: bool = True) -> None:
        self.horizon, self.follower_sees_action = horizon, follower_sees_action
        self.state_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.leader_action_space = gymnasium.spaces.Box(-1.0, 2.0, (2,), np.float32)
        self.follower_action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self._box = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)

    @property
    def observation_space(self) -> gymnasium.spaces.Box:
        return self._box

    def initial(self, streams: Streams) -> Any:
        return streams.uniform(Lane.ENVIRONMENT, 0, 2).astype(np.float32)

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Streams, stage: int) -> Step:
        noise = streams.uniform(Lane.ENVIRONMENT, stage + 1, 2)
        moved = (states + 0.5 * leader_actions + follower_actions * [1.0, 0.0] + noise - 0.5).astype(np.float32)
        return Step(moved, moved[:, 1], -np.abs(moved).sum(axis=1), np.abs(moved[:, 0]) > 3)

    def observe(self, state: Any) -> NDArray[np.float32]:
        return np.asarray(state)  # not a copy: the faces have to make one


def draw(space: gymnasium.Space[Any], streams: Streams, lane: Lane, stage: int) -> Any:
    """A uniform action for every episode, from a lane."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return np.floor(streams.uniform(lane, stage)[:, 0] * space.n).astype(np.int64) + space.start
    assert isinstance(space, gymnasium.spaces.Box)
    low, high = np.maximum(space.low, -1.0), np.minimum(space.high, 1.0)
    unit = streams.uniform(lane, stage, int(np.prod(space.shape))).reshape(-1, *space.shape)
    return (low + (high - low) * unit).astype(space.dtype)


class AnyLeader(Commitment):
    """Uniform play in any action space."""

    def __init__(self, game: Game) -> None:
        super().__init__()
        self.space = game.leader_action_space

    def probabilities(self) -> torch.Tensor:
        raise NotImplementedError

    def sample(self, states: Any, streams: Streams, stage: int) -> Any:
        return draw(self.space, streams, Lane.LEADER, stage)


@dataclass
class AnyFollower:
    """Uniform play, mirrored where the leader's action, if seen, has a positive sum."""

    game: Game

    def sample(self, states: Any, leader_actions: Any, streams: Streams, stage: int) -> Any:
        actions = draw(self.game.follower_action_space, streams, Lane.FOLLOWER, stage)
        if self.game.follower_sees_action and isinstance(self.game.follower_action_space, gymnasium.spaces.Box):
            flip = np.sum(leader_actions, axis=-1) > 0
            return np.where(flip.reshape(-1, *[1] * (actions.ndim - 1)), -actions, actions)
        return actions


def drawn_configuration(game: Game, seed: int = 0) -> Any:
    """A configuration from the game's space; None where it is not configured."""
    if game.configuration_space is None:
        return None
    space = copy.deepcopy(game.configuration_space)
    space.seed(seed)
    return space.sample()


@dataclass(frozen=True)
class Table:
    """A game with a commitment and a response to play."""

    game: Game
    leader: Commitment
    follower: ResponsePolicy

    @classmethod
    def of(cls, game: Game) -> Table:
        chosen = drawn_configuration(game)
        if not isinstance(game, TabularGame):
            leader = AnyLeader(game) if chosen is None else Configuration(chosen)
            return cls(game, leader, AnyFollower(game))
        rng = np.random.default_rng(5)
        shape = (game.states, game.leader_actions, game.follower_actions)
        rows = rng.dirichlet(np.ones(shape[2]), size=shape[:2])
        if not game.follower_sees_action:
            rows = np.repeat(rows[:, :1], shape[1], axis=1)
        policy = TabularPolicy(game, rng.normal(size=TabularPolicy(game).logits.shape))
        if chosen is None:
            return cls(game, policy, TabularResponse(rows))
        acts = policy if game.idle_action is None else None
        return cls(game, Configuration(chosen, policy=acts, states=game.states), TabularResponse(rows))

    @property
    def rules(self) -> Rules:
        """The game under the leader's configuration, if it has one."""
        chosen = self.leader.configuration()
        return self.game if chosen is None else self.game.configured(chosen.detach())


TABLES: dict[str, Callable[[], Game]] = {
    "toy": lambda: discrete_toy_v0.game("1_2a", horizon=40),
    "matrix": lambda: matrix_v0.game("escape", horizon=3),
    "terminal": lambda: random_game_v0.game(8, 2, 4, horizon=30, transitions={"terminal_states": 2}, seed=3),
    "blind": lambda: random_game_v0.game(4, 3, 2, horizon=20, follower_sees_action=False),
    "infinite": lambda: random_game_v0.game(6, transitions={"terminal_states": 1}),
    "configured": lambda: random_game_v0.game(
        5, horizon=25, transitions={"terminal_states": 1}, configuration_size=2, seed=1
    ),
    "configured blind": lambda: random_game_v0.game(follower_sees_action=False, horizon=9, configuration_size=3),
    "two goals": lambda: sg.make("four_rooms-v0", goals=2, horizon=30),
    "continuous": Drift,
    "continuous blind": lambda: Drift(9, follower_sees_action=False),
    **{game_id: lambda game_id=game_id: sg.make(game_id) for game_id in sg.games()},  # type: ignore[misc]
}


class Hands:
    """The two players of a table in one episode, drawing from their lanes."""

    def __init__(self, table: Table, seed: int, episode: int) -> None:
        self.table, self.streams = table, Streams.of(seed, 1, episode)

    def leader(self, snapshot: Any) -> Any:
        """What the leader submits: a configuration first, where there is one, and its action, where it acts."""
        chosen, game = self.table.leader.configuration(), self.table.game
        if chosen is not None and game.idle_action is not None:
            return chosen.detach().numpy()
        action = self.table.leader.sample(snapshot.states, self.streams, snapshot.stage)[0]
        return action if chosen is None else {"configuration": chosen.detach().numpy(), "action": action}

    def follower(self, snapshot: Any, leader_action: Any) -> Any:
        seen = np.array([leader_action])
        return self.table.follower.sample(snapshot.states, seen, self.streams, snapshot.stage)[0]


Row = tuple[Any, Any, Any, float, float]


def same(rows: list[Row], last: Any, batch: Trajectories, episode: int) -> None:
    """Assert that an episode played by hand is that episode of a batch, to the last bit."""
    assert len(rows) == batch.lengths[episode]
    assert batch.follower_rewards is not None
    parts = batch.states, batch.leader_actions, batch.follower_actions, batch.leader_rewards, batch.follower_rewards
    for stage, row in enumerate(rows):
        for name, mine, theirs in zip(("state", "a", "b", "rL", "rF"), row, parts, strict=True):
            np.testing.assert_array_equal(mine, theirs[episode, stage], err_msg=f"{name} at stage {stage}")
    np.testing.assert_array_equal(last.states[0], batch.states[episode, len(rows)])
    assert last.terminated == batch.terminated[episode]


def module(game_id: str) -> Any:
    """What the module of a game exports, as PettingZoo's ``max_cycles_test`` takes it."""
    return SimpleNamespace(**faces(registry.factory("game", game_id))._asdict())


def copies(env: Any) -> dict[str, Any]:
    """An environment after each kind of transport."""
    return {"pickle": pickle.loads(pickle.dumps(env)), "deepcopy": copy.deepcopy(env)}


def quick(env: Any) -> Any:
    """The environment with a window that does not wait between frames."""
    env.metadata["render_fps"] = 10_000
    return env

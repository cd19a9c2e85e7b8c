"""The rounds of one episode at a time, as every PettingZoo and Gymnasium face plays them."""

from __future__ import annotations

import copy
import operator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from stackelberg_games.errors import InvalidActionError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.game import Game
from stackelberg_games.randomness import Streams, check_seed, fresh_seed

if TYPE_CHECKING:
    from stackelberg_games.faces.rendering import Renderer

Vector = NDArray[np.float32]
Player = Literal["leader_0", "follower_0"]
LEADER: Player = "leader_0"
FOLLOWER: Player = "follower_0"
PLAYERS: tuple[Player, Player] = (LEADER, FOLLOWER)
RENDER_MODES = ("human", "rgb_array", "ansi")
NO_EPISODE = "no episode is running; call reset() first"


class Actions:
    """One player's actions: checked, batched, and encoded as a vector.

    Args:
        player: for messages.
        space: Discrete (encoded one-hot), Box (as it is), MultiDiscrete or MultiBinary.

    Raises:
        UnsupportedGameError: another kind of space.
    """

    def __init__(self, player: Player, space: gymnasium.Space[Any]) -> None:
        if not isinstance(space, spaces.Discrete | spaces.Box | spaces.MultiDiscrete | spaces.MultiBinary):
            raise UnsupportedGameError(f"{player} has the action space {space}: expected Discrete, Box or Multi*")
        self.player = player
        self.space = copy.deepcopy(space)  # its sampling state belongs to one environment
        self.discrete = isinstance(space, spaces.Discrete)
        self._first, self._count = (int(space.start), int(space.n)) if isinstance(space, spaces.Discrete) else (0, 0)
        self._kinds = "iuf" if space.dtype is not None and space.dtype.kind == "f" else "iu"
        code = spaces.flatten_space(space)
        assert isinstance(code, spaces.Box)  # true of the four kinds above
        self.low, self.high = np.minimum(code.low, 0), np.maximum(code.high, 0)

    def check(self, action: Any) -> Any:
        """The action as the game takes it: an int, or a fresh array.

        Raises:
            InvalidActionError: it is not in the space.
        """
        if self.discrete:
            try:
                index = operator.index(action)
            except TypeError:
                raise self._error(action) from None
            if not self._first <= index < self._first + self._count:
                raise self._error(action)
            return index
        try:
            array = np.asarray(action)
        except ValueError:  # a ragged list
            raise self._error(action) from None
        if array.dtype.kind not in self._kinds:
            raise self._error(action)
        with np.errstate(over="ignore"):
            cast = array.astype(self.space.dtype)
        exact = self._kinds == "iuf" or np.array_equal(cast, array)  # integers must not wrap around
        if not (exact and np.isfinite(cast).all() and self.space.contains(cast)):
            raise self._error(action)
        return cast

    def encode(self, action: Any, out: Vector) -> None:
        """Write the code of a checked action into ``out``, which holds zeros."""
        if self.discrete:
            out[action - self._first] = 1.0
        else:
            out[:] = np.asarray(spaces.flatten(self.space, action))

    def _error(self, action: Any) -> InvalidActionError:
        return InvalidActionError(f"{self.player} submitted {action!r}: expected an action in {self.space}")


class Played(NamedTuple):
    """The last stage that was played.

    Attributes:
        state: the state it was played in.
        leader_action, follower_action: what was played.
        rewards: of leader and follower.
    """

    state: Any
    leader_action: Any
    follower_action: Any
    rewards: tuple[float, float]


class Snapshot(NamedTuple):
    """Everything that changes while episodes are played; restores and pickles anywhere.

    Attributes:
        seed, number: which episode is running; -1 before the first.
        stage: stages played so far.
        states: the current state as a batch of one, ``[1, ...]``.
        pending: the leader's action that the follower has yet to answer, or None.
        terminated, truncated: whether and how the episode has ended.
        played: the last stage, or None.
        returns: undiscounted sums of rewards so far, of leader and follower.
    """

    seed: int = -1
    number: int = -1
    stage: int = 0
    states: Any = None
    pending: Any = None
    terminated: bool = False
    truncated: bool = False
    played: Played | None = None
    returns: tuple[float, float] = (0.0, 0.0)


class Scene(NamedTuple):
    """What a picture shows; given to ``Game.draw``.

    Attributes:
        state: of the one episode, without a batch axis.
        pending: the leader's action that the follower has yet to answer, or None.
        played: the last stage, or None.
        stage, horizon: stages played, and of how many.
        returns: of leader and follower so far.
        status: who moves, or how the episode ended.
        observation: the state as the leader observes it.
    """

    state: Any
    pending: Any
    played: Played | None
    stage: int
    horizon: int | None
    returns: tuple[float, float]
    status: str
    observation: Vector


class Episode:
    """Episodes of a game, one after the other; the leader commits, the follower replies.

    Episode number n of a seed is the episode that ``rollout`` plays under that number. Only the
    environment's lane is drawn from here; ``streams`` offers the others to those who play. The
    other attributes are those of ``Snapshot``.
    """

    streams: Streams
    seed: int
    number: int
    stage: int
    states: Any
    pending: Any
    terminated: bool
    truncated: bool
    played: Played | None
    returns: tuple[float, float]

    def __init__(self, game: Game) -> None:
        self.game = game
        self.actions = {
            LEADER: Actions(LEADER, game.leader_action_space),
            FOLLOWER: Actions(FOLLOWER, game.follower_action_space),
        }
        box, leader = game.observation_space, self.actions[LEADER]
        low, high = np.concatenate((box.low, leader.low)), np.concatenate((box.high, leader.high))
        self.state_space = spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)
        self.observation_spaces: dict[Player, Any] = {
            LEADER: copy.deepcopy(box),
            FOLLOWER: copy.deepcopy(self.state_space if game.follower_sees_action else box),
        }
        self._observed, self._width = box.shape[0], len(low)
        self.restore(Snapshot())

    def reset(self, seed: int | None = None) -> None:
        """Begin episode 0 of ``seed``, or the next episode of the seed in use.

        Raises:
            InvalidArgumentError: the seed is not an integer in [0, 2**63).
        """
        if seed is not None or self.seed < 0:
            chosen, number = fresh_seed() if seed is None else check_seed(seed), 0
        else:
            chosen, number = self.seed, self.number + 1
        streams = Streams.of(chosen, 1, number)
        self.restore(Snapshot(chosen, number, states=self.game.initial(streams)))

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self.terminated or self.truncated

    @property
    def mover(self) -> Player | None:
        """Who moves next; None when the episode is over."""
        if self.over:
            return None
        return LEADER if self.pending is None else FOLLOWER

    def commit(self, action: Any) -> None:
        """Let the leader move.

        Raises:
            InvalidActionError: the action is not in the leader's space.
        """
        self.pending = self.actions[LEADER].check(action)

    def reply(self, action: Any) -> tuple[float, float]:
        """Let the follower move; the stage is played and both are paid.

        Returns:
            The leader's and the follower's reward.

        Raises:
            InvalidActionError: the action is not in the follower's space; nothing has changed.
        """
        action = self.actions[FOLLOWER].check(action)
        sides = np.array([self.pending]), np.array([action])  # the leading axis is a batch of one
        step = self.game.step(self.states, *sides, self.streams, self.stage)
        rewards = float(step.leader_rewards[0]), float(step.follower_rewards[0])
        self.played = Played(self.states[0], self.pending, action, rewards)
        self.returns = (self.returns[0] + rewards[0], self.returns[1] + rewards[1])
        self.states, self.pending = step.states, None
        self.stage += 1
        self.terminated = bool(step.terminated[0])
        self.truncated = self.stage == self.game.horizon and not self.terminated
        return rewards

    def observe(self, player: Player) -> Vector:
        """A fresh observation: the state, and for a follower who sees it the leader's pending action."""
        if player == FOLLOWER and self.game.follower_sees_action:
            return self.vector()
        return np.array(self.game.observe(self.states[0]), dtype=np.float32)

    def vector(self) -> Vector:
        """The state followed by the code of the leader's pending action (zeros before it has moved)."""
        out = np.zeros(self._width, dtype=np.float32)
        out[: self._observed] = self.game.observe(self.states[0])
        if self.pending is not None:
            self.actions[LEADER].encode(self.pending, out[self._observed :])
        return out

    def snapshot(self) -> Snapshot:
        """The running episode; games are functional, so nothing in it changes later."""
        return Snapshot(*(getattr(self, name) for name in Snapshot._fields))

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot."""
        self.seed, self.number, self.stage = snapshot.seed, snapshot.number, snapshot.stage
        self.states, self.pending = snapshot.states, snapshot.pending
        self.terminated, self.truncated = snapshot.terminated, snapshot.truncated
        self.played, self.returns = snapshot.played, snapshot.returns
        if self.seed >= 0:
            self.streams = Streams.of(self.seed, 1, self.number)

    def scene(self) -> Scene:
        """What a picture of the episode shows."""
        ended = "terminated" if self.terminated else "truncated"
        status = ended if self.over else f"{self.mover} moves"
        played, returns = self.played, self.returns
        state, seen = self.states[0], self.observe(LEADER)
        return Scene(state, self.pending, played, self.stage, self.game.horizon, returns, status, seen)


class Face:
    """What all faces share: a game, its running episode, pictures of it, and copies that keep it.

    Args:
        game: any game.
        render_mode: None, ``"ansi"``, ``"rgb_array"`` or ``"human"``.
        form: inserted into the name before the version.

    Raises:
        InvalidArgumentError: no such render mode.
    """

    def __init__(self, game: Game, render_mode: str | None = None, form: str = "") -> None:
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise InvalidArgumentError(f"render_mode={render_mode!r}: expected None or one of {RENDER_MODES}")
        stem, dash, version = game.name.rpartition("-")
        name = f"{stem}{form}_{version}" if dash else f"{game.name}{form}"
        self.metadata: dict[str, Any] = {"name": name, "render_modes": list(RENDER_MODES), "render_fps": 4}
        self.game = game
        self.render_mode = render_mode
        self._episode = Episode(game)
        self._renderer: Renderer | None = None

    def render(self) -> Any:
        """A picture of the running episode.

        Returns:
            ``"ansi"``: text; ``"rgb_array"``: uint8 ``[height, width, 3]``; ``"human"``: None, the
            picture goes to a window.

        Raises:
            InvalidArgumentError: there is no render mode, or no episode yet.
            MissingExtraError: human mode without pygame.
        """
        if self.render_mode is None:
            raise InvalidArgumentError(f"render_mode is None; make the environment with one of {RENDER_MODES}")
        if self._episode.states is None:
            raise InvalidArgumentError(NO_EPISODE)
        if self._renderer is None:
            from stackelberg_games.faces.rendering import Renderer

            self._renderer = Renderer(self.game, self.metadata["render_fps"])
        return self._renderer.render(self.render_mode, self._episode.scene())

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _show(self) -> None:
        """In human mode every change is shown at once, as in Gymnasium."""
        if self.render_mode == "human":
            self.render()

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the pictures: a window cannot travel, and layouts are drawn again."""
        return {**self.__dict__, "_renderer": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy that keeps the running episode; rules never change, so copies share them."""
        clone = object.__new__(type(self))
        memo[id(self)] = clone
        for game in (self.game, self._episode.game):
            memo[id(game)] = game
        clone.__dict__.update(copy.deepcopy(self.__getstate__(), memo))
        return clone


class TwoPlayerFace(Face):
    """What the PettingZoo faces share: two agents, their spaces, and a state for central critics."""

    def __init__(self, game: Game, render_mode: str | None = None, form: str = "") -> None:
        super().__init__(game, render_mode, form)
        self.metadata["is_parallelizable"] = False
        self.max_cycles = game.horizon
        self.possible_agents: list[str] = list(PLAYERS)
        self.agents: list[str] = []

    @property
    def state_space(self) -> spaces.Box:
        """Space of ``state``: the state, then the code of the leader's pending action."""
        return self._episode.state_space

    def state(self) -> Vector:
        """The whole state of the game, with the leader's action that awaits its reply."""
        return self._episode.vector()

    def observation_space(self, agent: Any) -> gymnasium.Space[Any]:
        """Observation space of a player, always the same object."""
        space: gymnasium.Space[Any] = self._episode.observation_spaces[agent]
        return space

    def action_space(self, agent: Any) -> gymnasium.Space[Any]:
        """Action space of a player, always the same object."""
        return self._episode.actions[agent].space

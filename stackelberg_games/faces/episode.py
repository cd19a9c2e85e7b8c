"""The rounds of one episode at a time, as every PettingZoo and Gymnasium face plays them."""

from __future__ import annotations

import copy
import operator
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

from stackelberg_games.arrays import Vector
from stackelberg_games.checks import shown
from stackelberg_games.errors import InvalidActionError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.numerics.randomness import Streams, check_seed, fresh_seed
from stackelberg_games.rules.rules import Rules
from stackelberg_games.rules.scene import FOLLOWER, LEADER, Played, Player, Scene

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
        self.space: Any = copy.deepcopy(space)  # its sampling state belongs to one environment
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
            index = action if type(action) is int else self._index(action)
            if not self._first <= index < self._first + self._count:
                raise self._error(action)
            return index
        try:
            array = np.asarray(action)
        except (ValueError, TypeError, RuntimeError):  # a ragged list, a tensor elsewhere or with a gradient
            raise self._error(action) from None
        if array.dtype.kind not in self._kinds or isinstance(action, np.ma.MaskedArray):
            raise self._error(action)
        with np.errstate(over="ignore"):
            cast = array.astype(self.space.dtype)
        exact = self._kinds == "iuf" or np.array_equal(cast, array)  # integers must not wrap around
        if not (exact and np.isfinite(cast).all() and self.space.contains(cast)):
            raise self._error(action)
        return cast

    def _index(self, action: Any) -> int:
        """An integer of another kind: NumPy's, or an array or tensor without axes; no boolean, and no batch of one."""
        whole = getattr(action, "dtype", int)
        if isinstance(action, bool) or getattr(action, "shape", ()) != () or "bool" in str(whole):
            raise self._error(action)
        try:
            return operator.index(action)
        except TypeError:
            raise self._error(action) from None

    def encode(self, action: Any, out: Vector) -> None:
        """Write the code of a checked action into ``out``, which holds zeros."""
        if self.discrete:
            out[action - self._first] = 1.0
        else:
            out[:] = np.asarray(spaces.flatten(self.space, action))

    def _error(self, action: Any) -> InvalidActionError:
        return InvalidActionError(f"{self.player} submitted {shown(action)}: expected an action in {self.space}")


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
        configuration: what the leader has configured the game with; None before that, and in other games.
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
    configuration: Any = None


class Episode:
    """Episodes of a game, one after the other; the leader commits, the follower replies.

    Episode number n of a seed is the episode that ``rollout`` plays under that number. Only the
    environment's lane is drawn from here; ``streams`` offers the others to those who play. The
    other attributes are those of ``Snapshot``.

    Attributes:
        rules: the game that was given.
        game: the game that is played: ``rules``, or that under a configuration.
    """

    seed: int
    number: int
    stage: int
    states: Any
    pending: Any
    terminated: bool
    truncated: bool
    played: Played | None
    returns: tuple[float, float]
    configuration: Any
    _streams: Streams | None

    def __init__(self, game: Rules) -> None:
        self.rules = self.game = game
        self.actions = {
            LEADER: self._moves_of_leader(),
            FOLLOWER: Actions(FOLLOWER, game.follower_action_space),
        }
        box, leader = game.observation_space, self.actions[LEADER]
        low, high = np.concatenate((box.low, leader.low)), np.concatenate((box.high, leader.high))
        self.state_space = spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)
        self.observation_spaces: dict[Player, Any] = {
            LEADER: copy.deepcopy(game.leader_observation_space),
            FOLLOWER: copy.deepcopy(self.state_space if game.follower_sees_action else box),
        }
        self._observed, self._width = box.shape[0], len(low)
        self.restore(Snapshot())

    def _moves_of_leader(self) -> Actions:
        return Actions(LEADER, self.rules.leader_action_space)

    def reset(self, seed: int | None = None) -> None:
        """Begin episode 0 of ``seed``, or the next episode of the seed in use.

        Raises:
            InvalidArgumentError: the seed is not an integer in [0, 2**63).
        """
        if seed is not None or self.seed < 0:
            self.begin(fresh_seed() if seed is None else check_seed(seed), 0)
        else:
            self.begin(self.seed, self.number + 1)

    def begin(self, seed: int, number: int) -> None:
        """Begin an episode of a seed."""
        self.restore(Snapshot(seed, number, states=self.rules.initial(Streams.of(seed, 1, number))))

    @property
    def streams(self) -> Streams:
        """The random streams of the running episode."""
        if self._streams is None:
            self._streams = Streams.of(self.seed, 1, self.number)
        return self._streams

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

    def configure(self, configuration: Any) -> None:
        """Choose the configuration of a game that has one; see ``ConfiguredEpisode``."""
        raise UnsupportedGameError(f"{self.rules.name} cannot be configured")

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
        """A fresh observation: what a leader sees of the state; the state, and the pending action for a follower who sees it."""
        if player == LEADER:
            return np.array(self.game.observe_leader(self.states[0]), dtype=np.float32)
        return self.vector() if self.game.follower_sees_action else self.bare()

    def bare(self) -> Vector:
        """The state alone: what a follower knows before the leader has moved."""
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
        """Continue from a snapshot.

        Raises:
            InvalidArgumentError: it is none.
        """
        if not isinstance(snapshot, Snapshot):
            raise InvalidArgumentError(f"state {shown(snapshot)}: expected what get_state() returned")
        self.seed, self.number, self.stage = snapshot.seed, snapshot.number, snapshot.stage
        self.states, self.pending = snapshot.states, snapshot.pending
        self.terminated, self.truncated = snapshot.terminated, snapshot.truncated
        self.played, self.returns, self.configuration = snapshot.played, snapshot.returns, snapshot.configuration
        self._streams = None

    def scene(self) -> Scene:
        """What a picture of the episode shows."""
        ended = "terminated" if self.terminated else "truncated"
        status = ended if self.over else f"{self.mover} moves"
        played, returns = self.played, self.returns
        state, seen = self.states[0], np.array(self.game.observe(self.states[0]), dtype=np.float32)
        facts = state, self.pending, played, self.stage, self.game.horizon, returns, status, seen
        return Scene(*facts, self.configuration)

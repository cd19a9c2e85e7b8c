"""What a leader sees: batches of episodes as frozen, checked arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from stackelberg_games import checks
from stackelberg_games.arrays import BoolArray, FloatArray, IntArray
from stackelberg_games.checks import shown
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.numerics.randomness import compiled

_KINDS = {
    "states": "biuf",
    "leader_actions": "biuf",
    "follower_actions": "biuf",
    "leader_rewards": "f",
    "follower_rewards": "f",
    "lengths": "i",
    "terminated": "b",
}
_ONCE = ("lengths", "terminated")
"""Fields with one entry for each episode."""
BLOCK = 1024
"""Played batches grow by so many stages: they hold what was played, and not what would have been allowed."""


@dataclass(frozen=True)
class Trajectories:
    """N episodes of at most T stages, padded at the end.

    Entries at and beyond an episode's length are padding and carry zero rewards.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("discrete_toy-v0", horizon=10)
        >>> batch = sg.rollout(
        ...     game, sg.TabularPolicy(game), sg.TabularResponse.uniform(game), episodes=3
        ... )
        >>> batch.episodes, batch.stages, batch.transitions
        (3, 10, 30)
        >>> batch.states.shape, batch.leader_rewards.shape
        ((3, 11), (3, 10))

    Attributes:
        states: ``[N, T + 1, ...]``; ``states[:, t + 1]`` follows stage t.
        leader_actions: ``[N, T, ...]``.
        follower_actions: ``[N, T, ...]``.
        leader_rewards: float64 ``[N, T]``.
        follower_rewards: float64 ``[N, T]``, or None where they are not observed.
        lengths: int64 ``[N]``, stages played, between 1 and T.
        terminated: bool ``[N]``; true where the last state is terminal, false where the episode
            was truncated there (values continue).
        horizon: stages after which episodes are cut, >= T; T unless given. It is larger where no episode lasted so long
            (see ``width``).

    Raises:
        InvalidArgumentError: shapes disagree, a length is out of range, or a reward is not finite
            or lies in the padding.
    """

    states: NDArray[Any]
    leader_actions: NDArray[Any]
    follower_actions: NDArray[Any]
    leader_rewards: FloatArray
    follower_rewards: FloatArray | None
    lengths: IntArray
    terminated: BoolArray
    horizon: int = 0

    def __post_init__(self) -> None:
        fields = vars(self)
        _check_kind("leader_rewards", self.leader_rewards)
        if self.leader_rewards.ndim != 2 or not self.leader_rewards.size:
            raise InvalidArgumentError(
                f"leader_rewards has shape {self.leader_rewards.shape}: expected [N, T], both >= 1"
            )
        played = episodes, stages = self.leader_rewards.shape
        for name, kinds in _KINDS.items():
            array = fields[name]
            if type(array) is not np.ndarray or array.dtype.kind not in kinds:
                if array is None and name == "follower_rewards":
                    continue
                _check_kind(name, array)
            if array.shape != played or name == "states":
                shape = (episodes, stages + 1) if name == "states" else played[:1] if name in _ONCE else played
                if array.shape[: len(shape)] != shape:
                    raise InvalidArgumentError(f"{name} has shape {array.shape}: expected {shape}")
            frozen = array.view()  # the caller's own array stays as it is
            frozen.setflags(write=False)
            fields[name] = frozen
        if not _sound(self.leader_rewards, self.follower_rewards, self.lengths):
            self._refuse()
        fields["horizon"] = checks.integer("horizon", self.horizon or stages, stages)

    def _refuse(self) -> NoReturn:
        """Say which length or reward is not sound."""
        wrong = np.flatnonzero((self.lengths < 1) | (self.lengths > self.stages))
        if len(wrong):
            raise InvalidArgumentError(f"lengths[{wrong[0]}] is {self.lengths[wrong[0]]}: expected 1 to {self.stages}")
        leader = self.follower_rewards is None or not _sound(self.leader_rewards, None, self.lengths)
        name, rewards = ("leader", self.leader_rewards) if leader else ("follower", self.follower_rewards)
        if not np.isfinite(rewards).all():  # type: ignore[arg-type]
            raise InvalidArgumentError(f"{name}_rewards holds a value that is not finite")
        raise InvalidArgumentError(f"{name}_rewards holds a reward beyond the length of its episode: expected zeros")

    @property
    def episodes(self) -> int:
        """Number of episodes N."""
        return int(self.lengths.shape[0])

    @property
    def stages(self) -> int:
        """Stages T that the arrays have room for."""
        return int(self.leader_rewards.shape[1])

    @property
    def transitions(self) -> int:
        """Number of stages played in all episodes together."""
        return int(self.lengths.sum())

    @cached_property
    def mask(self) -> BoolArray:
        """True where a stage was played, bool ``[N, T]``."""
        mask = np.asarray(np.arange(self.stages) < self.lengths[:, None])
        mask.setflags(write=False)
        return mask

    def leader_returns(self, discount: float = 1.0) -> FloatArray:
        """Discounted return of the leader in every episode, ``[N]``."""
        return np.asarray(self.leader_rewards @ powers(checks.number("discount", discount, 0, 1), self.stages))

    def follower_returns(self, discount: float = 1.0) -> FloatArray:
        """Discounted return of the follower in every episode, ``[N]``.

        Raises:
            InvalidArgumentError: the follower's rewards are not observed.
        """
        if self.follower_rewards is None:
            raise InvalidArgumentError("these trajectories do not hold the follower's rewards")
        return np.asarray(self.follower_rewards @ powers(checks.number("discount", discount, 0, 1), self.stages))

    def without_follower_rewards(self) -> Trajectories:
        """The same episodes as seen by a leader that does not observe the follower's rewards."""
        return replace(self, follower_rewards=None)

    def joined(self, *others: Trajectories) -> Trajectories:
        """These episodes and those of other batches with the same horizon."""
        return concatenate((self, *others))

    def __getitem__(self, episodes: slice) -> Trajectories:
        """A batch of some of the episodes.

        Raises:
            InvalidArgumentError: it is no slice, or of none.
        """
        if not isinstance(episodes, slice):
            raise InvalidArgumentError(f"[{shown(episodes)}]: expected a slice, such as batch[:3]")
        return self.taken(episodes)

    def taken(self, episodes: slice | IntArray) -> Trajectories:
        """A batch of some of the episodes, in the order of their numbers where these are given."""
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _KINDS}
        chosen: dict[str, Any] = {name: None if array is None else array[episodes] for name, array in arrays.items()}
        return replace(self, **chosen)


def _check_kind(name: str, values: object) -> None:
    if not isinstance(values, np.ndarray) or isinstance(values, np.ma.MaskedArray):
        raise InvalidArgumentError(f"{name} is {shown(values)}: expected a plain array")
    if values.dtype.kind not in _KINDS[name]:
        raise InvalidArgumentError(f"{name} has type {values.dtype}: see the class for what is expected")


@lru_cache(maxsize=8)
def powers(discount: float, stages: int) -> FloatArray:
    """1, the discount, its square and so on, ``[T]``, read-only."""
    found = np.asarray(float(discount) ** np.arange(stages))  # 1 and 1.0 have one entry here
    found.setflags(write=False)
    return found


@compiled
def _sound(leader: Any, follower: Any, lengths: Any) -> bool:
    """Whether episodes have a length that fits, and rewards are finite, and zero beyond their end; without the follower's where they are None."""
    for i in range(leader.shape[0]):
        if not 1 <= lengths[i] <= leader.shape[1]:
            return False
        for t in range(leader.shape[1]):
            if not (np.isfinite(leader[i, t]) if t < lengths[i] else leader[i, t] == 0):
                return False
            if follower is not None and not (np.isfinite(follower[i, t]) if t < lengths[i] else follower[i, t] == 0):
                return False
    return True


def check_played(batch: Trajectories, shape: tuple[int, ...]) -> None:
    """Raise ``InvalidArgumentError`` unless the states and actions played exist in a finite game.

    Compiled code does not look where it reads and writes: this comes before it.

    Args:
        batch: what was played.
        shape: numbers of states, leader actions and follower actions.
    """
    played = {name: getattr(batch, name) for name in ("states", "leader_actions", "follower_actions")}
    if _inside(tuple(played.values()), batch.lengths, shape[:3]):
        return
    for (name, part), count in zip(played.items(), shape, strict=False):
        if part.min() < 0 or part.max() >= count:
            raise InvalidArgumentError(f"{name} from {part.min()} to {part.max()}: expected 0 to {count - 1}")


def mark(batch: Trajectories, flags: BoolArray) -> bool:
    """Set flags ``[S, A, B, S]`` of the stages played in a finite game; whether one of them is new.

    Raises:
        InvalidArgumentError: see ``check_played``.
    """
    check_played(batch, flags.shape)
    return bool(_mark((batch.states, batch.leader_actions, batch.follower_actions), batch.lengths, flags))


def table_of(batch: Trajectories, weights: FloatArray, shape: tuple[int, int, int]) -> FloatArray:
    """Weights of the stages played in a finite game, ``[N, T]``, added up over equal (s, a, b), ``[S, A, B]``.

    Raises:
        InvalidArgumentError: see ``check_played``.
    """
    check_played(batch, shape)
    table = np.zeros(shape)
    _add_up((batch.states, batch.leader_actions, batch.follower_actions), batch.lengths, weights, table)
    return table


@compiled
def _inside(played: Any, lengths: Any, shape: Any) -> bool:
    (states, leader, follower), (state_count, leader_count, follower_count) = played, shape
    for i in range(lengths.shape[0]):
        for t in range(lengths[i]):
            if not (0 <= leader[i, t] < leader_count and 0 <= follower[i, t] < follower_count):
                return False
        for t in range(lengths[i] + 1):
            if not 0 <= states[i, t] < state_count:
                return False
    return True


@compiled
def _mark(played: Any, lengths: Any, flags: Any) -> bool:
    states, leader, follower = played
    new = False
    for i in range(lengths.shape[0]):
        for t in range(lengths[i]):
            s, a, b, following = states[i, t], leader[i, t], follower[i, t], states[i, t + 1]
            if not flags[s, a, b, following]:
                flags[s, a, b, following] = new = True
    return new


@compiled
def _add_up(played: Any, lengths: Any, weights: Any, table: Any) -> None:
    states, leader, follower = played
    for i in range(lengths.shape[0]):
        for t in range(lengths[i]):
            table[states[i, t], leader[i, t], follower[i, t]] += weights[i, t]


def leader_table(batch: Trajectories, weights: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Weights of all stages of a finite game, ``[N, T]``, added up over equal (s, a), ``[S, A]``.

    Raises:
        InvalidArgumentError: the batch is of another game.
    """
    played, table = (batch.states, batch.leader_actions), np.zeros(shape)
    whole = all(part.dtype.kind in "iu" and part.ndim == 2 for part in played)
    if not (whole and _add_up_inside(*played, np.asarray(weights, dtype=np.float64), table)):
        raise InvalidArgumentError(
            f"states and leader_actions of the batch: expected those of a finite game, in [0, {shape[0]}) and [0, {shape[1]})"
        )
    return table


@compiled
def _add_up_inside(states: Any, actions: Any, weights: Any, table: Any) -> bool:
    """Add up; false at the first stage that is in no cell."""
    for i in range(weights.shape[0]):
        for t in range(weights.shape[1]):
            s, a = states[i, t], actions[i, t]
            if not (0 <= s < table.shape[0] and 0 <= a < table.shape[1]):
                return False
            table[s, a] += weights[i, t]
    return True


def width(longest: int, horizon: int) -> int:
    """How many stages a batch has room for: whole blocks for its longest episode, and no more than the horizon."""
    return min(horizon, -(-longest // BLOCK) * BLOCK)


def check_affordable(episodes: int, stages: int) -> None:
    """Raise ``InvalidArgumentError`` where a batch does not fit this machine's memory."""
    checks.affordable(lambda: f"a batch of {episodes} episodes of {stages} stages", 5 * episodes * stages)


def concatenate(batches: Sequence[Trajectories]) -> Trajectories:
    """One batch from several with the same horizon.

    Raises:
        InvalidArgumentError: there is no batch, or the horizons differ.
    """
    if not batches or len({batch.horizon for batch in batches}) != 1:
        raise InvalidArgumentError("expected at least one batch, all with the same number of stages")
    stages = max(batch.stages for batch in batches)
    parts: dict[str, Any] = {}
    for name in _KINDS:
        arrays = [getattr(batch, name) for batch in batches]
        if any(array is None for array in arrays):
            parts[name] = None
            continue
        if name not in _ONCE:
            room = stages + (name == "states")
            arrays = [padded(array, room, last=name == "states") for array in arrays]
        parts[name] = np.concatenate(arrays)
    return Trajectories(**parts, horizon=batches[0].horizon)


def padded(array: NDArray[Any], stages: int, *, last: bool = False) -> NDArray[Any]:
    """An array ``[N, T, ...]`` with room for so many stages: zeros behind what it holds, or its last entries again."""
    if array.shape[1] == stages:
        return array
    pads = [(0, 0), (0, stages - array.shape[1]), *([(0, 0)] * (array.ndim - 2))]
    return np.pad(array, pads, mode="edge" if last else "constant")

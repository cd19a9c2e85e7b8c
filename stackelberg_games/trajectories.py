"""What a leader sees: batches of episodes as frozen, checked arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.game import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Trajectories:
    """N episodes of at most T stages, padded at the end.

    Entries at and beyond an episode's length are padding and carry zero rewards.

    Attributes:
        states: ``[N, T + 1, ...]``; ``states[:, t + 1]`` follows stage t.
        leader_actions: ``[N, T, ...]``.
        follower_actions: ``[N, T, ...]``.
        leader_rewards: float64 ``[N, T]``.
        follower_rewards: float64 ``[N, T]``, or None where they are not observed.
        lengths: int64 ``[N]``, stages played, between 1 and T.
        terminated: bool ``[N]``; true where the last state is terminal, false where the episode
            was truncated there (values continue).

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

    def __post_init__(self) -> None:
        if self.leader_rewards.ndim != 2:
            raise InvalidArgumentError(f"leader_rewards has shape {self.leader_rewards.shape}: expected [N, T]")
        episodes, stages = self.leader_rewards.shape
        expected: dict[str, tuple[int, ...]] = {
            "states": (episodes, stages + 1),
            "leader_actions": (episodes, stages),
            "follower_actions": (episodes, stages),
            "leader_rewards": (episodes, stages),
            "follower_rewards": (episodes, stages),
            "lengths": (episodes,),
            "terminated": (episodes,),
        }
        for name, shape in expected.items():
            array = getattr(self, name)
            if array is None and name == "follower_rewards":
                continue
            if array.shape[: len(shape)] != shape:
                raise InvalidArgumentError(f"{name} has shape {array.shape}: expected {shape}")
            if name.endswith("rewards") and not np.isfinite(array).all():
                raise InvalidArgumentError(f"{name} holds a value that is not finite")
            frozen = array.view()  # the caller's own array stays as it is
            frozen.setflags(write=False)
            object.__setattr__(self, name, frozen)
        wrong = np.flatnonzero((self.lengths < 1) | (self.lengths > stages))
        if wrong.size:
            raise InvalidArgumentError(f"lengths[{wrong[0]}] is {self.lengths[wrong[0]]}: expected 1 to {stages}")
        if self.transitions < episodes * stages:
            self._check_padding()

    def _check_padding(self) -> None:
        padding = ~self.mask
        for name in ("leader_rewards", "follower_rewards"):
            rewards = getattr(self, name)
            if rewards is not None and rewards[padding].any():
                raise InvalidArgumentError(f"{name} holds a reward beyond the length of its episode: expected zeros")

    @property
    def episodes(self) -> int:
        """Number of episodes N."""
        return int(self.lengths.shape[0])

    @property
    def stages(self) -> int:
        """Longest possible episode T."""
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
        return np.asarray(self.leader_rewards @ discount ** np.arange(self.stages))

    def follower_returns(self, discount: float = 1.0) -> FloatArray:
        """Discounted return of the follower in every episode, ``[N]``.

        Raises:
            InvalidArgumentError: the follower's rewards are not observed.
        """
        if self.follower_rewards is None:
            raise InvalidArgumentError("these trajectories do not hold the follower's rewards")
        return np.asarray(self.follower_rewards @ discount ** np.arange(self.stages))

    def without_follower_rewards(self) -> Trajectories:
        """The same episodes as seen by a leader that does not observe the follower's rewards."""
        return replace(self, follower_rewards=None)

    def __getitem__(self, episodes: slice) -> Trajectories:
        """A batch of some of the episodes."""
        parts: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        chosen: dict[str, Any] = {k: None if v is None else v[episodes] for k, v in parts.items()}
        return Trajectories(**chosen)


def concatenate(batches: Sequence[Trajectories]) -> Trajectories:
    """One batch from several with the same number of stages.

    Raises:
        InvalidArgumentError: there is no batch, or the numbers of stages differ.
    """
    if not batches or len({batch.stages for batch in batches}) != 1:
        raise InvalidArgumentError("expected at least one batch, all with the same number of stages")
    parts: dict[str, Any] = {}
    for field in fields(Trajectories):
        arrays = [getattr(batch, field.name) for batch in batches]
        missing = any(array is None for array in arrays)
        parts[field.name] = None if missing else np.concatenate(arrays)
    return Trajectories(**parts)

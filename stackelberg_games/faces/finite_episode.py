"""Episodes of a finite game, with numbers in the place of arrays of one."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackelberg_games.arrays import Vector
from stackelberg_games.checks import shown
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.faces.episode import Episode, Snapshot
from stackelberg_games.rules.rules import OneByOne, Rules
from stackelberg_games.rules.scene import FOLLOWER, LEADER, Played, Player


class FiniteEpisode(Episode):
    """The episodes of ``Episode``, to the bit, at a third of the time.

    Args:
        game: one that has ``one_by_one``.
    """

    def __init__(self, game: Rules, tables: OneByOne) -> None:
        self._tables = tables
        self._state: Any = None
        super().__init__(game)
        self._sees = game.follower_sees_action
        self._blank = np.zeros(self._observed, np.float32), np.zeros(self._width, np.float32)

    def __getstate__(self) -> dict[str, Any]:
        """Without the game's tables, which it has itself."""
        return {name: value for name, value in vars(self).items() if name != "_tables"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        tables = self.rules.one_by_one()
        assert tables is not None
        self._tables = tables

    @property
    def states(self) -> Any:
        """The current state as a batch of one, ``[1]``; None before the first episode."""
        return None if self._state is None else np.array([self._state])

    @states.setter
    def states(self, given: Any) -> None:
        self._state = None if given is None else int(given[0])

    def restore(self, snapshot: Snapshot) -> None:
        """See ``Episode.restore``.

        Raises:
            InvalidArgumentError: it is none, or one of another game.
        """
        if isinstance(snapshot, Snapshot) and snapshot.states is not None:
            known = np.asarray(snapshot.states)
            if known.shape != (1,) or not self.rules.state_space.contains(known[0]):
                raise InvalidArgumentError(f"states {shown(snapshot.states)}: expected one in {self.rules.state_space}")
            if snapshot.pending is not None:
                self.actions[LEADER].check(snapshot.pending)
        super().restore(snapshot)

    def begin(self, seed: int, number: int) -> None:
        """See ``Episode.begin``."""
        self.seed, self.number, self.stage, self._streams = seed, number, 0, None
        self.pending = self.played = None
        self.terminated = self.truncated = False
        self.returns = 0.0, 0.0
        self._state = self._tables.first(seed, number)

    def reply(self, action: Any) -> tuple[float, float]:
        """See ``Episode.reply``."""
        action = self.actions[FOLLOWER].check(action)
        state, leader_action, stage = self._state, self.pending, self.stage
        self._state, mine, theirs, self.terminated = self._tables.play(
            state, leader_action, action, self.seed, self.number, stage
        )
        rewards, before = (mine, theirs), self.returns
        self.played = Played(state, leader_action, action, rewards)
        self.returns = before[0] + mine, before[1] + theirs
        self.stage, self.pending = stage + 1, None
        self.truncated = stage + 1 == self.game.horizon and not self.terminated
        return rewards

    def observe(self, player: Player) -> Vector:
        """See ``Episode.observe``."""
        if player == LEADER and self.game.observations is not None:
            return self.game.observe_leader(self._state)
        return self.vector() if self._sees and player == FOLLOWER else self.bare()

    def bare(self) -> Vector:
        """See ``Episode.bare``."""
        return self._coded(self._blank[0])

    def vector(self) -> Vector:
        """See ``Episode.vector``."""
        out = self._coded(self._blank[1])
        if self.pending is not None:
            out[self._observed + self.pending] = 1.0
        return out

    def _coded(self, blank: Vector) -> Vector:
        """A copy of zeros with the code of the state."""
        out = blank.copy()
        if self._tables.numbered:
            out[0] = self._state
        else:
            out[self._state] = 1.0
        return out

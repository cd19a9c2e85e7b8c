"""What the follower's side of a foreign environment faces under a commitment, as a Gymnasium environment."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np

from stackelberg_games.adapters.episodes import begin, episode_seed, leading, resume
from stackelberg_games.adapters.stages import Decision, EpisodeRecord, decisions, last_of
from stackelberg_games.adapters.table import Table
from stackelberg_games.adapters.turns import Turns
from stackelberg_games.arrays import BoolArray
from stackelberg_games.errors import InvalidActionError, InvalidGameError
from stackelberg_games.faces.episode import NO_EPISODE
from stackelberg_games.numerics.randomness import Streams, check_seed, fresh_seed, generator
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.masks import KEY

_TRIES = 100  # episodes in a row in which the follower's side never moves


class ForeignResponseEnv(gymnasium.Env[Any, Any]):
    """What the follower's side faces in a foreign environment under a commitment, as a Gymnasium environment.

    A step is one decision of the follower's side, whichever of its agents moves: it is paid what its side is paid
    until its next decision. Where masks forbid actions, ``action_masks`` and the info ``action_mask`` say which are
    allowed. ``reset(seed=s)`` plays episode 0 of seed s, each later ``reset()`` the next one; episodes in which the
    side never moves are passed over.

    Args:
        table: of the environment.
        turns: of an environment of its own.
        commitment: the leader's decision, read at every stage.
        horizon: stages after which episodes are truncated, or None.
        name: of the game, for messages.
    """

    def __init__(
        self, table: Table, turns: Turns, commitment: Commitment, horizon: int | None = None, name: str = ""
    ) -> None:
        self.table, self.turns, self.commitment, self.horizon, self.name = table, turns, commitment, horizon, name
        self.observation_space = copy.deepcopy(table.shown_space)
        self.action_space: Any = copy.deepcopy(table.move_space)
        self._seed, self._number = -1, -1
        self._decision: Decision | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin episode 0 of ``seed``, or the next episode of the seed in use.

        Raises:
            InvalidGameError: the follower's side does not move in a hundred episodes.
        """
        super().reset(seed=seed)
        if seed is not None or self._seed < 0:
            self._seed, self._number = fresh_seed() if seed is None else check_seed(seed), -1
        for _ in range(_TRIES):
            self._number += 1
            self._begin()
            if self._decision is not None:
                return self._shown(), self._info()
        raise InvalidGameError(
            f"{self.name}: {list(self.table.followers)} did not move in {_TRIES} episodes under this commitment"
        )

    def _begin(self) -> None:
        table, streams = self.table, Streams.of(self._seed, 1, self._number)
        begin(self.turns, self.commitment, episode_seed(self._seed, self._number))
        self._record = EpisodeRecord(table)
        random = generator(self._seed, 9, self._number, 0) if table.others else None
        lead = leading(self.commitment, streams)
        self._running = decisions(table, self.turns, lead, random, self.horizon, self._record)
        self._decision = next(self._running, None)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play the action of the agent that was to move, and go on to the side's next decision.

        Raises:
            InvalidActionError: the action is not in the space, or forbidden, or no episode is running.
        """
        asked = self._decision
        if asked is None:
            raise InvalidActionError(NO_EPISODE)
        moves = self.table.followers[asked.agent].moves
        code = int(action) if moves.finite else np.asarray(action)
        raw = moves.decode(code)
        if asked.mask is not None and not asked.mask[int(code)]:
            raise InvalidActionError(
                f"agent {asked.agent!r} played {int(code)}, which its mask forbids; allowed: "
                f"{np.flatnonzero(asked.mask).tolist()}; ask action_masks(), as MaskablePPO of sb3-contrib does"
            )
        self._decision = resume(self._running, (code, raw))
        if self._decision is not None:
            return self._shown(), self._decision.owed, False, False, self._info()
        return self._last(asked)

    def _last(self, asked: Decision) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        seen, terminated, _ = last_of(self.turns, asked.agent)
        shown = self._seen if seen is None else self.table.shown(asked.agent, seen, None)
        return shown, self._record.owed, terminated, not terminated, {}

    def _shown(self) -> Any:
        assert self._decision is not None
        agent, seen, _, _, _, pending, _ = self._decision
        self._seen = self.table.shown(agent, seen, pending)
        return self._seen

    def _info(self) -> dict[str, Any]:
        assert self._decision is not None
        mask = self._decision.mask
        return {} if mask is None else {KEY: mask.astype(np.int8)}

    def action_masks(self) -> BoolArray:
        """Which actions are allowed now, bool ``[n]``; the name is that of sb3-contrib."""
        known = None if self._decision is None else self._decision.mask
        return np.ones(int(self.action_space.n), dtype=np.bool_) if known is None else known

    def close(self) -> None:
        """Close the environment."""
        self.turns.close()

"""Episodes of a foreign environment as stages of a game.

A *stage* begins with a move of the leader and lasts until its next one, or to the end of the episode: the follower's
side may move several times in it, or not at all. What is paid within a stage is added up, and discounts count
stages. What is paid before the leader's first move counts to the first stage.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NamedTuple

import numpy as np

from stackelberg_games.adapters.table import Seat, Table
from stackelberg_games.adapters.turns import Departure, Turns
from stackelberg_games.arrays import BoolArray
from stackelberg_games.errors import InvalidActionError, InvalidGameError
from stackelberg_games.rules.trajectories import Trajectories, padded, width

Lead = Callable[[Any, int], Any]
"""The leader: from a state and the stage to an action."""


class Decision(NamedTuple):
    """What an agent of the follower's side is asked.

    Attributes:
        agent: who is to move.
        observation, info: what the environment shows it.
        mask: which actions are allowed; None for all.
        owed: what its side was paid since it was asked last.
        pending: the leader's action of the running stage; None before it has moved.
        number: of decisions of its side before this one in the episode.
    """

    agent: str
    observation: Any
    info: Any
    mask: BoolArray | None
    owed: float
    pending: Any
    number: int


CodedMove = tuple[Any, Any]
"""An action as it is recorded, and in the environment's own form."""

Running = Generator[Decision, CodedMove, None]


class EpisodeRecord:
    """What was seen, played and paid in an episode.

    Args:
        table: whose episode it is.

    Attributes:
        owed: what the follower's side was paid since its last move.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self.owed = 0.0
        self._opening = [0.0, 0.0]
        self._states: list[Any] = []
        self._leader: list[Any] = []
        self._follower: list[Any] = []
        self._paid: list[list[float]] = [self._opening]
        self._slots = table.new_slots()

    def lead(self, state: Any, action: Any) -> None:
        """The leader moves: a stage begins."""
        if self._leader:
            self._close()
            self._paid.append([0.0, 0.0])
        self._states.append(state)
        self._leader.append(action)
        self._slots = self._table.new_slots()

    @property
    def moved(self) -> bool:
        """Whether the leader has moved."""
        return bool(self._leader)

    def reply(self, agent: str, action: Any) -> None:
        """An agent of the follower's side moves."""
        if self._leader:
            self._slots[agent].append(action)

    def pay(self, leader: float, follower: float) -> None:
        """Both sides are paid."""
        row = self._paid[-1]
        row[0] += leader
        row[1] += follower
        self.owed += follower

    def _close(self) -> None:
        self._follower.append(self._table.recorded(self._slots))

    def finish(self, state: Any, terminated: bool, stages: int) -> Trajectories:
        """The episode as a batch of one, cut at ``stages``.

        Raises:
            InvalidGameError: the leader never moved.
        """
        if not self._leader:
            raise InvalidGameError(
                f"agent {self._table.sides.leader!r} never moved in an episode: a game without a move of its leader has no "
                "stage; let the environment begin with it, or make another agent the leader"
            )
        self._close()
        played = len(self._leader)
        room = width(played, stages)

        def filled(rows: list[Any], more: int = 0) -> Any:
            return padded(np.stack([np.asarray(row) for row in rows])[None], room + more, last=bool(more))

        paid = filled(self._paid)
        return Trajectories(
            filled([*self._states, self._states[-1] if state is None else state], 1),
            filled(self._leader),
            filled(self._follower),
            np.ascontiguousarray(paid[..., 0]),
            np.ascontiguousarray(paid[..., 1]),
            np.array([played]),
            np.array([terminated]),
            stages,
        )


def decisions(
    table: Table, turns: Turns, lead: Lead, random: Any, stages: int | None, record: EpisodeRecord
) -> Running:
    """Play the episode that was begun, stopping at every decision of the follower's side.

    Args:
        table: of the environment.
        turns: its turns, after ``reset``.
        lead: the leader.
        random: the generator of the further agents.
        stages: the episode is cut before the leader's move number ``stages``; None for no cut.
        record: is filled.

    Raises:
        InvalidActionError: a player played what it may not.
    """
    leader, followers, stage, number = table.sides.leader, table.followers, 0, 0
    pending: Any = None
    while True:
        agent = turns.mover()
        if agent is None or (turns.ends and table.over(turns.ends)):
            return
        if agent == leader:
            if stage == stages:
                return
            state = table.state(turns)
            pending = lead(state, stage)
            raw = _decoded(table, state, pending)
            record.lead(state, pending)
            stage += 1
        elif agent in followers:
            seen, info = turns.observe(agent), turns.info(agent)
            mask = followers[agent].mask(seen, info)
            decision = Decision(agent, seen, info, mask, record.owed, pending, number)
            code, raw = yield decision
            number += 1
            record.owed = 0.0
            record.reply(agent, code)
        else:
            raw = _chosen(*table.others[agent], turns, random)
        paid = turns.move(raw)
        if paid:
            earned = 0.0
            for name in followers:
                earned += paid.get(name, 0.0)
            record.pay(float(paid.get(leader, 0.0)), float(earned))


def _decoded(table: Table, state: Any, action: Any) -> Any:
    """The leader's action in the environment's own form."""
    seat = table.leader
    raw = seat.moves.decode(action)
    if seat.masked and not state[int(action) - seat.moves.size] > 0:
        raise InvalidActionError(
            f"the leader {seat.agent!r} played {int(action)}, which its mask forbids; take a commitment that reads the mask "
            "in the state, as MLPCategoricalPolicy does"
        )
    return raw


def _chosen(seat: Seat, choose: Any, turns: Turns, random: Any) -> Any:
    seen = turns.observe(seat.agent)
    mask = seat.mask(seen, turns.info(seat.agent))
    return seat.moves.decode(choose(seat.sight.shown(seen), mask, random))


class Last(NamedTuple):
    """How an episode ended for one agent of the follower's side."""

    observation: Any
    terminated: bool
    info: Any


def last_of(turns: Turns, agent: str) -> Last:
    """What an agent sees when its episode is over, or is cut."""
    end: Departure | None = turns.ends.get(agent)
    if end is None:
        return Last(turns.observe(agent), False, turns.info(agent))
    return Last(end.observation, end.terminated, end.info)


def leader_terminated(table: Table, turns: Turns) -> bool:
    """Whether the leader left by termination; not where it was truncated or cut."""
    end = turns.ends.get(table.sides.leader)
    return end is not None and end.terminated

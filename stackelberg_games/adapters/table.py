"""An environment's agents at the table of a game: what each sees, plays and may not play."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from stackelberg_games.adapters.policies import Chooser, chooser
from stackelberg_games.adapters.sides import Sides
from stackelberg_games.adapters.spaces import Moves, Sight
from stackelberg_games.adapters.turns import Departure, Turns
from stackelberg_games.arrays import BoolArray
from stackelberg_games.errors import InvalidGameError, UnsupportedGameError
from stackelberg_games.rules.masks import KEY, MaskedBox, mask_of

MOST_JOINT = 64
"""Several moves of a stage are one of so many choices at most; beyond that they are a vector of their codes."""


class Seat:
    """One agent: how its observations are read and its actions written, and whether it has masks.

    Args:
        env: the environment.
        agent: its name.
        masked: whether infos hold masks for it; those in its observations show by themselves.
    """

    def __init__(self, env: Any, agent: str, masked: bool = False) -> None:
        self.agent = agent
        self.sight, self.moves = Sight(agent, env.observation_space(agent)), Moves(agent, env.action_space(agent))
        self.masked = masked or self.sight.holds_mask

    def mask(self, observation: Any, info: Any) -> BoolArray | None:
        """Which actions are allowed, or None for all.

        Raises:
            InvalidGameError: the mask does not fit, allows nothing, or came unannounced.
        """
        given = mask_of(observation if self.sight.holds_mask else None, info)
        if given is None:
            return np.ones(self.moves.size, dtype=np.bool_) if self.masked else None
        found = self.moves.mask(given)
        if not found.any():
            raise InvalidGameError(
                f"agent {self.agent!r} is to move and its {KEY} allows nothing; mend the environment"
            )
        if not self.masked and not found.all():
            raise InvalidGameError(
                f"agent {self.agent!r} was given a first {KEY} in the middle of a run; give masks from the first turn on"
            )
        return found if self.masked else None


class Table:
    """The two sides of an environment, as leaders and followers meet it.

    Args:
        env: the environment.
        sides: who is who.
        tells: whether the adapter adds the leader's move to what the follower observes.
        masked: agents whose infos hold masks.
        width: moves of each follower in a stage that are recorded, the last ones, >= 1.

    Attributes:
        leader: the leader's seat.
        followers: the seats of the follower's side, by agent.
        others: seats and policies of the further agents, by agent.
        state_space: of what the leader observes, recorded as the state.
        shown_space: of what a learner on the follower's side observes.
        move_space: of what it plays.
        recorded_space: of what the leader observes of its moves in a stage.

    Raises:
        UnsupportedGameError: a space cannot be read, or the agents of the follower's side do not act alike.
    """

    def __init__(
        self, env: Any, sides: Sides, tells: bool, masked: frozenset[str] = frozenset(), width: int = 1
    ) -> None:
        self.sides, self.tells, self.width = sides, tells, width
        seats = {agent: Seat(env, agent, agent in masked) for agent in env.possible_agents}
        self.leader = seats[sides.leader]
        self.followers = {agent: seats[agent] for agent in sides.followers}
        self.shared = [seats[agent].sight for agent in sides.shared]
        placed = (sides.leader, *sides.followers)
        self.others: dict[str, tuple[Seat, Chooser]] = {
            agent: (seat, chooser(sides.policy(agent), seat.moves))
            for agent, seat in seats.items()
            if agent not in placed
        }
        self._first = next(iter(self.followers.values()))
        self._number = {agent: number for number, agent in enumerate(self.followers)}
        self._check_followers()
        self._check_leader()
        self.masked = any(seat.masked for seat in self.followers.values())
        self.state_space = self._states()
        self._finite_states = isinstance(self.state_space, spaces.Discrete)
        self.move_space: Any = self._first.moves.space
        self.shown_space, self._flat = self._shown()
        self.recorded_space = self._recorded()

    def _check_followers(self) -> None:
        for agent, seat in self.followers.items():
            if seat.moves.space != self._first.moves.space:
                raise UnsupportedGameError(
                    f"agents {self._first.agent!r} and {agent!r} of the follower's side act in {self._first.moves.space} and "
                    f"{seat.moves.space}: one learner plays agents that act alike; let a policy play the other one (others=)"
                )

    def _check_leader(self) -> None:
        space = self.leader.moves.space
        if isinstance(space, spaces.Box) and (space.bounded_below != space.bounded_above).any():
            raise UnsupportedGameError(
                f"agent {self.leader.agent!r} acts in {space}, which is bounded on one side only; no commitment plays "
                "there; wrap the environment to bound its actions on both sides"
            )
        if self.leader.masked and not self.leader.moves.finite:
            raise UnsupportedGameError(f"agent {self.leader.agent!r} has masks over {space}: finite actions are needed")

    def _states(self) -> Any:
        """The leader's observation as it is where it is finite and nothing is added; else a flat Box."""
        sight = self.leader.sight
        if isinstance(sight.own, spaces.Discrete) and not (self.shared or self.leader.masked):
            self._start = int(sight.own.start)
            return spaces.Discrete(int(sight.own.n))
        parts = [sight.flat, *(other.flat for other in self.shared)]
        box = _joined(parts)
        return MaskedBox(box, self.leader.moves.size) if self.leader.masked else box

    def _shown(self) -> tuple[Any, bool]:
        """The space that a learner observes, and whether it is put together by the adapter."""
        if len(self.followers) == 1 and not self.tells:
            return self._first.sight.own, False
        sights = [seat.sight for seat in self.followers.values()]
        widest = max(sights, key=lambda sight: sight.flat.shape[0]).flat
        self._longest = widest.shape[0]
        low, high = (np.full(self._longest, sign * np.inf) for sign in (-1, 1))
        for sight in sights:  # shorter observations are padded with zeros
            if len(sights) == 1:
                low, high = sight.flat.low, sight.flat.high
        parts: list[Any] = [spaces.Box(low.astype(np.float32), high.astype(np.float32))]
        if len(sights) > 1:
            parts.append(spaces.Box(0.0, 1.0, (len(sights),)))
        if self.tells:
            parts.append(_code_box(self.leader.moves))
        return _joined(parts, np.float32), True

    def _recorded(self) -> Any:
        slots, moves = len(self.followers) * self.width, self._first.moves
        if moves.finite:
            count = (moves.size + 1) ** slots  # the last choice: no move
            return (
                spaces.Discrete(count)
                if count <= MOST_JOINT or slots == 1
                else spaces.Box(0.0, 1.0, (slots * moves.size,))
            )
        if slots == 1:
            return moves.space
        return _joined([moves.space] * slots + [spaces.Box(0.0, 1.0, (slots,))])

    def state(self, turns: Turns) -> Any:
        """The leader's state now, or where it has left the episode the last one; None where there is none."""
        end = turns.ends.get(self.sides.leader)
        if end is not None and end.observation is None:
            return None
        observation = turns.observe(self.sides.leader) if end is None else end.observation
        if self._finite_states:
            return int(observation) - self._start
        parts = [self.leader.sight.vector(observation)]
        for sight in self.shared:
            left = turns.ends.get(sight.agent)
            seen = turns.observe(sight.agent) if left is None else left.observation
            parts.append(np.zeros(sight.flat.shape, sight.dtype) if seen is None else sight.vector(seen))
        if self.leader.masked:
            given = mask_of(observation, turns.info(self.sides.leader)) if end is None else None
            mask = np.ones(self.leader.moves.size) if given is None else self.leader.moves.mask(given)
            parts.append(mask)
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts).astype(self.state_space.dtype, copy=False)

    def shown(self, agent: str, observation: Any, pending: Any) -> Any:
        """What a learner on the follower's side observes: an element of ``shown_space``.

        Args:
            agent: of its side.
            observation: what the environment shows that agent.
            pending: the leader's action of the stage; None before it has moved.
        """
        sight = self.followers[agent].sight
        if not self._flat:
            return sight.shown(observation)
        out = np.zeros(self.shown_space.shape, dtype=np.float32)
        vector = sight.vector(observation)
        out[: len(vector)] = vector
        at = self._longest
        if len(self.followers) > 1:
            out[at + self._number[agent]] = 1.0
            at += len(self.followers)
        if self.tells and pending is not None:
            if self.leader.moves.finite:
                out[at + int(pending)] = 1.0
            else:
                out[at:] = pending
        return out

    def nothing_shown(self) -> Any:
        """What is shown where there is nothing to observe."""
        space = self.shown_space
        return (
            np.zeros(space.shape, space.dtype) if isinstance(space, spaces.Box) else np.array(space.start, space.dtype)
        )

    def new_slots(self) -> dict[str, deque[Any]]:
        """An empty record of the moves of a stage."""
        return {agent: deque(maxlen=self.width) for agent in self.followers}

    def recorded(self, slots: Mapping[str, deque[Any]]) -> Any:
        """The moves of a stage as the leader observes them, an element of ``recorded_space``."""
        moves = self._first.moves
        if len(self.followers) == self.width == 1:
            played = slots[self._first.agent]
            if moves.finite:
                return played[0] if played else moves.size
            return np.asarray(played[0] if played else np.zeros(moves.size), dtype=moves.space.dtype)
        ordered = [[*played, *[None] * (self.width - len(played))] for played in slots.values()]
        flat = [move for played in ordered for move in played]
        if not moves.finite:
            vectors = [np.zeros(moves.size) if move is None else np.asarray(move) for move in flat]
            return np.concatenate([*vectors, [float(move is not None) for move in flat]]).astype(np.float32)
        if isinstance(self.recorded_space, spaces.Discrete):
            index = 0
            for move in flat:
                index = index * (moves.size + 1) + (moves.size if move is None else int(move))
            return index
        codes: NDArray[np.float32] = np.zeros((len(flat), moves.size), dtype=np.float32)
        for row, move in zip(codes, flat, strict=True):
            if move is not None:
                row[int(move)] = 1.0
        return codes.ravel()

    def over(self, ends: Mapping[str, Departure]) -> bool:
        """Whether nobody of the two sides plays any more."""
        return self.sides.leader in ends and all(agent in ends for agent in self.followers)


def _joined(parts: list[spaces.Box], dtype: Any = None) -> spaces.Box:
    kind = np.result_type(*(part.dtype for part in parts)) if dtype is None else np.dtype(dtype)
    low, high = (np.concatenate([getattr(part, side) for part in parts]).astype(kind) for side in ("low", "high"))
    return spaces.Box(low, high, dtype=kind.type)


def _code_box(moves: Moves) -> spaces.Box:
    """Space of the code of an action, zeros where there is none."""
    if moves.finite:
        return spaces.Box(0.0, 1.0, (moves.size,))
    return spaces.Box(np.minimum(moves.space.low, 0), np.maximum(moves.space.high, 0))

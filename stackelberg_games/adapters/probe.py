"""What an environment shows when it is played a little: masks, who moves how often, and what the follower sees."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stackelberg_games.adapters.policies import Uniform
from stackelberg_games.adapters.sides import Sides
from stackelberg_games.adapters.table import Seat
from stackelberg_games.adapters.turns import ParallelTurns, Turns
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.rules.masks import KEY

EPISODES, MOVES, MOST_RECORDED = 3, 300, 4
_EARLY = 4  # moves of the leader that are tried otherwise in each episode


@dataclass
class Findings:
    """What was found.

    Attributes:
        masked: agents whose infos hold masks.
        width: most moves of one follower in a stage, at most ``MOST_RECORDED``.
        sees: whether the follower's observation tells the leader's moves apart; None where nothing could be compared.
        repeatable: whether a seed repeats an episode.
    """

    masked: frozenset[str] = frozenset()
    width: int = 1
    sees: bool | None = None
    repeatable: bool = True


@dataclass
class _Played:
    """An episode that was played at random.

    Attributes:
        seed: it was reset with.
        moves: who played what.
        seen: by the agents of the follower's side, at the number of the move.
        leads: numbers of the leader's moves.
    """

    seed: int
    moves: list[tuple[str, Any]] = field(default_factory=list)
    seen: dict[int, Any] = field(default_factory=dict)
    leads: list[int] = field(default_factory=list)


def examine(env: Any, turns: Turns, sides: Sides, name: str) -> Findings:
    """Play a few episodes at random, and some of them again.

    Raises:
        InvalidGameError: a side never moves, an observation, a mask or a reward cannot be read.
        UnsupportedGameError: a space is of a kind that cannot be played.
    """
    seats = {agent: Seat(env, agent, masked=True) for agent in env.possible_agents}
    prober = _Prober(turns, sides, seats)
    episodes = [prober.play(seed) for seed in range(EPISODES)]
    if not any(agent in sides.followers for episode in episodes for agent, _ in episode.moves):
        raise InvalidGameError(
            f"{name}: {list(sides.followers)} did not move in {EPISODES} episodes at random; name an agent that moves as the follower"
        )
    repeatable = prober.again(episodes[0])
    sees = None
    if isinstance(turns, ParallelTurns):
        sees = False
    elif repeatable:
        sees = prober.compare(episodes)
    return Findings(frozenset(prober.masked), min(max(1, prober.most), MOST_RECORDED), sees, repeatable)


class _Prober:
    def __init__(self, turns: Turns, sides: Sides, seats: Mapping[str, Seat]) -> None:
        self.turns, self.sides, self.seats = turns, sides, seats
        self.masked: set[str] = set()
        self.most, self._budget = 0, MOVES
        self._sighted = (sides.leader, *sides.followers, *sides.shared)

    def play(self, seed: int) -> _Played:
        """One episode, or what the budget leaves of it."""
        self.turns.reset(seed)
        episode, random, count = _Played(seed), np.random.default_rng(seed), Counter[str]()
        while (agent := self.turns.mover()) is not None and self._left(episode):
            seat, observation = self._seat(agent), self.turns.observe(agent)
            info = self.turns.info(agent)
            if agent in self._sighted:
                seat.sight.check(observation)
            if isinstance(info, Mapping) and KEY in info:
                self.masked.add(agent)
            if agent == self.sides.leader:
                episode.leads.append(len(episode.moves))
                count.clear()
            elif agent in self.sides.followers:
                episode.seen[len(episode.moves)] = copy.deepcopy(observation)
                count[agent] += bool(episode.leads)
                self.most = max(self.most, count[agent])
            seat_mask = seat.mask(observation, info)
            everything = seat_mask is None or bool(seat_mask.all())
            action = seat.moves.decode(Uniform(seat.moves)(None, None if everything else seat_mask, random))
            episode.moves.append((agent, action))
            self._check(self.turns.move(action))
        if agent is None and not episode.leads:
            raise InvalidGameError(
                f"{self.sides.leader!r} never moved in the episode of seed {seed}: a stage begins with a move of the leader; "
                "make an agent the leader that moves in every episode"
            )
        return episode

    def _left(self, episode: _Played) -> bool:
        return len(episode.moves) < self._budget

    def _seat(self, agent: str) -> Seat:
        if agent not in self.seats:
            raise InvalidGameError(f"agent {agent!r} moves and is none of possible_agents {list(self.seats)}")
        return self.seats[agent]

    @staticmethod
    def _check(paid: Mapping[str, float]) -> None:
        for agent, reward in paid.items():
            try:
                sound = np.isfinite(float(reward))
            except (TypeError, ValueError):
                sound = False
            if not sound:
                raise InvalidGameError(f"agent {agent!r} was paid {reward!r}: expected a finite number")

    def again(self, episode: _Played) -> bool:
        """Whether the same moves under the same seed show the same."""
        seen = self._replay(episode, len(episode.moves), {})
        return (
            seen is not None
            and seen.keys() == episode.seen.keys()
            and all(_same(seen[number], episode.seen[number]) for number in seen)
        )

    def compare(self, episodes: list[_Played]) -> bool | None:
        """Whether other moves of the leader ever change what the follower sees before its next move."""
        compared = False
        for episode in episodes:
            for lead in episode.leads[:_EARLY]:
                reply = next((number for number in episode.seen if number > lead), None)
                if reply is None or any(lead < other < reply for other in episode.leads):
                    continue
                for action in self._alternatives(episode, lead):
                    seen = self._replay(episode, reply, {lead: action})
                    if seen is None or reply not in seen:
                        continue
                    compared = True
                    if not _same(seen[reply], episode.seen[reply]):
                        return True
        return False if compared else None

    def _alternatives(self, episode: _Played, lead: int) -> list[Any]:
        """Other moves that the leader may make where it made move number ``lead``."""
        if self._replay(episode, lead - 1, {}) is None or self.turns.mover() != self.sides.leader:
            return []
        seat, played = self.seats[self.sides.leader], episode.moves[lead][1]
        mask = seat.mask(self.turns.observe(self.sides.leader), self.turns.info(self.sides.leader))
        if seat.moves.finite:
            open_to = range(seat.moves.size) if mask is None else np.flatnonzero(mask).tolist()
            moves = [seat.moves.decode(k) for k in open_to]
            return [move for move in moves if not _same(move, played)][:3]
        random = np.random.default_rng(lead)
        return [seat.moves.decode(Uniform(seat.moves)(None, None, random)) for _ in range(2)]

    def _replay(self, episode: _Played, last: int, others: Mapping[int, Any]) -> dict[int, Any] | None:
        """Play moves 0 to ``last`` again, some of them otherwise; what followers saw, or None where it went another way."""
        self.turns.reset(episode.seed)
        seen = {}
        for number, (agent, action) in enumerate(episode.moves[: last + 1]):
            if self.turns.mover() != agent:
                return None
            if agent in self.sides.followers:
                seen[number] = copy.deepcopy(self.turns.observe(agent))
                if number == last and others:
                    break
            self.turns.move(others.get(number, action))
        return seen


def _same(one: Any, other: Any) -> bool:
    """Equality of nested observations, to the last bit."""
    if isinstance(one, Mapping):
        return isinstance(other, Mapping) and one.keys() == other.keys() and all(_same(one[k], other[k]) for k in one)
    if isinstance(one, tuple | list):
        return isinstance(other, tuple | list) and len(one) == len(other) and all(map(_same, one, other))
    return bool(np.array_equal(np.asarray(one), np.asarray(other)))

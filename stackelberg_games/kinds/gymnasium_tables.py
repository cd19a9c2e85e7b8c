"""Gymnasium's toy-text environments as arrays: what their dictionaries ``P`` say, with ends as terminal states.

``P[s][b]`` lists (probability, next state, reward, whether the episode ends). An end is a property of the move
there, in a game it is one of the state: where every move into a state ends the episode, the state is terminal; the
moves that end it in a state that others enter alive lead to a state of their own, the last one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from stackelberg_games.arrays import BoolArray, FloatArray
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError, UnsupportedGameError
from stackelberg_games.kinds.lists import mean
from stackelberg_games.kinds.successors import SuccessorLists


class TableEntry(NamedTuple):
    """One entry of ``P``."""

    state: int
    action: int
    probability: float
    next_state: int
    reward: float
    terminated: bool


class GymnasiumTables(NamedTuple):
    """The arrays of an environment with S states, one of them added where ends need it, and B actions.

    Attributes:
        name: id of the environment.
        lists: successors of a game whose leader has one action.
        reward: of the agent, its mean ``[S, B]``.
        initial: ``[S]``.
        terminal: bool ``[S]``.
        outcomes: the entries of ``P`` that count, those of terminal states left out.
        horizon: the environment's time limit, or None.
    """

    name: str
    lists: SuccessorLists
    reward: FloatArray
    initial: FloatArray
    terminal: BoolArray
    outcomes: tuple[TableEntry, ...]
    horizon: int | None

    @property
    def transition(self) -> FloatArray:
        """All probabilities, ``[S, B, S]``."""
        return self.lists.dense[:, 0]

    def expected(self, value: Callable[[TableEntry], float]) -> FloatArray:
        """The mean of a function of the outcome, ``[S, B]``; zero in terminal states."""
        mean = np.zeros(self.reward.shape)
        for outcome in self.outcomes:
            mean[outcome.state, outcome.action] += outcome.probability * value(outcome)
        return mean


def has_tables(env: gymnasium.Env[Any, Any]) -> bool:
    """Whether an environment has a dictionary ``P`` and says where it begins."""
    bare = env.unwrapped
    return hasattr(bare, "P") and hasattr(bare, "initial_state_distrib")


def read_tables(env: gymnasium.Env[Any, Any] | str) -> GymnasiumTables:
    """The arrays of an environment, or of the one that an id names.

    Raises:
        InvalidArgumentError: it is no Gymnasium environment, or there is no such id.
        UnsupportedGameError: it has no dictionary ``P``.
    """
    if isinstance(env, str):
        try:
            env = gymnasium.make(env)
        except gymnasium.error.Error as error:
            raise InvalidArgumentError(f"{env!r}: {error}") from error
    if not isinstance(env, gymnasium.Env):
        raise InvalidArgumentError(f"{env!r}: expected a Gymnasium environment or its id")
    name = env.spec.id if env.spec is not None else type(env.unwrapped).__name__
    if not has_tables(env):
        raise UnsupportedGameError(
            f"{name} has no dictionary P of transitions, as FrozenLake, CliffWalking and Taxi have; sg.incentives makes a "
            "sampled game of it"
        )
    bare: Any = env.unwrapped
    outcomes = [
        TableEntry(int(s), int(b), float(p), int(following), float(reward), bool(over))
        for s, moves in bare.P.items()
        for b, entries in moves.items()
        for p, following, reward, over in entries
        if p > 0
    ]
    limit = env.spec.max_episode_steps if env.spec is not None else None
    return _tables(name, outcomes, np.asarray(bare.initial_state_distrib, dtype=np.float64), limit)


def _tables(name: str, outcomes: list[TableEntry], initial: FloatArray, horizon: int | None) -> GymnasiumTables:
    states, actions = len(initial), 1 + max(outcome.action for outcome in outcomes)
    ending = {outcome.next_state for outcome in outcomes if outcome.terminated}
    entered_alive = {
        outcome.next_state for outcome in outcomes if not outcome.terminated and outcome.state not in ending
    }
    begun = set(np.flatnonzero(initial > 0).tolist())
    terminal = ending - entered_alive - begun
    extra = bool(ending - terminal)
    size = states + extra
    chances: dict[tuple[int, int], dict[int, float]] = {cell: {} for cell in np.ndindex(size, actions)}
    reward = np.zeros((size, actions))
    paid: dict[tuple[int, int], list[tuple[float, float]]] = {cell: [] for cell in chances}
    kept = []
    for outcome in outcomes:
        if outcome.state in terminal:
            continue
        astray = outcome.terminated and outcome.next_state not in terminal
        following = states if astray else outcome.next_state
        row = chances[outcome.state, outcome.action]
        row[following] = row.get(following, 0.0) + outcome.probability
        paid[outcome.state, outcome.action].append((outcome.probability, outcome.reward))
        kept.append(outcome)
    for pair, outcomes_of in paid.items():
        reward[pair] = mean(outcomes_of)
    flags = np.zeros(size, dtype=np.bool_)
    flags[[*terminal, *([states] if extra else [])]] = True
    for state, action in chances:
        if flags[state]:
            chances[state, action] = {state: 1.0}  # it is never left; a row has to be a distribution
    start = np.zeros(size)
    start[:states] = initial / initial.sum()
    return GymnasiumTables(name, _lists(chances, (size, 1, actions)), reward, start, flags, tuple(kept), horizon)


def _lists(chances: dict[tuple[int, int], dict[int, float]], shape: tuple[int, int, int]) -> SuccessorLists:
    """Cell after cell, ascending successors, normalised."""
    rows = [sorted(row.items()) for row in chances.values()]
    if not all(rows):
        empty = next(cell for cell, row in chances.items() if not row)
        raise InvalidGameError(f"P lists nothing that follows state {empty[0]} and action {empty[1]}")
    first = np.cumsum([0, *(len(row) for row in rows)])
    successors = np.array([state for row in rows for state, _ in row], dtype=np.int32)
    weights = np.array([chance for row in rows for _, chance in row])
    sums = np.add.reduceat(weights, first[:-1])
    return SuccessorLists(shape, first.astype(np.int64), successors, weights / np.repeat(sums, np.diff(first)))

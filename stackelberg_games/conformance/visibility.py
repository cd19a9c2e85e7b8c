"""Conformance checks of what each player observes of the other's moves."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from stackelberg_games.conformance.play import (
    FOLLOWER,
    LEADER,
    Env,
    NotApplicable,
    Script,
    Subject,
    brief,
    candidates,
    flat,
    mask_of,
    played_to,
    same,
    turns,
)
from stackelberg_games.conformance.protocol import CYCLES
from stackelberg_games.errors import ConformanceError


def follower_sees_the_move(subject: Subject) -> None:
    """The follower's observation tells the leader's actions apart; or never, where it is declared blind.

    Configurations are always told apart.
    """
    env, compared = subject.env(), 0
    for seed in range(3):
        for turn in (0, 2, 6):
            if not played_to(env, seed, Script(seed), turn) or env.agent_selection != LEADER:
                continue
            moves = _moves(env, subject, turn)
            views = [_view_after(env, seed, turn, move) for move in moves]
            configures = turn == 0 and subject.game is not None and subject.game.configuration_space is not None
            for k in range(len(moves)):
                for j in range(k):
                    compared += 1
                    _compare(views[j], views[k], (moves[j], moves[k]), subject.sees or configures)
    if not compared:
        raise NotApplicable("the leader has a single action")


def _moves(env: Env, subject: Subject, turn: int) -> list[Any]:
    """Different moves of the leader; a configuration that it is bound to stays what it is."""
    observation, _, _, _, info = env.last()
    moves = candidates(env.action_space(LEADER), mask_of(observation, info), 8)
    if turn > 0 and subject.game is not None and subject.game.configuration_space is not None:
        moves = [{**move, "configuration": moves[0]["configuration"]} for move in moves]
    return [move for k, move in enumerate(moves) if not any(same(move, other) for other in moves[:k])]


def _view_after(env: Env, seed: int, turn: int, move: Any) -> Any:
    """What the follower observes once a certain move has been played at a certain turn."""
    played_to(env, seed, Script(seed, {turn: move}), turn + 1)
    return copy.deepcopy(env.observe(FOLLOWER))


def _compare(one: Any, other: Any, moves: tuple[Any, Any], sees: bool) -> None:
    equal = same(one, other)
    if equal and sees:
        raise ConformanceError(
            f"follower_0 observes {brief(one)} after the leader's move {moves[0]!r} as after {moves[1]!r}",
            "put the leader's action of this round into the follower's observation; where the follower is meant to be "
            'blind, say so: follower_sees_action=False (in the metadata of an AEC environment: {"follower_sees_action": '
            "False})",
        )
    if not equal and not sees:
        raise ConformanceError(
            f"the follower is declared blind, but observes {brief(one)} after the leader's move {moves[0]!r} and "
            f"{brief(other)} after {moves[1]!r}",
            "show it the state alone, or declare follower_sees_action=True",
        )


def leader_sees_no_reply(subject: Subject) -> None:
    """The leader observes the state, and no entry that is the follower's last action itself."""
    env = subject.env()
    game, snapshot = subject.game, getattr(env.unwrapped, "get_state", None)
    if game is not None and snapshot is not None:
        env.reset(seed=0)
        for _ in turns(env, Script(), 2 * CYCLES):
            episode = env.unwrapped.get_state().episode  # type: ignore[attr-defined]
            state, expected = episode.states[0], np.asarray(game.observe_leader(episode.states[0]), np.float32)
            if game.configuration_space is not None and episode.configuration is None:
                expected = np.zeros_like(expected)  # it configures before it knows the first state
            if not same(env.observe(LEADER), expected):
                raise ConformanceError(
                    f"leader_0 observes {brief(env.observe(LEADER))} in state {brief(state)}",
                    "show it observe_leader(state), and zeros until it has configured the game",
                )
        return
    replies, views = _replies_and_views(env)
    if len(views) < 12 or len(np.unique(replies, axis=0)) < 2:
        raise NotApplicable("episodes of one round leave the leader nothing to see")
    for entry in range(views.shape[1]):
        if _echoes(replies, views[:, entry]):
            raise ConformanceError(
                f"entry {entry} of leader_0's observation always is the follower's last action",
                "show the leader the state; where the next state is the follower's action by the rules, skip this check",
            )


def leader_tells_no_more_apart(subject: Subject) -> None:
    """States with one observation look alike to the leader, and those with different ones do not."""
    game = subject.game
    if game is None or game.observations is None:
        raise NotApplicable("the leader sees the states")
    views: dict[int, Any] = {}
    for state, number in enumerate(game.observations.numbers.tolist()):
        seen = np.asarray(game.observe_leader(state), np.float32)
        if not same(seen, views.setdefault(number, seen)):
            raise ConformanceError(
                f"leader_0 observes {brief(seen)} in state {state} and {brief(views[number])} in another with its observation, "
                f"number {number}",
                "show it observations.shown(state), and nothing else of the state",
            )
    if len(np.unique([view.tobytes() for view in views.values()])) < len(views):
        raise ConformanceError(
            "leader_0 observes the same for different observations", "show it observations.shown(state)"
        )


def _replies_and_views(env: Env) -> tuple[Any, Any]:
    """The follower's last actions, and what the leader observed after each."""
    replies: list[Any] = []
    views: list[Any] = []
    for seed in range(8):
        env.reset(seed=seed)
        last = None
        for turn in turns(env, Script(seed), 24):
            if turn.terminated or turn.truncated:
                break
            if turn.agent == FOLLOWER:
                last = flat(turn.action)
            elif last is not None:
                replies.append(last)
                views.append(flat(turn.observation))
    return np.array(replies), np.array(views)


def _echoes(replies: Any, entry: Any) -> bool:
    """Whether an entry depends on the last action alone and tells (some of) its values apart."""
    if np.ptp(entry) == 0:
        return False
    kinds, inverse = np.unique(replies, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    if len(kinds) > len(replies) // 3:  # continuous: a copy of one component
        return any(np.allclose(entry, replies[:, k], atol=1e-6) for k in range(replies.shape[1]))
    groups = [entry[inverse == k] for k in range(len(kinds))]
    return all(np.ptp(group) == 0 for group in groups)

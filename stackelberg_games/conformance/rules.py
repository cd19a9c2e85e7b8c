"""Do the rules of a ``Game`` have the types and shapes that everything built on them takes for granted?

This check comes first: a reward of the wrong shape breaks nearly every other check, none of which
would say where it came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space, iterate

from stackelberg_games.conformance.play import NotApplicable, Subject, configured
from stackelberg_games.errors import ConformanceError, StackelbergError
from stackelberg_games.kinds.game import Game
from stackelberg_games.numerics.randomness import Streams
from stackelberg_games.rules.rules import Rules, Step, check_discount, check_horizon

EPISODES = 3
_DECLARED = (
    ("name", str),
    ("state_space", spaces.Space),
    ("leader_action_space", spaces.Space),
    ("follower_action_space", spaces.Space),
    ("follower_sees_action", bool),
)


def rules_fit_their_declarations(subject: Subject) -> None:
    """Attributes are set; ``initial``, ``observe`` and ``step`` return what they promise for three episodes."""
    game = subject.game
    if game is None:
        raise NotApplicable("an environment has no batched rules")
    _attributes(game)
    streams = Streams.of(0, EPISODES)
    states = game.initial(streams)
    _members(f"{_name(game)}.initial", game.state_space, states)
    _observation(game, next(iter(iterate(batch_space(game.state_space, EPISODES), states))))
    leader, follower = (_actions(space) for space in (game.leader_action_space, game.follower_action_space))
    for rules in (game, configured(game)):
        _step(rules, rules.step(states, leader, follower, streams, 0))


def _name(game: Rules) -> str:
    return type(game).__name__


def _attributes(game: Game) -> None:
    for attribute, kind in _DECLARED:
        value = getattr(game, attribute, None)
        if not isinstance(value, kind):
            raise ConformanceError(
                f"{_name(game)}.{attribute} is {value!r}: expected {kind.__name__}",
                "set it as an attribute of the class, or in its constructor",
            )
    missing = object()
    settings = {name: getattr(game, name, missing) for name in ("horizon", "leader_discount", "follower_discount")}
    for name, value in settings.items():
        if value is missing:
            raise ConformanceError(f"{_name(game)}.{name} is not set", "set it as an attribute of the class")
    try:
        finite = check_horizon(game.horizon) is not None
        check_discount("leader_discount", game.leader_discount, one_allowed=finite)
        check_discount("follower_discount", game.follower_discount)
    except StackelbergError as error:
        raise ConformanceError(f"{_name(game)}: {error}") from error


def _actions(space: spaces.Space[Any]) -> Any:
    """Actions of three episodes, the same at every call and without touching the game's own spaces."""
    batched = batch_space(space, EPISODES)
    batched.seed(0)
    return batched.sample()


def _members(where: str, space: spaces.Space[Any], states: Any) -> None:
    try:
        found: Sequence[Any] = list(iterate(batch_space(space, EPISODES), states))
    except Exception as error:  # anything that is not a batch
        raise ConformanceError(
            f"{where} returned {_described(states)}, which is not a batch of {space}",
            "return one state an episode, along the first axis",
        ) from error
    if len(found) != EPISODES:
        raise ConformanceError(
            f"{where} returned {_described(states)} for {EPISODES} episodes", "return one state an episode"
        )
    for state in found:
        member = state if not isinstance(space, spaces.Box) else np.asarray(state, space.dtype)
        if not space.contains(member):
            raise ConformanceError(f"{where} returned the state {state!r}, which lies outside {space}")


def _observation(game: Game, state: Any) -> None:
    seen, space = game.observe(state), game.observation_space
    if not isinstance(space, spaces.Box) or not space.contains(seen):
        raise ConformanceError(
            f"{_name(game)}.observe returned {_described(seen)}, which lies outside its observation_space {space}",
            f"return a float32 array of shape {space.shape}",
        )


def _step(game: Rules, step: Any) -> None:
    where = f"{_name(game)}.step"
    if not isinstance(step, Step):
        raise ConformanceError(f"{where} returned {type(step).__name__}: expected a stackelberg_games.Step")
    _members(where, game.state_space, step.states)
    for name, kinds in (("leader_rewards", "f"), ("follower_rewards", "f"), ("terminated", "b")):
        value = getattr(step, name)
        array = np.asarray(value)
        wanted = "bool" if kinds == "b" else "float"
        if not isinstance(value, np.ndarray) or array.shape != (EPISODES,) or array.dtype.kind not in kinds:
            raise ConformanceError(
                f"{where} returned {name} as {_described(value)}: expected {wanted} of shape ({EPISODES},), "
                "one an episode"
            )
        if kinds == "f" and not np.isfinite(array).all():
            raise ConformanceError(f"{where} returned {name} {array.tolist()}: expected finite numbers")


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return f"{type(value).__name__} {value!r}"

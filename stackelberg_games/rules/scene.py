"""What a picture of a running episode shows."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from stackelberg_games.arrays import Vector
from stackelberg_games.checks import shown
from stackelberg_games.errors import InvalidArgumentError

Player = Literal["leader_0", "follower_0"]
LEADER: Player = "leader_0"
FOLLOWER: Player = "follower_0"
PLAYERS: tuple[Player, Player] = (LEADER, FOLLOWER)


def player_of(agent: object) -> Player:
    """``agent`` if it is a player; raise ``InvalidArgumentError`` if not."""
    if isinstance(agent, str) and agent in PLAYERS:
        return LEADER if agent == LEADER else FOLLOWER
    raise InvalidArgumentError(f"agent {shown(agent)}: expected {LEADER!r} or {FOLLOWER!r}")


class Played(NamedTuple):
    """The last stage that was played.

    Attributes:
        state: the state it was played in.
        leader_action, follower_action: what was played.
        rewards: of leader and follower.
    """

    state: Any
    leader_action: Any
    follower_action: Any
    rewards: tuple[float, float]


class Scene(NamedTuple):
    """What a picture shows; given to ``Game.draw``.

    Attributes:
        state: of the one episode, without a batch axis.
        pending: the leader's action that the follower has yet to answer, or None.
        played: the last stage, or None.
        stage, horizon: stages played, and of how many.
        returns: of leader and follower so far.
        status: who moves, or how the episode ended.
        observation: the state as the leader observes it.
        configuration: what the leader has configured the game with; None before that, and in other games.
    """

    state: Any
    pending: Any
    played: Played | None
    stage: int
    horizon: int | None
    returns: tuple[float, float]
    status: str
    observation: Vector
    configuration: Any = None

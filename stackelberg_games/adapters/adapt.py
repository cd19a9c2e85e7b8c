"""``adapt``: a PettingZoo environment becomes a game by saying who leads and who follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stackelberg_games.adapters.aec import AECGame
from stackelberg_games.adapters.sides import Sides
from stackelberg_games.settings import checked


@checked
def adapt(
    source: Any,
    leader: str = "leader_0",
    follower: str | Sequence[str] = "follower_0",
    *,
    others: Mapping[str, Any] | str | None = None,
    shared: str | Sequence[str] = (),
    follower_sees_action: bool | None = None,
    leader_discount: float = 0.99,
    follower_discount: float = 0.99,
    horizon: int | None = None,
    temperature: float | None = None,
) -> AECGame:
    """Make a game of a PettingZoo environment, AEC or Parallel.

    The environment is played a little when the game is made; what cannot be played is refused then. ``print(game)``
    says what was made of it.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.adapt(
        ...     "classic/rps-v2", leader="player_0", follower="player_1", leader_discount=0.9
        ... )
        >>> print(game)
        environment    rps_v2, AEC
        leader         player_0
        follower       player_1
        others         none
        follower sees  does not see the leader's move
        leader sees    its own observation; the last move of each follower in a stage; rewards as its class grants
        masks          none
        stage          from one move of the leader to its next; rewards within are added up, discounts count stages

    Args:
        source: a factory; an id in PettingZoo's registry or ``"module:attribute"``, alone or as ``id`` in a dict with
            the factory's settings; a module with ``env`` or ``parallel_env``; or an environment, which is copied. With
            all but the last, and where a factory stands in a module, the game is fit for tournaments and stored runs.
        leader: the agent that leads.
        follower: the agent that follows, or several that one learner plays with shared parameters.
        others: how further agents play, by name: ``"uniform"``, a fixed action, a policy (see ``policies.ask``) or its
            ``"module:attribute"``; ``"*"`` stands for all not named, and a text alone for all.
        shared: agents whose observations the leader gets beside its own.
        follower_sees_action: whether the follower knows the leader's move of a stage when it moves. None keeps it as
            it is in the environment: in a Parallel one it does not, in an AEC one this is tried out. True shows it
            the move where the environment does not, which makes another game.
        leader_discount: of a stage, in [0, 1). A stage lasts from one move of the leader to its next.
        follower_discount: likewise.
        horizon: stages after which episodes are truncated; None leaves it to the environment.
        temperature: of whoever plays the follower, which leaders are told where it declares none itself.

    Raises:
        InvalidArgumentError: the source makes no such environment, or an argument is none.
        InvalidGameError: an agent has no place, the environment cannot be played, or a number is out of range.
        UnsupportedGameError: a space is of a kind that cannot be played.
    """
    return AECGame(
        source,
        Sides.of(leader, follower, others, shared, follower_sees_action),
        leader_discount=leader_discount,
        follower_discount=follower_discount,
        horizon=horizon,
        temperature=temperature,
    )

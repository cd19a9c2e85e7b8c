"""Information classes: what a leader gets to see, and nothing more."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from functools import total_ordering

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InformationError
from stackelberg_games.exact.response import Response
from stackelberg_games.kinds.game import Game
from stackelberg_games.learning.powers import Doings, Power
from stackelberg_games.play.rollout import ResponsePolicy, TabularResponse
from stackelberg_games.rules.comparisons import Comparisons
from stackelberg_games.rules.trajectories import Trajectories


class Information(enum.IntEnum):
    """What a leader observes after each batch; every class includes the ones below it.

    Leaders are ranked only against leaders of their own class.

    Examples:
        >>> import stackelberg_games as sg
        >>> sg.make_leader("bchg").information
        <Information.TRAJECTORIES: 1>
        >>> sg.Information.RETURNS < sg.Information.TRAJECTORIES < sg.Information.MODEL
        True
    """

    RETURNS = 0
    """The leader's own return of every episode."""
    TRAJECTORIES = 1
    """States, both players' actions, its own rewards, and the follower's where it declares so; a judge's labels too,
    where there is one."""
    FOLLOWER_POLICY = 2
    """The follower's response policy itself."""
    FOLLOWER_VALUES = 3
    """The follower's value functions."""
    MODEL = 4
    """The game's transitions and rewards."""


@total_ordering
@dataclass(frozen=True)
class Empowered:
    """The class of leaders that see as much and do something beside committing; it comes after those that do not."""

    information: Information
    powers: frozenset[Power]

    @property
    def name(self) -> str:
        """Such as TRAJECTORIES+PAYS."""
        return "+".join((self.information.name, *self._does))

    @property
    def _does(self) -> tuple[str, ...]:
        return tuple(sorted(power.value.upper() for power in self.powers))

    def __lt__(self, other: object) -> bool:
        if isinstance(other, Information):
            return self.information < other
        if isinstance(other, Empowered):
            return (self.information, self._does) < (other.information, other._does)
        return NotImplemented


Division = Information | Empowered
"""Leaders are ranked only against leaders that see as much and do the same."""


def division(name: str) -> Division:
    """The class of that name."""
    information, *does = name.split("+")
    powers = frozenset(Power(word.lower()) for word in does)
    return Empowered(Information[information], powers) if powers else Information[information]


@dataclass(frozen=True)
class Evidence:
    """What the training loop hands to a leader; fields beyond its class are None.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("matrix-v0", preset="conitzer_sandholm")
        >>> batch = sg.rollout(
        ...     game, sg.TabularPolicy(game), sg.TabularResponse.uniform(game), episodes=4
        ... )
        >>> evidence = sg.Evidence(batch.leader_returns(game.leader_discount), trajectories=batch)
        >>> evidence.require_trajectories().episodes
        4
        >>> evidence.require_game()
        Traceback (most recent call last):
            ...
        stackelberg_games.errors.InformationError: this leader needs the game, which its evidence does not hold

    Attributes:
        leader_returns: discounted return of every episode, ``[N]``.
        trajectories: the episodes.
        follower_policy: the response that was played.
        follower_values: the follower's values.
        game: the game itself.
        comparisons: what a judge said of pairs of episodes, in a preference game; else None.
        doings: what the leader may do beside committing; see ``Leader.powers``.
    """

    leader_returns: FloatArray
    trajectories: Trajectories | None = None
    follower_policy: ResponsePolicy | None = None
    follower_values: Response | None = None
    game: Game | None = None
    comparisons: Comparisons | None = None
    doings: Doings = field(default_factory=Doings)

    def require_comparisons(self) -> Comparisons:
        """What a judge said, or ``InformationError`` where nobody was asked."""
        if self.comparisons is None:
            raise InformationError(
                "this leader learns from a judge's labels, which only preference games have; preference_grid-v0 is one"
            )
        return self.comparisons

    def require_trajectories(self) -> Trajectories:
        """The trajectories, or ``InformationError`` where the class does not grant them."""
        if self.trajectories is None:
            raise InformationError("this leader needs trajectories; it was granted returns only")
        return self.trajectories

    def require_game(self) -> Game:
        """The game, or ``InformationError`` where the class does not grant it."""
        if self.game is None:
            raise InformationError("this leader needs the game, which its evidence does not hold")
        return self.game

    def require_table(self) -> FloatArray:
        """The follower's policy ``[S, A, B]``, or ``InformationError`` where it plays something else."""
        if not isinstance(self.follower_policy, TabularResponse):
            raise InformationError(
                "a table of the follower's policy is read here, and this follower plays a "
                f'{type(self.follower_policy).__name__}; set reads="none"'
            )
        return self.follower_policy.probabilities


def grant(
    information: Information,
    batch: Trajectories,
    *,
    game: Game,
    follower_policy: ResponsePolicy,
    follower_values: Response | None,
    follower_rewards: bool,
    comparisons: Comparisons | None = None,
    doings: Doings | None = None,
) -> Evidence:
    """Cut the outcome of an iteration down to an information class; nothing that is given changes.

    Raises:
        InformationError: the class includes the follower's values and this follower has none.
    """
    if information >= Information.FOLLOWER_VALUES and follower_values is None and information < Information.MODEL:
        raise InformationError("the leader reads the follower's values, which this follower cannot give")
    seen = batch if follower_rewards else batch.without_follower_rewards()
    return Evidence(
        batch.leader_returns(game.leader_discount),
        seen if information >= Information.TRAJECTORIES else None,
        follower_policy if information >= Information.FOLLOWER_POLICY else None,
        follower_values if information >= Information.FOLLOWER_VALUES else None,
        game if information >= Information.MODEL else None,
        comparisons if information >= Information.TRAJECTORIES else None,
        Doings() if doings is None else doings,
    )

"""What every follower is: settings, a temperature, and a response to a commitment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.exact.response import Response
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.numerics.stateful import Stateful
from stackelberg_games.play.rollout import ResponsePolicy
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.settings import Checked


@dataclass(frozen=True)
class Answer:
    """What a follower returns.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("discrete_toy-v0")
        >>> follower = sg.make_follower("soft_q_learning", first_transitions=5000)
        >>> follower.begin(game, seed=0)
        >>> answer = follower.respond(game, sg.TabularPolicy(game))
        >>> answer.transitions, answer.policy.probabilities.shape
        (5000, (3, 2, 3))

    Attributes:
        policy: the response policy.
        values: its values, where it knows them.
        transitions: stages it played on its own to learn this response.
    """

    policy: ResponsePolicy
    values: Response | None = None
    transitions: int = 0


class Follower(Checked, Stateful, ABC):
    """A follower. Subclasses are dataclasses whose fields are their settings.

    It owns its learning: what it keeps between two commitments is its own business.

    What it runs outside this program, such as a process, lives until the outermost ``with`` on it is left.
    Training is such a ``with``; to ask the same process again after it, put your own around both.

    Examples:
        >>> from dataclasses import dataclass
        >>> import numpy as np
        >>> import stackelberg_games as sg
        >>> from stackelberg_games.learning.follower import Answer
        >>> @dataclass
        ... class Stubborn(sg.Follower):
        ...     action: int = 0
        ...
        ...     def respond(self, game, commitment):
        ...         always = np.eye(game.follower_actions)[self.action]
        ...         return Answer(
        ...             sg.TabularResponse(np.broadcast_to(always, game.follower_reward.shape))
        ...         )
        >>> game = sg.make("discrete_toy-v0")
        >>> run = sg.train(game, "random_search", Stubborn(1), iterations=3, seed=0, progress=False)
        >>> round(run.history[-1]["follower_return"], 3)
        0.682

    Attributes:
        runs: names of settings that name a program to run; a file may give them only where its reader allows it.
    """

    runs: ClassVar[tuple[str, ...]] = ()

    def __enter__(self) -> Self:
        vars(self)["_users"] = vars(self).get("_users", 0) + 1
        return self

    def __exit__(self, *_: object) -> None:
        vars(self)["_users"] -= 1
        if not vars(self)["_users"]:
            self.close()

    def close(self) -> None:
        """End what it runs outside this program; it may be used again after another ``begin``. Never raises."""

    @property
    def declared_temperature(self) -> float | None:
        """The temperature that leaders are told; None where the notion does not apply."""
        return getattr(self, "temperature", None)

    def begin(self, game: Game, *, seed: int = 0) -> None:
        """Start a match with no memory of earlier ones.

        Raises:
            UnsupportedGameError: the follower cannot play this game.
        """

    @abstractmethod
    def respond(self, game: Game, commitment: Commitment) -> Answer:
        """Respond to a commitment."""

    def tracking(self, updates: int) -> Follower:
        """One like it that takes so many updates for every commitment and is never solved, the first time neither.

        Args:
            updates: >= 1; sweeps of a planner, transitions of a learner.

        Raises:
            InvalidArgumentError: it has no updates to count.
        """
        raise InvalidArgumentError(
            f"follower_updates={updates}: {type(self).__name__} does not learn by counted updates; soft_q_learning, soft_dqn, "
            "sb3, soft_value_iteration and maxent_lqr do"
        )

    def rehearsal(self, game: Game) -> Follower:
        """Who plays some iterations that show what the state of the match looks like, before it begins anew.

        The follower itself; one that asks somebody outside the program for its moves returns another
        that does not.

        Args:
            game: of the match, which has begun.
        """
        return self


class FiniteFollower(Follower):
    """A follower that plays games given by arrays, and no others."""

    def begin(self, game: Game, *, seed: int = 0) -> None:
        """See ``Follower.begin``."""
        finite(game, self)


def finite(game: Game, who: object) -> TabularGame:
    """``game`` if it is finite; raise ``UnsupportedGameError`` naming the agent if not."""
    if not isinstance(game, TabularGame):
        raise UnsupportedGameError(
            f"{type(who).__name__} needs a game given by arrays (TabularGame), got {type(game).__name__}; "
            "maxent_lqr plans in linear-quadratic games; black_box, soft_dqn (finitely many actions) and sb3 (bounded ones too) learn by playing"
        )
    return game

"""What a leader is told of a game before the first episode."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import gymnasium

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.rules.lever import Lever
from stackelberg_games.rules.observations import Observations

PaymentNeeded = Literal["any", "stages", "known", "judge", "known judge"]
"""How a leader needs to be paid: stage by stage, by a rule that is known, by a judge of pairs of segments, or by one whose rule is known."""


@dataclass(frozen=True)
class LeaderView:
    """Everything a leader is told of a game before the first episode.

    Spaces, discounts and the order of moves; no transition, no reward, no follower.

    Examples:
        >>> import stackelberg_games as sg
        >>> view = sg.make("discrete_toy-v0").view(temperature=0.05)
        >>> view.sizes(), view.leader_discount, view.follower_sees_action
        ((3, 2, 3), 0.99, True)

    Attributes:
        state_space, leader_action_space, follower_action_space: gymnasium spaces.
        leader_discount, follower_discount: in [0, 1).
        horizon: stages of an episode, or None.
        follower_sees_action: whether the follower observes the leader's action before it moves.
        temperature: the follower's temperature as the leader believes it, or None if untold.
        estimates: whether that is a number to begin with only, and the leader estimates it.
        judged: length of a segment, where the leader is paid for pairs of episodes whose first segments a judge compares,
            and for no stage of them; else None.
        known_judge: whether that judge answers by a rule, so that the leader's objective can be worked out.
        effort: N, where the leader pays a'N a for its own action a, ``[k, k]``; else None.
        observations: what the leader sees of the states when it acts, where it does not tell all of them apart; else None.
        lever: how the leader's configuration enters, where it has one to choose; else None. One lever never equals
            another, so that views which compare equal can stand for each other.

    Raises:
        InvalidArgumentError: the temperature is no finite number > 0.
    """

    state_space: gymnasium.Space[Any]
    leader_action_space: gymnasium.Space[Any]
    follower_action_space: gymnasium.Space[Any]
    leader_discount: float
    follower_discount: float
    horizon: int | None
    follower_sees_action: bool
    temperature: float | None = None
    estimates: bool = False
    judged: int | None = None
    known_judge: bool = False
    effort: FloatArray | None = field(default=None, repr=False, compare=False)
    observations: Observations | None = field(default=None, repr=False)
    lever: Lever | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.temperature is not None:
            checks.number("temperature", self.temperature, above=0)

    def require(self, payment: PaymentNeeded) -> None:
        """Raise ``UnsupportedGameError`` where the leader is not paid as a leader needs it; see ``PaymentNeeded``."""
        if payment in ("judge", "known judge") and self.judged is None:
            raise UnsupportedGameError("nobody judges this game as preference_grid-v0 is; bchg learns from rewards")
        if payment == "stages" and self.judged is not None:
            raise UnsupportedGameError(
                "it needs rewards that are paid stage by stage, and a judge pays here; bchg learns"
            )
        if payment in ("known", "known judge") and self.judged is not None and not self.known_judge:
            raise UnsupportedGameError(
                "the judge's answers follow no known rule, so that the leader's exact objective is not known; drlhf, bchg, "
                "hpgd and sobirl learn from the labels"
            )

    def sizes(self) -> tuple[int, int, int]:
        """Numbers of states, leader actions and follower actions of a finite game.

        Raises:
            UnsupportedGameError: one of the spaces is not discrete.
        """
        spaces = (self.state_space, self.leader_action_space, self.follower_action_space)
        if not all(isinstance(space, gymnasium.spaces.Discrete) for space in spaces):
            raise UnsupportedGameError(
                f"a finite game is needed; these are its spaces: {spaces}; evolution_strategies and random_search "
                "need no table"
            )
        states, leader, follower = (int(space.n) for space in spaces)  # type: ignore[attr-defined]
        return states, leader, follower


def not_estimated(why: str) -> UnsupportedGameError:
    """What is raised where a temperature would have to be estimated that cannot be."""
    return UnsupportedGameError(
        f"the follower's temperature is not told and cannot be estimated here ({why}); give sg.train a temperature, or sg.adapt "
        "one, or take a follower that declares its own"
    )

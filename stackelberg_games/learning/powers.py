"""What a leader may do beside committing: declared by the leader, lent by the training loop, and counted."""

from __future__ import annotations

import copy
import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stackelberg_games.errors import InformationError, UnsupportedGameError
from stackelberg_games.kinds.game import Game
from stackelberg_games.kinds.paid import one_control_problem, paid
from stackelberg_games.learning.follower import Follower
from stackelberg_games.learning.interview import Session
from stackelberg_games.play.rollout import ResponsePolicy
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.comparisons import Judged
from stackelberg_games.rules.lever import Ledger
from stackelberg_games.rules.trajectories import Trajectories


class Power(enum.Enum):
    """Something a leader does beside committing. Leaders are ranked only against leaders that do the same."""

    PAY = "pays"
    """It pays followers of the same make in sight, and watches how they answer."""
    TRAIN = "trains"
    """It plays episodes with a follower of its own making."""


@dataclass
class Lent:
    """What the loop does for a leader that asks for more than to be played.

    Paid followers are made like the one played against, one for each direction of payment, and keep what they
    learn. They play under the same random numbers as the batch of the iteration.

    Attributes:
        transitions: stages played so far, beside the batches.
        follower_transitions: stages that paid followers have played to learn.
    """

    powers: frozenset[Power]
    game: Game
    follower: Follower
    seed: int
    ledger: Ledger | None = None
    followers: dict[str, Follower] = field(default_factory=dict)
    transitions: int = 0
    follower_transitions: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.game, Judged) and self.powers:
            raise UnsupportedGameError(
                f"followers are not paid or trained in {self.game.name}, where a judge pays; bchg and drlhf play it"
            )
        if Power.PAY not in self.powers:
            return
        game = one_control_problem(self.game, "a leader that pays")
        if any(getattr(self.follower, name, None) for name in self.follower.runs):
            raise UnsupportedGameError(
                f"a leader that pays needs followers like {type(self.follower).__name__} made anew, and this one runs a "
                "program of its own; bchg plays against it"
            )
        for sign, share in (("plus", 1.0), ("minus", -1.0)):
            twin = type(self.follower)(**copy.deepcopy(self.follower.settings))
            twin.begin(paid(game, share), seed=self.seed)
            self.followers[sign] = twin

    def at(self, commitment: Commitment, playing: Session, episodes: int, number: int) -> Doings:
        """What a leader of these powers is handed in iteration ``number``.

        Args:
            commitment: what is played.
            playing: who plays.
            episodes: in each batch.
            number: of the iteration.
        """

        def played(shown: Commitment, response: ResponsePolicy) -> Trajectories:
            batch = playing.again(shown, response, episodes, number)
            self.transitions += batch.transitions
            if self.ledger is not None:
                self.ledger.reveal(batch)
            return batch

        def pay(share: float) -> Trajectories:
            return played(commitment, self._answer(commitment, share))

        return Doings(pay if Power.PAY in self.powers else None, played if Power.TRAIN in self.powers else None)

    def _answer(self, commitment: Commitment, share: float) -> ResponsePolicy:
        """The response of a follower that is paid ``share`` of the leader's reward."""
        game = one_control_problem(self.game, "a leader that pays")
        answer = self.followers["plus" if share > 0 else "minus"].respond(paid(game, share), commitment)
        self.follower_transitions += answer.transitions
        return answer.policy

    def state_dict(self) -> dict[str, Any]:
        """Of the paid followers, and what was counted."""
        return {
            "followers": {sign: follower.state_dict() for sign, follower in self.followers.items()},
            "transitions": self.transitions,
            "follower_transitions": self.follower_transitions,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore them."""
        for sign, follower in self.followers.items():
            follower.load_state_dict(state["followers"][sign])
        self.transitions, self.follower_transitions = state["transitions"], state["follower_transitions"]


@dataclass(frozen=True)
class Doings:
    """What a leader may do in one iteration; what it has not declared is None.

    Attributes:
        pay: from a share of its reward, not zero, to a batch against a follower that was paid it; the rewards in it are
            those without the payment.
        practise: from a commitment and a response of its own to a batch.
    """

    pay: Callable[[float], Trajectories] | None = None
    practise: Callable[[Commitment, ResponsePolicy], Trajectories] | None = None

    def paid(self, share: float) -> Trajectories:
        """See ``pay``; ``InformationError`` where the leader has not declared it."""
        if self.pay is None:
            raise InformationError("this leader has not declared Power.PAY, so nobody is paid for it")
        return self.pay(share)

    def practised(self, commitment: Commitment, response: ResponsePolicy) -> Trajectories:
        """See ``practise``; ``InformationError`` where the leader has not declared it."""
        if self.practise is None:
            raise InformationError("this leader has not declared Power.TRAIN, so it plays no follower of its own")
        return self.practise(commitment, response)

"""What every leader is: settings, a commitment to play, and an update from what it observes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar, Literal

from stackelberg_games.commitments.first import usual_commitment
from stackelberg_games.errors import InformationError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.exact.preference import Pairs
from stackelberg_games.learning.information import Division, Empowered, Evidence, Information
from stackelberg_games.learning.powers import Power
from stackelberg_games.numerics.stateful import Stateful
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import Ledger
from stackelberg_games.rules.rules import Rules
from stackelberg_games.rules.view import LeaderView, PaymentNeeded
from stackelberg_games.settings import Checked

Told = float | Literal["estimated"] | None
"""What a leader is to believe of the follower's temperature: a number, that it has to estimate it, or nothing."""


def told(game: Rules, leader: Leader, temperature: Told, ledger: Ledger | None = None) -> LeaderView:
    """What a leader is told of a game: the temperature only where it declares that it needs one.

    Args:
        game: the rules.
        leader: who is told.
        temperature: what it is to believe of the follower; what the game knows of it if None, and where it knows nothing it is
            to be estimated by those who can.
        ledger: see ``Rules.view``.

    Raises:
        InvalidArgumentError: the temperature is another word than "estimated".
        UnsupportedGameError: it is to be estimated, by a leader that does not.
    """
    if isinstance(temperature, str) and temperature != "estimated":
        raise InvalidArgumentError(f"temperature={temperature!r}: expected a number > 0, 'estimated' or None")
    if not leader.needs_temperature:
        return game.view(None, ledger)
    believed = game.follower_temperature if temperature is None else temperature
    if believed is None and leader.estimates_temperature:
        believed = "estimated"
    if not isinstance(believed, str):
        return game.view(believed, ledger)
    if not leader.estimates_temperature:
        raise UnsupportedGameError(
            f"temperature='estimated': {type(leader).__name__} does not estimate it; bchg and model_based do"
        )
    return replace(game.view(1.0, ledger), estimates=True)


class Leader(Checked, Stateful, ABC):
    """A learning leader. Subclasses are dataclasses whose fields are their settings.

    A leader is constructed from settings alone and starts a match with ``begin``. It never holds
    a follower or a game (one of class MODEL is handed the game with the evidence).

    Examples:
        >>> from dataclasses import dataclass
        >>> import stackelberg_games as sg
        >>> from stackelberg_games.rules.commitment import assign, flatten
        >>> @dataclass
        ... class Drifting(sg.Leader):
        ...     step: float = 0.1
        ...
        ...     @property
        ...     def information(self):
        ...         return sg.Information.RETURNS
        ...
        ...     def update(self, evidence):
        ...         assign(self.commitment, flatten(self.commitment) + self.step)
        ...         return {"paid": float(evidence.leader_returns.mean())}
        >>> game = sg.make("discrete_toy-v0")
        >>> run = sg.train(
        ...     game, Drifting(0.2), "soft_value_iteration", iterations=3, progress=False
        ... )
        >>> list(run.history[-1])
        ['iteration', 'transitions', 'follower_transitions', 'leader_return', 'follower_return', 'leader/paid']

    Attributes:
        needs_follower_rewards: whether its trajectories must hold the follower's rewards.
        needs_temperature: whether it must be told the follower's temperature.
        needs_payment: how it must be paid, see ``rules.view.PaymentNeeded``.
        estimates_temperature: whether it can find it out.
        powers: what it does beside committing; leaders are ranked apart by it.
        further_batches: how many batches it has played with them in every iteration, at most.
        keeps: see ``Stateful``: a subclass names what it changes beside the commitment.
    """

    needs_follower_rewards: ClassVar[bool] = False
    needs_temperature: ClassVar[bool] = False
    needs_payment: ClassVar[PaymentNeeded] = "any"
    estimates_temperature: ClassVar[bool] = False
    powers: ClassVar[frozenset[Power]] = frozenset()
    further_batches: ClassVar[int] = 0
    keeps: ClassVar[tuple[str, ...]] = ("commitment",)
    view: LeaderView
    commitment: Commitment

    @property
    @abstractmethod
    def information(self) -> Information:
        """The information class it works in."""

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """Start a match.

        Args:
            view: what the leader is told of the game.
            seed: of the leader's own randomness.
            commitment: to start from; the leader's default if not given.

        Raises:
            InformationError: the leader needs the temperature and the view does not hold it.
            UnsupportedGameError: it is not paid as it needs to be.
        """
        view.require(self.needs_payment)
        if self.needs_temperature and view.temperature is None:
            raise InformationError(
                f"{type(self).__name__} needs the follower's temperature and was told none; give sg.train a "
                "temperature, or sg.adapt one, or take a follower that declares its own"
            )
        self.view = view
        self.commitment = self.first_commitment(view, seed) if commitment is None else commitment

    @property
    def division(self) -> Division:
        """Among whom it is ranked: its information class, and what it does beside committing."""
        return Empowered(self.information, self.powers) if self.powers else self.information

    @property
    def temperature(self) -> float:
        """The follower's as it was told, for a leader that needs it."""
        assert self.view.temperature is not None
        return self.view.temperature

    def first_commitment(self, view: LeaderView, seed: int) -> Commitment:
        """The commitment of the first episode; see ``commitments.first.usual_commitment``."""
        return usual_commitment(view, seed)

    @abstractmethod
    def update(self, evidence: Evidence) -> dict[str, float]:
        """Improve the commitment; returns figures to log."""

    @property
    def granted_follower_rewards(self) -> bool:
        """Whether its trajectories hold the follower's rewards; not where it was told to do without."""
        return self.needs_follower_rewards

    @property
    def asks(self) -> Pairs:
        """Who plays the pairs that it has a judge compare, in a preference game; see ``learning.interview``."""
        return "on_policy"

    @property
    def recommendation(self) -> Commitment:
        """The commitment it would deploy; differs from ``commitment`` while it explores."""
        return self.commitment

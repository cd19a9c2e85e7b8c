"""The rules of a two-player Stackelberg Markov game; they know no particular game, no face and no learner."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Protocol, TypeVar

import gymnasium
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stackelberg_games import checks, display
from stackelberg_games.arrays import BoolArray, FloatArray
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError, UnsupportedGameError
from stackelberg_games.numerics.randomness import Streams
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.drawing import Picture, short
from stackelberg_games.rules.lever import Ledger
from stackelberg_games.rules.observations import Observations
from stackelberg_games.rules.scene import Scene
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView

Given = TypeVar("Given")


class Step(NamedTuple):
    """What a batch of stages brings; every field has leading dimension N.

    Examples:
        >>> import numpy as np
        >>> import stackelberg_games as sg
        >>> from stackelberg_games.numerics.randomness import Streams
        >>> game = sg.make("discrete_toy-v0")
        >>> streams = Streams(0, np.arange(3, dtype=np.uint64))  # three episodes
        >>> states = game.initial(streams)
        >>> step = game.step(states, np.array([0, 1, 0]), np.array([0, 1, 2]), streams, 0)
        >>> step.states, step.terminated
        (array([0, 1, 2]), array([False, False, False]))

    Attributes:
        states: next states.
        leader_rewards: float ``[N]``.
        follower_rewards: float ``[N]``.
        terminated: bool ``[N]``; true where the next state is terminal.
    """

    states: Any
    leader_rewards: FloatArray
    follower_rewards: FloatArray
    terminated: BoolArray


class Sampling(Protocol):
    """Whatever draws the leader's actions."""

    def sample(self, states: Any, streams: Streams, stage: int) -> Any:
        """Leader actions for a batch of states, ``[N, ...]``."""


class OneByOne(Protocol):
    """What plays a single episode of a finite game, with numbers in the place of batches."""

    @property
    def numbered(self) -> bool:
        """Whether ``observe`` shows a state as its number; it is one-hot otherwise."""

    def first(self, seed: int, episode: int) -> int:
        """What ``initial`` finds: the first state."""

    def play(
        self, state: int, leader_action: int, follower_action: int, seed: int, episode: int, stage: int
    ) -> tuple[int, float, float, bool]:
        """What ``step`` finds: the next state, both rewards, and whether it is terminal."""


class Rules(ABC):
    """Rules of a game, batched and functional: states in, states out, explicit streams.

    A subclass sets the attributes and writes ``initial``, ``step`` and ``observe``; the PettingZoo
    and Gymnasium faces are derived from these.

    Attributes:
        name: id such as ``"discrete_toy-v0"``; shown by faces and reports.
        state_space, leader_action_space, follower_action_space: gymnasium spaces.
        leader_discount: in [0, 1); 1 is allowed with a finite horizon.
        follower_discount: in [0, 1).
        horizon: number of stages after which play and the leader's objective are truncated, or
            None for the infinite discounted game. The follower's response is stationary.
        follower_sees_action: whether the follower observes the leader's action before it moves.
        spec: id and settings it was made from by ``make``, or None.
        configuration_space: of what the leader chooses once, before the first stage, where it configures
            the game; else None. ``step`` plays the game before any configuration, ``configured`` the others.
        idle_action: what a leader that only configures plays at every stage; None where it acts.
        observations: what the leader sees of the states when it acts, where it does not tell all of them apart; else None.
        follower_masked: whether actions of the follower may be forbidden at times; learners then have to know masks.
        shown_space: of what a learner observes where only an environment plays the game, as a whole; else None.
        follower_temperature: of whoever plays the follower, where the game knows it and the follower declares none.
        lasting: whether another process could make the game again; if not it only trains.
    """

    name: str
    state_space: gymnasium.Space[Any]
    leader_action_space: gymnasium.Space[Any]
    follower_action_space: gymnasium.Space[Any]
    leader_discount: float
    follower_discount: float
    horizon: int | None
    follower_sees_action: bool
    spec: tuple[str, dict[str, Any]] | None = None
    configuration_space: gymnasium.spaces.Box | None = None
    idle_action: Any = None
    observations: Observations | None = None
    follower_masked: bool = False
    shown_space: gymnasium.Space[Any] | None = None
    follower_temperature: float | None = None
    lasting: bool = True

    def __repr__(self) -> str:
        """Class, name and what the players may do."""
        sides = f"leader {self.leader_action_space}, follower {self.follower_action_space}"
        return f"{type(self).__name__}({self.name!r}: states {self.state_space}, {sides}, horizon {self.horizon})"

    def _repr_html_(self) -> str:
        """The rules in short, in a notebook."""
        facts = (
            ("states", self.state_space),
            ("leader's actions", self.leader_action_space),
            ("follower's actions", self.follower_action_space),
            ("leader's configuration", self.configuration_space),
            ("discounts of leader and follower", f"{self.leader_discount:g}, {self.follower_discount:g}"),
            ("horizon", self.horizon or "endless"),
            ("follower sees the leader's action", self.follower_sees_action),
        )
        rows = [(name, value) for name, value in facts if value is not None]
        return display.table(f"{type(self).__name__} {self.name}", ["", ""], rows)

    @abstractmethod
    def initial(self, streams: Streams) -> Any:
        """First states of a batch of episodes, ``[N, ...]``."""

    @abstractmethod
    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Streams, stage: int) -> Step:
        """Play one stage in every episode of a batch."""

    @abstractmethod
    def observe(self, state: Any) -> NDArray[np.float32]:
        """The state of one episode as a flat vector, as the faces show it."""

    def observe_batch(self, states: Any) -> NDArray[np.float32]:
        """``observe`` for every state of a batch, ``[N, d]``; a game may have a faster way."""
        return np.stack([self.observe(state) for state in states]).astype(np.float32)

    @property
    @abstractmethod
    def observation_space(self) -> gymnasium.spaces.Box:
        """Space of ``observe``."""

    def observe_leader(self, state: Any) -> NDArray[np.float32]:
        """What the leader observes of the state of one episode: ``observe``, or less where there are ``observations``."""
        return self.observe(state) if self.observations is None else self.observations.shown(state)

    def observe_leader_batch(self, states: Any) -> NDArray[np.float32]:
        """``observe_leader`` for every state of a batch, ``[N, d]``."""
        return self.observe_batch(states) if self.observations is None else self.observations.shown_batch(states)

    @property
    def leader_observation_space(self) -> gymnasium.spaces.Box:
        """Space of ``observe_leader``."""
        return self.observation_space if self.observations is None else self.observations.space

    def draw(self, axes: Any, scene: Scene) -> bool:
        """Draw the current state on empty Matplotlib axes; a game may define its own picture.

        The faces add who played what and what it paid. The axes come without frame and ticks and
        with limits (0, 1); a game sets the limits it needs, and ``axes.set_aspect("equal")``.

        Returns:
            False to leave it to ``drawing``.
        """
        return False

    def drawing(self) -> Picture | None:
        """What draws the games of this class that do not draw themselves; None for bars of the observation."""
        return None

    def label(self, state: Any) -> str:
        """Name of a state in pictures: its numbers, in little space."""
        return short(state)

    def sampling(self, commitment: Commitment) -> Sampling:
        """What plays a commitment as it stands now, stage by stage; a class may have a faster way than its module."""
        return commitment

    def simulate(
        self, commitment: Commitment, follower_policy: Any, streams: Streams, stages: int
    ) -> Trajectories | None:
        """Play episodes by a compiled path of the game's own; None (the default) where it has none.

        It must play the very episodes that ``initial``, ``step`` and the policies' ``sample`` give.
        """
        return None

    def one_by_one(self) -> OneByOne | None:
        """What plays the very episodes of ``initial`` and ``step``, one at a time and faster; None (the default) where it has none."""
        return None

    def leader_objective(
        self,
        commitment: Commitment,
        temperature: float,
        *,
        discount: float | None = None,
        horizon: int | None = None,
    ) -> Tensor:
        """The leader's exact return against the soft-optimal follower, where the game knows it.

        See ``exact.leader_objective``.

        Raises:
            UnsupportedGameError: it has no closed form in this game.
        """
        raise UnsupportedGameError(
            f"{self.name} has no exact objective, as finite and linear-quadratic games have; bchg learns without one, "
            "and evolution_strategies in any game"
        )

    def configured(self, configuration: Tensor) -> Rules:
        """The game with its rules fixed under a configuration; it cannot be configured again.

        First states do not depend on the configuration: they are drawn before it is chosen.

        Raises:
            UnsupportedGameError: the leader does not configure this game.
        """
        raise UnsupportedGameError(f"{self.name} cannot be configured")

    def ledger(self) -> Ledger | None:
        """A record of the stages played, by which ``view`` opens the leader's lever; None where that needs none."""
        return None

    def view(self, temperature: float | None = None, ledger: Ledger | None = None) -> LeaderView:
        """What a leader is told.

        Views that compare equal are interchangeable, but for the ledger that opens their levers.

        Args:
            temperature: what it believes of the follower, or None.
            ledger: which stages it may ask its lever about, where it configures the game; none without one.
        """
        return LeaderView(
            self.state_space,
            self.leader_action_space,
            self.follower_action_space,
            self.leader_discount,
            self.follower_discount,
            self.horizon,
            self.follower_sees_action,
            temperature,
            observations=self.observations,
        )

    def check_temperature(self, temperature: float | None) -> None:  # noqa: B027 (most games are about all)
        """Raise ``UnsupportedGameError`` where this game is about followers of another temperature; None for any."""

    def fingerprint(self) -> str:
        """A hash that tells games with different rules apart, as far as the class can see them."""
        facts = (type(self).__qualname__, self.name, self.spec, self.view())
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def stages(self, tolerance: float = 1e-2) -> int:
        """Length of a sampled episode: the horizon, or where both discounts fall to ``tolerance``."""
        if self.horizon is not None:
            return self.horizon
        largest = max(self.leader_discount, self.follower_discount)
        return 1 if largest <= tolerance else int(np.ceil(np.log(tolerance) / np.log(largest)))


def require_game(game: Given) -> Given:
    """``game`` if it is one.

    Raises:
        InvalidArgumentError: it is not; where it is an id, the message says how to make the game.
    """
    if isinstance(game, Rules):
        return game
    if isinstance(game, str):
        raise InvalidArgumentError(f"the id {game!r} was given for a game; make the game first: sg.make({game!r})")
    raise InvalidArgumentError(
        f"{checks.shown(game)}: expected a game; sg.make(id) makes one, sg.adapt(env, leader=..., follower=...) another of "
        "a PettingZoo environment"
    )


def require_lasting(game: Rules) -> None:
    """Raise ``InvalidArgumentError`` unless another process could make the game again."""
    if not game.lasting:
        raise InvalidArgumentError(
            f"{game.name} was made of an object, or of a function that is in no module, and only trains; for tournaments "
            "and stored runs give its factory a name in a module, or the id of an environment"
        )


def check_discount(name: str, value: float, *, one_allowed: bool = False) -> float:
    """Return ``value`` as a float; raise ``InvalidGameError`` outside [0, 1)."""
    if not checks.is_number(value) or not (0.0 <= value < 1.0 or (one_allowed and value == 1.0)):
        bounds = "[0, 1] where the horizon is finite" if one_allowed else "[0, 1)"
        one = name == "leader_discount" and checks.is_number(value) and value == 1
        hint = "; 1 needs a finite horizon" if one else ""
        raise InvalidGameError(f"{name}={checks.shown(value)}: this discount lies in {bounds}{hint}")
    return float(value)


def check_horizon(horizon: int | None) -> int | None:
    """Return ``horizon`` if it is None or a positive integer; raise ``InvalidGameError`` if not."""
    if horizon is None:
        return None
    if not checks.is_integer(horizon) or not 1 <= horizon < 2**63:
        raise InvalidGameError(f"horizon={checks.shown(horizon)}: expected None or an integer >= 1")
    return int(horizon)

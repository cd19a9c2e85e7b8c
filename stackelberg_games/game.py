"""The rules of a two-player Stackelberg Markov game, and what a leader may know of them."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray

from stackelberg_games.arrays import BoolArray, FloatArray
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError, UnsupportedGameError
from stackelberg_games.randomness import Streams

if TYPE_CHECKING:
    from pettingzoo import AECEnv, ParallelEnv
    from torch import Tensor

    from stackelberg_games.commitment import Commitment
    from stackelberg_games.configurable.lever import Lever
    from stackelberg_games.faces.episode import Scene
    from stackelberg_games.trajectories import Trajectories


class Step(NamedTuple):
    """What a batch of stages brings; every field has leading dimension N.

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


@dataclass(frozen=True)
class LeaderView:
    """Everything a leader is told of a game before the first episode.

    Spaces, discounts and the order of moves; no transition, no reward, no follower.

    Attributes:
        state_space, leader_action_space, follower_action_space: gymnasium spaces.
        leader_discount, follower_discount: in [0, 1).
        horizon: stages of an episode, or None.
        follower_sees_action: whether the follower observes the leader's action before it moves.
        temperature: the follower's temperature as the leader believes it, or None if untold.
        lever: how the leader's configuration enters, where it has one to choose; else None.
    """

    state_space: gymnasium.Space[Any]
    leader_action_space: gymnasium.Space[Any]
    follower_action_space: gymnasium.Space[Any]
    leader_discount: float
    follower_discount: float
    horizon: int | None
    follower_sees_action: bool
    temperature: float | None = None
    lever: Lever | None = field(default=None, repr=False, compare=False)

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


class Game(ABC):
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

    def draw(self, axes: Any, scene: Scene) -> bool:
        """Draw the current state on empty Matplotlib axes; a game may define its own picture.

        The faces add who played what and what it paid. The axes come without frame and ticks and
        with limits (0, 1); a game sets the limits it needs, and ``axes.set_aspect("equal")``.

        Returns:
            False to leave it to the package: a graph of states for a finite game, else bars.
        """
        return False

    def simulate(
        self, commitment: Commitment, follower_policy: Any, streams: Streams, stages: int
    ) -> Trajectories | None:
        """Play episodes by a compiled path of the game's own; None (the default) where it has none.

        It must play the very episodes that ``initial``, ``step`` and the policies' ``sample`` give.
        """
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

    def configured(self, configuration: Tensor) -> Game:
        """The game with its rules fixed under a configuration; it cannot be configured again.

        First states do not depend on the configuration: they are drawn before it is chosen.

        Raises:
            UnsupportedGameError: the leader does not configure this game.
        """
        raise UnsupportedGameError(f"{self.name} cannot be configured")

    def view(self, temperature: float | None = None) -> LeaderView:
        """What a leader is told; ``temperature`` is what it believes of the follower."""
        return LeaderView(
            self.state_space,
            self.leader_action_space,
            self.follower_action_space,
            self.leader_discount,
            self.follower_discount,
            self.horizon,
            self.follower_sees_action,
            temperature,
        )

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

    def env(self, render_mode: str | None = None) -> AECEnv[Any, Any, Any]:
        """PettingZoo AEC environment with the usual wrappers; agents leader_0 and follower_0."""
        from stackelberg_games.faces.aec import env

        return env(self, render_mode=render_mode)

    def raw_env(self, render_mode: str | None = None) -> AECEnv[Any, Any, Any]:
        """PettingZoo AEC environment without wrappers."""
        from stackelberg_games.faces.aec import StackelbergEnv

        return StackelbergEnv(self, render_mode=render_mode)

    def parallel_env(
        self, form: Literal["turns", "plan"] = "turns", render_mode: str | None = None
    ) -> ParallelEnv[Any, Any, Any]:
        """PettingZoo Parallel environment.

        Args:
            form: ``"turns"``: leader and follower phases alternate, the idle player is masked;
                ``"plan"``: one step a round, the follower submits a reply to every leader action;
                games that are configured do not have it.
            render_mode: None, ``"ansi"``, ``"rgb_array"`` or ``"human"``.
        """
        from stackelberg_games.faces.parallel import parallel_env

        return parallel_env(self, form=form, render_mode=render_mode)


class VectorGame(Game):
    """A game whose state is a vector of numbers that both players observe whole.

    A subclass calls this constructor and writes ``initial`` and ``step``.

    Args:
        name: id.
        state_space: a Box of float64.
        leader_action_space, follower_action_space, leader_discount, follower_discount, horizon: see ``Game``.

    Raises:
        InvalidGameError: a discount or the horizon is out of range.
    """

    def __init__(
        self,
        name: str,
        state_space: gymnasium.spaces.Box,
        leader_action_space: gymnasium.Space[Any],
        follower_action_space: gymnasium.Space[Any],
        *,
        leader_discount: float,
        follower_discount: float,
        horizon: int | None,
    ) -> None:
        self.name, self.state_space = name, state_space
        self.leader_action_space, self.follower_action_space = leader_action_space, follower_action_space
        self.horizon = check_horizon(horizon)
        self.leader_discount = check_discount("leader_discount", leader_discount, one_allowed=horizon is not None)
        self.follower_discount = check_discount("follower_discount", follower_discount)
        self.follower_sees_action = True
        low, high = (bound.astype(np.float32) for bound in (state_space.low, state_space.high))
        self._observation_space = gymnasium.spaces.Box(low, high)

    @property
    def observation_space(self) -> gymnasium.spaces.Box:
        """The state space in float32."""
        return self._observation_space

    def observe(self, state: Any) -> NDArray[np.float32]:
        """The state."""
        return np.asarray(state, dtype=np.float32)


def require_game(game: object) -> Game:
    """``game`` if it is one.

    Raises:
        InvalidArgumentError: it is not; where it is an id, the message says how to make the game.
    """
    if isinstance(game, Game):
        return game
    if isinstance(game, str):
        raise InvalidArgumentError(f"the id {game!r} was given for a game; make the game first: sg.make({game!r})")
    raise InvalidArgumentError(
        f"{game!r}: expected a game; sg.make(id) makes one, sg.AECGame(factory) another of an AEC environment"
    )


def check_discount(name: str, value: float, *, one_allowed: bool = False) -> float:
    """Return ``value`` as a float; raise ``InvalidGameError`` outside [0, 1)."""
    number = isinstance(value, int | float | np.number)
    if not number or not (0.0 <= value < 1.0 or (one_allowed and value == 1.0)):
        bounds = "[0, 1] where the horizon is finite" if one_allowed else "[0, 1)"
        hint = "; 1 needs a finite horizon" if name == "leader_discount" and value == 1 else ""
        raise InvalidGameError(f"{name}={value!r}: this discount lies in {bounds}{hint}")
    return float(value)


def check_horizon(horizon: int | None) -> int | None:
    """Return ``horizon`` if it is None or a positive integer; raise ``InvalidGameError`` if not."""
    if horizon is None:
        return None
    if isinstance(horizon, bool) or not isinstance(horizon, int | np.integer) or horizon < 1:
        raise InvalidGameError(f"horizon={horizon!r}: expected None or an integer >= 1")
    return int(horizon)

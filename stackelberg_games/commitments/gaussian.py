"""Gaussian commitments and responses in games with continuous states and actions.

A commitment here is reparameterised, a = a_theta(s, eps) with eps ~ N(0, I): it offers both its
log-probability (for score estimators) and the action as a differentiable function of theta (for
pathwise estimators, which stay useful when the noise is small).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.numerics.randomness import Lane, Streams, generator
from stackelberg_games.numerics.rows import product
from stackelberg_games.numerics.threads import in_own_modes
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.rules import Rules
from stackelberg_games.rules.view import LeaderView

Ranged = Rules | LeaderView | tuple[int, Sequence[float], Sequence[float]]
"""A game, the view of one, or its number of states (or state coordinates) and the leader's bounds."""

_INSIDE = 1e-12  # share of the range within which the ends of a squashed action are told apart
BoxSized = Rules | LeaderView | tuple[int, int]
"""A game with flat Box spaces, the view of one, or its numbers of state and leader coordinates."""


def box_sizes(view: Rules | LeaderView) -> tuple[int, int, int]:
    """Coordinates of states, leader actions and follower actions of a game with flat Box spaces.

    Raises:
        UnsupportedGameError: one of the spaces is not a Box of one dimension.
    """
    spaces = (view.state_space, view.leader_action_space, view.follower_action_space)
    sizes = []
    for space in spaces:
        if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
            raise UnsupportedGameError(
                f"a game with flat Box spaces is needed; these are its spaces: {spaces}; bchg, policy_gradient and "
                "evolution_strategies do without"
            )
        sizes.append(int(space.shape[0]))
    return sizes[0], sizes[1], sizes[2]


class ContinuousPolicy(Commitment):
    """A per-stage policy over real vectors.

    Attributes:
        state_size, action_size: numbers of coordinates n and k.
    """

    state_size: int
    action_size: int

    @abstractmethod
    def act(self, states: Tensor, noise: Tensor) -> Tensor:
        """Actions ``[..., k]`` at states ``[..., n]`` for standard normal noise ``[..., k]``."""

    @abstractmethod
    def log_prob(self, states: Tensor, actions: Tensor) -> Tensor:
        """Log-density of actions ``[..., k]`` at states ``[..., n]``."""

    def probabilities(self) -> Tensor:
        """There is no table of probabilities; raises ``UnsupportedGameError``."""
        raise UnsupportedGameError(f"{type(self).__name__} has a density, not a table of probabilities")

    def sample(self, states: Any, streams: Streams, stage: int) -> FloatArray:
        """Leader actions, float64 ``[N, k]``."""
        noise = torch.from_numpy(streams.normal(Lane.LEADER, stage, self.action_size))
        with torch.no_grad():
            return np.asarray(self.act(torch.as_tensor(states, dtype=torch.float64, device="cpu"), noise).numpy())


class LinearGaussianPolicy(ContinuousPolicy):
    """a = K s + W eps, with a trainable gain K and a fixed factor W.

    Args:
        game: a game, the view of one, or its numbers of state and leader coordinates.
        gain: K, ``[k, n]``; zeros if not given.
        std: W as a positive number or a factor ``[k, k]`` of full rank.

    Raises:
        InvalidArgumentError: a shape is wrong, a number is not finite, or W is singular.
    """

    gain: nn.Parameter
    factor: Tensor

    @in_own_modes
    def __init__(self, game: BoxSized, gain: ArrayLike | Tensor | None = None, std: ArrayLike = 1e-3) -> None:
        super().__init__()
        self.state_size, self.action_size = game if isinstance(game, tuple) else box_sizes(game)[:2]
        shape = (self.action_size, self.state_size)
        values = torch.zeros(shape, dtype=torch.float64)
        if gain is not None:
            values = torch.as_tensor(gain, dtype=torch.float64).clone()
        if tuple(values.shape) != shape or not bool(values.isfinite().all()):
            raise InvalidArgumentError(f"gain of shape {tuple(values.shape)}: expected finite numbers {shape}")
        factor = np.asarray(std, dtype=np.float64)
        factor = factor * np.eye(self.action_size) if factor.ndim == 0 else factor
        square = (self.action_size, self.action_size)
        if factor.shape != square or not np.isfinite(factor).all() or np.linalg.matrix_rank(factor) < len(factor):
            raise InvalidArgumentError(f"std={std!r}: expected a positive number or a regular factor {square}")
        self.gain = nn.Parameter(values)
        self.register_buffer("factor", torch.tensor(factor))

    @property
    def covariance(self) -> Tensor:
        """W W', ``[k, k]``."""
        return self.factor @ self.factor.T

    def describe(self) -> dict[str, Any]:
        """Class and sizes."""
        return {**super().describe(), "sizes": [self.state_size, self.action_size]}

    def act(self, states: Tensor, noise: Tensor) -> Tensor:
        """K s + W eps."""
        return states @ self.gain.T + noise @ self.factor.T

    def log_prob(self, states: Tensor, actions: Tensor) -> Tensor:
        """Gaussian log-density."""
        noise = torch.linalg.solve(self.factor, (actions - states @ self.gain.T).unsqueeze(-1)).squeeze(-1)
        volume: Tensor = torch.linalg.slogdet(self.factor).logabsdet + 0.5 * self.action_size * np.log(2 * np.pi)
        density: Tensor = -0.5 * noise.square().sum(dim=-1) - volume
        return density


class SquashedPolicy(ContinuousPolicy):
    """a = low + (high - low) sigmoid(K s + c + W eps), with trainable gain K and offset c; for bounded actions.

    Args:
        game: a game with a flat Box of states and a flat, bounded Box of leader actions; see ``Ranged``.
        std: W, a positive number.

    Raises:
        InvalidArgumentError: ``std`` is not positive.
        UnsupportedGameError: the spaces are of another kind.
    """

    @in_own_modes
    def __init__(self, game: Ranged, std: float = 0.3) -> None:
        super().__init__()
        if not isinstance(game, tuple):
            space = game.state_space
            if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
                raise UnsupportedGameError(f"states in {space}: a flat Box is needed")
            game = int(space.shape[0]), *_bounds(game)
        if not std > 0:
            raise InvalidArgumentError(f"std={std!r}: expected a number > 0")
        self.state_size, self.action_size = game[0], len(game[1])
        self.std = std
        self.gain = nn.Parameter(torch.zeros(self.action_size, self.state_size, dtype=torch.float64))
        self.offset = nn.Parameter(torch.zeros(self.action_size, dtype=torch.float64))
        self.low, self.width = _range(game)

    def describe(self) -> dict[str, Any]:
        """Class, sizes, range and deviation."""
        return {**super().describe(), "range": _described(self.state_size, self.low, self.width), "std": self.std}

    def act(self, states: Tensor, noise: Tensor) -> Tensor:
        """See the class."""
        return self.low + self.width * torch.sigmoid(states @ self.gain.T + self.offset + self.std * noise)

    def log_prob(self, states: Tensor, actions: Tensor) -> Tensor:
        """Gaussian log-density of the logit, corrected for the squashing."""
        share = ((actions - self.low) / self.width).clamp(_INSIDE, 1 - _INSIDE)
        noise = (torch.logit(share) - states @ self.gain.T - self.offset) / self.std
        slope = torch.log(share * (1 - share) * self.width * self.std) + 0.5 * np.log(2 * np.pi)
        density: Tensor = (-0.5 * noise.square() - slope).sum(dim=-1)
        return density


class TabularActions(Commitment):
    """A real action for each of finitely many states: a = low + (high - low) sigmoid(theta[s]).

    Args:
        game: a game with finitely many states and a flat, bounded Box of leader actions; see ``Ranged``.

    Raises:
        UnsupportedGameError: the spaces are of another kind.
    """

    @in_own_modes
    def __init__(self, game: Ranged) -> None:
        super().__init__()
        if not isinstance(game, tuple):
            states = game.state_space
            if not isinstance(states, gymnasium.spaces.Discrete):
                raise UnsupportedGameError(f"states in {states}: finitely many are needed")
            game = int(states.n), *_bounds(game)
        self.logits = nn.Parameter(torch.zeros(game[0], len(game[1]), dtype=torch.float64))
        self.low, self.width = _range(game)

    def describe(self) -> dict[str, Any]:
        """Class, sizes and range."""
        return {**super().describe(), "range": _described(len(self.logits), self.low, self.width)}

    def actions(self) -> Tensor:
        """The action in every state, ``[S, k]``."""
        return self.low + self.width * torch.sigmoid(self.logits)

    def probabilities(self) -> Tensor:
        """There is no table of probabilities; raises ``UnsupportedGameError``."""
        raise UnsupportedGameError("TabularActions has one sure action a state, not a table of probabilities")

    def sample(self, states: Any, streams: Streams, stage: int) -> FloatArray:
        """The actions at the states, float64 ``[N, k]``."""
        with torch.no_grad():
            return np.asarray(self.actions().numpy()[np.asarray(states)])


def bounded(space: gymnasium.Space[Any]) -> bool:
    """Whether a space is a flat Box with finite bounds."""
    return isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 1 and space.is_bounded("both")


def _bounds(game: Rules | LeaderView) -> tuple[list[float], list[float]]:
    """The leader's bounds; ``UnsupportedGameError`` where it has none."""
    space = game.leader_action_space
    if not bounded(space):
        raise UnsupportedGameError(f"leader actions in {space}: a flat Box with finite bounds is needed")
    assert isinstance(space, gymnasium.spaces.Box)
    return space.low.tolist(), space.high.tolist()


def _range(game: tuple[int, Sequence[float], Sequence[float]]) -> tuple[Tensor, Tensor]:
    """Lower bounds and widths."""
    low, high = (torch.tensor(list(bound), dtype=torch.float64) for bound in game[1:])
    return low, high - low


def _described(size: int, low: Tensor, width: Tensor) -> list[Any]:
    return [size, low.tolist(), (low + width).tolist()]


def rebuild(description: Mapping[str, Any]) -> Commitment:
    """A commitment of this module from its ``describe``, with fresh parameters."""
    if description["class"] == "LinearGaussianPolicy":
        states, actions = description["sizes"]
        return LinearGaussianPolicy((states, actions))
    size, low, high = description["range"]
    ranged = (int(size), list(low), list(high))
    if description["class"] == "SquashedPolicy":
        return SquashedPolicy(ranged, float(description["std"]))
    return TabularActions(ranged)


@dataclass(frozen=True)
class LinearGaussianResponse:
    """A response policy u = Fx s + Fa a + L eps.

    Args:
        state_gain: Fx, ``[m, n]``.
        action_gain: Fa, ``[m, k]``; how it answers the observed leader action.
        factor: L, ``[m, m]``; zero for a deterministic response.

    Raises:
        InvalidArgumentError: shapes disagree or a number is not finite.
    """

    state_gain: FloatArray
    action_gain: FloatArray
    factor: FloatArray

    def __post_init__(self) -> None:
        size = len(self.state_gain)
        shapes = (self.state_gain.ndim, self.action_gain.shape[:1], self.factor.shape)
        finite = all(np.isfinite(part).all() for part in (self.state_gain, self.action_gain, self.factor))
        if shapes != (2, (size,), (size, size)) or not finite:
            raise InvalidArgumentError(
                f"response of shapes {self.state_gain.shape}, {self.action_gain.shape}, {self.factor.shape}: "
                "expected finite numbers [m, n], [m, k], [m, m]"
            )

    def mean(self, states: Any, leader_actions: Any) -> FloatArray:
        """Mean reply ``[..., m]``."""
        return product(states, self.state_gain) + product(leader_actions, self.action_gain)

    def sample(self, states: Any, leader_actions: Any, streams: Streams, stage: int) -> FloatArray:
        """Replies, float64 ``[N, m]``."""
        noise = streams.normal(Lane.FOLLOWER, stage, len(self.state_gain))
        return self.mean(states, leader_actions) + product(noise, self.factor)


def first_policy(view: LeaderView, seed: int) -> Commitment:
    """Where a leader starts in a game with real actions.

    Standard normal gains where actions are unbounded; the middle of the range in every state where
    they are bounded.

    Raises:
        UnsupportedGameError: the leader's actions are not a flat Box.
    """
    if isinstance(view.state_space, gymnasium.spaces.Discrete):
        return TabularActions(view)
    return SquashedPolicy(view) if bounded(view.leader_action_space) else random_gain(view, seed)


def random_gain(view: LeaderView, seed: int, std: float = 1e-3) -> LinearGaussianPolicy:
    """A linear-Gaussian commitment with standard normal gains, as the experiments of BC-HG start."""
    states, actions, _ = box_sizes(view)
    gain = generator(seed, 4).normal(size=(actions, states))
    return LinearGaussianPolicy((states, actions), gain, std)

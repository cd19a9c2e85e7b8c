"""Commitments that are multilayer perceptrons on the coordinates of a state.

``MLPCategoricalPolicy`` draws from finitely many leader actions; ``MLPGaussianPolicy`` draws real
ones, squashed by a hyperbolic tangent where they are bounded (Haarnoja, Zhou, Abbeel and Levine,
ICML 2018, appendix C). Both are evaluated for whole batches and know their log-probability.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.commitments.gaussian import ContinuousPolicy
from stackelberg_games.commitments.perceptron import perceptron
from stackelberg_games.commitments.tabular import DiscretePolicy
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.numerics.randomness import Lane, Streams
from stackelberg_games.numerics.sampling import cumulative
from stackelberg_games.numerics.threads import in_own_modes
from stackelberg_games.rules import features
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.features import Features
from stackelberg_games.rules.masks import FORBIDDEN, allowed
from stackelberg_games.rules.rules import Rules
from stackelberg_games.rules.view import LeaderView

WithSpaces = Rules | LeaderView | tuple[gymnasium.Space[Any], gymnasium.Space[Any]]
"""A game, the view of one, or its spaces of states and leader actions."""

_LN2, _HALF_LN_2PI = float(np.log(2.0)), 0.5 * float(np.log(2 * np.pi))
_EDGE = 1e-15  # distance from +-1, relative, within which squashed actions are told apart


class StateNetwork(nn.Module):
    """A perceptron with tanh units on the vector of a state, each coordinate divided by its bound.

    Args:
        space: of states, a flat Box or a Discrete space.
        hidden: widths of the hidden layers; empty for a linear map.
        outputs: their number.
        seed: of the weights; the outputs start at zero in every state.

    Raises:
        UnsupportedGameError: the space is of another kind.
    """

    scale: Tensor

    @in_own_modes
    def __init__(self, space: gymnasium.Space[Any], hidden: Sequence[int], outputs: int, seed: int) -> None:
        super().__init__()
        self.features = Features(space)
        self.layers = perceptron([self.features.size, *hidden, outputs], seed, nn.Tanh)
        self.register_buffer("scale", torch.from_numpy(self.features.scale), persistent=False)

    def forward(self, states: Any) -> Tensor:
        """Outputs ``[..., outputs]``; the states may be an array or a tensor.

        Raises:
            InvalidArgumentError: the states are no elements of the space.
        """
        vectors = torch.tensor(self.features(states.numpy() if isinstance(states, Tensor) else states), device="cpu")
        out: Tensor = self.layers(vectors / self.scale)
        return out


class MLPCategoricalPolicy(Commitment):
    """A softmax over finitely many leader actions, given a state vector; over the allowed ones where states say which.

    Args:
        game: a game, the view of one, or its spaces of states and leader actions.
        hidden: widths of the hidden layers; empty for logits linear in the state.
        seed: of the first weights; the first commitment is uniform.

    Raises:
        UnsupportedGameError: the spaces are of another kind.
    """

    @in_own_modes
    def __init__(self, game: WithSpaces, hidden: Sequence[int] = (64, 64), seed: int = 0) -> None:
        super().__init__()
        self.state_space, self.action_space = _spaces(game)
        if not isinstance(self.action_space, gymnasium.spaces.Discrete):
            raise UnsupportedGameError(f"leader actions in {self.action_space}: a Discrete space is needed")
        self.hidden = tuple(hidden)
        self.network = StateNetwork(self.state_space, self.hidden, int(self.action_space.n), seed)

    def describe(self) -> dict[str, Any]:
        """Class, spaces and hidden widths."""
        return {**super().describe(), **_described(self)}

    def probabilities(self) -> Tensor:
        """Raises ``UnsupportedGameError``: there is no table, but see ``log_probabilities``."""
        raise UnsupportedGameError("MLPCategoricalPolicy has no table of probabilities; ask log_probabilities(states)")

    def log_probabilities(self, states: Any) -> Tensor:
        """Log-probabilities of all actions at states ``[..., n]``, float64 ``[..., A]``."""
        logits, open_to = self.network(states), allowed(self.state_space, states)
        if open_to is not None:
            logits = torch.where(torch.from_numpy(open_to), logits, FORBIDDEN)
        return torch.log_softmax(logits, dim=-1)

    def log_prob(self, states: Any, actions: Any) -> Tensor:
        """Log-probabilities of actions ``[...]`` at states ``[..., n]``.

        Raises:
            InvalidArgumentError: a state or an action is no element of its space.
        """
        codes = torch.from_numpy(Features(self.action_space)(np.asarray(actions)))
        return (self.log_probabilities(states) * codes).sum(dim=-1)

    def sample(self, states: Any, streams: Streams, stage: int) -> IntArray:
        """Draw actions by inversion, int64 ``[N]``."""
        assert isinstance(self.action_space, gymnasium.spaces.Discrete)
        with torch.no_grad():
            rows = cumulative(self.log_probabilities(states).exp().numpy())
        drawn = (streams.uniform(Lane.LEADER, stage) >= rows).sum(axis=1)
        return np.asarray(drawn, dtype=np.int64) + int(self.action_space.start)


class MLPGaussianPolicy(ContinuousPolicy):
    """a = squash(m(s) + d * eps): a Gaussian around a perceptron, its deviation d trainable.

    Coordinates with bounds are squashed, low + (high - low) (tanh(.) + 1) / 2; those without are not.

    Args:
        game: a game, the view of one, or its spaces of states and leader actions.
        hidden: widths of the hidden layers; empty for a mean linear in the state.
        std: first deviation d > 0, before squashing.
        seed: of the first weights; the first mean is the middle of the range, or zero, in every state.

    Raises:
        UnsupportedGameError: the spaces are of another kind, or bounded on one side only.
        InvalidArgumentError: ``std`` is not positive.
    """

    low: Tensor
    radius: Tensor
    squashed: Tensor

    @in_own_modes
    def __init__(self, game: WithSpaces, hidden: Sequence[int] = (64, 64), std: float = 0.5, seed: int = 0) -> None:
        super().__init__()
        self.state_space, self.action_space = _spaces(game)
        space = self.action_space
        if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
            raise UnsupportedGameError(f"leader actions in {space}: a flat Box is needed")
        if (space.bounded_below != space.bounded_above).any():
            raise UnsupportedGameError(f"leader actions in {space}: bounded on one side only")
        if not (np.isfinite(std) and std > 0):
            raise InvalidArgumentError(f"std={std!r}: expected a number > 0")
        self.hidden = tuple(hidden)
        self.action_size = int(space.shape[0])
        self.network = StateNetwork(self.state_space, self.hidden, self.action_size, seed)
        self.state_size = self.network.features.size
        self.log_std = nn.Parameter(torch.full((self.action_size,), float(np.log(std)), dtype=torch.float64))
        low, high = (np.where(space.bounded_below, side, 0.0).astype(np.float64) for side in (space.low, space.high))
        radius = np.where(space.bounded_below, (high - low) / 2, 1.0)
        for name, values in (("low", low), ("radius", radius), ("squashed", space.bounded_below)):
            self.register_buffer(name, torch.from_numpy(np.array(values)), persistent=False)

    def describe(self) -> dict[str, Any]:
        """Class, spaces and hidden widths."""
        return {**super().describe(), **_described(self)}

    def act(self, states: Any, noise: Tensor) -> Tensor:
        """See the class."""
        raw = self.network(states) + self.log_std.exp() * noise
        return torch.where(self.squashed, self.low + self.radius * (torch.tanh(raw) + 1), raw)

    def log_prob(self, states: Any, actions: Any) -> Tensor:
        """Log-density of actions ``[..., k]`` at states ``[..., n]``.

        Raises:
            InvalidArgumentError: a shape is wrong, or an action lies outside its bounds.
        """
        played = torch.tensor(Features(self.action_space)(np.asarray(actions)), device="cpu")
        share = (played - self.low) / self.radius - 1
        if bool((self.squashed & (share.abs() > 1 + 1e-6)).any()):
            raise InvalidArgumentError(f"an action lies outside {self.action_space}")
        raw = torch.where(self.squashed, torch.atanh(share.clamp(_EDGE - 1, 1 - _EDGE)), played)
        noise = (raw - self.network(states)) / self.log_std.exp()
        bend = 2 * (_LN2 - raw - nn.functional.softplus(-2 * raw)) + self.radius.log()  # log of the squashing's slope
        volume = self.log_std + _HALF_LN_2PI + torch.where(self.squashed, bend, 0.0)
        density: Tensor = (-0.5 * noise.square() - volume).sum(dim=-1)
        return density

    def sample(self, states: Any, streams: Streams, stage: int) -> FloatArray:
        """Leader actions, float64 ``[N, k]``, inside the bounds."""
        noise = torch.from_numpy(streams.normal(Lane.LEADER, stage, self.action_size))
        with torch.no_grad():
            drawn = self.act(states, noise)
            inside = drawn.clamp(self.low, self.low + 2 * self.radius)  # float32 bounds need not hold every rounding
            return np.asarray(torch.where(self.squashed, inside, drawn).numpy())


@runtime_checkable
class Scored(Protocol):
    """A commitment that knows the log-probability of what it plays."""

    def log_prob(self, states: Any, actions: Any) -> Tensor:
        """Log-probabilities ``[...]``, differentiable."""
        ...


def log_prob(commitment: Commitment, states: Any, actions: Any) -> Tensor:
    """Log-probabilities of leader actions under any commitment that is stochastic per stage.

    Args:
        commitment: a ``DiscretePolicy``, or one with a method ``log_prob``.
        states: ``[N, T, ...]``.
        actions: ``[N, T, ...]``.

    Raises:
        UnsupportedGameError: the commitment has no log-probability.
    """
    if isinstance(commitment, DiscretePolicy):
        return commitment.log_probabilities()[torch.as_tensor(states), torch.as_tensor(actions)]
    if not isinstance(commitment, Scored):
        raise UnsupportedGameError(f"{type(commitment).__name__} has no log-probability; a stochastic policy is needed")
    if isinstance(commitment, MLPCategoricalPolicy | MLPGaussianPolicy):
        return commitment.log_prob(states, actions)
    real = (torch.as_tensor(np.array(values), dtype=torch.float64) for values in (states, actions))
    scored: Tensor = commitment.log_prob(*real)
    return scored


def first_network(view: LeaderView, hidden: Sequence[int], seed: int) -> Commitment:
    """The first commitment of a leader that learns in a game of vectors.

    Raises:
        UnsupportedGameError: see the classes.
    """
    if isinstance(view.leader_action_space, gymnasium.spaces.Discrete):
        return MLPCategoricalPolicy(view, hidden, seed)
    return MLPGaussianPolicy(view, hidden, seed=seed)


def rebuild(description: Mapping[str, Any]) -> Commitment:
    """A commitment of this module from its ``describe``, with fresh parameters."""
    spaces = features.rebuild(description["states"]), features.rebuild(description["actions"])
    if description["class"] == "MLPCategoricalPolicy":
        return MLPCategoricalPolicy(spaces, description["hidden"])
    return MLPGaussianPolicy(spaces, description["hidden"])


def _spaces(game: WithSpaces) -> tuple[gymnasium.Space[Any], gymnasium.Space[Any]]:
    return game if isinstance(game, tuple) else (game.state_space, game.leader_action_space)


def _described(policy: MLPCategoricalPolicy | MLPGaussianPolicy) -> dict[str, Any]:
    spaces = {"states": policy.state_space, "actions": policy.action_space}
    return {**{name: features.describe(space) for name, space in spaces.items()}, "hidden": list(policy.hidden)}

"""Implicit differentiation of a configured finite game by an adjoint solve.

With the soft-optimal values V, response g and Q(x) = r(x) + gF P(x) V, V held fixed:

    grad f(x, g(x)) = d_x f + (1/tau) sum over (s, b) of (u_sb - g_sb w_s) grad Q_sb(x)
    u = g * df/dg,   (I - gF P_g)' w = sum_b (u_sb e_s - gF u_sb P_sb)

(the adjoint form of the hypergradient of arXiv 2405.19697). One linear solve of the size of the
state space, whatever the size of x.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.exact.response import Arrays
from stackelberg_games.kinds.configurable import ConfigurableGame, Slopes
from stackelberg_games.kinds.finite import Tables
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import require_lever
from stackelberg_games.rules.rules import Rules
from stackelberg_games.rules.view import LeaderView


def require_finite_lever(view: LeaderView, who: object) -> None:
    """Raise ``UnsupportedGameError`` unless the leader configures a game of finitely many states."""
    require_lever(view.lever, who)
    if not isinstance(view.state_space, gymnasium.spaces.Discrete):
        raise UnsupportedGameError(
            f"{type(who).__name__} needs finitely many states, got {view.state_space}; exact_gradient climbs the exact "
            "objective of linear dynamics too, evolution_strategies and random_search configure any game"
        )


def configurable(game: Rules, who: object) -> ConfigurableGame:
    """``game`` if its leader does nothing but configure finitely many states; ``UnsupportedGameError`` if not."""
    if not isinstance(game, ConfigurableGame) or game.idle_action is None:
        raise UnsupportedGameError(
            f"{type(who).__name__} needs a finite MDP in which the leader does nothing but configure, got {game.name}; "
            "exact_gradient climbs where it acts too"
        )
    return game


def configuration_of(commitment: Commitment, who: object) -> Tensor:
    """The configuration of a commitment; raise ``UnsupportedGameError`` naming the leader if it has none."""
    configuration = commitment.configuration()
    if configuration is None:
        raise UnsupportedGameError(f"{type(who).__name__} needs a commitment that configures the game")
    return configuration


def partial(objective: Tensor, response: Tensor) -> FloatArray:
    """df/dg at a response ``[S, 1, B]``, as an array ``[S, B]``; the graph is kept."""
    (gradient,) = torch.autograd.grad(objective, response, retain_graph=True)
    return np.asarray(gradient.numpy()[:, 0])


def adjoint_system(arrays: Arrays, response: FloatArray, u: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Matrix (I - gF P_g)', ``[S, S]``, and right-hand side ``[S]`` of the adjoint equation.

    Args:
        arrays: the game under a configuration.
        response: g, ``[S, 1, B]``; its rows need not be normalised.
        u: g * df/dg, ``[S, B]``.
    """
    states = len(u)
    matrix = np.eye(states) - arrays.follower_discount * arrays.chain(response).T
    inflow = arrays.kernel.inflow(u)
    return matrix, u.sum(axis=1) * arrays.alive - arrays.follower_discount * inflow


def adjoint_slope(arrays: Arrays, response: FloatArray, u: FloatArray, adjoint: FloatArray) -> FloatArray:
    """Gradient of |A w - b|^2 / 2 at w ``[S]``, A and b of ``adjoint_system``; nothing as large as A is built."""
    alive, discount = arrays.alive, arrays.follower_discount
    flowing = (response[:, 0] * adjoint[:, None] - u) * alive[:, None]
    residual = adjoint - u.sum(axis=1) * alive - discount * arrays.kernel.inflow(flowing)
    ahead = (response * arrays.kernel.expected(residual)).sum(axis=(1, 2))
    return np.asarray(residual - discount * ahead * alive)


def action_value_pulls(
    game: ConfigurableGame, tables: Tables, values: FloatArray, weights: FloatArray
) -> list[tuple[Tensor, FloatArray]]:
    """Derivatives of the sum of weights ``[S, B]`` times Q(x) = r(x) + gF P(x) V, V held fixed, by the tables that x moves.

    Returns:
        Each of these tables, and the derivative by it, of its shape.
    """
    pulls = []
    if tables.follower_reward.requires_grad:
        pulls.append((tables.follower_reward, weights[:, None]))
    if tables.transition.requires_grad:
        worth, owing = values * ~game.terminal, game.follower_discount * weights
        if game.lists is None:
            pulls.append((tables.transition, owing[:, None, :, None] * worth))
        else:
            pulls.append((tables.transition, owing.ravel()[game.lists.cells] * worth[game.lists.successors]))
    return pulls


Gradients = Callable[[FloatArray], Sequence[Tensor]]


@cache
def written_down(kind: type[ConfigurableGame]) -> bool:
    """Whether a class writes derivatives down, and none below it overrides what they are derivatives of."""
    order = kind.__mro__
    names = ("slopes", "objective", "follower_tables", "tables")
    places = [next(place for place, base in enumerate(order) if name in vars(base)) for name in names]
    return places[0] == min(places)


@dataclass(frozen=True)
class Differentiable:
    """A configured game at one configuration and one response: what two iterations of descent share.

    Attributes:
        game: the game.
        commitment: of which the tables and the loss are functions.
        parameters: copies of the commitment's at this point.
        values: V, ``[S]``.
        arrays: the game under the configuration.
        omega: softmax(Q / tau), ``[S, 1, B]``.
        loss: -f.
        by_response: dl/dg, ``[S, B]``.
        gradients: from weights ``[S, B]`` to the derivative of the loss plus their sum with Q, for each parameter.
    """

    game: ConfigurableGame
    commitment: Commitment
    parameters: list[Tensor]
    values: FloatArray
    arrays: Arrays
    omega: FloatArray
    loss: float
    by_response: FloatArray
    gradients: Gradients

    @classmethod
    def of(
        cls,
        game: ConfigurableGame,
        commitment: Commitment,
        values: FloatArray,
        tables: tuple[Tensor, Tables],
        arrays: tuple[Arrays, FloatArray],
        response: FloatArray,
    ) -> Differentiable:
        """The point at a configuration and its tables, at the same in arrays and omega, and at a response."""
        configuration, parameters = tables[0], list(commitment.parameters())
        slopes = game.slopes(configuration.detach().numpy(), response) if written_down(type(game)) else None
        if slopes is None:
            free = torch.from_numpy(response).requires_grad_()
            graph = _Graph(game, parameters, values, tables[1], -game.objective(configuration, free))
            loss, by_response, gradients = graph.loss.item(), partial(graph.loss, free), graph.gradients
        else:
            loss, by_response = -slopes.objective, -slopes.response[:, 0]
            gradients = _Written(slopes, parameters, configuration).gradients
        copies = [parameter.detach().clone() for parameter in parameters]
        return cls(game, commitment, copies, values, *arrays, loss, by_response, gradients)

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """Copies and pickles have none in its place: graphs can be had again, and not copied."""
        return (type(None), ())

    def still(self, game: ConfigurableGame, commitment: Commitment, values: FloatArray) -> bool:
        """Whether this is the point at hand: nobody moved, restored or began anew since."""
        same = self.game is game and self.commitment is commitment and self.values is values
        return same and all(map(torch.equal, self.parameters, commitment.parameters()))


class _Written(NamedTuple):
    """Gradients from derivatives that a game writes down."""

    slopes: Slopes
    parameters: Sequence[Tensor]
    configuration: Tensor

    def gradients(self, weights: FloatArray) -> Sequence[Tensor]:
        """See ``Differentiable``."""
        slope = torch.from_numpy(self.slopes.rewards(weights) - self.slopes.configuration)
        if len(self.parameters) == 1 and self.parameters[0] is self.configuration:
            return [slope]
        return torch.autograd.grad(self.configuration, self.parameters, slope, materialize_grads=True)


class _Graph(NamedTuple):
    """Gradients by automatic differentiation."""

    game: ConfigurableGame
    parameters: Sequence[Tensor]
    values: FloatArray
    tables: Tables
    loss: Tensor

    def gradients(self, weights: FloatArray) -> Sequence[Tensor]:
        """See ``Differentiable``."""
        pulls = action_value_pulls(self.game, self.tables, self.values, weights)
        outputs, by = [self.loss], [torch.ones((), dtype=torch.float64)]
        for table, pull in pulls:
            outputs.append(table)
            by.append(torch.from_numpy(pull))
        return torch.autograd.grad(outputs, self.parameters, by)

"""Implicit differentiation of a configured finite game by an adjoint solve.

With the soft-optimal values V, response g and Q(x) = r(x) + gF P(x) V, V held fixed:

    grad f(x, g(x)) = d_x f + (1/tau) sum over (s, b) of (u_sb - g_sb w_s) grad Q_sb(x)
    u = g * df/dg,   (I - gF P_g)' w = sum_b (u_sb e_s - gF u_sb P_sb)

(the adjoint form of the hypergradient of arXiv 2405.19697). One linear solve of the size of the
state space, whatever the size of x.
"""

from __future__ import annotations

import gymnasium
import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import UnsupportedGameError
from stackelberg_games.exact.response import Arrays
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import require_lever
from stackelberg_games.rules.rules import Rules
from stackelberg_games.rules.view import LeaderView


def centred(weights: FloatArray, table: Tensor) -> Tensor:
    """Sum of weights times (table - its value): zero, with the gradient of the weighted sum."""
    return (torch.from_numpy(weights) * (table - table.detach())).sum()


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


def action_values(game: ConfigurableGame, tables: Tables, values: FloatArray) -> Tensor:
    """Q(x) = r(x) + gF P(x) V with V held fixed, ``[S, B]``."""
    worth = torch.from_numpy(values) * game.alive_tensor
    if game.lists is None:
        following = tables.transition @ worth
    else:
        entries = tables.transition * worth[torch.tensor(game.lists.successors)]
        cells = torch.from_numpy(game.lists.cells)
        following = torch.zeros(game.leader_reward.size, dtype=torch.float64).index_add(0, cells, entries)
        following = following.reshape(game.leader_reward.shape)
    return (tables.follower_reward + game.follower_discount * following)[:, 0]

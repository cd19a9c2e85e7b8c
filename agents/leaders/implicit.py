"""Implicit differentiation with an exact adjoint solve (AMD; Chen et al., 2022, as HPGD compares it).

With the soft-optimal values V, response g and Q(x) = r(x) + gF P(x) V, V held fixed:

    grad f(x, g(x)) = d_x f + (1/tau) sum over (s, b) of (u_sb - g_sb w_s) grad Q_sb(x)
    u = g * df/dg,   (I - gF P_g)' w = sum_b (u_sb e_s - gF u_sb P_sb)

(the adjoint form of the hypergradient of arXiv 2405.19697). One linear solve of the size of the
state space, whatever the size of x.
"""

from __future__ import annotations

from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from torch import Tensor

from stackelberg_games.agents.leaders.exact_gradient import ExactGradient
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InformationError, UnsupportedGameError
from stackelberg_games.exact.response import Arrays, soft_response
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables
from stackelberg_games.learning.information import Evidence
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.lever import require_lever
from stackelberg_games.rules.view import LeaderView


@dataclass
class Implicit(ExactGradient):
    """Ascent on the hypergradient by exact adjoint; class MODEL, configurable finite MDPs.

    Args:
        learning_rate, actor_steps, hidden: see ``GradientLeader``.
    """

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``.

        Raises:
            UnsupportedGameError: the game is not a configurable finite MDP.
        """
        require_finite_lever(view, self)
        super().begin(view, seed=seed, commitment=commitment)

    def surrogate(self, evidence: Evidence) -> Tensor:
        """Scalar whose gradient is the exact hypergradient; its value is the leader's objective.

        Raises:
            InformationError: the evidence does not hold the game.
            UnsupportedGameError: the game is not a configurable finite MDP.
        """
        game = configurable(evidence, self)
        assert self.view.temperature is not None
        configuration = self.commitment.configuration()
        if configuration is None:
            raise UnsupportedGameError("implicit needs a commitment that configures the game")
        tables = game.tables(configuration)
        arrays = Arrays.of(game, game.single(tables))
        solved = soft_response(arrays, self.view.temperature)
        response = torch.tensor(solved.policy, requires_grad=True)
        objective = game.objective(configuration, response)
        sensitivity = partial(objective, response)
        u = solved.policy[:, 0] * sensitivity
        matrix, right = adjoint_system(arrays, solved.policy, u)
        adjoint = np.linalg.solve(matrix, right)
        weights = (u - solved.policy[:, 0] * adjoint[:, None]) / self.view.temperature
        return objective + centred(weights, action_values(game, tables, solved.values))


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


def configurable(evidence: Evidence, who: object) -> ConfigurableGame:
    """The game of the evidence.

    Raises:
        InformationError: the evidence does not hold the game.
        UnsupportedGameError: it is not a configurable finite MDP.
    """
    name = type(who).__name__
    if evidence.game is None:
        raise InformationError(f"{name} needs the game, which its evidence does not hold")
    if not isinstance(evidence.game, ConfigurableGame):
        raise UnsupportedGameError(
            f"{name} needs a finite MDP in which the leader does nothing but configure, got {evidence.game.name}; "
            "exact_gradient climbs where it acts too"
        )
    return evidence.game


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
    following = (tables.transition * game.alive_tensor) @ torch.from_numpy(values)
    return (tables.follower_reward + game.follower_discount * following)[:, 0]

"""Implicit differentiation with an exact adjoint solve (AMD; Chen et al., 2022, as HPGD compares it).

    grad f(x, g(x)) = d_x f + (1/tau) sum over (s, b) of (u_sb - g_sb w_s) grad Q_sb(x),      u = g * df/dg

with the adjoint w of ``exact.implicit``: one linear solve of the size of the state space, whatever the size of x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.agents.leaders.exact_gradient import ExactGradient
from stackelberg_games.exact import implicit
from stackelberg_games.exact.response import Arrays
from stackelberg_games.exact.soft_response import soft_response
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.learning.information import Evidence
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView


@dataclass
class Implicit(ExactGradient):
    """Ascent on the hypergradient by exact adjoint; class MODEL, configurable finite MDPs, arguments of ``GradientAscent``."""

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``; raises ``UnsupportedGameError`` where the game is not a configurable finite MDP."""
        implicit.require_finite_lever(view, self)
        super().begin(view, seed=seed, commitment=commitment)

    def objective(self, evidence: Evidence) -> Callable[[], Tensor]:
        """A scalar whose gradient is the exact hypergradient; its value is the leader's objective.

        Raises:
            InformationError: the evidence does not hold the game.
            UnsupportedGameError: the game is not a configurable finite MDP.
        """
        game = implicit.configurable(evidence.require_game(), self)
        return lambda: self._surrogate(game)

    def _surrogate(self, game: ConfigurableGame) -> Tensor:
        configuration = implicit.configuration_of(self.commitment, self)
        tables = game.tables(configuration)
        arrays = Arrays.of(game, game.single(tables))
        solved = soft_response(arrays, self.temperature)
        response = torch.tensor(solved.policy, requires_grad=True)
        objective = game.objective(configuration, response)
        u = solved.policy[:, 0] * implicit.partial(objective, response)
        adjoint = np.linalg.solve(*implicit.adjoint_system(arrays, solved.policy, u))
        weights = (u - solved.policy[:, 0] * adjoint[:, None]) / self.temperature
        for table, pull in implicit.action_value_pulls(game, tables, solved.values, weights):
            objective = objective + (torch.from_numpy(pull) * (table - table.detach())).sum()
        return objective

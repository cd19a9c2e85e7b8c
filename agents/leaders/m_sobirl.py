"""M-SoBiRL: model-based hypergradient descent with warm-started values and adjoint (arXiv 2405.19697).

One iteration, with l = -f the loss and tau the follower's temperature:

1. A = (I - gF P_g)', u = g * dl/dg, b = sum_b (u_sb e_s - gF u_sb P_sb);
2. one step on |A w - b|^2 / 2 from the last w:  w <- w - zeta (A'A w - A'b);
3. d = d_x l + (1/tau) sum over (s, b) of (u_sb - omega_sb w_s) grad Q_sb,
   omega = softmax((r(x) + gF P V) / tau);
4. x <- x - beta d;
5. ``sweeps`` sweeps V <- T(x, V) from the last V, then g = exp((Q - V) / tau): its sum is 1 only where V converged.

The published start (uniform g, V = 0, random w) makes the first gradients wrong by a factor of
several; ``adjoint="solve"`` and ``start="solved"`` remove that error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError, SolverError
from stackelberg_games.exact import implicit
from stackelberg_games.exact.response import Arrays
from stackelberg_games.exact.soft_response import soft_backup, soft_response, soft_sweeps
from stackelberg_games.kinds.conditioning import NOTHING
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.learning.information import Evidence, Information
from stackelberg_games.learning.leader import Leader
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.view import LeaderView, PaymentNeeded


@dataclass
class MSoBiRL(Leader):
    """Model-based SoBiRL; class MODEL, configurable finite MDPs.

    Args:
        step: beta > 0, of the configuration's parameters.
        adjoint_step: zeta > 0.
        sweeps: N >= 1, soft Bellman sweeps in an iteration.
        tolerance: sweeps stop early once they change no value by more.
        adjoint: ``"step"`` as published, or ``"solve"`` for the exact adjoint.
        adjoint_start: w_0, ``"random"`` as published (standard normal from the seed) or ``"zero"``.
        start: ``"uniform"`` as published, or ``"solved"``: the exact response to the first x.
        normalise: divide each row of g by its sum.
    """

    step: float = 8e-3
    adjoint_step: float = 0.5
    sweeps: int = 10
    tolerance: float = 1e-6
    adjoint: Literal["step", "solve"] = "step"
    adjoint_start: Literal["random", "zero"] = "random"
    start: Literal["uniform", "solved"] = "uniform"
    normalise: bool = False

    keeps: ClassVar[tuple[str, ...]] = ("values", "response", "multiplier")
    needs_temperature: ClassVar[bool] = True
    needs_payment: ClassVar[PaymentNeeded] = "known"

    def __post_init__(self) -> None:
        if not (self.step > 0 and self.adjoint_step > 0 and self.sweeps >= 1 and self.tolerance >= 0):
            raise InvalidArgumentError(f"{self}: expected step, adjoint_step > 0, sweeps >= 1, tolerance >= 0")

    @property
    def information(self) -> Information:
        """MODEL: it runs the follower's sweeps itself."""
        return Information.MODEL

    def begin(self, view: LeaderView, *, seed: int = 0, commitment: Commitment | None = None) -> None:
        """See ``Leader.begin``.

        Raises:
            UnsupportedGameError: the game is not a configurable finite MDP, or a judge follows no known rule.
        """
        implicit.require_finite_lever(view, self)
        super().begin(view, seed=seed, commitment=commitment)
        self.seed = seed
        nothing: FloatArray = np.empty(0)
        self.values = self.response = self.multiplier = nothing
        self._last: implicit.Differentiable | None = None

    def update(self, evidence: Evidence) -> dict[str, float]:
        """One iteration; logs the gradient's norm before it and the objective after it."""
        game = implicit.configurable(evidence.require_game(), self)
        point, self._last = self._last, None
        if point is None or not point.still(game, self.commitment, self.values):
            point = self._point(game, swept=False)
        norm = self._descend(self._gradients(point))
        self._last = self._point(game, swept=True)
        return {"gradient_norm": norm, "objective": -self._last.loss}

    def _point(self, game: ConfigurableGame, *, swept: bool) -> implicit.Differentiable:
        """The game at the configuration of now, after step 5 if it is to be ``swept``."""
        tables = game.follower_tables(configuration := implicit.configuration_of(self.commitment, self))
        arrays = Arrays.of(game, game.single(tables), NOTHING if swept else None)
        if swept:
            omega = self._sweep(arrays)
        else:
            if not len(self.values):
                self._first(arrays)
            _, omega = soft_backup(arrays, arrays.follower_q(self.values), self.temperature)
        point = (configuration, tables), (arrays, omega), self.response
        return implicit.Differentiable.of(game, self.commitment, self.values, *point)

    def _first(self, arrays: Arrays) -> None:
        """V, g and w before the first iteration."""
        states, _, replies = arrays.follower_reward.shape
        drawn = torch.randn(states, dtype=torch.float64, generator=torch.Generator().manual_seed(self.seed)).numpy()
        self.multiplier = drawn if self.adjoint_start == "random" else np.zeros(states)
        self.values, self.response = np.zeros(states), np.full((states, 1, replies), 1 / replies)
        if self.start == "solved":
            solved = soft_response(arrays, self.temperature)
            self.values, self.response = solved.values, np.ascontiguousarray(solved.policy)

    def _gradients(self, point: implicit.Differentiable) -> Sequence[Tensor]:
        """Steps 1 to 3: d, for each parameter."""
        u = self.response[:, 0] * point.by_response
        if self.adjoint == "solve":
            self.multiplier = np.linalg.solve(*implicit.adjoint_system(point.arrays, self.response, u))
        else:
            slope = implicit.adjoint_slope(point.arrays, self.response, u, self.multiplier)
            self.multiplier = self.multiplier - self.adjoint_step * slope
        weights = (u - point.omega[:, 0] * self.multiplier[:, None]) / self.temperature
        return point.gradients(weights)

    def _descend(self, gradients: Sequence[Tensor]) -> float:
        norm = math.sqrt(sum(float((gradient * gradient).sum()) for gradient in gradients))
        if not math.isfinite(norm):
            raise SolverError(f"m_sobirl diverged: gradient norm {norm}; raise sweeps or set normalise")
        with torch.no_grad():
            for parameter, gradient in zip(self.commitment.parameters(), gradients, strict=True):
                parameter.sub_(self.step * gradient)
        return norm

    def _sweep(self, arrays: Arrays) -> FloatArray:
        """Step 5, and omega."""
        swept = soft_sweeps(arrays, self.temperature, self.values, self.sweeps, self.tolerance)
        self.values = swept.values
        self.response = np.exp((swept.q - self.values[:, None, None]) / self.temperature)
        if self.normalise:
            self.response /= self.response.sum(axis=2, keepdims=True)
        return swept.policy

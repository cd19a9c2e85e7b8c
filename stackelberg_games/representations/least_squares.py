"""A linear-quadratic Gaussian game estimated from trajectories alone, by least squares.

The class of games that is assumed: dynamics linear in (x, a, u) with Gaussian noise; follower reward
-(x'Q x + u'R u) up to a constant; leader reward a function of the state, either quadratic or (where
all observed rewards are positive) the exponential of a quadratic, whichever fits better, less what the leader
knows that its own action costs it. Within the
class the estimates are consistent, and exact after a few stages where there is no noise. Outside of
it they are the best fit on the data, and ``misfit`` says how good that is.

None of this changes between updates, so every observed stage keeps counting. Data are kept as the
triangular factor of a QR decomposition, which has a size of its own and no squared condition number.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.commitments.gaussian import bounded, box_sizes
from stackelberg_games.errors import InformationError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.kinds.linear_quadratic import Cost, Dynamics, LinearGaussianGame
from stackelberg_games.kinds.moments import Bump, Quadratic, StateReward
from stackelberg_games.numerics.rows import quadratic
from stackelberg_games.rules.trajectories import Trajectories
from stackelberg_games.rules.view import LeaderView

_SMALLEST_REWARD = 1e-250  # below it a positive reward has lost digits, and its logarithm with them


class Regression:
    """Recursive least squares of targets on features.

    Args:
        features, targets: their numbers.
    """

    def __init__(self, features: int, targets: int) -> None:
        self.features = features
        self.factor: FloatArray = np.zeros((0, features + targets))
        self.count = 0
        self._solution: FloatArray | None = None

    def add(self, features: FloatArray, targets: FloatArray) -> None:
        """Take in rows ``[K, features]`` and ``[K, targets]``."""
        rows = np.concatenate([features, targets], axis=1)
        self.factor = np.asarray(np.linalg.qr(np.concatenate([self.factor, rows]), mode="r"))
        self.count += len(rows)
        self._solution = None

    def solve(self) -> FloatArray:
        """Coefficients ``[features, targets]`` of least norm among the best.

        Raises:
            InvalidArgumentError: nothing was observed.
        """
        if self._solution is not None:
            return self._solution
        if not self.count:
            raise InvalidArgumentError("nothing was observed yet")
        inputs, outputs = self.factor[:, : self.features], self.factor[:, self.features :]
        scale = np.maximum(np.linalg.norm(inputs, axis=0), np.finfo(float).tiny)
        solution = np.linalg.lstsq(inputs / scale, outputs, rcond=1e-13)[0]
        self._solution = np.asarray(solution / scale[:, None])
        return self._solution

    def restore(self, factor: FloatArray, count: int) -> None:
        """Continue from stored statistics."""
        self.factor, self.count, self._solution = factor, count, None

    def residual(self) -> FloatArray:
        """Covariance of what the features leave unexplained, ``[targets, targets]``."""
        inputs, outputs = self.factor[:, : self.features], self.factor[:, self.features :]
        rest = outputs - inputs @ self.solve()
        return np.asarray(rest.T @ rest / max(1, self.count - self.features))

    def misfit(self) -> float:
        """Unexplained share of the targets' sum of squares, in [0, 1]."""
        total = float(np.square(self.factor[:, self.features :]).sum())
        return float(np.trace(self.residual())) * max(1, self.count - self.features) / total if total else 0.0


class LinearEstimator:
    """Statistics of what was observed, and the game that follows from them.

    Args:
        view: what the leader knows of the game; its spaces must be flat Boxes.

    Raises:
        UnsupportedGameError: a space is not a flat Box, or actions are bounded.
    """

    def __init__(self, view: LeaderView) -> None:
        self.view = view
        self.n, self.k, self.m = box_sizes(view)
        if bounded(view.leader_action_space) or bounded(view.follower_action_space):
            raise UnsupportedGameError(
                "a linear-quadratic game has unbounded actions; those of this one are bounded: bchg, policy_gradient "
                "and bi_actor_critic fit networks to it"
            )
        features = 1 + self.n + self.n * (self.n + 1) // 2
        self.parts = {
            "dynamics": Regression(self.n + self.k + self.m, self.n),
            "follower": Regression(1 + pairs(self.n) + pairs(self.m), 1),
            "leader": Regression(features, 1),
            "log_leader": Regression(features, 1),
            "start": Regression(1, self.n),
        }
        self.positive = True
        self.inferred: Cost | None = None
        """The follower's cost where its rewards do not tell it, but its actions did."""

    def observe(self, batch: Trajectories) -> None:
        """Take in a batch; without the follower's rewards nothing is learned of its cost."""
        played = batch.mask
        x, following = batch.states[:, :-1][played], batch.states[:, 1:][played]
        a, u = batch.leader_actions[played], batch.follower_actions[played]
        ones = np.ones((len(x), 1))
        self.parts["dynamics"].add(np.concatenate([x, a, u], axis=1), following)
        if batch.follower_rewards is not None:
            squares = np.concatenate([ones, products(x), products(u)], axis=1)
            self.parts["follower"].add(squares, batch.follower_rewards[played][:, None])
        earned = batch.leader_rewards[played][:, None]
        if self.view.effort is not None:  # what its own action costs is no news to the leader
            earned = earned + quadratic(a, self.view.effort)[:, None]
        features = np.concatenate([ones, x, products(x)], axis=1)
        self.parts["leader"].add(features, earned)
        self.positive = self.positive and bool((earned >= 0).all())
        exact = earned[:, 0] > _SMALLEST_REWARD
        if self.positive and exact.any():
            self.parts["log_leader"].add(features[exact], np.log(earned[exact]))
        self.parts["start"].add(np.ones((batch.episodes, 1)), batch.states[:, 0])

    def game(self, cost: Cost | None = None) -> LinearGaussianGame:
        """The estimated game; Q is projected on the positive semidefinite matrices.

        Args:
            cost: the follower's; fitted to its rewards if not given.

        Raises:
            InvalidArgumentError: nothing was observed.
            InformationError: the cost is not given, and no batch held the follower's rewards.
            InvalidGameError: the data do not determine a positive definite R.
        """
        matrices = np.split(self.parts["dynamics"].solve().T, [self.n, self.n + self.k], axis=1)
        state, leader, follower = (np.ascontiguousarray(part) for part in matrices)
        return LinearGaussianGame(
            Dynamics(
                state,
                follower,
                leader,
                self.parts["start"].solve()[0],
                _root(self.parts["start"].residual()),
                _root(self.parts["dynamics"].residual()),
            ),
            self.cost() if cost is None else cost,
            self.reward(),
            effort=self.view.effort,
            leader_discount=self.view.leader_discount,
            follower_discount=self.view.follower_discount,
            horizon=self.view.horizon,
            name="estimated",
        )

    @property
    def silent(self) -> bool:
        """Whether nothing has been seen of the follower's rewards, and nothing was inferred of them."""
        return self.inferred is None and not self.parts["follower"].count

    def cost(self) -> Cost:
        """The follower's cost as its rewards tell it, or ``inferred``; ``InformationError`` where there is neither."""
        if self.inferred is not None:
            return self.inferred
        if self.silent:
            raise InformationError("this leader needs the follower's rewards in its trajectories")
        costs = -self.parts["follower"].solve()[1:, 0]
        state, control = costs[: pairs(self.n)], costs[pairs(self.n) :]
        return Cost(_positive(unpack(state, self.n)), unpack(control, self.m))

    def reward(self) -> StateReward:
        """The leader's reward: of the two classes the one that leaves less unexplained."""
        plain, logarithmic = self.parts["leader"], self.parts["log_leader"]
        if not self.positive or not logarithmic.count or plain.misfit() < logarithmic.misfit():
            constant, slope, curvature = self._coefficients(plain)
            return Quadratic(constant, slope, curvature)
        constant, slope, precision = self._coefficients(logarithmic)
        target = np.linalg.lstsq(precision, slope, rcond=1e-12)[0]
        return Bump(float(np.exp(constant + 0.5 * slope @ target)), target, precision)

    def _coefficients(self, part: Regression) -> tuple[float, FloatArray, FloatArray]:
        """c, h and H of c + h'x - x'H x / 2."""
        solution = part.solve()[:, 0]
        return float(solution[0]), solution[1 : 1 + self.n], -2.0 * unpack(solution[1 + self.n :], self.n)

    def state_dict(self) -> dict[str, Any]:
        """The statistics."""
        stored = {name: {"factor": part.factor, "count": part.count} for name, part in self.parts.items()}
        return {"parts": stored, "positive": self.positive}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the statistics."""
        for name, stored in state["parts"].items():
            self.parts[name].restore(np.array(stored["factor"]), int(stored["count"]))
        self.positive = bool(state["positive"])


def pairs(size: int) -> int:
    """Number of products x_i x_j with i <= j."""
    return size * (size + 1) // 2


def products(vectors: Any) -> FloatArray:
    """All products x_i x_j with i <= j, ``[K, n (n + 1) / 2]``."""
    rows, columns = _upper(vectors.shape[1])
    return np.asarray(vectors[:, rows] * vectors[:, columns])


def unpack(coefficients: FloatArray, size: int) -> FloatArray:
    """The symmetric matrix H with x'H x = sum of coefficients times products."""
    matrix = np.zeros((size, size))
    matrix[_upper(size)] = coefficients
    return 0.5 * (matrix + matrix.T)


@cache
def _upper(size: int) -> tuple[IntArray, IntArray]:
    """Where the products are in a matrix."""
    return np.triu_indices(size)


def _positive(matrix: FloatArray) -> FloatArray:
    """The nearest positive semidefinite matrix."""
    values, axes = np.linalg.eigh(matrix)
    return np.asarray((axes * np.maximum(values, 0.0)) @ axes.T)


def _root(covariance: FloatArray) -> FloatArray:
    """A factor F with F F' = covariance."""
    values, axes = np.linalg.eigh(covariance)
    return np.asarray(axes * np.sqrt(np.maximum(values, 0.0)))

"""A finite game under one commitment as plain arrays, a follower's response in it, and the linear systems of both.

Conventions: float64 arrays, states S, leader actions A, follower actions B. A follower that does
not see the leader's action has the same response row for every a.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from scipy.linalg import lapack

from stackelberg_games.arrays import BoolArray, FloatArray
from stackelberg_games.errors import PrecisionError, SolverError
from stackelberg_games.exact.banded_system import NARROW, Banded
from stackelberg_games.exact.chain_system import INFLATED, TOLERANCE, ChainSystem
from stackelberg_games.kinds.chain import accumulated
from stackelberg_games.kinds.conditioning import Condition
from stackelberg_games.kinds.finite import Model, TabularGame
from stackelberg_games.kinds.kernel import Kernel, SparseKernel
from stackelberg_games.kinds.successors import SuccessorLists
from stackelberg_games.numerics.averages import joined

CELLS = 2**16
"""Of states looked at at once: their tables stay in the processor's cache."""


@dataclass(frozen=True)
class Response:
    """A follower's response and its values.

    Examples:
        >>> import stackelberg_games as sg
        >>> game = sg.make("discrete_toy-v0")
        >>> response = sg.exact.best_response(game, sg.TabularPolicy(game), temperature=0.05)
        >>> response.policy.shape, response.q.shape, response.values.shape
        ((3, 2, 3), (3, 2, 3), (3,))

    Attributes:
        policy: ``[S, A, B]``.
        q: QF, ``[S, A, B]``; where the follower does not see a, this is still r + gF P V for each
            a, and the response maximises its average over the leader's policy.
        values: VF(s), averages over the leader's policy, ``[S]``; zero at terminal states.
        temperature: tau; 0 for a hard response.
        newton_steps: matrices factorised, or made.
        error: bound on the error of ``values`` in each state, ``[S]``; None where it was not asked for.
        tie_gap: hard responses with ties broken over a horizon: by how much, at most, another stationary
            choice among the tied actions could be better for the leader (or worse, for ``"against"``); else 0.
        residual: the largest difference between ``values`` and what the Bellman operator makes of them; None where it
            was not asked for.
    """

    policy: FloatArray
    q: FloatArray
    values: FloatArray
    temperature: float
    newton_steps: int
    error: FloatArray | None = None
    tie_gap: float = 0.0
    residual: float | None = None

    @property
    def action_values(self) -> FloatArray:
        """VF(s, a): QF with tau times the entropy, averaged over the response, ``[S, A]``.

        For a follower that sees a it is tau log sum_b exp(QF / tau), or the maximum for a hard response.
        """
        surprise = -np.log(np.where(self.policy > 0, self.policy, 1.0))
        return np.asarray((self.policy * (self.q + self.temperature * surprise)).sum(axis=2))

    def shifted(self, constant: float) -> Response:
        """The same response in a game whose values are all higher by a constant; its rounding joins the error."""
        values = self.values + constant
        error = (
            None
            if self.error is None
            else self.error + np.finfo(np.float64).eps * np.maximum(np.abs(values), abs(constant))
        )
        return replace(self, q=self.q + constant, values=values, error=error)


@dataclass(frozen=True)
class Arrays:
    """A finite game under one commitment, as plain arrays (see ``TabularGame.model``).

    Attributes:
        horizon: of the leader's objective, by which a hard response breaks ties; None: endless.
        initial: distribution of the first state, ``[S]``; needed where there is a horizon.
        offsets: constants that all of the leader's and all of the follower's rewards have in common; solvers
            take them out.
        tolerance: of linear systems of games given as lists; see ``ChainSystem``.
    """

    policy: FloatArray
    kernel: Kernel
    leader_reward: FloatArray
    follower_reward: FloatArray
    alive: BoolArray
    leader_discount: float
    follower_discount: float
    sees: bool
    horizon: int | None = None
    initial: FloatArray | None = None
    offsets: tuple[float, float] = (0.0, 0.0)
    tolerance: float = TOLERANCE

    @classmethod
    def of(cls, game: TabularGame, model: Model, condition: Condition | None = None) -> Arrays:
        """Detach a differentiable model; ``condition`` is the game's for it, where that is known."""
        policy, leader, follower = (model[index].detach().numpy() for index in (0, 2, 3))
        kernel, alive = game.continuing(model.transition), ~game.terminal
        discounts = (game.leader_discount, game.follower_discount)
        condition = game.condition(model) if condition is None else condition
        offsets = (0.0, 0.0) if condition.kept is not None and game.terminal.any() else condition.offsets
        rewards, sees, start = (leader, follower), game.follower_sees_action, game.initial_distribution
        return cls(policy, kernel, *rewards, alive, *discounts, sees, game.horizon, start, offsets)

    def parts(self) -> Iterator[slice]:
        """The states, some at a time where the game is given as lists, so that what is made of their tables stays small."""
        states, actions, replies = self.follower_reward.shape
        size = max(1, CELLS // (actions * replies)) if isinstance(self.kernel, SuccessorLists) else states
        for begin in range(0, states, size):
            yield slice(begin, begin + size)

    def part(self, rows: slice) -> Arrays:
        """Tables of some of the states; the values that they lead to are those of all states."""
        return replace(
            self,
            policy=self.policy[rows],
            kernel=self.kernel.part(rows),
            leader_reward=self.leader_reward[rows],
            follower_reward=self.follower_reward[rows],
            alive=self.alive[rows],
        )

    @property
    def transition(self) -> FloatArray:
        """The kernel in full, ``[S, A, B, S]``; its terminal columns are zero."""
        return self.kernel.dense

    def leader_q(self, values: FloatArray) -> FloatArray:
        """QL = rL + gL P VL, ``[S, A, B]``."""
        return self.kernel.ahead(self.leader_reward, self.leader_discount, values)

    def follower_q(self, values: FloatArray) -> FloatArray:
        """QF = rF + gF P VF, ``[S, A, B]``."""
        return self.kernel.ahead(self.follower_reward, self.follower_discount, values)

    def chain(self, response: FloatArray) -> FloatArray:
        """State transitions when both players follow their policies, ``[S, S]``."""
        return self.kernel.chain(self.joint(response))

    def system(self, response: FloatArray, discount: float) -> System:
        """I - discount * the chain of states when both players follow their policies."""
        lists = self.kernel
        if isinstance(lists, SuccessorLists):
            rows = response if self.sees else response[:, :1]
            return ChainSystem.of(lists, self.policy, rows, discount, self.alive, self.tolerance)
        if isinstance(lists, SparseKernel) and lists.reach < NARROW * len(self.alive):
            return Banded(lists, self.joint(response), discount)
        return Factorised(self.chain(response), discount)

    def accumulated(self, response: FloatArray, reward: FloatArray, discount: float, horizon: int) -> FloatArray:
        """Sum over t < horizon of (discount * chain)^t reward ``[S]``, ``[S]``."""
        if not isinstance(self.kernel, SuccessorLists):
            return accumulated(discount * self.chain(response), reward, horizon)
        total, joint = np.zeros(len(reward)), self.joint(response)
        for _ in range(horizon):
            total = reward + discount * (joint * self.kernel.expected(total)).sum(axis=(1, 2))
        return total

    def visits(self, response: FloatArray, start: FloatArray, discount: float, horizon: int) -> FloatArray:
        """Sum over t < horizon of discounted visits from ``start`` ``[S]``, ``[S]``."""
        if not isinstance(self.kernel, SuccessorLists):
            return accumulated(discount * self.chain(response).T, start, horizon)
        total, joint = np.zeros(len(start)), self.joint(response)
        for _ in range(horizon):
            total = start + discount * self.kernel.inflow(joint * total[:, None, None])
        return total

    def entered(self, response: FloatArray) -> BoolArray:
        """States that play comes to from the first ones, ``[S]``; all of them where those are not known."""
        if self.initial is None:
            return np.ones(len(self.policy), dtype=np.bool_)
        begun = np.asarray(self.initial > 0)
        if isinstance(self.kernel, SuccessorLists):
            return self.kernel.reached(begun, self.joint(response), ~self.alive)
        follows = self.chain(response) > 0
        while not np.array_equal(wider := begun | follows[begun].any(axis=0), begun):
            begun = wider
        return begun

    def joint(self, response: FloatArray) -> FloatArray:
        """Probability of both actions, ``[S, A, B]``; zero where terminal."""
        return np.asarray(joined(self.policy, self.alive, response))

    def average(self, table: FloatArray, response: FloatArray) -> FloatArray:
        """Expectation of a table ``[S, A, B]`` over both policies, ``[S]``; zero where terminal."""
        return np.asarray((self.joint(response) * table).sum(axis=(1, 2)))

    def compared(self, q: FloatArray) -> FloatArray:
        """Action values as the follower compares them, ``[S, A, B]``: averaged over an action it does not see."""
        return q if self.sees else np.broadcast_to((self.policy[:, :, None] * q).sum(axis=1, keepdims=True), q.shape)

    def centred(self) -> tuple[Arrays, float]:
        """The game without ``offsets``, and what the follower's adds to all of its values."""
        leader, follower = self.leader_reward - self.offsets[0], self.follower_reward - self.offsets[1]
        centred = replace(self, leader_reward=leader, follower_reward=follower, offsets=(0.0, 0.0))
        return centred, lift(self.offsets[1], 1 / (1 - self.follower_discount))


class System(Protocol):
    """I - discount * chain, for several right-hand sides."""

    def solve(self, vector: FloatArray) -> FloatArray:
        """(I - discount * chain)^-1 vector: what is accumulated from each state, ``[S]``."""

    def solve_transposed(self, vector: FloatArray, whole: float = 0.0) -> FloatArray:
        """The same for the transposed matrix: discounted visits from a weight of first states, ``[S]``.

        Args:
            vector: the weights.
            whole: the weight of which they are the rest; what is solved by iterations is no more exact than that asks for.
        """

    def bound(self, vector: FloatArray) -> FloatArray:
        """No less than ``solve`` of a vector without negative entries, whatever rounding does."""


class Factorised:
    """The factors of I - discount * chain, for several right-hand sides; one factorisation serves all.

    Args:
        chain: state transitions ``[S, S]``.
        discount: of what is accumulated along the chain.

    Raises:
        SolverError: the matrix is singular.
    """

    def __init__(self, chain: FloatArray, discount: float) -> None:
        system = -discount * chain
        system.ravel()[:: len(system) + 1] += 1.0
        # Fortran order is what LAPACK takes without a copy: these are the factors of the transpose.
        self._factors, self._pivots, failure = lapack.dgetrf(system.T, overwrite_a=True)
        if failure:
            raise SolverError("I - discount * chain is singular: the chain's states never lose weight")

    def solve(self, vector: FloatArray) -> FloatArray:
        """(I - discount * chain)^-1 vector: what is accumulated from each state, ``[S]``."""
        return np.asarray(lapack.dgetrs(self._factors, self._pivots, vector, trans=1)[0])

    def solve_transposed(self, vector: FloatArray, whole: float = 0.0) -> FloatArray:
        """The same for the transposed matrix: discounted visits from a weight of first states, ``[S]``."""
        return np.asarray(lapack.dgetrs(self._factors, self._pivots, vector)[0])

    def bound(self, vector: FloatArray) -> FloatArray:
        """No less than ``solve`` of a vector without negative entries, whatever rounding does."""
        return INFLATED * self.solve(vector)


def lift(constant: float, stages: float) -> float:
    """What a constant that was taken out of all rewards adds to a value, ``stages`` being what a reward of 1 is worth.

    Raises:
        PrecisionError: it overflows.
    """
    added = constant * stages
    if not np.isfinite(added):
        raise overflowed("values", np.array([constant]))
    return added


def overflowed(what: str, rewards: FloatArray) -> PrecisionError:
    """The error to raise where rewards are too large for double precision."""
    largest = rewards.ravel()[np.abs(rewards).argmax()]
    return PrecisionError(
        f"{what} overflow double precision: a reward is {largest:.6g}; express the rewards, and the temperature with "
        "them, in a larger unit"
    )

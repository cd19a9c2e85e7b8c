"""The synthetic bilevel problem of M-SoBiRL: a random MDP whose rewards are a quadratic form of x.

| fact            | value                                                                     |
|-----------------|---------------------------------------------------------------------------|
| Agents          | leader_0, follower_0                                                      |
| States          | ``states`` (10)                                                           |
| Follower actions| ``actions`` (5)                                                           |
| Configuration   | x, ``size`` (100) free numbers                                            |
| Follower        | rF(s, b) = c(s, b) x'Mx, discount 0.5, temperature 1                      |
| Leader          | minimises f(x, g) = |x|^2 / 2 + sum over s, b of g(b|s)^2 / 2             |
| Horizon         | 1 stage for the leader; the follower's response is that of the endless MDP |
| Optimum         | -states / (2 actions), at x = 0: rewards vanish and the response is uniform |

f depends on the response itself, and a leader's reward cannot. Paid per stage is therefore a
quadratic score, from a uniformly drawn first state,

    rL(s, b) = -|x|^2 / 2 - S g(b|s) + (S / 2) sum over b' of g(b'|s)^2,

with g the soft-optimal response to x. Its mean is -f, and since the score is proper its dependence
on g through x has mean zero under g: the hypergradient of the return is that of -f, and the lever
needs to show nothing but -|x|^2 / 2.

The instance is rebuilt draw by draw from ``seed`` (NumPy's legacy generator and torch's, as in the
published code; the published runs drew it before seeding).

Source: Yang, Gao and Yuan, "Bilevel Reinforcement Learning via the Development of Hyper-gradient
without Lower-Level Convexity", AISTATS 2025, arXiv 2405.19697, and its public code.

Version history: v0, first version.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.errors import InvalidGameError
from stackelberg_games.exact.response import Arrays
from stackelberg_games.exact.soft_response import soft_response
from stackelberg_games.faces import faces
from stackelberg_games.kinds.configurable import ConfigurableGame, Slopes
from stackelberg_games.kinds.finite import Model, Tables
from stackelberg_games.settings import checked


class Instance(NamedTuple):
    """The arrays of one problem.

    Attributes:
        transition: ``[S, B, S]``.
        coefficients: c, ``[S, B]``.
        form: M, ``[C, C]``; not symmetric.
        start: x_0, ``[C]``.
    """

    transition: FloatArray
    coefficients: FloatArray
    form: FloatArray
    start: FloatArray


def instance(states: int = 10, actions: int = 5, size: int = 100, seed: int = 3) -> Instance:
    """Draw a problem in the order of the published code."""
    legacy = np.random.RandomState(seed)  # the published instances are defined by it
    source = torch.Generator().manual_seed(seed)
    transition = np.zeros((states, actions, states))
    for s in range(states):
        for b in range(actions):
            count = legacy.randint(1, states)
            support = legacy.choice(states, count, replace=False)
            weights = legacy.rand(count)
            transition[s, b, support] = weights / weights.sum()
    start = torch.randn(size, 1, dtype=torch.float64, generator=source).numpy().ravel()
    form = torch.randn(size, size, dtype=torch.float64, generator=source).numpy()
    pairs = legacy.uniform(size=(states, actions, 2))
    return Instance(transition, pairs.prod(axis=2), form, start)


class RandomMDP(ConfigurableGame):
    """See the module's text.

    Args:
        problem: the arrays.
        temperature: tau at which the leader's objective expects the follower to respond.
        follower_discount: gF.
        horizon: 1; another would pay the leader's objective more than once.

    Raises:
        InvalidGameError: ``horizon`` is not 1, or the temperature is not positive.
    """

    def __init__(
        self, problem: Instance, temperature: float = 1.0, follower_discount: float = 0.5, horizon: int = 1
    ) -> None:
        if horizon != 1 or not temperature > 0:
            raise InvalidGameError(f"horizon={horizon!r}, temperature={temperature!r}: expected 1 and a number > 0")
        self.problem, self.temperature = problem, float(temperature)
        self._form, self._coefficients = torch.tensor(problem.form), torch.tensor(problem.coefficients)[:, None]
        self._bent = problem.form + problem.form.T
        self._scored: tuple[bytes, Tensor] | None = None
        states, actions = problem.coefficients.shape
        super().__init__(
            problem.transition,
            np.full((states, actions), -states / (2 * actions)),
            np.zeros((states, actions)),
            np.full(states, 1 / states),
            size=len(problem.start),
            configure=self._configure,
            constant_base=False,
            leader_discount=1.0,
            follower_discount=follower_discount,
            horizon=1,
            name="random_mdp-v0",
        )

    def commitment(self, seed: int = 0, spread: float | None = None) -> Configuration:
        """x_0 of the instance for every seed; moved by N(0, spread^2) where ``spread`` is given."""
        moved = super().commitment(seed, spread=spread or 0.0)
        with torch.no_grad():
            moved.weights.add_(torch.from_numpy(self.problem.start))
        return moved

    def objective(self, configuration: Tensor, response: Tensor) -> Tensor:
        """-f(x, g), also where the rows of g are not normalised."""
        return -0.5 * (configuration.square().sum() + response.square().sum())

    def slopes(self, configuration: FloatArray, response: FloatArray) -> Slopes:
        """See ``ConfigurableGame.slopes``."""
        objective = -0.5 * float(configuration @ configuration + response.ravel() @ response.ravel())
        bent, coefficients = configuration @ self._bent, self.problem.coefficients
        return Slopes(objective, -configuration, -response, lambda weights: (weights * coefficients).sum() * bent)

    def rewards(self, configuration: Tensor) -> Tensor:
        """Follower rewards c x'Mx, ``[S, 1, B]``."""
        return self._coefficients * (configuration @ self._form @ configuration)

    def follower_tables(self, configuration: Tensor) -> Tables:
        """See ``ConfigurableGame.follower_tables``; spares the solution that the leader's reward needs."""
        return self.base._replace(follower_reward=self.rewards(configuration))

    def _configure(self, configuration: Tensor) -> Tables:
        reward = self.rewards(configuration)
        leader = self._score(configuration, reward) - 0.5 * configuration.square().sum()
        return Tables(self.base.transition, leader, reward)

    def _score(self, configuration: Tensor, reward: Tensor) -> Tensor:
        """-S g + (S / 2) sum of g^2 at the response to x, ``[S, 1, B]``; kept for the last x."""
        key = configuration.detach().numpy().tobytes()
        if self._scored is None or self._scored[0] != key:
            only = torch.ones(self.states, 1, dtype=torch.float64)
            arrays = Arrays.of(self, Model(only, self.base.transition, self.base.leader_reward, reward))
            solved = soft_response(arrays, self.temperature)  # afresh, so that earlier x do not show in its rounding
            score = 0.5 * (solved.policy**2).sum(axis=2, keepdims=True) - solved.policy
            self._scored = (key, self.states * torch.from_numpy(score))
        return self._scored[1]


@checked
def game(
    states: int = 10,
    actions: int = 5,
    size: int = 100,
    seed: int = 3,
    *,
    temperature: float = 1.0,
    follower_discount: float = 0.5,
    horizon: int = 1,
) -> RandomMDP:
    """The problem drawn from a seed.

    Args:
        states: S >= 2.
        actions: B >= 1.
        size: C >= 1.
        seed: of the instance, in [0, 2**32).
        temperature: see ``RandomMDP``.
        follower_discount: gF in [0, 1).
        horizon: must be 1.

    Raises:
        InvalidGameError: an argument is out of range.
    """
    if states < 2 or actions < 1 or size < 1 or not 0 <= seed < 2**32:
        raise InvalidGameError(
            f"states={states}, actions={actions}, size={size}, seed={seed}: expected >= 2, >= 1, >= 1 and [0, 2**32)"
        )
    return RandomMDP(instance(states, actions, size, seed), temperature, follower_discount, horizon)


env, raw_env, parallel_env = faces(game)

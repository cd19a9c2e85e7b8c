"""Optima against followers that err, in games of the literature: each by plain numpy and scipy, beside ``exact.solve``.

Nothing here but the numbers of the games comes from the package: soft values are worked out anew, and maximised by another method.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, minimize, minimize_scalar
from scipy.special import logsumexp, softmax

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.arrays import FloatArray
from stackelberg_games.envs import bayesian_matrix_v0 as bayes
from stackelberg_games.envs import matrix_v0, repeated_pd_v0, security_game_v0

Objective = Callable[[FloatArray], float]


def best_of(objective: Objective, starts: FloatArray, **settings: Any) -> float:
    """The best that sequential quadratic programming reaches."""
    ends = [minimize(lambda x: -objective(x), start, method="SLSQP", **settings) for start in starts]
    return max(-float(end.fun) for end in ends)


@pytest.mark.parametrize(("preset", "printed"), [("escape", 30.0), ("maintain", 27.150552), ("ultimatum_4", 3.543237)])
def test_matrices_of_three_rows_and_more(preset: str, printed: float) -> None:
    leader, follower = (np.asarray(side, dtype=float) for side in matrix_v0.PRESETS[preset])
    rows, draws = len(leader), np.random.default_rng(0)

    def value(mixture: FloatArray) -> float:
        return float(mixture @ leader @ softmax(mixture @ follower / 0.1))

    starts = np.vstack([np.eye(rows), draws.dirichlet(0.5 * np.ones(rows), 40)])
    simplex = LinearConstraint(np.ones((1, rows)), 1.0, 1.0)
    found = best_of(value, starts, bounds=[(0, 1)] * rows, constraints=[simplex], options={"ftol": 1e-13})
    assert found == pytest.approx(printed, abs=6e-7)


@pytest.mark.parametrize(("preset", "printed"), [("three_targets", -0.844118), ("five_targets", -0.83288)])
def test_security_games_in_coverage(preset: str, printed: float) -> None:
    """Both players' payoffs depend on how often each target is covered, and every such coverage is a mixture of schedules."""
    units, payoffs = security_game_v0.PRESETS[preset]
    lc, lu, fc, fu = (np.array(payoffs[name], dtype=float) for name in payoffs)
    count = len(lc)

    def value(cover: FloatArray) -> float:
        return float(softmax((fu + cover * (fc - fu)) / 0.1) @ (lu + cover * (lc - lu)))

    starts = units * np.random.default_rng(0).dirichlet(np.ones(count), 60).clip(0, 1 / units)
    total = LinearConstraint(np.ones((1, count)), units, units)
    found = best_of(value, starts, bounds=[(0, 1)] * count, constraints=[total], options={"ftol": 1e-13})
    assert found == pytest.approx(printed, abs=6e-7)
    game: Any = sg.make("security_game-v0", preset=preset)
    assert exact.solve(game, 0.1, starts=6).value == pytest.approx(found, abs=1e-6)


def test_the_bayesian_game_on_a_grid() -> None:
    leader, followers = np.array(bayes.LEADER), np.array(bayes.FOLLOWERS)

    def value(p: float) -> float:
        mixture = np.array([p, 1 - p])
        replies = softmax(np.einsum("i,kij->kj", mixture, followers) / 0.1, axis=1)
        return float(np.array(bayes.CHANCES) @ (replies @ (mixture @ leader)))

    assert max(map(value, np.linspace(0, 1, 10_001))) == pytest.approx(2.800018, abs=6e-7)


def soft_values(
    transition: FloatArray, reward: FloatArray, paid: FloatArray, discount: float, tau: float
) -> FloatArray:
    """The leader's value in every state against the follower's soft-optimal policy, by soft policy iteration.

    Args:
        transition: ``[S, B, S]``.
        reward, paid: the follower's and the leader's, ``[S, B]``.
        discount, tau: of both, and the temperature.
    """
    values, identity = np.zeros(len(reward)), np.eye(len(reward))
    for _ in range(200):
        backed = reward + discount * transition @ values
        play = softmax(backed / tau, axis=1)
        chain = np.einsum("sb,sbt->st", play, transition)
        entropy = tau * logsumexp(backed / tau, axis=1) - (play * backed).sum(axis=1)
        before, values = values, np.linalg.solve(identity - discount * chain, (play * reward).sum(axis=1) + entropy)
        if abs(values - before).max() < 1e-12:
            break
    return np.asarray(np.linalg.solve(identity - discount * chain, (play * paid).sum(axis=1)))


@pytest.mark.parametrize(("discount", "tau", "printed"), [(0.9, 0.01, 4.26498), (0.99, 0.001, 4.31495)])
def test_the_repeated_dilemma_by_another_ascent(discount: float, tau: float, printed: float) -> None:
    """From the optimum against a follower without errors, and others near it, over chances in five situations."""
    temptation, reward, punishment, sucker = 5.0, 3.0, 1.0, 0.0
    leader = (1 - discount) * np.array([[reward, sucker], [temptation, punishment]])
    following = np.eye(5)[1:].reshape(2, 2, 5)

    def value(chances: FloatArray) -> float:
        mixture = np.stack([chances, 1 - chances], axis=1)
        transition, paid = np.einsum("sa,abt->sbt", mixture, following), mixture @ leader
        return float(soft_values(transition, mixture @ leader.T, paid, discount, tau)[0])

    first = repeated_pd_v0.optimal_cooperation(discount)
    draws = np.random.default_rng(0)
    starts = np.clip(first + draws.normal(scale=[0.0, 0.02, 0.0, 0.03, 0.0], size=(6, 5)) + 0.02, 1e-3, 1 - 1e-3)
    found = best_of(value, starts, bounds=[(1e-6, 1 - 1e-6)] * 5, options={"ftol": 1e-13, "maxiter": 400})
    assert found == pytest.approx(printed, abs=2e-5)
    assert found <= printed + 6e-6


def test_the_myopic_follower_by_value_iteration_on_a_grid() -> None:
    game: Any = sg.make("myopic-v0")
    p = np.linspace(0, 1, 4001)
    mixtures = np.stack([p, 1 - p], axis=1)
    replies = softmax(np.einsum("pa,sab->spb", mixtures, game.follower_reward) / 0.05, axis=2)
    values = np.zeros(3)
    for _ in range(300):
        table = game.leader_reward + 0.9 * game.transition @ values
        values = np.einsum("pa,sab,spb->sp", mixtures, table, replies).max(axis=1)
    assert values[0] == pytest.approx(6.068601, abs=2e-6)


def test_the_principal_by_another_ascent_from_the_program_s_payments() -> None:
    draws = np.random.default_rng(4)
    transition = draws.dirichlet(0.5 * np.ones(4), (4, 2))
    costs = np.array([[0.0, 0.5 + draws.random()] for _ in range(4)])
    earned = transition @ (10 * draws.random(4))

    def value(payments: FloatArray) -> float:
        paid = np.einsum("sbt,st->sb", transition, payments.reshape(4, 4))
        return float(soft_values(transition, paid - costs, earned - paid, 0.9, 0.05)[0])

    first = np.zeros((4, 4))
    first[2, 3], first[3, 2] = 2.8425, 1.0522
    starts = np.stack([1.1 * first.ravel(), 1.2 * first.ravel()])
    found = best_of(value, starts, bounds=[(0, 12)] * 16, options={"ftol": 1e-12, "maxiter": 300})
    assert found == pytest.approx(42.48501, abs=1e-5)
    assert value(np.zeros(16)) < 39.31


def searched(earned: FloatArray, worth: FloatArray, tau: float) -> float:
    """The leader's soft value of each of its actions, the best of them; ``[A, B]``."""
    return float((softmax(worth / tau, axis=1) * earned).sum(axis=1).max())


def test_static_games_by_a_scalar_search() -> None:
    first = np.linspace(0, 9, 181)[:, None]
    for highest, printed in (
        (9.0, 10.12497),
        (4.5, 10.125),
    ):  # errors of either sign alike, where none is cut off at zero
        second = np.linspace(0, highest, 181)[None]
        value = searched((9 - first - second) * first, (9 - first - second) * second, 0.5)
        assert value == pytest.approx(printed, abs=6e-6)
    duopoly: Any = sg.make("duopoly-v0")
    assert exact.solve(duopoly, 0.5, starts=1).value == pytest.approx(10.125, abs=1e-8)
    price, order = np.linspace(0, 1, 201)[:, None], np.linspace(0, 1, 201)[None]
    wholesale = searched((price - 0.2) * order, order - order**2 / 2 - price * order, 0.01)
    assert wholesale == pytest.approx(0.160005, abs=6e-7)
    labour = np.linspace(0, 1, 301)

    def lost(rate: float) -> float:
        return -float(softmax(((1 - rate) * labour - labour**3 / 3) / 0.01) @ (rate * labour))

    tax = minimize_scalar(lost, bounds=(0.5, 0.8), method="bounded", options={"xatol": 1e-10})
    assert -tax.fun == pytest.approx(0.37983, abs=6e-6)
    assert tax.x == pytest.approx(0.657, abs=1e-3)
    assert -min(map(lost, np.linspace(0, 1, 2001))) <= -tax.fun + 1e-9


def test_bounds_are_not_needed_where_quantities_are_not_bounded() -> None:
    """A follower of any temperature on the whole line answers by the same mean: the duopoly's 10.125."""
    second = np.linspace(-60, 60, 24_001)[None]
    first = np.array([[4.5]])
    value = searched((9 - first - second) * first, (9 - first - second) * second, 0.5)
    assert value == pytest.approx(10.125, abs=1e-9)

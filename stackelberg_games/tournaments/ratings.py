"""Ratings from pairwise comparisons and from payoff matrices; none depends on the order of matches."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logsumexp

from stackelberg_games import checks
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError, SolverError

ELO = 400 / np.log(10)
"""Points of a unit of log-odds: 400 points are odds of 10 to 1."""
PRIOR_TIES = 1.0
"""Virtual ties between every two players, which keep the ratings of the unbeaten finite."""


def bradley_terry(wins: FloatArray, *, prior_ties: float = PRIOR_TIES, tolerance: float = 1e-12) -> FloatArray:
    """Bradley-Terry ratings in Elo points with mean 1500, by maximum likelihood.

    P(i beats j) = 1 / (1 + exp(-(x_i - x_j))). The log-likelihood of the wins and of ``prior_ties``
    virtual ties between every two players is maximised by Newton's method; it is strictly concave
    on ratings with mean zero, so that the maximum is unique (Hunter, "MM algorithms for generalized
    Bradley-Terry models", Annals of Statistics 2004).

    Args:
        wins: ``[N, N]``, wins of i over j, ties counted half.
        prior_ties: > 0.
        tolerance: on the largest entry of the gradient, relative to the number of comparisons.

    Raises:
        InvalidArgumentError: ``wins`` is not a square table of numbers >= 0, or there is no prior.
        SolverError: Newton's method did not converge.
    """
    table = checks.array("wins", wins, 2)
    prior_ties, tolerance = checks.number("prior_ties", prior_ties, above=0), checks.number("tolerance", tolerance, 0)
    if table.shape[0] != table.shape[1] or not (table >= 0).all():
        raise InvalidArgumentError("wins must be a square table of numbers >= 0")
    players = len(table)
    won = table + prior_ties / 2 * (1 - np.eye(players))
    games = won + won.T
    np.fill_diagonal(games, 0.0)
    ratings, scale = np.zeros(players), max(1.0, float(games.sum()))

    def log_likelihood(x: FloatArray) -> float:
        return -float((won * np.logaddexp(0.0, -(x[:, None] - x[None, :]))).sum())

    for _ in range(200):
        chance = expit(ratings[:, None] - ratings[None, :])
        slope = (won - games * chance).sum(axis=1) - np.diag(won - games * chance)
        if np.abs(slope).max(initial=0.0) <= tolerance * scale:
            return np.asarray(1500 + ELO * (ratings - ratings.mean()))
        weights = games * chance * (1 - chance)
        curvature = np.diag(weights.sum(axis=1)) - weights + 1.0 / players  # the ones fix the mean
        step = np.linalg.solve(curvature, slope)
        before = log_likelihood(ratings)
        while log_likelihood(ratings + step) < before and np.abs(step).max() > 1e-14:
            step = step / 2
        ratings = ratings + step
    raise SolverError("Bradley-Terry: Newton's method did not converge in 200 steps")


def alpha_rank(leader: FloatArray, follower: FloatArray, *, alpha: float = 10.0, population: int = 50) -> FloatArray:
    """Stationary mass of every (leader, follower) profile under alpha-rank, ``[N, M]``.

    Two populations; in each step one mutant tries another strategy of its role and takes over with
    the fixation probability of the Moran process at selection strength ``alpha`` (Omidshafiei et
    al., "alpha-Rank: multi-agent evaluation by evolution", Scientific Reports 2019). Worked out in
    logarithms, so that no ``alpha`` overflows.

    Args:
        leader: payoffs of the leaders, ``[N, M]``, best on a scale of one.
        follower: payoffs of the followers, ``[N, M]``.
        alpha: >= 0.
        population: individuals of a population, >= 2.

    Raises:
        InvalidArgumentError: the tables differ in shape or are not finite, or a number is out of range.
    """
    tables = checks.array("leader payoffs", leader, 2), checks.array("follower payoffs", follower, 2)
    shape = tables[0].shape
    if shape != tables[1].shape or 0 in shape:
        raise InvalidArgumentError("payoffs must be two tables [leaders, followers] of the same shape")
    alpha, population = checks.number("alpha", alpha, 0), checks.integer("population", population, 2)
    rows, columns = (index.ravel() for index in np.indices(shape))
    same_row, same_column = rows[:, None] == rows, columns[:, None] == columns
    gain = np.where(same_column, *(table.ravel()[None] - table.ravel()[:, None] for table in tables))
    rates = np.where(same_row ^ same_column, log_fixation(gain, alpha, population), -np.inf)
    return np.exp(_log_stationary(rates)).reshape(shape)


def log_fixation(gain: FloatArray, alpha: float, population: int) -> FloatArray:
    """Log-probability that a mutant with a payoff advantage takes over its population.

    (1 - exp(-alpha gain)) / (1 - exp(-alpha population gain)), and 1 / population for no gain.
    """
    size = alpha * np.abs(gain)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(-np.expm1(-size)) - np.log(-np.expm1(-population * size))
    level = np.where(size * population < 1e-12, -np.log(population), ratio)
    return np.asarray(level + np.where(gain < 0, -(population - 1) * size, 0.0))


def _log_stationary(rates: FloatArray) -> FloatArray:
    """Log of the stationary distribution of an irreducible chain from its log-rates ``[K, K]``.

    State reduction without subtractions (Grassmann, Taksar and Heyman, Operations Research 1985).
    """
    reduced = rates.copy()
    count = len(reduced)
    leaving = np.zeros(count)
    for last in range(count - 1, 0, -1):
        leaving[last] = logsumexp(reduced[last, :last])
        detour = reduced[:last, last, None] + reduced[None, last, :last] - leaving[last]
        reduced[:last, :last] = np.logaddexp(reduced[:last, :last], detour)
    mass = np.full(count, -np.inf)
    mass[0] = 0.0
    for state in range(1, count):
        mass[state] = logsumexp(mass[:state] + reduced[:state, state]) - leaving[state]
    return np.asarray(mass - logsumexp(mass))

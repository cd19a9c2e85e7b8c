"""Statistics against hand-computed values, closed forms and simulated coverage; ratings likewise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.tournaments import statistics
from stackelberg_games.tournaments.ratings import ELO, alpha_rank, bradley_terry, log_fixation, pairwise_wins
from stackelberg_games.tournaments.statistics import Estimate


def test_the_interquartile_mean_is_the_mean_of_the_middle_half() -> None:
    found = statistics.iqm([np.array([100.0, 1.0, 2.0, -50.0]), np.array([3.0, 4.0, 5.0, 6.0])])
    assert found.value == np.mean([2.0, 3.0, 4.0, 5.0])
    assert found.low <= found.value <= found.high


def test_the_mean_gives_every_task_the_same_weight() -> None:
    assert statistics.mean([np.array([0.0, 2.0]), np.array([4.0, 6.0, 8.0, 10.0])]).value == 4.0


def test_the_stratified_interval_of_a_mean_is_that_of_theory() -> None:
    """Far-apart tasks widen a pooled interval and must not widen this one."""
    draws = np.random.default_rng(0)
    strata = [draws.normal(100.0 * k, 1.0, 200) for k in range(4)]
    found = statistics.mean(strata, resamples=4000)
    width = 2 * stats.norm.ppf(0.975) * np.sqrt(sum(s.var(ddof=1) / len(s) for s in strata)) / len(strata)
    assert found.high - found.low == pytest.approx(width, rel=0.08)  # 4,000 resamples: quantiles to about 3 %


def test_one_task_is_widened_to_students_interval() -> None:
    """On average over samples: a single one leans with its skewness, as percentiles should."""
    ratios = []
    for runs in np.random.default_rng(1).normal(size=(40, 8)):
        found = statistics.mean([runs], resamples=2000)
        low, high = stats.t.interval(0.95, 7, runs.mean(), runs.std(ddof=1) / 8**0.5)
        ratios.append((found.high - found.low) / (high - low))
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.05)


def test_a_single_run_has_no_interval() -> None:
    found = statistics.iqm([np.array([1.0])])
    assert found.value == 1.0
    assert np.isnan(found.low)
    assert found.overlaps(Estimate(5.0, 5.0, 5.0))


def test_constant_runs_have_an_interval_of_length_zero() -> None:
    assert statistics.iqm([np.full(5, 0.5)] * 3) == (0.5, 0.5, 0.5)


def test_intervals_are_reproducible_and_move_with_the_seed() -> None:
    runs = [np.random.default_rng(2).normal(size=10)]
    assert statistics.iqm(runs, seed=1) == statistics.iqm(runs, seed=1)
    assert statistics.iqm(runs, seed=1) != statistics.iqm(runs, seed=2)


SIMULATIONS = 400
BOUND = 3.3 * np.sqrt(0.95 * 0.05 / SIMULATIONS)  # three-sigma band: 1 correct program in 1,000 leaves it


def _covered(estimates: list[Estimate], truth: float) -> float:
    return float(np.mean([e.low <= truth <= e.high for e in estimates]))


def test_intervals_cover_what_they_promise() -> None:
    """Five normal tasks, eight runs; the study with 1,000 tournaments is in benchmarks/."""
    draws, centres = np.random.default_rng(3), 0.4 * np.arange(5)
    tournaments = [[draws.normal(c, 1.0, 8) for c in centres] for _ in range(SIMULATIONS)]
    means = [statistics.mean(t, resamples=500, seed=i) for i, t in enumerate(tournaments)]
    middles = [statistics.iqm(t, resamples=500, seed=i) for i, t in enumerate(tournaments)]
    pool = np.concatenate([np.random.default_rng(4).normal(c, 1.0, 400_000) for c in centres])
    assert abs(_covered(means, centres.mean()) - 0.95) < BOUND + 0.01
    assert abs(_covered(middles, float(stats.trim_mean(pool, 0.25))) - 0.95) < BOUND + 0.01


def test_plain_percentiles_would_not_cover() -> None:
    """The reason for the expansion: without it, one task with five runs covers far less than 95 %."""
    draws = np.random.default_rng(5)
    runs = draws.normal(size=(SIMULATIONS, 5))
    samples = np.take_along_axis(runs[:, None], draws.integers(5, size=(SIMULATIONS, 500, 5)), axis=2).mean(axis=2)
    low, high = np.quantile(samples, [0.025, 0.975], axis=1)
    plain = np.mean((low <= 0) & (high >= 0))
    ours = _covered([statistics.mean([r], resamples=500, seed=i) for i, r in enumerate(runs)], 0.0)
    assert plain < 0.90
    assert abs(ours - 0.95) < BOUND + 0.015


def test_probability_of_improvement_by_hand() -> None:
    ours, theirs = [np.array([1.0, 3.0])], [np.array([2.0, 3.0])]
    assert statistics.probability_of_improvement(ours, theirs).value == (0 + 0 + 1 + 0.5) / 4
    more = statistics.probability_of_improvement([*ours, np.array([9.0, 9.0])], [*theirs, np.array([0.0, 0.0])])
    assert more.value == (0.375 + 1.0) / 2


def test_probability_of_improvement_of_normals() -> None:
    draws = np.random.default_rng(6)
    found = statistics.probability_of_improvement(
        [draws.normal(0.5, 1, 4000)], [draws.normal(0, 1, 4000)], resamples=50
    )
    assert found.value == pytest.approx(stats.norm.cdf(0.5 / 2**0.5), abs=4 * 0.3 / 4000**0.5)
    assert found.low < found.value < found.high


def test_a_performance_profile_by_hand() -> None:
    strata = [np.array([0.0, 1.0]), np.array([0.5, 0.5, 0.5, 0.5])]
    found = statistics.performance_profile(strata, np.array([-1.0, 0.25, 0.75, 1.0]))
    np.testing.assert_array_equal(found.fraction, [1.0, 0.75, 0.25, 0.0])
    assert (found.low <= found.fraction).all()
    assert (found.fraction <= found.high).all()


def test_a_band_follows_the_interquartile_mean_of_every_point() -> None:
    runs = np.random.default_rng(7).normal(size=(12, 5)) + np.arange(5)
    band = statistics.iqm_band(runs)
    np.testing.assert_array_equal(band.value, stats.trim_mean(runs, 0.25, axis=0))
    assert (band.low < band.value).all()
    assert (band.value < band.high).all()


def test_ranks_tie_where_intervals_overlap() -> None:
    spans = [(0.9, 1.0), (0.85, 0.92), (0.7, 0.86), (0.1, 0.2)]
    assert statistics.ranks([Estimate((a + b) / 2, a, b) for a, b in spans]) == [1, 1, 2, 4]


@pytest.mark.parametrize("strata", [[], [np.array([])], [np.array([1.0, np.nan])]])
def test_bad_scores_are_refused(strata: list[FloatArray]) -> None:
    with pytest.raises(InvalidArgumentError):
        statistics.iqm(strata)


def test_unpaired_leaders_and_bad_levels_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="same runs"):
        statistics.probability_of_improvement([np.ones(3)], [np.ones(2)])
    with pytest.raises(InvalidArgumentError, match="confidence=1"):
        statistics.iqm([np.arange(3.0)], confidence=1)


def test_two_players_get_the_log_odds_of_their_wins() -> None:
    ratings = bradley_terry(np.array([[0.0, 30.0], [10.0, 0.0]]), prior_ties=2.0)
    assert ratings[0] - ratings[1] == pytest.approx(ELO * np.log(31 / 11), abs=1e-8)
    assert ratings.mean() == pytest.approx(1500)


def test_ratings_are_the_maximum_of_the_likelihood() -> None:
    wins = np.random.default_rng(8).integers(0, 20, size=(6, 6)).astype(float)
    np.fill_diagonal(wins, 0)
    best = (bradley_terry(wins) - 1500) / ELO
    won = wins + 0.5 * (1 - np.eye(6))

    def likelihood(x: FloatArray) -> float:
        return -float((won * np.logaddexp(0, -(x[:, None] - x))).sum())

    for shift in np.random.default_rng(9).normal(scale=1e-3, size=(50, 6)):
        assert likelihood(best + shift) < likelihood(best) + 1e-9


def test_ratings_recover_the_strengths_that_made_the_wins() -> None:
    truth = np.array([-1.0, 0.0, 0.3, 0.7])
    games = 4000
    chance = 1 / (1 + np.exp(-(truth[:, None] - truth)))
    upper = np.triu(np.random.default_rng(10).binomial(games, chance), 1)
    ratings = bradley_terry(upper + np.tril((games - upper).T, -1)) / ELO
    np.testing.assert_allclose(ratings - ratings.mean(), truth - truth.mean(), atol=4 * 2 / (3 * games) ** 0.5)


def test_an_unbeaten_player_has_a_finite_rating() -> None:
    assert np.isfinite(bradley_terry(np.array([[0.0, 1000.0], [0.0, 0.0]]))).all()


def test_ratings_do_not_depend_on_the_order_of_matches() -> None:
    draws = np.random.default_rng(11)
    scores = draws.normal(size=(200, 5)).round(1)
    scores[draws.random((200, 5)) < 0.1] = np.nan
    first = bradley_terry(pairwise_wins(scores))
    for _ in range(5):
        np.testing.assert_array_equal(bradley_terry(pairwise_wins(draws.permutation(scores))), first)


def test_wins_count_ties_half_and_absences_not() -> None:
    table = pairwise_wins(np.array([[1.0, 0.0, np.nan], [2.0, 2.0, 3.0]]))
    np.testing.assert_array_equal(table, [[0, 1.5, 0], [0.5, 0, 0], [1, 1, 0]])


def _chain(leader: FloatArray, follower: FloatArray, alpha: float, size: int) -> FloatArray:
    """Alpha-rank by the book: transition matrix from the formulas, eigenvector for eigenvalue 1."""
    rows, columns = leader.shape
    states = [(i, j) for i in range(rows) for j in range(columns)]
    matrix = np.zeros((len(states), len(states)))
    for x, (i, j) in enumerate(states):
        for y, (k, m) in enumerate(states):
            if (i == k) != (j == m):
                gain = (leader[k, m] - leader[i, j]) if j == m else (follower[k, m] - follower[i, j])
                matrix[x, y] = (1 - np.exp(-alpha * gain)) / (1 - np.exp(-alpha * size * gain)) / (rows + columns - 2)
        matrix[x, x] = 1 - matrix[x].sum()
    values, vectors = np.linalg.eig(matrix.T)
    mass = vectors[:, np.argmax(values.real)].real
    return np.asarray((mass / mass.sum()).reshape(leader.shape))


def test_alpha_rank_on_a_rectangle_is_the_stationary_distribution() -> None:
    leader, follower = np.random.default_rng(12).random((2, 3, 4))
    np.testing.assert_allclose(alpha_rank(leader, follower, alpha=2.0), _chain(leader, follower, 2.0, 50), atol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 1e-300, 1e3, 1e12])
def test_alpha_rank_never_overflows(alpha: float) -> None:
    both = np.eye(2)
    with np.errstate(over="raise", invalid="raise"):
        mass = alpha_rank(both, both, alpha=alpha)
    assert mass.sum() == pytest.approx(1.0)
    expected = np.full((2, 2), 0.25) if alpha < 1 else both / 2
    np.testing.assert_allclose(mass, expected, atol=1e-12)


def test_fixation_without_advantage_is_chance() -> None:
    assert np.exp(log_fixation(np.array(0.0), 10.0, 50)) == pytest.approx(1 / 50)


def test_bad_payoffs_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="finite tables"):
        alpha_rank(np.ones((2, 2)), np.ones((2, 3)))
    with pytest.raises(InvalidArgumentError, match="population=1"):
        alpha_rank(np.ones((2, 2)), np.ones((2, 2)), population=1)
    with pytest.raises(InvalidArgumentError, match="square table"):
        bradley_terry(np.ones((2, 3)))

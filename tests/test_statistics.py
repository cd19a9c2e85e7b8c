"""Statistics against hand-computed values, closed forms and exactly enumerated coverage; ratings likewise."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.learning.curves import median_band
from stackelberg_games.tournaments import statistics
from stackelberg_games.tournaments.ratings import ELO, alpha_rank, bradley_terry, log_fixation


def test_the_mean_gives_every_task_the_same_weight() -> None:
    table = np.array([[0.0, 2.0, np.nan, np.nan], [4.0, 6.0, 8.0, 10.0]])
    assert statistics.bounded_mean(table, 0.0, 10.0).value == 4.0


def wealth(table: FloatArray, mean: float) -> float:
    """What bets against a mean have won by the definition, run by run; scores in [0, 1]."""
    counts = [int((~np.isnan(row)).sum()) for row in table]
    trials = len(table) * min(counts)
    products = []
    for stake in (20.0, 400.0, 8000.0):
        b, product = stake / trials**0.5, 1.0
        for row, count in zip(table, counts, strict=True):
            for score in row[~np.isnan(row)]:
                product *= ((1 + b * score) / (1 + b * mean)) ** (min(counts) / count)
        products.append(product)
    return float(np.mean(products))


def test_the_ends_of_a_mean_are_where_the_bets_have_won_enough() -> None:
    table = np.random.default_rng(0).beta(8.0, 2.0, size=(3, 5))
    table[0, :2] = np.nan
    found = statistics.bounded_mean(5.0 * table - 3.0, -3.0, 2.0, confidence=0.9)
    low, high = (found.low + 3.0) / 5.0, (found.high + 3.0) / 5.0
    assert wealth(table, low) == pytest.approx(2 / 0.1, rel=1e-6)
    assert wealth(1 - table, 1 - high) == pytest.approx(2 / 0.1, rel=1e-6)
    assert found.low < found.value < found.high


@pytest.mark.parametrize("counts", [(3, 3), (1, 4), (5,)])
def test_bets_win_nothing_in_expectation_against_the_truth(counts: tuple[int, ...]) -> None:
    """All outcomes of two-point scores with different chances and heights by task."""
    chances, heights = (0.9, 0.35), (0.6, 1.0)
    mean = float(np.mean([p * h for p, h, _ in zip(chances, heights, counts, strict=False)]))
    total = 0.0
    for outcome in itertools.product((0, 1), repeat=sum(counts)):
        table = np.full((len(counts), max(counts)), np.nan)
        chance, at = 1.0, 0
        for k, count in enumerate(counts):
            won = np.array(outcome[at : at + count])
            table[k, :count] = heights[k] * won
            chance *= float(np.prod(np.where(won == 1, chances[k], 1 - chances[k])))
            at += count
        total += chance * wealth(table, mean)
    assert total <= 1 + 1e-9


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=2), st.sampled_from([0.0, 0.3, 1.0]))
def test_means_of_two_point_scores_are_covered_exactly(chances: list[float], low: float) -> None:
    """Two tasks, three runs each, scores ``low`` or 1: coverage summed over all outcomes."""
    truth, covered = float(np.mean(chances)) * (1 - low) + low, 0.0
    for won in itertools.product(range(4), repeat=2):
        table = np.array([[1.0] * w + [low] * (3 - w) for w in won])
        found = statistics.bounded_mean(table, 0.0, 1.0)
        inside = found.low - 1e-9 <= truth <= found.high + 1e-9
        covered += inside * float(np.prod([stats.binom.pmf(w, 3, p) for w, p in zip(won, chances, strict=True)]))
    assert covered >= 0.95


def test_no_interval_collapses_where_all_runs_agree() -> None:
    found = statistics.bounded_mean(np.full((2, 5), 0.5), 0.0, 1.0)
    assert found.value == 0.5
    assert found.low < 0.4
    assert found.high > 0.6
    found = statistics.bounded_mean(np.ones((1, 3)), -1.0, 1.0)
    assert found.high == 1.0
    assert found.low < 2 * 0.025 ** (1 / 3) - 1  # three runs without a failure leave this chance of one


def test_a_disaster_moves_a_bounded_mean_by_its_bound() -> None:
    table = np.full((6, 10), 0.9)
    with pytest.raises(InvalidArgumentError, match=r"bounds -1\.0 and 1\.0"):
        statistics.bounded_mean(np.vstack([table, np.full((1, 10), -6267.0)]), -1.0, 1.0)
    worse = statistics.bounded_mean(np.vstack([table, np.full((1, 10), -1.0)]), -1.0, 1.0)
    assert worse.value == pytest.approx(0.9 - 1.9 / 7)


def test_clopper_pearson_is_the_exact_binomial_interval() -> None:
    for won in (0, 3, 10):
        low, high = statistics.clopper_pearson(won / 10, 10)
        exact = stats.binomtest(won, 10).proportion_ci()
        assert (float(low), float(high)) == pytest.approx((exact.low, exact.high), abs=1e-12)


def test_only_pairs_of_different_seeds_count() -> None:
    ours, theirs = np.array([[1.0, 3.0], [9.0, 9.0]]), np.array([[2.0, 3.0], [0.0, 9.0]])
    found = statistics.probability_of_improvement(ours, theirs)
    assert found.by_task == (0.5, 0.75)  # 1 < 3, 3 > 2; 9 = 9, 9 > 0
    assert found.value == 0.625
    assert (found.won, found.pairs, found.runs, found.ahead, found.tally) == (2.5, 4, 4, 1, "2.5 of 4")
    assert found.same_seed == (0.0 + 0.5 + 1.0 + 0.5) / 4
    back, turned = statistics.probability_of_improvement(theirs, ours), found.reversed()
    assert back[:-1] == pytest.approx(turned[:-1])
    assert back.by_task == turned.by_task


def test_shared_random_numbers_do_not_bias_a_comparison() -> None:
    """Half a deviation apart with correlation 0.9: pairs of one seed are won in 87 %, others in 64 %."""
    draws, truth, count = np.random.default_rng(1), stats.norm.cdf(0.5 / 2**0.5), 4000
    luck = draws.normal(size=(count, 3))
    theirs = 0.9 * luck + (1 - 0.81) ** 0.5 * draws.normal(size=(count, 3))
    values = [
        statistics.probability_of_improvement(x[None], y[None]).value for x, y in zip(luck + 0.5, theirs, strict=True)
    ]
    error = np.std(values) / count**0.5
    assert abs(np.mean(values) - truth) < 3 * error
    together = float(np.mean(luck + 0.5 > theirs))
    assert (2 * truth + together) / 3 - truth > 10 * error  # what counting all pairs would add


def test_winning_every_pair_leaves_an_interval() -> None:
    found = statistics.probability_of_improvement(np.full((1, 10), 2.0), np.full((1, 10), 1.0))
    assert (found.value, found.high, found.tally) == (1.0, 1.0, "90 of 90")
    assert found.low == pytest.approx(0.025 ** (1 / 7.5))


def test_rounding_errors_are_ties() -> None:
    ours = np.array([[1.0, 1.0 + 1e-13, 1.0 - 1e-13]])
    assert statistics.probability_of_improvement(ours, np.ones((1, 3))).value == 0.5


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(0, 20), min_size=3, max_size=3).filter(any),
    st.lists(st.integers(0, 20), min_size=3, max_size=3).filter(any),
)
def test_comparisons_of_independent_leaders_are_covered_exactly(first: list[int], second: list[int]) -> None:
    """One task, three seeds, scores 0, 1 or 2 with any chances: coverage summed over all outcomes."""
    ours, theirs = (np.array(weights) / sum(weights) for weights in (first, second))
    truth = sum(p * q * (0.5 + 0.5 * np.sign(i - j)) for i, p in enumerate(ours) for j, q in enumerate(theirs))
    covered = 0.0
    for x in itertools.product(range(3), repeat=3):
        for y in itertools.product(range(3), repeat=3):
            chance = float(np.prod(ours[list(x)]) * np.prod(theirs[list(y)]))
            if chance > 0:
                found = statistics.probability_of_improvement(np.array([x], dtype=float), np.array([y], dtype=float))
                covered += chance * (found.low - 1e-9 <= truth <= found.high + 1e-9)
    assert covered >= 0.95


def test_the_worst_luck_that_is_known() -> None:
    """In rare seeds one leader is below all runs of the other, and the other above all of its: as documented, 88 %."""
    worst = 1.0
    for seeds in range(3, 31):
        rare = np.arange(seeds + 1)  # a pair is lost if one of its seeds is
        low, high = statistics.clopper_pearson(
            (seeds - rare) * (seeds - rare - 1) / (seeds * (seeds - 1)), 0.75 * seeds
        )
        for chance in np.linspace(0.001, 0.999, 999):
            truth = (1 - chance) ** 2
            held = stats.binom.pmf(rare, seeds, chance) @ ((low <= truth) & (truth <= high))
            worst = min(worst, float(held))
    assert 0.88 < worst < 0.89


def test_missing_runs_are_left_out_and_widen_to_the_fewest() -> None:
    draws = np.random.default_rng(2)
    ours, theirs = draws.normal(size=(2, 4, 6))
    whole = statistics.probability_of_improvement(ours, theirs)
    ours[0, :4] = np.nan
    part = statistics.probability_of_improvement(ours, theirs)
    assert part.pairs == 2 * 5 + 3 * 30
    assert part.by_task[1:] == whole.by_task[1:]
    assert (part.low, part.high) == tuple(map(float, statistics.clopper_pearson(part.value, 0.75 * 4 * 2)))
    lonely = np.array([[1.0, np.nan]])
    with pytest.raises(InvalidArgumentError, match="different seeds"):
        statistics.probability_of_improvement(lonely, lonely)


def test_a_performance_profile_by_hand() -> None:
    table = np.array([[0.0, 1.0, np.nan, np.nan], [0.5, 0.5, 0.5, 0.5]])
    found = statistics.performance_profile(table, np.array([-1.0, 0.25, 0.75, 1.0]))
    np.testing.assert_array_equal(found.fraction, [1.0, 0.75, 0.25, 0.0])
    low, high = statistics.clopper_pearson(found.fraction, 4)  # two tasks of at least two runs
    np.testing.assert_array_equal(found.low, low)
    np.testing.assert_array_equal(found.high, high)


@pytest.mark.parametrize(("count", "outside"), [(1, 0), (3, 0), (6, 0), (8, 0), (9, 1), (10, 1), (30, 9)])
def test_a_band_lies_between_the_order_statistics_that_hold_the_median(count: int, outside: int) -> None:
    runs = np.random.default_rng(3).permutation(count)[:, None] + np.array([0.0, 100.0])
    band = median_band(runs)
    np.testing.assert_array_equal(band.value, (count - 1) / 2 + np.array([0.0, 100.0]))
    np.testing.assert_array_equal(band.low, outside + np.array([0.0, 100.0]))
    np.testing.assert_array_equal(band.high, count - 1 - outside + np.array([0.0, 100.0]))
    if count >= 6:
        assert 2 * stats.binom.cdf(outside, count, 0.5) <= 0.05 < 2 * stats.binom.cdf(outside + 1, count, 0.5)


@pytest.mark.parametrize("scores", [np.empty((0, 3)), np.array([[np.nan]]), np.array([[1.0, np.inf]]), np.ones(3)])
def test_bad_scores_are_refused(scores: FloatArray) -> None:
    with pytest.raises(InvalidArgumentError):
        statistics.bounded_mean(scores, 0.0, 2.0)
    with pytest.raises(InvalidArgumentError):
        statistics.performance_profile(scores, np.array([0.5]))


def test_unlike_tables_and_bad_levels_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="not a numeric array"):
        statistics.check_scores([[1.0, 2.0], [3.0]])  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="same shape"):
        statistics.probability_of_improvement(np.ones((1, 3)), np.ones((1, 2)))
    with pytest.raises(InvalidArgumentError, match="confidence=1"):
        statistics.bounded_mean(np.ones((1, 3)), 0.0, 1.0, confidence=1)


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
    with pytest.raises(InvalidArgumentError, match="of the same shape"):
        alpha_rank(np.ones((2, 2)), np.ones((2, 3)))
    with pytest.raises(InvalidArgumentError, match="population=1"):
        alpha_rank(np.ones((2, 2)), np.ones((2, 2)), population=1)
    with pytest.raises(InvalidArgumentError, match="square table"):
        bradley_terry(np.ones((2, 3)))

"""The gradient check itself."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.learning.diagnostics import GradientReport

EXACT = np.array([1.0, -2.0, 0.5])


def report(bias: float, seed: int) -> GradientReport:
    noise = np.random.default_rng(seed).normal(size=(200, 3)) * [1.0, 0.3, 2.0]
    return GradientReport(EXACT, EXACT + bias + noise, 450)


def test_p_values_of_unbiased_estimates_are_uniform() -> None:
    from scipy.stats import kstest

    p_values = [report(0.0, seed).p_value for seed in range(200)]
    assert kstest(p_values, "uniform").pvalue > 1e-3


def test_a_bias_of_five_standard_errors_is_found() -> None:
    assert report(5 * 0.3 / 200**0.5, 1).p_value < 1e-3


def test_figures_are_those_of_their_definitions() -> None:
    plain = GradientReport(np.array([3.0, 4.0]), np.array([[3.0, 0.0], [0.0, 4.0]]), 10)
    np.testing.assert_allclose(plain.mean, [1.5, 2.0])
    assert plain.cosine == pytest.approx(1.0)
    assert plain.mean_cosine == pytest.approx((0.6 + 0.8) / 2)
    assert plain.relative_bias == pytest.approx(0.5)
    np.testing.assert_allclose(plain.standard_error, [1.5, 2.0])
    assert plain.relative_bias_error == pytest.approx(0.5)
    assert plain.relative_deviation == pytest.approx(np.hypot(1.5, 2.0) * 2**0.5 / 5)


def test_a_gradient_of_zero_gives_nan_and_not_a_division_error() -> None:
    zero = GradientReport(np.zeros(2), np.zeros((3, 2)), 1)
    assert np.isnan(zero.cosine)
    assert np.isnan(zero.relative_bias)
    assert zero.p_value == 1.0


def test_a_p_value_takes_more_estimates_than_coordinates() -> None:
    few = GradientReport(EXACT, report(0.0, 1).estimates[:4], 1)
    with pytest.raises(InvalidArgumentError, match="batches=4: a p-value over 3 coordinates takes up to 5 estimates"):
        _ = few.p_value
    assert "p-value unknown (takes up to 5 batches)" in str(few)
    assert "unknown (takes" in few._repr_html_()
    assert 0 <= GradientReport(EXACT, report(0.0, 1).estimates[:5], 1).p_value <= 1


def test_a_p_value_needs_no_matrix_of_pairs_of_coordinates() -> None:
    rows = np.random.default_rng(0).normal(size=(5, 2))
    wide = np.zeros((5, 200_000))  # 320 GB as pairs
    wide[:, ::100_000] = rows
    exact = np.zeros(200_000)
    expected = GradientReport(np.zeros(2), rows, 1).p_value
    assert GradientReport(exact, wide, 1).p_value == pytest.approx(expected, rel=1e-9)
    assert "p-value unknown" in str(GradientReport(exact, wide + np.random.default_rng(1).normal(size=wide.shape), 1))


def test_estimates_that_would_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stackelberg_games.checks.memory", lambda: 10**5)
    with pytest.raises(InvalidArgumentError, match=r"10000 estimates of 6 coordinates would take 0\.0 GiB"):
        sg.gradient_check(sg.make("discrete_toy-v0", horizon=20), "bchg", batches=10_000)


def test_estimates_that_do_not_vary_are_the_truth_or_not() -> None:
    assert GradientReport(EXACT, np.tile(EXACT, (4, 1)), 1).p_value == 1.0
    assert GradientReport(EXACT, np.tile(EXACT + 1e-3, (4, 1)), 1).p_value == 0.0


def test_the_check_leaves_the_commitment_alone() -> None:
    game = sg.make("discrete_toy-v0", horizon=20)
    policy = sg.TabularPolicy(game, np.ones((3, 2)))
    sg.gradient_check(game, "bchg", commitment=policy, batches=3, warmup=1)
    np.testing.assert_array_equal(policy.logits.detach().numpy(), 1.0)


def test_the_check_counts_transitions_and_repeats_itself() -> None:
    game = sg.make("discrete_toy-v0", horizon=20)
    one, other = (sg.gradient_check(game, "bchg", batches=3, episodes=4, warmup=2, seed=5) for _ in range(2))
    assert one.transitions == 3 * 4 * 20
    np.testing.assert_array_equal(one.estimates, other.estimates)
    assert "cosine" in str(one)


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ({"batches": 1}, InvalidArgumentError, "batches=1"),
        ({"warmup": -1}, InvalidArgumentError, "warmup=-1"),
        ({"follower": "best_response"}, InvalidArgumentError, "temperature=None"),
        ({"leader": "fixed"}, UnsupportedGameError, "FixedLeader"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, Any], error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=named):
        sg.gradient_check(sg.make("discrete_toy-v0"), **cast(Any, {"leader": "bchg", **arguments}))

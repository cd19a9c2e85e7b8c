"""Exact values and their error bounds against values without rounding, and refusals of what cannot be told."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stackelberg_games import exact
from stackelberg_games.envs import matrix_v0
from stackelberg_games.exact.hard_response import hard_response
from stackelberg_games.exact.response import Arrays
from tests.same_games import Instance, instances
from tests.true_values import hard, soft, strong_matrix

FEW = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def small(game: Instance) -> Instance:
    """Discounts that are fractions of powers of two, so that ties are ties."""
    dyadic = {0.9: 0.875, 0.99: 0.96875}
    leader, follower = (dyadic.get(discount, discount) for discount in game.discounts)
    return replace(game, discounts=(leader, follower))


@FEW
@given(instances(largest=2))
def test_hard_values_and_both_ways_of_breaking_ties_agree_with_fractions(drawn: Instance) -> None:
    drawn = small(drawn)
    values, best, worst = hard(drawn)
    game = drawn.game
    policy = drawn.commitment(game)
    with torch.no_grad():
        arrays = Arrays.of(game, game.model(policy))
    for ties, expected in (("leader", best), ("against", worst)):
        found = hard_response(arrays, ties)  # type: ignore[arg-type]
        assert found.error is not None
        assert (np.abs(found.values - [float(v) for v in values]) <= found.error + 1e-300).all()
        value = exact.leader_value(game, policy, found.policy)
        assert value == pytest.approx(float(expected), rel=1e-12, abs=1e-12)
    certified = exact.certificate(game, policy, 0.0)
    assert abs(Fraction(certified.value) - best) <= Fraction(certified.error)


@FEW
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-12, 1.0, 1e12]))
def test_strong_matrix_values_agree_with_the_vertices_of_all_regions(seed: int, unit: float) -> None:
    draws = np.random.default_rng(seed)
    shape = tuple(draws.integers(1, 4, size=2))
    leader, follower = draws.integers(-4, 5, size=(2, *shape)) / 4
    truth = strong_matrix(*([[Fraction(float(x)) for x in row] for row in table] for table in (leader, follower)))
    found = exact.solve(matrix_v0.game(leader=leader, follower=unit * follower), 0.0)
    assert found.value == pytest.approx(float(truth), abs=1e-12)
    assert found.gap <= 1e-12
    assert found.bound >= float(truth) - 1e-13


@FEW
@given(instances(largest=2))
def test_error_bounds_of_soft_values_hold_to_fifty_digits(drawn: Instance) -> None:
    drawn = replace(drawn, horizon=None, discounts=(0.5, min(0.5, drawn.discounts[1])))
    game = drawn.game
    policy = drawn.commitment(game)
    played = policy.probabilities().detach().numpy()
    values, value = soft(replace(drawn, policy=played), 120)
    found = exact.best_response(game, policy, drawn.temperature)
    assert found.error is not None
    for got, bound, true in zip(found.values, found.error, values, strict=True):
        assert abs(Decimal(float(got)) - true) <= Decimal(float(bound))
    certified = exact.certificate(game, policy, drawn.temperature)
    assert abs(Decimal(certified.value) - value) <= Decimal(certified.error)
    assert certified.error <= 1e-9 * (1 + np.abs(drawn.leader).max())  # a bound that says something
    assert (found.error <= 1e-9 * (1 + np.abs(drawn.follower).max() + drawn.temperature)).all()

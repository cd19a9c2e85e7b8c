"""Global optima of linear-quadratic games against grids, active sets and the independent exact objective."""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import stackelberg_games as sg
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy
from stackelberg_games.errors import InvalidArgumentError, SolverError, UnsupportedGameError
from stackelberg_games.exact.linear_optimum import CLOSE
from stackelberg_games.kinds.linear_quadratic import Cost, Dynamics, LinearGaussianGame
from stackelberg_games.kinds.moments import Quadratic

TEMPERATURES = (0.0, 1e-3, 0.1)


def scalar(**changes: Any) -> LinearGaussianGame:
    """A game of one number each."""
    numbers = {"a": 1.0, "b": 1.0, "c": 1.0, "q": 0.2, "r": 0.5, "h": 2.0, "n": 1.0, "start": 1.0, "noise": 0.0}
    numbers |= {"leader": 0.95, "follower": 0.95, "constant": 0.0, "spread": 0.0} | changes
    made = {name: np.full((1, 1), numbers[name]) for name in ("a", "b", "c", "q", "r", "h", "n")}
    return LinearGaussianGame(
        Dynamics(made["a"], made["b"], made["c"], np.full(1, numbers["start"]), numbers["spread"], numbers["noise"]),
        Cost(made["q"], made["r"]),
        Quadratic(numbers["constant"], np.zeros(1), made["h"]),
        effort=made["n"],
        leader_discount=numbers["leader"],
        follower_discount=numbers["follower"],
        horizon=None,
    )


def objective(game: LinearGaussianGame, gain: float, temperature: float, std: float = 1e-12) -> float:
    """By the matrix equation of Riccati and the moments of play, which the optimum does not use."""
    policy = LinearGaussianPolicy((1, 1), [[gain]], std)
    return sg.exact.leader_objective(game, policy, temperature or 1e-12).item()


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_best_gain_agrees_with_a_grid_of_the_exact_objective(temperature: float) -> None:
    game = sg.make("lq_scalar-v0")
    assert isinstance(game, LinearGaussianGame)
    found = sg.exact.solve(game, temperature)
    assert isinstance(found.commitment, LinearGaussianPolicy)
    gain = found.commitment.gain.item()
    assert found.proved
    assert found.gap < 1e-9
    assert found.value == pytest.approx(objective(game, gain, temperature), abs=1e-10)
    coarse = np.linspace(-3.0, 1.0, 201)
    values = [objective(game, each, temperature) for each in coarse]
    assert abs(coarse[int(np.argmax(values))] - gain) < 0.02
    assert max(values) <= found.bound
    assert max(objective(game, gain + step, temperature) for step in (-1e-4, 1e-4)) < found.value
    assert (found.response.factor.item() == 0) == (temperature == 0)


@pytest.mark.parametrize("temperature", [0.5, 10.0])
def test_where_many_gains_are_worth_nearly_the_same_the_gap_is_wider(temperature: float) -> None:
    game = sg.make("lq_scalar-v0")
    assert isinstance(game, LinearGaussianGame)
    found = sg.exact.solve(game, temperature)
    gain = found.commitment.gain.item()  # type: ignore[operator]
    assert found.gap < 1e-8 * abs(found.value)
    assert found.value == pytest.approx(objective(game, gain, temperature), rel=1e-9)
    values = [
        objective(game, each, temperature) for each in np.r_[np.linspace(-3.0, 3.0, 61), gain - 1e-4, gain + 1e-4]
    ]
    assert max(values) <= found.bound


def test_the_printed_value_and_gain() -> None:
    game = sg.make("lq_scalar-v0")
    assert isinstance(game, LinearGaussianGame)
    found = sg.exact.solve(game, 0.0)
    assert found.value == pytest.approx(-1.3537198, abs=5e-8)
    assert found.commitment.gain.item() == pytest.approx(-0.271962, abs=5e-7)  # type: ignore[operator]
    assert "proved by branch and bound over gains" in found.evidence


@settings(max_examples=8, deadline=None)
@given(
    st.floats(-1.3, 1.3), st.floats(0.3, 2.0), st.floats(-2.0, -0.3), st.floats(0.0, 2.0), st.floats(0.1, 2.0),
    st.floats(0.1, 3.0), st.floats(0.1, 3.0), st.floats(0.0, 1.0), st.floats(0.0, 0.9), st.floats(0.0, 0.97),
    st.sampled_from(TEMPERATURES),
)  # fmt: skip
def test_no_gain_of_random_games_is_worth_more_than_the_bound(
    a: float, b: float, c: float, q: float, r: float, h: float, n: float, noise: float, leader: float,
    follower: float, temperature: float,
) -> None:  # fmt: skip
    numbers = {"a": a, "b": b, "c": c, "q": q, "r": r, "h": h, "n": n, "noise": noise}
    game = scalar(**numbers, leader=leader, follower=follower, constant=1.0, spread=0.5)
    found = sg.exact.solve(game, temperature)
    gain = found.commitment.gain.item()  # type: ignore[operator]
    assert found.gap <= 2 * CLOSE * abs(found.value - 1 / (1 - leader)) + 2 * found.error
    try:
        reached = objective(game, gain, temperature)
    except SolverError:  # the matrix equation is refused at the edge of what the follower can stabilise
        assume(False)
    # the exact objective leaves out stages that weigh less than 1e-12 of the first
    assert found.value == pytest.approx(reached, rel=1e-8, abs=1e-9)
    for other in np.r_[np.linspace(-4.0, 4.0, 9), gain + np.linspace(-0.1, 0.1, 5)]:
        with suppress(SolverError):
            worth = objective(game, other, temperature)
            assert worth <= found.bound + 1e-9 * abs(worth)


def test_the_deviation_of_a_given_commitment_counts() -> None:
    game = sg.make("lq_scalar-v0")
    assert isinstance(game, LinearGaussianGame)
    shaken = sg.exact.solve(game, 0.001, commitment=LinearGaussianPolicy(game, std=1e-3))
    assert shaken.value == pytest.approx(-1.370216, abs=1e-6)
    assert shaken.value < sg.exact.solve(game, 0.001).value
    gain = shaken.commitment.gain.item()  # type: ignore[operator]
    assert shaken.value == pytest.approx(objective(game, gain, 0.001, std=1e-3), abs=1e-10)


def test_a_return_that_grows_without_bound_is_an_error_and_no_number() -> None:
    """The follower discounts all and keeps nothing, the leader hardly discounts what doubles."""
    game = scalar(q=0.0, leader=0.9, follower=0.0)
    with pytest.raises(SolverError, match="not finite"):
        objective(game, 3.0, 0.1)


def active_sets(game: Any) -> float:
    """The best of all prices that are at a bound or stationary, period by period: what a maximum over a box must be."""
    constant, slope, curvature = game.concave_value()
    size, best = len(slope), -np.inf
    for ends in itertools.product((0.0, game.parametrisation.high, None), repeat=size):
        free = [i for i in range(size) if ends[i] is None]
        prices = np.array([0.0 if end is None else end for end in ends])
        if free:
            rest = slope[free] - curvature[free] @ prices
            prices[free] = np.linalg.solve(curvature[np.ix_(free, free)], rest)
        if ((prices >= 0) & (prices <= game.parametrisation.high)).all():
            best = max(best, float(constant + slope @ prices - prices @ curvature @ prices / 2))
    return best


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"highest_price": 5.0},
        {"highest_price": 3.0, "coupling": 4.0},
        {"coupling": -0.25, "highest_price": 4.0},
        {"horizon": 3},
    ],
)
def test_prices_agree_with_all_active_sets_and_with_the_exact_objective(changes: dict[str, Any]) -> None:
    game: Any = sg.make("electricity-v0", **changes)
    for temperature in TEMPERATURES:
        found = sg.exact.solve(game, temperature)
        assert found.proved
        assert found.gap < 1e-9
        assert found.value == pytest.approx(active_sets(game), abs=1e-9)
        exact = sg.exact.leader_objective(game, found.commitment, temperature or 1.0).item()
        assert found.value == pytest.approx(exact, abs=1e-9)
        demand = np.linalg.solve(game.curvature, game.worth - found.commitment.configuration().detach().numpy())  # type: ignore[union-attr]
        np.testing.assert_allclose(found.response.mean(np.ones((1, 1)), np.zeros((1, 1)))[0], demand, atol=1e-12)
        assert bool(found.response.factor.any()) == (temperature > 0)
    drawn = np.random.default_rng(0).uniform(0, game.parametrisation.high, (200, 4))
    values = [sg.exact.leader_objective(game, sg.Configuration(prices), 1.0).item() for prices in drawn]
    assert max(values) <= found.bound


def test_the_printed_prices() -> None:
    game: Any = sg.make("electricity-v0")
    found = sg.exact.solve(game, 0.0)
    assert found.value == pytest.approx(19.421875, abs=1e-12)
    np.testing.assert_allclose(found.commitment.configuration().detach(), [3.5, 5.5, 6.5, 4.25], atol=1e-12)  # type: ignore[union-attr]
    assert found.evidence.startswith("proved by a concave quadratic program, gap")


@pytest.mark.parametrize(
    "game",
    [
        sg.make("lqr-v0"),
        sg.make("thermal_control-v0"),
        sg.make("lq_scalar-v0", horizon=7),
        scalar(c=0.0),
        scalar(n=0.0),
        scalar(start=0.0),
        scalar(h=-1.0),
    ],
)
def test_other_linear_quadratic_games_are_refused(game: LinearGaussianGame) -> None:
    for temperature in (0.0, 0.1):
        with pytest.raises(UnsupportedGameError, match="global optimum is known of"):
            sg.exact.solve(game, temperature)


def test_commitments_that_have_no_effect_are_refused() -> None:
    market: Any = sg.make("electricity-v0")
    with pytest.raises(InvalidArgumentError, match="leave it out"):
        sg.exact.solve(market, 0.1, commitment=market.commitment())
    with pytest.raises(InvalidArgumentError, match="leave it out"):
        sg.exact.solve(market, 0.0, commitment=market.commitment())
    with pytest.raises(UnsupportedGameError, match="LinearGaussianPolicy"):
        sg.exact.solve(scalar(), 0.1, commitment=market.commitment())

"""Linear-quadratic games: the rules, compiled play, and closed forms against sampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import stackelberg_games as sg
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy, LinearGaussianResponse
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.envs import lqr_v0
from stackelberg_games.errors import (
    InvalidActionError,
    InvalidArgumentError,
    InvalidGameError,
    SolverError,
    UnknownIdError,
    UnsupportedGameError,
)
from stackelberg_games.numerics.randomness import Streams
from stackelberg_games.play.rollout import _rollout_batched
from stackelberg_games.rules.commitment import assign, flatten
from tests.checks import FALSE_ALARM
from tests.linear_games import linear_game

TAU = 0.1


def monte_carlo(game: Any, policy: LinearGaussianPolicy, episodes: int, seed: int) -> tuple[float, float]:
    """Mean discounted return of the leader, and its standard error."""
    response = game.response(policy, TAU).policy(game.plant)
    batches = [
        sg.rollout(game, policy, response, episodes=20_000, seed=seed, first_episode=first)
        for first in range(0, episodes, 20_000)
    ]
    returns = np.concatenate([batch.leader_returns(game.leader_discount) for batch in batches])
    return float(returns.mean()), float(returns.std(ddof=1) / len(returns) ** 0.5)


def exact(game: Any, policy: LinearGaussianPolicy) -> float:
    with torch.no_grad():
        return float(sg.exact.leader_objective(game, policy, TAU))


def test_closed_form_value_equals_sampling_on_20_random_stable_systems() -> None:
    scores = []
    for seed in range(20):
        game, policy = linear_game(seed, horizon=8)
        mean, error = monte_carlo(game, policy, 60_000, seed)
        scores.append((mean - exact(game, policy)) / error)
    assert stats.chi2.sf(np.square(scores).sum(), len(scores)) > FALSE_ALARM
    assert np.abs(scores).max() < stats.norm.isf(FALSE_ALARM / 2 / len(scores))


@pytest.mark.parametrize("variant", lqr_v0.VARIANTS)
def test_closed_form_value_of_every_variant_equals_sampling(variant: str) -> None:
    game = lqr_v0.game(variant, noise=0.1, horizon=20)
    policy = LinearGaussianPolicy(game, [[-4.0, -3.0]], std=0.5)
    mean, error = monte_carlo(game, policy, 40_000, 5)
    assert abs(mean - exact(game, policy)) < stats.norm.isf(FALSE_ALARM / 2) * error


@pytest.mark.parametrize("seed", range(6))
def test_exact_gradient_equals_finite_differences(seed: int) -> None:
    game, policy = linear_game(seed, horizon=None if seed % 2 else 12)
    sg.exact.leader_objective(game, policy, TAU).backward()  # type: ignore[no-untyped-call]
    assert policy.gain.grad is not None
    start, step, slopes = flatten(policy), 1e-5, []
    for i in range(len(start)):
        ends = []
        for sign in (1, -1):
            moved = start.clone()
            moved[i] += sign * step
            assign(policy, moved)
            ends.append(exact(game, policy))
        slopes.append((ends[0] - ends[1]) / (2 * step))
    np.testing.assert_allclose(policy.gain.grad.ravel(), slopes, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("gain", "undiscounted", "discounted"),
    [
        ((0, 0), 0.0149, 0.0094),
        ((-9.683, -10.25), 3.840, 3.402),
        ((-7.59, 0.9306), 0.451, 0.439),
        ((-9.9655, -10), 18.43, 11.28),
    ],
)
def test_known_values_of_the_published_game(gain: tuple[float, float], undiscounted: float, discounted: float) -> None:
    game = lqr_v0.game()
    policy = LinearGaussianPolicy(game, [gain])
    with torch.no_grad():
        assert float(sg.exact.leader_objective(game, policy, TAU, discount=1.0)) == pytest.approx(
            undiscounted, rel=5e-3
        )
        assert float(sg.exact.leader_objective(game, policy, TAU)) == pytest.approx(discounted, rel=5e-3)


def test_no_gain_nearby_beats_the_stated_optimum() -> None:
    game = lqr_v0.game()

    def value(gain: Any) -> float:
        with torch.no_grad():
            return float(sg.exact.leader_objective(game, LinearGaussianPolicy(game, [gain]), TAU))

    best = value((-9.9615, -10.0))
    assert best == pytest.approx(11.309, abs=1e-3)
    assert all(value((-9.9615 + a, -10.0 + b)) < best for a in (-0.003, 0, 0.003) for b in (-0.02, 0, 0.02) if a or b)


def test_ascent_on_the_exact_gradient_reaches_the_optimum_from_the_published_start() -> None:
    game = lqr_v0.game(leader_discount=1.0)
    for seed in range(2):
        start = np.random.default_rng(seed).normal(size=(1, 2))
        policy = LinearGaussianPolicy(game, start)
        optimizer = torch.optim.Adam(policy.parameters(), lr=0.1, maximize=True)
        best = 0.0
        for _ in range(400):
            optimizer.zero_grad()
            value = sg.exact.leader_objective(game, policy, TAU)
            value.backward()  # type: ignore[no-untyped-call]
            best = max(best, float(value.detach()))
            optimizer.step()
        assert best > 18.0


def test_compiled_play_equals_stage_by_stage_play() -> None:
    for seed in range(4):
        game, policy = linear_game(seed)
        response = game.response(policy, TAU).policy(game.plant)
        streams = Streams.of(7, 200, first_episode=3)
        fast, slow = game.simulate(policy, response, streams, 12), _rollout_batched(game, policy, response, streams, 12)
        assert fast is not None
        for name in ("states", "leader_actions", "follower_actions", "leader_rewards", "follower_rewards"):
            np.testing.assert_allclose(getattr(fast, name), getattr(slow, name), rtol=1e-10, atol=1e-12)


def test_an_episode_does_not_depend_on_its_batch() -> None:
    game, policy = linear_game(2)
    response = game.response(policy, TAU).policy(game.plant)
    whole = sg.rollout(game, policy, response, episodes=300, seed=1)
    part = sg.rollout(game, policy, response, episodes=5, seed=1, first_episode=200)
    np.testing.assert_array_equal(whole.states[200:205], part.states)
    np.testing.assert_array_equal(whole.leader_rewards[200:205], part.leader_rewards)


def test_bad_rules_are_refused() -> None:
    for settings, words in (
        ({"cost": {"R": [[0.0]]}}, "positive definite"),
        ({"cost": {"R": [[-1.0]]}}, "positive definite"),
        ({"cost": {"Q": [[1.0, 0.0], [0.0, -1.0]]}}, "positive semidefinite"),
        ({"plant": {"A": [[0.0, 1.0]]}}, "A has shape"),
        ({"plant": {"B": [[0.0], [np.inf]]}}, "B has shape"),
        ({"reward": {"target": (0.0, 0.0, 0.0)}}, "coordinates"),
        ({"reward": {"widths": (0.1, 0.0)}}, "widths"),
        ({"follower_discount": 1.0}, "follower_discount"),
    ):
        with pytest.raises(InvalidGameError, match=words):
            lqr_v0.game(**settings)
    with pytest.raises(InvalidArgumentError, match=r"plant=\{'C': 'none'\}: expected a table of an array of numbers"):
        lqr_v0.game(plant={"C": "none"})
    for unknown, words in (
        ({"plant": {"D": 1.0}}, "plant.D"),
        ({"cost": {"A": 1.0}}, "cost.A"),
        ({"start": {"deviation": 1.0}}, "start.deviation"),
        ({"variant": "v3", "reward": {"widths": (1.0, 1.0)}}, "reward.widths"),
    ):
        with pytest.raises(InvalidArgumentError, match=words):
            sg.make("lqr-v0", **unknown)
    with pytest.raises(UnknownIdError, match="v4"):
        lqr_v0.game("v5")


def test_an_unstable_system_is_named() -> None:
    game = lqr_v0.game(plant={"A": [[1.5, 0.0], [0.0, 0.0]], "B": [[0.0], [0.1]]})
    policy = LinearGaussianPolicy(game)
    with pytest.raises(SolverError, match="unstable"):
        sg.make_follower("maxent_lqr").respond(game, policy)
    still = LinearGaussianResponse(np.zeros((1, 2)), np.zeros((1, 1)), np.zeros((1, 1)))
    with pytest.raises(InvalidGameError, match="unstable"):
        sg.rollout(lqr_v0.game(plant={"A": [[1e5, 0.0], [0.0, 0.0]]}), policy, still, episodes=2)


def test_actions_that_are_no_vectors_are_refused() -> None:
    game = lqr_v0.game()
    streams, states = Streams.of(0, 2), np.zeros((2, 2))
    for wrong in (np.zeros(2), np.full((2, 1), np.nan), np.array([["a"], ["b"]])):
        with pytest.raises(InvalidActionError, match="leader"):
            game.step(states, wrong, np.zeros((2, 1)), streams, 0)
        with pytest.raises(InvalidActionError, match="follower"):
            game.step(states, np.zeros((2, 1)), wrong, streams, 0)


def test_only_linear_commitments_have_closed_forms() -> None:
    with pytest.raises(UnsupportedGameError, match="LinearGaussianPolicy"):
        sg.exact.leader_objective(lqr_v0.game(), TabularPolicy((2, 2)), TAU)
    with pytest.raises(UnsupportedGameError, match="linear-quadratic"):
        sg.make_follower("maxent_lqr").respond(sg.make("matrix-v0"), TabularPolicy((1, 2)))


def test_games_with_other_rules_have_other_fingerprints() -> None:
    games = [
        lqr_v0.game(),
        lqr_v0.game(plant={"A": [[0.0, 1.0], [0.1, 0.0]]}),
        lqr_v0.game(reward={"scale": 2.0}),
        lqr_v0.game("v0"),
    ]
    assert len({game.fingerprint() for game in games}) == len(games)
    assert lqr_v0.game().fingerprint() == games[0].fingerprint()


def test_the_picture_shows_pushes_and_state() -> None:
    env: Any = lqr_v0.raw_env(render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    env.step(np.array([-9.0]))
    env.step(np.array([3.0]))
    second = env.render()
    assert first.shape == second.shape
    blue, red = (
        (np.abs(second.astype(int) - colour) < 40).all(axis=2).sum() for colour in ((31, 119, 180), (214, 39, 40))
    )
    assert blue > 30
    assert red > 30

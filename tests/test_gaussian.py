"""Gaussian commitments and responses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import stackelberg_games as sg
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy, LinearGaussianResponse, box_sizes
from stackelberg_games.commitments.store import restore
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.numerics.randomness import Lane, Streams
from tests.checks import FALSE_ALARM


def test_normal_draws_are_normal_and_addressed() -> None:
    streams = Streams.of(3, 20_000)
    draws: Any = streams.normal(Lane.LEADER, 2, 2)
    assert stats.kstest(draws.ravel(), "norm").pvalue > FALSE_ALARM
    assert abs(np.corrcoef(draws.T)[0, 1]) < stats.norm.isf(FALSE_ALARM / 2) / len(draws) ** 0.5
    np.testing.assert_array_equal(Streams.of(3, 5, 100).normal(Lane.LEADER, 2, 2), draws[100:105])
    np.testing.assert_allclose(stats.norm.cdf(draws), streams.uniform(Lane.LEADER, 2, 2), atol=1e-14)


def test_log_density_and_samples_agree() -> None:
    factor = np.array([[0.5, 0.0], [0.3, 0.2]])
    policy = LinearGaussianPolicy((3, 2), np.arange(6.0).reshape(2, 3), factor)
    states = np.random.default_rng(0).normal(size=(4000, 3))
    actions = policy.sample(states, Streams.of(0, 4000), 1)
    law = stats.multivariate_normal(cov=factor @ factor.T)
    wanted = law.logpdf(actions - states @ np.arange(6.0).reshape(2, 3).T)
    np.testing.assert_allclose(policy.log_prob(torch.from_numpy(states), torch.from_numpy(actions)).detach(), wanted)
    assert stats.kstest(-2 * (wanted - law.logpdf([0, 0])), "chi2", args=(2,)).pvalue > FALSE_ALARM


def test_action_is_differentiable_in_the_gain() -> None:
    policy = LinearGaussianPolicy((2, 1), [[1.0, 2.0]], 0.1)
    policy.act(torch.tensor([[3.0, 5.0]], dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)).sum().backward()  # type: ignore[no-untyped-call]
    assert policy.gain.grad is not None
    assert policy.gain.grad.tolist() == [[3.0, 5.0]]


def test_a_policy_is_rebuilt_from_its_description() -> None:
    policy = LinearGaussianPolicy((2, 1), [[1.0, 2.0]], 0.1)
    twin = restore(policy.describe())
    twin.load_state_dict(policy.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(policy.state_dict().values(), twin.state_dict().values(), strict=True))


@pytest.mark.parametrize("game_id", ["guided_pendulum-v0", "continuous_toy-v0"])
def test_bounded_policies_are_rebuilt_with_their_range(game_id: str, tmp_path: Path) -> None:
    game = sg.make(game_id, horizon=4)
    run = sg.train(game, "random_search", "black_box", iterations=3, directory=tmp_path, progress=False)
    twin = sg.Run.load(tmp_path).commitment
    streams = Streams.of(0, 6)
    states = game.initial(streams)
    np.testing.assert_array_equal(twin.sample(states, streams, 1), run.commitment.sample(states, streams, 1))


def test_bad_policies_are_refused() -> None:
    for gain, std in (([[1.0]], 1.0), ([[np.nan, 0.0]], 1.0), (None, 0.0), (None, np.ones((2, 2)))):
        with pytest.raises(InvalidArgumentError):
            LinearGaussianPolicy((2, 1), gain, std)
    with pytest.raises(UnsupportedGameError, match="density"):
        LinearGaussianPolicy((2, 1)).probabilities()
    with pytest.raises(UnsupportedGameError, match="Box"):
        box_sizes(sg.make("matrix-v0"))
    for shapes in (((2,), (1, 1), (1, 1)), ((1, 2), (2, 1), (1, 1)), ((1, 2), (1, 1), (2, 2))):
        with pytest.raises(InvalidArgumentError):
            LinearGaussianResponse(*(np.zeros(shape) for shape in shapes))
    with pytest.raises(InvalidArgumentError, match="finite"):
        LinearGaussianResponse(np.full((1, 2), np.nan), np.zeros((1, 1)), np.zeros((1, 1)))

"""Gaussian expectations of state rewards against sampling and differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from stackelberg_games.errors import InvalidGameError
from stackelberg_games.kinds.moments import Band, Bump, Disk, NegativePart, StateReward
from tests.checks import FALSE_ALARM

REWARDS = (
    Bump(2.0, np.array([0.2, -0.1]), np.array([[2.0, 0.7], [0.7, 1.0]])),
    Bump.of_widths(1.0, [0.5, 0.0], [0.4, 2.0]),
    NegativePart(1.5, 0),
    Band(1.0, 0.4, 1),
    Disk(3.0, np.array([0.1, 0.3]), 0.8),
)


@pytest.mark.parametrize("reward", REWARDS, ids=lambda r: type(r).__name__)
def test_expectation_equals_sampling(reward: StateReward) -> None:
    random = np.random.default_rng(0)
    for _ in range(3):
        mean, factor = random.normal(size=2), 0.7 * random.normal(size=(2, 2))
        samples = reward.value(mean + random.normal(size=(200_000, 2)) @ factor.T)
        expected = float(reward.expectation(torch.from_numpy(mean), torch.from_numpy(factor @ factor.T)))
        error = samples.std(ddof=1) / len(samples) ** 0.5
        assert abs(samples.mean() - expected) < stats.norm.isf(FALSE_ALARM / 2) * error


@pytest.mark.parametrize("reward", REWARDS, ids=lambda r: type(r).__name__)
def test_expectation_is_differentiable(reward: StateReward) -> None:
    mean = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
    factor = torch.tensor([[0.5, 0.1], [0.2, 0.4]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda m, f: reward.expectation(m, f @ f.T), (mean, factor), atol=2e-5)


@pytest.mark.parametrize("reward", REWARDS, ids=lambda r: type(r).__name__)
def test_a_certain_state_is_worth_its_reward(reward: StateReward) -> None:
    states = np.random.default_rng(1).normal(size=(50, 2))
    sure = reward.expectation(torch.from_numpy(states), torch.zeros(50, 2, 2, dtype=torch.float64))
    np.testing.assert_allclose(sure, reward.value(states), atol=1e-9)


def test_a_narrow_cloud_on_a_disk_is_integrated_exactly() -> None:
    disk = Disk(1.0, np.zeros(2), 0.5)
    covariance = torch.diag(torch.tensor([1e-10, 0.04], dtype=torch.float64))
    chord = (0.25 - 0.3**2) ** 0.5
    exact = stats.norm.cdf(chord, scale=0.2) - stats.norm.cdf(-chord, scale=0.2)
    got = disk.expectation(torch.tensor([0.3, 0.0], dtype=torch.float64), covariance)
    assert float(got) == pytest.approx(exact, abs=1e-6)


def test_rewards_that_do_not_fit_the_states_are_refused() -> None:
    for reward, size in ((REWARDS[0], 3), (NegativePart(1.0, 2), 2), (Band(1.0, 0.1, 1), 1), (REWARDS[4], 3)):
        with pytest.raises(InvalidGameError):
            reward.check(size)
    with pytest.raises(InvalidGameError, match="widths"):
        Bump.of_widths(1.0, [0.0], [-1.0])

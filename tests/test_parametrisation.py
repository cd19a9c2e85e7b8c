"""From free parameters to configurations, and back from a stored run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.parametrisation import Bounded, Budgeted, Parametrisation, Plain, parametrisation
from stackelberg_games.commitments.store import restore
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.errors import CheckpointError, InvalidArgumentError

ALL = [Plain(), Bounded(), Bounded(-2.0, 0.5), Budgeted(), Budgeted(0.2, 3.0), Budgeted(0.0)]
SIZE = 5


def parameters(of: Parametrisation, seed: int = 0) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).normal(size=of.parameter_count(SIZE)))


@pytest.mark.parametrize("of", ALL)
def test_configurations_have_the_size_asked_for_and_a_gradient(of: Parametrisation) -> None:
    assert of(parameters(of)).shape == (SIZE,)
    assert of(parameters(of)).dtype == torch.float64
    assert torch.autograd.gradcheck(of, parameters(of).requires_grad_())


def test_values_by_hand() -> None:
    zero = torch.zeros(3, dtype=torch.float64)
    assert Plain()(zero).tolist() == [0, 0, 0]
    assert Bounded(-1.0, 3.0)(zero).tolist() == [1, 1, 1]
    assert Bounded(-1.0, 3.0)(torch.tensor([2.0])).item() == pytest.approx(-1 + 4 / (1 + np.exp(-2)))
    logits = torch.tensor([1.0, 0.0, -1.0], dtype=torch.float64)
    weights = np.exp([0.5, 0.0, -0.5])
    np.testing.assert_allclose(Budgeted(0.6, 2.0)(logits), 0.6 * weights[:2] / weights.sum(), rtol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
def test_configurations_stay_in_their_range_however_large_the_parameters(scale: float) -> None:
    for seed in range(20):
        for of in (Bounded(-2.0, 0.5), Budgeted(0.2)):
            x = of(scale * parameters(of, seed))
            low, high = (-2.0, 0.5) if isinstance(of, Bounded) else (0.0, 0.2)
            assert ((x >= low) & (x <= high)).all()
            assert isinstance(of, Bounded) or x.sum() <= 0.2 * (1 + 1e-12)


def test_the_unspent_share_is_the_last_parameter() -> None:
    idle = torch.zeros(SIZE + 1, dtype=torch.float64)
    idle[-1] = 50.0
    assert Budgeted(3.0)(idle).sum() < 1e-12


@pytest.mark.parametrize("of", ALL)
def test_a_description_rebuilds_it(of: Parametrisation) -> None:
    assert parametrisation(of.describe()) == of
    theta = parameters(of)
    policy = TabularPolicy((3, 2), np.arange(6.0).reshape(3, 2)) if isinstance(of, Bounded) else None
    stored = Configuration(theta, of, policy, 3)
    fresh = restore(stored.describe())
    fresh.load_state_dict(stored.state_dict())
    assert torch.equal(fresh.configuration(), stored.configuration())  # type: ignore[arg-type]
    assert torch.equal(fresh.probabilities(), stored.probabilities())


def test_a_stored_run_of_a_configured_game_needs_no_object_to_load_into(tmp_path: Path) -> None:
    game = sg.make("four_rooms-v0", plan="xxxxxx\nxS GTx\nxxxxxx")
    run = sg.train(game, "bchg", "soft_value_iteration", iterations=2, episodes=4, stages=10, seed=0)
    run.save(tmp_path)
    again = sg.Run.load(tmp_path).commitment
    assert torch.equal(again.configuration(), run.commitment.configuration())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Bounded(1.0, 1.0), "low=1.0, high=1.0"),
        (lambda: Bounded(float("nan"), 1.0), "low=nan"),
        (lambda: Budgeted(-1.0), "budget=-1.0"),
        (lambda: Budgeted(float("inf")), "budget=inf"),
        (lambda: Budgeted(1.0, 0.0), "temperature=0.0"),
    ],
)
def test_settings_out_of_range_are_refused(make: Any, says: str) -> None:
    with pytest.raises(InvalidArgumentError, match=says):
        make()


@pytest.mark.parametrize("transform", [torch.tanh, lambda x: x])
def test_a_transform_of_ones_own_is_named_and_asks_for_an_object(transform: Any) -> None:
    with pytest.raises(CheckpointError, match=r"unknown parametrisation .* pass `commitment`"):
        restore(Configuration([0.0], transform).describe())
    with pytest.raises(CheckpointError, match="unknown parametrisation None"):
        parametrisation({})

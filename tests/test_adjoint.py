"""The adjoint against automatic differentiation through the response."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stackelberg_games import exact
from stackelberg_games.exact.adjoint import adjoint_objective
from stackelberg_games.exact.posed import under
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.kernel import DenseKernel, SparseKernel
from tests.random_games import HYPERGRADIENT_GAMES, case, gradient


@pytest.mark.parametrize("index", range(HYPERGRADIENT_GAMES))
def test_value_and_gradient_are_those_of_automatic_differentiation(index: int) -> None:
    which = case(index)
    found = adjoint_objective(which.game, under(which.game, which.commitment), which.temperature)
    assert found.value + found.constant == pytest.approx(which.objective(), rel=1e-12)
    expected = which.gradient()
    scale = np.abs(expected).max()
    assert gradient(which.commitment, found.surrogate) == pytest.approx(expected, rel=1e-9, abs=1e-10 * (1 + scale))


def test_a_warm_start_changes_nothing() -> None:
    which = case(4)
    model = under(which.game, which.commitment)
    cold = adjoint_objective(which.game, model, which.temperature)
    warm = adjoint_objective(which.game, model, which.temperature, cold.values + 0.1)
    assert warm.value == pytest.approx(cold.value, rel=1e-12)
    other = adjoint_objective(which.game, model, which.temperature, np.zeros(1))  # of a game of another size
    assert other.value == cold.value


@pytest.mark.parametrize("horizon", [None, 1, 12])
def test_a_constant_in_all_rewards_is_kept_apart(horizon: int | None) -> None:
    draws = np.random.default_rng(3)
    transition = draws.dirichlet(np.ones(3), (3, 2, 2))
    rewards = draws.integers(-8, 9, size=(2, 3, 2, 2)) / 8
    found = []
    for constant in (0.0, 2.0**29):
        game = TabularGame(transition, rewards[0] + constant, rewards[1] - constant, [1.0, 0.0, 0.0], 0.9, 0.8, horizon)
        policy = game.commitment()
        objective = adjoint_objective(game, under(game, policy), 0.2)
        found.append((objective.value, gradient(policy, objective.surrogate)))
        total = exact.certificate(game, policy, 0.2)
        assert objective.value + objective.constant == pytest.approx(total.value, abs=total.error)
    # what is taken out is one of the rewards, so values differ by a multiple of an eighth a stage
    assert found[1][1] == pytest.approx(found[0][1], rel=1e-10)


def test_without_parameters_there_is_nothing_to_differentiate() -> None:
    which = case(0)
    with torch.no_grad():
        model = under(which.game, which.commitment)
    assert not adjoint_objective(which.game, model, which.temperature).surrogate.requires_grad


@pytest.mark.parametrize("index", range(4))
def test_kernels_name_the_successors_of_a_cell(index: int) -> None:
    arrays = case(index).arrays
    for kernel in (DenseKernel(arrays.transition), SparseKernel.of(arrays.transition)):
        assert kernel.row((0, 0, 0)).tolist() == arrays.transition[0, 0, 0].tolist()
        assert kernel.terms >= (arrays.transition > 0).sum(axis=-1).max()

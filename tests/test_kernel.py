"""Transition kernels: lists of successors against sums written from the definition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games.arrays import FloatArray
from stackelberg_games.exact.banded_system import Banded
from stackelberg_games.exact.response import Arrays, Factorised
from stackelberg_games.exact.soft_response import soft_response
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.kernel import SPARSE_BELOW, DenseKernel, Kernel, SparseKernel, kernel


def table(states: int, density: float, seed: int) -> FloatArray:
    """Weights ``[S, 2, 3, S]`` with many zeros, among them whole rows and a column."""
    draws = np.random.default_rng(seed)
    shape = (states, 2, 3, states)
    weights = draws.random(shape) * (draws.random(shape) < density)
    weights[0, 1] = 0.0
    weights[..., -1] = 0.0
    return weights


@pytest.mark.parametrize("states", [2, 7, 30])
@pytest.mark.parametrize("density", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("form", [DenseKernel, SparseKernel.of])
def test_both_forms_are_the_sums_of_their_definitions(states: int, density: float, form: type[DenseKernel]) -> None:
    weights = table(states, density, seed=states)
    made, draws = form(weights), np.random.default_rng(1)
    values, joint = draws.normal(size=states), draws.normal(size=(states, 2, 3))
    np.testing.assert_allclose(made.expected(values), np.einsum("sabn,n->sab", weights, values), atol=1e-14)
    np.testing.assert_allclose(made.inflow(joint), np.einsum("sab,sabn->n", joint, weights), atol=1e-13)
    np.testing.assert_allclose(made.chain(joint), np.einsum("sab,sabn->sn", joint, weights), atol=1e-14)
    expected = joint + 0.9 * np.einsum("sabn,n->sab", weights, values)
    np.testing.assert_allclose(made.ahead(joint, 0.9, values), expected, atol=1e-14)
    each = draws.normal(size=(states, states))
    np.testing.assert_allclose(made.expected_each(each), np.einsum("sabn,sn->sab", weights, each), atol=1e-14)
    np.testing.assert_array_equal(made.dense, weights)


@pytest.mark.parametrize("reach", [0, 1, 4])
def test_a_band_is_solved_as_the_whole_matrix_is(reach: int) -> None:
    states, draws = 40, np.random.default_rng(reach)
    away = np.abs(np.subtract.outer(np.arange(states), np.arange(states)))
    chances = draws.random((states, 2, 3, states)) * (away <= reach)[:, None, None]
    lists = SparseKernel.of(chances / chances.sum(axis=-1, keepdims=True))
    first = lists.first + (np.arange(len(lists.first)) == len(lists.first) - 1)
    nowhere = replace(
        lists, first=first, successors=np.append(lists.successors, 0), probability=np.append(lists.probability, 0.0)
    )  # the last state could lead to the first, with no chance
    assert nowhere.reach == reach
    joint, vector = draws.random((states, 2, 3)), draws.normal(size=states)
    joint /= joint.sum(axis=(1, 2), keepdims=True)
    band, whole = Banded(nowhere, joint, 0.95), Factorised(lists.chain(joint), 0.95)
    for name in ("solve", "solve_transposed"):
        np.testing.assert_allclose(getattr(band, name)(vector), getattr(whole, name)(vector), rtol=1e-11, atol=1e-12)


def test_a_successor_that_is_listed_twice_counts_twice() -> None:
    lists = SparseKernel((2, 1, 1), np.array([0, 3, 4]), np.array([1, 0, 1, 0]), np.array([0.25, 0.5, 0.25, 1.0]))
    np.testing.assert_allclose(lists.dense[:, 0, 0], [[0.5, 0.5], [1.0, 0.0]])


def test_the_form_is_chosen_by_the_share_of_possible_successors() -> None:
    forms: list[Kernel] = [kernel(table(40, factor * SPARSE_BELOW, seed=3)) for factor in (0.8, 1.3)]
    assert [type(form) for form in forms] == [SparseKernel, DenseKernel]


@pytest.mark.parametrize("sees", [True, False])
def test_a_follower_responds_alike_in_both_forms(sees: bool) -> None:
    game = sg.make("four_rooms-v0")
    assert isinstance(game, TabularGame)
    model = game.model(sg.TabularPolicy(game))
    arrays = replace(Arrays.of(game, model), sees=sees)
    assert isinstance(arrays.kernel, SparseKernel)
    sparse = soft_response(arrays, 0.003)
    dense = soft_response(replace(arrays, kernel=DenseKernel(arrays.transition)), 0.003)
    np.testing.assert_allclose(sparse.values, dense.values, rtol=1e-11)
    np.testing.assert_allclose(sparse.policy, dense.policy, atol=1e-9)

"""Games of lists as they are used: what is searched, learned and refused in them."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
import scipy.sparse
import torch

import stackelberg_games as sg
from stackelberg_games import exact, progress
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError, UnsupportedGameError
from stackelberg_games.exact import ascents, derivatives, listed_response
from stackelberg_games.kinds.finite import Tables
from stackelberg_games.rules.features import Features
from tests.large_games import grid, laid_out, random_lists

CELLS = (12, 2, 3, 3)


def _moved(dense: bool) -> sg.ConfigurableGame:
    """A game whose leader acts, pays and moves probabilities, as an array or as lists."""
    successors, probability, leader, follower = random_lists(3, CELLS)
    places = tuple(torch.tensor(axis) for axis in np.indices(CELLS)[:3])
    charges = torch.tensor(np.random.default_rng(1).normal(size=(2, *CELLS[:3])))

    def configure(x: torch.Tensor) -> Tables:
        weights = torch.softmax(torch.tensor(probability).log() + x[0] * torch.arange(CELLS[3]), dim=-1)
        array = weights.reshape(-1)
        if dense:
            empty = torch.zeros(*CELLS[:3], CELLS[0], dtype=torch.float64)
            array = empty.index_put((*places, torch.tensor(successors)), weights, accumulate=True)
        paid = torch.einsum("c,csab->sab", x, charges)
        return Tables(array, torch.tensor(leader) - paid, torch.tensor(follower) + paid)

    made: Any = sg.ConfigurableGame if dense else sg.ConfigurableGame.from_successors
    given = (laid_out(successors, probability),) if dense else (successors, probability)
    first = np.full(CELLS[0], 1 / CELLS[0])
    settings = {"leader_discount": 0.9, "follower_discount": 0.8, "parametrisation": sg.Bounded(-1.0, 1.0)}
    found: sg.ConfigurableGame = made(*given, leader, follower, first, size=2, configure=configure, **settings)
    return found


def test_best_commitments_that_move_listed_probabilities_are_those_of_the_array() -> None:
    dense, listed = (exact.solve(_moved(dense), 0.3, starts=1) for dense in (True, False))
    assert listed.value == pytest.approx(dense.value, abs=1e-6)


def test_a_search_in_lists_makes_no_array_of_pairs_of_states_and_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none(*_: object) -> Any:
        raise AssertionError("a matrix of states")

    monkeypatch.setattr(derivatives, "Factorised", none)
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(ascents, "KEPT", 100)  # each commitment has 100 numbers: two for two starts
    with caplog.at_level(logging.INFO, "stackelberg_games"):
        found = exact.solve(grid(5, leader_discount=0.5, follower_discount=0.5, horizon=3), 1.0, starts=2)
    assert len(found.start_values) == 2
    lines = [record.getMessage() for record in caplog.records if "of the search" in record.getMessage()]
    percents = [int(line.split(" of ")[0]) for line in lines]
    assert percents[0] == 0
    assert 20 <= percents[-1] <= 99
    assert percents == sorted(percents)
    assert "3 commitments evaluated" in lines[2]


def test_twins_on_lists_have_the_value_of_the_array_and_warn_of_nothing(request: pytest.FixtureRequest) -> None:
    request.addfinalizer(lambda: torch.set_warn_always(False))
    torch.set_warn_always(True)  # and not once for each process
    successors, probability, leader, follower = random_lists(3, CELLS)
    rest = (leader, follower, np.full(CELLS[0], 1 / CELLS[0]), 0.9, 0.9)
    values = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for game in (
            sg.TabularGame(laid_out(successors, probability), *rest),
            sg.TabularGame.from_successors(successors, probability, *rest),
        ):
            values.append(exact.twin_objective(game, sg.TabularPolicy(game), 0.3, 10.0).item())
    assert values[1] == pytest.approx(values[0], abs=1e-10)


@pytest.mark.parametrize("listed", [True, False])
def test_hard_responses_begin_where_they_are_told(listed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    successors, probability, leader, follower = random_lists(3, (40, *CELLS[1:]))
    rest = (leader, follower, np.full(40, 1 / 40), 0.9, 0.95)
    if listed:
        game = sg.TabularGame.from_successors(successors, probability, *rest)
    else:
        game = sg.TabularGame(laid_out(successors, probability), *rest)
    policy = sg.TabularPolicy(game)
    cold = exact.best_response(game, policy, 0.0)
    sweeps: list[int] = []
    backup = listed_response._backup

    def counted(*given: Any) -> Any:
        sweeps.append(1)
        return backup(*given)

    monkeypatch.setattr(listed_response, "_backup", counted)
    warm = exact.best_response(game, policy, 0.0, start=cold.values)
    assert warm.newton_steps == 1
    for found in (cold, warm):
        assert found.error is not None
        assert found.residual is not None
        assert 0 <= found.residual <= 1e-12
        assert found.residual == pytest.approx(
            np.abs((found.q.max(axis=2) / 2).sum(axis=1) - found.values).max(), abs=1e-15
        )
    assert len(sweeps) == listed  # the first finds nothing to improve
    np.testing.assert_array_equal(warm.policy, cold.policy)
    for wrong, message in ((cold.values[1:], "start has shape"), (cold.values * np.nan, r"start\[0\] is nan")):
        with pytest.raises(InvalidArgumentError, match=message):
            exact.best_response(game, policy, 0.0, start=wrong)


def test_networks_refuse_one_hot_vectors_of_more_states_than_players_are_shown() -> None:
    game = grid(65, leader_discount=0.9, follower_discount=0.9, horizon=5)
    message = r"1\.7 GB of one-hot vectors of 4229 numbers; soft_q_learning takes so many states"
    with pytest.raises(UnsupportedGameError, match=message):
        sg.make_follower("soft_dqn", temperature=0.1).begin(game)


def test_one_hot_vectors_are_made_of_the_codes_asked_for_alone() -> None:
    features = Features(gymnasium.spaces.Discrete(200_000, start=3))  # 320 GB as pairs of states
    rows = features(np.array([[3], [200_002]]))
    assert rows.shape == (2, 1, 200_000)
    assert [np.flatnonzero(row).tolist() for row in rows[:, 0]] == [[0], [199_999]]
    assert features(4).nonzero()[0].tolist() == [1]


def test_what_all_outcomes_pay_is_the_mean_to_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    chances = rng.dirichlet(np.ones(7), size=(20, 2))
    chances[:, :, 0] = 0.0
    chances /= chances.sum(axis=2, keepdims=True)
    assert (chances.sum(axis=2) != 1.0).any()

    def step(s: int, a: int, b: int) -> list[tuple[Any, ...]]:
        return [(chance, k, 0.1 * s if k else 1e16, 1001.0) for k, chance in enumerate(chances[s, b])]

    game = sg.TabularGame.from_function(step, (20, 1, 2), np.full(20, 0.05), follower_discount=0.0)
    assert (game.follower_reward == 1001.0).all()
    assert (game.leader_reward == 0.1 * np.arange(20)[:, None, None]).all()  # padding pays nothing
    cliff = sg.TabularGame.from_gymnasium("CliffWalkingSlippery-v1")
    assert np.unique(cliff.follower_reward) == pytest.approx([-100, -67, -34, -1, 0])  # one of each


def _corrupted(what: str) -> Any:
    matrix = scipy.sparse.csr_array(np.eye(8))
    getattr(matrix, what)[3] = 99
    return matrix


@pytest.mark.parametrize("what", ["indices", "indptr"])
def test_matrices_that_point_outside_of_their_arrays_are_refused(what: str) -> None:
    with pytest.raises(InvalidGameError, match="transition is no matrix that can be read: "):
        sg.TabularGame.from_csr(_corrupted(what), np.zeros((8, 1, 1)), np.zeros((8, 1, 1)), np.full(8, 1 / 8))


def test_what_cannot_be_meant_is_refused_and_not_guessed() -> None:
    rest = (np.zeros((2, 1, 1)), np.zeros((2, 1, 1)), [1.0, 0.0])
    with pytest.raises(
        InvalidGameError, match="csr_array of complex128: expected a SciPy sparse matrix of real numbers"
    ):
        sg.TabularGame.from_csr(scipy.sparse.csr_array(np.eye(2) * 1j), *rest)
    with pytest.raises(InvalidGameError, match="successors is a masked array"):
        sg.TabularGame.from_successors(np.ma.zeros((2, 1, 1, 1), dtype=int), np.ones((2, 1, 1, 1)), *rest)
    with pytest.raises(InvalidGameError, match="step=3: expected a function"):
        sg.TabularGame.from_function(3, (2, 1, 1), [1.0, 0.0])  # type: ignore[arg-type]

    def step(s: int, a: int, b: int) -> list[tuple[Any, ...]]:
        return [(1.0, 1, 0.0, 0.0, True)]

    made = sg.TabularGame.from_function(step, (2, 1, 1), [1.0, 0.0], terminal=[False, True])
    assert made.terminal.tolist() == [False, True]
    with pytest.raises(InvalidGameError, match="terminal contradicts the flags that step returns"):
        sg.TabularGame.from_function(step, (2, 1, 1), [1.0, 0.0], terminal=[False, False])

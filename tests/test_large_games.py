"""Games given as lists of successors: the same numbers as the array gives, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
import scipy.sparse
import torch

import stackelberg_games as sg
from stackelberg_games import checks, exact
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError, PrecisionError, SolverError
from stackelberg_games.exact import chain_system, listed_response, objective, response
from stackelberg_games.exact.response import Arrays
from stackelberg_games.exact.soft_response import problem_of
from stackelberg_games.kinds import finite
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables, TabularGame
from stackelberg_games.kinds.successors import SuccessorLists
from stackelberg_games.rules.lever import Stages
from tests.large_games import grid, laid_out, random_lists

SHAPE = (300, 3, 3, 4)
SETTINGS: tuple[dict[str, Any], ...] = (
    {"leader_discount": 0.95, "follower_discount": 0.95, "follower_sees_action": True},
    {"leader_discount": 0.97, "follower_discount": 0.9, "follower_sees_action": False},
    {"leader_discount": 1.0, "follower_discount": 0.9, "follower_sees_action": True, "horizon": 12},
    {"leader_discount": 0.8, "follower_discount": 0.99, "follower_sees_action": False, "horizon": 7},
)
TEMPERATURE = 0.3


def lists_of(game: TabularGame) -> SuccessorLists:
    assert game.lists is not None
    return game.lists


def _start(terminal: Any) -> Any:
    weights = np.random.default_rng(1).dirichlet(np.ones(len(terminal))) * ~terminal
    return weights / weights.sum()


def _pair(settings: dict[str, Any]) -> tuple[TabularGame, TabularGame]:
    """A game with two terminal states as an array and as lists."""
    successors, probability, leader, follower = random_lists(0, SHAPE)
    terminal = np.isin(np.arange(SHAPE[0]), (5, 77))
    rest = (leader, follower, _start(terminal))
    settings = {**settings, "terminal": terminal}
    dense = TabularGame(laid_out(successors, probability), *rest, **settings)
    return dense, TabularGame.from_successors(successors, probability, *rest, **settings)


def _logits() -> Any:
    return np.random.default_rng(2).normal(size=SHAPE[:2])


@pytest.mark.parametrize("settings", SETTINGS)
def test_lists_have_the_values_and_the_hypergradient_of_the_array(settings: dict[str, Any]) -> None:
    found = []
    for game in _pair(settings):
        policy = sg.TabularPolicy(game, _logits())
        value = exact.leader_objective(game, policy, TEMPERATURE)
        (slope,) = torch.autograd.grad(value, [policy.logits])
        both = exact.differentiable_values(game, policy, TEMPERATURE)
        mixed = both.leader.cos().sum() + both.follower.sin().sum()
        (mixed_slope,) = torch.autograd.grad(mixed, [policy.logits])
        soft = exact.best_response(game, policy, TEMPERATURE)
        hard = exact.best_response(game, policy, 0.0)
        tables = exact.critics(game, policy, TEMPERATURE)
        found.append(
            (
                value.item(),
                slope,
                mixed_slope,
                soft.values,
                soft.policy,
                hard.values,
                hard.policy,
                tables.leader_q,
                tables.follower_q,
                exact.leader_value(game, policy, hard.policy),
                exact.follower_value(game, policy, soft.policy, TEMPERATURE),
            )
        )
    for dense, listed in zip(*found, strict=True):
        assert np.abs(np.asarray(dense) - np.asarray(listed)).max() < 1e-8


@pytest.mark.parametrize("sees", [True, False])
def test_a_state_that_is_never_left_is_worth_its_stages_on_lists(sees: bool) -> None:
    successors, probability = np.array([[[[1, 0]]], [[[1, 1]]]]), np.full((2, 1, 1, 2), 0.5)
    reward, start = np.array([[[1.0]], [[3.0]]]), np.array([1.0, 0.0])
    settings = {"leader_discount": 1.0, "follower_discount": 0.9, "horizon": 3, "follower_sees_action": sees}
    game = TabularGame.from_successors(successors, probability, reward, reward, start, **settings)
    policy = sg.TabularPolicy(game)
    value = exact.leader_objective(game, policy, TEMPERATURE)
    values = exact.differentiable_values(game, policy, TEMPERATURE)
    assert value.item() == pytest.approx(1 + 0.5 * (1 + 3) + 0.25 * 1 + 0.75 * 3, abs=1e-12)
    assert values.leader.tolist() == pytest.approx([5.5, 9.0], abs=1e-12)
    (slope,) = torch.autograd.grad(value, [policy.logits])
    assert slope.tolist() == [[0.0], [0.0]]
    certified = exact.certificate(game, policy, TEMPERATURE)
    assert abs(certified.value - 5.5) <= certified.error + 1e-14


@pytest.mark.parametrize("sees", [True, False])
@pytest.mark.parametrize(
    "settings",
    [
        {"leader_discount": 0.9, "follower_discount": 0.0},
        {"leader_discount": 0.9, "follower_discount": 0.9, "replies_matter": False},
        {"leader_discount": 1.0, "follower_discount": 0.9, "horizon": 4, "actions_matter": False},
    ],
)
def test_optima_of_lists_are_those_of_the_array(settings: dict[str, Any], sees: bool) -> None:
    settings = dict(settings)
    successors, probability, *rewards = random_lists(3, (40, 3, 3, 2))
    if not settings.pop("actions_matter", True):
        successors, probability = (np.broadcast_to(x[:, :1, :1], x.shape) for x in (successors, probability))
    elif not settings.pop("replies_matter", True):
        successors, probability = (np.broadcast_to(x[:, :, :1], x.shape) for x in (successors, probability))
    rest = (*rewards, np.full(40, 1 / 40))
    dense = TabularGame(laid_out(successors, probability), *rest, follower_sees_action=sees, **settings)
    listed = TabularGame.from_successors(successors, probability, *rest, follower_sees_action=sees, **settings)
    expected, found = exact.solve(dense, 0.0), exact.solve(listed, 0.0)
    assert abs(found.value - expected.value) <= found.error + expected.error + 1e-12
    assert abs(found.bound - expected.bound) < 1e-9
    if dense.horizon is None:
        follower = exact.follower_value(listed, found.commitment, found.response, 0.0)
        assert follower == pytest.approx(exact.best_response(listed, found.commitment, 0.0).values @ rest[2], abs=1e-9)


def _wide(successors: Any, **settings: Any) -> TabularGame:
    """A game whose chain of states would be too large for an array."""
    reward = np.random.default_rng(4).normal(size=successors.shape[:3])  # in common, so that what is best is known
    start = np.eye(1, len(successors))[0]
    return TabularGame.from_successors(successors, np.full(successors.shape, 0.5), reward, reward, start, **settings)


def test_optima_of_large_games_are_found_or_refused_by_what_is_open() -> None:
    alike: dict[str, Any] = {"leader_discount": 0.7, "follower_discount": 0.7, "follower_sees_action": False}
    rng = np.random.default_rng(5)
    everywhere = rng.integers(0, 6000, size=(6000, 2, 2, 2))
    with pytest.raises(sg.errors.UnsupportedGameError, match="follower's actions do not change"):
        exact.solve(_wide(everywhere, **alike), 0.0)
    settled = _wide(np.broadcast_to(everywhere[:, :, :1], everywhere.shape), **{**alike, "follower_sees_action": True})
    found = exact.solve(settled, 0.0)
    assert found.gap <= found.error + 1e-9
    # Play stays in three states, so that all policies of the follower can be tried.
    large = _wide(rng.integers(0, 3, size=(6000, 2, 2, 2)), **alike)
    lists = lists_of(large)
    small = TabularGame(
        np.stack([lists.row(cell)[:3] for cell in np.ndindex(3, 2, 2)]).reshape(3, 2, 2, 3),
        large.leader_reward[:3],
        large.follower_reward[:3],
        np.eye(1, 3)[0],
        **alike,
    )
    expected, found = exact.solve(small, 0.0), exact.solve(large, 0.0)
    assert found.value == pytest.approx(expected.value, abs=1e-9)
    assert found.proved


@pytest.mark.parametrize("settings", SETTINGS)
def test_certified_errors_hold_on_lists(settings: dict[str, Any]) -> None:
    dense, listed = _pair(settings)
    for temperature in (TEMPERATURE, 0.0):
        truth, found = (
            exact.certificate(game, sg.TabularPolicy(game, _logits()), temperature) for game in (dense, listed)
        )
        assert abs(truth.value - found.value) <= truth.error + found.error
        assert found.error < 1e-7
    answer = exact.best_response(listed, sg.TabularPolicy(listed, _logits()), TEMPERATURE)
    assert answer.residual is not None
    assert answer.error is not None
    assert answer.residual <= answer.error.max() < 1e-9


@pytest.mark.parametrize("sees", [True, False])
@pytest.mark.parametrize("temperature", [TEMPERATURE, 1e-6])
def test_errors_are_bounded_a_few_states_at_a_time(
    sees: bool, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, listed = _pair({**SETTINGS[0], "follower_sees_action": sees})
    policy = sg.TabularPolicy(listed, _logits())
    whole = exact.best_response(listed, policy, temperature)
    monkeypatch.setattr(response, "CELLS", 64)
    parts = list(objective.arrays_under(listed, policy).parts())
    assert len(parts) == 43
    found = exact.best_response(listed, policy, temperature)
    assert whole.error is not None
    assert found.error == pytest.approx(whole.error, rel=1e-12)
    assert 0 < whole.error.max() < 1e-9


def test_play_goes_by_probabilities_as_by_their_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    successors, probability, leader, follower = random_lists(3, (50, 2, 3, 4))
    probability = np.where(probability > 0.1, probability, 0.0)
    probability /= probability.sum(axis=3, keepdims=True)
    game, again = (
        TabularGame.from_successors(successors, probability, leader, follower, np.eye(1, 50)[0], 0.9, 0.9) for _ in "12"
    )
    policy, reply = (
        sg.TabularPolicy(game, np.random.default_rng(4).normal(size=(50, 2))),
        sg.TabularResponse.uniform(game),
    )
    few = sg.rollout(game, policy, reply, episodes=5, stages=9)  # fewer draws than there are rows
    assert game.sampler.summing is None
    monkeypatch.setattr(finite, "SUMMED", 0)
    many = sg.rollout(again, policy, reply, episodes=100, stages=9)
    assert again.sampler.summing
    for one in (game.one_by_one(), again.one_by_one()):
        assert one is not None
        assert one.first(0, 0) == few.states[0, 0]
        for stage in range(9):
            now, a, b = (int(array[0, stage]) for array in (few.states, few.leader_actions, few.follower_actions))
            assert one.play(now, a, b, 0, 0, stage)[0] == few.states[0, stage + 1]
    for name in ("states", "leader_actions", "follower_actions", "leader_rewards"):
        assert (getattr(few, name) == getattr(many, name)[:5]).all()


def _configure(shape: tuple[int, ...], lists: Any, dense: bool) -> Any:
    successors, probability, leader, follower = (torch.tensor(array) for array in lists)
    places = [torch.tensor(axis) for axis in np.indices(shape)[:3]]

    def configure(x: torch.Tensor) -> Tables:
        weights = torch.softmax(probability.log() + x[0] * torch.arange(shape[3]), dim=-1)
        array = weights.reshape(-1)
        if dense:
            empty = torch.zeros(*shape[:3], shape[0], dtype=torch.float64)
            array = empty.index_put((*places, successors), weights, accumulate=True)
        charge = x[3:].repeat(shape[0] // 3)[:, None, None]
        return Tables(array, leader + x[1] * torch.sin(follower), follower + torch.cos(x[2] * leader) + charge)

    return configure


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("acts", [True, False])
def test_configurations_enter_rewards_and_probabilities(settings: dict[str, Any], acts: bool) -> None:
    shape = SHAPE if acts else (SHAPE[0], 1, *SHAPE[2:])
    lists = random_lists(0, shape)
    terminal = np.isin(np.arange(SHAPE[0]), (5, 77))
    found = []
    for dense in (True, False):
        made: Any = ConfigurableGame if dense else ConfigurableGame.from_successors
        given = (laid_out(*lists[:2]),) if dense else lists[:2]
        game: Any = made(
            *given,
            *lists[2:],
            _start(terminal),
            size=6,
            configure=_configure(shape, lists, dense),
            terminal=terminal,
            **settings,
        )
        policy = sg.TabularPolicy(game, _logits()) if acts else None
        chosen = sg.Configuration(np.linspace(0.1, 0.5, 6), policy=policy, states=SHAPE[0])
        value = exact.leader_objective(game, chosen, TEMPERATURE)
        slopes = torch.autograd.grad(value, list(chosen.parameters()))
        fixed = game.configured(chosen.configuration().detach())
        again = exact.leader_objective(fixed, policy or sg.TabularPolicy(fixed), TEMPERATURE)
        found.append((value.item(), again.item(), *slopes))
    for dense_one, listed_one in zip(*found, strict=True):
        assert np.abs(np.asarray(dense_one) - np.asarray(listed_one)).max() < 1e-8


@pytest.mark.parametrize("sees", [True, False])
def test_differences_at_thousands_of_states_fall_with_the_square_of_the_step(sees: bool) -> None:
    game = grid(50, leader_discount=0.95, follower_discount=0.95, follower_sees_action=sees)
    rng = np.random.default_rng(5)
    policy = sg.TabularPolicy(game, 0.3 * rng.normal(size=(game.states, 4)))
    direction = torch.tensor(rng.normal(size=(game.states, 4)))
    start = exact.best_response(game, policy, 0.1).values
    (slope,) = torch.autograd.grad(exact.leader_objective(game, policy, 0.1, start=start), [policy.logits])
    along, errors = float((slope * direction).sum()), []
    for step in (1e-2, 1e-3):
        with torch.no_grad():
            values = [
                exact.leader_objective(game, sg.TabularPolicy(game, policy.logits + sign * direction), 0.1, start=start)
                for sign in (step, -step)
            ]
        errors.append(abs(float(values[0] - values[1]) / (2 * step) - along))
    assert 80 < errors[0] / errors[1] < 120
    assert errors[1] < 1e-3 * abs(along)


def test_every_way_to_give_lists_gives_the_same_game() -> None:
    successors, probability, leader, follower = random_lists(3, (20, 2, 3, 4))
    start = np.full(20, 0.05)
    settings: dict[str, Any] = {"leader_discount": 0.9, "follower_discount": 0.8}
    array = laid_out(successors, probability)

    def outcomes(s: int, a: int, b: int) -> Any:
        entries = zip(probability[s, a, b], successors[s, a, b], strict=True)
        return [(p, n, leader[s, a, b], follower[s, a, b]) for p, n in entries]

    def batch(s: Any, a: int, b: int) -> Any:
        return successors[s, a, b], probability[s, a, b], leader[s, a, b], follower[s, a, b]

    rows = scipy.sparse.csr_array(array.reshape(-1, 20))
    games = [
        TabularGame.from_successors(successors, probability, leader, follower, start, **settings),
        TabularGame.from_csr(rows, leader, follower, start, **settings),
        TabularGame.from_function(outcomes, (20, 2, 3), start, **settings),
        TabularGame.from_function(batch, (20, 2, 3), start, vectorised=True, **settings),
    ]
    for game in games:
        assert np.allclose(game.transition, array, atol=1e-15)
        assert np.allclose(game.leader_reward, leader, atol=1e-15)
        states, chances = game.row(7, 1, 2)
        assert np.allclose(chances, array[7, 1, 2][states], atol=1e-15)
        assert chances.sum() == pytest.approx(1)
    values = [exact.leader_objective(game, sg.TabularPolicy(game), 0.2).item() for game in games]
    assert values == pytest.approx([values[0]] * 4, abs=1e-12)


def test_play_and_learning_go_by_the_lists() -> None:
    game = grid(70, leader_discount=0.9, follower_discount=0.9)
    policy = sg.TabularPolicy(game)
    answer = exact.best_response(game, policy, 0.2)
    batch = sg.rollout(game, policy, sg.TabularResponse(np.array(answer.policy)), episodes=50, stages=40, seed=1)
    first, last = batch.states[:, :-1], batch.states[:, 1:]
    lists = game.lists
    assert lists is not None
    entries = lists.entries(*(part.ravel() for part in (first, batch.leader_actions, batch.follower_actions, last)))
    assert (entries >= 0).all()
    share = (lists.successors[entries] == lists.successors[entries - entries % 2]).mean()
    equal = (batch.leader_actions == batch.follower_actions).mean()
    assert abs(share - (0.7 + 0.3 * equal)) < 0.1  # walls, where moves coincide, and five standard errors
    assert game.observation_space.shape == (1,)
    assert game.observe(4899) == 4899
    assert (game.observe_batch([3, 4]) == [[3], [4]]).all()
    turns = game.parallel_env()
    turns.reset(seed=0)
    assert game.fingerprint() != grid(70, seed=1, leader_discount=0.9, follower_discount=0.9).fingerprint()


def test_a_lever_on_lists_answers_for_stages_that_were_played() -> None:
    lists = random_lists(4, (30, 1, 3, 2))
    game = ConfigurableGame.from_successors(
        *lists,
        np.full(30, 1 / 30),
        size=6,
        configure=_configure((30, 1, 3, 2), lists, False),
        leader_discount=0.9,
        follower_discount=0.9,
    )
    ledger = game.ledger()
    assert ledger is not None
    batch = sg.rollout(game, game.commitment(), sg.TabularResponse.uniform(game), episodes=3, stages=5)
    ledger.reveal(batch)
    lever = game.view(0.1, ledger).lever
    assert lever is not None
    stages, x = Stages.of(batch), torch.tensor([0.4, 0.0, 0.0, 0.1, 0.0, 0.0], dtype=torch.float64)
    terms = lever.terms(x, stages)
    assert terms.log_transition is not None
    tables = game.tables(x)
    entries = lists_of(game).entries(*stages)
    assert torch.equal(terms.log_transition, tables.transition[torch.from_numpy(entries)].log())
    other = Stages(*(np.array([part]) for part in (0, 0, 0, int(np.setdiff1d(np.arange(30), lists[0][0])[0]))))
    with pytest.raises(sg.errors.InformationError):
        lever.terms(x, other)


@pytest.mark.parametrize("settings", [{**each, "follower_discount": d} for each in SETTINGS[:2] for d in (0.9, 0.999)])
@pytest.mark.parametrize("temperature", [TEMPERATURE, 0.01, 0.0])
def test_newton_steps_from_what_a_sweep_leaves_behind_end_at_the_response_of_the_array(
    settings: dict[str, Any], temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listed_response, "FEW", 0)
    pair = _pair(settings)
    expected, found = (exact.best_response(game, sg.TabularPolicy(game, _logits()), temperature) for game in pair)
    assert found.newton_steps > 0
    scale = np.abs(expected.values).max()
    assert found.values == pytest.approx(expected.values, abs=1e-11 * scale)
    assert found.policy == pytest.approx(expected.policy, abs=1e-9)


@pytest.mark.parametrize("settings", SETTINGS[:2])
def test_single_precision_is_refined_to_double(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    game = grid(30, **settings)
    logits = np.random.default_rng(2).normal(size=(game.states, 4))
    found = []
    for many in (10**6, 0):
        monkeypatch.setattr(chain_system, "MANY", many)
        policy = sg.TabularPolicy(game, logits)
        value = exact.leader_objective(game, policy, TEMPERATURE)
        value.backward()  # type: ignore[no-untyped-call]
        assert policy.logits.grad is not None
        found.append((value.item(), policy.logits.grad.numpy(), exact.best_response(game, policy, TEMPERATURE)))
    (expected, gradient, answer), (other, single, again) = found
    assert other == pytest.approx(expected, rel=1e-11)
    assert single == pytest.approx(gradient, abs=1e-11 * np.abs(gradient).max())
    assert again.values == pytest.approx(answer.values, abs=1e-11 * np.abs(answer.values).max())


@pytest.mark.parametrize("answer", [0.0, 2.0, np.nan, np.inf])
def test_what_single_precision_cannot_solve_is_left_to_double(answer: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_system, "MANY", 0)
    game = grid(12)
    policy, response = np.full((144, 4), 0.25), np.full((144, 4, 4), 0.25)
    system = chain_system.ChainSystem.of(lists_of(game), policy, response, 0.99, np.ones(144, dtype=np.bool_))
    solved = system._iterated

    def failing(right: FloatArray, *rest: Any) -> FloatArray:
        return np.full_like(right, answer) if rest[-1] is np.float32 else solved(right, *rest)

    monkeypatch.setattr(system, "_iterated", failing)
    reward = np.random.default_rng(0).normal(size=144)
    chain = lists_of(game).chain(policy[:, :, None] * response)
    expected = np.linalg.solve(np.eye(144) - 0.99 * chain, reward)
    assert system.solve(reward) == pytest.approx(expected, rel=1e-9)
    assert system.roughly(reward, 1e-9) == pytest.approx(expected, rel=1e-6)
    assert system._factors is None


@pytest.mark.parametrize("narrow", [True, False])
@pytest.mark.parametrize("brief", [True, False])
def test_the_preconditioner_of_narrow_rows_has_the_diagonal_of_the_system(narrow: bool, brief: bool) -> None:
    rng, first = np.random.default_rng(1), np.full(81, 1 / 81)
    policy, response = rng.dirichlet(np.ones(4), size=81), rng.dirichlet(np.ones(4), size=(81, 4))
    lists = lists_of(grid(9) if narrow else TabularGame.from_successors(*random_lists(1, (81, 4, 4, 20)), first))
    lists = replace(lists, brief=brief)
    system = chain_system.ChainSystem.of(lists, policy, response, 0.99, np.ones(81, dtype=np.bool_))
    places = (system.scaled, system.pattern.columns, system.pattern.first)
    scaled = scipy.sparse.csr_matrix(places, shape=(81, 81)).toarray()
    truth = np.eye(81) - 0.99 * lists.chain(policy[:, :, None] * response)
    assert system.pivots[:, None] * scaled == pytest.approx(truth, abs=1e-14)
    order = system._order.states
    assert (np.sort(order) == np.arange(81)).all()
    assert (system._order.place[order] == np.arange(81)).all()
    scaled = scaled[np.ix_(order, order)]
    lower, upper, excess = system._triangles(np.float64)
    assert (scipy.sparse.csr_matrix(lower[::-1], shape=(81, 81)).toarray() == np.tril(scaled, -1)).all()
    assert (scipy.sparse.csr_matrix(upper[::-1], shape=(81, 81)).toarray() == np.triu(scaled, 1)).all()
    assert excess == pytest.approx(np.diag(scaled) - 2, rel=1e-15)
    factors = (np.eye(81) + np.tril(scaled, -1)) @ (np.eye(81) + np.triu(scaled, 1))
    assert np.diag(scaled) == pytest.approx(np.diag(factors) if narrow else np.ones(81), rel=1e-13)
    for precision, accuracy in ((np.float32, 1e-6), (np.float64, 1e-15)):  # split again, of what is scaled by now
        system._parts.clear()
        below, above, left = system._triangles(precision)
        for again, before in ((below.values, lower.values), (above.values, upper.values), (left, excess)):
            assert again.dtype == precision
            assert again == pytest.approx(before, rel=accuracy, abs=accuracy)


def test_small_pivots_do_not_let_residuals_grow() -> None:
    rng, cells = np.random.default_rng(0), (60, 1, 1)
    states = np.arange(60)
    pairs = np.stack([states ^ 1, states ^ 1], axis=1)  # two states that lead to each other: a pivot of 1 - 0.999^2
    roads = np.stack([(states + 7) % 60, rng.integers(60, size=60)], axis=1)
    successors = np.where(states[:, None] < 20, pairs, roads).reshape(*cells, 2)
    game = TabularGame.from_successors(
        successors, np.full((*cells, 2), 0.5), np.zeros(cells), np.zeros(cells), np.full(60, 1 / 60)
    )
    everything = np.ones((60, 1)), np.ones(cells), 0.999, np.ones(60, dtype=np.bool_)
    system = chain_system.ChainSystem.of(lists_of(game), *everything, 1e-6)
    assert system.pivots.min() < 0.01
    truth, vector = np.eye(60) - 0.999 * lists_of(game).chain(np.ones(cells)), rng.normal(size=60)
    missing = np.abs(truth @ system.solve(vector) - vector)
    assert missing.max() <= 1e-6 * np.abs(vector).max()
    missing = np.abs(truth.T @ system.solve_transposed(vector) - vector)
    assert missing.sum() <= 1e-6 * np.abs(vector).sum()


@pytest.mark.parametrize("discount", [0.999, 0.99999])
@pytest.mark.parametrize("reward", [[1.0, 0.3], [0.0, -7.0]])
def test_two_states_that_lead_to_each_other_are_solved_near_discount_one(discount: float, reward: list[float]) -> None:
    paid = np.reshape(reward, (2, 1, 1))
    game = TabularGame.from_successors(
        np.reshape([1, 0], (2, 1, 1, 1)), np.ones((2, 1, 1, 1)), paid, paid, [1.0, 0.0], discount, discount
    )
    dense = TabularGame(game.transition, paid, paid, [1.0, 0.0], discount, discount)
    for temperature in (0.1, 0.0):
        expected = exact.certificate(dense, sg.TabularPolicy(dense), temperature)
        found = exact.certificate(game, sg.TabularPolicy(game), temperature)
        assert found.value == pytest.approx(expected.value, rel=1e-9)
    exact.leader_objective(game, sg.TabularPolicy(game), 0.1).backward()  # type: ignore[no-untyped-call]


def test_mixing_games_are_swept_and_local_ones_stepped() -> None:
    def solved(game: TabularGame) -> Any:
        arrays = Arrays.of(game, game.model(sg.TabularPolicy(game)))
        lists = game.lists
        assert lists is not None
        return listed_response.solve_listed(problem_of(arrays, lists), 0.1)

    mixing = TabularGame.from_successors(
        *random_lists(1, (5000, 1, 4, 20)), np.full(5000, 1 / 5000), follower_discount=0.999
    )
    assert solved(mixing).steps == 0
    local = solved(grid(40, follower_discount=0.99))
    assert local.steps > 0
    assert local.converged


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("horizon", [None, 5])
def test_ties_are_broken_as_in_the_array(seed: int, horizon: int | None) -> None:
    rng = np.random.default_rng(seed)
    successors = rng.integers(0, 8, size=(8, 2, 3, 2))
    successors[:, :, 2] = successors[:, :, 1]  # two replies lead to the same
    leader, follower = rng.integers(0, 2, size=(2, 8, 2, 3)).astype(float)
    follower[:, :, 2] = follower[:, :, 1]
    probability, start = np.full(successors.shape, 0.5), np.full(8, 1 / 8)
    settings: dict[str, Any] = {"horizon": horizon, "follower_sees_action": seed % 2 == 0}
    rest = (leader, follower, start, 0.75, 0.5)
    games = (
        TabularGame(laid_out(successors, probability), *rest, **settings),
        TabularGame.from_successors(successors, probability, *rest, **settings),
    )
    answers = [exact.best_response(game, sg.TabularPolicy(game), 0.0) for game in games]
    values = [
        exact.leader_value(game, sg.TabularPolicy(game), answer.policy)
        for game, answer in zip(games, answers, strict=True)
    ]
    assert values[0] == pytest.approx(values[1], abs=1e-12)
    assert answers[0].values == pytest.approx(answers[1].values, abs=1e-12)


def test_walls_that_tie_everywhere_are_no_burden() -> None:
    side = 100
    game = grid(side, actions=1, follower_discount=0.9, leader_discount=0.9)
    answer = exact.best_response(game, sg.TabularPolicy(game), 0.0)
    assert answer.error is not None
    assert answer.error.max() < 1e-9
    assert answer.policy.sum(axis=2) == pytest.approx(1.0)


def test_configured_arrays_of_small_games_serve_whoever_asks_for_pairs_of_states() -> None:
    lists = random_lists(4, (30, 1, 3, 2))
    found = []
    for dense in (True, False):
        made: Any = ConfigurableGame if dense else ConfigurableGame.from_successors
        given = (laid_out(*lists[:2]),) if dense else lists[:2]
        configure = _configure((30, 1, 3, 2), lists, dense)
        game: Any = made(*given, *lists[2:], np.full(30, 1 / 30), size=6, configure=configure, leader_discount=0.9)
        x = torch.linspace(0.1, 0.5, 6, dtype=torch.float64, requires_grad=True)
        response = torch.full((30, 1, 3), 1 / 3, dtype=torch.float64, requires_grad=True)
        value = game.objective(x, response)
        run = sg.train(game, "implicit", sg.make_follower("soft_value_iteration", temperature=0.2), iterations=3)
        found.append((value.detach(), *torch.autograd.grad(value, [x, response]), run.value))
    for one, other in zip(*found, strict=True):
        assert np.abs(np.asarray(one) - np.asarray(other)).max() < 1e-8


@pytest.mark.parametrize("unit", [1e-200, 1e-9, 1e9, 1e200])
def test_units_of_the_rewards_make_no_difference(unit: float) -> None:
    successors, probability, leader, follower = random_lists(6, (60, 2, 3, 2))
    found = []
    for scale in (1.0, unit):
        game = TabularGame.from_successors(
            successors, probability, scale * leader, scale * follower, np.full(60, 1 / 60), 0.95, 0.9
        )
        policy = sg.TabularPolicy(game, np.random.default_rng(0).normal(size=(60, 2)))
        value = exact.leader_objective(game, policy, 0.3 * scale)
        (slope,) = torch.autograd.grad(value, [policy.logits])
        hard = exact.best_response(game, policy, 0.0)
        found.append((value.item() / scale, slope.numpy() / scale, hard.policy, hard.values / scale))
    for one, other in zip(*found, strict=True):
        assert np.abs(np.asarray(one) - np.asarray(other)).max() < 1e-9


def test_an_incomplete_factorisation_takes_over_near_discount_one(monkeypatch: pytest.MonkeyPatch) -> None:
    game = grid(50, leader_discount=0.999, follower_discount=0.999)
    policy = sg.TabularPolicy(game)
    (expected,) = torch.autograd.grad(exact.leader_objective(game, policy, 0.1), [policy.logits])
    monkeypatch.setattr(chain_system, "PATIENCE", 20)
    (found,) = torch.autograd.grad(exact.leader_objective(game, policy, 0.1), [policy.logits])
    assert float((found - expected).abs().max()) < 1e-8 * float(expected.abs().max())


def test_solvers_that_do_not_converge_say_what_to_change(monkeypatch: pytest.MonkeyPatch) -> None:
    game = grid(30, leader_discount=0.999, follower_discount=0.999)
    monkeypatch.setattr(listed_response, "STEPS", 2)
    with pytest.raises(SolverError, match=r"residual .* after 2 Newton steps.*follower_discount"):
        exact.best_response(game, sg.TabularPolicy(game), 0.1)
    huge = TabularGame.from_successors(
        np.zeros((1, 1, 2, 1), dtype=int), np.ones((1, 1, 2, 1)), [[[1e308, 1e308]]], [[[1e308, 0.0]]], [1.0]
    )
    with pytest.raises(PrecisionError, match="overflow"):
        exact.best_response(huge, sg.TabularPolicy(huge), 0.1)


@pytest.mark.parametrize("number", [0.0, np.nan])
def test_factors_that_answer_nothing_end_in_a_solver_error(monkeypatch: pytest.MonkeyPatch, number: float) -> None:
    class Broken:
        def solve(self, right: Any, way: str) -> Any:
            return np.full(len(right), number)

    game = grid(20, leader_discount=0.999, follower_discount=0.9)
    monkeypatch.setattr(chain_system, "PATIENCE", 2)
    monkeypatch.setattr(chain_system.ChainSystem, "_incomplete", lambda self: Broken())
    lists, policy = lists_of(game), np.full((game.states, game.leader_actions), 1 / game.leader_actions)
    response = np.full((game.states, 1, game.follower_actions), 1 / game.follower_actions)
    system = chain_system.ChainSystem.of(lists, policy, response, 0.999, ~game.terminal)
    with pytest.raises(SolverError, match="lower the discount"):
        system.solve(np.random.default_rng(0).normal(size=game.states))


def test_what_would_be_an_array_of_all_transitions_is_refused() -> None:
    game = grid(110)
    with pytest.raises(
        InvalidArgumentError, match=r"18\.7 GB as an array \[12100, 4, 4, 12100\]; use game.kernel or game.row"
    ):
        _ = game.transition
    with pytest.raises(InvalidArgumentError, match=r"\[12100, 12100\]"):
        game.kernel.chain(np.ones((12100, 4, 4)))


def test_an_array_that_would_not_fit_is_refused_before_it_is_copied() -> None:
    shape = (30000, 4, 4, 30000)
    array, reward = np.broadcast_to(1 / 30000, shape), np.broadcast_to(0.0, shape[:3])
    with pytest.raises(InvalidGameError, match=r"115\.2 GB as an array \[30000, 4, 4, 30000\].*from_successors"):
        TabularGame(array, reward, reward, np.full(30000, 1 / 30000))


def _valid() -> dict[str, Any]:
    successors, probability, leader, follower = random_lists(0, (12, 2, 3, 2))
    return {
        "successors": successors,
        "probability": probability,
        "leader_reward": leader,
        "follower_reward": follower,
        "initial": np.full(12, 1 / 12),
    }


def _with(array: Any, place: tuple[int, ...], value: float) -> Any:
    changed = np.array(array)
    changed[place] = value
    return changed


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "successors",
            lambda x: _with(x, (3, 1, 2, 0), 12),
            r"successors\[s, a, b, k\] is 12: expected 0 to 11.*\[3, 1, 2, 0\]",
        ),
        ("successors", lambda x: _with(x, (3, 1, 2, 0), -1), r"is -1: expected 0 to 11"),
        ("successors", lambda x: x.astype(float), "expected integers"),
        ("successors", lambda x: x[0, 0], "expected integers"),
        ("probability", lambda x: _with(x, (11, 0, 1), 0.49), r"probability\[11, 0, 1\] sums to 0.98, not to 1"),
        ("probability", lambda x: _with(x, (1, 0, 1, 1), -0.1), r"probability\[1, 0, 1, 1\] is -0.1"),
        ("probability", lambda x: _with(x, (1, 0, 1, 1), np.nan), r"probability\[1, 0, 1, 1\] is nan"),
        ("probability", lambda x: x[:, :, :, :1], "shape"),
        ("leader_reward", lambda x: x[:, :1], "leader_reward has shape"),
        ("follower_reward", lambda x: _with(x, (0, 0, 0), np.inf), "follower_reward"),
        ("initial", lambda x: x[:-1], "initial"),
    ],
)
def test_wrong_lists_are_named(name: str, change: Any, message: str) -> None:
    arguments = _valid()
    arguments[name] = change(arguments[name])
    with pytest.raises(InvalidGameError, match=message):
        TabularGame.from_successors(**arguments)


def test_wrong_matrices_and_functions_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    reward, start = np.zeros((3, 1, 2)), np.full(3, 1 / 3)
    with pytest.raises(InvalidGameError, match="expected a SciPy sparse matrix"):
        TabularGame.from_csr(np.zeros((6, 3)), reward, reward, start)
    with pytest.raises(InvalidGameError, match=r"\(6, 3\)"):
        TabularGame.from_csr(scipy.sparse.csr_array((5, 3)), reward, reward, start)

    def flagged(s: int, a: int, b: int) -> Any:
        return [(1.0, 2, 0.0, 0.0, s == 0)]

    with pytest.raises(
        InvalidGameError,
        match=r"state 2 is entered with the terminal flag from .*\(0, 0, 0\) and without it .*\(1, 0, 0\)",
    ):
        TabularGame.from_function(flagged, (3, 1, 2), start)
    ending = TabularGame.from_function(lambda s, a, b: [(1.0, 2, 0.0, 1.0, True)], (3, 1, 2), [0.5, 0.5, 0.0])
    assert ending.terminal.tolist() == [False, False, True]
    for wrong in ([(1.0, 3, 0.0, 0.0)], [(1.0, 0, 0.0)], [("1", 0, 0.0, 0.0)], [(1.0, 0, np.nan, 0.0)]):
        with pytest.raises(InvalidGameError, match=r"step\(0, 0, 0\)"):
            TabularGame.from_function(lambda s, a, b, wrong=wrong: wrong, (3, 1, 2), start)  # type: ignore[misc]
    with pytest.raises(InvalidGameError, match=r"step\(0, 0, 0\) returned None: expected a list of outcomes"):
        TabularGame.from_function(lambda s, a, b: None, (3, 1, 2), start)
    empty = np.zeros((3, 0), dtype=int)
    with pytest.raises(InvalidGameError, match=r"shape \(3, 0\) .* expected integers \[3, K\]"):
        TabularGame.from_function(lambda s, a, b: (empty, empty, start, start), (3, 1, 2), start, vectorised=True)
    monkeypatch.setattr(checks, "memory", lambda: 10**6)
    with pytest.raises(InvalidGameError, match=r"1e\+05 successors .* would take .* GB, more than the 0\.0 GB"):
        TabularGame.from_successors(np.zeros((50000, 1, 1, 2), dtype=np.int32), None, None, None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 2), r"expected the numbers \(S, A, B\)"),
        (3, r"shape=3"),
        ((2, 0, 2), r"shape\[1\]=0: expected an integer >= 1"),
        ((2.0, 1, 2), r"shape\[0\]=2\.0"),
        ((2**31, 1, 2), r"shape\[0\]=2147483648"),
        ((10**9, 10**4, 2), "would take .* GB"),
    ],
)
@pytest.mark.parametrize("vectorised", [False, True])
def test_shapes_that_are_none_are_refused_before_a_function_is_called(
    shape: Any, message: str, vectorised: bool
) -> None:
    with pytest.raises(InvalidGameError, match=message):
        TabularGame.from_function(lambda s, a, b: pytest.fail("called"), shape, [1.0], vectorised=vectorised)


@pytest.mark.parametrize("name", ["successors", "probability", "leader_reward", "follower_reward", "initial"])
def test_ragged_lists_are_named(name: str) -> None:
    with pytest.raises(InvalidGameError, match=name):
        TabularGame.from_successors(**{**_valid(), name: [[1.0, 2.0], [3.0]]})


@pytest.mark.parametrize("reward", [1.0, [1.0], [[1.0, 2.0], [3.0]], np.zeros((3, 0, 2))])
def test_rewards_beside_a_matrix_have_three_axes(reward: Any) -> None:
    matrix = scipy.sparse.csr_array(np.eye(3).repeat(2, axis=0))
    with pytest.raises(InvalidGameError, match="leader_reward"):
        TabularGame.from_csr(matrix, reward, np.zeros((3, 1, 2)), np.full(3, 1 / 3))


def test_toy_text_environments_are_lists_that_may_be_configured() -> None:
    env = gymnasium.make("FrozenLake-v1", map_name="8x8")
    plain = TabularGame.from_gymnasium(env, leader_discount=0.9, follower_discount=0.9)
    assert plain.lists is not None
    assert len(plain.lists.successors) <= 3 * 64 * 4 + 4
    paid = ConfigurableGame.from_gymnasium(
        env,
        leader_discount=0.9,
        follower_discount=0.9,
        size=plain.states,
        configure=lambda x: Tables(
            torch.from_numpy(np.array(lists_of(plain).probability)),
            torch.tensor(plain.leader_reward),
            torch.tensor(plain.follower_reward) + x[:, None, None],
        ),
    )
    dense = TabularGame(
        plain.transition,
        plain.leader_reward,
        plain.follower_reward,
        plain.initial_distribution,
        0.9,
        0.9,
        plain.horizon,
        terminal=plain.terminal,
    )
    values = [exact.leader_objective(game, sg.TabularPolicy(game), 0.1).item() for game in (plain, dense)]
    assert values[0] == pytest.approx(values[1], abs=1e-12)
    chosen = sg.Configuration(np.zeros(plain.states), states=plain.states)
    assert exact.leader_objective(paid, chosen, 0.1).item() == pytest.approx(values[0], abs=1e-12)

"""Preference games: exact losses and gradients against enumeration, differences and closed forms."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.envs.preference_grid_v0 import PreferenceGrid
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError, StackelbergError, UnsupportedGameError
from stackelberg_games.kinds.preference import PreferenceGame
from stackelberg_games.learning.judges import BradleyTerry, Indifferent
from stackelberg_games.rules.comparisons import Comparisons, Judge
from stackelberg_games.rules.trajectories import Trajectories
from tests.reach import reachable

TEMPERATURES = (0.1, 0.5)


def grid(**chosen: Any) -> PreferenceGrid:
    game = sg.make("preference_grid-v0", **chosen)
    assert isinstance(game, PreferenceGrid)
    return game


def drawn(game: PreferenceGame, seed: int = 0, scale: float = 0.5) -> Configuration:
    return Configuration(scale * np.random.default_rng(seed).normal(size=game.size), states=game.states)


def small(seed: int = 0, judge: Judge | None = None, stages: int = 3) -> PreferenceGame:
    """Three states, two actions, every move by chance, a cell for each state and action."""
    draws = np.random.default_rng(seed)
    transition = draws.dirichlet(np.ones(3), size=(3, 2))
    return PreferenceGame(
        transition,
        draws.normal(size=6),
        draws.dirichlet(np.ones(3)),
        cells=np.arange(6).reshape(3, 2),
        segment=stages,
        horizon=stages + 4,
        judge=BradleyTerry(1.3, 0.1) if judge is None else judge,
        follower_discount=0.7,
        name="small",
    )


def enumerated(game: PreferenceGame, policy: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Probabilities of all paths, and the visit counts of each, by plain recursion over actions and states."""
    chances, counts = [], []
    moves = game.transition[:, 0]
    for start in range(game.states):
        for path in itertools.product(range(game.follower_actions), range(game.states), repeat=game.segment):
            state, chance, count = start, float(game.initial_distribution[start]), np.zeros(game.size)
            for action, following in zip(path[::2], path[1::2], strict=True):
                chance *= policy[state, action] * moves[state, action, following]
                count[game.cells[state, action]] += 1
                state = following
            chances.append(chance)
            counts.append(count)
    return np.array(chances), np.array(counts)


def loss(game: PreferenceGame, x: FloatArray, tau: float) -> float:
    with torch.no_grad():
        return -float(exact.leader_objective(game, Configuration(x, states=game.states), tau))


@pytest.mark.parametrize(("stages", "groups"), [(5, 448), (6, 1415)])
def test_paths_with_equal_counts_are_merged(stages: int, groups: int) -> None:
    assert grid(variant="decoy", segment=stages).segments.counts.shape == (groups, 25)


@pytest.mark.parametrize("seed", range(3))
def test_groups_have_the_probabilities_of_all_their_paths(seed: int) -> None:
    game = small(seed)
    policy = np.random.default_rng(9 + seed).dirichlet(np.ones(2), size=3)
    chances, counts = enumerated(game, policy)
    rows, where = np.unique(counts, axis=0, return_inverse=True)
    found = game.segments.probabilities(torch.from_numpy(policy)).numpy()
    np.testing.assert_array_equal(game.segments.counts, rows)
    np.testing.assert_allclose(found, np.bincount(where.ravel(), chances), rtol=1e-12)


def test_the_loss_is_the_mean_over_all_pairs_of_paths() -> None:
    game, commitment = small(), drawn(small())
    response = exact.best_response(game, commitment, 0.5).policy
    chances, counts = enumerated(game, response[:, 0])
    x, truth = commitment.weights.detach().numpy(), game.truth()
    gap, worth = (np.subtract.outer(counts @ reward, counts @ reward) for reward in (x, truth))
    first = 0.1 + 0.8 / (1 + np.exp(-1.3 * worth))
    expected = chances @ (np.logaddexp(0.0, gap) - first * gap) @ chances
    assert loss(game, x, 0.5) == pytest.approx(expected, rel=1e-12)
    assert exact.leader_value(game, commitment, response) == pytest.approx(-expected, rel=1e-12)
    assert exact.preference(game, commitment, 0.5).loss == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("tau", TEMPERATURES)
@pytest.mark.parametrize("variant", ["open", "decoy"])
def test_the_hypergradient_is_that_of_central_differences(variant: str, tau: float) -> None:
    game = grid(variant=variant)
    commitment = drawn(game, 1, 0.3)
    x = commitment.weights.detach().numpy().copy()
    exact.leader_objective(game, commitment, tau).backward()  # type: ignore[no-untyped-call]
    assert commitment.weights.grad is not None
    gradient = -commitment.weights.grad.numpy()
    rows = exact.preference_rows(game, commitment, tau)
    np.testing.assert_allclose(rows.total, gradient, atol=1e-12)
    step, scale = 1e-5, np.abs(gradient).max()
    for direction in np.eye(25)[::4]:
        slope = (loss(game, x + step * direction, tau) - loss(game, x - step * direction, tau)) / (2 * step)
        assert slope == pytest.approx(gradient @ direction, abs=1e-6 * scale)


@pytest.mark.parametrize("tau", TEMPERATURES)
def test_rows_are_those_of_a_held_and_of_a_shortsighted_follower(tau: float) -> None:
    game = small()
    commitment = drawn(game)
    rows, solved = exact.preference_rows(game, commitment, tau), exact.best_response(game, commitment, tau)
    held, moving = (torch.tensor(solved.policy), torch.tensor(solved.q[:, 0]))
    x = commitment.weights.detach().clone().requires_grad_()
    (direct,) = torch.autograd.grad(-game.objective(x, held), x)
    np.testing.assert_allclose(rows.direct, direct.numpy(), atol=1e-14)
    # A follower that sees a change of the reward at once, and not what it changes later.
    seen = moving + x[torch.from_numpy(game.cells)] - x[torch.from_numpy(game.cells)].detach()
    (short,) = torch.autograd.grad(-game.objective(x.detach(), torch.softmax(seen / tau, dim=1)[:, None]), x)
    np.testing.assert_allclose(rows.truncated, short.numpy(), atol=1e-14)
    assert np.linalg.norm(rows.response - rows.truncated) > 0.05 * np.linalg.norm(rows.response)


@pytest.mark.parametrize(("tau", "value", "at_truth"), [(0.1, 10.935, 0.6931), (0.5, 9.247, 0.5045)])
def test_the_true_reward_explains_labels_as_well_as_they_can_be(tau: float, value: float, at_truth: float) -> None:
    game = grid(variant="decoy")
    found = exact.preference(game, game.oracle(), tau)
    assert found.loss == pytest.approx(at_truth, abs=5e-5)
    assert found.loss == pytest.approx(found.entropy, rel=1e-12)
    assert found.true_return == pytest.approx(value, abs=5e-4)
    assert (found.share, found.accuracy) == pytest.approx((1.0, found.ceiling), rel=1e-12)
    assert (found.correlation, found.rank_correlation) == pytest.approx((1.0, 1.0), rel=1e-12)
    assert exact.preference(game, game.commitment(), tau).true_return == pytest.approx(0.472, abs=5e-4)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), shift=st.floats(-3, 3), tau=st.floats(0.2, 2.0))
def test_what_cannot_matter_does_not(seed: int, shift: float, tau: float) -> None:
    game = small(seed % 50)
    commitment = drawn(game, seed)
    found = exact.preference(game, commitment, tau)
    assert found.loss >= found.entropy - 1e-12
    moved = Configuration(commitment.weights.detach().numpy() + shift, states=3)
    other = exact.preference(game, moved, tau)  # a constant in all rewards
    for name in ("loss", "true_return", "correlation", "rank_correlation", "accuracy"):
        assert getattr(other, name) == pytest.approx(getattr(found, name), rel=1e-7, abs=1e-9), name


def test_pairs_of_a_follower_that_never_varies_all_tie() -> None:
    game = grid(variant="decoy")
    assert loss(game, 20.0 * game.truth(), 0.1) == pytest.approx(np.log(2), abs=1e-9)


def test_segments_of_a_uniform_walker_reach_the_goal_as_often_as_is_said() -> None:
    for variant, low, high, prize in (("open", 0.052, 0.054, 0.0527), ("decoy", 0.004, 0.006, 0.157)):
        game = grid(variant=variant)
        chances = game.segments.probabilities(torch.full((25, 4), 0.25, dtype=torch.float64)).numpy()
        reached = chances @ (game.segments.counts[:, list(game.goals)] > 0)
        assert low < float(reached[0]) < high
        assert float((chances @ (game.segments.counts[:, list(game.prizes)] > 0))[0]) == pytest.approx(prize, abs=5e-4)


def test_a_leader_given_the_game_climbs_the_exact_hypergradient() -> None:
    game = grid(variant="decoy")
    commitment = drawn(game)
    rows = exact.preference_rows(game, commitment, 0.5)
    for name in ("exact_gradient", "implicit"):
        leader = sg.make_leader(name)
        assert isinstance(leader, sg.GradientLeader)
        leader.begin(game.view(0.5), commitment=commitment)
        found = leader.estimate(sg.Evidence(np.zeros(1), game=game)).numpy()
        np.testing.assert_allclose(found, -rows.total, atol=1e-10)


def test_nothing_that_a_leader_is_told_leads_to_the_truth() -> None:
    game = grid()
    view = game.view(0.1, game.ledger())
    held = list(reachable(view))
    assert not any(isinstance(part, PreferenceGame | Judge) for part in held)
    assert not any(isinstance(part, np.ndarray) and np.array_equal(part, game.truth()) for part in held)
    assert any(part is game for part in reachable([game.commitment]))  # the search would find it


def test_what_is_paid_for_pairs_has_no_value_by_stages() -> None:
    game = grid()
    for ask in (
        lambda: exact.solve(game, 0.1),
        lambda: exact.certificate(game, game.commitment(), 0.1),
        lambda: exact.critics(game, game.commitment(), 0.1),
    ):
        with pytest.raises(UnsupportedGameError, match="pairs"):
            ask()
    with pytest.raises(InvalidArgumentError, match="no sum over stages"):
        exact.leader_objective(game, game.commitment(), 0.1, horizon=3)
    with pytest.raises(UnsupportedGameError, match="no preference game"):
        exact.preference(sg.make("four_rooms-v0"), game.commitment(), 0.1)


class Moody(Judge):
    """Answers by no rule that could be written down."""

    def compare(self, first: Any, second: Any, difference: FloatArray, draws: FloatArray) -> FloatArray:
        return draws


@pytest.mark.parametrize(
    ("chosen", "kind", "words"),
    [
        ({"goal": 0.0, "prize": 0.0}, InvalidGameError, "every pair"),
        ({"variant": "closed"}, InvalidGameError, "'open' or 'decoy'"),
        ({"plan": "S  \n   "}, InvalidGameError, "no goal"),
        ({"segment": 9}, InvalidGameError, "more than 4000 groups"),
        ({"segment": 31}, InvalidGameError, "at least as long"),
        ({"judge": "oracle"}, InvalidArgumentError, "bradley_terry, indifferent"),
        ({"judge": {"kind": "bradley_terry", "sharpness": -1.0}}, InvalidArgumentError, "sharpness=-1.0"),
        ({"judge": {"kind": "bradley_terry", "error": 0.7}}, InvalidArgumentError, "error=0.7"),
        ({"judge": {"kind": "bradley_terry", "slope": 1.0}}, InvalidArgumentError, "slope"),
        ({"judge": Moody()}, UnsupportedGameError, "no known rule"),
    ],
)
def test_what_cannot_be_played_is_refused_by_name(chosen: dict[str, Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        exact.preference(game := grid(**chosen), game.commitment(), 0.5)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cells": [[-1, 1], [0, 1]]}, "3 numbers from -1 to 1: expected each from 0 to 2"),
        ({"cells": [[0, 2], [0, 2]]}, "2 numbers from 0 to 2"),
        ({"cells": [[0.7, 1.2], [0.0, 1.0]]}, "dtype float64"),
        ({"cells": []}, "shape"),
        ({"cells": [0, 1]}, r"\[S, B\]"),
        ({"cells": [[0, 1], [0]]}, "cells"),
        ({"judge": None}, "judge=None"),
    ],
)
def test_cells_and_judges_are_checked(given: dict[str, Any], words: str) -> None:
    settings: dict[str, Any] = {"cells": [[0, 1], [0, 1]], "judge": Indifferent(), "segment": 1, "horizon": 2, **given}
    with pytest.raises(InvalidGameError, match=words):
        PreferenceGame(np.full((2, 2, 2), 0.5), [0.0, 1.0], [0.5, 0.5], follower_discount=0.5, name="small", **settings)


def test_an_indifferent_judge_is_explained_best_by_no_reward_at_all() -> None:
    game = grid(variant="decoy", judge="indifferent")
    assert isinstance(game.judge, Indifferent)
    assert exact.preference(game, game.commitment(), 0.5).loss == pytest.approx(np.log(2), rel=1e-14)
    assert exact.preference(game, drawn(game), 0.5).loss > np.log(2) + 1e-3


def test_games_with_other_truths_or_judges_are_other_games() -> None:
    prints = [
        grid(**kind).fingerprint() for kind in ({}, {"goal": 2.0}, {"judge": "indifferent"}, {"variant": "decoy"})
    ]
    assert len(set(prints)) == len(prints)


def segments(count: int, stages: int, length: int | None = None) -> Trajectories:
    lengths = np.full(count, stages if length is None else length)
    nothing = np.zeros((count, stages))
    moves = np.zeros((count, stages), dtype=np.int64)
    states = np.zeros((count, stages + 1), dtype=np.int64)
    return Trajectories(states, moves, moves, nothing, None, lengths, np.zeros(count, dtype=np.bool_))


def test_pairs_that_cannot_be_compared_are_refused() -> None:
    whole = segments(3, 4)
    assert len(Comparisons(whole, whole, np.array([0.0, 0.5, 1.0]))) == 3
    for first, second, label, words in (
        (whole, segments(3, 4, 2), [0.0, 1.0, 1.0], "segments of 2 and of 4 stages"),
        (whole, segments(2, 4), [0.0, 1.0, 1.0], "3 first and 2 second"),
        (whole, whole, [0.0, 1.0], "expected"),
        (whole, whole, [0.0, 1.0, 1.5], "1.5: expected numbers in"),
        (whole, whole, [0.0, 1.0, float("nan")], "nan"),
    ):
        with pytest.raises(StackelbergError, match=words):
            Comparisons(first, second, np.array(label))

"""Segments from all over the episodes, several of each: estimates against the loss of all pairs, differentiated."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import stackelberg_games as sg
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.kinds.preference import PreferenceGame
from stackelberg_games.learning.ascent import GradientLeader
from stackelberg_games.learning.judges import BradleyTerry
from stackelberg_games.representations.compared_stages import ComparedStages
from stackelberg_games.rules.comparisons import Comparisons
from tests.checks import FALSE_ALARM
from tests.test_preference_leaders import Bench, follower, projected_p_value

STATES, SEGMENT, STAGES, DISCOUNT = 4, 2, 24, 0.6
TRUTH = np.array([0.0, 0.3, -0.4, 1.0])
MOVES = np.array([[min(max(s + 2 * b - 1, 0), STATES - 1) for b in range(2)] for s in range(STATES)])


class Line(PreferenceGame):
    """Four places in a row; two windows of every episode are segments, wherever they begin."""

    anywhere = True
    windows = 2


def line() -> Line:
    transition = np.eye(STATES)[MOVES]
    cells = np.repeat(np.arange(STATES)[:, None], 2, axis=1)
    settings: dict[str, Any] = {
        "judge": BradleyTerry(),
        "follower_discount": DISCOUNT,
        "horizon": STAGES,
        "name": "line",
    }
    return Line(transition, TRUTH, [0.7, 0.3, 0.0, 0.0], cells=cells, segment=SEGMENT, **settings)


def loss(x: FloatArray) -> float:
    """F(x): every pair of windows, each with its probability, by propagating the first distribution and listing replies."""
    partner = follower()
    game = line()
    partner.begin(game)
    replies = partner.respond(game, Configuration(x, states=STATES)).policy.probabilities[:, 0]  # type: ignore[attr-defined]
    at, chances = np.array([0.7, 0.3, 0.0, 0.0]), np.zeros(STATES)
    starts = STAGES - SEGMENT + 1
    for _ in range(starts):
        chances += at / starts
        at = np.einsum("s,sb,sbt->t", at, replies, np.eye(STATES)[MOVES])
    listed = []
    for first, plan in itertools.product(range(STATES), itertools.product(range(2), repeat=SEGMENT)):
        s, p, r, t = first, chances[first], 0.0, 0.0
        for b in plan:
            p, r, t, s = p * replies[s, b], r + x[s], t + TRUTH[s], MOVES[s, b]
        listed.append((p, r, t))
    weight, own, true = np.array(listed).T
    gap, worth = (np.subtract.outer(part, part) for part in (own, true))
    label = 1 / (1 + np.exp(-worth))
    return float(np.einsum("i,ij,j->", weight, np.logaddexp(0, gap) - label * gap, weight))


X = np.array([0.4, -0.3, 0.2, 0.6])


def slope() -> FloatArray:
    """Central differences of F."""
    return np.array([(loss(X + h) - loss(X - h)) / 2e-4 for h in 1e-4 * np.eye(STATES)])


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("sobirl", {}),
        ("hpgd", {}),
        ("bchg", {}),
        ("sobirl", {"representation": {"kind": "compared_stages"}}),
        ("hpgd", {"representation": {"kind": "compared_stages"}}),
        ("bchg", {"representation": {"kind": "compared_stages"}}),
        ("bchg", {"representation": {"kind": "compared_stages"}, "adjoint": {"centre": False}}),
    ],
    ids=str,
)
def test_windows_count_with_what_led_to_them(name: str, chosen: dict[str, Any]) -> None:
    """Benefits are differences of means over pairs, whose bias falls with their number: many pairs, few batches."""
    leader = sg.make_leader(name, **chosen)
    assert isinstance(leader, GradientLeader)
    bench = Bench(line(), leader, Configuration(X, states=STATES))
    leader.objective(bench.evidence(0, 1024))
    found = np.array([leader.estimate(bench.evidence(number, 1024)).numpy() for number in range(1, 41)])
    assert projected_p_value(found, -slope()) > FALSE_ALARM


def test_the_response_row_is_there() -> None:
    """The tests above tell it apart: without it the mean is another one."""
    bench = Bench(line(), sg.make_leader("policy_gradient"), Configuration(X, states=STATES))  # type: ignore[arg-type]
    found = bench.estimates(40, warm=1)
    assert projected_p_value(found, -slope()) < FALSE_ALARM


def test_windows_make_more_pairs_of_the_same_play() -> None:
    game = line()
    bench = Bench(game, sg.make_leader("bchg"), Configuration(X, states=STATES))  # type: ignore[arg-type]
    evidence = bench.evidence(0, 10)
    told, batch = evidence.require_comparisons(), evidence.require_trajectories()
    assert (len(told), batch.episodes, bench.playing.asked) == (10, 10, 10)
    episodes, stages = told.places(10)
    assert_allclose(batch.states[episodes, stages][0::2], told.first.states[:, :-1])
    assert_allclose(batch.states[episodes, stages][1::2], told.second.states[:, :-1])
    assert_allclose(batch.follower_actions[episodes, stages][1::2], told.second.follower_actions)
    gap = X[told.first.states[:, :-1]].sum(axis=1) - X[told.second.states[:, :-1]].sum(axis=1)
    assert_allclose(batch.leader_rewards.sum(axis=1).mean(), (told.label * gap - np.logaddexp(0, gap)).mean())


@pytest.mark.parametrize("episodes", [0, 3, 10])
def test_pairs_have_to_fit_the_episodes(episodes: int) -> None:
    bench = Bench(line(), sg.make_leader("bchg"), Configuration(X, states=STATES))  # type: ignore[arg-type]
    told = bench.evidence(0, 12).require_comparisons()
    assert isinstance(told, Comparisons)
    with pytest.raises(InvalidArgumentError, match=f"12 pairs of segments of {episodes} episodes"):
        told.places(episodes)


@pytest.mark.parametrize("starts", [[[0, 1]], [[0, -1]] * 6, [[0.5, 0.0]] * 6, "abc"])
def test_starts_are_stages(starts: Any) -> None:
    bench = Bench(line(), sg.make_leader("bchg"), Configuration(X, states=STATES))  # type: ignore[arg-type]
    told = bench.evidence(0, 6).require_comparisons()
    with pytest.raises(InvalidArgumentError, match="starts"):
        replace(told, starts=starts)


def test_pairs_are_used_once_where_nothing_tells_how_likely_they_have_become() -> None:
    leader = sg.make_leader("bchg", representation={"kind": "compared_stages"}, actor_steps=2)
    assert isinstance(leader, GradientLeader)
    bench = Bench(line(), leader, Configuration(X, states=STATES))
    assert isinstance(leader.learned, ComparedStages)  # type: ignore[attr-defined]
    with pytest.raises(UnsupportedGameError, match="actor_steps=1"):
        leader.update(bench.evidence(0, 12))

"""Batches of episodes: what is checked, and what is read off them."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.representations.counts import TabularEstimator
from stackelberg_games.rules.trajectories import Trajectories, concatenate, padded, powers


def arrays() -> dict[str, Any]:
    """Two episodes of at most three stages; the second ends after two in a terminal state."""
    return {
        "states": np.array([[0, 1, 0, 1], [1, 1, 2, 2]]),
        "leader_actions": np.array([[0, 1, 0], [1, 0, 0]]),
        "follower_actions": np.array([[1, 1, 1], [0, 1, 0]]),
        "leader_rewards": np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 0.0]]),
        "follower_rewards": np.array([[1.0, 0.0, 1.0], [0.5, 0.25, 0.0]]),
        "lengths": np.array([3, 2]),
        "terminated": np.array([False, True]),
    }


def test_sizes_and_mask() -> None:
    batch = Trajectories(**arrays())
    assert (batch.episodes, batch.stages, batch.transitions) == (2, 3, 5)
    assert batch.mask.tolist() == [[True, True, True], [True, True, False]]


def test_returns_are_discounted_sums() -> None:
    batch = Trajectories(**arrays())
    assert batch.leader_returns().tolist() == [6.0, 9.0]
    assert batch.leader_returns(0.5).tolist() == [2.75, 6.5]
    assert batch.follower_returns(0.5).tolist() == [1.25, 0.625]
    assert batch.leader_returns(0.0).tolist() == [1.0, 4.0]


def test_hidden_follower_rewards_cannot_be_read() -> None:
    batch = Trajectories(**arrays()).without_follower_rewards()
    assert batch.follower_rewards is None
    with pytest.raises(InvalidArgumentError, match="follower's rewards"):
        batch.follower_returns()
    assert batch.leader_returns().tolist() == [6.0, 9.0]
    assert batch[:1].follower_rewards is None


@pytest.mark.parametrize("name", arrays())
def test_arrays_are_frozen(name: str) -> None:
    with pytest.raises(ValueError, match="read-only"):
        getattr(Trajectories(**arrays()), name)[0] = 0


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("states", np.zeros((2, 3), dtype=int), r"states has shape \(2, 3\): expected \(2, 4\)"),
        ("leader_actions", np.zeros((2, 4), dtype=int), r"leader_actions has shape \(2, 4\)"),
        ("follower_actions", np.zeros((1, 3), dtype=int), r"follower_actions has shape \(1, 3\)"),
        ("leader_rewards", np.zeros(3), r"leader_rewards has shape \(3,\)"),
        ("follower_rewards", np.zeros((2, 2)), r"follower_rewards has shape \(2, 2\)"),
        ("lengths", np.array([3]), r"lengths has shape \(1,\)"),
        ("terminated", np.array([[False], [True], [True]]), "terminated has shape"),
        ("leader_rewards", np.array([[1.0, np.nan, 3.0], [4.0, 5.0, 0.0]]), "leader_rewards"),
        ("follower_rewards", np.full((2, 3), np.inf), "follower_rewards"),
        ("lengths", np.array([3, 0]), r"lengths\[1\] is 0: expected 1 to 3"),
        ("lengths", np.array([4, 2]), r"lengths\[0\] is 4: expected 1 to 3"),
        ("leader_rewards", np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]]), "leader_rewards holds a reward beyond"),
        ("follower_rewards", np.ones((2, 3)), "follower_rewards holds a reward beyond"),
    ],
)
def test_inconsistent_arrays_are_refused_by_name(name: str, value: Any, named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        Trajectories(**{**arrays(), name: value})


def test_vector_states_and_actions_are_accepted() -> None:
    batch = Trajectories(**{**arrays(), "states": np.zeros((2, 4, 5)), "leader_actions": np.zeros((2, 3, 2))})
    assert batch.states.shape == (2, 4, 5)


def test_slicing_takes_episodes() -> None:
    part = Trajectories(**arrays())[1:]
    assert part.episodes == 1
    assert part.leader_returns().tolist() == [9.0]
    assert part.terminated.tolist() == [True]


def test_concatenation_undoes_slicing() -> None:
    batch = Trajectories(**arrays())
    joined = concatenate([batch[:1], batch[1:]])
    for field in fields(Trajectories):
        assert np.array_equal(getattr(joined, field.name), getattr(batch, field.name))


def test_batches_of_one_horizon_are_joined_whatever_room_they_have() -> None:
    short, long = replace(Trajectories(**arrays()), horizon=9), {**arrays()}
    for name in ("states", "leader_actions", "follower_actions", "leader_rewards", "follower_rewards"):
        long[name] = padded(long[name], 9 + (name == "states"), last=name == "states")
    joined = short.joined(Trajectories(**long))
    assert (joined.stages, joined.horizon) == (9, 9)
    for field in fields(Trajectories):
        if field.name != "horizon":
            found = getattr(joined, field.name)
            assert np.array_equal(found[:2], found[2:])
            assert np.array_equal(found[2:], long[field.name])


def test_a_horizon_shorter_than_the_arrays_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="horizon=2"):
        Trajectories(**arrays(), horizon=2)


def test_concatenation_hides_follower_rewards_that_one_batch_lacks() -> None:
    batch = Trajectories(**arrays())
    assert concatenate([batch, batch.without_follower_rewards()]).follower_rewards is None


def test_concatenation_refuses_nothing_and_unequal_lengths() -> None:
    batch = Trajectories(**arrays())
    blank = np.zeros((2, 4))
    longer = Trajectories(np.zeros((2, 5)), blank, blank, blank, None, batch.lengths, batch.terminated)
    for batches in ([], [batch, longer]):
        with pytest.raises(InvalidArgumentError, match="same number of stages"):
            concatenate(batches)


@pytest.mark.parametrize(
    ("field", "wrong"), [("states", 9), ("states", -1), ("leader_actions", 2), ("follower_actions", -1)]
)
def test_estimates_and_critics_refuse_states_and_actions_that_do_not_exist(field: str, wrong: int) -> None:
    game = sg.make("random_game-v0", states=4, leader_actions=2, follower_actions=2)
    assert isinstance(game, TabularGame)
    batch = sg.rollout(game, sg.TabularPolicy(game), sg.TabularResponse.uniform(game), episodes=3, stages=4)
    spoiled = np.array(getattr(batch, field))
    spoiled[1, 2] = wrong
    changes: dict[str, Any] = {field: spoiled}
    harmed = replace(batch, **changes)
    estimator = TabularEstimator(game.view(0.1))
    with pytest.raises(InvalidArgumentError, match=rf"^{field} from .*{wrong}.*: expected 0 to"):
        estimator.observe(harmed)
    assert estimator.totals.sum() == 0
    critics = sg.exact.critics(game, sg.TabularPolicy(game), 0.1)
    with pytest.raises(InvalidArgumentError, match=rf"^{field} from .*{wrong}.*: expected 0 to"):
        critics.benefit_at(harmed)


def test_powers_of_a_whole_discount_are_those_of_the_same_number() -> None:
    powers.cache_clear()
    assert powers(1, 3).dtype == np.float64
    assert powers(1.0, 3).dtype == np.float64

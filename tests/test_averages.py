"""Compiled averages over short axes, beside NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from stackelberg_games.numerics.averages import entropies, joined, means, shares, weighed


def test_entropies_are_those_of_scipy() -> None:
    policy = np.random.default_rng(0).dirichlet(np.ones(4), size=(5, 3))
    policy[0, 0], policy[1, 2] = [0.0, 1.0, 0.0, 0.0], [0.25, 0.0, 0.75, 0.0]
    policy[2], policy[3, :2] = 0.25, [0.5, 0.5, 0.0, 0.0]
    assert entropies(policy) == pytest.approx(scipy.stats.entropy(policy, axis=2), abs=1e-15)


def test_shares_fall_back_on_what_was_seen_and_then_on_everything() -> None:
    counts = np.array([[[3.0, 1.0, 0.0]], [[0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]]])
    seen = np.array([[[4.0, 2.0, 1.0]], [[0.0, 1.0, 7.0]], [[0.0, 0.0, 0.0]]])
    expected = [[[0.75, 0.25, 0.0]], [[0.0, 0.5, 0.5]], [[1 / 3, 1 / 3, 1 / 3]]]
    assert shares(counts, seen).tolist() == expected


def test_a_policy_is_joined_with_a_response_where_play_goes_on() -> None:
    rng, alive = np.random.default_rng(0), np.array([True, False, True])
    policy, response = rng.random((3, 2)), rng.random((3, 2, 4))
    expected = (policy * alive[:, None])[:, :, None] * response
    assert (joined(policy, alive, response) == expected).all()
    assert (weighed(policy[:, 0], expected, response) == policy[:, :1, None] * expected * response).all()
    unseen = np.broadcast_to(response[:, :1], response.shape)
    assert (joined(policy, alive, response[:, :1]) == joined(policy, alive, unseen)).all()


def test_means_of_no_observations_are_their_sums() -> None:
    sums, counts = np.array([[[6.0, 0.0, 2.0]]]), np.array([[[4.0, 0.0, 8.0]]])
    assert means(sums, counts).tolist() == [[[1.5, 0.0, 0.25]]]

"""The soft-optimal learner: its distance to the exact response, what it remembers, and what it refuses."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.commitments.networks import MLPCategoricalPolicy
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.envs import discrete_toy_v0, random_game_v0
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.numerics.randomness import Streams
from tests.checks import FALSE_ALARM, counts_p_value


def table(answer: Any, shape: tuple[int, ...]) -> Any:
    """The response at all states and leader actions of a finite game."""
    states, actions = np.indices(shape[:2]).reshape(2, -1)
    return np.exp(answer.policy.log_chances(states, actions)).reshape(shape)


def policy_of(game: sg.TabularGame, seed: int) -> TabularPolicy:
    weights = np.random.default_rng(seed).dirichlet(np.ones(game.leader_actions), game.states)
    return TabularPolicy.from_probabilities(game, weights)


@pytest.mark.parametrize("sees", [True, False])
def test_it_tends_to_the_exact_soft_response_and_follows_the_leader(sees: bool) -> None:
    """A second commitment is answered from little play, as what was remembered is told what the leader does now."""
    game = random_game_v0.game(4, 2, 3, follower_discount=0.7, horizon=30, follower_sees_action=sees)
    follower = sg.make_follower("soft_dqn", temperature=0.3, budget=8000, updates=0.2)
    follower.begin(game, seed=0)
    for number in range(2):
        policy = policy_of(game, number)
        answer = follower.respond(game, policy)
        assert answer.transitions == (8000, 2000)[number]
        wanted = exact.best_response(game, policy, 0.3).policy
        found = table(answer, wanted.shape)
        distance = np.abs(found - wanted).sum(axis=2) / 2
        uniform = np.abs(1 / 3 - wanted).sum(axis=2) / 2
        assert distance.mean() < min(0.06, 0.35 * uniform.mean())
        follower.budget = 2000


def test_a_configured_game_begins_its_memory_anew() -> None:
    game: Any = random_game_v0.game(4, 1, 3, follower_discount=0.6, horizon=20, configuration_size=2)
    follower: Any = sg.make_follower("soft_dqn", temperature=0.3, budget=3000)
    follower.begin(game, seed=1)
    for seed in (0, 1):
        commitment = game.commitment(seed, 1.0)
        answer = follower.respond(game, commitment)
        assert follower.held == 3000
        wanted = exact.best_response(game, commitment, 0.3).policy
        assert np.abs(table(answer, wanted.shape) - wanted).sum(axis=2).mean() / 2 < 0.1


def test_vectors_are_answered_and_drawn_by_their_chances() -> None:
    game = sg.make("pendulum_grid-v0")
    follower = sg.make_follower("soft_dqn", temperature=2.0, budget=1500)
    follower.begin(game, seed=0)
    answer: Any = follower.respond(game, MLPCategoricalPolicy(game, ())).policy
    states, leader = np.repeat(game.points[[200]], 3000, axis=0), np.ones(3000, np.int64)  # type: ignore[attr-defined]
    replies = answer.sample(states, leader, Streams.of(0, 3000), 5)
    chances = np.exp(answer.log_chances(states[:1], leader[:1]))
    assert counts_p_value(np.bincount(replies, minlength=7)[None], chances) > FALSE_ALARM
    np.testing.assert_allclose(
        np.exp(answer.log_prob(states[:4], leader[:4], replies[:4])), chances[0, replies[:4]], rtol=1e-5
    )


def test_a_match_resumes_to_the_same_numbers() -> None:
    game, settings = discrete_toy_v0.game(horizon=10), {"temperature": 0.2, "budget": 600, "memory": 1000}
    one = sg.make_follower("soft_dqn", **settings)
    one.begin(game, seed=3)
    one.respond(game, policy_of(game, 0))
    two = sg.make_follower("soft_dqn", **settings)
    two.begin(game, seed=3)
    two.load_state_dict(copy.deepcopy(one.state_dict()))
    states, actions = np.indices((3, 2)).reshape(2, -1)
    rows: list[Any] = [f.respond(game, policy_of(game, 1)).policy for f in (one, two)]
    np.testing.assert_array_equal(*(row.log_chances(states, actions) for row in rows))


def test_settings_and_games_that_do_not_fit_are_refused() -> None:
    for settings in ({"temperature": 0.0}, {"budget": 0}, {"updates": 0.0}, {"memory": 10}, {"copies": 1.5}):
        with pytest.raises(InvalidArgumentError):
            sg.make_follower("soft_dqn", **settings)
    with pytest.raises(UnsupportedGameError, match="SAC"):
        sg.make_follower("soft_dqn").begin(sg.make("guided_pendulum-v0"))

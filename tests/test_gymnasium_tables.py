"""Gymnasium's toy-text environments as finite games, against the environments themselves."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError, UnsupportedGameError
from stackelberg_games.kinds.gymnasium_tables import read_tables

ENVIRONMENTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("FrozenLake-v1", {}),
    ("FrozenLake-v1", {"is_slippery": False, "map_name": "8x8"}),
    ("CliffWalking-v1", {}),
    ("CliffWalking-v1", {"is_slippery": True}),
    ("Taxi-v4", {}),
)


@pytest.mark.parametrize(("wanted", "settings"), ENVIRONMENTS)
def test_every_step_of_the_environment_is_one_of_the_game(wanted: str, settings: dict[str, Any]) -> None:
    env: Any = gymnasium.make(wanted, **settings)
    game = sg.TabularGame.from_gymnasium(env, leader_discount=0.9, follower_discount=0.9)
    assert game.horizon == env.spec.max_episode_steps
    rng, states = np.random.default_rng(0), int(env.observation_space.n)
    for episode in range(20):
        seen, _ = env.reset(seed=episode)
        assert game.initial_distribution[seen] > 0
        over = False
        while not over:
            action = int(rng.integers(game.follower_actions))
            following, reward, terminated, truncated, _ = env.step(action)
            landed = [s for s in (following, states) if s < game.states and game.transition[seen, 0, action, s] > 0]
            assert any(bool(game.terminal[s]) == terminated for s in landed)
            if len(env.unwrapped.P[seen][action]) == 1:  # its reward is the mean
                assert game.follower_reward[seen, 0, action] == pytest.approx(float(reward))
            seen, over = following, terminated or truncated


@pytest.mark.parametrize(("wanted", "settings"), ENVIRONMENTS)
def test_the_best_response_is_the_optimum_of_value_iteration_on_the_dictionary(
    wanted: str, settings: dict[str, Any]
) -> None:
    env: Any = gymnasium.make(wanted, **settings)
    bare, discount = env.unwrapped, 0.9
    game = sg.TabularGame.from_gymnasium(env, leader_discount=discount, follower_discount=discount)
    game.horizon = None
    values = np.zeros(len(bare.P))
    for _ in range(300):
        q = [
            [sum(p * (r + discount * (not over) * values[n]) for p, n, r, over in moves[b]) for b in moves]
            for moves in bare.P.values()
        ]
        values = np.max(q, axis=1)
    watcher = sg.TabularPolicy(game)
    best = exact.best_response(game, watcher, 0.0)
    expected = float(bare.initial_state_distrib @ values)
    assert exact.follower_value(game, watcher, best.policy) == pytest.approx(expected, abs=1e-8)


def test_the_leader_may_have_a_reward_of_its_own() -> None:
    reward = np.arange(16 * 4.0).reshape(16, 4)
    game = sg.TabularGame.from_gymnasium("FrozenLake-v1", reward, leader_discount=0.5, follower_discount=0.5, horizon=7)
    np.testing.assert_array_equal(game.leader_reward[:, 0], reward)
    assert (game.name, game.horizon) == ("FrozenLake-v1", 7)


def test_moves_that_end_an_episode_where_others_do_not_lead_to_a_state_of_their_own() -> None:
    class Leap(gymnasium.Env[Any, Any]):
        """State 0: move 0 stays, move 1 ends the episode, as it does from state 1 back to 0."""

        P = {  # noqa: RUF012
            0: {0: [(1.0, 0, 1.0, False)], 1: [(0.5, 0, 2.0, True), (0.5, 1, 4.0, False)]},
            1: {0: [(1.0, 0, 0.0, True)], 1: [(1.0, 1, 0.0, False)]},
        }
        initial_state_distrib = np.array([1.0, 0.0])
        observation_space, action_space = gymnasium.spaces.Discrete(2), gymnasium.spaces.Discrete(2)

    read = read_tables(Leap())
    np.testing.assert_array_equal(read.terminal, [False, False, True])
    np.testing.assert_allclose(read.transition[0, 1], [0.0, 0.5, 0.5])
    np.testing.assert_allclose(read.transition[1, 0], [0.0, 0.0, 1.0])
    np.testing.assert_allclose(read.reward[0], [1.0, 3.0])
    assert read.horizon is None


def test_what_has_no_dictionary_is_refused() -> None:
    with pytest.raises(UnsupportedGameError, match=r"CartPole-v1 has no dictionary P .* sg\.incentives"):
        sg.TabularGame.from_gymnasium("CartPole-v1", leader_discount=0.9, follower_discount=0.9)
    with pytest.raises(InvalidArgumentError, match="NoSuchThing"):
        sg.TabularGame.from_gymnasium("NoSuchThing-v0")
    with pytest.raises(InvalidArgumentError, match="expected a Gymnasium environment"):
        sg.TabularGame.from_gymnasium(3)  # type: ignore[arg-type]
    with pytest.raises(InvalidGameError, match="leader_reward"):
        sg.TabularGame.from_gymnasium("FrozenLake-v1", np.zeros((3, 4)))

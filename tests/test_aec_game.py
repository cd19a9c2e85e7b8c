"""Third-party AEC environments as games."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium.utils.env_checker
import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games.adapters.aec import AECGame, as_game
from stackelberg_games.adapters.black_box import StrangerPolicy
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.envs import discrete_toy_v0, lqr_v0
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError, UnsupportedGameError
from stackelberg_games.numerics.randomness import Streams
from stackelberg_games.play.rollout import TabularResponse
from tests.foreign_env import Toll


class Always:
    """A response policy that takes the fast road unless the toll is on and the junction is the second."""

    def reply(self, observations: Any, streams: Streams, stage: int) -> Any:
        return np.where((observations[:, 1] == 1) & (observations[:, 3] == 1), 0, 1)  # codes of place and toll


def test_what_is_recorded_is_what_happened() -> None:
    game = AECGame(Toll)
    batch = sg.rollout(game, TabularPolicy(game), Always(), episodes=5, seed=1, stages=8)  # type: ignore[arg-type]
    assert batch.lengths.tolist() == [6] * 5
    assert not batch.terminated.any()
    played = batch.mask
    states, leader, follower = (
        batch.states[:, :-1][played],
        batch.leader_actions[played],
        batch.follower_actions[played],
    )
    np.testing.assert_array_equal(follower, np.where((states == 1) & (leader == 1), 0, 1))
    np.testing.assert_array_equal(batch.leader_rewards[played], follower * leader)
    assert batch.follower_rewards is not None
    np.testing.assert_array_equal(batch.follower_rewards[played], follower * (1 - 0.5 * leader))
    assert set(states.tolist()) == set(leader.tolist()) == {0, 1}


def test_worker_processes_play_the_same_episodes() -> None:
    alone, together = AECGame(Toll), AECGame(Toll, workers=2)
    policy = TabularPolicy(alone)
    one, two = (sg.rollout(g, policy, Always(), episodes=5, seed=1, stages=6) for g in (alone, together))  # type: ignore[arg-type]
    later = sg.rollout(alone, policy, Always(), episodes=2, seed=1, first_episode=3, stages=6)  # type: ignore[arg-type]
    np.testing.assert_array_equal(one.states, two.states)
    np.testing.assert_array_equal(one.leader_rewards, two.leader_rewards)
    np.testing.assert_array_equal(one.states[3:], later.states)


def test_a_plain_environment_trains_unchanged() -> None:
    def stranger(observation: Any, reward: float, termination: bool, truncation: bool, info: Any) -> Any:
        return None if termination or truncation else int(observation[0] == 0 or observation[1] == 0)

    leader = sg.make_leader("policy_gradient", learning_rate=0.3)
    follower = sg.make_follower("black_box", stranger=stranger)
    run = sg.train(Toll(), leader, follower, iterations=30, episodes=4, stages=6, progress=False)
    tolls = run.commitment.probabilities().detach().numpy()[:, 1]
    assert tolls[0] > 0.9  # there the follower takes the fast road at any toll
    assert np.mean([row["leader_return"] for row in run.history[-5:]]) > np.mean(
        [row["leader_return"] for row in run.history[:5]]
    )


def test_our_own_environment_is_played_the_same_from_outside() -> None:
    game = discrete_toy_v0.game(horizon=12)
    uniform = TabularResponse.uniform(game)
    inside = sg.rollout(game, TabularPolicy(game), uniform, episodes=4, seed=9)

    def replay(episode: int) -> Any:
        moves = iter(inside.follower_actions[episode])
        return lambda *turn: None if turn[2] or turn[3] else int(next(moves))

    for episode in range(4):
        outside = sg.rollout(
            game, TabularPolicy(game), StrangerPolicy(replay(episode)), episodes=1, seed=9, first_episode=episode
        )
        np.testing.assert_array_equal(outside.states[0], inside.states[episode])
        np.testing.assert_array_equal(outside.leader_actions[0], inside.leader_actions[episode])
        np.testing.assert_array_equal(outside.leader_rewards[0], inside.leader_rewards[episode])


def test_one_of_our_environments_as_a_foreign_game_is_played_by_a_stranger_as_by_any_follower() -> None:
    class Push:
        def reply(self, observations: Any, streams: Streams, stage: int) -> Any:
            return -0.5 * observations[:, :1].astype(np.float64)

    def stranger(observation: Any, reward: float, termination: bool, truncation: bool, info: Any) -> Any:
        return None if termination or truncation else -0.5 * observation[:1].astype(np.float64)

    game = AECGame(lqr_v0.raw_env, horizon=9)
    policy = LinearGaussianPolicy(game, [[-0.5, 0.2]], std=0.3)
    known = sg.rollout(game, policy, Push(), episodes=3, seed=4)  # type: ignore[arg-type]
    unknown = sg.rollout(game, policy, StrangerPolicy(stranger), episodes=3, seed=4)
    assert len(np.unique(known.states[:, 1, 0])) == 3
    for one, two in zip(vars(known).values(), vars(unknown).values(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_follower_faces_a_proper_gymnasium_environment() -> None:
    game = AECGame(Toll)
    env: Any = sg.best_response_env(game, TabularPolicy(game))
    gymnasium.utils.env_checker.check_env(env, skip_render_check=True)
    env.reset(seed=3)
    total, over, count = 0.0, False, 0
    while not over:
        _, reward, terminated, truncated, _ = env.step(0)
        total, count, over = total + reward, count + 1, terminated or truncated
    assert (total, count) == (0.0, 6)
    first = env.reset(seed=3)[0]
    np.testing.assert_array_equal(first, env.reset(seed=3)[0])
    short: Any = sg.best_response_env(AECGame(Toll, horizon=2), TabularPolicy(game))
    short.reset(seed=0)
    assert [short.step(1)[3] for _ in range(2)] == [False, True]


def test_environments_that_are_no_stackelberg_games_are_refused() -> None:
    class Other(Toll):
        def __init__(self) -> None:
            super().__init__()
            self.possible_agents = ["a_0", "b_0"]

    with pytest.raises(InvalidGameError, match="agents"):
        AECGame(Other)
    with pytest.raises(InvalidArgumentError, match="expected a game"):
        as_game(Toll)
    with pytest.raises(InvalidArgumentError, match="factory"):
        AECGame(3)
    with pytest.raises(InvalidGameError, match="did not move in 3 episodes"):
        AECGame(partial(Toll, early=True))
    plain = AECGame(Toll)
    with pytest.raises(UnsupportedGameError, match="observations"):
        sg.rollout(plain, TabularPolicy(plain), TabularResponse(np.full((2, 2, 2), 0.5)), episodes=1, stages=6)
    with pytest.raises(UnsupportedGameError, match="given by arrays"):
        sg.train(Toll(), "bchg", "soft_value_iteration", iterations=1, progress=False)

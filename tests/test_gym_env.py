"""What the follower faces: Gymnasium's own checks, and agreement with the model."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import TimeLimit

from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.envs import discrete_toy_v0, matrix_v0, random_game_v0
from stackelberg_games.errors import InvalidActionError, InvalidArgumentError, InvalidGameError, UnsupportedGameError
from stackelberg_games.faces.gym_env import BestResponseEnv
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.game import best_response_env
from stackelberg_games.play.rollout import rollout
from stackelberg_games.rules.commitment import assign, flatten
from tests.checks import FALSE_ALARM, counts_p_value
from tests.face_checks import TABLES, Drift, Hands, Row, Table, copies, same


def env_of(table: Table) -> BestResponseEnv:
    env = best_response_env(table.game, table.leader)
    assert isinstance(env, BestResponseEnv)
    return env


def configured(horizon: int | None = 25) -> tuple[ConfigurableGame, Configuration]:
    game = random_game_v0.game(
        4, 2, 3, horizon=horizon, transitions={"terminal_states": 1}, configuration_size=2, seed=1
    )
    assert isinstance(game, ConfigurableGame)
    policy = TabularPolicy(game, np.random.default_rng(0).normal(size=(4, 2)))
    return game, Configuration([2.0, -1.5], policy=policy)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.filterwarnings("ignore:.*A Box observation space m:UserWarning", "ignore:.*Box action:UserWarning")
def test_passes_gymnasiums_checker(name: str) -> None:
    game = TABLES[name]()
    if game.horizon == 1:
        pytest.skip("the checker takes a truncation after one step for a mistake")
    check_env(env_of(Table.of(game)), skip_render_check=True)


@pytest.mark.parametrize("name", TABLES)
def test_plays_the_episodes_of_rollout(name: str) -> None:
    table = Table.of(TABLES[name]())
    stages = min(table.game.stages(), 40)
    batch = rollout(table.game, table.leader, table.follower, episodes=4, seed=3, stages=stages)
    env = env_of(table)
    for episode in range(4):
        observation, _ = env.reset(seed=3 if episode == 0 else None)
        hands, rows, over = Hands(table, 3, episode), list[Row](), False
        while len(rows) < stages and not over:
            before = env.get_state()
            reply = hands.follower(before, before.pending)
            observation, reward, terminated, truncated, _ = env.step(reply)
            played = env.get_state().played
            assert played is not None
            assert played.rewards[1] == reward
            assert env.observation_space.contains(observation)
            over = terminated or truncated
            rows.append((before.states[0], before.pending, reply, *played.rewards))
        same(rows, env.get_state(), batch, episode)


@pytest.mark.parametrize("is_configured", [False, True])
def test_the_follower_meets_the_model_under_the_commitment(is_configured: bool) -> None:
    game, configuration = configured(horizon=None)
    commitment = configuration if is_configured else configuration.policy
    assert commitment is not None
    policy, transition, _, reward = (part.detach().numpy() for part in game.model(commitment))
    counts = np.zeros((*reward.shape, *policy.shape))  # s, a, b, then the next s and a
    env = best_response_env(game, commitment)
    rng = np.random.default_rng(0)

    def seen(observation: Any) -> tuple[int, int]:
        return int(np.argmax(observation[: game.states])), int(np.argmax(observation[-game.leader_actions :]))

    observation, _ = env.reset(seed=0)
    for _ in range(8000):
        cell = *seen(observation), int(rng.integers(game.follower_actions))
        observation, paid, terminated, truncated, _ = env.step(cell[-1])
        assert paid == reward[cell]
        assert not truncated
        counts[(*cell, *seen(observation))] += 1
        if terminated:
            assert not observation[-game.leader_actions :].any()
            observation, _ = env.reset()
    # After the end there is no move, which reads as move 0.
    moves = np.where(game.terminal[:, None], np.eye(game.leader_actions)[0], policy)
    law = transition[..., None] * moves
    assert counts_p_value(*(x[~game.terminal].reshape(-1, moves.size) for x in (counts, law))) > FALSE_ALARM


def test_configured_tables_differ_from_the_games_own() -> None:
    game, commitment = configured()
    fixed = game.configured(commitment.configuration())
    assert np.abs(fixed.transition - game.transition).max() > 0.05
    assert fixed.transition.tolist() == game.tables(commitment.configuration()).transition.tolist()
    assert fixed.model(TabularPolicy(fixed)).follower_reward.tolist() == fixed.follower_reward.tolist()
    assert not fixed.follower_reward.flags.writeable
    with pytest.raises(InvalidGameError, match="cannot be configured"):
        fixed.configured(torch.zeros(2))


def test_updates_of_the_commitment_are_followed_from_the_next_reset_on() -> None:
    game = matrix_v0.game("letchford", horizon=50, follower_sees_action=True)
    policy = TabularPolicy.from_probabilities(game, [[1.0, 0.0]])
    env = best_response_env(game, policy)
    observation, _ = env.reset(seed=0)
    assign(policy, torch.tensor([-800.0, 0.0], dtype=torch.float64))
    for _ in range(49):
        assert observation[1:].tolist() == [1, 0]
        observation, *_ = env.step(0)
    observation, _ = env.reset()
    assert observation[1:].tolist() == [0, 1]


def test_updates_of_a_configuration_are_followed_too() -> None:
    game, commitment = configured()
    env: Any = best_response_env(game, commitment)
    env.reset(seed=0)
    before = env.step(0)[1]
    assign(commitment, torch.zeros_like(flatten(commitment)))
    env.reset(seed=0)
    after = env.step(0)[1]
    assert before != after
    assert after in game.follower_reward


@pytest.mark.parametrize("steps", [0, 5, 12])
@pytest.mark.parametrize("is_configured", [False, True])
def test_copies_keep_a_running_episode(steps: int, is_configured: bool) -> None:
    game, commitment = configured()
    env: Any = best_response_env(game, commitment if is_configured else TabularPolicy(game))

    def played(env: Any, steps: int) -> list[Any]:
        return [env.step(stage % 3)[:4] for stage in range(steps) if not env.get_state().terminated]

    env.reset(seed=8)
    played(env, steps)
    other: Any = best_response_env(game, env.commitment)
    other.set_state(env.get_state())
    twins = {**copies(env), "set_state": other}
    going_on = played(env, 10)
    for twin in twins.values():
        for mine, theirs in zip(going_on, played(twin, 10), strict=True):
            assert mine[0].tolist() == theirs[0].tolist()
            assert mine[1:] == theirs[1:]


def test_refuses_what_it_cannot_play() -> None:
    env = best_response_env(discrete_toy_v0.game(horizon=1), TabularPolicy(discrete_toy_v0.game()))
    with pytest.raises(InvalidActionError, match="reset"):
        env.step(0)
    env.reset(seed=0)
    with pytest.raises(InvalidActionError, match="follower_0 submitted 3"):
        env.step(3)
    assert env.step(np.int64(2))[3] is True
    with pytest.raises(InvalidActionError, match="reset"):
        env.step(0)
    with pytest.raises(UnsupportedGameError, match="cannot be configured"):
        best_response_env(discrete_toy_v0.game(), Configuration([1.0], states=3))
    with pytest.raises(UnsupportedGameError, match="drift-v0"):
        best_response_env(Drift(), Configuration([1.0]))
    with pytest.raises(InvalidActionError, match="has shape"):
        best_response_env(configured()[0], Configuration([1.0], policy=TabularPolicy(configured()[0])))
    with pytest.raises(InvalidArgumentError, match="also acts"):
        best_response_env(configured()[0], [1.0, 2.0])


def test_an_infinite_game_takes_gymnasiums_time_limit() -> None:
    game = random_game_v0.game()
    env: gymnasium.Env[Any, Any] = TimeLimit(best_response_env(game, TabularPolicy(game)), 5)
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(5)] == [False] * 4 + [True]


def test_renders_like_the_other_faces() -> None:
    game = discrete_toy_v0.game()
    env = best_response_env(game, TabularPolicy(game), render_mode="ansi")
    env.reset(seed=0)
    text = env.render()
    assert isinstance(text, str)
    assert "follower_0 moves" in text

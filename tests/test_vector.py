"""Copies stepped together play the very episodes that rollout plays, by every backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

import stackelberg_games as sg
from stackelberg_games.envs import discrete_toy_v0, lqr_v0, random_game_v0, random_mdp_v0
from stackelberg_games.errors import InvalidActionError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.faces.rounds import Rounds
from stackelberg_games.kinds.game import Game
from stackelberg_games.play.rollout import rollout
from tests.face_checks import TABLES, AnyFollower, Drift, Table

COPIES, EPISODES = 3, 12
FINITE = ["toy", "matrix", "terminal", "blind"]
CONTINUOUS = ["continuous", "continuous blind", "lqr-v0"]
CONFIGURED = [name for name in TABLES if TABLES[name]().configuration_space is not None]


def legal(env: Any, masks: Any, rng: np.random.Generator) -> Any:
    """A random legal action for every row."""
    return np.array([rng.choice(np.flatnonzero(mask)) for mask in masks])


@pytest.mark.parametrize("name", FINITE)
@pytest.mark.parametrize("roles", [False, True])
def test_both_backends_agree(name: str, roles: bool) -> None:
    game = TABLES[name]()
    mine = sg.vector_env(game, 1, roles=roles)
    theirs = sg.vector_env(game, 1, roles=roles, backend="supersuit")
    rng = np.random.default_rng(0)
    seen, infos = mine.reset(seed=5)
    other, lists = theirs.reset(seed=5)
    assert mine.single_action_space == theirs.action_space
    assert mine.single_observation_space == theirs.observation_space
    ends = 0
    for _ in range(130):
        np.testing.assert_array_equal(seen, other)
        np.testing.assert_array_equal(infos["action_mask"], [info["action_mask"] for info in lists])
        assert infos["moving"].tolist() == [info["moving"] for info in lists]
        assert all(mine.single_observation_space.contains(row) for row in seen)
        actions = legal(mine, infos["action_mask"], rng)
        seen, *mine_said, infos = mine.step(actions)
        other, *said, lists = theirs.step(actions)
        for ours, supersuit in zip(mine_said, said, strict=True):
            np.testing.assert_allclose(ours, supersuit, rtol=1e-6)  # SuperSuit's rewards are float32
        if "final_obs" in infos:
            ends += 1
            np.testing.assert_array_equal(infos["final_obs"], [info["terminal_observation"] for info in lists])
    assert ends > 0 or game.horizon is None


@pytest.mark.parametrize("name", FINITE + CONTINUOUS + CONFIGURED)
def test_copy_i_plays_every_nth_episode_of_rollout(name: str) -> None:
    table = Table.of(TABLES[name]())
    game = table.game
    stages = min(game.stages(), 20)
    batch = rollout(game, table.leader, table.follower, episodes=EPISODES, seed=7, stages=stages)
    rounds = Rounds(table.rules, COPIES)
    rounds.reset(7)
    played = 0
    while played < EPISODES:
        episode, stage = rounds.numbers.astype(int).clip(max=EPISODES - 1), rounds.stage.clip(max=stages - 1)
        live = (rounds.numbers < EPISODES) & (stage == rounds.stage)
        np.testing.assert_array_equal(rounds.states[live], batch.states[episode, stage][live])
        where = episode, stage
        leader, follower, *ends = rounds.step(batch.leader_actions[where], batch.follower_actions[where])
        assert batch.follower_rewards is not None
        np.testing.assert_array_equal(leader[live], batch.leader_rewards[where][live])
        np.testing.assert_array_equal(follower[live], batch.follower_rewards[where][live])
        over = ends[0] | ends[1] | (rounds.stage == stages)
        np.testing.assert_array_equal(ends[0][live & over], batch.terminated[episode][live & over])
        played += int((over & live).sum())
        rounds.restart(over)


@pytest.mark.parametrize("name", FINITE + CONTINUOUS + CONFIGURED)
def test_a_follower_faces_what_best_response_env_shows_it(name: str) -> None:
    table = Table.of(TABLES[name]())
    many = sg.vector_env(table.game, 1, commitment=table.leader, autoreset_mode="SAME_STEP")
    one: Any = sg.best_response_env(table.game, table.leader)
    seen, _ = many.reset(seed=3)
    alone, _ = one.reset(seed=3)
    assert many.single_observation_space == one.observation_space
    for space in (many.action_space, one.action_space):
        space.seed(0)
    for _ in range(60):
        np.testing.assert_array_equal(seen[0], alone)
        action = one.action_space.sample()
        seen, rewards, terminated, truncated, infos = many.step(np.array([action]))
        alone, reward, *ends, _ = one.step(action)
        assert (rewards[0], terminated[0], truncated[0]) == (reward, *ends)
        if any(ends):
            np.testing.assert_array_equal(infos["final_obs"][0], alone)
            alone, _ = one.reset()


def test_a_configuration_is_read_at_reset() -> None:
    game = random_mdp_v0.game()
    leader = sg.make_leader("bchg")
    leader.begin(game.view(0.1))
    many = sg.vector_env(game, 2, commitment=leader.commitment)
    many.reset(seed=0)
    assert many.rounds.game is not game
    with pytest.raises(UnsupportedGameError, match="cannot be configured"):
        sg.vector_env(lqr_v0.game(), 2, commitment=leader.commitment).reset(seed=0)


def test_seeds_and_resets_number_the_episodes() -> None:
    env = sg.vector_env(random_game_v0.game(horizon=4), 8)
    first = env.reset(seed=1)[0]
    second = env.reset()[0]
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(env.reset(seed=1)[0], first)
    assert env.rounds.numbers.tolist() == list(range(8))
    unseeded = [sg.vector_env(random_game_v0.game(), 64).reset()[0] for _ in range(2)]
    assert not np.array_equal(*unseeded)


def test_what_a_waiting_row_submits_is_ignored() -> None:
    env = sg.vector_env(discrete_toy_v0.game(), 2)
    env.reset(seed=0)
    env.step(np.array([1, 99, 0, -5]))
    with pytest.raises(InvalidActionError, match="follower_0 submitted 3"):
        env.step(np.array([99, 3, 99, 0]))
    env.step(np.array([99, 2, 99, 0]))


def test_continuous_actions_are_scaled_in_batches() -> None:
    env = sg.vector_env(Drift(), 2)
    env.reset(seed=0)
    assert env.single_action_space == spaces.Box(-1.0, 1.0, (2,), np.float32)
    seen, *_ = env.step(np.array([[1.0, -1.0], [0, 0], [0, 0], [0, 0]], dtype=np.float32))
    assert seen[1, 2:4].tolist() == [2.0, -1.0]
    with pytest.raises(InvalidActionError, match="follower_0"):
        env.step(np.full((4, 2), 3.0, dtype=np.float32))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"num_envs": 0}, InvalidArgumentError),
        ({"num_envs": 2, "backend": "none"}, InvalidArgumentError),
        ({"num_envs": 0, "backend": "supersuit"}, InvalidArgumentError),
        ({"num_envs": 2, "backend": "supersuit", "commitment": "something"}, InvalidArgumentError),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        sg.vector_env(discrete_toy_v0.game(), **arguments)


@pytest.mark.parametrize("commitment", [False, True])
def test_a_step_before_reset_is_refused(commitment: bool) -> None:
    game: Game = discrete_toy_v0.game()
    env = sg.vector_env(game, 2, commitment=sg.TabularPolicy(game) if commitment else None)
    with pytest.raises(InvalidActionError, match="reset"):
        env.step(np.zeros(4, dtype=int))


@pytest.mark.parametrize("game", [Drift(), discrete_toy_v0.game()], ids=["default", "tabular"])
def test_batches_are_observed_as_single_states_are(game: Game) -> None:
    batch = rollout(game, Table.of(game).leader, AnyFollower(game), episodes=5, seed=0)
    states = batch.states[:, 1]
    np.testing.assert_array_equal(game.observe_batch(states), [game.observe(state) for state in states])


@pytest.mark.parametrize(
    ("asked", "mode"),
    [*((mode, mode) for mode in AutoresetMode), (None, AutoresetMode.NEXT_STEP), (None, AutoresetMode.DISABLED)],
)
def test_every_autoreset_mode_plays_the_same_episodes(asked: AutoresetMode | None, mode: AutoresetMode) -> None:
    game = random_game_v0.game(transitions={"terminal_states": 1}, horizon=5)
    policy = sg.TabularPolicy(game)
    env = sg.vector_env(game, 3, commitment=policy, autoreset_mode=asked)
    rewards: list[list[list[float]]] = [[[]] for _ in range(3)]
    env.reset(seed=4)
    replies, over = np.random.default_rng(0).integers(3, size=(3, 200)), np.zeros(3, dtype=bool)
    played = [0, 0, 0]
    for _ in range(40):
        if mode == AutoresetMode.DISABLED and over.any():
            if asked == mode:
                with pytest.raises(InvalidActionError, match="are over"):
                    env.step(np.zeros(3, dtype=int))
            env.reset(options={"reset_mask": over})
            over = np.zeros(3, dtype=bool)
        resting = over if mode == AutoresetMode.NEXT_STEP else np.zeros(3, dtype=bool)
        actions = np.array([99 if rest else replies[i, played[i]] for i, rest in enumerate(resting)])
        seen, paid, terminated, truncated, _ = env.step(np.where(resting, 0, actions))
        over = terminated | truncated
        for i in range(3):
            if resting[i]:
                assert (paid[i], terminated[i], truncated[i]) == (0.0, False, False)
                continue
            played[i] += 1
            rewards[i][-1].append(float(paid[i]))
            if over[i]:
                rewards[i].append([])
        if mode != AutoresetMode.SAME_STEP:
            assert not seen[over, game.states :].any()  # nobody moves after the end
    for i in range(3):
        alone = sg.best_response_env(game, policy)
        spent = 0
        for number, episode in enumerate(rewards[i][:3]):
            alone.reset(seed=4)
            for _ in range(i + 3 * number):
                alone.reset()
            expected = []
            ended = False
            while not ended:
                _, reward, *ends, _ = alone.step(int(replies[i, spent]))
                spent += 1
                expected.append(reward)
                ended = any(ends)
            assert episode == expected


@pytest.mark.parametrize("asked", [None, *AutoresetMode])
def test_consumers_are_told_of_a_mode_that_they_may_use(asked: AutoresetMode | None) -> None:
    game = discrete_toy_v0.game()
    env = sg.vector_env(game, 2, commitment=sg.TabularPolicy(game), autoreset_mode=asked)
    assert env.metadata["autoreset_mode"] == (asked or AutoresetMode.NEXT_STEP)  # read by Gymnasium's wrappers
    assert env.autoreset_mode == (asked or AutoresetMode.DISABLED)  # read by TorchRL


def test_modes_that_cannot_be_are_refused() -> None:
    game = discrete_toy_v0.game()
    with pytest.raises(InvalidArgumentError, match="in step only in SAME_STEP"):
        sg.vector_env(game, 2, autoreset_mode="NEXT_STEP")
    with pytest.raises(InvalidArgumentError, match="autoreset_mode='never'"):
        sg.vector_env(game, 2, autoreset_mode="never")
    env = sg.vector_env(game, 2, commitment=sg.TabularPolicy(game))
    env.reset(seed=0)
    for mask in ([True, False], np.array([True]), np.array([1, 0])):
        with pytest.raises(InvalidArgumentError, match="reset_mask"):
            env.reset(options={"reset_mask": mask})


@pytest.mark.parametrize(
    "actions", [0, [0], [0, 1, 2], "ab", [[0], [1]], None, np.ma.masked_array([0, 1], [False, True])]
)
def test_a_batch_has_one_action_a_copy(actions: Any) -> None:
    game = discrete_toy_v0.game()
    env = sg.vector_env(game, 2, commitment=sg.TabularPolicy(game))
    env.reset(seed=0)
    with pytest.raises(InvalidActionError):
        env.step(actions)

"""Stable-Baselines3 as the follower."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.envs import discrete_toy_v0
from stackelberg_games.errors import InvalidArgumentError, MissingExtraError, UnsupportedGameError
from stackelberg_games.numerics.randomness import Streams
from tests.checks import FALSE_ALARM, counts_p_value
from tests.face_checks import Drift
from tests.foreign_env import Toll

sb3 = pytest.importorskip("stable_baselines3", reason="needs the extra [sb3]")


def test_ppo_finds_a_good_response() -> None:
    game = discrete_toy_v0.game(horizon=20, follower_discount=0.9)
    policy = TabularPolicy.from_probabilities(game, [[0.5, 0.5], [0.9, 0.1], [0.5, 0.5]])
    options = {"learning_rate": 3e-3, "n_steps": 256}
    follower = sg.make_follower("sb3", budget=2048, options=options)
    follower.begin(game, seed=0)
    answer = follower.respond(game, policy)
    assert answer.transitions == 2048
    learned = sg.rollout(game, policy, answer.policy, episodes=200, seed=1).follower_returns(0.9).mean()
    best = exact.follower_value(game, policy, exact.best_response(game, policy, 0.0).policy)
    horizon = 1 - 0.9**20  # the exact value counts an endless game
    assert learned > 0.7 * best * horizon


@pytest.mark.parametrize("algorithm", ["PPO", "A2C", "SAC"])
def test_continuous_actions_are_trained_and_stay_in_the_box(algorithm: Any) -> None:
    game = Drift()
    follower = sg.make_follower("sb3", algorithm=algorithm, budget=150, temperature=0.1)
    follower.begin(game, seed=0)
    space = game.leader_action_space
    states, leader = np.zeros((50, 2), np.float32), np.zeros((50, 2), np.float32)
    answer = follower.respond(game, _Pushes())  # type: ignore[arg-type]
    actions = answer.policy.sample(states, leader, Streams.of(0, 50), 3)
    assert actions.shape == (50, 1)
    assert all(game.follower_action_space.contains(action.astype(np.float32)) for action in actions)
    assert len(np.unique(actions)) > 20  # some of PPO's and A2C's are clipped
    part = answer.policy.sample(states[10:15], leader[10:15], Streams.of(0, 5, 10), 3)
    np.testing.assert_allclose(part, actions[10:15], rtol=1e-5, atol=1e-6)
    assert space.shape == (2,)


class _Pushes:
    """A commitment that does nothing, in a game of vectors."""

    def configuration(self) -> None:
        return None

    def sample(self, states: Any, streams: Any, stage: int) -> Any:
        return np.zeros((len(states), 2), np.float32)


def test_warm_start_goes_on_and_fresh_start_forgets() -> None:
    game = discrete_toy_v0.game(horizon=10)
    policy = TabularPolicy(game)
    kept = {}
    for start in ("warm", "fresh"):
        follower: Any = sg.make_follower("sb3", algorithm="A2C", budget=20, start=start)
        follower.begin(game, seed=0)
        follower.respond(game, policy)
        kept[start] = follower.model
        answer = follower.respond(game, policy)
        assert answer.transitions == 20
        assert (follower.model is kept[start]) == (start == "warm")
    assert kept["warm"].num_timesteps == 40


def test_dqn_is_greedy() -> None:
    game = discrete_toy_v0.game(horizon=10)
    follower = sg.make_follower("sb3", algorithm="DQN", budget=120)
    follower.begin(game, seed=0)
    answer = follower.respond(game, TabularPolicy(game))
    replies = answer.policy.sample(np.zeros(60, int), np.zeros(60, int), Streams.of(0, 60), 0)
    assert len(set(replies.tolist())) == 1


@pytest.mark.parametrize(
    ("algorithm", "start", "options"),
    [
        ("PPO", "warm", {}),
        ("PPO", "fresh", {}),
        ("DQN", "warm", {"learning_starts": 10, "target_update_interval": 50, "exploration_initial_eps": 0.5}),
        ("DQN", "warm", {"learning_starts": 10, "buffer_size": 50}),
    ],
)
def test_runs_resume_to_the_same_numbers_and_leave_global_generators_alone(
    algorithm: Any, start: Any, options: Any, tmp_path: Path
) -> None:
    def go(folder: Path, iterations: int) -> Any:
        follower = sg.make_follower("sb3", algorithm=algorithm, budget=32, start=start, options=options)
        game = discrete_toy_v0.game(horizon=10)
        return sg.train(
            game,
            "policy_gradient",
            follower,
            iterations=iterations,
            directory=folder,
            checkpoint_every=2,
            progress=False,
        )

    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    whole = go(tmp_path / "whole", 4)
    drawn = float(torch.rand(())), float(np.random.random())  # noqa: NPY002
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    assert drawn == (float(torch.rand(())), float(np.random.random()))  # noqa: NPY002
    go(tmp_path / "part", 2)
    assert go(tmp_path / "part", 4).history == whole.history


@pytest.mark.parametrize("options", [{"ent_coef": "auto"}, {}])
def test_a_restored_soft_actor_critic_goes_on_with_its_replay_buffer(options: Any) -> None:
    game, states, seen = Drift(), np.ones((40, 2), np.float32), []
    whole, first, second = (
        sg.make_follower("sb3", algorithm="SAC", budget=40, options={"learning_starts": 20, **options})
        for _ in range(3)
    )
    for follower in (whole, first, second):
        follower.begin(game, seed=3)
    for follower in (whole, first):
        follower.respond(game, _Pushes())  # type: ignore[arg-type]
    second.load_state_dict(first.state_dict())
    for follower in (whole, second):
        answer = follower.respond(game, _Pushes())  # type: ignore[arg-type]
        seen.append(answer.policy.sample(states, states, Streams.of(0, 40), 0))
    np.testing.assert_array_equal(*seen)


def test_a_third_party_environment_meets_a_third_party_learner() -> None:
    follower = sg.make_follower("sb3", budget=256, options={"learning_rate": 3e-3})
    run = sg.train(Toll(), "policy_gradient", follower, iterations=4, episodes=8, stages=6, progress=False)
    assert run.history[-1]["follower_return"] > run.history[0]["follower_return"] * 0.9
    assert run.history[-1]["follower_transitions"] == 4 * 256


@pytest.mark.parametrize(
    "settings",
    [
        {"algorithm": "PPO"},
        {"algorithm": "A2C", "copies": 2},
        {"algorithm": "SAC", "temperature": 0.1, "options": {"learning_starts": 40, "train_freq": 16}},
    ],
    ids=lambda settings: settings["algorithm"],
)
def test_it_learns_in_games_without_bounds_within_reach(settings: dict[str, Any]) -> None:
    game = sg.make("lqr-v0", horizon=20)
    follower = sg.make_follower("sb3", budget=64, reach=0.2, **settings)
    run = sg.train(game, "policy_gradient", follower, iterations=2, episodes=2, progress=False)
    assert run.history[-1]["follower_transitions"] >= 128
    assert (run.value is not None) == ("temperature" in settings)  # known of a follower with a temperature
    batch = sg.rollout(game, run.commitment, follower.respond(game, run.commitment).policy, episodes=50)
    assert batch.follower_actions.dtype == np.float64
    assert 0.1 < np.abs(batch.follower_actions).max() <= 0.2 + 1e-6


def test_settings_and_games_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for settings in ({"algorithm": "TRPO"}, {"budget": 0}, {"start": "hot"}, {"temperature": 0.0}):
        with pytest.raises(InvalidArgumentError):
            sg.make_follower("sb3", **settings)
    for algorithm, game in (("DQN", Drift()), ("SAC", sg.make("matrix-v0")), ("PPO", sg.make("lqr-v0"))):
        with pytest.raises(UnsupportedGameError, match=algorithm):
            sg.make_follower("sb3", algorithm=algorithm).begin(game)
    for algorithm, name in (("PPO", "matrix-v0"), ("SAC", "guided_pendulum-v0"), ("DQN", "lqr-v0")):
        with pytest.raises(UnsupportedGameError, match=r"reach=2\.0"):
            sg.make_follower("sb3", algorithm=algorithm, reach=2.0).begin(sg.make(name))
    with pytest.raises(InvalidArgumentError, match="reach=0"):
        sg.make_follower("sb3", reach=0.0)
    monkeypatch.setitem(__import__("sys").modules, "stable_baselines3", None)
    with pytest.raises(MissingExtraError, match=r"stackelberg-games\[sb3\]"):
        sg.make_follower("sb3").begin(sg.make("matrix-v0"))


@pytest.mark.parametrize("algorithm", ["PPO", "DQN"])
def test_copies_side_by_side_find_the_response_that_one_finds(algorithm: Any) -> None:
    """A single stage with a dominant reply: any learner ends there, and episodes of the right length are played."""
    game = discrete_toy_v0.game(horizon=4, follower_discount=0.0)
    options = {"PPO": {"learning_rate": 1e-2}, "DQN": {"learning_rate": 1e-2, "learning_starts": 0}}[algorithm]
    follower: Any = sg.make_follower("sb3", algorithm=algorithm, budget=1024, copies=8, options=options)
    follower.begin(game, seed=0)
    answer = follower.respond(game, TabularPolicy(game))
    assert answer.transitions == 1024
    replies = answer.policy.sample(np.zeros(200, np.int64), np.zeros(200, np.int64), Streams.of(0, 200), 0)
    assert (replies != 0).mean() > 0.8  # moving pays 1, staying pays nothing


def test_copies_report_which_episodes_were_cut() -> None:
    game = discrete_toy_v0.game(horizon=3)
    follower: Any = sg.make_follower("sb3", budget=64, copies=2)
    follower.begin(game, seed=0)
    env = follower._environment(game, TabularPolicy(game), 0)
    env.reset()
    for _ in range(3):
        seen, _, over, infos = env.step(np.zeros(2, np.int64))
    assert over.all()
    assert all(info["TimeLimit.truncated"] for info in infos)
    assert infos[0]["terminal_observation"].shape == seen[0].shape


def test_copies_are_refused_where_they_cannot_be_played() -> None:
    with pytest.raises(InvalidArgumentError, match="copies=0"):
        sg.make_follower("sb3", copies=0)
    with pytest.raises(UnsupportedGameError, match="horizon"):
        sg.make_follower("sb3", copies=2).begin(discrete_toy_v0.game(horizon=None), seed=0)


def test_dqn_answers_by_the_softmax_of_its_values() -> None:
    game = discrete_toy_v0.game(horizon=10)
    follower: Any = sg.make_follower("sb3", algorithm="DQN", budget=64, temperature=0.5, softmax=True)
    follower.begin(game, seed=0)
    answer = follower.respond(game, TabularPolicy(game)).policy
    states, leader = np.zeros(4000, np.int64), np.ones(4000, np.int64)
    replies = answer.sample(states, leader, Streams.of(0, 4000), 2)
    codes = np.concatenate([np.eye(3)[[0]], np.eye(2)[[1]]], axis=1).astype(np.float32)
    with torch.no_grad():
        values = follower.model.policy.q_net(torch.from_numpy(codes)).double()
    chances = torch.softmax(values / 0.5, dim=1).numpy()
    counts = np.bincount(replies, minlength=chances.shape[1])
    assert counts_p_value(counts[None], chances) > FALSE_ALARM


def test_a_temperature_that_is_none_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="PPO rewards the entropy of single replies"):
        sg.make_follower("sb3", algorithm="PPO", temperature=0.1)
    for settings in ({"algorithm": "SAC", "temperature": 0.1}, {"algorithm": "DQN"}):
        with pytest.raises(InvalidArgumentError, match="softmax"):
            sg.make_follower("sb3", softmax=True, **settings)

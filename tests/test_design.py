"""Gymnasium environments that the leader designs."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from pettingzoo.test.api_test import api_test

import stackelberg_games as sg
from stackelberg_games.adapters.episodes import episode_seed
from stackelberg_games.adapters.single import Transition
from stackelberg_games.commitments.networks import MLPGaussianPolicy
from stackelberg_games.errors import InvalidActionError, InvalidArgumentError
from stackelberg_games.numerics.randomness import Streams


class Hill(gymnasium.Env[Any, Any]):
    """One step: the agent is paid for what it plays, the leader for how near ``height`` is to 0.7."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, height: float = 0.0, kind: str = "flat") -> None:
        self.height, self.kind = height, kind

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self.np_random.uniform(-1, 1, 1).astype(np.float32), {"height": self.height}

    def step(self, action: Any) -> Any:
        return np.zeros(1, np.float32), float(action), True, False, {"height": self.height, "kind": self.kind}


def near(done: Transition) -> float:
    return -((float(done.info["height"]) - 0.7) ** 2)


def steep(done: Transition) -> float:
    return float(done.info["kind"] == "steep") + done.reward


def set_height(env: Any, values: Any) -> None:
    env.height = values["height"]


class Upright:
    """Leans against the pole; shown observations of any width."""

    def reply(self, observations: Any, streams: Any, stage: int) -> Any:
        return (np.asarray(observations)[:, 2] > 0).astype(np.int64)


UPRIGHT: Any = Upright()


def test_an_episode_is_that_of_the_environment_with_these_attributes() -> None:
    game = sg.design("CartPole-v1", {"gravity": (5.0, 15.0), "force_mag": (5.0, 12.0)}, "reward", into="attributes")
    policy = MLPGaussianPolicy(game, (), std=0.8)
    batch = sg.rollout(game, policy, UPRIGHT, episodes=4, seed=2)
    assert batch.stages == 1
    assert len(np.unique(batch.leader_actions[:, 0, 0])) == 4
    env: Any = gymnasium.make("CartPole-v1")
    for number in range(4):
        env.unwrapped.gravity, env.unwrapped.force_mag = batch.leader_actions[number, 0]
        seen, _ = env.reset(seed=episode_seed(2, number))
        total, over = 0.0, False
        while not over:
            seen, reward, terminated, truncated, _ = env.step(int(seen[2] > 0))
            total, over = total + float(reward), terminated or truncated
        assert batch.leader_rewards[number, 0] == total
    np.testing.assert_array_equal(batch.leader_rewards, batch.follower_rewards)


def test_choices_go_to_the_constructor() -> None:
    game = sg.design({"id": "FrozenLake-v1", "is_slippery": False}, {"map_name": ["4x4"]}, "reward")
    assert game.leader_action_space == gymnasium.spaces.Discrete(1)
    game = sg.design(Hill, {"kind": ["flat", "steep"], "height": [0.0, 0.5, 1.0]}, steep)
    assert game.leader_action_space == gymnasium.spaces.Discrete(6)
    assert game.state_space == gymnasium.spaces.Discrete(1)
    policy = sg.TabularPolicy.from_probabilities((1, 6), [np.full(6, 1 / 6)])
    follower = sg.make_follower("black_box", policy=lambda seen: 1)
    follower.begin(game)
    batch = sg.rollout(game, policy, follower.respond(game, policy).policy, episodes=60, seed=0)
    assert set(batch.leader_actions[:, 0]) == set(range(6))
    np.testing.assert_array_equal(batch.leader_rewards[:, 0], 1 + (batch.leader_actions[:, 0] >= 3))


@pytest.mark.parametrize("sees", [True, False])
def test_the_follower_sees_the_design_where_it_is_to(sees: bool) -> None:
    game = sg.design(Hill, {"height": (0.0, 1.0)}, near, follower_sees_design=sees)
    env = sg.best_response_env(game, MLPGaussianPolicy(game, ()))
    assert env.observation_space.shape == ((2,) if sees else (1,))
    seen, info = env.reset(seed=1)
    assert env.observation_space.contains(seen)
    if sees:
        assert seen[1] == pytest.approx(info.get("height", seen[1]))
        assert 0 < seen[1] < 1
    assert ("and the design" in game.facts["follower sees"]) == sees


@pytest.mark.parametrize("into", ["constructor", "attributes", set_height])
@pytest.mark.parametrize("leader", ["policy_gradient", "evolution_strategies", "random_search"])
def test_leaders_find_the_design(leader: str, into: Any) -> None:
    game = sg.design(Hill, {"height": (0.0, 1.0)}, near, into=into)
    made = sg.make_leader(leader, **({"learning_rate": 0.1} if leader == "policy_gradient" else {}))
    run = sg.train(
        game,
        made,
        sg.make_follower("black_box", policy=lambda seen: 1),
        iterations=60,
        episodes=5,
        progress=False,
        seed=0,
    )
    heights = run.commitment.sample(np.zeros(200, np.int64), Streams.of(1, 200), 0)
    assert abs(float(np.mean(heights)) - 0.7) < 0.12


def test_its_faces_pass_the_checks() -> None:
    game = sg.design("CartPole-v1", {"gravity": (-5.0, 15.0)}, "reward", into="attributes", horizon=20)
    env = game.env()
    api_test(env, num_cycles=30)  # type: ignore[no-untyped-call]
    env.reset(seed=0)
    with pytest.raises(InvalidActionError, match=r"expected \('gravity',\)"):
        env.step(np.array([99.0]))
    check_env(sg.best_response_env(game, MLPGaussianPolicy(game, ())), skip_render_check=True)


def test_designs_that_cannot_be_made_are_refused_at_once() -> None:
    with pytest.raises(InvalidArgumentError, match="no attribute 'weight'"):
        sg.design("CartPole-v1", {"weight": (0.0, 1.0)}, "reward", into="attributes")
    with pytest.raises(InvalidArgumentError, match="into='attributes' sets attributes"):
        sg.design("CartPole-v1", {"gravity": (1.0, 9.0)}, "reward")
    with pytest.raises(InvalidArgumentError, match="list some numbers of each range"):
        sg.design(Hill, {"height": (0.0, 1.0), "kind": ["flat"]}, "reward")
    for bounds in ((1.0, 0.0), (0.0, math.inf), 3, {"low": 0.0}):
        with pytest.raises(InvalidArgumentError, match="expected finite bounds"):
            sg.design(Hill, {"height": bounds}, "reward")
    with pytest.raises(InvalidArgumentError, match="expected names with bounds"):
        sg.design(Hill, {}, "reward")
    with pytest.raises(InvalidArgumentError, match="at least one choice"):
        sg.design(Hill, {"kind": []}, "reward")
    with pytest.raises(InvalidArgumentError, match="expected 'constructor'"):
        sg.design(Hill, {"height": (0.0, 1.0)}, "reward", into="soul")
    with pytest.raises(InvalidArgumentError, match="one follower plays alike spaces"):
        sg.design("FrozenLake-v1", {"map_name": ["4x4", "8x8"]}, "reward")


def test_a_design_is_made_again_from_its_names() -> None:
    game = sg.design(Hill, {"height": (0.0, 1.0)}, near, into=set_height, horizon=5)
    assert game.spec is not None
    again = sg.design(**game.spec[1])
    assert again.fingerprint() == game.fingerprint()
    assert sg.design(Hill, {"height": (0.0, 0.5)}, near).fingerprint() != game.fingerprint()
    assert not sg.design(lambda: Hill(), {"height": (0.0, 1.0)}, near, into="attributes").lasting

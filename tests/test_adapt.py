"""``sg.adapt``: who is who, who sees what, masks, stages; and what is refused when it is adapted."""

from __future__ import annotations

import importlib
import warnings
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
import pytest
import torch
from gymnasium import spaces
from pettingzoo.test.api_test import api_test
from pettingzoo.test.seed_test import seed_test
from pettingzoo.utils.wrappers import BaseWrapper

import stackelberg_games as sg
from stackelberg_games.adapters.black_box import StrangerPolicy
from stackelberg_games.adapters.episodes import episode_seed
from stackelberg_games.adapters.policies import ask
from stackelberg_games.adapters.spaces import Moves
from stackelberg_games.commitments.networks import MLPCategoricalPolicy
from stackelberg_games.errors import (
    FollowerError,
    InvalidActionError,
    InvalidArgumentError,
    InvalidGameError,
    UnsupportedGameError,
)
from stackelberg_games.rules.masks import MaskedBox
from tests.foreign_env import Toll

TAG = "mpe2.simple_tag_v3:parallel_env"
HUNTERS = ["adversary_0", "adversary_1", "adversary_2"]
TICTACTOE = "classic/tictactoe-v3"


class Market(pettingzoo.AECEnv[str, Any, Any]):
    """A platform sets a price, two drivers answer, the platform again ...; the second driver only on odd rounds.

    The platform is paid 1 for its own move, 10 for each of the first driver's and 100 for each of the second's; the
    drivers are paid the price. A third party, ``city``, moves first and is paid nothing.
    """

    metadata = {"name": "market_v0", "render_modes": [], "is_parallelizable": False}  # noqa: RUF012

    def __init__(self, rounds: int = 3, told: bool = True) -> None:
        self.rounds, self.told, self.render_mode = rounds, told, None
        self.possible_agents = ["city", "platform", "driver a", "driver b"]
        self.spaces = {agent: spaces.Discrete(3) for agent in self.possible_agents}
        self.seen = spaces.MultiDiscrete([20, 4])

    def observation_space(self, agent: str) -> Any:
        return self.seen

    def action_space(self, agent: str) -> Any:
        return self.spaces[agent]

    def observe(self, agent: str) -> Any:
        return np.array([self.count, self.price + 1 if self.told and agent != "platform" else 0])

    def reset(self, seed: int | None = None, options: Any = None) -> None:
        self.agents = self.possible_agents[:]
        self.rewards, self._cumulative_rewards = dict.fromkeys(self.agents, 0.0), dict.fromkeys(self.agents, 0.0)
        self.terminations, self.truncations = dict.fromkeys(self.agents, False), dict.fromkeys(self.agents, False)
        self.infos: Any = {agent: {} for agent in self.agents}
        self.count, self.price = 0, -1
        self.order = ["city"]
        for number in range(self.rounds):
            self.order += ["platform", "driver a", *(["driver b"] if number % 2 else [])]
        self.agent_selection = self.order[0]

    def step(self, action: Any) -> None:
        agent = self.agent_selection
        if self.truncations[agent]:
            self._was_dead_step(action)
            return
        self._cumulative_rewards[agent] = 0.0
        worth = {"platform": 1.0, "driver a": 10.0, "driver b": 100.0, "city": 0.0}[agent]
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self.rewards["platform"] = worth
        if agent.startswith("driver"):
            self.rewards[agent] = float(self.price)
        if agent == "platform":
            self.price = int(action)
        self.count += 1
        self._accumulate_rewards()
        if self.count == len(self.order):
            self.truncations = dict.fromkeys(self.agents, True)
            self.agent_selection = self.agents[0]
        else:
            self.agent_selection = self.order[self.count]

    def close(self) -> None:
        pass


class Fixed:
    """Answers with one action, whatever it is shown."""

    def __init__(self, action: int = 1) -> None:
        self.action = action

    def reply(self, observations: Any, streams: Any, stage: int, masks: Any = None) -> Any:
        return np.full(len(observations), self.action)


FIXED: Any = Fixed()


def market(**settings: Any) -> Any:
    known = {"leader": "platform", "follower": ["driver a", "driver b"], "others": {"city": 2}}
    return sg.adapt(Market, **{**known, **settings})


def predicting(observation: Any) -> int:
    """The policy of a further agent, found by its name."""
    return 1


def test_a_stage_lasts_from_one_move_of_the_leader_to_its_next_and_discounts_count_stages() -> None:
    game = market()
    commitment = MLPCategoricalPolicy(game, ())
    batch = sg.rollout(game, commitment, FIXED, episodes=2, seed=0)
    assert batch.lengths.tolist() == [3, 3]
    np.testing.assert_array_equal(batch.leader_rewards[0, :3], [11.0, 111.0, 11.0])
    prices = batch.leader_actions[0, :3]
    assert batch.follower_rewards is not None
    np.testing.assert_array_equal(batch.follower_rewards[0, :3], prices * [1, 2, 1])
    assert batch.leader_returns(0.5)[0] == 11 + 0.5 * 111 + 0.25 * 11
    assert not batch.terminated.any()
    np.testing.assert_array_equal(game.table.recorded_space.n, 4**2)
    assert [divmod(int(code), 4) for code in batch.follower_actions[0, :3]] == [(1, 3), (1, 1), (1, 3)]


def test_facts_say_who_is_who_and_enter_the_fingerprint() -> None:
    game = market(shared="driver b")
    text = str(game)
    for line in ("platform", "driver a, driver b", "city: 2", "that of driver b", "sees the leader's move"):
        assert line in text
    assert game.state_space.shape[0] == 2 * market().state_space.shape[0]
    prints = {market(**settings).fingerprint() for settings in ({}, {"shared": "driver b"}, {"others": "uniform"})}
    assert len(prints) == 3


@pytest.mark.parametrize("policy", ["uniform", 0, predicting, "tests.test_adapt:predicting", lambda seen, mask: 2])
def test_further_agents_are_played(policy: Any) -> None:
    game = market(others={"city": policy})
    assert sg.rollout(game, MLPCategoricalPolicy(game, ()), FIXED, episodes=1).lengths[0] == 3
    assert game.lasting == isinstance(policy, str | int)


def test_whether_the_follower_sees_the_move_is_found_out_and_a_change_is_asked_for() -> None:
    assert market().follower_sees_action
    hidden = partial(Market, told=False)
    with pytest.warns(UserWarning, match="does not see the leader's move .* makes another game"):
        game = sg.adapt(hidden, "platform", ["driver a", "driver b"], others="uniform")
    assert not game.follower_sees_action
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = sg.adapt(
            hidden, "platform", ["driver a", "driver b"], others="uniform", follower_sees_action=True, horizon=3
        )
        sg.adapt("classic/rps-v2", "player_0", "player_1", follower_sees_action=False)
    assert "because the adapter shows it" in told.facts["follower sees"]
    env: Any = sg.best_response_env(told, MLPCategoricalPolicy(told, ()))
    seen, _ = env.reset(seed=0)
    assert seen[-3:].sum() == 1  # the move of the stage, one of three
    with pytest.raises(InvalidGameError, match="wrap the environment to hide it"):
        market(follower_sees_action=False)


def test_a_parallel_environment_is_simultaneous_unless_it_is_asked_to_be_otherwise() -> None:
    with pytest.warns(UserWarning, match="does not see"):
        game = sg.adapt(TAG, "agent_0", HUNTERS)
    assert not game.follower_sees_action
    raw: Any = importlib.import_module("mpe2.simple_tag_v3").parallel_env()
    batch = sg.rollout(game, MLPCategoricalPolicy(game, ()), FIXED, episodes=1, seed=4, stages=5)
    seen, _ = raw.reset(seed=episode_seed(4, 0))
    for stage in range(5):
        np.testing.assert_array_equal(batch.states[0, stage], seen["agent_0"])
        moves = {"agent_0": int(batch.leader_actions[0, stage]), **dict.fromkeys(HUNTERS, 1)}
        seen, paid, *_ = raw.step(moves)
        assert batch.leader_rewards[0, stage] == pytest.approx(paid["agent_0"])
        assert batch.follower_rewards is not None
        assert batch.follower_rewards[0, stage] == pytest.approx(sum(paid[agent] for agent in HUNTERS))


def test_its_face_has_our_names_and_passes_pettingzoos_tests() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        game = sg.adapt(TAG, "agent_0", HUNTERS)
        env = game.env()
        assert env.possible_agents == ["leader_0", "follower_0", "follower_1", "follower_2"]
        api_test(env, num_cycles=40)  # type: ignore[no-untyped-call]
        seed_test(game.env, num_cycles=40)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "leader", ["policy_gradient", "bchg", "evolution_strategies", "random_search", "bi_actor_critic"]
)
@pytest.mark.parametrize("follower", ["black_box", "masked"])
def test_every_leader_and_follower_obeys_masks(leader: str, follower: str) -> None:
    moves = {"legal": 0}

    class Counting(BaseWrapper):  # type: ignore[type-arg]
        def step(self, action: Any) -> None:
            if action is not None:
                seen: Any = self.env.observe(self.env.agent_selection)
                mask = seen["action_mask"]
                assert mask[action] == 1
                moves["legal"] += 1
            self.env.step(action)

    def make() -> Any:
        return Counting(pettingzoo.make("aec", TICTACTOE))

    game = sg.adapt(make, "player_1", "player_2", temperature=0.1)
    assert isinstance(game.state_space, MaskedBox)
    chosen = (
        sg.make_follower("sb3", algorithm="MaskablePPO", budget=32)
        if follower == "masked"
        else sg.make_follower("black_box", practice=1)
    )
    sg.train(game, leader, chosen, iterations=2, episodes=3, stages=5, progress=False)
    assert moves["legal"] > 40


def test_who_knows_no_masks_is_refused_before_anything_is_played() -> None:
    game = sg.adapt(TICTACTOE, "player_1", "player_2")
    with pytest.raises(UnsupportedGameError, match="algorithm='MaskablePPO'"):
        sg.train(game, "random_search", "sb3", iterations=1, progress=False)

    class Unmasked:
        def predict(self, observation: Any, deterministic: bool = True) -> Any:
            return 0, None

    with pytest.raises(UnsupportedGameError, match="takes no masks"):
        sg.train(game, "random_search", Unmasked(), iterations=1, progress=False)

    def illegal(*turn: Any) -> Any:
        return None if turn[2] or turn[3] else int(np.flatnonzero(1 - turn[0]["action_mask"])[0])

    with pytest.raises(FollowerError, match="mask of 'player_2' forbids"):
        sg.rollout(game, MLPCategoricalPolicy(game, ()), StrangerPolicy(illegal), episodes=1)
    with pytest.raises(UnsupportedGameError, match="forbids no actions"):
        sg.train(market(), "random_search", sg.make_follower("sb3", algorithm="MaskablePPO"), iterations=1)


def test_the_temperature_is_an_argument_and_without_one_leaders_that_cannot_estimate_it_refuse() -> None:
    with pytest.raises(UnsupportedGameError, match=r"24 coordinates.* sg\.adapt one"):
        sg.train(market(), "bchg", sg.make_follower("sb3", budget=16), iterations=1, progress=False)
    game = market(temperature=0.3)
    sg.train(game, "bchg", sg.make_follower("sb3", budget=16), iterations=1, episodes=2, progress=False)
    with pytest.raises(InvalidArgumentError, match="temperature=0"):
        market(temperature=0)


def test_an_object_trains_and_lasts_no_longer(tmp_path: Path) -> None:
    game = sg.adapt(Market(), "platform", ["driver a", "driver b"], others="uniform")
    sg.train(game, "random_search", "black_box", iterations=2, episodes=2, progress=False)
    with pytest.raises(InvalidArgumentError, match="only trains"):
        sg.train(game, "random_search", "black_box", iterations=1, directory=tmp_path, progress=False)
    with pytest.raises(InvalidArgumentError, match="only trains"):
        sg.Tournament(games=[game], leaders=["random_search"], followers=["black_box"])


def test_a_game_of_names_is_made_again() -> None:
    game = market(horizon=3, shared="driver a")
    assert game.spec is not None
    again = sg.adapt(**game.spec[1])
    assert again.fingerprint() == game.fingerprint()
    assert str(again) == str(game)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"leader": "nobody"}, InvalidGameError, "no 'nobody' as leader"),
        ({"follower": "nobody"}, InvalidGameError, "no 'nobody' as follower"),
        ({"follower": "platform"}, InvalidArgumentError, "named twice"),
        ({"others": None}, InvalidGameError, "city"),
        ({"others": {"mayor": 1}}, InvalidGameError, "mayor"),
        ({"others": {"city": 7}}, InvalidActionError, "expected an action"),
        ({"others": {"city": "no_such_policy"}}, InvalidArgumentError, "expected 'uniform', an action"),
        ({"shared": "mayor"}, InvalidGameError, "as shared"),
        ({"leader_discount": 1.0}, InvalidGameError, "leader_discount"),
        ({"horizon": 0}, InvalidGameError, "horizon"),
        ({"follower_sees_action": "no"}, InvalidArgumentError, "expected True or False or None"),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_adapted(settings: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        market(**settings)


def test_unequal_followers_unreadable_spaces_and_wrong_sources_are_refused_when_adapted() -> None:
    class Text(Toll):
        def observation_space(self, agent: Any) -> Any:
            return spaces.Text(5)

    with pytest.raises(UnsupportedGameError, match="Gymnasium does not flatten"):
        sg.adapt(Text)

    class Unequal(Market):
        def action_space(self, agent: str) -> Any:
            return spaces.Discrete(2) if agent == "driver b" else self.spaces[agent]

    with pytest.raises(UnsupportedGameError, match="one learner plays agents that act alike"):
        sg.adapt(Unequal, "platform", ["driver a", "driver b"], others="uniform")
    with pytest.raises(InvalidArgumentError, match=r"sg\.incentives"):
        sg.adapt(lambda: gymnasium.make("CartPole-v1"))
    with pytest.raises(InvalidArgumentError, match="not registered with PettingZoo"):
        sg.adapt("no/such-v0")
    with pytest.raises(InvalidArgumentError, match="cannot be imported"):
        sg.adapt("no.such.module:env")


class Module:
    """As RLlib's: from a batch of observations to the parameters of distributions."""

    def forward_inference(self, batch: dict[str, Any]) -> dict[str, Any]:
        assert batch["obs"].shape[0] == 1
        return {"action_dist_inputs": torch.tensor([[0.0, 3.0, 1.0]])}


class OnTheNewStack:
    """As RLlib's algorithms are there: asked for one action it fails, its module answers."""

    def __init__(self) -> None:
        self.config = SimpleNamespace(enable_env_runner_and_connector_v2=True)

    def compute_single_action(self, observation: Any) -> Any:
        raise AttributeError("no attribute 'get_policy'")

    def get_module(self) -> Module:
        return Module()


class OnTheOldStack:
    """An algorithm or a policy of RLlib's old stack; a policy answers with its state beside the action."""

    def compute_single_action(self, observation: Any) -> Any:
        return 1, [], {}


@pytest.mark.parametrize(
    "policy", [Module(), OnTheNewStack(), OnTheOldStack()], ids=lambda policy: type(policy).__name__
)
def test_policies_of_rllib_are_asked_their_way(policy: Any) -> None:
    call = ask(policy, Moves("driver", spaces.Discrete(3)))
    assert call(np.zeros(2), None) == 1
    with pytest.raises(InvalidActionError, match="which its mask forbids"):
        ask(OnTheOldStack(), Moves("driver", spaces.Discrete(3)))(np.zeros(2), np.array([True, False, True]))
    masked = ask(Module(), Moves("driver", spaces.Discrete(3)))
    assert masked(np.zeros(2), np.array([True, False, True])) == 2

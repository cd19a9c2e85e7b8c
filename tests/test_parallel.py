"""The Parallel faces: alternating turns, and plans that reply to every move of the leader."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from pettingzoo.utils.conversions import parallel_to_aec
from supersuit import agent_indicator_v0, concat_vec_envs_v1, pad_action_space_v0, pad_observations_v0
from supersuit import pettingzoo_env_to_vec_env_v1 as to_vec_env

import stackelberg_games as sg
from stackelberg_games.envs import discrete_toy_v0, matrix_v0, random_game_v0
from stackelberg_games.errors import InvalidActionError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.kinds.game import Game
from stackelberg_games.play.rollout import rollout
from tests.face_checks import TABLES, Drift, Hands, Row, Table, copies, module, official, quick, same

LEADER, FOLLOWER = "leader_0", "follower_0"
pytestmark = pytest.mark.filterwarnings(
    "ignore:Observations are different shapes",
    "ignore:Observation is a single number",
    "ignore:Agent's .*imum (action|observation) space value",
    "ignore:Environment's .*imum state space value",
    "ignore:Action space for each agent probably",  # replies are MultiDiscrete
    "ignore:The class of action spaces",
)
games = pytest.mark.parametrize("game_id", sg.games())
forms = pytest.mark.parametrize("form", ["turns", "plan"])


def plannable(game: Game) -> bool:
    discrete = [isinstance(s, spaces.Discrete) for s in (game.leader_action_space, game.follower_action_space)]
    return game.configuration_space is None and (all(discrete) or not game.follower_sees_action)


def made(game_id: str, form: Any) -> Game:
    """A game that has the form; a continuous or a configured one must refuse a plan."""
    game = sg.make(game_id)
    if form == "plan" and not plannable(game):
        with pytest.raises(UnsupportedGameError):
            game.parallel_env(form)
        pytest.skip("no plan form")
    return game


def sampled(env: Any, steps: int) -> list[Any]:
    """What sampled actions bring, until the end at most."""
    seen = []
    for _ in range(steps):
        if not env.agents:
            break
        actions = {agent: env.action_space(agent).sample() for agent in env.agents}
        observations, rewards, terminated, truncated, infos = env.step(actions)
        shown = {agent: observation.tolist() for agent, observation in observations.items()}
        active = {agent: info.get("moving") for agent, info in infos.items()}
        seen.append((shown, rewards, terminated, truncated, active))
    return seen


@games
@forms
def test_passes_the_official_tests(game_id: str, form: Any) -> None:
    game = made(game_id, form)
    official.parallel_api_test(game.parallel_env(form), num_cycles=200)
    official.parallel_seed_test(lambda: game.parallel_env(form), num_cycles=100)
    official.seed_test(lambda: parallel_to_aec(game.parallel_env(form)), num_cycles=200)
    official.api_test(parallel_to_aec(game.parallel_env(form)), num_cycles=100)
    official.state_test(game.env(), game.parallel_env(form))


@forms
def test_passes_the_official_render_test(form: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    game = discrete_toy_v0.game()
    official.render_test(lambda render_mode: parallel_to_aec(quick(game.parallel_env(form, render_mode))))


def test_the_turns_form_counts_its_steps_exactly() -> None:
    # The official test expects as many cycles as stages; a stage of two turns takes two.
    wanted = module("discrete_toy-v0")
    turns = wanted.parallel_env
    wanted.parallel_env = lambda max_cycles: turns(max_cycles=max_cycles // 2)
    official.max_cycles_test(wanted)


@pytest.mark.parametrize("name", TABLES)
@forms
def test_plays_the_episodes_of_rollout(name: str, form: Any) -> None:
    table = Table.of(TABLES[name]())
    if form == "plan" and not plannable(table.game):
        pytest.skip("no plan form")
    stages = min(table.game.stages(), 40)
    batch = rollout(table.game, table.leader, table.follower, episodes=3, seed=7, stages=stages)
    env: Any = table.game.parallel_env(form)
    play = {"turns": turns_round, "plan": plan_round}[form]
    for episode in range(3):
        env.reset(seed=7 if episode == 0 else None)
        hands, rows = Hands(table, 7, episode), list[Row]()
        while len(rows) < stages and env.agents:
            rows.append(play(env, hands))
        same(rows, env.get_state(), batch, episode)


def turns_round(env: Any, hands: Hands) -> Row:
    before = env.get_state()
    if before.pending is None:
        _, rewards, *_ = env.step({LEADER: hands.leader(before), FOLLOWER: "whatever a waiting player says"})
        assert rewards == {LEADER: 0.0, FOLLOWER: 0.0}
    move = env.get_state().pending
    reply = hands.follower(before, move)
    _, rewards, *_ = env.step({FOLLOWER: reply})
    return before.states[0], move, reply, rewards[LEADER], rewards[FOLLOWER]


def plan_round(env: Any, hands: Hands) -> Row:
    before, game = env.get_state(), env.game
    move = hands.leader(before)
    reply = plan = hands.follower(before, move)
    if game.follower_sees_action:
        plan = [hands.follower(before, a) for a in range(game.leader_action_space.n)]
        reply = plan[move]
    _, rewards, *_ = env.step({LEADER: move, FOLLOWER: plan})
    return before.states[0], move, reply, rewards[LEADER], rewards[FOLLOWER]


def test_turns_say_whose_turn_it_is_from_reset_on() -> None:
    env: Any = discrete_toy_v0.parallel_env(max_cycles=1)
    observations, infos = env.reset(seed=0)
    assert {agent: info["moving"] for agent, info in infos.items()} == {LEADER: True, FOLLOWER: False}
    assert [o[-1] for o in observations.values()] == [1, 0]
    assert infos[LEADER]["action_mask"].tolist() == [1, 1]
    assert infos[FOLLOWER]["action_mask"].tolist() == [1, 0, 0]
    assert infos[LEADER]["action_mask"].dtype == np.int8
    observations, _, terminated, truncated, infos = env.step({LEADER: 1, FOLLOWER: 0})
    assert (infos[LEADER]["moving"], infos[FOLLOWER]["moving"]) == (False, True)
    assert observations[LEADER].tolist() == [1, 0, 0, 0]
    assert observations[FOLLOWER].tolist() == [1, 0, 0, 0, 1, 1]
    assert infos[LEADER]["action_mask"].tolist() == [1, 0]
    assert infos[FOLLOWER]["action_mask"].tolist() == [1, 1, 1]
    assert not any(truncated.values())
    *_, terminated, truncated, infos = env.step({FOLLOWER: 1})
    assert truncated == {LEADER: True, FOLLOWER: True}
    assert terminated == {LEADER: False, FOLLOWER: False}
    assert not infos[LEADER]["moving"]
    assert env.agents == []
    assert env.step({}) == ({}, {}, {}, {}, {})
    with pytest.raises(InvalidActionError, match="reset"):
        env.step({LEADER: 0})


def test_masks_are_fresh() -> None:
    env: Any = discrete_toy_v0.parallel_env()
    _, infos = env.reset(seed=0)
    infos[FOLLOWER]["action_mask"][:] = 1
    _, infos = env.reset(seed=0)
    assert infos[FOLLOWER]["action_mask"].tolist() == [1, 0, 0]


def test_a_plan_is_a_reply_to_every_move() -> None:
    env: Any = matrix_v0.game("letchford", follower_sees_action=True).parallel_env("plan")
    assert env.action_space(FOLLOWER) == spaces.MultiDiscrete([2, 2])
    observations, _ = env.reset(seed=0)
    assert [o.tolist() for o in observations.values()] == [[1.0], [1.0]]
    _, rewards, *_ = env.step({LEADER: 0, FOLLOWER: [1, 0]})
    assert rewards == {LEADER: 3.0, FOLLOWER: 0.0}
    env.reset()
    _, rewards, *_ = env.step({LEADER: 1, FOLLOWER: np.array([1, 0])})
    assert rewards == {LEADER: 0.0, FOLLOWER: 0.0}


def test_a_blind_follower_plans_one_action() -> None:
    env: Any = matrix_v0.game("letchford").parallel_env("plan")
    assert env.action_space(FOLLOWER) == spaces.Discrete(2)
    env.reset(seed=0)
    assert env.step({LEADER: 0, FOLLOWER: 1})[1] == {LEADER: 3.0, FOLLOWER: 0.0}


def test_a_plan_needs_discrete_actions_only_where_moves_are_seen() -> None:
    with pytest.raises(UnsupportedGameError, match="form='turns'"):
        Drift().parallel_env("plan")
    assert Drift(follower_sees_action=False).parallel_env("plan").action_space(FOLLOWER).shape == (1,)


@pytest.mark.parametrize(
    ("form", "actions", "message"),
    [
        ("turns", {LEADER: 2}, "leader_0 submitted 2"),
        ("turns", {FOLLOWER: 0}, "no action for leader_0"),
        ("plan", {LEADER: 2, FOLLOWER: [0, 0]}, "leader_0 submitted 2"),
        ("plan", {LEADER: 0, FOLLOWER: [0, 3]}, "follower_0 submitted"),
        ("plan", {LEADER: 0, FOLLOWER: [0.0, 1.0]}, "follower_0 submitted"),
        ("plan", {LEADER: 0, FOLLOWER: [0]}, "follower_0 submitted"),
        ("plan", {LEADER: 0}, "no action for follower_0"),
    ],
)
def test_refused_actions_change_nothing(form: Any, actions: dict[str, Any], message: str) -> None:
    env: Any = discrete_toy_v0.parallel_env(form=form)
    env.reset(seed=0)
    before = env.get_state()
    with pytest.raises(InvalidActionError, match=message):
        env.step(actions)
    assert env.get_state() == before


def test_refuses_an_unknown_form() -> None:
    with pytest.raises(InvalidArgumentError, match="form='both'"):
        discrete_toy_v0.parallel_env(form="both")


@forms
@pytest.mark.parametrize("steps", [0, 3, 6, 20])
def test_copies_keep_a_running_episode(form: Any, steps: int) -> None:
    game = random_game_v0.game(8, horizon=8, seed=5)
    env: Any = game.parallel_env(form)
    env.reset(seed=2)
    for agent in (LEADER, FOLLOWER):
        env.action_space(agent).seed(1)
    sampled(env, steps)
    other: Any = game.parallel_env(form)
    other.set_state(env.get_state())
    twins = {**copies(env), "set_state": other}
    for twin in (env, *twins.values()):
        for agent in (LEADER, FOLLOWER):
            twin.action_space(agent).seed(8)
    going_on = sampled(env, 40)
    assert all(sampled(twin, 40) == going_on for twin in twins.values())
    assert going_on or steps == 20


def test_names_tell_the_forms_apart() -> None:
    game = discrete_toy_v0.game()
    assert str(game.parallel_env()) == "discrete_toy_v0"
    assert str(game.parallel_env("plan")) == "discrete_toy_plan_v0"


def test_turns_take_supersuit_padding_and_vectorisation() -> None:
    padded = pad_action_space_v0(pad_observations_v0(discrete_toy_v0.parallel_env()))
    official.parallel_api_test(agent_indicator_v0(padded), num_cycles=50)
    batch = concat_vec_envs_v1(to_vec_env(padded), 2, num_cpus=0, base_class="gymnasium")
    observations, _ = batch.reset(seed=0)
    assert observations.shape == (4, 6)
    observations, *_ = batch.step(np.array([1, 0, 1, 0]))
    # The leader's observation is two entries shorter, so its flag stands before the padding.
    assert observations[::2, 3].tolist() == [0, 0]
    assert observations[1::2, 5].tolist() == [1, 1]

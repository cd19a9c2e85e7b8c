"""Equal spaces for both players: zeros beside observations, masks over actions that are not there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from pettingzoo.utils.conversions import parallel_to_aec

import stackelberg_games as sg
from stackelberg_games.commitments.space import BudgetBox
from stackelberg_games.envs import discrete_toy_v0, matrix_v0
from stackelberg_games.errors import InvalidActionError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.faces.padding import Padding
from tests.face_checks import Drift, copies, official
from tests.plain_env import FOLLOWER, LEADER, Ferry, wrapped

pytestmark = pytest.mark.filterwarnings(
    "ignore:Observation space for each agent probably",
    "ignore:Observation is not a NumPy array",
    "ignore:Agent's .*imum (action|observation) space value",
)


@pytest.mark.parametrize("masks", ["info", "observation"])
@pytest.mark.parametrize("roles", [False, True])
def test_every_face_passes_the_official_tests(masks: Any, roles: bool) -> None:
    game = discrete_toy_v0.game(horizon=6)
    for env in (game.env(), game.raw_env(), wrapped(Ferry()), Drift().env()):
        official.api_test(sg.homogenize(env, masks=masks, roles=roles), num_cycles=30)
    turns = sg.homogenize(game.parallel_env(), masks=masks, roles=roles)
    if masks == "observation":  # the official test looks for masks nowhere else
        official.parallel_api_test(turns, num_cycles=30)
    official.api_test(parallel_to_aec(turns), num_cycles=30)


def test_observations_are_padded_with_zeros_and_tell_the_role() -> None:
    env: Any = sg.homogenize(discrete_toy_v0.env(), roles=True)
    env.reset(seed=0)
    assert env.observe(LEADER).tolist() == [1, 0, 0, 0, 0, 1, 0]
    env.step(1)
    assert env.observe(FOLLOWER).tolist() == [1, 0, 0, 0, 1, 0, 1]
    assert env.observation_space(LEADER) == env.observation_space(FOLLOWER)
    assert env.observation_space(LEADER) is env.observation_space(LEADER)
    assert env.observation_space(LEADER) is not env.observation_space(FOLLOWER)


def test_masks_hide_the_actions_that_are_not_there() -> None:
    env: Any = sg.homogenize(discrete_toy_v0.env())
    env.reset(seed=0)
    assert env.action_space(LEADER) == env.action_space(FOLLOWER) == spaces.Discrete(3)
    assert env.infos[LEADER]["action_mask"].tolist() == [1, 1, 0]
    assert env.infos[FOLLOWER]["action_mask"].tolist() == [1, 1, 1]
    assert env.infos[LEADER]["action_mask"].dtype == np.int8
    drawn = {int(env.action_space(LEADER).sample(env.infos[LEADER]["action_mask"])) for _ in range(50)}
    assert drawn == {0, 1}
    with pytest.raises(InvalidActionError, match="leader_0 submitted 2: it has 2 actions"):
        env.step(2)
    assert env.agent_selection == LEADER


def test_masks_of_the_environment_are_kept() -> None:
    turns: Any = sg.homogenize(discrete_toy_v0.parallel_env(), masks="observation")
    observations, infos = turns.reset(seed=0)
    assert observations[FOLLOWER]["action_mask"].tolist() == [1, 0, 0]
    assert "action_mask" not in infos[FOLLOWER]
    assert not infos[FOLLOWER]["moving"]
    observations, *_ = turns.step({LEADER: 1, FOLLOWER: 2})
    assert observations[LEADER]["action_mask"].tolist() == [1, 0, 0]


def test_a_waiting_player_may_submit_anything_but_the_mover_may_not() -> None:
    turns: Any = sg.homogenize(discrete_toy_v0.parallel_env())
    turns.reset(seed=0)
    turns.step({LEADER: 1, FOLLOWER: 99})
    with pytest.raises(InvalidActionError, match="follower_0 submitted 99"):
        turns.step({LEADER: 99, FOLLOWER: 99})
    turns.step({LEADER: 99, FOLLOWER: 2})


def test_it_plays_the_episodes_of_the_environment() -> None:
    game = discrete_toy_v0.game(horizon=20)
    mine: Any = sg.homogenize(game.env())
    theirs: Any = game.env()
    for env in (mine, theirs):
        env.reset(seed=4)
    while theirs.agents:
        assert mine.agent_selection == theirs.agent_selection
        expected, reward, terminated, truncated, _ = theirs.last()
        seen, *rest, _ = mine.last()
        assert rest == [reward, terminated, truncated]
        assert seen[: len(expected)].tolist() == expected.tolist()
        over = terminated or truncated
        action = None if over else int(theirs.action_space(theirs.agent_selection).sample())
        mine.step(action)
        theirs.step(action)
    assert mine.agents == []


def test_continuous_actions_are_scaled() -> None:
    env: Any = sg.homogenize(Drift().env())
    env.reset(seed=0)
    assert env.action_space(LEADER) == env.action_space(FOLLOWER) == spaces.Box(-1.0, 1.0, (2,), np.float32)
    env.step(np.array([1.0, -1.0]))
    assert env.unwrapped.get_state().episode.pending.tolist() == [2.0, -1.0]
    with pytest.raises(InvalidActionError, match=r"\[-1, 1\]"):
        env.step(np.array([1.5, 0.0]))
    env.step(np.array([0.0, 7.0]))  # the follower has one entry


def test_actions_that_do_not_start_at_zero_are_shifted() -> None:
    box = spaces.Box(0, 1, (1,), np.float32)
    padding = Padding({"a_0": box, "b_0": box}, {"a_0": spaces.Discrete(2, start=5), "b_0": spaces.Discrete(3)})
    assert padding.action("a_0", 1) == 6
    assert padding.mask("a_0").tolist() == [1, 1, 0]


@pytest.mark.parametrize("form", ["aec", "parallel"])
def test_copies_keep_a_running_episode(form: str) -> None:
    env: Any = sg.homogenize(discrete_toy_v0.env() if form == "aec" else discrete_toy_v0.parallel_env())
    env.reset(seed=0)
    env.step(1 if form == "aec" else {LEADER: 1})
    for twin in copies(env).values():
        assert twin.state().tolist() == env.state().tolist()
        twin.step(2 if form == "aec" else {FOLLOWER: 2})


def test_other_spaces_and_arguments_are_refused() -> None:
    with pytest.raises(UnsupportedGameError, match="Discrete only"):
        sg.homogenize(matrix_v0.game("letchford", follower_sees_action=True).parallel_env("plan"))
    with pytest.raises(UnsupportedGameError, match="expected a Box"):
        Padding({"a_0": spaces.Discrete(2)}, {"a_0": spaces.Discrete(2)})
    boxes = {LEADER: BudgetBox(1.0, 2), FOLLOWER: spaces.Box(-1, 1, (1,), np.float32)}
    with pytest.raises(UnsupportedGameError, match=r"BudgetBox\(1, 2\): .* exceed the budget"):
        Padding(dict.fromkeys(boxes, spaces.Box(0, 1, (1,), np.float32)), boxes)
    with pytest.raises(InvalidArgumentError, match="masks='both'"):
        sg.homogenize(discrete_toy_v0.env(), masks="both")  # type: ignore[call-overload]
    with pytest.raises(InvalidArgumentError, match="neither"):
        sg.homogenize(3)  # type: ignore[call-overload]

"""The AEC face: PettingZoo's own tests, and what they do not look at."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from pettingzoo.utils.conversions import aec_to_parallel
from supersuit import agent_indicator_v0, dtype_v0, frame_stack_v1, pad_action_space_v0, pad_observations_v0

import stackelberg_games as sg
from stackelberg_games.envs import discrete_toy_v0, matrix_v0, random_game_v0
from stackelberg_games.errors import InvalidActionError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.faces.aec import StackelbergEnv
from stackelberg_games.faces.episode import Actions
from stackelberg_games.play.rollout import rollout
from tests.face_checks import TABLES, Drift, Hands, Row, Table, copies, module, official, quick, same

LEADER, FOLLOWER = "leader_0", "follower_0"
pytestmark = pytest.mark.filterwarnings(
    # True of these games: two players see different things, one state is one number, a plane is unbounded.
    "ignore:Observations are different shapes",
    "ignore:Observation is a single number",
    "ignore:Agent's .*imum (action|observation) space value",
    "ignore:Environment's .*imum state space value",
)
games = pytest.mark.parametrize("game_id", sg.games())
tables = pytest.mark.parametrize("name", TABLES)


def over(env: Any) -> bool:
    return any(env.terminations.values()) or any(env.truncations.values())


def random_turns(env: Any, turns: int) -> list[Any]:
    """Play sampled actions; everything that ``last`` and ``rewards`` said."""
    seen = []
    for _ in range(turns):
        if not env.agents:
            break
        agent = env.agent_selection
        observation, reward, terminated, truncated, _ = env.last()
        seen.append((agent, observation.tolist(), reward, terminated, truncated))
        env.step(None if terminated or truncated else env.action_space(agent).sample())
    return seen


@games
@pytest.mark.parametrize("form", ["env", "raw_env"])
def test_passes_the_official_api_test(game_id: str, form: str) -> None:
    official.api_test(getattr(sg.make(game_id), form)(), num_cycles=300)


@pytest.mark.parametrize("form", ["env", "raw_env"])
def test_continuous_actions_pass_the_official_api_test(form: str) -> None:
    official.api_test(getattr(Drift(), form)(), num_cycles=300)


@games
def test_passes_the_official_seed_and_state_tests(game_id: str) -> None:
    game = sg.make(game_id)
    official.seed_test(game.env, num_cycles=200)
    official.seed_test(game.raw_env, num_cycles=200)
    official.state_test(game.env(), game.parallel_env())


@games
def test_passes_the_official_render_test(game_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    game = sg.make(game_id)
    official.render_test(lambda render_mode: quick(game.env(render_mode)))


@pytest.mark.parametrize("game_module", [discrete_toy_v0, matrix_v0, random_game_v0])
def test_passes_the_official_max_cycles_test(game_module: Any) -> None:
    # A parallel cycle is a whole round only in the plan form; turns take two steps a round.
    wanted = module(game_module.game().name)
    turns = wanted.parallel_env
    wanted.parallel_env = lambda **settings: turns(form="plan", **settings)
    official.max_cycles_test(wanted)


@tables
def test_plays_the_episodes_of_rollout(name: str) -> None:
    table = Table.of(TABLES[name]())
    stages = min(table.game.stages(), 40)
    batch = rollout(table.game, table.leader, table.follower, episodes=4, seed=11, stages=stages)
    env: Any = table.game.env()
    for episode in range(4):
        env.reset(seed=11 if episode == 0 else None)
        hands = Hands(table, 11, episode)
        rows: list[Row] = []
        while len(rows) < stages and not over(env):
            before = env.get_state().episode
            if env.agent_selection == LEADER:
                env.step(hands.leader(before))
                continue
            reply = hands.follower(before, before.pending)
            env.step(reply)
            rows.append((before.states[0], before.pending, reply, env.rewards[LEADER], env.rewards[FOLLOWER]))
        same(rows, env.get_state().episode, batch, episode)


def test_tells_terminal_states_from_the_horizon() -> None:
    game = random_game_v0.game(5, horizon=6, transitions={"terminal_states": 1}, seed=2)
    env: Any = game.raw_env()
    ends = set()
    for seed in range(30):
        env.reset(seed=seed)
        while not over(env):
            env.step(env.action_space(env.agent_selection).sample())
        stage = env.get_state().episode.stage
        at_terminal_state = int(np.argmax(env.observe(LEADER))) == 4
        assert env.terminations[FOLLOWER] == env.terminations[LEADER] == at_terminal_state
        assert env.truncations[FOLLOWER] == env.truncations[LEADER] == (stage == 6 and not at_terminal_state)
        ends.add(at_terminal_state)
    assert ends == {True, False}


def test_a_game_without_horizon_is_never_truncated() -> None:
    env: Any = random_game_v0.env()
    env.reset(seed=0)
    assert len(random_turns(env, 4000)) == 4000
    assert env.agents == [LEADER, FOLLOWER]


def test_the_follower_sees_the_move_and_the_leader_sees_no_more_than_the_state() -> None:
    env: Any = discrete_toy_v0.raw_env()
    env.reset(seed=0)
    before = env.observe(LEADER)
    assert env.observe(FOLLOWER).tolist() == [1, 0, 0, 0, 0]
    env.step(1)
    assert env.observe(FOLLOWER).tolist() == [1, 0, 0, 0, 1]
    assert env.observe(LEADER).tolist() == before.tolist() == [1, 0, 0]
    assert env.state().tolist() == [1, 0, 0, 0, 1]
    env.step(2)
    assert env.observe(FOLLOWER)[3:].tolist() == [0, 0]


def test_a_blind_follower_sees_what_the_leader_sees() -> None:
    env: Any = random_game_v0.raw_env(follower_sees_action=False)
    env.reset(seed=0)
    env.step(2)
    assert env.observe(FOLLOWER).tolist() == env.observe(LEADER).tolist()
    assert env.state()[5:].tolist() == [0, 0, 1]


def test_a_continuous_move_is_shown_as_it_is() -> None:
    env: Any = Drift().raw_env()
    env.reset(seed=0)
    env.step([0.25, 2.0])
    assert env.observe(FOLLOWER)[2:].tolist() == [0.25, 2.0]
    assert env.observation_space(FOLLOWER).low[2:].tolist() == [-1.0, -1.0]


def test_codes_of_moves_lie_in_the_observation_space_before_the_leader_has_moved() -> None:
    game = Drift()
    game.leader_action_space = gymnasium.spaces.Box(1.0, 2.0, (2,), np.float32)
    env: Any = game.raw_env()
    env.reset(seed=0)
    assert env.observation_space(FOLLOWER).contains(env.observe(FOLLOWER))


def test_both_are_paid_after_the_follower() -> None:
    env: Any = matrix_v0.game("letchford", horizon=2).raw_env()
    env.reset(seed=0)
    env.step(0)
    assert env.rewards == {LEADER: 0.0, FOLLOWER: 0.0}
    env.step(0)
    assert env.rewards == {LEADER: 1.0, FOLLOWER: 1.0}
    assert env.last()[1] == 1.0
    env.step(1)
    assert env.last()[1] == 1.0  # the follower's, of the first round
    env.step(1)
    totals = {}
    for agent in env.agent_iter():
        totals[agent] = env.last()[1]
        env.step(None)
    assert totals == {LEADER: 2.0, FOLLOWER: 1.0}


@tables
def test_values_have_the_promised_types_and_are_fresh(name: str) -> None:
    env: Any = TABLES[name]().raw_env()
    env.reset(seed=3)
    seen: list[Any] = []
    for _ in range(4):
        if not env.agents or over(env):
            break
        for agent in env.agents:
            observation = env.observe(agent)
            assert observation.dtype == np.float32
            assert env.observation_space(agent).contains(observation)
            assert not any(np.shares_memory(observation, other) for other, _ in seen)
            assert all(env.infos[agent] is not info for _, info in seen)
            seen.append((observation, env.infos[agent]))
            assert type(env.rewards[agent]) is float
            assert type(env.terminations[agent]) is type(env.truncations[agent]) is bool
            env.observe(agent)[:] = 7.0  # must not reach the game
        assert env.state_space.contains(env.state())
        env.step(env.action_space(env.agent_selection).sample())


def test_seeds_number_the_episodes() -> None:
    env: Any = random_game_v0.game(horizon=5).raw_env()

    def first_states(seed: int | None, episodes: int) -> list[int]:
        found = []
        for episode in range(episodes):
            env.reset(seed=seed if episode == 0 else None)
            found.append(int(np.argmax(env.observe(LEADER))))
        return found

    sequence = first_states(4, 12)
    assert first_states(4, 12) == sequence
    assert first_states(5, 12) != sequence
    assert len(set(sequence)) > 1
    twins: list[Any] = [random_game_v0.raw_env(), random_game_v0.raw_env()]
    for twin in twins:
        twin.reset()
    assert twins[0].get_state().episode.seed != twins[1].get_state().episode.seed


def test_environments_of_one_game_do_not_share_samplers() -> None:
    game = discrete_toy_v0.game()
    one, two = game.raw_env(), game.raw_env()
    one.action_space(FOLLOWER).seed(0)
    two.action_space(FOLLOWER).seed(0)
    mine = [one.action_space(FOLLOWER).sample() for _ in range(20)]
    assert mine == [two.action_space(FOLLOWER).sample() for _ in range(20)]


@pytest.mark.parametrize("form", ["env", "raw_env"])
@pytest.mark.parametrize("turns", [0, 3, 8, 17])
def test_copies_keep_a_running_episode(form: str, turns: int) -> None:
    env: Any = getattr(random_game_v0.game(8, horizon=8, transitions={"terminal_states": 1}, seed=5), form)()
    env.reset(seed=1)
    for agent in (LEADER, FOLLOWER):
        env.action_space(agent).seed(3)
    random_turns(env, turns)
    others = copies(env)
    state = env.get_state()
    for agent in (LEADER, FOLLOWER):
        env.action_space(agent).seed(9)
    going_on = random_turns(env, 40)
    other: Any = getattr(env.unwrapped.game, form)()
    other.reset(seed=99)
    other.set_state(state)
    for name, twin in {**others, "set_state": other}.items():
        for agent in (LEADER, FOLLOWER):
            twin.action_space(agent).seed(9)
        assert random_turns(twin, 40) == going_on, name


def test_copies_are_independent_and_share_the_rules() -> None:
    env: Any = discrete_toy_v0.raw_env()
    env.reset(seed=0)
    twin = copies(env)["deepcopy"]
    twin.step(1)
    assert env.agent_selection == LEADER
    assert twin.game is env.game


def test_a_state_survives_what_is_played_after_it() -> None:
    env: Any = Drift().raw_env()
    env.reset(seed=0)
    env.step([0.5, 0.5])
    state = env.get_state()
    states = state.episode.states.copy()
    random_turns(env, 9)
    env.set_state(state)
    assert env.get_state().episode.pending.tolist() == [0.5, 0.5]
    assert env.get_state().episode.states.tolist() == states.tolist()
    assert env.agent_selection == FOLLOWER


@pytest.mark.parametrize("action", [0, np.int32(1), np.int64(1), np.uint8(1), np.array(1), torch.tensor(1)])
def test_accepts_every_kind_of_integer(action: Any) -> None:
    env: Any = discrete_toy_v0.env()
    env.reset(seed=0)
    env.step(action)
    assert env.get_state().episode.pending == int(action)


@pytest.mark.parametrize("form", ["env", "raw_env"])
@pytest.mark.parametrize(
    "action",
    [2, -1, 1.0, None, "0", np.array([1]), torch.tensor([1]), True, np.True_, torch.tensor(True), np.float32(0), 2**70],
)
def test_refuses_actions_outside_a_discrete_space(form: str, action: Any) -> None:
    env: Any = getattr(discrete_toy_v0, form)()
    env.reset(seed=0)
    with pytest.raises(InvalidActionError, match=r"leader_0 submitted .* Discrete\(2\)"):
        env.step(action)
    env.step(1)
    before = env.get_state()
    with pytest.raises(InvalidActionError, match="follower_0"):
        env.step(3)
    assert env.get_state() == before


@pytest.mark.parametrize(
    "action", [[2.5, 0], [np.nan, 0], [0.0], 0.0, "ab", [np.inf, 0], None, [[0], [0, 1]], [1e300, 0]]
)
def test_refuses_actions_outside_a_box(action: Any) -> None:
    env: Any = Drift().env()
    env.reset(seed=0)
    with pytest.raises(InvalidActionError, match="leader_0 submitted"):
        env.step(action)
    env.step([0, 1])  # integers within the box are numbers too


@pytest.mark.parametrize("space", [gymnasium.spaces.MultiBinary(2), gymnasium.spaces.MultiDiscrete([2, 3])])
def test_actions_of_several_parts_are_encoded_one_after_the_other(space: Any) -> None:
    actions = Actions("leader_0", space)
    out = np.zeros(len(actions.low), dtype=np.float32)
    actions.encode(actions.check([1, 0]), out)
    assert out.tolist() == {2: [1, 0], 5: [0, 1, 1, 0, 0]}[len(out)]
    for wrong in ([257, 0], [0.0, 1.0], [-1, 0], 1):
        with pytest.raises(InvalidActionError, match="leader_0 submitted"):
            actions.check(wrong)


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
def test_unbounded_actions_are_finite(number: float) -> None:
    actions = Actions("leader_0", gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32))
    assert actions.check([1e30]).dtype == np.float32
    with pytest.raises(InvalidActionError, match="leader_0 submitted"):
        actions.check([number])


def test_steps_after_the_end_follow_the_protocol() -> None:
    env: Any = matrix_v0.raw_env()
    with pytest.raises(InvalidActionError, match="reset"):
        env.step(0)
    env.reset(seed=0)
    env.step(0)
    env.step(0)
    with pytest.raises(ValueError, match="None"):
        env.step(0)
    env.step(None)
    assert env.agents == [FOLLOWER]
    env.step(None)
    assert env.agents == []
    with pytest.raises(InvalidActionError, match="reset"):
        env.step(None)


def test_refuses_bad_seeds_and_spaces() -> None:
    with pytest.raises(InvalidArgumentError, match="seed=-1"):
        matrix_v0.raw_env().reset(seed=-1)
    with pytest.raises(UnsupportedGameError, match="leader_0 has the action space Text"):
        Actions("leader_0", gymnasium.spaces.Text(3))


def test_names_itself() -> None:
    env: Any = discrete_toy_v0.env()
    assert str(env) == env.metadata["name"] == "discrete_toy_v0"
    assert isinstance(env.unwrapped, StackelbergEnv)
    assert env.unwrapped.max_cycles == 150


def test_cannot_be_converted_into_a_simultaneous_game_by_accident() -> None:
    with pytest.raises(AssertionError, match="not generally safe"):
        aec_to_parallel(discrete_toy_v0.env())


def indicated(env: Any) -> Any:
    padded = pad_action_space_v0(pad_observations_v0(env))
    return agent_indicator_v0(padded)


@pytest.mark.parametrize(
    "wrap",
    [
        pad_observations_v0,
        pad_action_space_v0,
        indicated,
        lambda env: frame_stack_v1(env, 3),
        lambda env: dtype_v0(env, "float64"),
    ],
    ids=["pad_observations", "pad_action_space", "agent_indicator", "frame_stack", "dtype"],
)
@pytest.mark.parametrize("game_id", ["discrete_toy-v0", "random_game-v0"])
def test_supersuit_wrappers_apply(wrap: Any, game_id: str) -> None:
    official.api_test(wrap(sg.make(game_id).env()), num_cycles=50)

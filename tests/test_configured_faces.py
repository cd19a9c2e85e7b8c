"""Games that the leader configures: every face plays the configured game, and nothing else."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from pettingzoo.utils.conversions import parallel_to_aec
from supersuit import pad_observations_v0

import stackelberg_games as sg
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.parametrisation import Bounded, Budgeted, Plain
from stackelberg_games.commitments.space import BudgetBox, fault
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.conformance import check_game
from stackelberg_games.envs import four_rooms_v0, random_game_v0, random_mdp_v0, thermal_control_v0
from stackelberg_games.errors import InvalidActionError, UnsupportedGameError
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables, TabularGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.play.rollout import TabularResponse, rollout
from stackelberg_games.rules.rules import Step
from tests.checks import FALSE_ALARM, counts_p_value
from tests.face_checks import TABLES, Drift, Table, copies, drawn_configuration, official

LEADER, FOLLOWER = "leader_0", "follower_0"
CONFIGURED = [name for name in TABLES if TABLES[name]().configuration_space is not None]
ONCE = [name for name in CONFIGURED if TABLES[name]().idle_action is not None]
every = pytest.mark.parametrize("name", CONFIGURED)
once = pytest.mark.parametrize("name", ONCE)
pytestmark = pytest.mark.filterwarnings(
    "ignore:Observations are different shapes",
    "ignore:Observation numpy array is all zeros",
    "ignore:Agent's .*imum (action|observation) space value",
    "ignore:Action space for each agent probably",
    "ignore:The class of action spaces",
)


class Bandit(ConfigurableGame):
    """One state and two arms; x is what they pay the follower, and the leader is paid for the second arm."""

    def __init__(self, horizon: int = 4) -> None:
        zero = np.zeros((1, 2))
        settings: dict[str, Any] = {"horizon": horizon, "follower_discount": 0.5, "name": "bandit-v0"}
        super().__init__(
            np.ones((1, 2, 1)), zero, zero, [1.0], size=2, configure=self.pay, parametrisation=Budgeted(1.0), **settings
        )

    def pay(self, prices: torch.Tensor) -> Tables:
        leader = torch.tensor([[[0.0, 1.0]]], dtype=torch.float64) - prices.sum() / 4
        return Tables(self.base.transition, leader, prices.reshape(1, 1, 2))


class Heated(Drift):
    """A game of vectors whose leader only configures, by numbers in [0, 1]."""

    configuration_space = gymnasium.spaces.Box(0.0, 1.0, (3,), np.float64)
    idle_action = np.zeros(2, np.float32)

    heat = 0.0

    def configured(self, configuration: torch.Tensor) -> Game:
        fixed = copy.copy(self)
        fixed.configuration_space = fixed.idle_action = None  # type: ignore[assignment]
        fixed.heat = float(configuration.sum())
        return fixed

    def step(self, states: Any, leader_actions: Any, follower_actions: Any, streams: Any, stage: int) -> Step:
        step = super().step(states, leader_actions, follower_actions, streams, stage)
        return step._replace(leader_rewards=step.leader_rewards - self.heat)


def test_the_leader_moves_once_and_the_follower_then_sees_what_it_chose() -> None:
    env: Any = Bandit().env()
    env.reset(seed=0)
    order, paid = [], {LEADER: 0.0, FOLLOWER: 0.0}
    assert env.observe(FOLLOWER).tolist() == [1, 0, 0]
    for agent in env.agent_iter():
        observation, reward, terminated, truncated, _ = env.last()
        paid[agent] += reward
        order.append(agent)
        if terminated or truncated:
            env.step(None)
        elif agent == LEADER:
            assert observation.tolist() == [0], "it knows nothing before it has chosen"
            env.step(np.array([0.25, 0.5]))
        else:
            assert observation.tolist() == [1, 0.25, 0.5]
            assert env.observe(LEADER).tolist() == [1]
            env.step(1)
            assert env.rewards == {LEADER: 1 - 0.75 / 4, FOLLOWER: 0.5}
    assert order == [LEADER, *[FOLLOWER] * 4, LEADER, FOLLOWER]
    assert paid == {LEADER: 4 * (1 - 0.75 / 4), FOLLOWER: 2.0}
    assert env.metadata["leader_commits"] == "once an episode"


def test_the_context_is_shown_to_the_follower_and_not_to_a_leader_who_has_yet_to_choose() -> None:
    env: Any = four_rooms_v0.raw_env(goals=2)
    starts = set()
    for seed in range(12):
        env.reset(seed=seed)
        assert not env.observe(LEADER).any()
        starts.add(int(np.argmax(env.observe(FOLLOWER))))
        env.step(np.zeros(104))
        assert int(np.argmax(env.observe(LEADER))) == int(np.argmax(env.observe(FOLLOWER)))
    assert len(starts) == 2


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        (np.zeros(103), r"has shape \(103,\): expected \(104,\)"),
        (np.full(104, np.nan), "has nan as entry 0: expected 0 to 0.2"),
        (np.eye(104)[7] * -0.1, "has -0.1 as entry 7: expected 0 to 0.2"),
        (np.eye(104)[7] * 0.3, "has 0.3 as entry 7"),
        (np.full(104, 0.2 / 103), r"sums to 0.201942: the budget is 0.2"),
        (np.full(104, np.inf), "has inf as entry 0"),
        (["a"] * 104, "expected numbers of shape"),
        ([[1.0], [1.0, 2.0]], "expected numbers of shape"),
        (None, "is None: expected numbers"),
        (3, r"has shape \(\)"),
    ],
)
@pytest.mark.parametrize("form", ["env", "parallel_env"])
def test_wrong_configurations_are_refused_and_change_nothing(form: str, configuration: Any, words: str) -> None:
    env: Any = getattr(four_rooms_v0, form)()
    env.reset(seed=0)
    before = env.unwrapped.get_state()
    with pytest.raises(InvalidActionError, match=f"leader_0's configuration .*{words}"):
        env.step(configuration if form == "env" else {LEADER: configuration})
    assert env.unwrapped.get_state() == before
    env.step(np.full(104, 0.2 / 104, np.float32) if form == "env" else {LEADER: np.zeros(104)})


def test_a_leader_that_also_acts_submits_both_and_is_bound_to_the_first_configuration() -> None:
    game = random_game_v0.game(4, 3, 2, horizon=3, configuration_size=2, seed=1)
    env: Any = game.raw_env()
    env.reset(seed=0)
    for wrong in (1, {"action": 1}, {"configuration": [0.0, 0.0]}, {"configuration": [0.0], "action": 1}):
        with pytest.raises(InvalidActionError, match=LEADER):
            env.step(wrong)
    with pytest.raises(InvalidActionError, match="leader_0 submitted 3"):
        env.step({"configuration": [0.5, -1.0], "action": 3})
    env.step({"configuration": [0.5, -1.0], "action": 2})
    assert env.observe(FOLLOWER)[4:].tolist() == [0.5, -1.0, 0, 0, 1]
    env.step(1)
    assert env.agent_selection == LEADER
    env.step({"configuration": [9.0, 9.0], "action": 0})
    assert env.observe(FOLLOWER)[4:].tolist() == [0.5, -1.0, 1, 0, 0]
    env.step(0)
    env.step(1)
    assert env.observe(FOLLOWER)[4:].tolist() == [0.5, -1.0, 0, 1, 0]
    with pytest.raises(InvalidActionError, match=FOLLOWER):
        env.step(2)


@pytest.mark.parametrize("name", ["random_mdp-v0", "configured", "two goals", "warehouse-v0"])
def test_sampled_steps_and_rewards_are_those_of_the_model_under_the_configuration(name: str) -> None:
    game = TABLES[name]()
    assert isinstance(game, TabularGame)
    chosen = drawn_configuration(game, 3)
    transition, leader, follower = (t.detach().numpy() for t in game.tables(torch.tensor(chosen)))
    counts = np.zeros_like(transition)
    env: Any = game.raw_env()
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    for _ in range(9000):
        action = int(rng.integers(game.leader_actions))
        if env.agent_selection == LEADER:
            env.step(chosen if game.idle_action is not None else {"configuration": chosen, "action": action})
        before = env.get_state().episode
        assert before.configuration.tolist() == chosen.tolist()
        cell = int(before.states[0]), int(before.pending), int(rng.integers(game.follower_actions))
        env.step(cell[-1])
        assert env.rewards == {LEADER: leader[cell], FOLLOWER: follower[cell]}
        after = env.get_state().episode
        counts[(*cell, int(after.states[0]))] += 1
        if after.terminated or after.truncated:
            env.reset()
    rows = counts.reshape(-1, game.states)
    visited = rows.sum(axis=1) > 0
    assert counts_p_value(rows[visited], transition.reshape(rows.shape)[visited]) > FALSE_ALARM


def test_a_configuration_that_moves_the_transitions_is_told_from_none() -> None:
    game = random_game_v0.game(4, 2, 2, configuration_size=2, seed=1)
    moved = game.tables(torch.tensor([2.0, -2.0], dtype=torch.float64)).transition.detach().numpy()
    batch = rollout(game, TabularPolicy(game), TabularResponse.uniform(game), episodes=60, stages=60, seed=0)
    counts = np.zeros_like(moved)
    np.add.at(counts, (batch.states[:, :-1], batch.leader_actions, batch.follower_actions, batch.states[:, 1:]), 1)
    assert counts_p_value(counts.reshape(-1, 4), moved.reshape(-1, 4)) < FALSE_ALARM


@every
def test_rollouts_of_any_follower_are_those_under_the_configuration(name: str) -> None:
    table = Table.of(TABLES[name]())
    stages = min(table.game.stages(), 12)

    class Other:
        """The same policy, in a form that no compiled path knows."""

        sample = staticmethod(table.follower.sample)

    mine = rollout(table.game, table.leader, Other(), episodes=4, seed=2, stages=stages)
    theirs = rollout(table.game, table.leader, table.follower, episodes=4, seed=2, stages=stages)
    np.testing.assert_array_equal(mine.states, theirs.states)
    np.testing.assert_array_equal(mine.leader_rewards, theirs.leader_rewards)
    assert mine.leader_actions.shape == theirs.leader_actions.shape


def test_thermal_control_is_the_same_by_steps_and_by_its_own_simulation() -> None:
    game = thermal_control_v0.game(horizon=20)
    commitment = game.commitment(3, 1.0)
    follower = sg.make_follower("maxent_lqr", temperature=0.1)
    policy: Any = follower.respond(game, commitment).policy

    class Steps:
        sample = staticmethod(lambda states, leader, streams, stage: policy.sample(states, leader, streams, stage))

    fast = rollout(game, commitment, policy, episodes=5, seed=4)
    slow = rollout(game, commitment, Steps(), episodes=5, seed=4)
    for name in ("states", "leader_rewards", "follower_rewards", "leader_actions"):
        np.testing.assert_allclose(getattr(slow, name), getattr(fast, name), rtol=1e-12, atol=1e-12)


def play(env: Any, steps: int) -> list[Any]:
    """What sampled actions bring, in an AEC, Parallel or Gymnasium environment."""
    seen: list[Any] = []
    for _ in range(steps):
        if hasattr(env, "agent_selection"):
            if not env.agents:
                break
            agent = env.agent_selection
            observation, reward, terminated, truncated, _ = env.last()
            seen.append((agent, observation.tolist(), reward, terminated, truncated))
            env.step(None if terminated or truncated else env.action_space(agent).sample())
        elif hasattr(env, "possible_agents"):
            if not env.agents:
                break
            views, rewards, *ends, _ = env.step({a: env.action_space(a).sample() for a in env.agents})
            seen.append(({a: view.tolist() for a, view in views.items()}, rewards, ends))
        elif not (env.get_state().terminated or env.get_state().truncated):
            view, *rest, _ = env.step(env.action_space.sample())
            seen.append((view.tolist(), rest))
    return seen


def seeded(env: Any, seed: int) -> None:
    for space in (
        [env.action_space(a) for a in env.possible_agents] if hasattr(env, "possible_agents") else [env.action_space]
    ):
        space.seed(seed)


@every
@pytest.mark.parametrize("steps", [0, 1, 4])
def test_copies_keep_a_running_episode(name: str, steps: int) -> None:
    table = Table.of(TABLES[name]())
    game = table.game
    for make in (game.raw_env, game.parallel_env, lambda: sg.best_response_env(game, table.leader)):
        env: Any = make()
        env.reset(seed=4)
        seeded(env, 0)
        play(env, steps)
        other: Any = make()
        other.reset(seed=77)
        other.set_state(env.get_state())
        twins = {**copies(env), "set_state": other}
        for twin in (env, *twins.values()):
            seeded(twin, 6)
        going_on = play(env, 8)
        for kind, twin in twins.items():
            assert play(twin, 8) == going_on, kind


@once
def test_official_parallel_and_supersuit_tests(name: str) -> None:
    game = TABLES[name]()
    official.parallel_api_test(game.parallel_env(), num_cycles=20)
    official.seed_test(lambda: parallel_to_aec(game.parallel_env()), num_cycles=20)
    official.api_test(pad_observations_v0(game.env()), num_cycles=20)


@pytest.mark.parametrize(
    "game",
    [
        Bandit,
        Heated,
        lambda: four_rooms_v0.game(goals=2),
        lambda: four_rooms_v0.game(budget=0.0),
        lambda: random_game_v0.game(configuration_size=2, horizon=6),
        lambda: random_game_v0.game(configuration_size=2, follower_sees_action=False),
    ],
    ids=["bandit", "continuous", "contexts", "nothing to spend", "acts as well", "acts unseen"],
)
def test_the_battery_passes(game: Callable[[], Game]) -> None:
    report = check_game(game)
    report.require()
    checked = {outcome.name for outcome in report.passed}
    assert {"every_face_plays_the_same_episodes", "refuses_actions_outside_the_space", "order_of_moves"} <= checked


class Forgetful(Bandit):
    """Faces that pay the unconfigured game."""

    def configured(self, configuration: torch.Tensor) -> ConfigurableGame:
        return super().configured(0 * configuration)


class Unseen(Bandit):
    """Whose follower is not shown what the leader has chosen."""

    def raw_env(self, render_mode: str | None = None) -> Any:
        env: Any = super().raw_env(render_mode)
        inner = env._episode.vector

        env._episode.vector = lambda: inner() * np.array([1, 0, 0], np.float32)
        return env

    env = raw_env


@pytest.mark.parametrize(
    ("mistake", "check"), [(Forgetful, "steps_follow_the_model"), (Unseen, "follower_sees_the_move")]
)
def test_the_battery_catches(mistake: type[Game], check: str) -> None:
    assert check in {outcome.name for outcome in check_game(mistake).failed}


def test_an_environment_that_is_configured_is_checked_as_one() -> None:
    report = check_game(lambda **settings: four_rooms_v0.env(horizon=5, **settings))
    report.require()


def test_what_has_no_meaning_here_is_refused_with_the_reason() -> None:
    game = four_rooms_v0.game()
    with pytest.raises(UnsupportedGameError, match="replies to every configuration"):
        game.parallel_env("plan")
    with pytest.raises(UnsupportedGameError, match="configured once an episode"):
        sg.vector_env(game, 2)
    for env in (game.env(), game.parallel_env(), Bandit().env(), random_game_v0.game(configuration_size=1).env()):
        with pytest.raises(UnsupportedGameError, match="cannot pad"):
            sg.homogenize(env)
    with pytest.raises(UnsupportedGameError, match="cannot be configured"):
        Drift().configured(torch.zeros(1))
    with pytest.raises(UnsupportedGameError, match="cannot be configured"):
        Drift().raw_env()._episode.configure([1.0])  # type: ignore[attr-defined]


def test_equal_spaces_where_both_players_choose_bounded_numbers() -> None:
    env = sg.homogenize(Heated().env())
    official.api_test(env, num_cycles=20)
    turns = sg.homogenize(Heated().parallel_env())
    official.parallel_api_test(turns, num_cycles=20)
    many = sg.vector_env(Heated(), 2, backend="supersuit")
    assert many.reset(seed=0)[0].shape == (4, 6)


def test_numbers_are_enough_to_make_the_followers_environment() -> None:
    env: Any = sg.best_response_env(Bandit(), [0.25, 0.5])
    observation, _ = env.reset(seed=0)
    assert observation.tolist() == [1, 0.25, 0.5]
    assert env.step(0)[1] == 0.25
    assert env.step(1)[1] == 0.5
    with pytest.raises(InvalidActionError, match="budget is 1"):
        sg.best_response_env(Bandit(), [0.75, 0.5])


@dataclass
class Greedy:
    """A stranger who reads the prices from its observation, and remembers what it saw."""

    seen: list[Any]

    def __call__(self, observation: Any, reward: float, termination: bool, truncation: bool, info: Any) -> Any:
        self.seen.append((observation.tolist(), reward))
        return None if termination or truncation else int(np.argmax(observation[1:]))


def test_a_stranger_plays_the_configured_game() -> None:
    game, seen = Bandit(), list[Any]()
    follower = sg.make_follower("black_box", stranger=Greedy(seen))
    follower.begin(game)
    for prices, arm in (([0.5, 0.25], 0), ([0.25, 0.5], 1)):
        commitment = Configuration(prices)
        batch = rollout(game, commitment, follower.respond(game, commitment).policy, episodes=3, seed=1)
        assert (batch.follower_actions == arm).all()
        assert np.all(batch.follower_rewards == 0.5)
        assert (batch.leader_rewards == arm - 0.75 / 4).all()
        assert (batch.leader_actions == 0).all()
        assert seen[-1] == ([1, *prices], 0.5)


@every
def test_a_stranger_plays_the_episodes_of_rollout(name: str) -> None:
    table = Table.of(TABLES[name]())
    space = copy.deepcopy(table.game.follower_action_space)
    space.seed(0)
    fixed = np.zeros(space.shape) if isinstance(space, gymnasium.spaces.Box) else int(space.sample())
    follower = sg.make_follower("black_box", stranger=lambda *turn: None if turn[2] or turn[3] else fixed)
    follower.begin(table.game)
    stages = min(table.game.stages(), 10)

    class Fixed:
        def sample(self, states: Any, leader_actions: Any, streams: Any, stage: int) -> Any:
            return np.broadcast_to(fixed, (len(states), *np.shape(fixed)))

    asked, known = (
        rollout(table.game, table.leader, policy, episodes=3, seed=9, stages=stages)
        for policy in (follower.respond(table.game, table.leader).policy, Fixed())
    )
    for part in ("states", "leader_actions", "follower_actions", "leader_rewards", "follower_rewards", "lengths"):
        np.testing.assert_allclose(getattr(asked, part), getattr(known, part), rtol=1e-12, err_msg=part)


def test_stable_baselines_learns_the_configured_game() -> None:
    pytest.importorskip("stable_baselines3", reason="needs the extra [sb3]")
    game = Bandit(horizon=8)
    for prices, arm in (([1.0, 0.0], 0), ([0.0, 1.0], 1)):
        options = {"learning_rate": 1e-2, "n_steps": 128}
        follower = sg.make_follower("sb3", budget=512, start="fresh", options=options)
        follower.begin(game, seed=0)
        commitment = Configuration(prices)
        batch = rollout(game, commitment, follower.respond(game, commitment).policy, episodes=20, seed=1)
        assert batch.follower_rewards is not None
        assert (batch.follower_actions == arm).mean() > 0.9
        assert batch.follower_rewards.mean() == (batch.follower_actions == arm).mean()


@every
def test_a_trained_model_is_asked_what_the_environment_shows(name: str) -> None:
    from stackelberg_games.agents.followers.sb3 import SB3Response

    table = Table.of(TABLES[name]())
    env: Any = sg.best_response_env(table.game, table.leader)
    seen, _ = env.reset(seed=3)
    before = env.get_state()
    asked: list[Any] = []

    class Asked(SB3Response):
        def reply(self, observations: Any, streams: Any, stage: int, masks: Any = None) -> Any:
            asked.append(observations)

    Asked(None, table.game, before.configuration).sample(before.states, np.array([before.pending]), None, 0)  # type: ignore[arg-type]
    np.testing.assert_array_equal(asked[0][0], seen)


def test_pictures_and_text_show_the_configuration() -> None:
    env: Any = Bandit().raw_env("ansi")
    env.reset(seed=0)
    assert "leader_0 configures" in env.render()
    env.step([0.25, 0.5])
    assert "set       0.25, 0.5" in env.render()
    env.step(1)
    assert "last      in 0: follower 1" in env.render()
    for game in (random_mdp_v0.game(), thermal_control_v0.game(), four_rooms_v0.game()):
        frames = []
        for number in range(3):
            painted: Any = game.raw_env("rgb_array")
            painted.reset(seed=0)
            painted.step(drawn_configuration(game, max(0, number - 1)))
            frames.append(painted.render())
        assert np.array_equal(frames[0], frames[1])
        assert not np.array_equal(frames[0], frames[2])
    words = sg.make("random_mdp-v0").raw_env("ansi")
    words.reset(seed=0)
    words.step(np.ones(100))
    assert "100 numbers ≤ 1, sum 100" in words.render()  # type: ignore[operator]


def test_films_play_the_configured_game() -> None:
    from stackelberg_games.play.film import frames

    game = Bandit(3)
    film = list(frames(game, Configuration([0.5, 0.25]), TabularResponse.uniform(game), seed=1))
    assert len(film) == 4
    other = list(frames(game, Configuration([0.1, 0.9]), TabularResponse.uniform(game), seed=1))
    assert not np.array_equal(film[0], other[0])


def test_a_budget_is_a_space() -> None:
    space = BudgetBox(2.0, 3)
    space.seed(0)
    drawn = np.array([space.sample() for _ in range(4000)])
    assert all(space.contains(x) for x in drawn)
    assert (drawn >= 0).all()
    # uniform over the corner {x >= 0, sum <= b}: each entry has mean b / (d + 1), so has what is left
    error = 4 * drawn.std(axis=0) / 4000**0.5
    assert (np.abs(drawn.mean(axis=0) - 0.5) < error).all()
    assert space.contains(np.full(3, 2 / 3, np.float32))
    for wrong in ([1.0, 1.0, 0.1], [0.0, -1e-9, 0.0], [1.0, 1.0], [np.nan, 0.0, 0.0], "abc"):
        assert not space.contains(wrong)
    assert space == BudgetBox(2.0, 3) == pickle.loads(pickle.dumps(space)) == copy.deepcopy(space)
    assert space not in (BudgetBox(2.5, 3), BudgetBox(2.0, 4), gymnasium.spaces.Box(0, 2, (3,), np.float64))
    assert repr(space) == "BudgetBox(2, 3)"
    assert fault(gymnasium.spaces.Box(-1, 1, (2, 2)), [[0, 0], [0, 2]]) == "has 2 as entry (1, 1): expected -1 to 1"


@pytest.mark.parametrize("suggested", [Plain(), Bounded(-1.0, 3.0), Budgeted(0.7, temperature=0.3)], ids=str)
def test_the_space_holds_what_the_parametrisation_gives(suggested: Any) -> None:
    space = suggested.space(4)
    rng = np.random.default_rng(0)
    for scale in (0.1, 1.0, 50.0):
        for _ in range(20):
            parameters = torch.tensor(scale * rng.normal(size=suggested.parameter_count(4)))
            assert fault(space, suggested(parameters).numpy()) is None

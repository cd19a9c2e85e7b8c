"""A thousand random environments: adapted they play the episodes of the environment itself, or are refused at once."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import stackelberg_games as sg
from stackelberg_games.adapters.black_box import StrangerPolicy
from stackelberg_games.adapters.episodes import episode_seed
from stackelberg_games.errors import StackelbergError
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.masks import MaskedBox
from tests.random_envs import RandomEnv

BATCHES, SIZE, SEED, STAGES = 20, 50, 11, 60


def score(vector: Any) -> float:
    numbers = np.asarray(vector, dtype=np.float64).ravel()
    return float(numbers @ (1 + np.arange(len(numbers)) % 7))


def choice(number: float, size: int, legal: Any) -> int:
    """One of the legal actions, counted from 0."""
    open_to = np.arange(size) if legal is None else np.flatnonzero(legal)
    return int(open_to[int(abs(number) * 13) % len(open_to)])


def without_mask(space: Any, observation: Any) -> tuple[Any, Any, Any]:
    if isinstance(space, spaces.Dict) and "action_mask" in space.spaces:
        return space["observation"], observation["observation"], observation["action_mask"]
    return space, observation, None


def plain_policy(env: Any, agent: str, observation: Any, info: Any) -> Any:
    """The policy of every agent in the environment's own terms, written without the adapter."""
    own, seen, legal = without_mask(env.observation_space(agent), observation)
    legal = info.get("action_mask", legal)
    number, act = score(spaces.flatten(own, seen)), env.action_space(agent)
    if isinstance(act, spaces.Box):
        return np.full(act.shape, np.sin(number), act.dtype)
    if isinstance(act, spaces.Discrete):
        return int(act.start) + choice(number, int(act.n), legal)
    two = divmod(choice(number, 4, None), 2)
    return two if isinstance(act, spaces.Tuple) else np.array(two)


class Scored(Commitment):
    """The same policy as a commitment: it acts on the recorded state."""

    def __init__(self, game: Any) -> None:
        super().__init__()
        self.game = game

    def probabilities(self) -> Any:
        raise NotImplementedError

    def sample(self, states: Any, streams: Any, stage: int) -> Any:
        return [self.act(state) for state in states]

    def act(self, state: Any) -> Any:
        space, legal = self.game.leader_action_space, None
        if isinstance(self.game.state_space, spaces.Discrete):
            own = self.game.table.leader.sight.own
            state = spaces.flatten(own, int(state) + int(own.start))
        if isinstance(self.game.state_space, MaskedBox):
            state, legal = state[: -int(space.n)], state[-int(space.n) :]
        number = score(state)
        if isinstance(space, spaces.Box):
            return np.full(space.shape, np.sin(number))
        return choice(number, int(space.n), legal)


class Shown:
    """The same policy as a response that answers what learners are shown."""

    def __init__(self, game: Any) -> None:
        self.game = game

    def reply(self, observations: Any, streams: Any, number: int, masks: Any = None) -> Any:
        space, own = self.game.follower_action_space, self.game.table.shown_space
        found = score(spaces.flatten(own, observations[0]) if isinstance(own, spaces.Discrete) else observations[0])
        if isinstance(space, spaces.Box):
            return [np.full(space.shape, np.sin(found))]
        return [choice(found, int(space.n), None if masks is None else masks[0])]


def plain_episode(env: Any, seed: int, leader: str, followers: list[str]) -> dict[str, Any]:
    """What happens in the environment's own loop, by stages of the leader."""
    env.reset(seed=seed)
    states: list[Any] = []
    actions: list[Any] = []
    replies: list[Any] = []
    paid: list[Any] = []
    opening = np.zeros(2)
    ended = False
    for agent in env.agent_iter(max_iter=2000):
        observation, _, terminated, truncated, info = env.last()
        over = terminated or truncated
        if over and agent == leader:
            ended = bool(terminated)
        action = None if over else plain_policy(env, agent, observation, info)
        if not over and agent == leader:
            states.append(observation)
            actions.append(action)
            replies.append([])
            paid.append(np.zeros(2))
        if not over and agent in followers and replies:
            replies[-1].append((agent, action))
        env.step(action)
        if not over:
            row = paid[-1] if paid else opening
            row += [env.rewards.get(leader, 0.0), sum(env.rewards.get(name, 0.0) for name in followers)]
    if paid:
        paid[0] = paid[0] + opening
    return {"states": states, "actions": actions, "replies": replies, "paid": paid, "terminated": ended}


def adapted(rules: int) -> tuple[Any, str, list[str]]:
    draw = np.random.default_rng([rules, 1])
    agents = RandomEnv(rules).possible_agents
    names = [agents[k] for k in draw.permutation(len(agents))]
    count = int(draw.integers(1, 3)) if len(agents) > 2 else 1
    leader, followers = names[0], names[1 : 1 + count]
    env = RandomEnv(rules)
    others = {
        agent: partial(_further, env.action_space(agent), env.observation_space(agent)) for agent in names[1 + count :]
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        game = sg.adapt(partial(RandomEnv, rules), leader, followers, others=others)
    return game, leader, followers


def _further(act: Any, declared: Any, observation: Any, mask: Any) -> Any:
    """The policy of a further agent, which is shown its observation without the mask, flat unless a Box or Discrete."""
    own = (
        declared["observation"] if isinstance(declared, spaces.Dict) and "action_mask" in declared.spaces else declared
    )
    number = score(spaces.flatten(own, observation) if isinstance(own, spaces.Box | spaces.Discrete) else observation)
    if isinstance(act, spaces.Box):
        return np.full(act.shape, np.sin(number))
    return choice(number, int(act.n) if isinstance(act, spaces.Discrete) else 4, mask)


def compare(rules: int) -> str:
    """``"same"``, or why it was refused when it was adapted."""
    try:
        game, leader, followers = adapted(rules)
    except StackelbergError as error:
        return type(error).__name__
    env = RandomEnv(rules)

    def stranger(observation: Any, reward: float, terminated: bool, truncated: bool, info: Any) -> Any:
        agent = info.get("agent", followers[0])
        return None if terminated or truncated else plain_policy(env, agent, observation, info)

    raw = len(followers) > 1 or rules % 2
    response: Any = StrangerPolicy(stranger) if raw else Shown(game)
    for number in range(2):
        for attempt in range(20):  # an episode without a move of the leader is played again
            expected = plain_episode(env, episode_seed(SEED, number, attempt), leader, followers)
            if expected["actions"]:
                break
        batch = sg.rollout(game, Scored(game), response, episodes=1, seed=SEED, first_episode=number, stages=STAGES)
        hold(game, batch, expected)
    return "same"


def hold(game: Any, batch: Any, expected: dict[str, Any]) -> None:
    length, table = len(expected["actions"]), game.table
    assert batch.lengths.tolist() == [length]
    assert bool(batch.terminated[0]) == expected["terminated"]
    np.testing.assert_array_equal(batch.leader_rewards[0, :length], [row[0] for row in expected["paid"]])
    np.testing.assert_array_equal(batch.follower_rewards[0, :length], [row[1] for row in expected["paid"]])
    sight = table.leader.sight
    for stage in range(length):
        own, seen, _ = without_mask(
            RandomEnv.observation_space(table_env(game), sight.agent), expected["states"][stage]
        )
        state = batch.states[0, stage]
        if isinstance(game.state_space, spaces.Discrete):
            assert int(state) == int(seen) - int(own.start)
        else:
            np.testing.assert_array_equal(state[: sight.flat.shape[0]], spaces.flatten(own, seen))
        played = table.leader.moves.decode(batch.leader_actions[0, stage])
        one, other = (spaces.flatten(table.leader.moves.raw, act) for act in (played, expected["actions"][stage]))
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
        slots = table.new_slots()
        for agent, action in expected["replies"][stage]:
            slots[agent].append(table.followers[agent].moves.encode(action))
        np.testing.assert_array_equal(batch.follower_actions[0, stage], table.recorded(slots))


def table_env(game: Any) -> Any:
    return game._turns.env


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_environments_play_the_same_adapted_or_are_refused_when_adapted(batch: int) -> None:
    outcomes = [compare(rules) for rules in range(batch * SIZE, (batch + 1) * SIZE)]
    assert set(outcomes) <= {"same", "InvalidGameError", "UnsupportedGameError"}
    assert outcomes.count("same") > SIZE // 2

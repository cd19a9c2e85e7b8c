"""A leader gets what its information class grants, and can reach nothing else."""

from __future__ import annotations

import gc
import types
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games.errors import InformationError
from stackelberg_games.exact.response import Arrays, Response
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.game import Game
from stackelberg_games.learning.follower import Answer, Follower
from stackelberg_games.learning.information import Evidence, Information, grant
from stackelberg_games.learning.leader import Leader
from stackelberg_games.play.rollout import TabularResponse

FORBIDDEN = (Game, Follower, Answer, Response, TabularResponse, Evidence)


def reachable(root: object) -> list[object]:
    """Every object that can be reached from ``root`` by following references of instances."""
    seen: dict[int, object] = {}
    stack = [root]
    while stack:
        item = stack.pop()
        if id(item) in seen or isinstance(item, type | types.ModuleType):
            continue
        seen[id(item)] = item
        if isinstance(item, types.FunctionType):
            stack += list(item.__closure__ or ()) + list(item.__defaults__ or ())
        else:
            stack += gc.get_referents(item)
    return list(seen.values())


def leaks(leader: Leader, game: TabularGame, response: np.ndarray[Any, Any]) -> list[object]:
    """What a leader holds that a leader of class TRAJECTORIES must not."""
    secrets = [game.transition, game.leader_reward, game.follower_reward, response]
    found: list[object] = []
    for item in reachable(leader):
        if isinstance(item, FORBIDDEN):
            found.append(item)
        if isinstance(item, np.ndarray):
            found += [item for s in secrets if item.shape == s.shape and np.shares_memory(item, s)]
            found += [item for s in secrets if item.shape == s.shape and s.any() and np.array_equal(item, s)]
    return found


def game_for(leader: Leader) -> TabularGame:
    """A noisy game, so that no estimate equals the truth by chance."""
    game = sg.make("random_game-v0", states=4, horizon=20)
    assert isinstance(game, TabularGame)
    return game


@pytest.mark.parametrize(
    "leader_id", ["bchg", "policy_gradient", "bi_actor_critic", "evolution_strategies", "random_search", "fixed"]
)
def test_decentralised_leaders_hold_no_follower_no_game_and_none_of_their_tables(leader_id: str) -> None:
    leader = sg.make_leader(leader_id)
    assert leader.information <= Information.TRAJECTORIES
    game = game_for(leader)
    follower = sg.make_follower("soft_value_iteration", temperature=0.2)
    sg.train(game, leader, follower, iterations=5)
    response = follower.respond(game, leader.commitment).policy
    assert isinstance(response, TabularResponse)
    assert leaks(leader, game, response.probabilities) == []


@dataclass
class Spy(Leader):
    """Keeps whatever it is handed."""

    wish: Information = Information.TRAJECTORIES
    needs_follower_rewards = True

    @property
    def information(self) -> Information:
        return self.wish

    def update(self, evidence: Evidence) -> dict[str, float]:
        self.loot = evidence
        return {}


def test_the_leak_detector_catches_a_leader_that_keeps_the_game_or_the_response() -> None:
    game = sg.make("random_game-v0", states=4, horizon=20)
    assert isinstance(game, TabularGame)
    for wish in (Information.FOLLOWER_POLICY, Information.MODEL):
        spy = Spy(wish)
        sg.train(game, spy, "soft_value_iteration", iterations=1)
        assert leaks(spy, game, np.zeros((4, 3, 3)))


@pytest.mark.parametrize("wish", list(Information))
def test_evidence_holds_exactly_the_granted_fields(wish: Information) -> None:
    spy = Spy(wish)
    sg.train(sg.make("discrete_toy-v0"), spy, "soft_value_iteration", iterations=1)
    held = [
        spy.loot.trajectories is not None,
        spy.loot.follower_policy is not None,
        spy.loot.follower_values is not None,
        spy.loot.game is not None,
    ]
    assert held == [wish >= level for level in list(Information)[1:]]


def test_leader_returns_are_discounted_with_the_leaders_discount() -> None:
    spy = Spy()
    game = sg.make("discrete_toy-v0")
    sg.train(game, spy, "soft_value_iteration", iterations=1)
    batch = spy.loot.require_trajectories()
    expected = [sum(0.99**t * r for t, r in enumerate(rewards)) for rewards in batch.leader_rewards]
    np.testing.assert_allclose(spy.loot.leader_returns, expected, rtol=1e-12)


def test_follower_rewards_are_withheld_from_a_leader_that_does_not_declare_them() -> None:
    spy = Spy()
    type(spy).needs_follower_rewards = False
    try:
        sg.train(sg.make("discrete_toy-v0"), spy, "soft_value_iteration", iterations=1)
        assert spy.loot.require_trajectories().follower_rewards is None
    finally:
        type(spy).needs_follower_rewards = True


def test_trajectories_cannot_be_written_to() -> None:
    spy = Spy()
    sg.train(sg.make("discrete_toy-v0"), spy, "soft_value_iteration", iterations=1)
    with pytest.raises(ValueError, match="read-only"):
        spy.loot.require_trajectories().leader_rewards[0, 0] = 1.0


def test_a_view_holds_no_model() -> None:
    game = sg.make("random_game-v0", states=4)
    assert isinstance(game, TabularGame)
    assert not [item for item in reachable(game.view(0.1)) if isinstance(item, Game | Arrays)]


def test_reading_values_from_a_follower_that_has_none_is_refused() -> None:
    game = sg.make("discrete_toy-v0")
    with pytest.raises(InformationError, match="values"):
        sg.train(game, sg.make_leader("bchg", reads="values"), "soft_q_learning", iterations=1)


def test_a_leader_that_needs_the_temperature_says_so() -> None:
    with pytest.raises(InformationError, match="temperature"):
        sg.train(sg.make("discrete_toy-v0"), "exact_gradient", "best_response", iterations=1)


def test_trajectories_are_refused_to_a_leader_of_returns() -> None:
    with pytest.raises(InformationError, match="returns only"):
        Evidence(np.zeros(3)).require_trajectories()


def test_grant_is_monotone_in_the_class() -> None:
    game = sg.make("discrete_toy-v0")
    assert isinstance(game, TabularGame)
    policy = TabularResponse.uniform(game)
    batch = sg.rollout(game, sg.TabularPolicy(game), policy, episodes=2)
    for level in (Information.RETURNS, Information.TRAJECTORIES, Information.FOLLOWER_POLICY):
        evidence = grant(level, batch, game=game, follower_policy=policy, follower_values=None, follower_rewards=True)
        granted = {name for name, value in vars(evidence).items() if value is not None} - {"doings"}  # lent by power
        assert len(granted) == 1 + level


def test_views_that_compare_equal_are_interchangeable() -> None:
    assert sg.make("discrete_toy-v0", R=1.0).view(0.1) == sg.make("discrete_toy-v0", R=2.0).view(0.1)
    assert sg.make("discrete_toy-v0").view(0.1) != sg.make("discrete_toy-v0", follower_discount=0.5).view(0.1)
    few, many = (sg.make("random_game-v0", leader_actions=1, configuration_size=2, seed=seed) for seed in (0, 1))
    assert few.view(0.1, few.ledger()) != many.view(0.1, many.ledger())  # their levers ask different games

"""The soft-optimal learner: its distance to the exact response, what it remembers, and what it refuses."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.commitments.networks import MLPCategoricalPolicy
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.envs import discrete_toy_v0, random_game_v0
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.numerics.randomness import Streams
from tests.checks import FALSE_ALARM, counts_p_value


def table(answer: Any, shape: tuple[int, ...]) -> Any:
    """The response at all states and leader actions of a finite game."""
    states, actions = np.indices(shape[:2]).reshape(2, -1)
    return np.exp(answer.policy.log_chances(states, actions)).reshape(shape)


def policy_of(game: sg.TabularGame, seed: int) -> TabularPolicy:
    weights = np.random.default_rng(seed).dirichlet(np.ones(game.leader_actions), game.states)
    return TabularPolicy.from_probabilities(game, weights)


@pytest.mark.parametrize("sees", [True, False])
def test_it_tends_to_the_exact_soft_response_and_follows_the_leader(sees: bool) -> None:
    """A second commitment is answered from little play, as what was remembered is told what the leader does now."""
    game = random_game_v0.game(4, 2, 3, follower_discount=0.7, horizon=30, follower_sees_action=sees)
    follower = sg.make_follower("soft_dqn", temperature=0.3, budget=8000, updates=0.2)
    follower.begin(game, seed=0)
    for number in range(2):
        policy = policy_of(game, number)
        answer = follower.respond(game, policy)
        assert answer.transitions == (8000, 2000)[number]
        wanted = exact.best_response(game, policy, 0.3).policy
        found = table(answer, wanted.shape)
        distance = np.abs(found - wanted).sum(axis=2) / 2
        uniform = np.abs(1 / 3 - wanted).sum(axis=2) / 2
        assert distance.mean() < min(0.06, 0.35 * uniform.mean())
        follower.budget = 2000


def test_a_configured_game_begins_its_memory_anew() -> None:
    game: Any = random_game_v0.game(4, 1, 3, follower_discount=0.6, horizon=20, configuration_size=2)
    follower: Any = sg.make_follower("soft_dqn", temperature=0.3, budget=3000)
    follower.begin(game, seed=1)
    for seed in (0, 1):
        commitment = game.commitment(seed, 1.0)
        answer = follower.respond(game, commitment)
        assert follower.held == 3000
        wanted = exact.best_response(game, commitment, 0.3).policy
        assert np.abs(table(answer, wanted.shape) - wanted).sum(axis=2).mean() / 2 < 0.1


def test_where_all_stages_pay_alike_it_learns_to_put_off_the_end() -> None:
    """Three states; the right reply keeps play alive, the other one ends it one time in five, and a stage pays 1."""
    kernel = np.zeros((4, 1, 2, 4))
    kernel[:3, 0, :, 3] = 0.2
    kernel[[0, 1, 2], 0, [0, 1, 0], 3] = 0.0
    kernel[:3, 0, :, :3] = (1 - kernel[:3, 0, :, 3:]) / 3
    kernel[3, :, :, 3] = 1
    paid = np.broadcast_to(np.array([1.0, 1.0, 1.0, 0.0])[:, None, None], (4, 1, 2))
    game = sg.TabularGame(
        kernel,
        paid,
        paid,
        np.ones(4) * [1, 1, 1, 0] / 3,
        terminal=np.arange(4) == 3,
        follower_discount=0.98,
        horizon=100,
    )
    follower = sg.make_follower("soft_dqn", temperature=0.5, budget=4000)
    follower.begin(game, seed=0)
    policy = TabularPolicy(game)
    found = table(follower.respond(game, policy), (4, 1, 2))[:3]
    wanted = exact.best_response(game, policy, 0.5).policy[:3]
    assert wanted.max(axis=2).min() > 0.99
    assert np.abs(found - wanted).max() < 0.05


def test_vectors_are_answered_and_drawn_by_their_chances() -> None:
    game = sg.make("pendulum_grid-v0")
    follower = sg.make_follower("soft_dqn", temperature=2.0, budget=1500)
    follower.begin(game, seed=0)
    answer: Any = follower.respond(game, MLPCategoricalPolicy(game, ())).policy
    states, leader = np.repeat(game.points[[200]], 3000, axis=0), np.ones(3000, np.int64)  # type: ignore[attr-defined]
    replies = answer.sample(states, leader, Streams.of(0, 3000), 5)
    chances = np.exp(answer.log_chances(states[:1], leader[:1]))
    assert counts_p_value(np.bincount(replies, minlength=7)[None], chances) > FALSE_ALARM
    np.testing.assert_allclose(
        np.exp(answer.log_prob(states[:4], leader[:4], replies[:4])), chances[0, replies[:4]], rtol=1e-5
    )


def test_a_match_resumes_to_the_same_numbers() -> None:
    game, settings = discrete_toy_v0.game(horizon=10), {"temperature": 0.2, "budget": 600, "memory": 1000}
    one = sg.make_follower("soft_dqn", **settings)
    one.begin(game, seed=3)
    one.respond(game, policy_of(game, 0))
    two = sg.make_follower("soft_dqn", **settings)
    two.begin(game, seed=3)
    two.load_state_dict(copy.deepcopy(one.state_dict()))
    states, actions = np.indices((3, 2)).reshape(2, -1)
    rows: list[Any] = [f.respond(game, policy_of(game, 1)).policy for f in (one, two)]
    np.testing.assert_array_equal(*(row.log_chances(states, actions) for row in rows))


def test_an_environment_is_answered_as_its_rules_are() -> None:
    rules = random_game_v0.game(4, 2, 3, follower_discount=0.7, horizon=30)
    game = sg.adapt(rules.env, follower_discount=0.7, horizon=30)
    follower = sg.make_follower("soft_dqn", temperature=0.3, budget=4000, updates=0.5)
    follower.begin(game, seed=0)
    policy = policy_of(rules, 0)
    answer: Any = follower.respond(game, adapted(game, policy))
    assert answer.transitions == 4000
    wanted = exact.best_response(rules, policy, 0.3).policy
    states, actions = np.indices((4, 2)).reshape(2, -1)
    seen = np.concatenate([np.eye(4)[states], np.eye(2)[actions]], axis=1).astype(np.float32)
    found = np.exp(answer.policy.log_chances(seen, None)).reshape(wanted.shape)
    distance = np.abs(found - wanted).sum(axis=2).mean() / 2
    assert distance < min(0.06, 0.35 * np.abs(1 / 3 - wanted).sum(axis=2).mean() / 2)
    replies = answer.policy.reply(np.repeat(seen[:1], 3000, axis=0), Streams.of(0, 3000), 5)
    assert counts_p_value(np.bincount(replies, minlength=3)[None], found[0, :1]) > FALSE_ALARM


def adapted(game: Any, policy: TabularPolicy) -> Any:
    """A table on numbered states as the same decision on vectors."""
    network = MLPCategoricalPolicy(game, ())
    with torch.no_grad():
        for name, part in network.named_parameters():
            part.copy_(torch.zeros_like(part) if "bias" in name else policy.logits.T)
    return network


class Gate(gymnasium.Env[Any, Any]):
    """Two places; in the second one only the reply that leads back is allowed. Going there pays."""

    observation_space = gymnasium.spaces.Discrete(2, start=5)
    action_space = gymnasium.spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.at = 0
        return 5, self._told()

    def step(self, action: Any) -> Any:
        assert self._told()["action_mask"][action]
        self.at = int(not self.at and action == 1)
        return 5 + self.at, float(self.at), False, False, self._told()

    def _told(self) -> dict[str, Any]:
        return {"action_mask": np.array([1, 1, 1] if self.at == 0 else [0, 0, 1], np.int8)}


def test_replies_that_are_forbidden_count_for_nothing() -> None:
    """V0 = tau log(2 exp(gV0 / tau) + exp((1 + gV1) / tau)), V1 = g V0."""
    game: Any = sg.incentives(
        Gate, {"kind": "table", "on": "action", "limit": 1e-9}, "reward", horizon=20, follower_discount=0.6
    )
    assert game.follower_masked
    follower = sg.make_follower("soft_dqn", temperature=0.5, budget=2500, updates=0.5)
    follower.begin(game, seed=0)
    answer: Any = follower.respond(game, game.commitment(0)).policy
    value = 0.0
    for _ in range(200):
        q = np.array([0.6 * value, 1 + 0.36 * value, 0.6 * value])
        value = float(0.5 * np.log(np.exp(q / 0.5).sum()))
    wanted = np.exp((q - value) / 0.5)
    found = np.exp(answer.log_chances(np.array([5]), None))[0]
    assert np.abs(found - wanted).sum() / 2 < 0.05
    masks = np.repeat([[False, False, True]], 500, axis=0)
    assert (answer.reply(np.full(500, 6), Streams.of(1, 500), 0, masks=masks) == 2).all()
    follower.budget = 200
    run = sg.train(game, "bchg", follower, iterations=2, episodes=4, seed=0, progress=False)
    assert run.history[-1]["transitions"] > 0


def test_payments_are_charged_anew_for_what_is_remembered() -> None:
    game: Any = sg.incentives(Gate, {"kind": "table", "on": "state_action"}, "reward", horizon=20)
    follower: Any = sg.make_follower("soft_dqn", temperature=0.5, budget=300)
    follower.begin(game, seed=0)
    follower.respond(game, game.commitment(1, spread=2.0))
    two = sg.make_follower("soft_dqn", temperature=0.5, budget=300)
    two.begin(game, seed=0)
    two.load_state_dict(copy.deepcopy(follower.state_dict()))
    second = game.commitment(2, spread=2.0)
    answers: list[Any] = [learner.respond(game, second).policy for learner in (follower, two)]
    places = np.array([5, 6])
    np.testing.assert_array_equal(*(answer.log_chances(places, None) for answer in answers))
    at, replies = follower.kept.again[: follower.held] - 5, follower.kept.replies[: follower.held]
    paid = second.configuration().detach().numpy()[3 * at + replies]
    earned = ((at == 0) & (replies == 1)).astype(float)
    assert len(follower.kept.rewards[: follower.held]) == follower.held > 500
    np.testing.assert_allclose(follower.kept.rewards[: follower.held], paid + earned, atol=1e-12)


def test_where_the_leader_acts_in_an_environment_nothing_stale_is_remembered() -> None:
    rules = random_game_v0.game(3, 2, 2, horizon=10)
    game, follower = sg.adapt(rules.env, horizon=10), sg.make_follower("soft_dqn", budget=300)
    follower.begin(game, seed=0)
    for seed in range(2):
        follower.respond(game, adapted(game, policy_of(rules, seed)))
        assert follower.held == 300  # type: ignore[attr-defined]
    with pytest.raises(UnsupportedGameError, match="copies=4"):
        sg.make_follower("soft_dqn", copies=4).begin(game)


def test_settings_and_games_that_do_not_fit_are_refused() -> None:
    for settings in ({"temperature": 0.0}, {"budget": 0}, {"updates": 0.0}, {"memory": 10}, {"copies": 1.5}):
        with pytest.raises(InvalidArgumentError):
            sg.make_follower("soft_dqn", **settings)
    with pytest.raises(UnsupportedGameError, match="SAC"):
        sg.make_follower("soft_dqn").begin(sg.make("guided_pendulum-v0"))

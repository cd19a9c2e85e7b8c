"""Preferences over Gymnasium environments: what is hidden, what is remembered, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games.adapters.payments import FunctionPayments
from stackelberg_games.adapters.preferred import PreferredGame, refuse_constant
from stackelberg_games.adapters.sources import Source
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError, UnsupportedGameError
from stackelberg_games.learning.information import Evidence
from stackelberg_games.learning.interview import Interview, session_of
from stackelberg_games.rules.comparisons import Judge
from tests.reach import reachable


class Corridor(gymnasium.Env[Any, Any]):
    """A point on a line that is pushed; it is paid for being far to the right."""

    observation_space = gymnasium.spaces.Box(-5.0, 5.0, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.at = np.zeros(1, dtype=np.float32)
        return self.at.copy(), {}

    def step(self, action: Any) -> Any:
        self.at = np.clip(self.at + 0.5 * np.asarray(action, dtype=np.float32), -5.0, 5.0)
        return self.at.copy(), float(self.at[0]), False, False, {}


def linear(x: Any, states: Any, actions: Any) -> Any:
    """x times the position."""
    import torch

    return x[0] * torch.from_numpy(np.asarray(states, dtype=np.float64)[:, 0])


def game(reward: Any = None, **settings: Any) -> PreferredGame:
    chosen = {"segment": 5, "horizon": 12, "follower_discount": 0.9, **settings}
    return sg.preferences(Corridor, FunctionPayments(linear, size=1) if reward is None else reward, **chosen)


def follower(**settings: Any) -> sg.Follower:
    options = {"learning_starts": 20, "batch_size": 16, "policy_kwargs": {"net_arch": [8]}}
    return sg.make_follower("sb3", algorithm="SAC", budget=60, temperature=0.5, options=options, **settings)


def test_a_leader_is_handed_labels_and_no_true_reward() -> None:
    posed, seen = game(), []

    @dataclass
    class Nosy(sg.Leader):
        information = sg.Information.TRAJECTORIES

        def update(self, evidence: Evidence) -> dict[str, float]:
            seen.append(evidence)
            return {}

    leader = Nosy()
    sg.train(posed, leader, follower(), iterations=2, episodes=4, progress=False)
    for evidence in seen:
        told, batch = evidence.require_comparisons(), evidence.require_trajectories()
        assert (told.first.leader_rewards == 0).all()
        assert told.first.follower_rewards is None
        assert told.first.stages == told.second.stages == 5
        paid = batch.leader_rewards
        assert ((paid != 0).sum(axis=1) <= 1).all()  # the loss, where the segment ends
        positions = batch.states[:, 1:, 0]
        assert not np.allclose(paid, positions)
        for side in (told.first, told.second):  # a window of the episodes that were played
            assert (side.states[:, 1:] != side.states[:, :-1]).any()
    held = list(reachable(leader))
    assert not any(isinstance(part, PreferredGame | Judge | gymnasium.Env) for part in held)


def test_windows_come_from_all_over_the_episodes() -> None:
    posed = game(segment=3)
    playing = session_of(posed, 0, None, "fixed")
    assert isinstance(playing, Interview)
    told = playing.hold(posed.commitment(), playing.walker, 200, 0).comparisons
    assert told is not None
    starts = told.first.states[:, 0, 0]
    assert 0.02 < (starts == 0).mean() < 0.35  # a tenth of all windows begin where episodes do
    assert np.abs(starts).max() > 1.0
    worth = [side.states[:, 1:, 0].sum(axis=1) for side in (told.first, told.second)]
    sure = np.abs(worth[0] - worth[1]) > 3.0
    assert sure.sum() > 20
    assert (told.label[sure] == (worth[0] > worth[1])[sure]).mean() > 0.8  # each with a chance of 0.95 or more


def test_what_is_remembered_is_paid_anew() -> None:
    posed, learner = game(), follower()
    learner.begin(posed, seed=0)
    first, second = posed.commitment(1, spread=1.0), posed.commitment(2, spread=1.0)
    learner.respond(posed, first)
    buffer = learner.model.replay_buffer  # type: ignore[attr-defined]
    size = buffer.size()
    x = first.configuration()
    assert x is not None
    positions = buffer.observations[:size, 0, 0]
    np.testing.assert_allclose(buffer.rewards[:size, 0], float(x[0]) * positions, rtol=1e-5, atol=1e-6)
    learner.respond(posed, second)
    y = second.configuration()
    assert y is not None
    assert abs(float(x[0]) - float(y[0])) > 0.1
    positions = buffer.observations[: buffer.size(), 0, 0]
    np.testing.assert_allclose(buffer.rewards[: buffer.size(), 0], float(y[0]) * positions, rtol=1e-5, atol=1e-6)


class Line(gymnasium.Env[Any, Any]):
    """Five places in a row, the last one paid; places are numbered from ``first``."""

    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, first: int = 0) -> None:
        self.observation_space = gymnasium.spaces.Discrete(5, start=first)
        self.first = first

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.at = 0
        return self.first, {}

    def step(self, action: Any) -> Any:
        self.at = min(max(self.at + 2 * int(action) - 1, 0), 4)
        return self.first + self.at, float(self.at == 4), False, False, {}


@pytest.mark.parametrize("own", [0.0, 1.0])
def test_what_is_remembered_of_numbered_states_is_paid_anew(own: float) -> None:
    """The leader's reward in the place of the agent's own, or payments on top of it."""
    form = {"kind": "table", "on": "state_action"}
    posed: Any = (
        sg.incentives(Line, form, "reward", horizon=12) if own else sg.preferences(Line, form, segment=5, horizon=12)
    )
    options = {"learning_starts": 20, "batch_size": 16, "buffer_size": 500, "policy_kwargs": {"net_arch": [8]}}
    learner = sg.make_follower("sb3", algorithm="DQN", budget=60, options=options)
    learner.begin(posed, seed=0)
    learner.respond(posed, posed.commitment(1, spread=1.0))
    second = posed.commitment(2, spread=1.0)
    learner.respond(posed, second)
    x, buffer = second.configuration(), learner.model.replay_buffer  # type: ignore[attr-defined]
    assert x is not None
    assert buffer.size() == 120
    cells = 2 * buffer.observations[:120].ravel() + buffer.actions[:120].ravel()
    assert len({*cells.tolist()}) > 4
    earned = own * (buffer.next_observations[:120].ravel() == 4)
    np.testing.assert_allclose(buffer.rewards[:120].ravel(), x.detach().numpy()[cells] + earned, atol=1e-6)


def test_states_that_a_library_cannot_number_are_refused() -> None:
    posed = sg.preferences(lambda: Line(3), "table", segment=5, horizon=12)
    learner = sg.make_follower("sb3", algorithm="DQN", budget=60)
    learner.begin(posed, seed=0)
    with pytest.raises(UnsupportedGameError, match="number them from 0"):
        learner.respond(posed, posed.commitment(0))


def test_reach_leaves_the_bounds_that_there_are() -> None:
    class Forward(Corridor):
        action_space = gymnasium.spaces.Box(0.0, np.inf, (1,), np.float32)

    class Far(Corridor):
        action_space = gymnasium.spaces.Box(3.0, np.inf, (1,), np.float32)

    posed = sg.preferences(Forward, FunctionPayments(linear, size=1), segment=5, horizon=12)
    learner = sg.make_follower("sb3", algorithm="PPO", budget=64, reach=2.0)
    learner.begin(posed, seed=0)
    answer = learner.respond(posed, posed.commitment(0))
    played = sg.rollout(posed, posed.commitment(0), answer.policy, episodes=10, seed=0).follower_actions
    assert played.min() == 0.0
    assert 0.0 < played.max() <= 2.0
    with pytest.raises(UnsupportedGameError, match=r"reach=2\.0: no action"):
        learner.begin(sg.preferences(Far, FunctionPayments(linear, size=1), segment=5, horizon=12))


class Seldom(Line):
    """Pays at one step in five hundred, then ends; or breaks, or pays always the same."""

    def __init__(self, pays: float = 1.0, breaks: bool = False) -> None:
        super().__init__()
        self.pays, self.breaks, self.count, self.closed = pays, breaks, 0, False
        made.append(self)

    def step(self, action: Any) -> Any:
        seen, _, _, _, told = super().step(action)
        self.count += 1
        if self.breaks:
            raise RuntimeError("broken")
        return seen, self.pays * (self.count == 500), False, False, told

    def close(self) -> None:
        self.closed = True


made: list[Seldom] = []


def test_rewards_that_come_seldom_are_rewards() -> None:
    made.clear()
    refuse_constant(Source(Seldom), "seldom")
    assert [env.count for env in made] == [500]  # no step more than it takes to see a second value


def test_rewards_that_never_differ_are_refused_with_how_long_was_looked() -> None:
    with pytest.raises(InvalidGameError, match="paid 0 at each of 5,000 steps of random play"):
        sg.preferences(lambda: Seldom(0.0), "table", segment=5, horizon=12)


def test_an_environment_that_breaks_is_closed() -> None:
    made.clear()
    with pytest.raises(RuntimeError, match="broken"):
        refuse_constant(Source(lambda: Seldom(breaks=True)), "seldom")
    assert [env.closed for env in made] == [True]


@pytest.mark.parametrize("pairs", ["on_policy", "anchored", "fixed"])
def test_a_network_learns_the_reward_from_labels(pairs: str) -> None:
    posed = game({"kind": "network", "hidden": (8,), "low": -1.0, "high": 1.0})
    leader = sg.make_leader("drlhf", pairs=pairs, learning_rate=0.05)
    run = sg.train(posed, leader, follower(), iterations=4, episodes=20, progress=False)
    assert run.history[-1]["labels"] == 40
    x = run.commitment.configuration()
    assert x is not None
    at = np.linspace(-2.0, 2.0, 9, dtype=np.float32)[:, None]
    found = posed.charged(x.detach().numpy(), at, np.zeros_like(at))
    assert np.corrcoef(found, at[:, 0])[0, 1] > 0.8


def test_a_score_is_the_true_return() -> None:
    run = sg.train(game(), "drlhf", follower(), iterations=1, episodes=4, score_episodes=4, progress=False)
    assert run.score is not None
    assert abs(run.score.value) < 12 * 5.0
    env = game().env()
    env.reset(seed=0)
    env.step(np.zeros(1))
    env.step(np.ones(1, dtype=np.float32))
    assert env.rewards["leader_0"] == 0.0  # a face shows nobody the hidden reward


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: sg.preferences("CartPole-v1"), InvalidGameError, "paid 1 at each of"),
        (lambda: game(segment=13), InvalidGameError, "episodes of"),
        (lambda: game(segment=0), InvalidArgumentError, "segment=0"),
        (lambda: game(judge="nobody"), InvalidArgumentError, "bradley_terry"),
        (lambda: game("table"), UnsupportedGameError, "finitely many"),
        (lambda: game({"kind": "network", "low": 1.0, "high": 0.0}), InvalidArgumentError, "bounds in order"),
    ],
)
def test_what_cannot_be_learned_is_refused(make: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        make()


@pytest.mark.parametrize("name", ["bchg", "hpgd", "sobirl", "policy_gradient"])
def test_gradient_leaders_learn_from_labels_where_states_are_vectors(name: str) -> None:
    posed = game({"kind": "network", "hidden": (8,), "low": -1.0, "high": 1.0}, windows=2)
    leader = sg.make_leader(name, learning_rate=0.05)
    run = sg.train(posed, leader, follower(), iterations=2, episodes=8, progress=False)
    assert run.history[-1]["labels"] == 16
    assert 0 < run.history[-1]["leader/loss"] < 2
    assert run.history[-1]["leader/gradient_norm"] > 0


def test_windows_are_a_count() -> None:
    with pytest.raises(InvalidArgumentError, match="windows=0"):
        game(windows=0)


def test_states_of_many_numbers_have_no_response_row() -> None:
    class Wide(Corridor):
        observation_space = gymnasium.spaces.Box(-5.0, 5.0, (1_200,), np.float32)

        def reset(self, **settings: Any) -> Any:
            return np.zeros(1_200, np.float32), super().reset(**settings)[1]

        def step(self, action: Any) -> Any:
            at, *rest = super().step(action)
            return np.full(1_200, at[0], np.float32), *rest

    posed = sg.preferences(Wide, FunctionPayments(linear, size=1), segment=5, horizon=12)
    view = posed.view(0.5, posed.ledger())
    with pytest.raises(UnsupportedGameError, match="1,200 numbers of a state"):
        sg.make_leader("bchg").begin(view)
    sg.make_leader("policy_gradient").begin(view)

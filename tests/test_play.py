"""Sampled episodes agree with the model, and do not depend on how they are sampled."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.networks import MLPCategoricalPolicy
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.envs import random_game_v0
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.numerics.randomness import Streams
from stackelberg_games.play import compiled_rollout
from stackelberg_games.play import rollout as rolling
from stackelberg_games.play.rollout import TabularResponse, _rollout_batched, rollout
from stackelberg_games.rules import trajectories
from stackelberg_games.rules.commitment import Commitment
from stackelberg_games.rules.trajectories import Trajectories, concatenate
from tests.checks import FALSE_ALARM, counts_p_value
from tests.random_games import Case, case

GAMES = [name for name in sg.games() if isinstance(sg.make(name), TabularGame)]
VARIED = range(16)


def assert_same(found: Trajectories, expected: Trajectories) -> None:
    for field in fields(Trajectories):
        left, right = (np.asarray(getattr(batch, field.name)) for batch in (found, expected))
        assert left.dtype == right.dtype, field.name
        assert np.array_equal(left, right), field.name


def played(which: Case, **settings: Any) -> Trajectories:
    response = exact.best_response(which.game, which.commitment, which.temperature)
    return rollout(
        which.game, which.commitment, TabularResponse(response.policy), **{"stages": which.stages, **settings}
    )


def finite(name: str) -> TabularGame:
    game = sg.make(name)
    assert isinstance(game, TabularGame)
    return game


def uniform_play(game: TabularGame, seed: int, transitions: int = 60_000) -> Trajectories:
    stages = min(game.stages(), 100)
    return rollout(
        game,
        TabularPolicy(game),
        TabularResponse.uniform(game),
        episodes=transitions // stages,
        seed=seed,
        stages=stages,
    )


def transition_counts(game: TabularGame, batch: Trajectories) -> FloatArray:
    index = (batch.states[:, :-1], batch.leader_actions, batch.follower_actions, batch.states[:, 1:])
    counts = np.zeros(game.transition.shape)
    np.add.at(counts, tuple(part[batch.mask] for part in index), 1.0)
    return counts


@pytest.mark.parametrize("name", GAMES)
def test_transitions_of_every_registered_game_follow_its_tensor(name: str) -> None:
    game = finite(name)
    batch = uniform_play(game, 0)
    counts = transition_counts(game, batch)
    assert counts.sum() == batch.transitions > 50_000
    assert counts_p_value(counts, game.transition) > FALSE_ALARM


@pytest.mark.parametrize("name", GAMES)
def test_first_states_of_every_registered_game_follow_its_distribution(name: str) -> None:
    game = finite(name)
    batch = rollout(game, TabularPolicy(game), TabularResponse.uniform(game), episodes=20_000, stages=1)
    counts = np.bincount(batch.states[:, 0], minlength=game.states)
    assert counts_p_value(counts, game.initial_distribution) > FALSE_ALARM


@pytest.mark.parametrize("name", GAMES)
def test_rewards_of_every_registered_game_are_its_tables_entries(name: str) -> None:
    game = finite(name)
    batch = uniform_play(game, 1, 2_000)
    cell = (batch.states[:, :-1], batch.leader_actions, batch.follower_actions)
    assert (batch.leader_rewards == game.leader_reward[cell] * batch.mask).all()
    assert (batch.follower_rewards == game.follower_reward[cell] * batch.mask).all()


@pytest.mark.parametrize("index", VARIED)
def test_sampled_steps_follow_model_and_policies_of_random_games(index: int) -> None:
    which = case(index)
    game, batch = which.game, played(which, episodes=8_000, seed=index)
    model = game.model(which.commitment)
    counts = transition_counts(game, batch)
    response = exact.best_response(game, which.commitment, which.temperature).policy
    assert counts_p_value(counts, model.transition.detach().numpy()) > FALSE_ALARM
    assert counts_p_value(counts.sum(axis=3), response) > FALSE_ALARM
    assert counts_p_value(counts.sum(axis=(2, 3)), model.policy.detach().numpy()) > FALSE_ALARM


def test_count_test_rejects_a_slightly_wrong_transition() -> None:
    game = random_game_v0.game()
    counts = transition_counts(game, uniform_play(game, 0))
    wrong = 0.9 * game.transition + 0.1 * (game.transition > 0) / (game.transition > 0).sum(axis=3, keepdims=True)
    assert counts_p_value(counts, wrong) < FALSE_ALARM
    assert counts_p_value(counts, np.roll(game.transition, 1, axis=3)) == 0.0


@pytest.mark.parametrize("index", VARIED)
def test_compiled_rollout_equals_the_batched_one(index: int) -> None:
    which = case(index)
    response = TabularResponse(exact.best_response(which.game, which.commitment, which.temperature).policy)
    expected = _rollout_batched(which.game, which.commitment, response, Streams.of(index, 50, 3), which.stages)
    assert_same(played(which, episodes=50, seed=index, first_episode=3), expected)


@pytest.mark.parametrize("index", VARIED)
def test_episodes_do_not_depend_on_the_size_of_the_batch(index: int) -> None:
    which = case(index)
    whole = played(which, episodes=30, seed=5)
    sizes = [(0, 1), (1, 12), (13, 17)]
    assert_same(concatenate([played(which, episodes=n, seed=5, first_episode=k) for k, n in sizes]), whole)


def test_longer_truncation_continues_the_same_episodes() -> None:
    which = case(0)
    short, long = (played(which, episodes=20, stages=stages) for stages in (4, 9))
    assert (long.states[:, :5] == short.states).all()
    assert (long.leader_rewards[:, :4] == short.leader_rewards).all()


def test_different_seeds_give_different_episodes() -> None:
    which = case(0)
    first, second = (played(which, episodes=50, seed=seed).states for seed in (0, 1))
    assert (first != second).any(axis=1).mean() > 0.9


@pytest.mark.parametrize("index", [i for i in range(40) if case(i).game.terminal.any() and case(i).stages > 1])
def test_terminal_states_end_episodes_and_padding_is_blank(index: int) -> None:
    which = case(index)
    batch = played(which, episodes=300, seed=1)
    ends = which.game.terminal
    last = batch.states[np.arange(300), batch.lengths]
    assert (batch.terminated == ends[last]).all()
    assert batch.terminated.any()
    assert (batch.lengths[~batch.terminated] == which.stages).all()
    assert not ends[batch.states[:, :-1][batch.mask]].any()
    assert batch.follower_rewards is not None
    blank = ~batch.mask
    for padded in (batch.leader_actions, batch.follower_actions, batch.leader_rewards, batch.follower_rewards):
        assert not padded[blank].any()
    assert (batch.states[:, 1:][blank] == np.broadcast_to(last[:, None], blank.shape)[blank]).all()


def test_stages_default_to_the_horizon_and_without_one_to_faded_discounts() -> None:
    policy_of = TabularPolicy
    for game, stages in ((random_game_v0.game(horizon=7), 7), (random_game_v0.game(leader_discount=0.5), 90)):
        batch = rollout(game, policy_of(game), TabularResponse.uniform(game), episodes=2)
        assert batch.stages == stages


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"episodes": 0}, "episodes=0"),
        ({"episodes": 2.5}, "episodes=2.5"),
        ({"episodes": True}, "episodes=True"),
        ({"stages": 0}, "stages=0"),
        ({"stages": 3.0}, "stages=3.0"),
        ({"first_episode": -1}, "first_episode=-1"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 0.5}, "seed=0.5"),
        ({"seed": True}, "seed=True"),
    ],
)
def test_bad_arguments_are_refused_by_name_and_value(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        played(case(0), **settings)


SMALL = random_game_v0.game(states=2, leader_actions=2, follower_actions=2, transitions={"branching": 2})


@pytest.mark.parametrize(
    ("commitment", "response"),
    [
        (TabularPolicy(random_game_v0.game()), TabularResponse.uniform(SMALL)),
        (Configuration([1.0]), TabularResponse.uniform(SMALL)),
        (TabularPolicy(SMALL), TabularResponse.uniform(random_game_v0.game())),
        (TabularPolicy(SMALL), TabularResponse(np.full((2, 2), 0.5))),
    ],
)
def test_players_made_for_another_game_are_refused(commitment: Commitment, response: TabularResponse) -> None:
    with pytest.raises(InvalidArgumentError, match="expected"):
        rollout(SMALL, commitment, response)


@pytest.mark.parametrize(("row", "named"), [([0.5, 0.6], "sums to 1.1"), ([1.5, -0.5], "-0.5"), ([np.nan, 1], "nan")])
def test_response_rows_must_be_distributions(row: list[float], named: str) -> None:
    with pytest.raises(InvalidGameError, match=named):
        TabularResponse(np.array([[row] * 2] * 2))


def test_zero_probability_moves_are_never_played() -> None:
    game = random_game_v0.game(states=3, leader_actions=3, follower_actions=3)
    rows = np.array([0.0, 1.0, 0.0])
    policy = TabularPolicy.from_probabilities(game, np.tile(rows, (3, 1)))
    batch = rollout(game, policy, TabularResponse(np.tile(rows, (3, 3, 1))), episodes=200, stages=50)
    assert (batch.leader_actions == 1).all()
    assert (batch.follower_actions == 1).all()


def leaving(chance: float, horizon: int) -> TabularGame:
    """A game that ends with a chance after every stage."""
    moves = np.zeros((2, 2, 2, 2))
    moves[..., 0], moves[..., 1] = 1 - chance, chance
    pay = np.arange(8.0).reshape(2, 2, 2)
    return TabularGame(moves, pay, -pay, [1.0, 0.0], 0.9, 0.9, horizon=horizon, terminal=[False, True])


def aec(horizon: int) -> sg.AECGame:
    """The same from outside, over after one stage."""
    game = leaving(1.0, 5)
    return sg.AECGame(game.env, leader_discount=0.9, follower_discount=0.9, horizon=horizon)


class Careless:
    """Always plays 0, stage by stage."""

    def sample(self, states: Any, leader_actions: Any, streams: Streams, stage: int) -> Any:
        return np.zeros(len(states), dtype=np.int64)

    def reply(self, observations: Any, streams: Streams, stage: int, masks: Any = None) -> Any:
        return np.zeros(len(observations), dtype=np.int64)


@pytest.mark.parametrize("horizon", [3, 4, 5, 16, 17, 40])
def test_room_grows_with_what_is_played_and_changes_nothing(horizon: int, monkeypatch: pytest.MonkeyPatch) -> None:
    game = leaving(0.2, horizon)
    commitment, response = TabularPolicy(game), TabularResponse.uniform(game)
    streams = Streams.of(0, 12, 0)

    def both() -> list[Trajectories]:
        return [
            rollout(game, commitment, response, episodes=12),
            _rollout_batched(game, commitment, response, streams, horizon),
        ]

    whole = both()[0]
    for module in (compiled_rollout, rolling, trajectories):
        monkeypatch.setattr(module, "BLOCK", 4)
    for found in both():
        longest = int(whole.lengths.max())
        assert (found.stages, found.horizon) == (min(horizon, -(-longest // 4) * 4), horizon)
        assert_same(trajectories.concatenate([found, whole])[:12], whole)


@pytest.mark.parametrize(
    "work",
    [
        lambda horizon: rollout(
            leaving(1.0, horizon),
            TabularPolicy(leaving(1.0, 5)),
            TabularResponse.uniform(leaving(1.0, 5)),
            episodes=10,
        ),
        lambda horizon: rollout(leaving(1.0, horizon), TabularPolicy(leaving(1.0, 5)), Careless(), episodes=10),
        lambda horizon: rollout(aec(horizon), MLPCategoricalPolicy(aec(5), hidden=(4,)), Careless(), episodes=10),
        lambda horizon: sg.train(
            leaving(1.0, horizon), "bchg", "soft_value_iteration", iterations=2, episodes=3, progress=False
        ),
        lambda horizon: sg.train(
            leaving(1.0, horizon), "policy_gradient", "random", iterations=2, episodes=3, progress=False
        ),
    ],
    ids=["tables", "stage by stage", "another environment", "bchg", "policy_gradient"],
)
def test_memory_follows_what_is_played_and_not_the_horizon(work: Callable[[int], Any]) -> None:
    work(5)  # what is imported and compiled does not count
    tracemalloc.start()
    try:
        work(3_000_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4e6  # bytes; a single array of one episode under this horizon has 24e6

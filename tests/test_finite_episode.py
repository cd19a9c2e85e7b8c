"""Episodes of finite games without arrays of one: the very episodes that arrays give, and what they leave to other games."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stackelberg_games as sg
from stackelberg_games.errors import InvalidActionError, InvalidArgumentError
from stackelberg_games.faces.configured import episode_of
from stackelberg_games.faces.episode import Episode, Snapshot
from stackelberg_games.faces.finite_episode import FiniteEpisode
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.numerics.randomness import Lane, Streams, one_uniform
from stackelberg_games.rules.scene import PLAYERS
from tests.large_games import grid


def random_game(seed: int, sees: bool, width: int) -> TabularGame:
    """A game with some impossible successors, a terminal state and a horizon."""
    rng = np.random.default_rng(seed)
    states = 6
    transition = rng.dirichlet(np.ones(states), (states, 2, 3)) * (rng.random((states, 2, 3, states)) < width / states)
    transition[..., 0] += transition.sum(axis=-1) == 0
    transition /= transition.sum(axis=-1, keepdims=True)
    leader, follower = rng.normal(size=(2, states, 2, 3))
    start = rng.dirichlet(np.ones(states)) * (np.arange(states) != 4)
    return TabularGame(
        transition,
        leader,
        follower,
        start / start.sum(),
        horizon=9,
        terminal=np.arange(states) == 4,
        follower_sees_action=sees,
    )


def told(episode: Episode) -> list[Any]:
    """All that players and pictures are told."""
    seen = [episode.observe(player) for player in PLAYERS]
    assert all(array.dtype == np.float32 for array in (*seen, episode.vector()))
    return [*(array.tolist() for array in (*seen, episode.vector())), episode.over, episode.mover, episode.scene()[0]]


def assert_same_play(game: TabularGame, seed: int, rounds: int) -> None:
    fast, plain = episode_of(game), Episode(game)
    assert type(fast) is FiniteEpisode
    draws = np.random.default_rng(seed)
    for _ in range(rounds):
        if fast.seed < 0 or fast.over:
            number = None if fast.seed >= 0 else seed
            fast.reset(number)
            plain.reset(number)
        assert told(fast) == told(plain)
        leader, follower = int(draws.integers(game.leader_actions)), int(draws.integers(game.follower_actions))
        fast.commit(leader)
        plain.commit(leader)
        assert told(fast) == told(plain)
        assert fast.reply(follower) == plain.reply(follower)
        assert fast.snapshot() == plain.snapshot()
        assert fast.streams.uniform(Lane.LEADER, 3) == plain.streams.uniform(Lane.LEADER, 3)


@settings(deadline=None)
@given(seed=st.integers(0, 2**63 - 1), sees=st.booleans(), width=st.sampled_from([1, 3, 6]))
def test_numbers_play_the_episodes_that_arrays_play(seed: int, sees: bool, width: int) -> None:
    assert_same_play(random_game(seed % 1000, sees, width), seed, 25)


def test_large_games_show_the_number_of_a_state() -> None:
    game = grid(70)
    assert game.shows_numbers
    assert_same_play(game, 3, 40)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    episode=st.integers(0, 2**40),
    lane=st.sampled_from(list(Lane)),
    stage=st.integers(0, 10**6),
)
def test_one_draw_is_that_of_the_stream(seed: int, episode: int, lane: Lane, stage: int) -> None:
    expected = Streams.of(seed, 1, episode).uniform(lane, stage)
    assert one_uniform(seed, episode, int(lane), stage) == expected.item()


class Doubled(TabularGame):
    """Pays twice what its tables say."""

    def step(self, *args: Any) -> Any:
        step = super().step(*args)
        return step._replace(leader_rewards=2 * step.leader_rewards)


def test_a_class_with_rules_of_its_own_is_played_by_them() -> None:
    tables = np.ones((1, 1, 1, 1)), [[[1.0]]], [[[1.0]]], [1.0]
    game = Doubled(*tables, horizon=3)
    assert game.one_by_one() is None
    episode = episode_of(game)
    episode.reset(0)
    episode.commit(0)
    assert episode.reply(0) == (2.0, 1.0)


def test_copies_and_pickles_hold_no_tables() -> None:
    game = random_game(0, True, 3)
    env: Any = game.raw_env()
    env.reset(seed=1)
    env.step(1)
    for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        twin.step(2)
        env_state = copy.deepcopy(env)
        env_state.step(2)
        assert twin.get_state() == env_state.get_state()
    assert len(pickle.dumps(env._episode)) < len(pickle.dumps(game)) + 5000


@pytest.mark.parametrize("states", [np.array([6]), np.array([-1]), np.array([0, 1]), np.array([0.5]), 3])
def test_states_of_another_game_are_refused(states: Any) -> None:
    episode = episode_of(random_game(0, True, 3))
    episode.reset(5)
    before = episode.snapshot()
    with pytest.raises(InvalidArgumentError, match="expected one in"):
        episode.restore(Snapshot(1, 0, states=states))
    with pytest.raises(InvalidActionError):
        episode.restore(before._replace(pending=7))
    assert episode.snapshot() == before


def test_matrix_games_are_played_by_numbers() -> None:
    assert type(episode_of(sg.make("matrix-v0"))) is FiniteEpisode
    assert type(episode_of(sg.make("lqr-v0"))) is Episode

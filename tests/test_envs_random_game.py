"""Random games: reproducible, of the shape asked for, configurable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games.envs import random_game_v0
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables


@pytest.mark.parametrize(("states", "branching"), [(1, 1), (2, 2), (9, 1), (30, 4)])
def test_every_cell_has_the_successors_asked_for(states: int, branching: int) -> None:
    game = random_game_v0.game(states, 2, 3, transitions={"branching": branching})
    assert game.transition.shape == (states, 2, 3, states)
    assert ((game.transition > 0).sum(axis=-1) == branching).all()
    for rewards in (game.leader_reward, game.follower_reward):
        assert rewards.min() >= 0.0
        assert rewards.max() <= 1.0
    assert not np.array_equal(game.leader_reward, game.follower_reward)


def test_same_arguments_give_the_same_game_and_another_seed_another() -> None:
    first, again, other = (random_game_v0.game(seed=seed, configuration_size=2) for seed in (1, 1, 2))
    weights = torch.tensor([1.0, 2.0], dtype=torch.float64)
    for name in Tables._fields:
        assert np.array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))
        assert torch.equal(getattr(first.tables(weights), name), getattr(again.tables(weights), name))


def test_successors_and_rewards_are_spread_evenly() -> None:
    game = random_game_v0.game(40, 3, 3, transitions={"branching": 5}, seed=3)
    share = (game.transition > 0).mean(axis=(0, 1, 2))
    error = np.sqrt(0.125 * 0.875 / 360)
    assert np.abs(share - 0.125).max() < 5 * error
    rewards = np.stack([game.leader_reward, game.follower_reward])
    assert abs(rewards.mean() - 0.5) < 5 / np.sqrt(12 * rewards.size)


def test_terminal_states_come_last_and_are_never_first() -> None:
    game = random_game_v0.game(5, transitions={"terminal_states": 2})
    assert game.terminal.tolist() == [False, False, False, True, True]
    assert game.initial_distribution.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0, 0])


def test_zero_configuration_changes_nothing_and_others_keep_the_support() -> None:
    game = random_game_v0.game(configuration_size=3)
    plain = game.tables(torch.zeros(3, dtype=torch.float64))
    for name in Tables._fields:
        assert getattr(plain, name).numpy() == pytest.approx(getattr(game, name), abs=1e-15)
    tilted = game.tables(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    assert torch.equal(tilted.transition > 0, plain.transition > 0)
    for name in Tables._fields:
        assert not torch.allclose(getattr(tilted, name), getattr(plain, name))


def test_rewards_are_linear_and_log_odds_are_linear_in_the_configuration() -> None:
    game = random_game_v0.game(configuration_size=1)
    at = [game.tables(torch.tensor([x], dtype=torch.float64)) for x in (0.0, 1.0, 2.0)]
    for name in ("leader_reward", "follower_reward"):
        first, second, third = (getattr(tables, name) for tables in at)
        assert torch.allclose(third - second, second - first)
    odds = [tables.transition[0, 0, 0][tables.transition[0, 0, 0] > 0].log().diff() for tables in at]
    assert torch.allclose(odds[2] - odds[1], odds[1] - odds[0])


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"states": 0}, "states=0"),
        ({"leader_actions": 0}, "leader_actions=0"),
        ({"follower_actions": -1}, "follower_actions=-1"),
        ({"transitions": {"branching": 0}}, "branching=0"),
        ({"transitions": {"branching": 6}}, "branching=6"),
        ({"transitions": {"terminal_states": 5}}, "terminal_states=5"),
        ({"transitions": {"terminal_states": -1}}, "terminal_states=-1"),
        ({"configuration_size": -1}, "-1"),
        ({"horizon": 0}, "horizon=0"),
        ({"leader_discount": 1.0}, "leader_discount=1.0"),
    ],
)
def test_sizes_out_of_range_are_refused_by_value(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidGameError, match=named):
        sg.make("random_game-v0", **settings)
    with pytest.raises(InvalidArgumentError, match=r"transitions\.branches"):
        sg.make("random_game-v0", transitions={"branches": 2})


@pytest.mark.parametrize("seed", [-1, 0.5, True])
def test_seeds_must_be_integers_in_range(seed: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=f"seed={seed!r}"):
        sg.make("random_game-v0", seed=seed)


def test_games_without_a_lever_cannot_be_configured() -> None:
    with pytest.raises(InvalidGameError, match="cannot be configured"):
        random_game_v0.game().tables(torch.zeros(1, dtype=torch.float64))


@pytest.mark.parametrize("leader_actions", [1, 3])
@pytest.mark.parametrize("sees", [True, False])
def test_bchg_configures_and_acts_by_the_exact_hypergradient(leader_actions: int, sees: bool) -> None:
    game = random_game_v0.game(
        4,
        leader_actions,
        2,
        seed=4,
        leader_discount=0.8,
        follower_discount=0.8,
        configuration_size=2,
        follower_sees_action=sees,
    )
    assert isinstance(game, ConfigurableGame)
    commitment = game.commitment(1, 0.7)
    follower = sg.make_follower("soft_value_iteration", temperature=0.3)
    report = sg.gradient_check(game, "bchg", follower, commitment=commitment, batches=40, episodes=3000, seed=2)
    assert report.exact.shape == (2 + 4 * (leader_actions if leader_actions > 1 else 0),)
    assert report.relative_bias < 3 * report.relative_bias_error
    assert report.relative_bias < 0.05


def test_a_leader_of_a_configurable_random_game_starts_with_both_parts() -> None:
    game = random_game_v0.game(configuration_size=3)
    run = sg.train(game, "bchg", "soft_value_iteration", iterations=3, episodes=8, seed=0)
    configuration = run.commitment.configuration()
    assert configuration is not None
    assert configuration.detach().abs().max() > 0.02  # it has moved away from the start
    assert (run.commitment.probabilities() - 1 / 3).abs().max() > 0.001
    assert random_game_v0.game().view().lever is None
    assert random_game_v0.game().commitment().configuration() is None

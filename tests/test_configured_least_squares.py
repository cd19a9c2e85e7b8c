"""Quadratic critics of configured linear dynamics, and leaders that learn on them."""

from typing import Any

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.envs.thermal_control_v0 import ThermalControl
from stackelberg_games.errors import InformationError, UnsupportedGameError
from stackelberg_games.representations.configured_least_squares import ConfiguredCritics
from stackelberg_games.representations.configured_linear import ConfiguredLinear
from stackelberg_games.representations.protocol import Needs
from stackelberg_games.representations.quadratic_features import averaged, fitted_advantages
from stackelberg_games.rules.trajectories import Trajectories
from tests.truths import thermal_critics


def made() -> ThermalControl:
    game = sg.make("thermal_control-v0")
    assert isinstance(game, ThermalControl)
    return game


def bootstrapped(
    game: ThermalControl, commitment: Configuration, critics: ConfiguredCritics, batch: Trajectories
) -> Any:
    """G of the response row for benefits as credits, read off a lever that shifts A by what it is configured with."""
    learned = ConfiguredLinear(game.view(0.1), commitment, Needs(follower=True))
    learned.batch, learned.critics = batch, critics
    values = learned.at(commitment)
    pulled: list[Any] = []
    values._along = pulled.append  # type: ignore[attr-defined]
    values.bootstrapped(values.benefit().scaled(values.discounts))
    return pulled[0]


def test_the_covariance_in_closed_form_is_the_mean_of_the_sampled_one() -> None:
    game = made()
    commitment = game.commitment(1, 1.0)
    critics = thermal_critics(game, commitment, 0.1)
    answer = sg.make_follower("maxent_lqr", temperature=0.1).respond(game, commitment)
    batch = sg.rollout(game, commitment, answer.policy, episodes=1, seed=0, stages=1)
    closed = bootstrapped(game, commitment, critics, batch) / 0.1
    count = 200_000  # replies to one and the same state
    state = batch.states[0, 0]
    shaken = np.random.default_rng(0).multivariate_normal(np.zeros(2), critics.spread, count)
    replies = critics.gain @ state + shaken
    states = np.stack([np.tile(state, (count, 1)), critics.state @ state + replies @ critics.push.T], axis=1)
    many = Trajectories(
        states,
        np.zeros((count, 1, 1)),
        replies[:, None],
        np.zeros((count, 1)),
        None,
        np.ones(count, dtype=np.int64),
        np.zeros(count, dtype=np.bool_),
    )
    benefit = critics.benefit(many)[:, 0]
    following = states[:, 1]
    gamma, direction = critics.follower_discount, np.random.default_rng(1).normal(size=(4, 4))
    moved = critics.state + 1e-6 * direction
    changed = ConfiguredCritics(moved, *list(vars(critics).values())[1:10])
    slope = (changed.follower_value - critics.follower_value) / 1e-6  # dP by finite differences
    along = 2 * ((following @ critics.follower_value) * (direction @ state)).sum(axis=1)
    values = -gamma * (along + ((following @ slope) * following).sum(axis=1)) / 0.1
    products = benefit * (values - values.mean())
    error = products.std() / count**0.5
    assert abs(products.mean() - (closed * direction).sum()) < 4 * error
    assert abs((closed * direction).sum()) > 20 * error


def test_averages_leave_what_is_quadratic_and_remove_what_depends_on_the_state_alone() -> None:
    game = made()
    commitment = game.commitment(0)
    answer = sg.make_follower("maxent_lqr", temperature=0.1).respond(game, commitment)
    batch = sg.rollout(game, commitment, answer.policy, episodes=5, seed=0)
    credit = np.random.default_rng(0).normal(size=(5, 100))
    kept = averaged(batch.states[:, :-1], batch.follower_actions, batch.mask, credit)
    x, u = batch.states[:, :-1], batch.follower_actions
    scale = np.abs(kept).sum()
    assert abs((kept * x[..., 0] * x[..., 1]).sum()) < 1e-8 * scale
    crossed = u[..., 0] * x[..., 1]
    assert abs((kept * crossed).sum()) > 1e-3 * np.abs(kept * crossed).sum()


def test_sarsa_finds_the_advantages_of_the_exact_critics() -> None:
    game = made()
    commitment = game.commitment(1, 1.0)
    critics = thermal_critics(game, commitment, 0.1)
    answer = sg.make_follower("maxent_lqr", temperature=0.1).respond(game, commitment)
    batch = sg.rollout(game, commitment, answer.policy, episodes=300, seed=3)
    law = (critics.gain, critics.spread)
    fitted = fitted_advantages("sarsa", batch, batch.states[:, :-1], *law, 0.9)[:, :20]
    exact = critics.benefit(batch)[:, :20]
    assert np.abs(fitted - exact).mean() < 0.1 * np.abs(exact).mean()


def test_classes_are_kept() -> None:
    view = made().view(0.1)
    with pytest.raises(UnsupportedGameError, match="reads='none'"):
        sg.make_leader("bchg", reads="policy").begin(view)
    with pytest.raises(UnsupportedGameError, match="finite game"):
        sg.make_leader("hpgd", estimation="oracle").begin(view)
    game = made()
    commitment = game.commitment(0)
    answer = sg.make_follower("maxent_lqr", temperature=0.1).respond(game, commitment)
    batch = sg.rollout(game, commitment, answer.policy, episodes=2, seed=0).without_follower_rewards()
    for name, needs in (("bchg", True), ("policy_gradient", False)):
        leader = sg.make_leader(name)
        leader.begin(view)
        if needs:
            with pytest.raises(InformationError, match="rewards"):
                leader.update(sg.Evidence(np.zeros(1), batch))
        else:
            assert leader.update(sg.Evidence(np.zeros(1), batch))["gradient_norm"] > 0


def test_bchg_climbs_from_the_standard_start() -> None:
    follower = sg.make_follower("maxent_lqr", temperature=0.1)
    run = sg.train(made(), sg.make_leader("bchg", learning_rate=0.2), follower, iterations=40, episodes=10)
    assert run.value is not None
    assert run.value > -175  # -262 at the start, -162.5 at best

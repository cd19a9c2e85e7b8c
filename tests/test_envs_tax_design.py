"""Tax design: the economy by hand, exact gradients, sampled steps, and both forms against each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kstest, truncnorm

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.arrays import FloatArray, IntArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.parametrisation import Plain
from stackelberg_games.envs.tax_design_v0 import ContinuousTaxDesign, Economy, TaxDesign
from stackelberg_games.errors import InformationError, InvalidActionError, InvalidArgumentError, InvalidGameError
from stackelberg_games.numerics.randomness import Lane, Streams
from stackelberg_games.numerics.sampling import cumulative
from stackelberg_games.rules.lever import Stages
from tests.configured_checks import slopes, steps_fit, value

RATES = (0.2, 0.1, 0.4, 0.3)


def made(**settings: Any) -> TaxDesign:
    game = sg.make("tax_design-v0", **settings)
    assert isinstance(game, TaxDesign)
    return game


def sampled(**settings: Any) -> ContinuousTaxDesign:
    game = sg.make("tax_design-v0", form="continuous", **settings)
    assert isinstance(game, ContinuousTaxDesign)
    return game


def at(rates: Any, states: int = 1) -> Configuration:
    return Configuration(np.array(rates), Plain(), states=states)


def test_the_economy_by_hand() -> None:
    economy = Economy.of(10, 5, ((0.6, 0.3, 0.1),))
    assert len(economy.hours) == 1250
    action = 3 * 125 + 2 * 25 + 1 * 5 + 4  # 2.67 hours, 2.5, 1.25 and 5 spent
    rates = torch.tensor(RATES, dtype=torch.float64)
    assert economy.spent[action].tolist() == [2.5, 1.25, 5.0]
    assert float(economy.saved(rates)[action]) == pytest.approx(0.7 * 2.67 - 8.75)
    goods = (2.5 / 1.2) ** 0.6 * (1.25 / 1.1) ** 0.3 * (5 / 1.4) ** 0.1
    assert float(economy.utility(rates)[0, action]) == pytest.approx(goods - 0.1 * 2.67**2)
    bought = [2.5 / 1.2, 1.25 / 1.1, 5 / 1.4]
    taxes = 0.2 * bought[0] + 0.1 * bought[1] + 0.4 * bought[2] + 0.3 * 2.67
    assert float(economy.revenue(rates)[action]) == pytest.approx(sum(bought) + 5 * np.log(1 + taxes))


def test_the_cells_are_those_of_the_truncated_normal() -> None:
    game = made()
    tables = game.tables(torch.tensor(RATES, dtype=torch.float64))
    for x, action in ((20, 0), (3, 50), (38, 107)):
        mean = np.clip(game.grid[x] + float(game.economy.saved(torch.tensor(RATES))[action]), -100, 100)
        law = truncnorm((-100 - mean) / 5, (100 - mean) / 5, mean, 5)
        row = tables.transition[41 + x, 0, action].numpy()
        np.testing.assert_allclose(row[41:], np.diff(law.cdf(game._edges)), atol=1e-12)
        assert not row[:41].any()  # a household stays of its kind
    assert float(tables.follower_reward[0, 0, 0]) == -100.0
    assert float(tables.follower_reward[40, 0, 0]) == pytest.approx(np.log(6))


def test_the_first_taxes_are_the_published_ones() -> None:
    np.testing.assert_allclose(made().commitment(0, 0.0).configuration().detach(), 0.3, rtol=1e-12)
    assert made().commitment(1).configuration().detach().std() > 0
    low = made(highest_rate=0.4).commitment(0, 0.0).configuration().detach()
    np.testing.assert_allclose(low, 0.2, rtol=1e-12)


@pytest.mark.parametrize("temperature", [0.1, 0.3])
@pytest.mark.parametrize("horizon", [None, 200])
def test_exact_hypergradients_agree_with_finite_differences(temperature: float, horizon: int | None) -> None:
    game = made(horizon=horizon, assets=25)
    exactly, numerically = slopes(game, game.commitment(3, 1.0), temperature)
    assert abs(exactly) > 1e-3
    assert numerically == pytest.approx(exactly, rel=1e-5)


def test_sampled_steps_follow_the_configured_model() -> None:
    game = made(hours=2, consumption=2)
    assert steps_fit(game, game.commitment(1, 1.0)) > 1e-3


def test_the_kind_of_household_is_drawn_evenly_and_stays() -> None:
    for game, kind in ((made(), lambda s: s // 41), (sampled(), lambda s: s[..., 1])):
        batch = sg.rollout(game, game.commitment(0), _Uniform(game), episodes=1000, seed=0, stages=10)
        kinds = kind(batch.states)  # type: ignore[no-untyped-call]
        assert (kinds == kinds[:, :1]).all()
        assert abs((kinds[:, 0] == 1).mean() - 0.5) < 4 * 0.5 / 1000**0.5


@dataclass
class _Uniform:
    game: Any

    def sample(self, states: Any, leader_actions: Any, streams: Streams, stage: int) -> IntArray:
        count = int(self.game.follower_action_space.n)
        return (streams.uniform(Lane.FOLLOWER, stage)[:, 0] * count).astype(np.int64)


@dataclass
class _ByCell:
    """The exact response of a discrete game, played at the nearest cell."""

    game: TaxDesign
    table: FloatArray

    def sample(self, states: Any, leader_actions: Any, streams: Streams, stage: int) -> IntArray:
        cells = np.rint((states[:, 0] + 100) / (self.game.grid[1] - self.game.grid[0])).astype(np.int64)
        rows = cumulative(self.table[cells + len(self.game.grid) * states[:, 1].astype(np.int64), 0])
        return np.asarray((streams.uniform(Lane.FOLLOWER, stage) >= rows).sum(axis=1), dtype=np.int64)


def test_the_continuous_form_is_what_the_discrete_one_approaches() -> None:
    discrete, continuous = made(assets=121), sampled(hours=4, consumption=3)
    table = exact.best_response(discrete, at(RATES, discrete.states), 0.3).policy
    follower = _ByCell(discrete, np.ascontiguousarray(table))
    batch = sg.rollout(continuous, at(RATES), follower, episodes=2000, seed=1, stages=80)
    returns = batch.leader_returns(0.9)
    known = value(discrete, at(RATES, discrete.states), 0.3)
    error = returns.std() / 2000**0.5
    assert error < 0.01 * known
    assert abs(returns.mean() - known) < 4 * error + 0.01 * known


def test_sampled_assets_are_truncated_normal() -> None:
    game = sampled().configured(torch.tensor(RATES, dtype=torch.float64))
    streams, action = Streams.of(3, 4000), np.full(4000, 1000)
    for start in (0.0, 97.0):
        states = np.tile([start, 1.0], (4000, 1))
        step = game.step(states, np.zeros(4000), action, streams, 0)
        mean = np.clip(start + game._saved[1000], -100, 100)
        law = truncnorm((-100 - mean) / 5, (100 - mean) / 5, mean, 5)
        assert kstest(step.states[:, 0], law.cdf).pvalue > 1e-3
    with pytest.raises(InvalidActionError, match="integers in"):
        game.step(np.zeros((1, 2)), np.zeros(1), np.array([1250]), Streams.of(0, 1), 0)


def test_the_lever_of_the_continuous_form_is_the_density_and_refuses_the_unseen() -> None:
    game = sampled()
    ledger, commitment = game.ledger(), at(RATES)
    lever = game.view(ledger=ledger).lever
    assert ledger is not None
    assert lever is not None
    batch = sg.rollout(game, commitment, _Uniform(game), episodes=3, seed=0, stages=4)
    stages = Stages(batch.states[0, :-1], batch.leader_actions[0], batch.follower_actions[0], batch.states[0, 1:])
    rates = commitment.configuration()
    with pytest.raises(InformationError, match="never observed"):
        lever.terms(rates, stages)
    ledger.reveal(batch)
    terms = lever.terms(rates, stages)
    assert terms.log_transition is not None
    assert terms.leader_reward is not None
    assert terms.follower_reward is not None
    saved = game.economy.saved(rates.detach())[torch.tensor(batch.follower_actions[0])].numpy()
    means = np.clip(batch.states[0, :-1, 0] + saved, -100, 100)
    law = truncnorm((-100 - means) / 5, (100 - means) / 5, means, 5)
    np.testing.assert_allclose(terms.log_transition.detach(), law.logpdf(batch.states[0, 1:, 0]), rtol=1e-9)
    free = sg.rollout(game, at(np.zeros(4)), _Uniform(game), episodes=3, seed=0, stages=4)
    assert (free.follower_actions == batch.follower_actions).all()
    gained = batch.leader_rewards[0, 0] - free.leader_rewards[0, 0]  # same first state and action
    assert float(terms.leader_reward[0].detach()) == pytest.approx(gained, abs=1e-9)


def test_a_leader_of_class_returns_plays_the_continuous_form() -> None:
    pytest.importorskip("stable_baselines3")
    game = sampled(hours=2, consumption=2, horizon=20)
    learner = sg.make_follower("sb3", budget=64, options={"n_steps": 32, "batch_size": 32})
    run = sg.train(game, "evolution_strategies", learner, iterations=2, episodes=4, seed=0)
    assert isinstance(run.commitment, Configuration)
    assert len(run.history) == 2


def test_bchg_estimates_the_hypergradient_from_trajectories() -> None:
    game = made(hours=2, consumption=2, assets=21, tastes=((0.6, 0.3, 0.1),), horizon=30)
    follower = sg.make_follower("soft_value_iteration", temperature=1.0)
    commitment = game.commitment(2, 0.3)
    report = sg.gradient_check(game, "bchg", follower, commitment=commitment, batches=30, episodes=1000, seed=1)
    naive = sg.gradient_check(game, "policy_gradient", follower, commitment=commitment, batches=4, episodes=1000)
    assert report.relative_bias < 4 * report.relative_bias_error
    assert report.relative_bias < 0.5 * naive.relative_bias


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"form": "mixed"}, InvalidArgumentError, "form='mixed'"),
        ({"highest_rate": 0.0}, InvalidArgumentError, "highest_rate=0.0"),
        ({"assets": 20}, InvalidGameError, "assets=20"),
        ({"hours": 1}, InvalidGameError, "hours=1"),
        ({"consumption": 1}, InvalidGameError, "consumption=1"),
        ({"tastes": ((0.5, 0.5),)}, InvalidGameError, "tastes"),
        ({"tastes": ((0.5, 0.5, 0.0),)}, InvalidGameError, "tastes"),
        ({"form": "continuous", "discount": 1.0}, InvalidGameError, "discount=1.0"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        sg.make("tax_design-v0", **settings)

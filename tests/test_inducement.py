"""Strong and soft optima of configured games against closed forms, grids and the literature."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from stackelberg_games import exact
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.parametrisation import Bounded, Budgeted, Parametrisation, Plain
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.envs import random_game_v0, warehouse_v0
from stackelberg_games.errors import InvalidArgumentError, UnsupportedGameError
from stackelberg_games.exact.inducement import affine, improved, induced, policies, program
from stackelberg_games.exact.starts import hard_reply
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import Tables
from tests.configured_games import levers, principal_agent


def contract(
    chances: list[float], costs: list[float], highest: float, shape: Parametrisation | None = None
) -> ConfigurableGame:
    """Payments (low, high) for two outcomes worth 0 and 10; an effort decides the chance of the high one."""
    chance, cost = torch.tensor(chances, dtype=torch.float64), np.array(costs)

    def configure(payments: Tensor) -> Tables:
        paid = ((1 - chance) * payments[0] + chance * payments[1])[None, None]
        base = game.base
        return base._replace(leader_reward=base.leader_reward - paid, follower_reward=base.follower_reward + paid)

    game = ConfigurableGame(
        np.ones((1, len(costs), 1)),
        10 * np.array([chances]),
        -cost[None],
        [1.0],
        size=2,
        configure=configure,
        parametrisation=Bounded(0.0, highest) if shape is None else shape,
        leader_discount=1.0,
        follower_discount=0.9,
        horizon=1,
    )
    return game


EFFORTS = (([0.3, 0.8], [0.0, 1.0], 8.0, 6.4, 2.0), ([0.1, 0.35, 0.6, 0.8], [0.0, 0.5, 1.5, 3.0], 10.0, 3.6, 4.0))


@pytest.mark.parametrize(("chances", "costs", "highest", "value", "payment"), EFFORTS)
def test_contracts_have_their_closed_form(
    chances: list[float], costs: list[float], highest: float, value: float, payment: float
) -> None:
    found = exact.solve(contract(chances, costs, highest), 0.0)
    assert found.value == pytest.approx(value, abs=1e-9)
    configuration = found.commitment.configuration()
    assert configuration is not None
    assert configuration.tolist() == pytest.approx([0.0, payment], abs=1e-9)
    assert found.gap <= 1e-9
    assert found.evidence.startswith(f"proved by linear programs over {len(costs)} policies of the follower")


def test_a_budget_limits_what_is_paid() -> None:
    game = contract(*EFFORTS[0][:3], Budgeted(1.0))
    found = exact.solve(game, 0.0)
    assert found.value == pytest.approx(3.0)  # inducing effort needs a payment of 2: nothing is paid
    soft = exact.solve(game, 0.3, starts=6)
    assert soft.proved
    configuration = soft.commitment.configuration()
    assert configuration is not None
    assert configuration.sum() <= 1.0


@pytest.mark.parametrize(
    ("chances", "costs", "highest", "soft"), [(*EFFORTS[0][:3], 5.744975), (*EFFORTS[1][:3], 2.997202)]
)
def test_soft_contracts_are_proved_and_agree_with_a_grid(
    chances: list[float], costs: list[float], highest: float, soft: float
) -> None:
    found = exact.solve(contract(chances, costs, highest), 0.1, starts=8)
    assert found.value == pytest.approx(soft, abs=1e-6)
    assert found.proved
    assert found.gap <= 1e-6


def test_a_principal_finds_what_ascents_from_no_payments_do_not() -> None:
    game = principal_agent(4)
    strong = exact.solve(game, 0.0)
    assert strong.value == pytest.approx(43.269691, abs=1e-6)
    assert strong.gap <= 1e-6
    soft = exact.solve(game, 0.05, starts=8)
    assert soft.value == pytest.approx(42.48501, abs=1e-5)
    assert soft.evidence == f"best of 8 starts, reached by {soft.reached}"


@pytest.mark.parametrize("seed", [1, 4, 7])
def test_local_search_over_policies_finds_the_best_of_all(seed: int) -> None:
    game = levers(seed)
    form = affine(game)
    listed = policies(game, form, 20_000)
    best, bound = induced((program(game, form, policy) for policy in listed), form.budget, 1)
    draws = np.random.default_rng(0)
    found = improved(game, form, [hard_reply(game, form, draws) for _ in range(8)], 1)
    assert best[0].value <= bound + 1e-12
    assert found[0].value == pytest.approx(best[0].value, abs=1e-8)


@pytest.mark.parametrize("seed", [0, 1, 4])
def test_no_configuration_is_worth_more_than_the_strong_optimum(seed: int) -> None:
    game = levers(seed)
    found = exact.solve(game, 0.0)
    assert found.gap <= 1e-7
    assert exact.certificate(game, found.commitment, 0.0).value == found.value
    draws = np.random.default_rng(seed)
    space = game.configuration_space
    assert space is not None
    space.seed(seed)
    for _ in range(100):
        drawn = space.sample() * draws.random()
        assert exact.certificate(game, Configuration(drawn, None, states=game.states), 0.0).value <= found.bound


def test_games_without_programs_are_refused_by_what_they_lack() -> None:
    with pytest.raises(UnsupportedGameError, match="policies of the follower"):
        exact.solve(warehouse_v0.game(), 0.0)
    with pytest.raises(UnsupportedGameError, match="transitions that are not configured"):
        exact.solve(levers(1, tilted=True), 0.0)
    with pytest.raises(UnsupportedGameError, match="only configures, within bounds"):
        exact.solve(random_game_v0.game(configuration_size=2), 0.0)
    game = levers(1)
    curved = ConfigurableGame(
        game.transition[:, 0],
        game.leader_reward[:, 0],
        game.follower_reward[:, 0],
        game.initial_distribution,
        size=1,
        configure=lambda x: curved.base._replace(follower_reward=curved.base.follower_reward * x[0] ** 2),
        parametrisation=Bounded(),
    )
    with pytest.raises(UnsupportedGameError, match="rewards that are affine"):
        exact.solve(curved, 0.0)
    with pytest.raises(InvalidArgumentError, match="commitment: the solution at temperature=0"):
        exact.solve(game, 0.0, commitment=game.commitment())


# The commitment that a game declares


def priced(leader_actions: int = 1) -> ConfigurableGame:
    """A price is added to what the follower is paid for the action that the leader likes, and taken from the leader."""
    shape = (1, leader_actions, 2)
    leader, follower = np.zeros(shape), np.zeros(shape)
    leader[..., 1], follower[..., 0] = 1.0, 1.0

    def configure(price: Tensor) -> Tables:
        paid = price[0] * torch.tensor([0.0, 1.0], dtype=torch.float64)
        base = game.base
        return base._replace(leader_reward=base.leader_reward - paid, follower_reward=base.follower_reward + paid)

    game = ConfigurableGame(
        np.ones((*shape, 1)),
        leader,
        follower,
        [1.0],
        size=1,
        configure=configure,
        parametrisation=Bounded(0.0, 2.0),
        leader_discount=0.5,
        follower_discount=0.5,
    )
    return game


def best_price(tau: float) -> float:
    prices = np.linspace(0, 2, 20_001)
    return float(((1 - prices) / (1 + np.exp((1 - prices) / tau))).max() / 0.5)


@pytest.mark.parametrize("leader_actions", [1, 2])
def test_a_configurable_game_is_configured_by_default(leader_actions: int) -> None:
    game = priced(leader_actions)
    found = exact.solve(game, 0.2, starts=6)
    assert isinstance(found.commitment, Configuration)
    assert found.value == pytest.approx(best_price(0.2), abs=1e-6)
    assert tuple(found.commitment.probabilities().shape) == (1, leader_actions)


def test_a_game_in_which_the_leader_acts_declares_the_uniform_policy() -> None:
    declared = random_game_v0.game().commitment(3)
    assert isinstance(declared, TabularPolicy)
    assert not declared.logits.any()


def test_the_warehouse_is_configured_by_default() -> None:
    found = exact.solve(warehouse_v0.game(), 0.05, starts=2)
    assert found.value >= 0.13


@pytest.mark.parametrize(
    ("shape", "configuration"),
    [
        (Plain(), [3.0, -1.0]),
        (Bounded(-1.0, 3.0), [-0.5, 2.9]),
        (Budgeted(2.0, 0.5), [0.5, 1.2]),
    ],
)
def test_parameters_of_a_configuration_give_it_back(shape: Parametrisation, configuration: list[float]) -> None:
    wanted = torch.tensor(configuration, dtype=torch.float64)
    parameters = shape.parameters(wanted)
    assert parameters is not None
    assert len(parameters) == shape.parameter_count(2)
    torch.testing.assert_close(shape(parameters), wanted)


def test_parameters_at_a_bound_are_near_it_and_finite() -> None:
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert Bounded()(Bounded().parameters(ends)).tolist() == pytest.approx([0.001, 0.999])
    spent = Budgeted(1.0)(Budgeted(1.0).parameters(ends))
    assert spent.tolist() == pytest.approx([0.001, 0.998], abs=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_what_the_strong_optimum_needs_as_a_tie_is_a_tie(seed: int) -> None:
    found = exact.solve(principal_agent(seed), 0.0)
    assert found.gap <= 1e-6

from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.envs.four_rooms_v0 import FourRooms
from stackelberg_games.errors import InformationError, InvalidArgumentError, InvalidGameError
from stackelberg_games.exact.adjoint import adjoint_objective
from stackelberg_games.exact.posed import under
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.rules.lever import Stages


def made(**settings: Any) -> FourRooms:
    game = sg.make("four_rooms-v0", **settings)
    assert isinstance(game, FourRooms)
    return game


def value(game: FourRooms, commitment: Configuration, temperature: float) -> float:
    return float(exact.leader_objective(game, commitment, temperature).detach())


@pytest.mark.parametrize(("temperature", "published"), [(0.001, -0.740644), (0.003, -0.7258), (0.005, -0.6674)])
def test_the_value_of_the_even_spread_is_the_reference_one(temperature: float, published: float) -> None:
    game = made()
    assert game.plan.size == 104
    assert value(game, game.commitment(0, 0.0), temperature) == pytest.approx(published, abs=6e-5)


def test_without_penalties_the_leader_gets_next_to_nothing() -> None:
    game = made()
    unspent = np.zeros(105)
    unspent[-1] = 60.0
    free = Configuration(unspent, game.parametrisation, states=game.states)
    assert value(game, free, 0.001) == pytest.approx(0.0008, abs=6e-5)


def test_the_two_kernels_of_the_published_code() -> None:
    for slip, intended, other in ((0.44, 0.56, 0.146667), (0.33, 0.67, 0.11)):
        kernel = made(slip=slip).plan.kernel(slip)
        room = int(made().plan.numbers[2, 3])  # four free neighbours
        assert sorted(set(np.round(kernel[room, 1], 6))) == [0.0, other, intended]
    game = made(mismatch=True)
    response = sg.TabularResponse.uniform(game)
    batch = sg.rollout(game, game.commitment(0), response, episodes=400, seed=0, stages=100)
    free = (
        np.isin(batch.states[:, :-1], [int(game.plan.numbers[r, c]) for r in (2, 3, 4) for c in (2, 3, 4)]) & batch.mask
    )
    intended_cell = game.plan.steps()[np.minimum(batch.states[:, :-1], 103), batch.follower_actions]
    hits = (batch.states[:, 1:] == intended_cell)[free]
    assert abs(hits.mean() - 0.67) < 4 * (0.67 * 0.33 / hits.size) ** 0.5
    assert hits.size > 2000
    assert game.fingerprint() != made().fingerprint()


@pytest.mark.parametrize("settings", [{}, {"goals": 2}, {"slip": 0.2, "cost": 1.0}])
@pytest.mark.parametrize("temperature", [0.003, 0.05])
def test_exact_hypergradients_agree_with_finite_differences(settings: dict[str, Any], temperature: float) -> None:
    game = made(**settings)
    commitment = game.commitment(3, 1.0)
    exact.leader_objective(game, commitment, temperature).backward()  # type: ignore[no-untyped-call]
    assert commitment.weights.grad is not None
    gradient = commitment.weights.grad.clone()
    quick = adjoint_objective(game, under(game, commitment), temperature)
    assert quick.value == pytest.approx(value(game, commitment, temperature), rel=1e-9)
    commitment.zero_grad()
    quick.surrogate.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(commitment.weights.grad, gradient, rtol=1e-7, atol=1e-11)
    direction = torch.from_numpy(generator(0, 9).normal(size=105))
    start, step, ends = commitment.weights.detach().clone(), 1e-4, []
    for sign in (1, -1):
        with torch.no_grad():
            commitment.weights.copy_(start + sign * step * direction)
        ends.append(value(game, commitment, temperature))
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(float(gradient @ direction), rel=1e-5)


def test_an_episode_ends_one_stage_after_the_goal_is_entered() -> None:
    game = made()
    commitment = game.commitment(0)
    answer = sg.make_follower("soft_value_iteration", temperature=0.001)
    answer.begin(game)
    batch = sg.rollout(game, commitment, answer.respond(game, commitment).policy, episodes=20, seed=0, stages=300)
    assert batch.terminated.all()
    last = batch.lengths - 1
    rows = np.arange(20)
    assert (game.is_goal[batch.states[rows, last]]).all()
    assert batch.follower_rewards is not None
    np.testing.assert_allclose(batch.follower_rewards[rows, last], 1.0)
    spent = float(game.tables(commitment.configuration()).leader_reward[7, 0, 0].detach())
    assert spent == pytest.approx(-5 * 0.2 * 104 / 105, rel=1e-3)
    np.testing.assert_allclose(batch.leader_rewards[rows, last], spent)


def test_two_goals_are_drawn_evenly_and_stay() -> None:
    game = made(goals=2)
    batch = sg.rollout(game, game.commitment(0), sg.TabularResponse.uniform(game), episodes=1000, seed=0, stages=20)
    second = batch.states[:, 0] >= 104
    assert abs(second.mean() - 0.5) < 4 * 0.5 / 1000**0.5
    alive = batch.states[:, -1] < 208
    assert ((batch.states[:, -1] >= 104) == second)[alive].all()


def test_the_covariance_estimate_agrees_with_the_exact_hypergradient() -> None:
    """With many transitions; a commitment at which the response row is most of the gradient."""
    game = made()
    commitment = game.commitment(1, 3.0)
    follower = sg.make_follower("soft_value_iteration", temperature=0.05)
    report = sg.gradient_check(game, "bchg", follower, commitment=commitment, batches=40, episodes=150, seed=1)
    naive = sg.gradient_check(game, "policy_gradient", follower, commitment=commitment, batches=2, episodes=150)
    assert report.relative_bias < 4 * report.relative_bias_error
    assert report.relative_bias < 0.5 * naive.relative_bias


def test_the_lever_refuses_stages_that_were_not_observed() -> None:
    game = made()
    ledger = game.ledger()
    lever = game.view(ledger=ledger).lever
    assert ledger is not None
    assert lever is not None
    commitment = lever.commitment(0)
    configuration = commitment.configuration()
    assert configuration is not None
    batch = sg.rollout(game, commitment, sg.TabularResponse.uniform(game), episodes=1, seed=0, stages=5)
    ledger.reveal(batch)
    seen = Stages(batch.states[0, :-1], batch.leader_actions[0], batch.follower_actions[0], batch.states[0, 1:])
    terms = lever.terms(configuration, seen)
    assert terms.follower_reward is not None
    assert terms.log_transition is None  # penalties do not move anyone
    np.testing.assert_allclose(
        terms.follower_reward.detach(), -configuration.detach()[torch.from_numpy(seen.states)], rtol=1e-12
    )
    with pytest.raises(InformationError, match="never observed"):
        lever.terms(configuration, Stages(*(np.array([part]) for part in (103, 0, 0, 103))))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"plan": "xxx\nxS\nxxx"}, "line 1 has 2 characters"),
        ({"plan": "xxxxx\nx GTx\nxxxxx"}, "no start"),
        ({"plan": "xxxxx\nxSGSx\nxxTxx"}, "second start"),
        ({"plan": "xxxxxx\nxSTxGx\nxxxxxx"}, "goal at row 1, column 4 cannot be reached from row 1, column 1"),
        ({"plan": "xxxxxx\nxSGxTx\nxxxxxx"}, "target at row 1, column 4 cannot be reached"),
        ({"plan": "xxxxx\nxSGqx\nxxxxx"}, "'q' at row 1, column 3"),
        ({"plan": "xxx"}, "no free cell"),
        ({"goals": 3}, "goals=3"),
    ],
)
def test_bad_floor_plans_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidGameError, match=says):
        made(**settings)


@pytest.mark.parametrize("settings", [{"budget": -0.1}, {"slip": 1.2}])
def test_bad_numbers_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(settings))):
        made(**settings)

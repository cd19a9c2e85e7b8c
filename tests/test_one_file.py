"""The one-file version of BC-HG: it is the package's estimator, to rounding, and climbs the true hypergradient."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games import hypergradient
from stackelberg_games.exact.objective import best_response
from stackelberg_games.hypergradient import StageCritics
from stackelberg_games.rules.lever import Terms

FILE = Path(__file__).parents[1] / "examples" / "bchg_in_one_file.py"


@pytest.fixture(scope="module")
def one() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bchg_in_one_file", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def both(one: ModuleType, seed: int) -> tuple[Any, sg.TabularGame, sg.TabularPolicy, Any]:
    """A game and a policy, of the file and of the package."""
    made = one.random_game(seed=seed)
    game = sg.TabularGame(
        made.transition,
        made.leader_reward,
        made.follower_reward,
        made.initial,
        leader_discount=one.LEADER_DISCOUNT,
        follower_discount=one.FOLLOWER_DISCOUNT,
        horizon=None,
    )
    policy = sg.TabularPolicy(game)
    logits = np.random.default_rng(seed).normal(size=made.transition.shape[:2])
    with torch.no_grad():
        next(policy.parameters()).copy_(torch.tensor(logits))
    return made, game, policy, one.softmax(logits)


def test_it_is_short() -> None:
    assert FILE.read_text().count("\n") < 200


@pytest.mark.parametrize("seed", range(3))
def test_its_response_and_values_are_the_packages(one: ModuleType, seed: int) -> None:
    made, game, policy, probabilities = both(one, seed)
    response, _ = one.respond(made, probabilities)
    np.testing.assert_allclose(response, best_response(game, policy, one.TEMPERATURE).policy, rtol=0, atol=1e-11)
    value = made.initial @ one.leader_values(made, probabilities, response)
    exact = float(sg.exact.leader_objective(game, policy, one.TEMPERATURE).detach())
    assert value == pytest.approx(exact, abs=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_its_gradient_is_the_packages_to_rounding(one: ModuleType, seed: int) -> None:
    made, game, policy, probabilities = both(one, seed)
    response, follower_values = one.respond(made, probabilities)
    critics = one.critics_of(made, probabilities, response, follower_values)
    answer = best_response(game, policy, one.TEMPERATURE)
    batch = sg.rollout(game, policy, sg.TabularResponse(answer.policy), episodes=20, stages=one.STAGES, seed=seed)
    states = batch.states[:, :-1]
    s, a, b = states, batch.leader_actions, batch.follower_actions
    log_policy = torch.log_softmax(next(policy.parameters()), dim=1)[torch.tensor(s), torch.tensor(a)]
    surrogate = hypergradient.covariance(
        batch,
        Terms(log_policy=log_policy),
        StageCritics(critics.benefit[s, a, b], critics.leader_advantage[s, a], critics.follower_advantage[s, a]),
        leader_discount=one.LEADER_DISCOUNT,
        follower_discount=one.FOLLOWER_DISCOUNT,
        temperature=one.TEMPERATURE,
    )
    (expected,) = torch.autograd.grad(surrogate, list(policy.parameters()))
    found = one.hypergradient(s, a, b, critics, probabilities)
    assert np.abs(found).max() > 1e-3
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-12)


def test_its_estimates_are_the_exact_hypergradient_on_average(one: ModuleType) -> None:
    """Within 4.5 standard errors in each of 12 coordinates (chance of a false alarm below 1e-4)."""
    made, game, policy, probabilities = both(one, 1)
    response, follower_values = one.respond(made, probabilities)
    critics, draws = one.critics_of(made, probabilities, response, follower_values), np.random.default_rng(0)
    estimates = np.array(
        [one.hypergradient(*one.play(made, probabilities, response, draws), critics, probabilities) for _ in range(200)]
    )
    exact = torch.autograd.grad(sg.exact.leader_objective(game, policy, one.TEMPERATURE), list(policy.parameters()))[0]
    error = estimates.std(axis=0, ddof=1) / 200**0.5
    assert (np.abs(estimates.mean(axis=0) - exact.numpy()) < 4.5 * error + 1e-5).all()


def test_it_reaches_the_optimum(one: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, game, *_ = both(one, 1)
    best = sg.exact.solve(game, one.TEMPERATURE, starts=4).value
    _, values = one.train(one.random_game(), 150)
    assert values[0] < best - 0.1
    assert values[-1] > best - 0.05 * (best - values[0])
    one.main(["--updates", "3", "--out", str(tmp_path / "curve.png")])
    assert "after 3 updates" in capsys.readouterr().out
    assert (tmp_path / "curve.png").stat().st_size > 5_000

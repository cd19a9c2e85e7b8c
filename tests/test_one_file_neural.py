"""The neural one-file version of BC-HG: it is the package's estimator, to rounding, and climbs."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games import hypergradient
from stackelberg_games.hypergradient import StageCritics
from stackelberg_games.representations.regressions import Estimation, NeuralEstimator
from stackelberg_games.rules.lever import Terms

FILE = Path(__file__).parents[1] / "examples" / "bchg_neural_in_one_file.py"


@pytest.fixture(scope="module")
def one() -> Iterator[ModuleType]:
    before = torch.get_default_dtype()
    spec = importlib.util.spec_from_file_location("bchg_neural_in_one_file", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    torch.set_default_dtype(before)


def tabular(one: ModuleType, game: Any) -> sg.TabularGame:
    """The same game in the package."""
    size = len(game.places)
    moves = np.broadcast_to(game.moves.numpy()[:, None], (size, 3, 3, size))
    return sg.TabularGame(
        moves,
        game.leader_reward.numpy(),
        game.follower_reward.numpy(),
        np.full(size, 1 / size),
        leader_discount=one.LEADER_DISCOUNT,
        follower_discount=one.FOLLOWER_DISCOUNT,
        horizon=None,
    )


def played(one: ModuleType, seed: int) -> tuple[Any, Any, Any, Any]:
    """A game, an actor, its batch, and what the critics say of it."""
    torch.manual_seed(seed)
    game = one.line(7)
    actor = one.network(1, 3)
    policy = torch.softmax(2 * actor(game.places), dim=1).detach()
    batch = one.play(game, policy, one.respond(game, policy), torch.Generator().manual_seed(seed))
    return game, actor, batch, one.Critics(game).observe(batch)


def as_trajectories(one: ModuleType, game: sg.TabularGame, batch: Any) -> sg.Trajectories:
    """The batch as the package has it."""
    uniform = sg.TabularResponse(np.full((game.states, 3, 3), 1 / 3))
    other = sg.rollout(game, sg.TabularPolicy(game), uniform, episodes=one.EPISODES, stages=one.STAGES)
    return sg.Trajectories(
        **{
            **{name: getattr(other, name) for name in vars(other)},
            "states": batch.places.numpy(),
            "leader_actions": batch.actions.numpy(),
            "follower_actions": batch.replies.numpy(),
            "leader_rewards": batch.leader_rewards.numpy(),
            "follower_rewards": batch.follower_rewards.numpy(),
        }
    )


def test_it_is_short() -> None:
    assert FILE.read_text().count("\n") < 200


def test_its_response_and_value_are_the_packages(one: ModuleType) -> None:
    game, actor, *_ = played(one, 0)
    table = tabular(one, game)
    probabilities = torch.softmax(actor(game.places), dim=1).detach()
    policy = sg.TabularPolicy.from_probabilities(table, probabilities.numpy())
    response = one.respond(game, probabilities)
    exact = sg.exact.best_response(table, policy, one.TEMPERATURE).policy
    np.testing.assert_allclose(response.numpy(), exact, rtol=0, atol=1e-10)
    value = float(sg.exact.leader_objective(table, policy, one.TEMPERATURE).detach())
    assert one.leader_value(game, probabilities, response) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_its_gradient_is_the_packages_to_rounding(one: ModuleType, seed: int) -> None:
    game, actor, batch, (led, followed, benefit) = played(one, seed)
    log_policy = torch.log_softmax(actor(game.places[batch.places[:, :-1]]), dim=2)
    log_policy = log_policy.gather(2, batch.actions[:, :, None])[:, :, 0]
    parameters = list(actor.parameters())
    found = torch.autograd.grad(one.surrogate(log_policy, led, followed, benefit), parameters, retain_graph=True)
    theirs = hypergradient.covariance(
        as_trajectories(one, tabular(one, game), batch),
        Terms(log_policy=log_policy),
        StageCritics(benefit.numpy(), led.numpy(), followed.numpy()),
        leader_discount=one.LEADER_DISCOUNT,
        follower_discount=one.FOLLOWER_DISCOUNT,
        temperature=one.TEMPERATURE,
    )
    expected = torch.autograd.grad(theirs, parameters)
    for ours, package in zip(found, expected, strict=True):
        assert ours.abs().max() > 1e-4
        np.testing.assert_allclose(ours.numpy(), package.numpy(), rtol=0, atol=1e-12)


def test_its_advantages_are_the_packages_to_rounding(one: ModuleType) -> None:
    game, _, batch, _ = played(one, 4)
    table = tabular(one, game)
    values = torch.randn(one.EPISODES, one.STAGES + 1, generator=torch.Generator().manual_seed(0))
    estimator = NeuralEstimator.__new__(NeuralEstimator)
    estimator.settings = Estimation(smoothing=one.SMOOTHING)
    seen: Any = type("Seen", (), {"batch": as_trajectories(one, table, batch)})
    theirs = estimator.advantages(seen, values.numpy(), batch.leader_rewards.numpy(), one.LEADER_DISCOUNT)
    ours = one.advantages(batch.leader_rewards, values, one.LEADER_DISCOUNT)
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=0, atol=1e-12)


def test_it_climbs(one: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, values = one.train(one.line(7), 20)
    assert values[-1] > values[0] + 1  # -20 for a follower that is left alone; of the exact values, without any noise
    one.main(["--updates", "2", "--out", str(tmp_path / "curve.png")])
    assert "after 2 updates" in capsys.readouterr().out
    assert (tmp_path / "curve.png").stat().st_size > 5_000

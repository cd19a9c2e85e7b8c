from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.envs.thermal_control_v0 import ThermalControl, transition
from stackelberg_games.errors import InformationError, InvalidArgumentError, SolverError, UnsupportedGameError
from stackelberg_games.rules.commitment import assign, flatten

TEMPERATURE = 0.1


def made() -> ThermalControl:
    game = sg.make("thermal_control-v0")
    assert isinstance(game, ThermalControl)
    return game


def value(game: ThermalControl, commitment: Configuration) -> float:
    return float(exact.leader_objective(game, commitment, TEMPERATURE).detach())


def at(game: ThermalControl, numbers: list[float]) -> Configuration:
    commitment = game.commitment(0)
    inner = torch.tensor(numbers, dtype=torch.float64).clamp(1e-9, 1 - 1e-9)
    assign(commitment, torch.logit(inner))
    return commitment


def test_the_middle_configuration_has_the_reference_values() -> None:
    game = made()
    middle = game.commitment(0, 0.0)
    assert value(game, middle) == pytest.approx(-261.963, abs=6e-4)
    follower = sg.make_follower("maxent_lqr", temperature=TEMPERATURE)
    policy = follower.respond(game, middle).policy
    gain = [[2.5062, 1.2396, 0.0280, 0.0567], [0.1147, 0.0128, 1.2780, 0.9775]]
    np.testing.assert_allclose(-policy.state_gain, np.array(gain), atol=6e-5)  # type: ignore[attr-defined]
    covariance = policy.factor @ policy.factor.T  # type: ignore[attr-defined]
    np.testing.assert_allclose(covariance, np.array([[0.119071, -0.000152], [-0.000152, 0.026767]]), atol=6e-7)
    solved = game.response(middle, TEMPERATURE)
    np.testing.assert_allclose(solved.value.detach().diag(), [36.4362, 1.6122, 12.0192, 30.6141], atol=6e-5)
    drift = transition(torch.full((8,), 0.5, dtype=torch.float64)).numpy()
    assert np.abs(np.linalg.eigvals(drift)).max() == pytest.approx(1.0227, abs=6e-5)


@pytest.mark.parametrize(
    ("numbers", "known"), [([1, 0, 1, 1, 0, 0.778, 1, 1], -162.503), ([1, 0, 1, 1, 0, 1, 1, 1], -162.607)]
)
def test_known_optima(numbers: list[float], known: float) -> None:
    game = made()
    assert value(game, at(game, numbers)) == pytest.approx(known, abs=2e-3)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_exact_hypergradient_agrees_with_finite_differences(seed: int) -> None:
    game = made()
    commitment = game.commitment(seed, 1.5)
    exact.leader_objective(game, commitment, TEMPERATURE).backward()  # type: ignore[no-untyped-call]
    gradient, start = commitment.weights.grad, flatten(commitment)
    assert gradient is not None
    for i in range(8):
        step = torch.zeros(8, dtype=torch.float64)
        step[i] = 1e-5
        ends = []
        for sign in (1, -1):
            assign(commitment, start + sign * step)
            ends.append(value(game, commitment))
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(float(gradient[i]), rel=1e-5, abs=1e-6)


def test_sampled_returns_agree_with_the_closed_form() -> None:
    game = made()
    commitment = game.commitment(1, 1.0)
    follower = sg.make_follower("maxent_lqr", temperature=TEMPERATURE)
    batch = sg.rollout(game, commitment, follower.respond(game, commitment).policy, episodes=4000, seed=3)
    returns = batch.leader_returns(0.9)
    assert abs(returns.mean() - value(game, commitment)) < 4 * returns.std() / 4000**0.5
    part = sg.rollout(game, commitment, follower.respond(game, commitment).policy, episodes=3, first_episode=5, seed=3)
    np.testing.assert_allclose(part.states, batch.states[5:8], rtol=1e-10, atol=1e-12)


def test_trajectories_alone_reach_minus_170_with_a_thousandth_of_the_published_transitions() -> None:
    game = made()
    follower = sg.make_follower("maxent_lqr", temperature=TEMPERATURE)
    values = []
    for seed in range(10):
        leader = sg.make_leader("model_based", planning={"rate": 0.2})
        assert leader.information is sg.Information.TRAJECTORIES
        run = sg.train(game, leader, follower, iterations=5, episodes=40, seed=seed, evaluate_every=0)
        assert run.history[-1]["transitions"] == 20_000  # the published run: 20,000,000
        assert isinstance(run.commitment, Configuration)
        values.append(value(game, run.commitment))
    assert np.mean(values) > -170
    assert max(values) < -162.5


def test_the_fit_is_the_game() -> None:
    game = made()
    follower = sg.make_follower("maxent_lqr", temperature=TEMPERATURE)
    leader = sg.make_leader("model_based", planning={"steps": 1})
    run = sg.train(game, leader, follower, iterations=3, episodes=400, seed=0, evaluate_every=0)
    assert isinstance(run.commitment, Configuration)
    # what is left is the spread of the first states: their second moments carry 1 / sqrt(1200 / 2) of noise
    assert run.history[-1]["leader/model_value"] == pytest.approx(value(game, run.commitment), rel=0.1)


def test_an_unstable_building_is_reported() -> None:
    game = made()
    unheated = sg.make("thermal_control-v0")
    assert isinstance(unheated, ThermalControl)
    unheated.follower_matrix = np.zeros((4, 2))
    unheated.state_matrix = 1.2 * np.eye(4)
    with pytest.raises(SolverError, match="unstable"):
        unheated.response(sg_linear(unheated), TEMPERATURE)
    with pytest.raises(UnsupportedGameError):
        exact.leader_objective(game, sg_linear(game), TEMPERATURE)


def sg_linear(game: ThermalControl) -> Any:
    from stackelberg_games.commitments.gaussian import LinearGaussianPolicy

    return LinearGaussianPolicy(game)


def test_it_refuses_other_games_and_bad_settings() -> None:
    game = made()
    with pytest.raises(InvalidArgumentError):
        sg.make_leader("model_based", planning={"steps": 0}).begin(game.view(TEMPERATURE))
    leader = sg.make_leader("model_based", planning={"rate": 0.2})
    leader.begin(game.view(TEMPERATURE))
    follower = sg.make_follower("maxent_lqr", temperature=TEMPERATURE)
    batch = sg.rollout(game, leader.commitment, follower.respond(game, leader.commitment).policy, episodes=2)
    with pytest.raises(InformationError):
        leader.update(sg.Evidence(np.zeros(2), trajectories=batch.without_follower_rewards()))


def test_the_picture_shows_temperatures_and_what_was_built() -> None:
    env: Any = made().raw_env("rgb_array")
    env.reset(seed=0)
    bare = env.render()[:, :590].astype(int)

    def purple(frame: Any) -> int:
        return int((np.abs(frame - np.array([0x7B, 0x4F, 0xC9])) < 3).all(axis=2).sum())

    env.step(np.array([1, 0, 0, 0, 0, 0, 0, 0], dtype=np.float64))
    one = env.render()[:, :590].astype(int)
    env.step(np.array([1.0, -2.0]))
    assert not np.array_equal(env.render()[:, :590], one)
    env.reset(seed=0)
    env.step(np.ones(8))
    everything = env.render()[:, :590].astype(int)
    assert purple(bare) == 0
    assert purple(everything) > 2 * purple(one) > 400

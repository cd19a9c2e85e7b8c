"""Leaders that configure linear dynamics: estimates against independent truths."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

import stackelberg_games as sg
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.envs.thermal_control_v0 import POWER_COST, SPREAD, ThermalControl, design_cost, transition
from stackelberg_games.errors import InformationError, UnsupportedGameError
from stackelberg_games.exact.objective import leader_objective
from stackelberg_games.representations.configured_least_squares import ConfiguredCritics, averaged, fitted_advantages
from stackelberg_games.representations.configured_linear import ConfiguredLinearForm, covariance_response
from stackelberg_games.rules.trajectories import Trajectories


class Known:
    """Stands in for the estimator of a form: the exact critics of a game."""

    def __init__(self, game: ThermalControl, commitment: Configuration, temperature: float) -> None:
        self.n = 4
        with torch.no_grad():
            plant = game.plant_of(commitment)
            answer = game.response(commitment, temperature)
        costs = (SPREAD, POWER_COST * np.eye(2)), (plant.state_cost.numpy(), plant.control_cost.numpy())
        self.known = ConfiguredCritics(
            plant.state.numpy(),
            plant.follower.numpy(),
            -(answer.gain @ plant.state).numpy(),
            answer.covariance.numpy(),
            plant.noise.numpy(),
            *costs,
            game.leader_discount,
            game.follower_discount,
            game.stages(),
        )

    def observe(self, batch: Trajectories, configuration: Tensor) -> None:
        """Nothing is left to learn."""

    def critics(self, batch: Trajectories, configuration: Tensor) -> ConfiguredCritics:
        return self.known


def estimates(
    game: ThermalControl, leader: Any, temperature: float, batches: int, episodes: int
) -> tuple[np.ndarray, Configuration]:
    """Estimates from independent batches with exact critics, and the commitment."""
    commitment = game.commitment(1, 1.0)
    answer = sg.make_follower("maxent_lqr", temperature=temperature).respond(game, commitment)
    leader.begin(game.view(temperature), commitment=commitment)
    assert isinstance(leader.linear_form, ConfiguredLinearForm)
    leader.linear_form.estimator = cast(Any, Known(game, commitment, temperature))
    rows = []
    for first in range(0, batches * episodes, episodes):
        batch = sg.rollout(game, commitment, answer.policy, episodes=episodes, seed=7, first_episode=first)
        rows.append(leader.estimate(sg.Evidence(np.zeros(1), batch)).numpy())
    return np.array(rows), commitment


def exact_gradient(game: ThermalControl, commitment: Configuration, temperature: float) -> np.ndarray:
    value = leader_objective(game, commitment, temperature)
    return np.asarray(torch.autograd.grad(value, [commitment.weights])[0].numpy())


def frozen_gradient(game: ThermalControl, commitment: Configuration, critics: ConfiguredCritics) -> np.ndarray:
    """The gradient with the follower's policy held fixed, by automatic differentiation stage by stage."""
    configuration = commitment.configuration()
    matrix = transition(configuration)
    gain, push, spread = (torch.from_numpy(part) for part in (critics.gain, critics.push, critics.spread))
    loop, noise = matrix + push @ gain, torch.from_numpy(critics.noise) + push @ spread @ push.T
    bent = torch.tensor(SPREAD) + POWER_COST * gain.T @ gain
    moment = torch.eye(4, dtype=torch.float64) * float(game.start_factor[0, 0]) ** 2
    total = torch.zeros((), dtype=torch.float64)
    for t in range(game.stages()):
        total = total - game.leader_discount**t * ((bent * moment).sum() + design_cost(configuration))
        moment = loop @ moment @ loop.T + noise
    return np.asarray(torch.autograd.grad(total, [commitment.weights])[0].numpy())


def p_value(rows: np.ndarray, truth: np.ndarray) -> float:
    """Hotelling's test that the mean of the rows is the truth."""
    count, size = rows.shape
    shift = rows.mean(axis=0) - truth
    statistic = count * shift @ np.linalg.solve(np.cov(rows.T), shift)
    return float(stats.f.sf(statistic * (count - size) / (size * (count - 1)), size, count - size))


def made() -> ThermalControl:
    game = sg.make("thermal_control-v0")
    assert isinstance(game, ThermalControl)
    return game


@pytest.mark.parametrize(("settings", "temperature"), [({}, 0.1), ({"bootstrap": False}, 10.0)])
def test_bchg_with_exact_critics_has_the_exact_hypergradient_as_its_mean(
    settings: dict[str, Any], temperature: float
) -> None:
    game = made()
    rows, commitment = estimates(game, sg.make_leader("bchg", **settings), temperature, 60, 50)
    assert p_value(rows, exact_gradient(game, commitment, temperature)) > 1e-3
    frozen = frozen_gradient(game, commitment, Known(game, commitment, temperature).known)
    assert p_value(rows, frozen) < 1e-6  # the test can tell the response row apart


def test_policy_gradient_with_exact_critics_has_the_gradient_against_a_frozen_follower() -> None:
    game = made()
    rows, commitment = estimates(game, sg.make_leader("policy_gradient"), 0.1, 60, 50)
    assert p_value(rows, frozen_gradient(game, commitment, Known(game, commitment, 0.1).known)) > 1e-3
    assert p_value(rows, exact_gradient(game, commitment, 0.1)) < 1e-6


@pytest.mark.parametrize("name", ["hpgd", "hpgd sarsa", "hpgd td"])
def test_the_bias_of_hpgd_fades_with_data(name: str) -> None:
    game = made()
    leader, _, estimation = name.partition(" ")
    settings = {"estimation": estimation} if estimation else {}
    biases = []
    for batches, episodes in ((40, 10), (40, 100)):
        rows, commitment = estimates(game, sg.make_leader(leader, **settings), 1.0, batches, episodes)
        truth = exact_gradient(game, commitment, 1.0)
        biases.append(np.linalg.norm(rows.mean(axis=0) - truth) / np.linalg.norm(truth))
    assert biases[1] < 0.5 * biases[0]
    assert biases[1] < 0.25  # the direct row alone misses by 0.77


def test_the_covariance_in_closed_form_is_the_mean_of_the_sampled_one() -> None:
    game = made()
    commitment = game.commitment(1, 1.0)
    critics = Known(game, commitment, 0.1).known
    answer = sg.make_follower("maxent_lqr", temperature=0.1).respond(game, commitment)
    batch = sg.rollout(game, commitment, answer.policy, episodes=1, seed=0, stages=1)
    closed = covariance_response(critics, batch, 0.1)
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
    kept = averaged(batch, credit)
    x, u = batch.states[:, :-1], batch.follower_actions
    scale = np.abs(kept).sum()
    assert abs((kept * x[..., 0] * x[..., 1]).sum()) < 1e-8 * scale
    crossed = u[..., 0] * x[..., 1]
    assert abs((kept * crossed).sum()) > 1e-3 * np.abs(kept * crossed).sum()


def test_sarsa_finds_the_advantages_of_the_exact_critics() -> None:
    game = made()
    commitment = game.commitment(1, 1.0)
    critics = Known(game, commitment, 0.1).known
    answer = sg.make_follower("maxent_lqr", temperature=0.1).respond(game, commitment)
    batch = sg.rollout(game, commitment, answer.policy, episodes=300, seed=3)
    fitted = fitted_advantages(critics, batch, batch.leader_rewards, 0.9)[:, :20]
    exact = critics.benefit(batch)[:, :20]
    assert np.abs(fitted - exact).mean() < 0.1 * np.abs(exact).mean()


def test_classes_are_kept() -> None:
    view = made().view(0.1)
    with pytest.raises(UnsupportedGameError, match="reads nothing"):
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


@pytest.mark.parametrize("name", ["bchg", "hpgd", "sobirl", "policy_gradient"])
def test_a_resumed_run_continues_to_the_same_numbers(name: str, tmp_path: Path) -> None:
    def run(iterations: int, folder: Path | None) -> sg.Run:
        follower = sg.make_follower("maxent_lqr", temperature=0.1)
        return sg.train(made(), name, follower, iterations=iterations, episodes=3, directory=folder, checkpoint_every=2)

    whole = run(4, None)
    run(2, tmp_path)
    assert run(4, tmp_path).history == whole.history


def test_bchg_climbs_from_the_standard_start() -> None:
    follower = sg.make_follower("maxent_lqr", temperature=0.1)
    run = sg.train(made(), sg.make_leader("bchg", learning_rate=0.2), follower, iterations=40, episodes=10)
    assert run.value is not None
    assert run.value > -175  # -262 at the start, -162.5 at best

"""The soft Riccati response against its defining equations."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy.special import logsumexp

from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.gaussian import LinearGaussianPolicy
from stackelberg_games.envs import lqr_v0
from stackelberg_games.errors import InvalidArgumentError, SolverError
from stackelberg_games.kinds import riccati_compiled
from stackelberg_games.kinds.linear_quadratic import Cost, Dynamics, LinearGaussianGame
from stackelberg_games.kinds.moments import Quadratic
from stackelberg_games.kinds.riccati import (
    Loop,
    closed_loop,
    discounted_reward,
    moments,
    powers,
    soft_riccati,
    stage_weights,
)
from stackelberg_games.kinds.riccati_compiled import LinearLaw, PlantArrays, value_slope
from tests.linear_games import linear_game

TAU = 0.1
NONE = Quadratic(0.0, np.zeros(2), np.zeros((2, 2)))


def test_values_solve_the_soft_bellman_equation_by_quadrature() -> None:
    game = lqr_v0.game(noise=0.05)
    policy = LinearGaussianPolicy(game, [[-3.0, 2.0]], std=0.4)
    with torch.no_grad():
        solved = game.response(policy, TAU)
    plant, discount = game.plant, game.follower_discount
    actions = np.linspace(-12, 12, 24_001)[:, None]
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    state = np.array([0.7, -0.4])

    def seen(leader: float) -> float:
        """VF(s, a) = tau log int exp(QF / tau) db, by the rectangle rule."""
        pushed = plant.state.numpy() @ state + plant.leader.numpy()[:, 0] * leader
        following = torch.from_numpy(pushed + actions @ plant.follower.numpy().T)
        future = solved.average(following).numpy() - float(torch.trace(solved.value @ plant.noise))
        paid = -(state @ plant.state_cost.numpy() @ state) - float(plant.control_cost) * actions[:, 0] ** 2
        return float(TAU * logsumexp((paid + discount * future) / TAU + np.log(actions[1, 0] - actions[0, 0])))

    drawn = (policy.gain.detach().numpy() @ state)[0] + 0.4 * nodes
    average = weights @ [seen(a) for a in drawn] / weights.sum()
    assert average == pytest.approx(float(solved.average(torch.from_numpy(state))), abs=1e-8)
    y = plant.state.numpy() @ state + plant.leader.numpy()[:, 0] * 0.9
    closed = -(state @ state) - y @ solved.seen_value.numpy() @ y - float(solved.seen_constant)
    assert seen(0.9) == pytest.approx(closed, abs=1e-8)


def test_published_constants() -> None:
    game = lqr_v0.game()
    with torch.no_grad():
        solved = game.response(LinearGaussianPolicy(game, [[-9.683, -10.25]]), TAU)
    np.testing.assert_allclose(solved.value, [[9.1478, 0.21036], [0.21036, 1.00543]], atol=5e-5)
    assert float(solved.constant) == pytest.approx(1.16736, abs=1e-5)
    assert float(solved.covariance) == pytest.approx(0.049527, abs=1e-6)


def test_a_myopic_follower_minimises_its_immediate_cost() -> None:
    game = lqr_v0.game(follower_discount=0.0)
    with torch.no_grad():
        solved = game.response(LinearGaussianPolicy(game, [[1.0, 2.0]]), TAU)
    np.testing.assert_allclose(solved.value, np.eye(2))
    np.testing.assert_allclose(solved.gain, np.zeros((1, 2)))


def respond(state: FloatArray, follower: FloatArray, state_cost: FloatArray, control_cost: float) -> FloatArray:
    """P of a follower who is alone, at discount 0.95."""
    n, m = follower.shape
    game = LinearGaussianGame(
        Dynamics(state, follower, np.zeros((n, 1)), np.ones(n)),
        Cost(state_cost, control_cost * np.eye(m)),
        Quadratic(0.0, np.zeros(n), np.eye(n)),
        follower_discount=0.95,
    )
    with torch.no_grad():
        return np.asarray(game.response(LinearGaussianPolicy(game, np.zeros((1, n))), TAU).value)


def by_qz(state: FloatArray, follower: FloatArray, state_cost: FloatArray, control_cost: float) -> FloatArray:
    """The same by the QZ method."""
    scale, control = 0.95**0.5, control_cost * np.eye(follower.shape[1])
    return np.asarray(scipy.linalg.solve_discrete_are(scale * state, scale * follower, state_cost, control))


@pytest.mark.parametrize("seed", range(20))
def test_cheap_control_of_few_costly_states_costs_no_digits(seed: int) -> None:
    random = np.random.default_rng(seed)
    state, follower, row = 2 * random.normal(size=(4, 4)), 1e3 * random.normal(size=(4, 1)), random.normal(size=4)
    plant = state, follower, 1e2 * np.outer(row, row), 1e-4
    expected = by_qz(*plant)
    np.testing.assert_allclose(respond(*plant), expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("cost", [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
def test_an_unstable_state_that_costs_nothing_is_stabilised(cost: list[float]) -> None:
    plant = np.array([[1.3, 0.1], [0.0, 1.2]]), np.ones((2, 1)), np.diag(cost), 1.0
    np.testing.assert_allclose(respond(*plant), by_qz(*plant), rtol=1e-9, atol=1e-9)


def test_what_cannot_be_stabilised_is_refused() -> None:
    with pytest.raises(SolverError, match="cannot be stabilised"):
        respond(np.eye(1) * 1.2, np.zeros((1, 1)), np.eye(1), 1.0)


def test_moments_follow_the_recursion() -> None:
    game, policy = linear_game(3)
    with torch.no_grad():
        loop = closed_loop(game.plant, policy, game.response(policy, TAU))
        mean, covariance = torch.tensor(game.start), torch.from_numpy(game.start_factor @ game.start_factor.T)
        means, covariances = moments(loop, mean, covariance, 9)
        for t in range(9):
            torch.testing.assert_close(means[t], mean)
            torch.testing.assert_close(covariances[t], covariance)
            mean, covariance = loop.matrix @ mean, loop.matrix @ covariance @ loop.matrix.T + loop.noise


STEADY = Loop(
    torch.tensor([[0.7, 0.4], [-0.2, 0.6]], dtype=torch.float64),
    torch.tensor([[0.3, 0.1], [0.1, 0.2]], dtype=torch.float64),
)
BENT = Quadratic(0.5, np.array([0.3, -0.2]), np.array([[1.0, 0.2], [0.2, 0.5]]))
FIRST = torch.tensor([2.0, -1.0], dtype=torch.float64), torch.eye(2, dtype=torch.float64)


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("count", [1, 2, 64, 65, 66, 1000])
def test_sums_over_moments_that_have_settled_equal_those_over_all(count: int, discount: float) -> None:
    (mean, covariance), total = FIRST, 0.0
    for t in range(count):
        total += discount**t * BENT.expectation(mean, covariance).item()
        mean, covariance = STEADY.matrix @ mean, STEADY.matrix @ covariance @ STEADY.matrix.T + STEADY.noise
    assert discounted_reward(STEADY, *FIRST, BENT, discount, count).item() == pytest.approx(total, rel=1e-12)
    assert len(stage_weights(STEADY, discount, count)) <= 257


@pytest.mark.parametrize("left", [0.1, 1e-3, 1e-9, 1e-12])
def test_endless_sums_and_their_slopes_are_those_of_a_lyapunov_equation(left: float) -> None:
    """sum_t g^t E x'H x = tr(H X) with X = X_0 + g M X M' + g / (1 - g) N, X_0 the first second moment."""
    discount, curvature = 1.0 - left, BENT.curvature
    first = (FIRST[1] + torch.outer(FIRST[0], FIRST[0])).numpy()

    def closed(size: float) -> float:
        matrix = np.sqrt(discount) * size * STEADY.matrix.numpy()
        noise = first + discount / (1.0 - discount) * STEADY.noise.numpy()
        second = scipy.linalg.solve_discrete_lyapunov(matrix, noise)
        return float(-0.5 * (curvature * second).sum())

    size = torch.ones((), dtype=torch.float64, requires_grad=True)
    reward = Quadratic(0.0, np.zeros(2), curvature)
    total = discounted_reward(Loop(size * STEADY.matrix, STEADY.noise), *FIRST, reward, discount, None)
    total.backward()  # type: ignore[no-untyped-call]
    assert total.item() == pytest.approx(closed(1.0), rel=1e-9)
    assert size.grad is not None
    assert size.grad.item() == pytest.approx((closed(1 + 1e-4) - closed(1 - 1e-4)) / 2e-4, rel=1e-6)


def test_an_endless_sum_that_does_not_settle_is_refused_before_memory_is_taken() -> None:
    walk = Loop(torch.eye(2, dtype=torch.float64), STEADY.noise)
    with pytest.raises(
        InvalidArgumentError, match=r"the moments of [\d,]+ stages, which do not settle at discount 0.999999999,"
    ):
        discounted_reward(walk, *FIRST, BENT, 1 - 1e-9, None)
    assert len(stage_weights(walk, 0.9, None)) == 263


@pytest.mark.parametrize("count", [1, 2, 3, 8, 13])
def test_powers(count: int) -> None:
    matrix = torch.tensor([[0.5, 1.0], [0.0, -0.9]], dtype=torch.float64)
    for t, power in enumerate(powers(matrix, count)):
        torch.testing.assert_close(power, torch.linalg.matrix_power(matrix, t))
    assert len(powers(matrix, count)) == count


def test_a_cold_follower_is_refused() -> None:
    game = lqr_v0.game()
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(InvalidArgumentError, match="temperature"):
            soft_riccati(game.plant, LinearGaussianPolicy(game), 0.9, wrong)


@pytest.mark.parametrize("seed", range(12))
def test_compiled_numbers_and_slopes_are_those_of_tensors(seed: int) -> None:
    game, policy = linear_game(seed)
    random, discount, plant = np.random.default_rng(seed), game.follower_discount, game.plant
    solved = soft_riccati(plant, policy, discount, TAU)
    law, arrays = LinearLaw(policy.gain.detach().numpy(), policy.covariance.numpy()), PlantArrays.of(plant)
    reply, worth = riccati_compiled.respond(arrays, law, discount, TAU)
    with torch.no_grad():
        loop = closed_loop(plant, policy, solved)
    tensors = (solved.gain, solved.covariance, *loop, solved.value, solved.constant, solved.seen_value)
    for tensor, array in zip(tensors, (*reply, *worth), strict=True):
        np.testing.assert_allclose(np.asarray(array), tensor.detach().numpy(), rtol=1e-11, atol=1e-11)
    weights, weight = random.normal(size=loop.matrix.shape), random.normal()
    weights = weights + weights.T
    total = (torch.from_numpy(weights) * solved.value).sum() + weight * solved.constant
    slope = torch.autograd.grad(total, policy.gain)[0].numpy()
    ours = value_slope(arrays, law, reply, worth, discount, weights, weight)
    np.testing.assert_allclose(ours, slope, rtol=1e-10, atol=1e-11 * np.abs(slope).max())


def test_compiled_numbers_where_doubling_fails_and_where_nothing_helps() -> None:
    unpaid = LinearGaussianGame(  # an unstable coordinate that costs nothing: only the QZ method finds the loop that is stable
        Dynamics([[1.2, 0.0], [0.0, 0.5]], np.eye(2), np.eye(2), [0.0, 0.0]), Cost(np.diag([0.0, 1.0]), np.eye(2)), NONE
    )
    law = LinearLaw(np.zeros((2, 2)), 1e-6 * np.eye(2))
    reply, worth = riccati_compiled.respond(PlantArrays.of(unpaid.plant), law, 0.95, TAU)
    with torch.no_grad():
        solved = unpaid.response(LinearGaussianPolicy(unpaid), TAU)
    np.testing.assert_allclose(worth.value, solved.value.numpy(), rtol=1e-10, atol=1e-12)
    assert np.abs(np.linalg.eigvals(reply.loop)).max() < 1
    stuck = LinearGaussianGame(
        Dynamics([[1.2]], [[0.0]], [[1.0]], [0.0]), Cost([[1.0]], [[1.0]]), Quadratic(0.0, np.zeros(1), np.eye(1))
    )
    with pytest.raises(SolverError, match="spectral radius"):
        riccati_compiled.respond(PlantArrays.of(stuck.plant), LinearLaw(np.zeros((1, 1)), np.eye(1)), 0.95, TAU)


@pytest.mark.parametrize("unit", [1e-180, 1e-30, 1.0, 1e30, 1e180])
def test_compiled_responses_are_the_same_in_other_units_of_cost(unit: float) -> None:
    random, law = np.random.default_rng(0), LinearLaw(np.array([[0.1, -0.2, 0.3]]), np.array([[0.2]]))
    shapes = ((3, 3), (3, 2), (3, 1))
    moves = [0.4 * random.normal(size=shape) for shape in shapes]
    plant = PlantArrays(moves[0], moves[1], moves[2], np.eye(3), unit * np.eye(3), unit * np.diag([1.0, 2.0]))
    usual = plant._replace(state_cost=np.eye(3), control_cost=np.diag([1.0, 2.0]))
    reply, worth = riccati_compiled.respond(plant, law, 0.9, 0.5 * unit)
    expected, true = riccati_compiled.respond(usual, law, 0.9, 0.5)
    np.testing.assert_allclose(reply.gain, expected.gain, rtol=1e-12)
    np.testing.assert_allclose(reply.covariance, expected.covariance, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(worth.value / unit, true.value, rtol=1e-12)
    np.testing.assert_allclose(worth.constant / unit, true.constant, rtol=1e-12)

"""Games of the literature: optima by linear programs or closed form, against a second method that shares no code."""

from __future__ import annotations

import inspect
import itertools
import re
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import Bounds, LinearConstraint, linprog, milp, minimize_scalar
from scipy.special import softmax

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.commitments.tabular import TabularPolicy
from stackelberg_games.envs import bayesian_matrix_v0 as bayes
from stackelberg_games.envs import contract_v0, matrix_v0, repeated_pd_v0, security_game_v0
from stackelberg_games.errors import (
    InvalidArgumentError,
    InvalidGameError,
    StackelbergError,
    UnknownIdError,
    UnsupportedGameError,
)
from stackelberg_games.exact.secured import Endless, roof_of_play
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.learning import registry

STRONG = {
    "letchford": 2.5,
    "conitzer_sandholm": 3.5,
    "escape": 30.0,
    "maintain": 27.5,
    "prisoners_dilemma": 1.0,
    "stag_hunt": 4.0,
    "chicken": 4.0,
    "battle": 4.0,
    "matching_pennies": 0.0,
    "inspection": -2 / 3,
    "entry_deterrence": 5.0,
    "ultimatum_4": 4.0,
}
SOFT = {
    "letchford": 2.266839,
    "conitzer_sandholm": 3.266839,
    "escape": 30.0,
    "maintain": 27.150552,
    "prisoners_dilemma": 1.000182,
    "stag_hunt": 3.999864,
    "chicken": 3.999864,
    "battle": 4.0,
    "matching_pennies": 0.0,
    "inspection": -0.739793,
    "entry_deterrence": 4.999773,
    "ultimatum_4": 3.543237,
}


def made(name: str, **settings: Any) -> Any:
    return sg.make(name, **settings)


def vertices(leader: FloatArray, follower: FloatArray) -> float:
    """The best vertex of the regions of mixtures in which each reply is best, ``[A, B]``: A - 1 facets meet there."""
    rows, replies = leader.shape
    best = -np.inf
    for reply in range(replies):
        gaps = (follower - follower[:, [reply]]).T  # each must be <= 0
        facets = np.vstack([np.delete(gaps, reply, axis=0), -np.eye(rows)])
        for chosen in itertools.combinations(range(len(facets)), rows - 1):
            system = np.vstack([facets[list(chosen)], np.ones(rows)])
            if abs(np.linalg.det(system)) > 1e-9:
                mixture = np.linalg.solve(system, np.append(np.zeros(rows - 1), 1.0))
                if (facets @ mixture <= 1e-9).all():
                    best = max(best, float(mixture @ leader[:, reply]))
    return best


def soft_value(leader: FloatArray, follower: FloatArray, mixture: FloatArray, temperature: float) -> float:
    return float(mixture @ leader @ softmax(mixture @ follower / temperature))


@pytest.mark.parametrize("preset", matrix_v0.PRESETS)
def test_strong_values_of_matrix_games_agree_with_an_enumeration_of_vertices(preset: str) -> None:
    leader, follower = (np.asarray(side, dtype=float) for side in matrix_v0.PRESETS[preset])
    assert vertices(leader, follower) == pytest.approx(STRONG[preset], abs=1e-12)
    found = exact.solve(made("matrix-v0", preset=preset), 0.0)
    assert found.value == pytest.approx(STRONG[preset], abs=1e-12)
    assert found.gap < 1e-9


@pytest.mark.parametrize("preset", matrix_v0.PRESETS)
def test_soft_optima_of_matrix_games_are_those_of_the_literature(preset: str) -> None:
    game = made("matrix-v0", preset=preset)
    found = exact.solve(game, 0.1, starts=6)
    assert found.value == pytest.approx(SOFT[preset], abs=6e-7)
    leader, follower = game.leader_reward[0], game.follower_reward[0]
    if len(leader) == 2:
        grid = max(soft_value(leader, follower, np.array([p, 1 - p]), 0.1) for p in np.linspace(0, 1, 20_001))
        assert grid - 1e-9 <= found.value <= grid + 1e-6
    mixture = found.commitment.probabilities()[0].detach().numpy()
    assert soft_value(leader, follower, mixture, 0.1) == pytest.approx(found.value, abs=1e-9)


def coverage_value(preset: str) -> float:
    """The compact program: coverage c with sum c <= units, one for each target that is attacked."""
    units, payoffs = security_game_v0.PRESETS[preset]
    lc, lu, fc, fu = (np.array(payoffs[name], dtype=float) for name in payoffs)
    count, best = len(lc), -np.inf
    for target in range(count):
        rows = np.zeros((count, count))
        for other in range(count):  # covered a share c a target is worth fu + c (fc - fu) to the attacker
            rows[other, other] += fc[other] - fu[other]
            rows[other, target] -= fc[target] - fu[target]
        limits = fu[target] - fu
        gain = np.zeros(count)
        gain[target] = lc[target] - lu[target]
        found = linprog(
            -gain, np.vstack([rows, np.ones(count)]), np.append(limits, units), bounds=[(0, 1)] * count, method="highs"
        )
        if found.status == 0:
            best = max(best, lu[target] - found.fun)
    return float(best)


@pytest.mark.parametrize(("preset", "value"), [("three_targets", -11 / 13), ("five_targets", -719 / 1150)])
def test_security_games_agree_with_the_program_in_coverage(preset: str, value: float) -> None:
    assert coverage_value(preset) == pytest.approx(value, abs=1e-12)
    assert exact.solve(made("security_game-v0", preset=preset), 0.0).value == pytest.approx(value, abs=1e-12)


def test_the_guards_cover_three_targets_as_published() -> None:
    game = made("security_game-v0")
    assert exact.solve(game, 0.0).commitment.probabilities()[0].tolist() == pytest.approx([7 / 13, 5 / 13, 1 / 13])
    assert exact.solve(game, 0.1, starts=4).value == pytest.approx(-0.844118, abs=6e-7)


@pytest.mark.parametrize("discount", [0.5, 0.75, 0.9, 0.99])
def test_repeated_pd_is_worth_13_thirds_by_the_closed_form_and_by_programs(discount: float) -> None:
    game = made("repeated_pd-v0", discount=discount)
    chances = repeated_pd_v0.optimal_cooperation(discount)
    policy = TabularPolicy.from_probabilities(game, np.stack([chances, 1 - chances], axis=1))
    response = exact.best_response(game, policy, 0.0).policy
    cooperates = np.zeros((5, 2, 2))
    cooperates[..., 0] = 1.0
    assert exact.leader_value(game, policy, cooperates) == pytest.approx(13 / 3, abs=1e-9)
    assert exact.follower_value(game, policy, cooperates) == pytest.approx(1.0, abs=1e-9)
    assert exact.follower_value(game, policy, response) == pytest.approx(1.0, abs=1e-9)  # no reply is better
    found = exact.solve(game, 0.0)
    assert found.value == pytest.approx(13 / 3, abs=1e-8)
    assert found.bound == pytest.approx(13 / 3, abs=1e-8)
    assert exact.leader_value(game, found.commitment, found.response) == pytest.approx(found.value, abs=1e-9)


@pytest.mark.parametrize(("discount", "temperature", "value"), [(0.9, 0.01, 4.26498), (0.99, 0.001, 4.31495)])
def test_repeated_pd_has_the_soft_optima_of_the_literature(discount: float, temperature: float, value: float) -> None:
    found = exact.solve(made("repeated_pd-v0", discount=discount), temperature)
    assert found.value == pytest.approx(value, abs=6e-6)


def test_myopic_follower_by_value_iteration_over_vertices() -> None:
    game = made("myopic-v0")
    values = np.zeros(3)
    for _ in range(400):
        table = game.leader_reward + 0.9 * game.transition @ values
        values = np.array([vertices(table[s], game.follower_reward[s]) for s in range(3)])
    assert values[0] == pytest.approx(6.284163, abs=5e-7)
    assert exact.solve(game, 0.0).value == pytest.approx(values[0], abs=1e-9)
    assert exact.solve(game, 0.05, starts=6).value == pytest.approx(6.068601, abs=6e-7)


@pytest.mark.parametrize(
    ("preset", "value", "payments", "soft", "first_best"),
    [("two_efforts", 6.4, [0, 2], 5.744975, 7.0), ("four_efforts", 3.6, [0, 4], 2.997202, 5.0)],
)
def test_contracts_pay_for_success_only(
    preset: str, value: float, payments: list[float], soft: float, first_best: float
) -> None:
    game = made("contract-v0", preset=preset)
    found = exact.solve(game, 0.0)
    assert found.value == pytest.approx(value, abs=1e-9)
    chosen = found.commitment.configuration()
    assert chosen is not None
    assert chosen.tolist() == pytest.approx(payments, abs=1e-9)
    chances, costs, highest = (np.array(part) for part in contract_v0.PRESETS[preset])
    assert (10 * chances - costs).max() == pytest.approx(first_best)
    best = -np.inf
    for paid in np.linspace(0, highest, 1601):  # for success; the optimum is on the grid
        worth = paid * chances - costs
        tied = worth >= worth.max() - 1e-9
        best = max(best, float(((10 - paid) * chances)[tied].max()))
    assert best == pytest.approx(value, abs=1e-9)
    assert exact.solve(game, 0.1, starts=4).value == pytest.approx(soft, abs=6e-7)

    def loss(paid: float) -> float:
        return -float(softmax((paid * chances - costs) / 0.1) @ ((10 - paid) * chances))

    scalar = min(
        minimize_scalar(loss, bounds=ends, method="bounded").fun for ends in ((0, 3), (2, 5), (4, float(highest)))
    )
    assert -scalar == pytest.approx(soft, abs=6e-7)


def test_principal_agent_programs_agree_with_a_hard_best_response() -> None:
    game = made("principal_agent-v0")
    found = exact.solve(game, 0.0)
    assert found.value == pytest.approx(43.269691, abs=5e-7)
    payments = np.zeros((4, 4))
    payments[2, 3], payments[3, 2] = 2.8425, 1.0522
    configuration = found.commitment.configuration()
    assert configuration is not None
    assert configuration.reshape(4, 4).detach().numpy() == pytest.approx(payments, abs=6e-5)
    best = -np.inf
    for policy in itertools.product(range(2), repeat=4):
        best = max(best, agent_program(game, np.array(policy)))
    assert best == pytest.approx(found.value, abs=1e-7)
    nothing = Configuration(np.zeros(16), None, states=4)
    assert exact.certificate(game, nothing, 0.0).value == pytest.approx(39.306, abs=6e-4)


def agent_program(game: ConfigurableGame, policy: FloatArray) -> float:
    """The program of one policy of the agent, with values as variables beside the payments."""
    states, discount = game.states, game.leader_discount
    transition, cost, earned = game.transition[:, 0], -game.follower_reward[:, 0], game.leader_reward[:, 0]
    size = states**2
    paid = np.zeros((states, 2, size))  # the expected payment in (s, b) by payment
    for s, b, t in itertools.product(range(states), range(2), range(states)):
        paid[s, b, s * states + t] = transition[s, b, t]
    rows = np.arange(states)
    chain = transition[rows, policy]
    equal = np.hstack([-paid[rows, policy], np.eye(states) - discount * chain])
    other = 1 - policy
    above = np.hstack([paid[rows, other], discount * transition[rows, other] - np.eye(states)])
    visits = np.linalg.solve(np.eye(states) - discount * chain.T, game.initial_distribution)
    gain = np.append(visits @ paid[rows, policy], np.zeros(states))
    found = linprog(
        gain,
        above,
        cost[rows, other],
        equal,
        -cost[rows, policy],
        bounds=[(0, 12)] * size + [(None, None)] * states,
        method="highs",
    )
    return float(visits @ earned[rows, policy] - found.fun) if found.status == 0 else -np.inf


def test_principal_agent_is_not_trapped_where_nothing_is_paid() -> None:
    game = made("principal_agent-v0")
    assert exact.solve(game, 0.05).value == pytest.approx(42.48501, abs=6e-6)


def dobss() -> float:
    """The mixed-integer program: z(k, i, j) = x(i) q(k, j), one reply q(k, .) for each type."""
    leader, followers, chances = (np.array(part) for part in (bayes.LEADER, bayes.FOLLOWERS, bayes.CHANCES))
    types, rows, replies = followers.shape
    size, large = types * rows * replies, 100.0
    z = np.arange(size).reshape(types, rows, replies)
    q = size + np.arange(types * replies).reshape(types, replies)
    a = size + types * replies + np.arange(types)
    count = int(a[-1]) + 1
    gain, lines, low, high = np.zeros(count), [], [], []
    for k in range(types):
        gain[z[k].ravel()] = -(chances[k] * leader).ravel()

    def add(entries: dict[int, float], least: float, most: float) -> None:
        line = np.zeros(count)
        for index, weight in entries.items():
            line[index] += weight
        lines.append(line)
        low.append(least)
        high.append(most)

    for k in range(types):
        add(dict.fromkeys(z[k].ravel().tolist(), 1.0), 1.0, 1.0)
        add(dict.fromkeys(q[k].tolist(), 1.0), 1.0, 1.0)
        for j in range(replies):
            add({**dict.fromkeys(z[k, :, j].tolist(), 1.0), int(q[k, j]): -1.0}, -np.inf, 0.0)
            worth = {int(z[k, i, l]): -followers[k, i, j] for i in range(rows) for l in range(replies)}
            add({**worth, int(a[k]): 1.0}, 0.0, np.inf)
            add({**worth, int(a[k]): 1.0, int(q[k, j]): large}, -np.inf, large)
        for i in range(rows):
            both = {int(index): 1.0 for index in z[k, i]}
            for index in z[0, i]:
                both[int(index)] = both.get(int(index), 0.0) - 1.0
            add(both, 0.0, 0.0)
    bounds = Bounds(
        np.r_[np.zeros(size + types * replies), np.full(types, -large)],
        np.r_[np.ones(size + types * replies), np.full(types, large)],
    )
    whole = np.r_[np.zeros(size), np.ones(types * replies), np.zeros(types)]
    found = milp(gain, constraints=LinearConstraint(np.array(lines), low, high), integrality=whole, bounds=bounds)
    return -float(found.fun)


def test_bayesian_game_agrees_with_a_mixed_integer_program() -> None:
    game = made("bayesian_matrix-v0")
    found = exact.solve(game, 0.0)
    assert dobss() == pytest.approx(2.8, abs=1e-9)
    assert found.value == pytest.approx(2.8, abs=1e-9)
    assert found.gap < 1e-9
    assert found.commitment.probabilities().tolist() == [pytest.approx([1.0, 0.0])] * 2
    assert found.response[:, 0].argmax(axis=1).tolist() == [0, 1]
    assert exact.solve(game, 0.1, starts=4).value == pytest.approx(2.800018, abs=6e-7)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_each_type_answers_as_if_it_were_alone(temperature: float) -> None:
    game, mixture = made("bayesian_matrix-v0"), np.array([0.3, 0.7])
    policy = sg.TabularPolicy.from_probabilities(game, np.tile(mixture, (2, 1)))
    for kind, own in enumerate(exact.best_response(game, policy, temperature).policy[:, 0]):
        alone = softmax(mixture @ np.array(bayes.FOLLOWERS)[kind] / temperature)
        np.testing.assert_allclose(own, alone, atol=1e-12)


def nested_best(reply: Any, earned: Any, high: float) -> float:
    """The leader's optimum over a real number, the follower's answer found by a numerical search of its own."""

    def loss(x: float) -> float:
        answer = minimize_scalar(lambda y: -reply(x, y), bounds=(0.0, high), method="bounded", options={"xatol": 1e-11})
        return -float(earned(x, answer.x))

    found = minimize_scalar(loss, bounds=(0.0, high), method="bounded", options={"xatol": 1e-9})
    return -float(found.fun)


STATIC: dict[str, Any] = {
    "duopoly-v0": (10.125, lambda x, y: (9 - x - y) * y, lambda x, y: (9 - x - y) * x, 9.0),
    "wholesale-v0": (0.16, lambda x, y: y - y**2 / 2 - x * y, lambda x, y: (x - 0.2) * y, 1.0),
    "tax_linear-v0": (0.38490018, lambda x, y: (1 - x) * y - y**3 / 3, lambda x, y: x * y, 1.0),
}


@pytest.mark.parametrize("name", STATIC)
def test_static_games_have_the_optimum_of_the_continuum(name: str) -> None:
    value, reply, earned, high = STATIC[name]
    assert nested_best(reply, earned, high) == pytest.approx(value, abs=2e-8)
    found = exact.solve(made(name), 0.0)
    if name == "tax_linear-v0":  # where ties between amounts of labour are the leader's
        assert found.value == pytest.approx(value + (1 / 3) / 300, abs=3e-5)
        assert exact.solve(made(name, levels=600), 0.0).value == pytest.approx(value + (1 / 3) / 600, abs=1e-5)
    else:
        assert found.value == pytest.approx(value, abs=1e-12)
    assert found.gap < 1e-9


def test_quantities_and_prices_are_those_of_the_closed_form() -> None:
    duopoly, wholesale = made("duopoly-v0"), made("wholesale-v0")
    first, second = (int(part.argmax()) for part in (strong(duopoly)[0], strong(duopoly)[1]))
    assert (0.25 * first, 0.125 * second) == (4.5, 2.25)
    assert duopoly.follower_reward[0, first, second] == pytest.approx(5.0625)
    price, order = (int(part.argmax()) / 50 for part in strong(wholesale))
    assert (price, order) == (0.6, 0.4)
    rate = exact.solve(made("tax_linear-v0"), 0.01, starts=4)
    assert rate.value == pytest.approx(0.37983, abs=6e-6)
    configuration = rate.commitment.configuration()
    assert configuration is not None
    assert configuration.item() == pytest.approx(0.6578, abs=1e-3)
    assert exact.solve(made("wholesale-v0", levels=200), 0.01, starts=1).value == pytest.approx(0.160005, abs=6e-7)


def strong(game: TabularGame) -> tuple[FloatArray, FloatArray]:
    """What the leader plays at the optimum, and how that is answered."""
    found = exact.solve(game, 0.0)
    policy = found.commitment.probabilities()[0].detach().numpy()
    return policy, found.response[0, int(policy.argmax())]


@pytest.mark.parametrize("seed", range(4))
def test_no_commitment_is_worth_more_than_what_the_follower_can_secure_allows(seed: int) -> None:
    draws = np.random.default_rng(seed)
    shape = (2, 2, 2)
    game = TabularGame(
        draws.dirichlet(np.ones(2), shape),
        draws.normal(size=shape),
        draws.normal(size=shape),
        [0.5, 0.5],
        leader_discount=0.8,
        follower_discount=0.8,
        follower_sees_action=False,
    )
    endless = Endless.of(game)
    assert endless is not None
    bound, best = endless.worth(roof_of_play(endless)), -np.inf
    for p, q in itertools.product(np.linspace(0, 1, 41), repeat=2):
        policy = TabularPolicy.from_probabilities(game, [[p, 1 - p], [q, 1 - q]])
        best = max(best, exact.certificate(game, policy, 0.0).value)
    assert best <= bound + 1e-9
    refused = ""
    try:
        found = exact.solve(game, 0.0)
    except UnsupportedGameError as error:
        refused = str(error)
    if refused:  # says what was found, and what it cannot pass
        assert re.search(r"is worth [-\d.]+, no commitment is worth more than", refused)
        return
    assert best <= found.value + 1e-9 <= bound + 2e-9
    secured = min_max(game)
    assert exact.follower_value(game, found.commitment, found.response) >= secured - 1e-8


@pytest.mark.parametrize("seed", range(12))
def test_no_commitment_passes_the_bound_where_rewards_tie(seed: int) -> None:
    """Where the follower can be sure of all there is for it, great weights on its value would lose the digits that decide."""
    draws, shape = np.random.default_rng(seed), (3, 2, 2)
    transition = np.zeros((*shape, 3))
    for cell in np.ndindex(shape):
        first, second = draws.permutation(3)[:2]
        transition[cell][first] = draws.integers(8) / 8
        transition[cell][second] = 1 - transition[cell][first]
    leader = np.where(draws.random(shape) < 0.7, 6.625, draws.integers(-8, 8, shape).astype(float))
    follower = np.where(draws.random(shape) < 0.8, 0.75, -5.0)
    game = TabularGame(
        transition,
        leader,
        follower,
        [1.0, 0.0, 0.0],
        leader_discount=0.99,
        follower_discount=0.99,
        follower_sees_action=False,
    )
    endless = Endless.of(game)
    assert endless is not None
    bound, close = endless.worth(roof_of_play(endless)), 1e-9 * endless.unit / (1 - 0.99)
    for first in itertools.product((0.0, 0.5, 1.0), repeat=3):
        policy = TabularPolicy.from_probabilities(game, [[p, 1 - p] for p in first])
        assert exact.certificate(game, policy, 0.0).value <= bound + close


def min_max(game: TabularGame) -> float:
    """What the leader can hold the follower to in 2 x 2 matrix games, by value iteration over a grid of mixtures."""
    values = np.zeros(game.states)
    mixtures = np.linspace(0, 1, 2001)
    for _ in range(120):
        table = game.follower_reward + game.follower_discount * game.transition @ values
        lines = mixtures[:, None] * table[:, None, 0] + (1 - mixtures)[:, None] * table[:, None, 1]
        values = lines.max(axis=2).min(axis=1)
    return float(game.initial_distribution @ values) - 1e-2


@pytest.mark.parametrize(
    ("name", "settings", "error"),
    [
        ("security_game-v0", {"preset": "none"}, UnknownIdError),
        ("security_game-v0", {"units": 3}, InvalidGameError),
        ("security_game-v0", {"units": 0}, InvalidGameError),
        ("security_game-v0", {"payoffs": {"leader": (1, 1, 1)}}, InvalidArgumentError),
        ("security_game-v0", {"payoffs": {"leader_covered": (1, 1)}}, InvalidGameError),
        ("repeated_pd-v0", {"discount": 1.0}, InvalidGameError),
        ("myopic-v0", {"states": 0}, InvalidGameError),
        ("contract-v0", {"preset": "none"}, UnknownIdError),
        ("contract-v0", {"chances": (0.1, 1.2)}, InvalidGameError),
        ("contract-v0", {"chances": (0.1, 0.2, 0.3)}, InvalidGameError),
        ("contract-v0", {"highest_payment": -1.0}, InvalidGameError),
        ("principal_agent-v0", {"highest_payment": -1.0}, InvalidGameError),
        ("principal_agent-v0", {"states": 1}, InvalidGameError),
        ("bayesian_matrix-v0", {"chances": (0.6, 0.3)}, InvalidGameError),
        ("bayesian_matrix-v0", {"chances": (1.0,)}, InvalidGameError),
        ("bayesian_matrix-v0", {"leader": ((1.0, 2.0, 3.0),)}, InvalidGameError),
        ("duopoly-v0", {"step": 0.4}, InvalidGameError),
        ("duopoly-v0", {"cost": 11.0}, InvalidGameError),
        ("wholesale-v0", {"cost": 1.0}, InvalidGameError),
        ("tax_linear-v0", {"elasticity": 0.0}, InvalidGameError),
    ],
)
def test_what_does_not_make_a_game_is_refused(name: str, settings: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        made(name, **settings)


@pytest.mark.parametrize("name", sg.games())
def test_factories_refuse_by_name_what_is_no_setting(name: str) -> None:
    factory = registry.factory("game", name)
    for setting in inspect.signature(factory).parameters:
        for value in (object(), "nonsense", [["x"]]):
            with pytest.raises(StackelbergError):
                factory(**{setting: value})


@pytest.mark.parametrize(("R", "optimum", "chance"), [(1.0, 27.315565, 0.83376), (2.0, 31.165579, 0.49747)])
def test_toys_have_their_optimum_by_ascent_and_by_a_scalar_search(R: float, optimum: float, chance: float) -> None:
    game = made("discrete_toy-v0", R=R)

    def loss(p: float) -> float:
        policy = TabularPolicy.from_probabilities(game, [[0.5, 0.5], [p, 1 - p], [0.5, 0.5]])
        with torch.no_grad():
            return -float(exact.leader_objective(game, policy, 0.05))

    found = minimize_scalar(loss, bounds=(chance - 0.1, chance + 0.1), method="bounded", options={"xatol": 1e-9})
    assert -found.fun == pytest.approx(optimum, abs=1e-6)
    assert found.x == pytest.approx(chance, abs=1e-4)
    assert max(-loss(p) for p in np.linspace(0.01, 0.99, 99)) < optimum + 1e-6
    assert exact.solve(game, 0.05, starts=2).value == pytest.approx(optimum, abs=2e-6)


@pytest.mark.parametrize("name", ["contract-v0", "principal_agent-v0"])
def test_payments_below_zero_are_refused(name: str) -> None:
    game = made(name)
    with pytest.raises(InvalidArgumentError, match="-1"):
        game.tables(torch.full((game.size,), -1.0, dtype=torch.float64))

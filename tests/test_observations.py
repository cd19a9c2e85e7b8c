"""Leaders that see less than the state: tied commitments, what players are shown, and optima by second methods."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.mlp import MLPPolicy
from stackelberg_games.commitments.store import restore
from stackelberg_games.conformance import check_game
from stackelberg_games.errors import InvalidArgumentError, InvalidGameError, UnsupportedGameError
from stackelberg_games.faces.vector import TurnsVectorEnv
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.learning.ascent import GradientLeader
from stackelberg_games.play.rollout import TabularResponse
from tests.large_games import random_lists
from tests.random_games import finite_differences, gradient

MAP = (0, 1, 0, 2, 1)
FOLLOWER, LEADER = "follower_0", "leader_0"


def made(name: str, **chosen: Any) -> Any:
    return sg.make(name, **chosen)


def random_game(seed: int = 0, *, sees: bool = True, horizon: int | None = None, listed: bool = False) -> TabularGame:
    """Five states, two actions of the leader, three of the follower; its leader sees the states."""
    draws = np.random.default_rng(seed)
    facts: dict[str, Any] = {"leader_discount": 0.9, "follower_discount": 0.8, "horizon": horizon}
    leader, follower = draws.normal(size=(2, 5, 2, 3))
    if listed:
        successors, probability, *_ = random_lists(seed, (5, 2, 3, 2))
        return TabularGame.from_successors(
            successors, probability, leader, follower, np.full(5, 0.2), **facts, follower_sees_action=sees
        )
    transition = draws.dirichlet(np.ones(5), size=(5, 2, 3))
    return TabularGame(transition, leader, follower, np.full(5, 0.2), **facts, follower_sees_action=sees)


def tied_and_not(game: TabularGame, seed: int = 1) -> tuple[TabularGame, sg.TabularPolicy, sg.TabularPolicy]:
    """The partially observed game, a tied commitment in it, and the same decisions with a logit for each state."""
    tied = game.partially_observed(MAP)
    logits = np.random.default_rng(seed).normal(size=(3, 2))
    return tied, sg.TabularPolicy(tied, logits), sg.TabularPolicy(game, logits[list(MAP)])


def summed(untied: FloatArray) -> FloatArray:
    """Rows of states added up by observation, flat."""
    rows = np.zeros((3, 2))
    np.add.at(rows, list(MAP), untied.reshape(5, 2))
    return rows.ravel()


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("sees", [False, True])
@pytest.mark.parametrize("horizon", [None, 4])
def test_the_tied_hypergradient_is_the_sum_of_the_untied_and_of_finite_differences(
    listed: bool, sees: bool, horizon: int | None
) -> None:
    game = random_game(3, sees=sees, horizon=horizon, listed=listed)
    tied, together, apart = tied_and_not(game)
    value = exact.leader_objective(tied, together, 0.3)
    assert value.item() == pytest.approx(exact.leader_objective(game, apart, 0.3).item(), abs=1e-13)
    found = gradient(together, value)
    np.testing.assert_allclose(
        found, summed(gradient(apart, exact.leader_objective(game, apart, 0.3))), rtol=1e-10, atol=1e-12
    )
    numeric = finite_differences(together, lambda: float(exact.leader_objective(tied, together, 0.3).detach()))
    np.testing.assert_allclose(found, numeric, rtol=1e-5, atol=1e-7)


@settings(max_examples=20, deadline=None)
@given(numbers=st.lists(st.integers(0, 4), min_size=5, max_size=5), seed=st.integers(0, 99))
def test_any_map_ties_values_and_gradients(numbers: list[int], seed: int) -> None:
    game, found = random_game(seed), np.unique(numbers, return_inverse=True)[1].ravel()
    tied = game.partially_observed(found)
    logits = np.random.default_rng(seed).normal(size=(found.max() + 1, 2))
    together, apart = sg.TabularPolicy(tied, logits), sg.TabularPolicy(game, logits[found])
    rows = np.zeros_like(logits)
    np.add.at(rows, found, gradient(apart, exact.leader_objective(game, apart, 0.5)).reshape(5, 2))
    mine = gradient(together, exact.leader_objective(tied, together, 0.5))
    np.testing.assert_allclose(mine, rows.ravel(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", sorted(sg.leaders()))
def test_every_leader_that_estimates_gradients_adds_them_up(name: str) -> None:
    leader = sg.make_leader(name)
    if not isinstance(leader, GradientLeader) or name == "penalty":  # moves a follower of its own from batch to batch
        pytest.skip("it estimates none from a single batch")
    game = random_game(5, horizon=6)
    game.leader_discount = game.follower_discount  # as leaders that pay need it
    tied, together, apart = tied_and_not(game)
    follower: dict[str, Any] = {"batches": 2, "episodes": 4, "seed": 2}
    try:
        untied = sg.gradient_check(game, sg.make_leader(name), commitment=apart, **follower)
    except UnsupportedGameError:
        pytest.skip("it does not play this game")
    found = sg.gradient_check(tied, sg.make_leader(name), commitment=together, **follower)
    for mine, rows in zip(found.estimates, untied.estimates, strict=True):
        np.testing.assert_allclose(mine, summed(rows), rtol=1e-8, atol=1e-10)


def test_leaders_stay_tied_in_large_games_with_lists() -> None:
    states = 3000
    successors, probability, leader, follower, *_ = random_lists(0, (states, 2, 2, 2))
    game = TabularGame.from_successors(successors, probability, leader, follower, np.eye(states)[0], horizon=20)
    tied = game.partially_observed(np.arange(states) % 7)
    run = sg.train(
        tied,
        sg.make_leader("bchg", learning_rate=0.5),
        "soft_value_iteration",
        iterations=3,
        episodes=5,
        progress=False,
        seed=0,
    )
    rows = run.commitment.probabilities().detach().numpy()
    assert sum(parameter.numel() for parameter in run.commitment.parameters()) == 14
    assert np.ptp(rows[:7, 0]) > 0.01
    np.testing.assert_array_equal(rows, rows[np.arange(states) % 7])


def test_networks_and_leaders_without_gradients_are_tied_too() -> None:
    tied = random_game().partially_observed(MAP)
    network = MLPPolicy(tied, (8,), seed=1)
    assert network.network[0].in_features == 3
    for name, chosen in (("bchg", {"start": {"hidden": [8]}}), ("evolution_strategies", {}), ("random_search", {})):
        run = sg.train(
            tied,
            sg.make_leader(name, **chosen),
            "soft_value_iteration",
            iterations=20,
            episodes=2,
            stages=5,
            progress=False,
            seed=0,
        )
        rows = run.commitment.probabilities().detach().numpy()
        np.testing.assert_array_equal(rows, rows[[0, 1, 0, 3, 1]])
        assert len(np.unique(rows[:, 0])) == 3


@pytest.mark.parametrize("kind", ["TabularPolicy", "MLPPolicy"])
def test_stored_commitments_stay_tied(kind: str) -> None:
    tied = random_game().partially_observed(MAP)
    kept: Any = (
        sg.TabularPolicy(tied, np.arange(6.0).reshape(3, 2)) if kind == "TabularPolicy" else MLPPolicy(tied, (4,))
    )
    again: Any = restore(kept.describe())
    again.load_state_dict(kept.state_dict())
    torch.testing.assert_close(again.probabilities(), kept.probabilities(), rtol=0, atol=0)
    assert again.observations == tied.observations


@pytest.mark.parametrize(
    "numbers",
    [
        (0, 1, 0, 1),
        (0, 1, 0, 3, 1),
        (0, 1, -1, 0, 1),
        (0, 1, 0.5, 0, 1),
        "01012",
        (1, 1, 1, 1, 1),
        (0, 1, 0, 9, 1),
        None,
    ],
)
def test_what_is_no_map_is_refused(numbers: Any) -> None:
    with pytest.raises(InvalidGameError, match="observations"):
        random_game().partially_observed(numbers)


def test_a_leader_that_only_configures_has_nothing_to_tie() -> None:
    with pytest.raises(InvalidGameError, match="only configures"):
        made("contract-v0").partially_observed([0])


def test_commitments_that_tell_more_apart_are_refused() -> None:
    game = random_game()
    tied, _, _ = tied_and_not(game)
    apart = sg.TabularPolicy(game, np.arange(10.0).reshape(5, 2) ** 2)
    for use in (
        lambda: exact.leader_objective(tied, apart, 0.1),
        lambda: sg.rollout(
            tied, apart, TabularResponse(exact.best_response(game, apart, 0.1).policy), episodes=2, stages=3
        ),
        lambda: sg.TabularPolicy.from_probabilities(tied, apart.probabilities().detach().numpy()),
    ):
        with pytest.raises(
            InvalidArgumentError, match="state 2 and not those of state 0, which the leader does not tell apart"
        ):
            use()
    with pytest.raises(InvalidArgumentError, match=r"expected \(3, 2\)"):
        sg.TabularPolicy(tied, np.zeros((5, 2)))


def test_games_that_show_their_leader_less_are_other_games() -> None:
    game = random_game()
    tied = game.partially_observed(MAP)
    assert len({game.fingerprint(), tied.fingerprint(), game.partially_observed((0, 1, 0, 1, 2)).fingerprint()}) == 3
    assert tied.fingerprint() == random_game().partially_observed(np.array(MAP)).fingerprint()
    assert tied.view() == random_game().partially_observed(MAP).view() != game.view()


def test_players_are_shown_what_they_see() -> None:
    tied = random_game(horizon=4).partially_observed(MAP)
    env, numbers = tied.env(), []
    env.reset(seed=3)
    for agent in env.agent_iter():
        seen, _, over, cut, _ = env.last()
        assert seen is not None
        state = int(env.state()[:5].argmax())
        if agent == LEADER:
            np.testing.assert_array_equal(seen, np.eye(3, dtype=np.float32)[MAP[state]])
        else:
            np.testing.assert_array_equal(seen[:5], np.eye(5, dtype=np.float32)[state])
        assert env.observation_space(agent).contains(seen)
        numbers.append(state)
        env.step(
            None
            if over or cut
            else env.action_space(agent).sample(np.array([1, 0] if agent == LEADER else [0, 1, 0], np.int8))
        )
    assert len(set(numbers)) > 2
    plan: Any = tied.parallel_env("plan")
    views, _ = plan.reset(seed=3)
    assert {agent: len(view) for agent, view in views.items()} == {LEADER: 3, FOLLOWER: 5}
    assert all(plan.observation_space(agent).contains(view) for agent, view in views.items())


def test_vector_environments_show_the_leader_no_more() -> None:
    tied = random_game(horizon=3).partially_observed(MAP)
    together, alone = TurnsVectorEnv(tied, 1), sg.homogenize(tied.parallel_env("turns"))
    rows, (views, _) = together.reset(seed=4)[0], alone.reset(seed=4)
    for action in (1, 2, 0, 1, 1, 0):
        np.testing.assert_array_equal(rows[0], views[LEADER])
        np.testing.assert_array_equal(rows[1], views[FOLLOWER])
        rows, *_, infos = together.step(np.array([min(action, 1), action]))
        views, *_ = alone.step({LEADER: min(action, 1), FOLLOWER: action})
    np.testing.assert_array_equal(infos["final_obs"][0], views[LEADER])


@pytest.mark.parametrize(
    ("name", "chosen"), [("bayesian_matrix-v0", {}), ("repeated_pd-v0", {"leader_remembers": "own"})]
)
def test_partially_observed_games_conform(name: str, chosen: dict[str, Any]) -> None:
    report = check_game(lambda: made(name, **chosen))
    assert report.ok, str(report)
    assert "leader_tells_no_more_apart" in [outcome.name for outcome in report.passed]


class Leaking(TabularGame):
    """Shows its leader the state all the same."""

    def observe_leader(self, state: Any) -> Any:
        return np.eye(3, dtype=np.float32)[MAP[int(state)]] * np.float32(1 - state / 10)


def test_a_leak_is_found() -> None:
    inner = random_game(horizon=3)
    tables = inner.transition, inner.leader_reward, inner.follower_reward, inner.initial_distribution
    leaking = Leaking(*tables, 0.9, 0.8, 3).partially_observed(MAP)
    failed = [outcome.name for outcome in check_game(lambda: leaking).failed]
    assert "leader_tells_no_more_apart" in failed


def types_game(
    seed: int, *, sees: bool, kinds: int = 3, actions: int = 2, **facts: Any
) -> tuple[TabularGame, FloatArray]:
    """Types that follow each other by a chain that nobody moves, two observations of three; and their discounted visits."""
    draws = np.random.default_rng(seed)
    chain = draws.dirichlet(np.ones(kinds), size=kinds)
    leader, follower = draws.normal(size=(2, kinds, actions, 2))
    start = draws.dirichlet(np.ones(kinds))
    game = TabularGame(
        np.broadcast_to(chain[:, None, None], (kinds, actions, 2, kinds)),
        leader,
        follower,
        start,
        0.7,
        0.6,
        follower_sees_action=sees,
        **facts,
    )
    stages = 400 if game.horizon is None else game.horizon
    visits = sum(0.7**t * start @ np.linalg.matrix_power(chain, t) for t in range(stages))
    return game.partially_observed((0, 1, 0)[:kinds]), np.asarray(visits)


def by_grid(game: TabularGame, weights: FloatArray, temperature: float) -> float:
    """The best of a grid of mixtures for each observation, the follower's answers worked out here; ties for the leader."""
    assert game.observations is not None
    total, grid = 0.0, np.linspace(0, 1, 4001)
    mixtures = np.stack([grid, 1 - grid], axis=1)
    for number in range(game.observations.count):
        values = np.zeros(len(grid))
        for s in np.flatnonzero(game.observations.numbers == number):
            leader, follower = game.leader_reward[s], game.follower_reward[s]
            if game.follower_sees_action:
                replies = softmax(follower / temperature, axis=1) if temperature else np.eye(2)[follower.argmax(axis=1)]
                values += weights[s] * mixtures @ (replies * leader).sum(axis=1)
            else:
                worth = mixtures @ follower
                replies = softmax(worth / temperature, axis=1) if temperature else np.eye(2)[worth.argmax(axis=1)]
                values += weights[s] * (replies * (mixtures @ leader)).sum(axis=1)
        total += float(values.max())
    return total


@pytest.mark.parametrize("sees", [False, True])
@pytest.mark.parametrize("temperature", [0.0, 0.2])
@pytest.mark.parametrize("horizon", [None, 1, 3])
def test_optima_by_observation_are_those_of_a_grid(sees: bool, temperature: float, horizon: int | None) -> None:
    for seed in range(3):
        game, weights = types_game(seed, sees=sees, horizon=horizon)
        found, grid = exact.solve(game, temperature, starts=4), by_grid(game, weights, temperature)
        assert found.proved
        assert found.gap < 1e-6
        assert found.value >= grid - 1e-9
        assert found.value <= grid + 2e-3  # steps of 1/4000, and mixtures at which replies change lie between them
        if temperature:
            played = exact.leader_objective(game, found.commitment, temperature).item()
            assert played == pytest.approx(found.value, abs=1e-9)


def test_a_bayesian_game_is_the_game_of_combined_replies() -> None:
    draws = np.random.default_rng(4)
    leader, followers, chances = draws.normal(size=(3, 4, 2)), draws.normal(size=(3, 4, 2)), np.array([0.5, 0.3, 0.2])
    game = made("bayesian_matrix-v0", leader=leader, followers=followers, chances=chances)
    chosen = np.array(list(itertools.product(range(2), repeat=3)))
    kinds = np.arange(3)
    earned = np.einsum("k,ckr->rc", chances, leader[kinds, :, chosen])
    combined = TabularGame(
        np.ones((1, 4, 8, 1)),
        earned[None],
        followers[kinds, :, chosen].sum(axis=1).T[None],
        [1.0],
        0.0,
        0.0,
        1,
        follower_sees_action=False,
    )
    for temperature in (0.0, 0.3):
        one, other = exact.solve(game, temperature, starts=4), exact.solve(combined, temperature, starts=4)
        assert one.value == pytest.approx(other.value, abs=1e-8)
        assert one.gap < 1e-6
    mixture = draws.dirichlet(np.ones(4))
    values = [
        exact.leader_objective(
            one, sg.TabularPolicy.from_probabilities(one, np.tile(mixture, (one.states, 1))), 0.3
        ).item()
        for one in (game, combined)
    ]
    assert values[0] == pytest.approx(values[1], abs=1e-12)


def test_without_a_program_optima_are_refused_unless_nothing_is_tied() -> None:
    hidden = made("repeated_pd-v0", leader_remembers="own")
    with pytest.raises(UnsupportedGameError, match="what they do changes what comes"):
        exact.solve(hidden, 0.0)
    found = exact.solve(hidden, 0.01, starts=4)
    defecting = sg.TabularPolicy.from_probabilities(hidden, np.tile([0.0, 1.0], (5, 1)))
    assert found.value == pytest.approx(exact.leader_objective(hidden, defecting, 0.01).item(), abs=1e-9)
    assert found.value < 1.001
    everything = made("repeated_pd-v0").partially_observed(range(5))
    assert exact.solve(everything, 0.0).value == pytest.approx(13 / 3, abs=1e-9)


def test_too_many_combinations_of_replies_are_refused() -> None:
    draws = np.random.default_rng(0)
    game = made(
        "bayesian_matrix-v0",
        leader=draws.normal(size=(2, 3)),
        followers=draws.normal(size=(9, 2, 3)),
        chances=np.full(9, 1 / 9),
    )
    with pytest.raises(UnsupportedGameError, match="combinations"):
        exact.solve(game, 0.0)
    assert exact.solve(game, 0.5, starts=2).proved

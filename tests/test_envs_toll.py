"""Tolls: equilibria against Frank-Wolfe and Fisk's program, hypergradients against differences, and what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar
from scipy.special import entr, softmax

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.envs import toll_v0
from stackelberg_games.errors import InvalidActionError, InvalidGameError, UnknownIdError, UnsupportedGameError

TEMPERATURES = (0.02, 0.1, 0.5, 3.0)


def tolls(*prices: float, states: int = 1) -> Configuration:
    return Configuration(list(prices), None, states=states)


def network(seed: int, nodes: int = 9, edges: int = 30, pairs: int = 2) -> dict[str, Any]:
    """A random network in which every pair is connected: a ring, and edges on top."""
    draws = np.random.default_rng(seed)
    found = [(k, (k + 1) % nodes) for k in range(nodes)]
    while len(found) < edges:
        first, last = (int(node) for node in draws.integers(nodes, size=2))
        if first != last:
            found.append((first, last))
    lines = [(str(a), str(b), draws.random(), 2 * draws.random(), float(draws.integers(1, 5))) for a, b in found]
    ends = [draws.choice(nodes, 2, replace=False) for _ in range(pairs)]
    return {"edges": lines, "demand": [(str(a), str(b), 0.5 + draws.random()) for a, b in ends]}


def made(temperature: float = 0.1, **given: Any) -> toll_v0.TollGame:
    game = sg.make("toll-v0", temperature=temperature, **given)
    assert isinstance(game, toll_v0.TollGame)
    return game


def beckmann(game: toll_v0.TollGame, flow: FloatArray, prices: FloatArray) -> float:
    fixed, slope, power = np.array([edge[2:] for edge in game.edges]).T
    return float((flow * (fixed + prices) + slope * flow ** (power + 1) / (power + 1)).sum())


def latencies(game: toll_v0.TollGame, flow: FloatArray) -> FloatArray:
    return np.array([fixed + slope * f**power for (_, _, fixed, slope, power), f in zip(game.edges, flow, strict=True)])


def shortest(game: toll_v0.TollGame, demand: Any, costs: FloatArray) -> FloatArray:
    """Edge flows with everybody on a shortest path, by Bellman's sweeps over the edges."""
    ends, flow = [edge[:2] for edge in game.edges], np.zeros(len(game.edges))
    nodes = sorted({node for edge in ends for node in edge})
    for first, last, amount in demand:
        distance, by = {node: np.inf for node in nodes} | {first: 0.0}, {}
        for _ in nodes:
            for number, (a, b) in enumerate(ends):
                if distance[a] + costs[number] < distance[b]:
                    distance[b], by[b] = distance[a] + costs[number], number
        node = last
        while node != first:
            flow[by[node]] += amount
            node = ends[by[node]][0]
    return flow


def frank_wolfe(game: toll_v0.TollGame, demand: Any, prices: FloatArray) -> tuple[FloatArray, float]:
    """Edge flows by shortest paths and a line search, and the duality gap that is left."""
    flow, gap = shortest(game, demand, latencies(game, np.zeros(len(prices))) + prices), np.inf
    for _ in range(400):
        costs = latencies(game, flow) + prices
        change = shortest(game, demand, costs) - flow
        gap = -float(costs @ change)

        def along(share: float, flow: FloatArray = flow, change: FloatArray = change) -> float:
            return beckmann(game, flow + share * change, prices)

        flow = flow + minimize_scalar(along, bounds=(0, 1), method="bounded", options={"xatol": 1e-10}).x * change
    return flow, gap


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_pigou_has_the_toll_one_half_at_every_temperature(temperature: float) -> None:
    game = made(temperature)
    for toll in (0.0, 0.3, 0.5, 1.2):
        share = game.choices(np.array([toll]))[0, 0, 1]
        assert share == pytest.approx(1 / (1 + np.exp((share + toll - 1) / temperature)), abs=1e-13)
        value = exact.leader_objective(game, tolls(toll), temperature).item()
        assert value == pytest.approx(-(1 - share + share**2), abs=1e-13)
    found = exact.solve(game, temperature, starts=2)
    assert found.value == pytest.approx(-0.75, abs=1e-12)
    assert found.gap < 1e-12
    chosen = found.commitment.configuration()
    assert chosen is not None
    assert chosen.item() == pytest.approx(0.5, abs=1e-5)


def test_pigou_and_braess_without_errors() -> None:
    pigou, braess = made(0.0), made(0.0, preset="braess")
    assert pigou.choices(np.array([0.3]))[0, 0, 1] == pytest.approx(0.7, abs=1e-12)
    for game, untolled, best, toll in ((pigou, -1.0, -0.75, 0.5), (braess, -2.0, -1.5, 0.5)):
        for prices, value in (((0.0,), untolled), ((toll,), best)):
            answer = exact.best_response(game, tolls(*prices), 0.0)
            assert exact.leader_value(game, tolls(*prices), answer.policy) == pytest.approx(value, abs=1e-9)
            assert exact.certificate(game, tolls(*prices), 0.0).value == pytest.approx(value, abs=1e-9)
        found = exact.solve(game, 0.0)
        assert (found.value, found.bound) == pytest.approx((best, best), abs=1e-9)
        assert found.gap < 1e-8
        chosen = found.commitment.configuration()
        assert chosen is not None
        assert chosen.tolist() == pytest.approx([toll], abs=1e-6)
    soft = made(0.1, preset="braess", highest_toll=6.0)
    values = [exact.leader_objective(soft, tolls(toll), 0.1).item() for toll in (*np.linspace(0, 2, 21), 6.0)]
    assert (np.diff(values) > 0).all()
    assert values[-1] == pytest.approx(-1.5, abs=1e-12)


@pytest.mark.parametrize("seed", [2, 53])
def test_members_who_hardly_move_are_not_sought_below_rounding(seed: int) -> None:
    """What is to be moved is of the size of rounding in these: its last digits were sought in vain."""
    game = made(0.0, **network(seed))
    flow = game.flow(np.zeros(30))
    costs = latencies(game, flow)
    assert costs @ flow == pytest.approx(costs @ shortest(game, network(seed)["demand"], costs), rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_a_random_network_settles_where_frank_wolfe_ends(seed: int) -> None:
    given = network(seed)
    game = made(0.0, **given)
    for prices in (np.zeros(30), np.random.default_rng(seed).random(30)):
        flow, demand = game.flow(prices), given["demand"]
        other, gap = frank_wolfe(game, demand, prices)
        ours, theirs = beckmann(game, flow, prices), beckmann(game, other, prices)
        assert gap < 0.01
        assert theirs - gap <= ours <= theirs + 1e-12
        costs = latencies(game, flow) + prices
        assert costs @ flow == pytest.approx(
            costs @ shortest(game, demand, costs), rel=1e-12
        )  # nobody has a shorter way
        np.testing.assert_allclose(game.resources.logit(prices, 1e-3), flow, atol=0.02)


@pytest.mark.parametrize("temperature", [0.05, 0.3])
def test_a_logit_equilibrium_solves_the_program_of_fisk(temperature: float) -> None:
    given = network(5, nodes=5, edges=11)
    game, prices = made(temperature, **given), np.random.default_rng(1).random(11)
    used, amount = game.resources.uses, game.resources.amount
    count = [len(ways) for ways in game.ways]

    def split(logits: FloatArray) -> list[FloatArray]:
        return [softmax(part) for part in np.split(logits, np.cumsum(count)[:-1])]

    def program(logits: FloatArray) -> float:
        plays = split(logits)
        flow = sum(n * play @ used[s, : len(play)] for s, (n, play) in enumerate(zip(amount, plays, strict=True)))
        entropy = sum(n * entr(play).sum() for n, play in zip(amount, plays, strict=True))
        return beckmann(game, np.asarray(flow), prices) - temperature * float(entropy)

    found = minimize(program, np.zeros(sum(count)), method="BFGS", options={"gtol": 1e-9})
    for pair, play in enumerate(split(found.x)):
        np.testing.assert_allclose(game.choices(prices)[pair, 0, : len(play)], play, atol=2e-5)
        assert (game.choices(prices)[pair, 0, len(play) :] == 0).all()


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), temperature=st.floats(0.03, 2.0))
def test_hypergradient_agrees_with_differences(seed: int, temperature: float) -> None:
    game = made(temperature, **network(seed, nodes=6, edges=12))
    prices = 0.2 + np.random.default_rng(seed).random(12)
    commitment = tolls(*prices, states=2)
    value = exact.leader_objective(game, commitment, temperature)
    (slopes,) = torch.autograd.grad(value, list(commitment.parameters()))
    gradient, step = slopes.numpy(), 1e-5
    for number in range(12):
        ends = [
            exact.leader_objective(
                game, tolls(*(prices + sign * step * np.eye(12)[number]), states=2), temperature
            ).item()
            for sign in (1, -1)
        ]
        assert gradient[number] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=2e-8, rel=1e-5)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), temperature=st.sampled_from([0.0, 0.05, 0.5]))
def test_no_tolls_beat_the_system_optimum_and_its_own_reach_it(seed: int, temperature: float) -> None:
    game = made(temperature, **network(seed, nodes=5, edges=10), highest_toll=30.0)
    resources = game.resources
    bound = resources.mean_cost(resources.best_flow())
    draws = np.random.default_rng(seed)
    for prices in (np.zeros(10), draws.random(10), 30 * draws.random(10)):
        assert resources.mean_cost(game.flow(prices)) >= bound - 1e-10
    if temperature == 0:  # what a traveller does to the others, on every edge
        flow = resources.best_flow()
        assert resources.mean_cost(game.flow(flow * resources.rise(flow))) == pytest.approx(bound, rel=1e-9)
        assert exact.solve(game, 0.0).gap < 1e-6 * bound


def test_the_response_is_a_fixed_point_of_its_own_flow() -> None:
    game = made(0.2, **network(7))
    prices = np.random.default_rng(3).random(30)
    answer = exact.best_response(game, tolls(*prices, states=2), 0.2)
    np.testing.assert_allclose(answer.policy, game.choices(prices), atol=1e-11)
    flow = game.resources.flow(answer.policy[:, 0])
    np.testing.assert_allclose(flow, game.flow(prices), atol=1e-11)
    tables = game.tables(torch.from_numpy(prices))
    latency = np.array([e[2] + e[3] * f ** e[4] for e, f in zip(game.edges, flow, strict=True)])
    for pair, ways in enumerate(game.ways):
        for number, way in enumerate(ways):
            borne = latency[list(way)].sum()
            assert tables.leader_reward[pair, 0, number].item() == pytest.approx(-borne, abs=1e-9)
            assert tables.follower_reward[pair, 0, number].item() == pytest.approx(
                -borne - prices[list(way)].sum(), abs=1e-9
            )
    shares = game.initial_distribution @ (answer.policy * tables.leader_reward.numpy()).sum(axis=(1, 2))
    assert shares == pytest.approx(-game.resources.mean_cost(flow))


def test_a_learning_traveller_ends_as_the_others_do() -> None:
    game = made(0.2)
    follower = sg.make_follower("soft_q_learning", temperature=0.2, transitions=40_000)
    follower.begin(game, seed=0)
    answer: Any = follower.respond(game, tolls(0.3)).policy
    np.testing.assert_allclose(answer.probabilities, game.choices(np.array([0.3])), atol=0.01)
    never_errs = sg.make_follower("best_response")
    never_errs.begin(made(0.0))
    played: Any = never_errs.respond(made(0.0), tolls(0.5)).policy
    np.testing.assert_allclose(played.probabilities[0, 0], [0.5, 0.5], atol=1e-9)


def test_a_leader_without_the_population_term_is_led_to_the_wrong_toll() -> None:
    """BC-HG sees what a choice costs and not that it makes the others slower, so that the free road looks best."""
    game, follower = made(0.1), sg.make_follower("soft_value_iteration", temperature=0.1)
    report = sg.gradient_check(game, "bchg", follower, commitment=_at(game, 0.3), batches=10, episodes=200, seed=0)
    assert report.cosine == pytest.approx(-1.0)
    right = made(0.1, edges=[("s", "t", 1.0, 0.0), ("s", "t", 0.5, 0.0)], tolled=[1])  # nothing slows anybody down
    agrees = sg.gradient_check(right, "bchg", follower, commitment=_at(right, 0.6), batches=10, episodes=500, seed=0)
    assert agrees.cosine == pytest.approx(1.0)
    assert agrees.relative_bias < 0.1


def _at(game: toll_v0.TollGame, toll: float) -> Configuration:
    share = toll / game.highest
    return Configuration([np.log(share / (1 - share))], game.parametrisation, states=1)


@pytest.mark.parametrize("leader", ["twin_followers", "penalty"])
def test_leaders_that_need_one_control_problem_refuse(leader: str) -> None:
    with pytest.raises(UnsupportedGameError, match="population"):
        sg.train(made(0.05), leader, "soft_value_iteration", iterations=1)


def test_followers_and_values_of_another_temperature_are_refused() -> None:
    game = made(0.1)
    for call in (exact.best_response, exact.leader_objective, exact.critics, exact.certificate):
        with pytest.raises(UnsupportedGameError, match=r"temperature=0\.2"):
            call(game, tolls(0.5), 0.2)
    with pytest.raises(UnsupportedGameError, match="population of temperature"):
        exact.solve(game, 0.0)
    for follower in ("soft_value_iteration", "soft_q_learning", "best_response"):
        with pytest.raises(UnsupportedGameError, match="is no member of it"):
            sg.train(game, "evolution_strategies", follower, iterations=1)
    with pytest.raises(
        UnsupportedGameError, match=r"temperature 0\.2, and a follower of 0\.4|population of temperature 0\.2"
    ):
        sg.train(made(0.2), "fixed", sg.make_follower("quantal", temperature=0.2), iterations=1)
    with pytest.raises(UnsupportedGameError, match="ties='against'"):
        sg.make_follower("best_response", ties="against").begin(made(0.0))
    with pytest.raises(UnsupportedGameError, match="no derivative"):
        made(0.0).tables(torch.tensor([0.5], dtype=torch.float64, requires_grad=True))


def test_prices_that_cannot_bring_about_the_best_are_not_called_optimal() -> None:
    with pytest.raises(UnsupportedGameError, match=r"no prices bring about what is best for all, -0\.75"):
        exact.solve(made(0.0, highest_toll=0.25), 0.0)


LINE = [("s", "t", 1.0, 0.0)]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"preset": "paris"}, UnknownIdError, "network"),
        ({"edges": [("s", "t", 1.0, -0.5)]}, InvalidGameError, "falls with the flow"),
        ({"edges": [("s", "t", -1.0, 0.5)]}, InvalidGameError, "expected numbers >= 0"),
        ({"edges": [("s", "t", 1.0, 0.5, 0.5)]}, InvalidGameError, "a power >= 1"),
        ({"edges": [("s", "t", 1.0)]}, InvalidGameError, "edge 0"),
        ({"edges": [("s", "t", "far", 1.0)]}, InvalidGameError, "edge 0"),
        ({"edges": []}, InvalidGameError, "expected edges"),
        ({"edges": LINE, "demand": [("t", "s", 1.0)]}, InvalidGameError, "no way leads from t to s"),
        ({"edges": LINE, "demand": [("s", "nowhere", 1.0)]}, InvalidGameError, "nodes are s, t"),
        ({"edges": LINE, "demand": [("s", "t", 0.0)]}, InvalidGameError, "expected groups > 0"),
        ({"edges": LINE, "demand": [("s", "t")]}, InvalidGameError, "origin, destination, travellers"),
        ({"tolled": [7]}, InvalidGameError, "priced resource"),
        ({"tolled": [0, 0]}, InvalidGameError, "different resources"),
        ({"highest_toll": 0.0}, InvalidGameError, "highest"),
        ({"temperature": -1.0}, InvalidGameError, "temperature"),
    ],
)
def test_networks_that_make_no_sense_are_refused(settings: dict[str, Any], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        sg.make("toll-v0", **settings)


def test_dead_ends_cost_nothing_and_long_ways_are_found() -> None:
    maze = [
        (f"d{i}", f"d{j}", 1.0, 0.0) for i in range(30) for j in range(30) if i != j
    ]  # e 29! walks that arrive nowhere
    game = toll_v0.game(edges=[("s", "t", 1.0, 0.0), ("s", "d0", 1.0, 0.0), *maze], tolled=[0])
    assert game.ways == [[(0,)]]
    line = [(str(node), str(node + 1), 1.0, 0.0) for node in range(1200)]  # beyond Python's limit of recursion
    assert toll_v0._ways(line, "0", "1200") == [tuple(range(1200))]
    with pytest.raises(InvalidGameError, match="more than 1000 ways"):
        toll_v0.game(edges=maze, demand=[("d0", "d1", 1.0)])


def test_ways_are_all_simple_paths() -> None:
    draws = np.random.default_rng(0)
    for _ in range(40):
        nodes = int(draws.integers(2, 7))
        edges = [(*map(str, draws.integers(nodes, size=2)), 1.0, 0.0) for _ in range(int(draws.integers(1, 13)))]
        found = set()
        for length in range(1, nodes):
            for way in itertools.permutations(range(len(edges)), length):
                joined = all(edges[one][1] == edges[other][0] for one, other in itertools.pairwise(way))
                passed = [edges[way[0]][0], *(edges[number][1] for number in way)]
                if joined and passed[0] == "0" and passed[-1] == "1" and len(set(passed)) == len(passed):
                    found.add(way)
            if length > 3:
                break
        assert {way for way in toll_v0._walks(edges, "0", "1") if len(way) <= 4} == found


def test_tolls_below_zero_are_refused() -> None:
    env = made().env()
    env.reset(seed=0)
    with pytest.raises(InvalidActionError, match=r"\[-0\.1\]|bounds|expected"):
        env.step(np.array([-0.1]))
    with pytest.raises(Exception, match="expected") as caught:
        exact.leader_objective(made(), tolls(-0.1), 0.1)
    assert isinstance(caught.value, sg.errors.StackelbergError)


def test_networks_are_told_apart_by_what_is_priced_and_by_temperature() -> None:
    games = [made(), made(0.2), made(tolled=[0]), made(highest_toll=1.0), made(preset="braess")]
    assert len({game.fingerprint() for game in games}) == len(games)

"""Leaders that do more than commit: what they are lent, how they are ranked, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InformationError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.exact.twins import soft_value
from stackelberg_games.kinds.configurable import ConfigurableGame
from stackelberg_games.kinds.finite import TabularGame
from stackelberg_games.kinds.paid import paid
from stackelberg_games.learning.information import Division, Empowered, division
from stackelberg_games.learning.powers import Power
from stackelberg_games.play.rollout import TabularResponse
from stackelberg_games.rules.commitment import Commitment

UNIFORM = [[0.5, 0.5]] * 3
NEAR = [[0.5, 0.5], [0.83, 0.17], [0.5, 0.5]]
PRINTED = {  # relative errors of the literature's table at weights of 10, 100, 1000 and 10,000
    "forward": (1.9, 0.10, 9.7e-3, 9.6e-4),
    "central": (0.65, 6e-3, 6e-5, 6e-7),
}


def made(name: str, **settings: Any) -> Any:
    return sg.make(name, **settings)


def slope(value: torch.Tensor, commitment: Commitment) -> FloatArray:
    found = torch.autograd.grad(value, list(commitment.parameters()))
    return np.concatenate([part.numpy().ravel() for part in found])


def twin_error(game: TabularGame, commitment: Commitment, tau: float, weight: float, form: Any) -> float:
    truth = slope(exact.leader_objective(game, commitment, tau), commitment)
    found = slope(exact.twin_objective(game, commitment, tau, weight, form), commitment)
    return float(np.linalg.norm(found - truth) / np.linalg.norm(truth))


@pytest.mark.parametrize("form", PRINTED)
def test_the_error_of_twins_falls_with_the_weight_as_printed(form: str) -> None:
    game = made("discrete_toy-v0", horizon=None)
    policy = sg.TabularPolicy.from_probabilities(game, UNIFORM)
    for weight, printed in zip((10.0, 100.0, 1000.0, 1e4), PRINTED[form], strict=True):
        assert twin_error(game, policy, 0.05, weight, form) == pytest.approx(printed, rel=0.06)


@pytest.mark.parametrize(("form", "order"), [("forward", 1), ("central", 2)])
@pytest.mark.parametrize("name", ["toy", "toy near its optimum", "contract", "principal", "repeated", "matrix"])
def test_the_order_of_the_error_is_one_or_two(name: str, form: str, order: int) -> None:
    game, commitment, tau = {
        "toy": lambda: case("discrete_toy-v0", UNIFORM, 0.05, horizon=None),
        "toy near its optimum": lambda: case("discrete_toy-v0", NEAR, 0.05, horizon=None),
        "contract": lambda: case("contract-v0", None, 0.5),
        "principal": lambda: case("principal_agent-v0", None, 0.5),
        "repeated": lambda: case("repeated_pd-v0", [[0.3, 0.7]] * 5, 0.05),
        "matrix": lambda: case("matrix-v0", [[0.3, 0.7]], 0.1),
    }[name]()
    errors = [twin_error(game, commitment, tau, weight, form) for weight in (1000.0, 4000.0)]
    assert errors[0] / errors[1] == pytest.approx(4.0**order, rel=0.1)


def case(name: str, rows: Any, tau: float, **settings: Any) -> tuple[TabularGame, Commitment, float]:
    game = made(name, **settings)
    commitment = game.commitment(1, 1.0) if rows is None else sg.TabularPolicy.from_probabilities(game, rows)
    return game, commitment, tau


def test_the_forward_value_is_never_below_the_truth() -> None:
    game = made("discrete_toy-v0", horizon=None)
    draws = np.random.default_rng(0)
    for _ in range(10):
        policy = sg.TabularPolicy(game, draws.normal(size=(3, 2)))
        truth = exact.leader_objective(game, policy, 0.05).item()
        values = [exact.twin_objective(game, policy, 0.05, weight, "forward").item() for weight in (3.0, 30.0, 300.0)]
        assert values[0] >= values[1] >= values[2] >= truth - 1e-7


def test_a_soft_value_is_that_of_the_response() -> None:
    game = made("discrete_toy-v0", horizon=None)
    policy = sg.TabularPolicy.from_probabilities(game, NEAR)
    response = exact.best_response(game, policy, 0.05).policy
    value = exact.follower_value(game, policy, response, 0.05)
    assert soft_value(game, policy, 0.05).item() == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_a_weight_that_is_not_positive_is_refused(weight: float) -> None:
    game = made("discrete_toy-v0")
    with pytest.raises(InvalidArgumentError, match="weight"):
        exact.twin_objective(game, sg.TabularPolicy(game), 0.05, weight)
    for leader in ("twin_followers", "penalty"):
        with pytest.raises(InvalidArgumentError, match="weight"):
            sg.make_leader(leader, weight=weight)


@pytest.mark.parametrize(
    ("name", "says"), [("myopic-v0", "0.9 and 0.0"), ("random_mdp-v0", "discount alike"), ("lqr-v0", "bchg")]
)
def test_twins_refuse_where_one_control_problem_does_not_answer(name: str, says: str) -> None:
    follower = "maxent_lqr" if name == "lqr-v0" else "soft_value_iteration"
    with pytest.raises(UnsupportedGameError, match=says):
        sg.train(made(name), "twin_followers", follower, iterations=1)


def test_with_unequal_discounts_no_weight_would_help() -> None:
    game = made("myopic-v0")
    assert isinstance(game, TabularGame)
    policy = sg.TabularPolicy(game, np.random.default_rng(0).normal(size=(3, 2)))
    truth = slope(exact.leader_objective(game, policy, 0.05), policy)

    def error(weight: float) -> float:
        """Of the central form, whose refusal is gone round: relative, in norm."""
        gap = [soft_value(paid(game, share), policy, 0.05) for share in (1 / weight, -1 / weight)]
        return float(np.linalg.norm(weight / 2 * slope(gap[0] - gap[1], policy) - truth) / np.linalg.norm(truth))

    errors = [error(weight) for weight in (1e2, 1e3, 1e4)]
    assert errors[1] > 0.1
    assert errors[2] == pytest.approx(errors[1], rel=1e-3)  # it converges, to something else
    with pytest.raises(UnsupportedGameError, match="discount"):
        exact.twin_objective(game, policy, 0.05, 1000.0)


def test_paid_games_pay_a_share_of_the_leader_s_reward() -> None:
    plain = made("discrete_toy-v0")
    fined = paid(plain, -0.25)
    np.testing.assert_allclose(fined.follower_reward, plain.follower_reward - 0.25 * plain.leader_reward)
    np.testing.assert_array_equal(fined.leader_reward, plain.leader_reward)
    assert fined.fingerprint() != plain.fingerprint()
    contract = made("contract-v0")
    assert isinstance(contract, ConfigurableGame)
    x = torch.tensor([1.0, 3.0], dtype=torch.float64)
    before, after = contract.tables(x), paid(contract, 0.5).tables(x)
    torch.testing.assert_close(after.follower_reward, before.follower_reward + 0.5 * before.leader_reward)


def test_the_estimate_of_twins_is_the_gradient_that_they_have() -> None:
    game = made("discrete_toy-v0", horizon=None)
    policy = sg.TabularPolicy.from_probabilities(game, [[0.5, 0.5], [0.75, 0.25], [0.5, 0.5]])
    leader = sg.make_leader("twin_followers", weight=100.0)
    report = sg.gradient_check(game, leader, commitment=policy, batches=30, episodes=200, seed=0)
    assert report.relative_bias < 0.02 + 3 * report.relative_bias_error
    assert report.cosine > 0.999
    assert report.transitions == 3 * 200 * game.stages()


@pytest.mark.parametrize(
    ("name", "settings", "tau", "optimum", "loop"),
    [
        ("discrete_toy-v0", {}, 0.05, 27.315565, {"iterations": 300, "episodes": 3}),
        ("matrix-v0", {}, 0.1, 2.266839, {"iterations": 300, "episodes": 100}),
    ],
)
def test_twins_reach_the_optimum(name: str, settings: dict[str, Any], tau: float, optimum: float, loop: Any) -> None:
    follower = sg.make_follower("soft_value_iteration", temperature=tau)
    leader = sg.make_leader("twin_followers", learning_rate=0.05)
    run = sg.train(made(name, **settings), leader, follower, seed=0, evaluate_every=0, **loop)
    assert run.value is not None
    assert run.value > 0.99 * optimum


def test_twins_that_learn_lead_uphill() -> None:
    follower = sg.make_follower("soft_q_learning")
    leader = sg.make_leader("twin_followers", learning_rate=0.05)
    run = sg.train(made("discrete_toy-v0"), leader, follower, iterations=150, episodes=3, seed=0, evaluate_every=0)
    assert run.value is not None
    assert run.value > 20
    last = run.history[-1]
    assert last["transitions"] == 3 * 150 * 3 * 150  # three batches an iteration, and all of them counted
    assert last["follower_transitions"] == 3 * (100_000 + 149 * 2_000)


@pytest.mark.parametrize(("weight", "value"), [(10.0, 2.2443), (100.0, 2.2666)])
def test_the_penalty_method_ends_where_the_literature_says(weight: float, value: float) -> None:
    leader = sg.make_leader("penalty", learning_rate=0.1, weight=weight, last_weight=weight)
    follower = sg.make_follower("soft_value_iteration", temperature=0.1)
    run = sg.train(made("matrix-v0"), leader, follower, iterations=800, episodes=1, seed=0, evaluate_every=0)
    assert run.value == pytest.approx(value, abs=1e-4)


def test_the_value_of_a_penalised_run_is_that_against_the_true_response() -> None:
    game = made("discrete_toy-v0")
    follower = sg.make_follower("soft_value_iteration")
    leader = sg.make_leader("penalty", learning_rate=0.05, weight=1.0, last_weight=1.0)
    run = sg.train(game, leader, follower, iterations=150, episodes=1, seed=0, evaluate_every=0)
    assert run.value == pytest.approx(exact.leader_objective(game, run.commitment, 0.05).item())


def test_a_contextual_leader_leads_by_what_its_own_follower_has_learned() -> None:
    game = made("discrete_toy-v0")
    leader = sg.make_leader("contextual", learning_rate=0.05, practice=60)
    run = sg.train(game, leader, "soft_value_iteration", iterations=200, episodes=3, seed=0, evaluate_every=0)
    assert run.value is not None
    assert run.value > 25
    assert all(record["leader/gradient_norm"] == 0 for record in run.history[:60])  # it stays while it practises
    assert run.history[-1]["transitions"] == 150 * 3 * (200 + 60)


@dataclass
class Grabby(sg.Leader):
    """Asks for what it has not declared."""

    what: str = "paid"

    @property
    def information(self) -> sg.Information:
        return sg.Information.TRAJECTORIES

    def update(self, evidence: sg.Evidence) -> dict[str, float]:
        if self.what == "paid":
            evidence.doings.paid(0.1)
        else:
            evidence.doings.practised(self.commitment, TabularResponse(np.full((3, 2, 3), 1 / 3)))
        return {}


@pytest.mark.parametrize(("what", "power"), [("paid", "PAY"), ("practised", "TRAIN")])
def test_what_is_not_declared_is_not_lent(what: str, power: str) -> None:
    with pytest.raises(InformationError, match=f"has not declared Power.{power}"):
        sg.train(made("discrete_toy-v0"), Grabby(what=what), "soft_value_iteration", iterations=1)


def test_who_cannot_pay_is_refused_before_a_tournament_is_played() -> None:
    with pytest.raises(
        UnsupportedGameError, match=r"cannot play follower 'soft_value_iteration' in 'myopic-v0'.*0\.9 and 0\.0"
    ):
        sg.Tournament("myopic-v0", ["bchg", "twin_followers"], "soft_value_iteration", budget=6_000)
    toy = ("discrete_toy-v0", {"horizon": 20})
    with pytest.raises(InvalidArgumentError, match=r"an update with 3 batches in .* takes up to 180 transitions"):
        sg.Tournament(toy, ["bchg", "twin_followers"], "soft_value_iteration", budget=100)


def test_followers_that_run_a_program_are_not_paid() -> None:
    follower = sg.make_follower("black_box", command=("true",))
    with pytest.raises(UnsupportedGameError, match="program of its own"):
        sg.train(made("discrete_toy-v0"), "twin_followers", follower, iterations=1, temperature=0.05)


def test_a_budget_counts_the_batches_of_paid_followers() -> None:
    game = made("discrete_toy-v0", horizon=10)
    run = sg.train(game, "twin_followers", "soft_value_iteration", iterations=10, episodes=2, budget=130)
    assert len(run.history) == 2
    assert run.history[-1]["transitions"] == 120


def test_classes_are_ordered_and_named() -> None:
    pays = sg.make_leader("twin_followers").division
    assert pays == Empowered(sg.Information.TRAJECTORIES, frozenset({Power.PAY})) == division(pays.name)
    assert pays.name == "TRAJECTORIES+PAYS"
    assert sg.make_leader("contextual").division.name == "TRAJECTORIES+TRAINS"
    assert sg.make_leader("penalty").division is sg.Information.MODEL
    assert sg.make_leader("drlhf").division is sg.Information.TRAJECTORIES
    listed: list[Division] = [sg.Information.MODEL, pays, sg.Information.TRAJECTORIES, sg.Information.RETURNS]
    assert [one.name for one in sorted(listed)] == ["RETURNS", "TRAJECTORIES", "TRAJECTORIES+PAYS", "MODEL"]


def test_a_tournament_ranks_all_who_are_handed_labels_together() -> None:
    results = sg.Tournament(
        games="preference_grid-v0",
        leaders=["drlhf", "stochastic_sobirl", "bchg", "policy_gradient"],
        followers=("soft_value_iteration", {"temperature": 0.5}),
        seeds=1,
        budget=300,
        episodes=4,
        points=0,
    ).play(backend="serial", progress=False)
    assert [one.name for one in results.leaderboard()] == ["TRAJECTORIES"]
    assert not results.failures


def test_nobody_is_paid_or_trained_where_a_judge_pays() -> None:
    class Patron(Grabby):
        powers = frozenset({Power.PAY})

    with pytest.raises(UnsupportedGameError, match="where a judge pays"):
        sg.train(made("preference_grid-v0"), Patron(), "soft_value_iteration", iterations=1)


def test_a_tournament_ranks_who_pays_apart(tmp_path: Path) -> None:
    results = sg.Tournament(
        games={"toy": ("discrete_toy-v0", {"horizon": 20})},
        leaders=["bchg", "policy_gradient", "twin_followers", "contextual"],
        followers=["soft_value_iteration"],
        seeds=[0, 1],
        budget=1_000,
    ).play(backend="serial")
    assert [one.name for one in results.leaderboard()] == ["TRAJECTORIES", "TRAJECTORIES+PAYS", "TRAJECTORIES+TRAINS"]
    results.report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "TRAJECTORIES+PAYS" in page
    assert "pays followers" in page

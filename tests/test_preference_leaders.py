"""Leaders that learn a reward from labels: their estimates against the exact gradients of the loss."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.agents.leaders.drlhf import DRLHF
from stackelberg_games.agents.leaders.stochastic_sobirl import StochasticSoBiRL
from stackelberg_games.arrays import FloatArray
from stackelberg_games.commitments.configuration import Configuration
from stackelberg_games.errors import InformationError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.kinds.preference import PreferenceGame
from stackelberg_games.learning.ascent import GradientLeader
from stackelberg_games.learning.information import Evidence, grant
from stackelberg_games.learning.interview import session_of
from stackelberg_games.learning.judges import BradleyTerry
from stackelberg_games.representations.compared import Compared
from stackelberg_games.rules.comparisons import Judge
from tests.checks import FALSE_ALARM
from tests.reach import reachable

TAU = 0.5
LEADERS: list[tuple[str, dict[str, Any]]] = [
    ("sobirl", {}),
    ("sobirl", {"baseline": False}),
    ("sobirl", {"representation": {"planned": True}}),
    ("hpgd", {}),
    ("bchg", {}),
    ("bchg", {"reads": "policy"}),
    ("stochastic_sobirl", {}),
]


def grid(variant: str = "decoy", **chosen: Any) -> PreferenceGame:
    game = sg.make("preference_grid-v0", variant=variant, **chosen)
    assert isinstance(game, PreferenceGame)
    return game


def drawn(seed: int = 1, scale: float = 0.3) -> Configuration:
    return Configuration(scale * np.random.default_rng(seed).normal(size=25), states=25)


def follower(tau: float = TAU) -> sg.Follower:
    return sg.make_follower("soft_value_iteration", temperature=tau)


class Bench:
    """A leader in a game, and batches of labelled pairs under one reward."""

    def __init__(self, game: PreferenceGame, leader: GradientLeader, commitment: Configuration, seed: int = 0) -> None:
        self.game, self.leader, self.commitment = game, leader, commitment
        self.ledger, self.playing = game.ledger(), session_of(game, seed, None, leader.asks)
        leader.begin(game.view(TAU, self.ledger), commitment=commitment)
        partner = follower()
        partner.begin(game)
        self.answer = partner.respond(game, commitment)

    def evidence(self, number: int, episodes: int = 128) -> Evidence:
        played = self.playing.hold(self.commitment, self.answer.policy, episodes, number)
        assert self.ledger is not None
        played.reveal(self.ledger)
        return grant(
            self.leader.information,
            played.batch,
            game=self.game,
            follower_policy=self.answer.policy,
            follower_values=self.answer.values,
            follower_rewards=True,
            comparisons=played.comparisons,
        )

    def estimates(self, count: int, warm: int = 20) -> FloatArray:
        for number in range(warm):
            self.leader.objective(self.evidence(number))
        rows = [self.leader.estimate(self.evidence(warm + number)).numpy() for number in range(count)]
        return np.array(rows)


def projected_p_value(rows: FloatArray, expected: FloatArray, directions: int = 6) -> float:
    """z-tests of a mean along random directions, in which no coordinate that hardly varies stands alone."""
    along = np.random.default_rng(5).normal(size=(rows.shape[1], directions))
    error = (rows @ along).std(axis=0, ddof=1) / len(rows) ** 0.5
    z = ((rows.mean(axis=0) - expected) @ along) / error
    return float(min(1.0, directions * 2 * stats.norm.sf(np.abs(z).max())))


@pytest.mark.parametrize(("name", "chosen"), LEADERS, ids=lambda value: str(value))
def test_the_mean_of_the_estimates_is_the_hypergradient(name: str, chosen: dict[str, Any]) -> None:
    game, commitment = grid(), drawn()
    leader = sg.make_leader(name, **chosen)
    assert isinstance(leader, GradientLeader)
    found = Bench(game, leader, commitment).estimates(150)
    rows = exact.preference_rows(game, commitment, TAU)
    assert projected_p_value(found, -rows.total) > FALSE_ALARM
    if chosen != {"baseline": False}:  # of which estimates are too noisy for that
        assert projected_p_value(found, -rows.direct) < FALSE_ALARM  # the test can tell the response row apart


@pytest.mark.parametrize("tau", [0.5, 0.1])
@pytest.mark.parametrize("variant", ["open", "decoy"])
def test_leaders_that_leave_something_out_have_just_that_bias(variant: str, tau: float) -> None:
    game, commitment = grid(variant), drawn()
    rows = exact.preference_rows(game, commitment, tau)
    wanted = {"policy_gradient": rows.direct, "sobirl": rows.direct + rows.truncated}
    for name, chosen in (("policy_gradient", {}), ("sobirl", {"truncated": True})):
        report = sg.gradient_check(
            game,
            sg.make_leader(name, **chosen),
            follower(tau),
            commitment=commitment,
            batches=60,
            episodes=128,
            warmup=3,
        )
        assert projected_p_value(report.estimates, -wanted[name]) > FALSE_ALARM
        np.testing.assert_allclose(report.exact, -rows.total, atol=1e-10)


def test_a_baseline_of_log_2_takes_most_of_the_variance_away() -> None:
    game, commitment = grid(), drawn()
    spread = {}
    for baseline in (True, False):
        leader = sg.make_leader("sobirl", baseline=baseline)
        assert isinstance(leader, GradientLeader)
        spread[baseline] = float(Bench(game, leader, commitment).estimates(60).std(axis=0, ddof=1).max())
    assert spread[True] < 0.7 * spread[False]


@pytest.mark.parametrize("planned", [False, True])
def test_pairs_that_are_used_again_count_as_if_they_were_played_now(planned: bool) -> None:
    game, commitment = grid(), drawn()
    leader = StochasticSoBiRL(representation={"planned": planned})
    bench, moved = Bench(game, leader, commitment), drawn()
    with torch.no_grad():
        moved.weights.add_(0.08 * torch.from_numpy(np.random.default_rng(2).normal(size=25)))
    found, even = [], []
    for number in range(170):
        leader.objective(bench.evidence(number))
        if number >= 20:
            row, cut = leader._before(moved.weights.detach())
            assert cut == 0.0
            found.append(row.numpy())
            assert isinstance(leader.learned, Compared)
            leader.learned.clip, kept = 1e-9, leader.learned.clip
            even.append(leader._before(moved.weights.detach())[0].numpy())
            leader.learned.clip = kept
    wanted = -exact.preference_rows(game, moved, TAU).total
    assert projected_p_value(np.array(found), wanted) > FALSE_ALARM
    assert projected_p_value(np.array(even), wanted) < FALSE_ALARM  # without weights


def test_recursive_momentum_is_closer_to_the_gradient_than_single_estimates_are() -> None:
    game, errors = grid(), {}
    for forgetting in (10.0, 1e9):  # the second keeps nothing
        found: list[float] = []

        def look(record: Any, leader: sg.Leader, found: list[float] = found) -> None:
            assert isinstance(leader, StochasticSoBiRL)
            assert leader.momentum is not None
            assert leader.earlier is not None
            wanted = -exact.preference_rows(game, Configuration(leader.earlier, states=25), TAU).total
            found.append(float(((leader.momentum - wanted) ** 2).sum()))

        leader = StochasticSoBiRL(forgetting=forgetting)
        sg.train(game, leader, follower(), iterations=140, episodes=64, evaluate_every=0, callbacks=[look])
        errors[forgetting] = np.mean(found[100:])
    assert errors[10.0] < 0.2 * errors[1e9]


def test_a_fitted_reward_has_the_gradient_of_its_labels() -> None:
    game, leader = grid(), DRLHF(pairs="fixed", penalty=0.0)
    bench = Bench(game, leader, drawn())
    x = bench.commitment.weights.detach().numpy()
    evidence = [bench.evidence(number, 40) for number in range(3)]
    rows = [leader.estimate(part).numpy() for part in evidence]
    wanted, count = np.zeros(25), 0
    for part in evidence:
        told = part.require_comparisons()
        for k in range(len(told)):
            visits = [
                np.bincount(game.cells[side.states[k, :-1], side.follower_actions[k]], minlength=25)
                for side in (told.first, told.second)
            ]
            apart = visits[0] - visits[1]
            wanted -= (1 / (1 + np.exp(-apart @ x)) - told.label[k]) * apart
            count += 1
    np.testing.assert_allclose(rows[-1], wanted / count, atol=1e-12)  # of all labels so far


@pytest.mark.parametrize("pairs", ["on_policy", "anchored", "fixed"])
def test_who_plays_the_pairs(pairs: Any) -> None:
    game, commitment = grid("open"), drawn(scale=3.0)
    evidence = Bench(game, DRLHF(pairs=pairs), commitment).evidence(0, 2000)
    told, response = evidence.require_comparisons(), exact.best_response(game, commitment, TAU).policy
    uniform = np.full(response.shape, 0.25)
    players = {"on_policy": (response, response), "anchored": (response, uniform), "fixed": (uniform, uniform)}
    for side, policy in zip((told.first, told.second), players[pairs], strict=True):
        start = side.follower_actions[:, 0]
        expected = policy[12, 0] * len(start)  # the start is the cell in the middle
        counts = np.bincount(start, minlength=4)
        assert stats.chisquare(counts, expected).pvalue > FALSE_ALARM
        assert (side.leader_rewards == 0).all()
        assert side.follower_rewards is None


@pytest.mark.parametrize("name", ["bchg", "hpgd", "sobirl", "policy_gradient"])
def test_later_steps_on_a_batch_take_labels_and_weights_as_they_are_by_then(name: str) -> None:
    leader: Any = sg.make_leader(name, actor_steps=3, learning_rate=0.3)
    bench = Bench(grid("decoy"), leader, drawn())
    surrogate, parameters = leader.objective(bench.evidence(0, 64)), list(leader.commitment.parameters())
    surrogate().backward()
    leader.optimizer.step()
    steps = [surrogate(), leader.surrogate(leader.learned.at(leader.commitment))]
    (again,), (anew,) = (torch.autograd.grad(step, parameters) for step in steps)
    assert anew.any()
    torch.testing.assert_close(again, anew, rtol=1e-12, atol=1e-14)


def test_no_leader_below_the_model_can_reach_the_truth() -> None:
    game, looked = grid(), []
    for name in sg.leaders():
        leader = sg.make_leader(name)
        if leader.information >= sg.Information.MODEL:
            continue

        def look(record: Any, played: sg.Leader) -> None:
            held = list(reachable(played))
            assert not any(isinstance(part, PreferenceGame | Judge) for part in held)
            truth = game.truth()
            assert not any(isinstance(part, np.ndarray) and np.array_equal(part, truth) for part in held)

        with suppress(UnsupportedGameError):  # those that cannot learn from labels
            sg.train(game, leader, follower(), iterations=2, episodes=4, evaluate_every=0, callbacks=[look])
            looked.append(name)
    assert {"bchg", "drlhf", "hpgd", "sobirl", "stochastic_sobirl", "evolution_strategies"} <= {*looked}


@pytest.mark.parametrize(
    ("leader", "game", "kind", "words"),
    [
        ("drlhf", "discrete_toy-v0", UnsupportedGameError, "nobody judges this game as"),
        ("stochastic_sobirl", "four_rooms-v0", UnsupportedGameError, "nobody judges"),
        ("model_based", "preference_grid-v0", UnsupportedGameError, "labels of pairs"),
        ("lola", "preference_grid-v0", UnsupportedGameError, "labels of pairs"),
        ("bi_actor_critic", "preference_grid-v0", UnsupportedGameError, "labels of pairs"),
    ],
)
def test_what_does_not_fit_is_refused(leader: str, game: str, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        sg.train(sg.make(game), leader, follower(), iterations=1, episodes=2)


def test_nobody_is_asked_for_a_leader_that_cannot_play() -> None:
    """Whoever is refused is refused before a judge whose rule nobody knows is asked about a pair."""
    refused = set()
    for name in sg.leaders():
        asked: list[int] = []

        def judge(first: Any, second: Any, asked: list[int] = asked) -> float:
            asked.append(1)
            return 0.5

        try:
            sg.train(grid(judge=judge), name, follower(), iterations=1, episodes=2, evaluate_every=0)
        except UnsupportedGameError:
            refused.add(name)
            assert not asked, name
        else:
            assert len(asked) == 1, name
    assert {"exact_gradient", "implicit", "m_sobirl", "penalty", "population_gradient"} <= refused


def test_settings_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedGameError, match="'finite' learns from rewards of stages"):
        sg.train(
            grid(), sg.make_leader("bchg", representation={"kind": "finite"}), follower(), iterations=1, episodes=2
        )
    with pytest.raises(UnsupportedGameError, match="nobody compared"):
        sg.train(grid(), sg.make_leader("hpgd", estimation="oracle"), follower(), iterations=1, episodes=2)
    leader = sg.make_leader("bchg", representation={"kind": "compared"})
    with pytest.raises(UnsupportedGameError, match="'compared' learns from a judge's labels"):
        sg.train(sg.make("four_rooms-v0"), leader, follower(), iterations=1, episodes=2)
    for made in (
        lambda: DRLHF(penalty=-1.0),
        lambda: DRLHF(pairs="all"),  # type: ignore[arg-type]
        lambda: StochasticSoBiRL(offset=0.5),
        lambda: StochasticSoBiRL(forgetting=-1.0),
        lambda: StochasticSoBiRL(actor_steps=2),
        lambda: BradleyTerry(error=0.6),
    ):
        with pytest.raises(InvalidArgumentError):
            made()
    with pytest.raises(InvalidArgumentError, match="episodes=3: pairs are compared"):
        sg.train(grid(), "drlhf", follower(), iterations=1, episodes=3)
    with pytest.raises(InvalidArgumentError, match="stages=3: segments"):
        sg.train(grid(), "drlhf", follower(), iterations=1, episodes=2, stages=3)
    with pytest.raises(UnsupportedGameError, match="pairs"):
        sg.train(grid(), "drlhf", follower(), iterations=1, episodes=2, score_episodes=10)
    with pytest.raises(InformationError, match="preference_grid-v0"):
        Evidence(np.zeros(2)).require_comparisons()


def test_black_boxes_climb_what_the_labels_pay() -> None:
    run = sg.train(grid(), "evolution_strategies", follower(), iterations=3, episodes=8)
    assert run.history[-1]["labels"] == 12
    assert all(-5.0 < row["leader_return"] < 0.0 for row in run.history)


POPULATION: list[tuple[dict[str, Any], float, tuple[float, float, float]]] = [
    ({"pairs": "fixed", "response": 0.0}, 0.1, (0.996, 0.6910, 0.95)),
    ({"response": 0.0}, 0.5, (0.987, 0.4974, 0.99)),
    ({}, 0.5, (0.530, 0.4569, 0.66)),
    ({"truncated": True}, 0.5, (1.064, 0.4481, 0.61)),
    ({"pairs": "anchored", "response": 0.0}, 0.5, (0.982, 0.4970, 1.00)),
    ({"pairs": "anchored", "win_rate": True}, 0.5, (0.484, 0.7090, 0.29)),
]
"""Settings, temperature, and what 150 steps over all pairs of the decoy come to: share of the true return, loss, correlation.

Measured beforehand by an independent program.
"""


@pytest.mark.parametrize(("chosen", "tau", "wanted"), POPULATION, ids=lambda value: str(value))
def test_descents_over_all_pairs_end_where_another_program_does(
    chosen: dict[str, Any], tau: float, wanted: tuple[float, float, float]
) -> None:
    game, leader = grid(), sg.make_leader("population_gradient", **chosen)
    run = sg.train(game, leader, follower(tau), iterations=150, episodes=2, evaluate_every=0)
    found = exact.preference(game, run.commitment, tau)
    assert (found.share, found.loss, found.correlation) == pytest.approx(wanted, abs=6e-3)
    assert found.loss == pytest.approx(wanted[1], abs=1e-4)


@pytest.mark.parametrize("chosen", [{"pairs": "anchored"}, {"pairs": "fixed"}, {"pairs": "anchored", "win_rate": True}])
def test_rows_of_other_pairs_are_those_of_central_differences(chosen: dict[str, Any]) -> None:
    game, x = grid(), drawn().weights.detach().numpy()
    rows = exact.preference_rows(game, drawn(), TAU, **chosen)
    walked = game.segments.probabilities(torch.full((25, 4), 0.25, dtype=torch.float64))

    def value(moved: FloatArray) -> float:
        commitment = Configuration(moved, states=25)
        response = torch.from_numpy(exact.best_response(game, commitment, TAU).policy[:, 0])
        reached = game.segments.probabilities(response)
        with torch.no_grad():
            first = walked if chosen["pairs"] == "fixed" else reached
            if "win_rate" in chosen:
                return -float(first @ game.label_chances @ walked)
            return float(game.expected_loss(commitment.weights, first, walked))

    for direction in np.eye(25)[::6]:
        slope = (value(x + 1e-5 * direction) - value(x - 1e-5 * direction)) / 2e-5
        assert slope == pytest.approx(rows.total @ direction, abs=1e-6 * max(1.0, np.abs(rows.total).max()))


def test_a_population_is_known_in_a_preference_game_only() -> None:
    with pytest.raises(UnsupportedGameError, match="nobody judges this game"):
        sg.train(sg.make("four_rooms-v0"), "population_gradient", follower(), iterations=1)
    with pytest.raises(InvalidArgumentError, match="penalty=-1"):
        sg.make_leader("population_gradient", penalty=-1.0)


def test_anchored_pairs_reach_the_oracle_with_200_labels() -> None:
    game, shares = grid("open"), []
    for seed in range(3):
        leader = sg.make_leader("drlhf", pairs="anchored")
        run = sg.train(game, leader, follower(0.1), iterations=10, episodes=40, evaluate_every=0, seed=seed)
        assert run.history[-1]["labels"] == 200
        shares.append(exact.preference(game, run.commitment, 0.1).share)
    assert sorted(shares)[1] > 0.95

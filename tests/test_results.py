"""Results: tensors, scores and standings of tournaments whose numbers are known."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.learning.information import Information
from stackelberg_games.tournaments.leaderboard import alpha_rank_masses, common_tasks, compare, leaderboard, ratings
from stackelberg_games.tournaments.match import BEST, OWN, Outcome
from stackelberg_games.tournaments.payoffs import DETERMINISTIC, OPTIMUM, UNIFORM
from stackelberg_games.tournaments.results import Results
from tests.made_up import made_up

SHAPE = (2, 4, 3, 6)
CLASSES = ("TRAJECTORIES", "TRAJECTORIES", "TRAJECTORIES", "MODEL")


def payoffs(seed: int = 0) -> FloatArray:
    """Leader i pays 8 - 2 i, with unit noise of a tenth."""
    noise = np.random.default_rng(seed).normal(scale=0.1, size=SHAPE)
    return 8.0 - 2.0 * np.arange(4)[None, :, None, None] + noise


@pytest.fixture(scope="module")
def results() -> Results:
    return made_up(payoffs(), classes=CLASSES)


def without(results: Results, *keys: str, status: str = "failed") -> Results:
    """The same tournament with some matches failed, or not played."""
    outcomes = {row.key: row.outcome for row in results.rows if row.outcome is not None and row.key not in keys}
    if status == "failed":
        outcomes |= {key: Outcome("failed", error="boom") for key in keys}
    return Results(results.plan, outcomes)


def test_tensors_hold_what_was_played(results: Results) -> None:
    np.testing.assert_array_equal(results.payoffs(), payoffs())
    np.testing.assert_allclose(results.payoffs(against=OWN), payoffs() - 0.1)
    np.testing.assert_allclose(results.payoffs(against="stranger"), payoffs() - 0.2)
    np.testing.assert_array_equal(results.payoffs("follower"), 2 * payoffs())
    np.testing.assert_array_equal(results.follower_gap(), np.full(SHAPE, 0.3))
    np.testing.assert_array_equal(results.reference(OPTIMUM), np.full((2, 3), 10.0))
    with pytest.raises(InvalidArgumentError, match="against='nobody'"):
        results.payoffs(against="nobody")


def test_regret_and_scores(results: Results) -> None:
    np.testing.assert_allclose(results.regret(), 10.0 - payoffs())
    np.testing.assert_allclose(results.scores(), payoffs() / 10.0)
    assert results.reference_score(DETERMINISTIC) == pytest.approx(0.9)
    assert results.reference_score(UNIFORM) == 0.0
    assert results.reference_score(OPTIMUM, OWN) == pytest.approx(0.99)
    assert results.reference_score(DETERMINISTIC, tasks=[1]) == pytest.approx(0.9)
    assert np.isnan(results.reference_score(DETERMINISTIC, tasks=[]))


def test_scores_end_at_minus_one_and_at_the_optimum() -> None:
    """One run that diverged counts as much as all there is to gain, and no more."""
    table = np.full((3, 1, 1, 4), 9.0)
    table[0, 0, 0, 0], table[1, 0, 0, 1] = -62670.0, 10.5
    found = made_up(table)
    assert found.scores()[0, 0, 0].tolist() == [-1.0, 0.9, 0.9, 0.9]
    assert found.scores()[1, 0, 0].tolist() == [0.9, 1.0, 0.9, 0.9]
    assert found.scores(against=OWN).max() == pytest.approx(1.04)  # another follower may pay more
    assert found.above_optimum() == [("l 0", "g 1")]
    score = leaderboard(found)[Information.TRAJECTORIES][0].score
    assert score.value == pytest.approx((0.9 * 10 - 1.0 + 1.0) / 12)


def test_scores_do_not_depend_on_the_units_of_payoffs() -> None:
    for unit in (1e-12, 1e12):
        found = made_up(unit * payoffs(), optimum=10.0 * unit)
        np.testing.assert_allclose(found.scores(), payoffs() / 10.0)


def test_given_bounds_win(results: Results) -> None:
    bounded = Results(
        {**results.plan, "bounds": {"g 1": [-10.0, 10.0]}}, {r.key: r.outcome for r in results.rows if r.outcome}
    )
    np.testing.assert_allclose(bounded.scores()[1], (payoffs()[1] + 10) / 20)
    np.testing.assert_allclose(bounded.scores()[0], payoffs()[0] / 10)
    assert bounded.anchors.source[1][0] == "given"


def test_without_an_optimum_the_scale_is_the_tournaments_own(results: Results) -> None:
    lost = without(results, *(f"{g}-{f}-{OPTIMUM}" for g in range(2) for f in range(3)))
    best = np.median(payoffs(), axis=-1).max(axis=1)
    np.testing.assert_array_equal(lost.anchors.low, np.zeros((2, 3)))
    np.testing.assert_allclose(lost.anchors.high, best)
    assert lost.anchors.source[0][0] == "uniform random to the best leader's median"
    assert np.isnan(lost.regret()).all()
    assert lost.ceiling() == 2.0
    bare = without(results, *(f"{g}-{f}-{label}" for g in range(2) for f in range(3) for label in (OPTIMUM, UNIFORM)))
    np.testing.assert_allclose(bare.anchors.low, np.median(payoffs(), axis=-1).min(axis=1))


def test_where_nothing_is_to_gain_there_is_no_score() -> None:
    flat = made_up(np.full((1, 2, 1, 3), 5.0), optimum=5.0, uniform=5.0)
    assert np.isnan(flat.scores()).all()
    assert flat.anchors.source == [["none: nothing to gain from uniform random to exact optimum"]]
    assert all(s.rank is None for rows in flat.leaderboard().values() for s in rows)


def test_standings_are_within_classes_and_in_order(results: Results) -> None:
    board = leaderboard(results)
    assert list(board) == [Information.TRAJECTORIES, Information.MODEL]
    inside = board[Information.TRAJECTORIES]
    assert [s.leader for s in inside] == ["l 0", "l 1", "l 2"]
    assert [s.rank for s in inside] == [1, 2, 3]
    for s, level in zip(inside, (0.8, 0.6, 0.4), strict=True):
        assert abs(s.score.value - level) < 4 * 0.01 / 36**0.5
        assert s.score.low < s.score.value < s.score.high
        assert s.score.value == pytest.approx(float(results.scores()[:, int(s.leader[-1])].mean()))
        assert (s.transitions, s.follower_transitions, s.cpu_seconds) == (1000, 500, 0.25)
        assert (s.tasks, s.progress) == (6, (36, 36, 0, 0))
    assert inside[0].improvement is not None
    assert inside[0].improvement.tally == "180 of 180"
    assert inside[0].improvement.low < 1.0
    assert inside[2].improvement is None
    rated = [s.rating for s in inside if s.rating is not None]
    assert rated == sorted(rated, reverse=True)
    assert len(rated) == 3
    assert board[Information.MODEL][0].rating is None


def test_equal_leaders_tie() -> None:
    noise = np.random.default_rng(1).normal(5.0, 1.0, size=(2, 2, 1, 10))
    inside = leaderboard(made_up(noise, classes=["RETURNS"]))[Information.RETURNS]
    assert [s.rank for s in inside] == [1, 1]


def test_leaders_are_compared_on_common_tasks_only(results: Results) -> None:
    lost = without(results, *(f"0-0-1-{seed}" for seed in range(6)))
    assert common_tasks(lost, ["l 0", "l 1"]) == [0, 2, 3, 4, 5]
    board = {s.leader: s for s in leaderboard(lost)[Information.TRAJECTORIES]}
    assert board["l 0"].progress == (36, 30, 6, 0)
    others = np.delete(lost.score_table("l 1"), 1, axis=0)
    assert board["l 1"].score.value == pytest.approx(others.mean())  # though it has runs of every task
    assert {s.tasks for s in board.values()} == {5}
    assert compare(lost, ["l 0", "l 1"])["l 0", "l 1"].pairs == 5 * 30
    assert len(lost.failures) == 6


def test_nobody_is_ranked_until_all_matches_of_the_class_are_finished(results: Results) -> None:
    for status in ("failed", "missing"):
        board = leaderboard(without(results, "1-1-2-5", status=status))
        assert [s.rank for s in board[Information.TRAJECTORIES]] == [None] * 3
        assert [s.rank for s in board[Information.MODEL]] == [1]
    waiting = leaderboard(without(results, f"0-0-{OPTIMUM}", status="missing"))  # the scale would change
    assert [s.rank for rows in waiting.values() for s in rows] == [None] * 4


def test_a_leader_without_any_match_keeps_nobody_from_a_score(results: Results) -> None:
    keys = [row.key for row in results.rows if row.leader == "l 1"]
    board = {s.leader: s for s in leaderboard(without(results, *keys, status="missing"))[Information.TRAJECTORIES]}
    assert board["l 0"].score.value == pytest.approx(0.8, abs=0.01)
    assert np.isnan(board["l 1"].score.value)
    assert board["l 1"].progress == (36, 0, 0, 36)
    assert board["l 1"].rating is None


def test_missing_runs_are_left_out(results: Results) -> None:
    lost = without(results, "0-0-0-2", "1-1-2-5", status="missing")
    assert lost.missing == 2
    np.testing.assert_array_equal((~np.isnan(lost.score_table("l 0"))).sum(axis=1), [5, 6, 6, 6, 6, 6])
    assert compare(lost, ["l 0", "l 1"])["l 0", "l 1"].pairs == 2 * 25 + 4 * 30


def test_comparisons_are_antisymmetric(results: Results) -> None:
    table = compare(results, results.leaders)
    assert len(table) == 12
    for (one, other), found in table.items():
        assert found.value + table[other, one].value == pytest.approx(1.0)
        assert found.low + table[other, one].high == pytest.approx(1.0)


def test_one_seed_has_scores_and_no_pairs() -> None:
    inside = leaderboard(made_up(np.array([8.0, 2.0])[None, :, None, None], classes=["RETURNS"]))[Information.RETURNS]
    assert [s.rank for s in inside] == [1, 1]
    assert [s.improvement for s in inside] == [None, None]
    assert inside[0].score.value == 0.8
    assert inside[0].score.low < 0.2


def test_payoffs_that_differ_by_rounding_are_tied() -> None:
    noise = np.random.default_rng(4).normal(scale=1e-14, size=(2, 2, 2, 4))
    found = made_up(8.0 * (1 + noise), classes=["RETURNS"])
    assert compare(found, found.leaders)["l 0", "l 1"].value == 0.5
    assert compare(found, found.followers, "follower")["f 0", "f 1"].value == 0.5


def test_ratings_of_both_roles_ignore_the_order_of_matches(results: Results) -> None:
    found = ratings(compare(results, results.leaders), results.leaders)
    assert [found[f"l {i}"] for i in range(4)] == sorted(found.values(), reverse=True)
    turned = Results(
        {**results.plan, "matches": results.plan["matches"][::-1]},
        {r.key: r.outcome for r in results.rows if r.outcome},
    )
    assert ratings(compare(turned, turned.leaders), turned.leaders) == found
    followers = [compare(r, r.followers, "follower") for r in (results, turned)]
    assert ratings(followers[0], results.followers) == ratings(followers[1], results.followers)


def test_alpha_rank_prefers_the_dominant_leader(results: Results) -> None:
    mass = alpha_rank_masses(results, "g 0", alpha=100.0)
    assert mass.shape == (4, 3)
    assert mass[0].sum() > 0.99
    with pytest.raises(InvalidArgumentError, match="game='g 9'"):
        alpha_rank_masses(results, "g 9")


def test_curves_are_on_one_grid(results: Results) -> None:
    _, runs = results.curves("g 0", "f 0", "l 0")
    assert runs.shape == (6, 12)
    np.testing.assert_allclose(runs[:, -1], payoffs()[0, 0, 0])
    assert results.curves("g 0", "f 0", OPTIMUM)[1].size == 0


def test_runs_measured_at_different_transitions_are_held(results: Results) -> None:
    outcomes = {row.key: row.outcome for row in results.rows if row.outcome}
    for seed, spent in enumerate(((100, 900), (300, 800))):
        outcomes[f"0-0-0-{seed}"] = dataclasses.replace(outcomes[f"0-0-0-{seed}"], curve=(spent, (1.0, 2.0)))
    for seed in range(2, 6):
        outcomes[f"0-0-0-{seed}"] = Outcome("failed")
    grid, runs = Results(results.plan, outcomes).curves("g 0", "f 0", "l 0")
    np.testing.assert_array_equal(grid, [300, 800, 900])
    np.testing.assert_array_equal(runs, [[1, 1, 2], [1, 2, 2]])


def test_tables_come_back_exactly(results: Results, tmp_path: Path) -> None:
    files = results.save(tmp_path)
    names = ["results", "matches", "standings", "overview", "comparisons", "curves", "costs"]
    assert [file.name for file in files] == [*(f"{name}.csv" for name in names), "manifest.json"]
    with open(tmp_path / "results.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["against"] == BEST and row["seed"]]
    assert len(rows) == np.prod(SHAPE)
    for row in rows:
        at = (*(int(row[k].split()[1]) for k in ("game", "leader", "follower")), int(row["seed"]))
        assert float(row["leader_payoff"]) == payoffs()[at]
    with open(tmp_path / "comparisons.csv", newline="") as file:
        pairs = {(row["leader"], row["other"]): row for row in csv.DictReader(file)}
    assert len(pairs) == 6
    assert (pairs["l 0", "l 1"]["won"], pairs["l 0", "l 1"]["pairs"]) == ("180.0", "180")
    with open(tmp_path / "standings.csv", newline="") as file:
        assert [(row["leader"], row["rank"]) for row in csv.DictReader(file)][:2] == [("l 0", "1"), ("l 1", "2")]
    facts = json.loads((tmp_path / "manifest.json").read_text())
    assert facts["matches"] == {"planned": 162, "finished": 162, "failed": 0, "missing": 0}
    assert facts["seeds"] == list(range(6))
    assert {"python", "numpy", "torch", "stackelberg-games"} <= set(facts["versions"])
    assert len(facts["keys"]) == 162


def test_parquet_holds_the_same(results: Results, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra `parquet` is not installed")
    results.to_parquet(tmp_path)
    found = parquet.read_table(tmp_path / "results.parquet").to_pylist()
    values = [
        r["leader_payoff"] for r in found if r["against"] == BEST and r["seed"] is not None and r["game"] == "g 1"
    ]
    assert sorted(values) == sorted(payoffs()[1].ravel())

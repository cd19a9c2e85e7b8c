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
from stackelberg_games.tournaments.leaderboard import alpha_rank_masses, improvement_table, leaderboard, ratings
from stackelberg_games.tournaments.match import BEST, OWN, Outcome
from stackelberg_games.tournaments.results import DETERMINISTIC, OPTIMUM, UNIFORM, Results
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


def test_given_bounds_win(results: Results) -> None:
    bounded = Results(
        {**results.plan, "bounds": {"g 1": [-10.0, 10.0]}}, {r.key: r.outcome for r in results.rows if r.outcome}
    )
    np.testing.assert_allclose(bounded.scores()[1], (payoffs()[1] + 10) / 20)
    np.testing.assert_allclose(bounded.scores()[0], payoffs()[0] / 10)
    assert bounded.anchors.source[1][0] == "given"


def test_without_an_optimum_the_scale_is_the_tournaments_own(results: Results) -> None:
    lost = without(results, *(f"{g}-{f}-{OPTIMUM}" for g in range(2) for f in range(3)))
    means = payoffs().mean(axis=-1)
    np.testing.assert_allclose(lost.anchors.low, means.min(axis=1))
    np.testing.assert_allclose(lost.anchors.high, means.max(axis=1))
    assert "this tournament" in lost.anchors.source[0][0]
    assert np.isnan(lost.regret()).all()


def test_where_nothing_is_to_gain_there_is_no_score() -> None:
    flat = made_up(np.full((1, 2, 1, 3), 5.0), optimum=5.0, uniform=5.0)
    assert np.isnan(flat.scores()).all()
    assert flat.anchors.source == [["none: both ends coincide"]]
    assert all(s.rank is None for rows in flat.leaderboard().values() for s in rows)


def test_standings_are_within_classes_and_in_order(results: Results) -> None:
    board = leaderboard(results)
    assert list(board) == [Information.TRAJECTORIES, Information.MODEL]
    inside = board[Information.TRAJECTORIES]
    assert [s.leader for s in inside] == ["l 0", "l 1", "l 2"]
    assert [s.rank for s in inside] == [1, 2, 3]
    for s, level in zip(inside, (0.8, 0.6, 0.4), strict=True):
        assert abs(s.score.value - level) < 4 * 0.01 / 36**0.5 * 1.1  # an IQM of 36 runs of deviation 0.01
        assert s.score.low < s.score.value < s.score.high
        assert s.mean_score.value == pytest.approx(float(results.scores()[:, int(s.leader[-1])].mean()))
        assert (s.transitions, s.follower_transitions, s.cpu_seconds) == (1000, 500, 0.25)
    assert inside[0].improvement == (1.0, 1.0, 1.0)
    assert inside[2].improvement is None
    assert inside[0].rating is not None
    assert inside[1].rating is not None
    assert inside[0].rating.value > inside[1].rating.value
    assert board[Information.MODEL][0].rating is None


def test_equal_leaders_tie() -> None:
    noise = np.random.default_rng(1).normal(5.0, 1.0, size=(2, 2, 1, 10))
    inside = leaderboard(made_up(noise, classes=["RETURNS"]))[Information.RETURNS]
    assert [s.rank for s in inside] == [1, 1]


def test_a_task_without_a_finished_run_leaves_a_leader_unranked(results: Results) -> None:
    lost = without(results, *(f"0-0-1-{seed}" for seed in range(6)))
    board = {s.leader: s for s in leaderboard(lost)[Information.TRAJECTORIES]}
    assert board["l 0"].rank is None
    assert board["l 0"].failed == 6
    assert board["l 1"].rank == 1
    assert len(lost.failures) == 6


def test_missing_runs_are_left_out_and_pairs_stay_pairs(results: Results) -> None:
    lost = without(results, "0-0-0-2", "1-1-2-5", status="missing")
    assert lost.missing == 2
    strata = lost.strata("l 0")
    assert strata is not None
    assert [len(runs) for runs in strata] == [5, 6, 6, 6, 6, 6]
    paired = lost.paired_strata("l 0", "l 1")
    assert paired is not None
    assert [len(runs) for runs in paired[0]] == [5, 6, 6, 6, 6, 5]
    np.testing.assert_allclose(paired[0][0], np.delete(payoffs()[0, 0, 0], 2) / 10)
    np.testing.assert_allclose(paired[1][0], np.delete(payoffs()[0, 1, 0], 2) / 10)


def test_improvement_tables_are_antisymmetric(results: Results) -> None:
    table = improvement_table(results, results.leaders)
    for i in range(4):
        for j in range(4):
            if i != j:
                assert table[i][j].value + table[j][i].value == pytest.approx(1.0)
                assert table[i][j].low + table[j][i].high == pytest.approx(1.0)


def test_ratings_of_both_roles_ignore_the_order_of_matches(results: Results) -> None:
    found = ratings(results, "leader")
    assert [found[f"l {i}"].value for i in range(4)] == sorted((e.value for e in found.values()), reverse=True)
    assert all(e.low <= e.value <= e.high for e in found.values())
    turned = Results(
        {**results.plan, "matches": results.plan["matches"][::-1]},
        {r.key: r.outcome for r in results.rows if r.outcome},
    )
    assert ratings(turned, "leader") == found
    assert ratings(turned, "follower") == ratings(results, "follower")


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
    assert [file.name for file in files] == ["results.csv", "matches.csv", "curves.csv", "costs.csv", "manifest.json"]
    with open(tmp_path / "results.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["against"] == BEST and row["seed"]]
    assert len(rows) == np.prod(SHAPE)
    for row in rows:
        at = (*(int(row[k].split()[1]) for k in ("game", "leader", "follower")), int(row["seed"]))
        assert float(row["leader_payoff"]) == payoffs()[at]
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

"""One leader against another: what is said is what the runs say."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pytest

from stackelberg_games.arrays import FloatArray
from stackelberg_games.errors import InvalidArgumentError
from stackelberg_games.tournaments import export
from stackelberg_games.tournaments.leaderboard import compare
from stackelberg_games.tournaments.results import Results
from stackelberg_games.tournaments.versus import VERSUS_COLUMNS
from tests.made_up import made_up

plt.switch_backend("agg")


@pytest.fixture(autouse=True)
def _no_figure_stays_open() -> Iterator[None]:
    yield
    plt.close("all")


def table(seeds: int, *shifts: float, noise: float = 0.1) -> FloatArray:
    """Payoffs ``[G, 2, 1, S]``: in game g the first leader is paid ``shifts[g]`` more, with luck that both share."""
    draws = np.random.default_rng(seeds)
    luck = draws.normal(size=(len(shifts), 1, 1, seeds))
    own = noise * draws.normal(size=(len(shifts), 2, 1, seeds))
    ahead = np.array(shifts)[:, None, None, None] * np.array([1.0, 0.0])[None, :, None, None]
    return np.asarray(5.0 + luck + own + ahead)


def of(payoffs: FloatArray, **changes: object) -> Results:
    return made_up(payoffs, classes=("TRAJECTORIES", "MODEL"), **changes)  # type: ignore[arg-type]


def test_a_difference_is_the_median_of_paired_ones_between_order_statistics() -> None:
    payoffs = table(9, 0.5, -0.3)
    found = of(payoffs).versus("l 0", "l 1")
    for g, task in enumerate(found.tasks):
        paired = np.sort(payoffs[g, 0, 0] - payoffs[g, 1, 0])
        assert task.seeds == 9
        # of nine, the second and the eighth: P(X <= 1) = 10 / 512 at either end
        np.testing.assert_allclose(task.difference, [np.median(paired), paired[1], paired[7]])
        np.testing.assert_allclose(task.score, np.array(task.difference) / 10.0)
    assert [task.shown for task in found.tasks] == ["better", "worse"]


def test_luck_that_both_share_does_not_hide_a_difference() -> None:
    payoffs = table(10, 0.5)
    assert payoffs[0, 0].std() > 0.5  # far more than what is between the two
    found = of(payoffs).versus("l 0", "l 1")
    assert found.tasks[0].shown == "better"
    assert not found.overall or not found.overall.beats  # pairs of different seeds do not show it


def test_over_all_it_is_the_comparison_of_the_leaderboard() -> None:
    results = of(table(12, 4.0, 4.0, 4.0))
    found = results.versus("l 0", "l 1")
    assert found.overall == compare(results, ["l 0", "l 1"])["l 0", "l 1"]
    assert found.sentence.startswith("l 0 beats l 1: ")
    assert "better on 3 and worse on 0 of 3 tasks; l 0 sees TRAJECTORIES, l 1 MODEL" in found.sentence
    turned = results.versus("l 1", "l 0").sentence  # its numbers are those of whom it is about
    assert turned.partition(";")[0] == found.sentence.partition(";")[0]
    assert "not shown" in of(table(12, 0.0)).versus("l 0", "l 1").sentence


def test_under_six_seeds_nothing_is_shown_of_a_task() -> None:
    found = of(table(5, 4.0)).versus("l 0", "l 1")
    assert [task.shown for task in found.tasks] == ["too few seeds"]


def test_the_interval_of_a_difference_keeps_its_promise() -> None:
    """Coverage of a skewed distribution's median by eight seeds, 400 times: the bound is three standard errors."""
    draws, held = np.random.default_rng(1), 0
    for _ in range(400):
        payoffs = np.zeros((1, 2, 1, 8))
        payoffs[0, 0, 0] = draws.exponential(size=8) - np.log(2)  # median 0
        low, high = of(payoffs, points=1).versus("l 0", "l 1").tasks[0].difference[1:]
        held += low <= 0 <= high
    assert held / 400 >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 400)


def test_what_each_spent_and_every_row_are_there() -> None:
    found = of(table(6, 1.0)).versus("l 0", "l 1")
    assert found.spent["l 0"] == {"transitions": 1000.0, "follower_transitions": 500.0, "cpu_seconds": 0.25}
    assert all({*row} == {*VERSUS_COLUMNS} for row in found.rows())
    assert found._repr_html_().count("<table>") == 2
    assert repr(found) == f"Versus({found.sentence})"
    axes = found.plot()
    np.testing.assert_allclose(axes.lines[0].get_xdata(), found.tasks[0].score[1:])
    assert [text.get_text() for text in axes.get_yticklabels()] == ["g 0, f 0"]


def test_only_two_leaders_of_the_tournament_are_compared() -> None:
    results = of(table(6, 1.0))
    with pytest.raises(InvalidArgumentError, match="leader='bchg'"):
        results.versus("bchg", "l 1")
    with pytest.raises(InvalidArgumentError, match="other='l 0'"):
        results.versus("l 0", "l 0")


def test_the_overview_ranks_within_classes_and_scores_across_them() -> None:
    rows = export.tables(of(table(12, 4.0, 4.0, 4.0)))["overview"]
    assert [row["leader"] for row in rows] == ["l 0", "l 1"]
    assert [row["information"] for row in rows] == ["TRAJECTORIES", "MODEL"]
    assert [row["rank"] for row in rows] == [1, 1]
    assert (rows[0]["beats"], rows[0]["beaten_by"], rows[1]["beaten_by"]) == ("l 1", "", "l 0")
    assert {row["tasks"] for row in rows} == {3}

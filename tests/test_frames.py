"""Results as pandas frames, and as Matplotlib axes: what they hold is what the objects hold."""

from __future__ import annotations

import builtins
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games.errors import InvalidArgumentError, MissingExtraError
from stackelberg_games.learning import plots
from stackelberg_games.learning.curves import aligned, median_band
from stackelberg_games.learning.diagnostics import GradientReport
from stackelberg_games.learning.information import Information
from stackelberg_games.learning.run import Run
from stackelberg_games.tournaments import export
from stackelberg_games.tournaments.results import Results, TableName
from tests.made_up import made_up

plt.switch_backend("agg")
PAYOFFS = np.random.default_rng(0).uniform(2.0, 8.0, (2, 3, 2, 6))
TABLES: tuple[TableName, ...] = ("results", "matches", "standings", "overview", "comparisons", "curves", "costs")


@pytest.fixture(autouse=True)
def _no_figure_stays_open() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def results() -> Results:
    return made_up(PAYOFFS, classes=("TRAJECTORIES", "TRAJECTORIES", "RETURNS"))


def a_run(length: int, seed: int = 0, shift: float = 0.0) -> Run:
    """A run of made-up figures: one record for each iteration, an exact value at every second."""
    history = [
        {"iteration": i, "transitions": 10.0 * (i + 1), "leader_return": 0.5 * i}
        | ({"recommended_value": i + shift} if i % 2 == 0 else {})
        for i in range(length)
    ]
    settings: dict[str, Any] = {"seed": seed, "game": {"name": "made up"}}
    return Run(settings, history, sg.TabularPolicy(sg.make("matrix-v0")), 1.0)


@pytest.mark.parametrize("table", TABLES)
def test_a_frame_is_the_table_of_the_same_name(results: Results, table: TableName) -> None:
    pandas = pytest.importorskip("pandas")
    frame, rows = results.to_frame(table), export.tables(results)[table]
    assert len(rows) > 0
    assert len(frame) == len(rows)
    assert list(frame.columns) == list(export.COLUMNS[table])
    for number, row in enumerate(rows):
        assert set(row) == set(export.COLUMNS[table])  # every column that is written is described, and no other
        for name, value in row.items():
            held = frame.iloc[number][name]
            assert pandas.isna(held) if pandas.isna(value) else held == value


def test_files_have_the_columns_that_are_described(results: Results, tmp_path: Path) -> None:
    results.save(tmp_path)
    for table, columns in export.COLUMNS.items():
        with (tmp_path / f"{table}.csv").open() as file:
            assert next(csv.reader(file)) == list(columns)


def test_standings_say_what_was_spent(results: Results) -> None:
    rows = export.tables(results)["standings"]
    assert {row["transitions"] for row in rows} == {1000.0}
    assert {row["follower_transitions"] for row in rows} == {500.0}


def test_an_unknown_table_is_refused(results: Results) -> None:
    with pytest.raises(InvalidArgumentError, match=r"table='scores'.*'results'"):
        results.to_frame("scores")  # type: ignore[arg-type]


def test_the_frame_of_a_run_is_its_history() -> None:
    pytest.importorskip("pandas")
    run = a_run(5, seed=7)
    frame = run.to_frame()
    assert list(frame.columns) == ["seed", "iteration", "transitions", "leader_return", "recommended_value"]
    assert frame.seed.tolist() == [7] * 5
    assert frame.transitions.tolist() == [10, 20, 30, 40, 50]
    assert frame.recommended_value.isna().tolist() == [False, True, False, True, False]


def test_the_frame_of_a_gradient_report_holds_every_estimate() -> None:
    pytest.importorskip("pandas")
    estimates = np.arange(12.0).reshape(4, 3)
    frame = GradientReport(np.array([1.0, 2.0, 3.0]), estimates, 10).to_frame()
    np.testing.assert_array_equal(frame.pivot(index="estimate", columns="coordinate", values="value"), estimates)
    np.testing.assert_array_equal(frame.groupby("coordinate").exact.first(), [1.0, 2.0, 3.0])


def test_without_pandas_the_extra_is_named(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_pandas(name: str, *rest: Any, **named: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without_pandas)
    with pytest.raises(MissingExtraError, match=r"stackelberg-games\[frames\]"):
        results.to_frame()


def test_everything_has_a_short_text_and_a_table() -> None:
    game = sg.make("discrete_toy-v0")
    assert isinstance(game, sg.TabularGame)
    solution = sg.exact.solve(game, 0.5, starts=1)
    report = GradientReport(np.ones(40), np.random.default_rng(0).normal(size=(50, 40)), 10)
    for thing in (game, solution, report, a_run(500), made_up(PAYOFFS)):
        assert len(repr(thing)) < 400
        assert "\n" not in repr(thing)
        shown = thing._repr_html_()
        assert shown.startswith("<table>")
        assert shown.count("<tr>") >= 4
    assert f"{solution.value:.6g}" in repr(solution)
    assert f"{report.cosine:.4g}" in report._repr_html_()


def test_curves_of_different_lengths_meet_on_the_points_of_all() -> None:
    one = (np.array([1.0, 2.0, 4.0]), np.array([10.0, 20.0, 40.0]))
    other = (np.array([2.0, 3.0]), np.array([5.0, 6.0]))
    grid, values = aligned([one, other], hold=False)
    np.testing.assert_array_equal(grid, [2.0, 3.0])
    np.testing.assert_array_equal(values, [[20.0, 20.0], [5.0, 6.0]])
    grid, values = aligned([one, other], hold=True)
    np.testing.assert_array_equal(grid, [2.0, 3.0, 4.0])
    np.testing.assert_array_equal(values, [[20.0, 20.0, 40.0], [5.0, 6.0, 6.0]])
    assert aligned([], hold=True)[0].shape == (0,)


def test_learning_curves_show_medians_and_bands_over_seeds() -> None:
    runs = [a_run(9 if shift else 5, shift=shift) for shift in (0.0, 1.0, 2.0, 3.0, 4.0, 8.0)]
    axes = plots.draw_curves({"made up": runs}, figure="recommended_value")
    thick = [line for line in axes.lines if line.get_linewidth() == 2]
    assert len(axes.lines) == len(runs) + 1
    np.testing.assert_array_equal(thick[0].get_xdata(), [10, 30, 50])  # as far as the shortest
    np.testing.assert_array_equal(thick[0].get_ydata(), np.array([0, 2, 4]) + 2.5)
    assert max(line.get_xdata()[-1] for line in axes.lines) == 90  # each thin to its own end
    band = median_band(np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [8.0]]))
    assert (band.low[0], band.high[0]) == (0.0, 8.0)  # which six runs hold with 1 - 2 / 64
    assert axes.get_ylabel() == "leader value (exact)"


def test_regret_is_drawn_on_a_logarithmic_axis_and_what_it_hides_is_said() -> None:
    axes = plots.draw_curves({"made up": [a_run(9)]}, optimum=6.0, regret=True)
    assert axes.get_yscale() == "log"
    assert "2 points at or below 0 not shown" in axes.get_ylabel()
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [6.0, 4.0, 2.0, 0.0, -2.0])
    with pytest.raises(InvalidArgumentError, match="optimum=None"):
        plots.draw_curves({"made up": [a_run(9)]}, regret=True)


def test_a_figure_that_was_not_recorded_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="figure='loss': the run recorded iteration, leader_return"):
        a_run(3).plot(figure="loss")
    with pytest.raises(InvalidArgumentError, match="no run"):
        plots.draw_curves({"nobody": []})


def test_runs_that_hold_different_figures_are_drawn_by_one_that_they_share() -> None:
    short = a_run(3)
    del short.history[0]["recommended_value"], short.history[2]["recommended_value"]
    assert plots.draw_curves({"one": [a_run(3)], "two": [short]}).get_ylabel() == "leader return of a batch"


def test_a_figure_of_a_run_is_drawn_on_the_axes_that_are_given() -> None:
    _, axes = plots.stored(4, 3, 2)
    assert a_run(6).plot(axes[1]) is axes[1]
    assert not axes[0].lines
    np.testing.assert_array_equal(axes[1].lines[0].get_ydata(), [0, 2, 4])


def test_a_gradient_is_drawn_against_the_truth() -> None:
    exact, noise = np.array([-1.0, 0.5, 2.0]), np.random.default_rng(0).normal(size=(50, 3))
    axes = GradientReport(exact, exact + noise, 10).plot()
    np.testing.assert_allclose(axes.lines[0].get_xdata(), exact)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), exact + noise.mean(axis=0))


def test_figures_of_a_tournament_are_axes(results: Results) -> None:
    game, follower = results.games[0], results.followers[0]
    assert len(results.plot_curves(game)) == len(results.followers)
    axes = results.plot_curves(game, follower)
    for index, leader in enumerate(results.leaders):
        grid, runs = results.curves(game, follower, leader)
        np.testing.assert_array_equal(axes.lines[index].get_xdata(), grid)
        np.testing.assert_allclose(axes.lines[index].get_ydata(), np.median(runs, axis=0))
    sizes = len(results.games), len(results.followers)
    every = results.plot_curves()
    assert every.shape == sizes
    assert [axes.get_title(loc="left").split(",")[0] for axes in every[:, 0]] == results.games
    np.testing.assert_allclose(every[0, 0].lines[0].get_ydata(), axes.lines[0].get_ydata())
    assert results.plot_curves(follower=follower).shape == sizes[:1]
    assert results.plot_curves(game, follower) is not axes
    regret = results.plot_curves(game, follower, regret=True)
    assert regret.get_yscale() == "log"
    np.testing.assert_allclose(regret.lines[0].get_ydata(), 10.0 - np.asarray(axes.lines[0].get_ydata()))
    assert results.plot_leaderboard().get_xlabel().startswith("score")
    assert len(results.plot_profile(Information.RETURNS).lines) == 1
    assert len(results.plot_robustness().texts) == (3 + 3) * 3
    assert len(results.plot_payoffs(game).texts) == (3 + 3) * 2


def test_what_is_ambiguous_or_unknown_is_refused(results: Results) -> None:
    with pytest.raises(InvalidArgumentError, match="game=None"):
        results.plot_curves(axes=plots.stored(4, 3)[1][0])
    with pytest.raises(InvalidArgumentError, match="follower='nobody'"):
        results.plot_curves(results.games[0], "nobody")
    with pytest.raises(InvalidArgumentError, match="information=None"):
        results.plot_profile()


def test_loaded_runs_have_frames_too(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    run = sg.train(
        sg.make("matrix-v0"),
        "random_search",
        sg.make_follower("soft_value_iteration", temperature=0.1),
        iterations=3,
        seed=5,
        progress=False,
        directory=tmp_path / "run",
    )
    again = Run.load(tmp_path / "run")
    assert again.to_frame().equals(run.to_frame())
    assert again.to_frame().seed.tolist() == [5, 5, 5]

"""Sweeps: what is tried, what is chosen by which seeds, and that a sweep that was cut short goes on to the same bits."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from click.testing import CliRunner

import stackelberg_games as sg
from stackelberg_games.agents.leaders.random_search import RandomSearch
from stackelberg_games.cli import main
from stackelberg_games.errors import InvalidArgumentError, MissingExtraError, StoreError
from stackelberg_games.numerics.randomness import generator
from stackelberg_games.tournaments.match import Outcome
from stackelberg_games.tournaments.results import Results
from stackelberg_games.tournaments.search_space import Span, combinations
from stackelberg_games.tournaments.store import Store
from stackelberg_games.tournaments.sweep import Sweep
from stackelberg_games.tournaments.sweep_file import load_sweep
from stackelberg_games.tournaments.sweep_results import SWEEP_COLUMNS, SweepResults

mpl.use("agg")
SOFT = ("soft_value_iteration", {"temperature": 0.1})
SHORT: dict[str, Any] = {"budget": 60, "points": 2, "episodes": 10, "evaluation_episodes": 20}
BASE: dict[str, Any] = {"game": "matrix-v0", "leader": "policy_gradient", "follower": SOFT, **SHORT}
RATES = {"leader.learning_rate": [0.01, 0.3]}
FILE = """
[sweep]
seeds = 2
report_seeds = 3
budget = 60
episodes = 10
points = 2
[game]
id = "matrix-v0"
[leader]
id = "policy_gradient"
[follower]
id = "soft_value_iteration"
temperature = 0.1
[search]
leader.learning_rate = [0.01, 0.3]
"""


@dataclass
class Fragile(RandomSearch):
    """Fails while it learns, if it is told to."""

    fails: bool = False

    def update(self, evidence: sg.Evidence) -> Any:
        if self.fails:
            raise RuntimeError("told to fail")
        return super().update(evidence)


def played(search: Any = None, **changes: Any) -> SweepResults:
    return Sweep(RATES if search is None else search, **{**BASE, "seeds": 2, "report_seeds": 3, **changes}).play(
        progress=False
    )


@pytest.fixture(scope="module")
def found() -> SweepResults:
    return played()


def texts(results: SweepResults) -> dict[str, str]:
    return {key: outcome.to_json() for key, outcome in results.outcomes.items()}


def test_a_grid_is_every_combination_the_last_setting_fastest() -> None:
    points = combinations({"leader.a": [1, 2], "game": {"b": ["x", "y", "z"]}})
    assert [tuple(point.values()) for point in points] == [(a, b) for a in (1, 2) for b in "xyz"]
    assert list(points[0]) == ["leader.a", "game.b"]


def test_draws_do_not_depend_on_how_many_there_are_and_stay_in_range() -> None:
    search = {
        "leader.a": {"low": 1e-4, "high": 1.0, "log": True},
        "leader.b": {"low": -3, "high": 5},
        "leader.c": {"low": 1, "high": 64, "log": True, "integer": True},
        "leader.d": ["u", "v"],
    }
    many = combinations(search, samples=400, seed=3)
    assert combinations(search, samples=7, seed=3) == many[:7]
    assert combinations(search, samples=7, seed=4) != many[:7]
    columns = {name: [point[name] for point in many] for name in many[0]}
    assert all(1e-4 <= a <= 1 for a in columns["leader.a"])
    assert all(isinstance(c, int) and 1 <= c <= 64 for c in columns["leader.c"])
    assert {*columns["leader.d"]} == {"u", "v"}
    # uniform in the logarithm and on the range: means within four standard errors
    logs = np.log10(columns["leader.a"])
    assert abs(logs.mean() + 2) < 4 * (4 / math.sqrt(12)) / math.sqrt(400)
    assert abs(np.mean(columns["leader.b"]) - 1) < 4 * (8 / math.sqrt(12)) / math.sqrt(400)


def test_every_integer_of_a_range_is_drawn() -> None:
    stream = generator(0)
    assert {Span(1, 3, integer=True).draw(stream) for _ in range(60)} == {1, 2, 3}
    assert {Span(1, 3, integer=True, log=True).draw(stream) for _ in range(200)} == {1, 2, 3}


def test_ranges_as_wide_as_integers_are_drawn_from() -> None:
    for log in (False, True):
        drawn = Span(1, 2**63 - 1, log=log, integer=True).draw(generator(0))
        assert isinstance(drawn, int)
        assert 1 <= drawn < 2**63


def test_a_point_that_is_drawn_again_is_tried_once() -> None:
    assert len(combinations({"leader.d": ["u", "v"]}, samples=50)) == 2


@pytest.mark.parametrize(
    ("search", "samples", "message"),
    [
        ({}, None, "search is empty"),
        ({"leader.a": []}, None, "leader.a=.*a list of values"),
        ({"leader.a": 3}, None, "leader.a=3: expected a list"),
        ({"leader.a": [1, 1]}, None, "holds 1 twice"),
        ({"leader.a": {"low": 1, "high": 2}}, None, "leader.a is a range"),
        ({"leader.a": {"low": 2, "high": 1}}, 3, "leader.a: high=1.*expected a number > 2"),
        ({"leader.a": {"low": 0, "high": 1, "log": True}}, 3, "leader.a: low of a range with log"),
        ({"leader.a": {"low": 0, "high": 1, "step": 2}}, 3, "expected low and high"),
        ({"leader.a": {"low": 0.5, "high": 1, "integer": True}}, 3, "leader.a: low=0.5"),
        ({"leader.a": list(range(1000)), "leader.b": list(range(1000))}, None, "1,000,000 points"),
        ({"leader.a": [1]}, 0, "samples=0"),
        ({"leader": [1]}, None, "setting 'leader': expected SECTION.KEY"),
        ({"leader.": [1]}, None, "setting 'leader.': expected SECTION.KEY"),
        ({"leader.a": [1], "leader": {"a": [2]}}, None, "leader.a is searched twice"),
        ({"leader.a": {"low": 1, "high": 10**30, "integer": True}}, 3, "leader.a: high=1000000000000"),
        ({"leader.a": {"low": -1e308, "high": 1e308}}, 3, "leader.a: high less low=inf"),
    ],
)
def test_what_cannot_be_searched_is_refused(search: dict[str, Any], samples: int | None, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        combinations(search, samples)


@pytest.mark.parametrize(
    ("search", "changes", "message"),
    [
        ({"leader.learning_rat": [1]}, {}, "leader.learning_rat=1: .*did you mean 'learning_rate'"),
        ({"leader.learning_rate": [0.1, -1.0]}, {}, "leader.learning_rate=-1: "),
        ({"leaders.learning_rate": [1]}, {}, "section='leaders'"),
        ({"training.iterations": [1]}, {}, "unknown rule 'iterations'"),
        (RATES, {"seeds": [0, 1], "report_seeds": [1, 2]}, "1 is a seed for tuning too"),
        (RATES, {"report_seeds": -1}, "report_seeds=-1"),
        (RATES, {"budgets": 3}, "unknown rule 'budgets'"),
        (RATES, {"seeds": [2**63 - 1], "report_seeds": 1}, "report_seeds=1: expected an integer from 0 to 0"),
        (RATES, {"search_seed": "x"}, "seed='x'"),
        ({"training.budget": [100, 200]}, {"budget": 300}, "budget=300 and training.budget is searched"),
    ],
)
def test_a_sweep_that_cannot_be_played_is_refused(
    search: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        Sweep(search, **{**BASE, **changes})


def test_a_rule_out_of_range_is_named_with_its_point() -> None:
    rest = {name: value for name, value in BASE.items() if name != "budget"}
    with pytest.raises(InvalidArgumentError, match=r"training\.budget=5: .*must cover"):
        Sweep({"training.budget": [60, 5]}, **rest)


def test_a_library_that_is_missing_is_named_with_the_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    with pytest.raises(MissingExtraError, match=r"follower\.budget=64: .*stackelberg-games\[sb3\]"):
        Sweep({"follower.budget": [64]}, **{**BASE, "follower": "sb3"})


def test_runs_are_those_of_tournaments() -> None:
    results = played(seeds=2, report_seeds=0)
    cup = sg.Tournament(
        "matrix-v0",
        [("policy_gradient", {"learning_rate": rate}) for rate in (0.01, 0.3)],
        SOFT,
        seeds=2,
        references=False,
        **SHORT,
    ).play(progress=False)
    assert {row.key: row.outcome.to_json() for row in cup.rows if row.outcome} == texts(results)


def test_what_is_chosen_is_paid_most_on_the_seeds_for_tuning_and_reported_on_others(found: SweepResults) -> None:
    means = [found.payoffs(number).mean() for number in range(2)]
    assert list(found.chosen.values()) == [int(np.argmax(means))]
    reported = [run for run in found.runs if run.purpose == "report"]
    assert {run.point for run in reported} == {*found.chosen.values()}
    assert {run.seed for run in reported} == {2, 3, 4}
    assert {run.seed for run in found.runs if run.purpose == "tuning"} == {0, 1}
    assert found.apart
    summary = found.summary()
    assert f"mean {means[found.runs[-1].point]:.6g} on the seeds that chose it" in summary
    assert f"mean {found.payoffs(found.runs[-1].point, 'report').mean():.6g}" in summary
    assert "lowest and highest" in summary
    assert "none of them has chosen anything" in summary


def test_without_seeds_of_their_own_a_report_says_what_that_means() -> None:
    results = played(report_seeds=0)
    assert not results.apart
    assert "looks better on the seeds that chose it than it is" in results.summary()


def test_seeds_that_were_used_twice_are_seen_in_what_is_stored(found: SweepResults) -> None:
    assert not SweepResults({**found.plan, "report_seeds": [1, 2, 3]}, found.outcomes).apart


def test_payoffs_of_different_games_or_followers_are_not_compared() -> None:
    search = {"follower.temperature": [0.05, 0.5], "leader.learning_rate": [0.01, 0.3]}
    results = Sweep(search, **{**BASE, "seeds": 2, "report_seeds": 1}).play(progress=False)
    assert len(results.chosen) == 2
    for number in results.chosen.values():
        rivals = [i for i, point in enumerate(results.points) if point["task"] == results.points[number]["task"]]
        assert len(rivals) == 2
        assert results.payoffs(number).mean() == max(results.payoffs(i).mean() for i in rivals)


def test_leaders_of_different_classes_are_not_compared() -> None:
    search = {"leader.id": ["policy_gradient", "random_search", "twin_followers", "bchg"]}
    results = Sweep(search, **{**BASE, "seeds": 1, "report_seeds": 0}).play(progress=False)
    assert [point["information"] for point in results.points] == [
        "TRAJECTORIES",
        "RETURNS",
        "TRAJECTORIES+PAYS",
        "TRAJECTORIES",
    ]
    first, second, third, fourth = (point["task"] for point in results.points)
    assert first == fourth
    assert len({first, second, third}) == len(results.chosen) == 3
    assert "leaders of class TRAJECTORIES+PAYS in matrix-v0, against" in results.summary()


def test_another_id_forgets_the_settings_of_the_base() -> None:
    search = {"leader.id": ["policy_gradient", "random_search"]}
    made = Sweep(search, **{**BASE, "leader": ("policy_gradient", {"learning_rate": 0.2})})
    assert [dict(point.leader.settings) for point in made.points] == [{"learning_rate": 0.2}, {}]


def test_agents_may_be_objects_and_classes_of_ones_own() -> None:
    results = Sweep(
        {"leader.fails": [False, True]}, **{**BASE, "leader": Fragile(), "seeds": 2, "report_seeds": 1}
    ).play(progress=False)
    assert list(results.chosen.values()) == [0]  # a point that failed is not chosen
    assert [run.status for run in results.runs] == ["done", "done", "failed", "failed", "done"]
    assert "2 runs failed" in results.summary()
    assert "told to fail" in results.tables()["runs"][2]["error"]


def test_a_sweep_that_is_cut_short_goes_on_to_the_same_bits(
    found: SweepResults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Store.put_all
    for stop in (1, 2, 2):  # while tuning, while tuning, while reporting
        left = [stop]

        def dying(self: Store, group: Sequence[tuple[str, Outcome]], left: list[int] = left) -> None:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= len(group)
            put(self, group)

        monkeypatch.setattr(Store, "put_all", dying)
        with pytest.raises(KeyboardInterrupt):
            Sweep(RATES, **{**BASE, "seeds": 2, "report_seeds": 3}).play(tmp_path, progress=False)
    monkeypatch.setattr(Store, "put_all", put)
    half = SweepResults.load(tmp_path)
    assert 0 < len(half.outcomes) < len(found.outcomes)
    whole = Sweep(RATES, **{**BASE, "seeds": 2, "report_seeds": 3}).play(tmp_path, progress=False)
    assert texts(whole) == texts(found)
    again = SweepResults.load(tmp_path)
    assert texts(again) == texts(found)
    assert again.summary() == found.summary()


def test_processes_play_the_same_bits(found: SweepResults) -> None:
    made = Sweep(RATES, **{**BASE, "seeds": 2, "report_seeds": 3})
    assert texts(made.play(workers=2, progress=False)) == texts(found)


def test_nothing_is_chosen_before_all_runs_for_tuning_are_played(found: SweepResults) -> None:
    first = found.plan["points"][0]["keys"][0]
    half = SweepResults(found.plan, {key: o for key, o in found.outcomes.items() if key != first})
    assert half.chosen == {}
    assert "nothing is chosen yet" in half.summary()


def test_a_store_is_read_as_what_it_holds(tmp_path: Path) -> None:
    Sweep(RATES, **{**BASE, "seeds": 1, "report_seeds": 1}).play(tmp_path / "sweep", progress=False)
    with pytest.raises(StoreError, match=r"is a sweep: sg\.SweepResults\.load\(.*sweep'\) reads it"):
        Results.load(tmp_path / "sweep")
    reported = CliRunner().invoke(main, ["report", str(tmp_path / "sweep")])
    assert reported.exit_code == 0, reported.output
    assert "the best of 2" in reported.output
    assert (tmp_path / "sweep" / "report.html").stat().st_size > 10_000
    sg.Tournament("matrix-v0", "random_search", SOFT, seeds=1, references=False, **SHORT).play(
        tmp_path / "cup", progress=False
    )
    with pytest.raises(StoreError, match=r"is a tournament: sg\.Results\.load\(.*cup'\) reads it"):
        SweepResults.load(tmp_path / "cup")


def test_tables_have_the_columns_that_are_described(found: SweepResults, tmp_path: Path) -> None:
    for name, rows in found.tables().items():
        assert rows
        assert {*rows[0]} == {*SWEEP_COLUMNS[name], "leader.learning_rate"}
    assert {path.name for path in found.save(tmp_path)} == {"points.csv", "runs.csv", "curves.csv", "summary.txt"}
    assert (tmp_path / "summary.txt").read_text() == f"{found.summary()}\n"
    pytest.importorskip("pandas")
    frame = found.to_frame("runs")
    assert list(frame.columns) == [*SWEEP_COLUMNS["runs"], "leader.learning_rate"]
    assert len(frame) == 2 * 2 + 3
    assert found.to_frame().chosen.sum() == 2  # its tuning and its report


def test_payoffs_are_drawn_against_a_setting(found: SweepResults) -> None:
    axes = found.plot()
    line = axes.lines[-1]
    np.testing.assert_array_equal(line.get_xdata(), [0.01, 0.3])
    np.testing.assert_allclose(line.get_ydata(), [np.median(found.payoffs(number)) for number in range(2)])
    assert axes.get_xscale() == "log"
    with pytest.raises(InvalidArgumentError, match=r"setting='leader.rate'"):
        found.plot("leader.rate")


def test_learning_curves_of_points_are_drawn(found: SweepResults) -> None:
    axes = found.plot_curves()
    assert [line.get_label() for line in axes.lines] == ["leader.learning_rate = 0.01", "leader.learning_rate = 0.3"]
    ends = [curve[1][-1] for curve in found.curves(1)]
    assert axes.lines[1].get_ydata()[-1] == pytest.approx(np.median(ends))
    (number,) = found.chosen.values()
    (line,) = found.plot_curves(purpose="report").lines
    assert line.get_color() == axes.lines[number].get_color()  # of the same point
    with pytest.raises(InvalidArgumentError, match="points=2"):
        found.plot_curves([2])
    with pytest.raises(InvalidArgumentError, match="no run of these points has a learning curve"):
        found.plot_curves([1 - number], purpose="report")
    several = played(search={"follower.temperature": [0.1, 0.5]}, report_seeds=0)
    assert len(several.plot_curves()) == 2
    with pytest.raises(InvalidArgumentError, match="2 tasks"):
        several.plot_curves(axes=axes)


def test_a_sweep_shows_itself(found: SweepResults) -> None:
    assert repr(found) == "SweepResults(2 points of leader.learning_rate: 7 of 7 runs, 0 failed)"
    assert found._repr_html_().count("<tr>") == 4


def test_a_file_says_the_same(found: SweepResults, tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(FILE)
    assert texts(load_sweep(file, {"evaluation_episodes": 20}).play(progress=False)) == texts(found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[search]", "[serch]"), "unknown section 'serch'; did you mean 'search'"),
        (("seeds = 2", "seed = 2"), r"unknown key of \[sweep\] 'seed'"),
        (('"policy_gradient"', '"tests.test_sweep:Fragile"'), "may not import code.*--allow-import"),
        (("leader.learning_rate = [0.01, 0.3]", 'leader.id = ["tests.test_sweep:Fragile"]'), "may not import code"),
        (
            ("leader.learning_rate = [0.01, 0.3]", 'follower.id = ["black_box"]\nfollower.command = [["ls"]]'),
            "names a program",
        ),
        (("report_seeds = 3", "report_seeds = [0]"), "0 is a seed for tuning too"),
    ],
)
def test_mistakes_in_a_file_are_named(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    assert change[0] in FILE
    file = tmp_path / "sweep.toml"
    file.write_text(FILE.replace(*change))
    with pytest.raises(InvalidArgumentError, match=message):
        load_sweep(file)


def test_the_command_plays_reports_and_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(FILE)
    command = ["sweep", str(file), "--out", str(tmp_path / "out"), "--workers", "1", "--quiet"]
    first = CliRunner().invoke(main, command)
    assert first.exit_code == 0, first.output
    assert "seeds for reporting: 2 to 4; none of them has chosen anything" in first.output
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"points.csv", "runs.csv", "curves.csv", "summary.txt", "leader.learning_rate.png"} <= names
    runs = (tmp_path / "out" / "runs.csv").read_bytes()
    again = CliRunner().invoke(main, command)
    assert (again.exit_code, again.output) == (0, f"4 of 4 runs for tuning are stored already\n{first.output}")
    assert (tmp_path / "out" / "runs.csv").read_bytes() == runs  # with its timings: nothing was played again


def test_the_command_fails_where_runs_failed(tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(
        FILE.replace('"policy_gradient"', '"tests.test_sweep:Fragile"').replace(
            "leader.learning_rate = [0.01, 0.3]", "leader.fails = [true, false]"
        )
    )
    command = ["sweep", str(file), "--out", str(tmp_path / "out"), "--workers", "1", "--quiet", "--allow-import"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 1
    assert "2 runs failed" in done.output

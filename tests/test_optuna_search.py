"""Sweeps that Optuna leads: what is suggested, what is given up, and that a search that was cut short goes on to the same bits."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stackelberg_games.errors import InvalidArgumentError, MissingExtraError, StoreError
from stackelberg_games.tournaments.match import Outcome
from stackelberg_games.tournaments.optuna_search import STUDY, TOGETHER, OptunaSearch
from stackelberg_games.tournaments.search_space import space_of
from stackelberg_games.tournaments.store import Store
from stackelberg_games.tournaments.sweep import Sweep
from stackelberg_games.tournaments.sweep_file import load_sweep
from stackelberg_games.tournaments.sweep_results import SweepResults

optuna = pytest.importorskip("optuna")
BASE: dict[str, Any] = {
    "game": "matrix-v0",
    "leader": "policy_gradient",
    "follower": ("soft_value_iteration", {"temperature": 0.1}),
    "budget": 20,
    "points": 0,
    "episodes": 5,
    "evaluation_episodes": 2,
    "seeds": 3,
    "report_seeds": 2,
    "samples": 10,
    "sampler": "tpe",
    "pruner": "median",
}
SPACE = {
    "leader.learning_rate": {"low": 1e-3, "high": 1.0, "log": True},
    "leader.actor_steps": {"low": 1, "high": 3, "integer": True},
}
FILE = """
[sweep]
sampler = "tpe"
pruner = "median"
samples = 10
seeds = 3
[game]
id = "matrix-v0"
[search]
leader.learning_rate = { low = 0.001, high = 1.0, log = true }
"""


def facts(results: SweepResults) -> Any:
    return results.points, {key: outcome.to_json() for key, outcome in results.outcomes.items()}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[SweepResults, Path]:
    folder = tmp_path_factory.mktemp("search")
    return Sweep(SPACE, **BASE).play(folder, progress=False), folder


def noisy(points: Sequence[Any], seeds: int) -> list[list[float]]:
    """Best at a = 0.3 and with the choice v; every seed adds the same to all points."""
    return [[float(seed) - abs(p["x.a"] - 0.3) - 0.2 * (p["x.b"] == ["u"]) for seed in range(seeds)] for p in points]


def searched(pruner: str, trials: int, paid: Any = noisy) -> OptunaSearch:
    space = space_of({"x.a": {"low": 0.0, "high": 1.0}, "x.b": [["u"], ["v"]]})
    search = OptunaSearch(space, 6, pruner, 0)
    assert list(search.play(trials, paid))[-1] == trials == search.trials
    return search


def test_a_search_looks_where_payoffs_are_high() -> None:
    values = [*searched("none", 48).points.values()]
    early, late = (np.mean([abs(point["x.a"] - 0.3) for point in part]) for part in (values[:8], values[-16:]))
    assert late < early / 2  # uniform draws are 0.29 away on average, with a standard error of 0.05 for 16
    best = max(values, key=lambda point: noisy([point], 1)[0][0])
    assert best["x.b"] == ["v"]
    assert abs(best["x.a"] - 0.3) < 0.05


def test_the_first_trials_do_not_depend_on_how_many_there_are() -> None:
    many, few = searched("median", 21), searched("median", 11)
    assert [*many.points.values()][:11] == [*few.points.values()]


@pytest.mark.parametrize("pruner", ["median", "wilcoxon"])
def test_pruners_give_up_what_falls_behind_and_never_the_best(pruner: str) -> None:
    search = searched(pruner, 32)
    states = [trial.state.name for trial in search.study.trials]
    assert 0 < states.count("PRUNED") == search.given_up
    losses = {name: -noisy([point], 1)[0][0] for name, point in search.points.items()}
    assert search.reached[min(losses, key=lambda name: losses[name])] == 6
    assert {*search.reached.values()} <= {1, 2, 4, 6}
    later = [*search.points][TOGETHER:]  # no trial was finished before
    given_up, finished = ([losses[n] for n in later if (search.reached[n] < 6) is early] for early in (True, False))
    assert np.mean(given_up) > np.mean(finished)


def test_a_trial_that_fails_stops_nothing_and_is_learned_from_by_nobody() -> None:
    def failing(points: Sequence[Any], seeds: int) -> list[list[float]]:
        return [
            [float("nan") if p["x.a"] > 0.5 else x for x in row]
            for p, row in zip(points, noisy(points, seeds), strict=True)
        ]

    search = searched("none", 16, failing)
    states = {trial.params["x.a"] > 0.5: trial.state.name for trial in search.study.trials}
    assert states == {True: "FAIL", False: "COMPLETE"}


def test_what_was_given_up_is_not_chosen_and_seeds_for_reporting_are_apart(found: tuple[SweepResults, Path]) -> None:
    results, _ = found
    assert results.given_up
    assert not {*results.chosen.values()} & results.given_up
    (number,) = results.chosen.values()
    whole = [n for n in range(len(results.points)) if n not in results.given_up]
    assert results.payoffs(number).mean() == max(results.payoffs(n).mean() for n in whole)
    assert results.apart
    assert [run.seed for run in results.runs if run.purpose == "report"] == [3, 4]
    summary = results.summary()
    assert f"of 10 of 10 trials of tpe, {len(results.given_up)} given up early (median)" in summary
    assert "seeds for reporting: 3, 4; none of them has chosen anything" in summary


def test_the_study_is_in_the_storage_of_optuna(found: tuple[SweepResults, Path]) -> None:
    results, folder = found
    (summary,) = optuna.get_all_study_summaries(f"sqlite:///{folder / STUDY}")
    study = optuna.load_study(study_name=summary.study_name, storage=f"sqlite:///{folder / STUDY}")
    assert [trial.state.name for trial in study.trials].count("PRUNED") == len(results.given_up)
    assert study.best_value == results.payoffs(next(iter(results.chosen.values()))).mean()


def test_a_search_that_is_cut_short_goes_on_to_the_same_bits(
    found: tuple[SweepResults, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Store.put_all
    for stop in (
        1,
        TOGETHER + 3,
        9,
    ):  # in the first trials, in a later step of theirs, in the second ones or while reporting
        left = [stop]

        def dying(self: Store, group: Sequence[tuple[str, Outcome]], left: list[int] = left) -> None:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= len(group)
            put(self, group)

        monkeypatch.setattr(Store, "put_all", dying)
        with pytest.raises(KeyboardInterrupt):
            Sweep(SPACE, **BASE).play(tmp_path, progress=False)
        half = SweepResults.load(tmp_path)
        assert half.unfinished
        assert half.chosen == {}
        assert "nothing is chosen yet" in half.summary()
    monkeypatch.setattr(Store, "put_all", put)
    (tmp_path / STUDY).unlink(missing_ok=True)  # is written anew
    whole = Sweep(SPACE, **BASE).play(tmp_path, progress=False)
    assert facts(whole) == facts(found[0]) == facts(SweepResults.load(tmp_path))
    assert (tmp_path / STUDY).is_file()


def test_a_damaged_study_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / STUDY).write_text("not a database, but long enough to be taken for one\n" * 40)
    with pytest.raises(StoreError, match=f"{STUDY}.*without this file it is written anew"):
        Sweep(SPACE, **{**BASE, "samples": 1, "seeds": 1, "report_seeds": 0}).play(tmp_path, progress=False)


def test_a_file_says_the_same_and_names_what_it_may_not(tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(FILE)
    planned = load_sweep(file)
    assert (planned.sampler, planned.pruner, planned.samples) == ("tpe", "median", 10)
    file.write_text(FILE + 'leader.id = ["bchg", "tests.test_sweep:Fragile"]\n')
    with pytest.raises(InvalidArgumentError, match="may not import code"):
        load_sweep(file)


@pytest.mark.parametrize(
    ("search", "changes", "message"),
    [
        (SPACE, {"sampler": "random"}, "pruner, where the sampler is random,='median'"),
        (SPACE, {"sampler": "cma"}, "sampler='cma': expected 'random' or 'tpe'"),
        (SPACE, {"pruner": "hyperband"}, "pruner='hyperband'"),
        (SPACE, {"samples": None}, "samples=None"),
        ({"follower.temperature": [0.1, 0.2]}, {}, "are not compared; search settings of the leader"),
        ({"leader.id": ["bchg", "random_search"]}, {}, "are not compared"),
        ({"leader.learning_rate": {"low": -1.0, "high": 1.0}}, {}, "leader.learning_rate=-1"),
    ],
)
def test_a_search_that_cannot_be_played_is_refused(search: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        Sweep(search, **{**BASE, **changes})


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"stackelberg-games\[optuna\]"):
        Sweep(SPACE, **BASE)

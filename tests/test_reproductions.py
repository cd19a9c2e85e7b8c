"""Reproductions: the data files, a run at a tiny fraction, resumption, and what is drawn and written."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import stackelberg_games as sg
from stackelberg_games import exact
from stackelberg_games.cli import main
from stackelberg_games.errors import InvalidArgumentError, UnknownIdError
from stackelberg_games.reproductions import Reproduction, load, names, reproduce, save
from stackelberg_games.reproductions.reproduction import Summary
from stackelberg_games.reproductions.study import parse
from stackelberg_games.reproductions.trial import Trial

TINY = {
    "discrete_toy": (0.004, ["R = 2, undiscounted"]),
    "four_rooms": (0.0004, ["temperature 0.003, 200 transitions"]),
    "literature": (0.02, ["matrix, letchford"]),
    "preference": (0.1, ["decoy, temperature 0.5"]),
    "sobirl_synthetic": (0.02, ["the first 300 updates"]),
    "suboptimal_follower": (0.004, ["toy, 5 sweeps, drawn anew", "toy, 100 sweeps, drawn anew"]),
    "thermal_control": (0.001, []),
}
CHEAP: dict[str, Any] = {
    "title": "t",
    "source": "s",
    "reading": "r",
    "experiment": {"game": {"id": "discrete_toy-v0", "horizon": 10}, "follower": {"id": "soft_value_iteration"}},
    "setting": [{"label": "only", "updates": 40, "unit": 30, "optimum": 2.0}],
    "leader": [{"label": "ours", "id": "bchg"}],
    "published": [{"setting": "only", "leader": "ours", "values": [[0, 0.5, 0.1], [40, 1.5]]}],
}


def test_every_file_has_a_tiny_fraction_here() -> None:
    assert names() == sorted(TINY)


@pytest.mark.parametrize("name", names())
def test_a_tiny_fraction_of_every_reproduction_runs(name: str, tmp_path: Path) -> None:
    fraction, settings = TINY[name]
    done = reproduce(name, tmp_path, fraction=fraction, seeds=1, settings=settings, progress=False)
    assert not done.failed, done.failed[0].error
    rows = done.summaries()
    chosen = [done.study.settings[label] for label in settings or done.study.settings]
    assert len(rows) == sum(len(done.study.entries) - len(setting.without) for setting in chosen)
    for row in rows:
        assert row.updates[0] == 0
        assert np.isfinite(row.values).all()
        assert len(row.updates) > 1
    for file in save(done, tmp_path):
        assert file.stat().st_size > 500


@pytest.mark.parametrize("name", names())
def test_every_setting_of_every_file_can_be_built(name: str) -> None:
    study = load(name)
    for setting in study.settings.values():
        for entry in study.entries.values():
            game, _, follower = study.run(setting, entry).build()
            assert follower.declared_temperature > 0
            loop = study.run(setting, entry).sections["training"]
            assert loop.get("episodes", 3) * (loop.get("stages") or game.stages()) <= setting.unit
    assert len(study.settings) == {"four_rooms": 12, "suboptimal_follower": 18}.get(name, len(study.settings))


@pytest.mark.parametrize(
    "label", ["matrix, maintain", "matrix, inspection", "security, five targets", "contract, two efforts", "linear tax"]
)
def test_the_stated_optima_of_the_literature_are_optima(label: str) -> None:
    study = load("literature")
    setting = study.settings[label]
    game, _, follower = study.run(setting, next(iter(study.entries.values()))).build()
    assert isinstance(game, sg.TabularGame)
    solved = exact.solve(game, follower.declared_temperature or 0.0, starts=6)
    assert setting.optimum == pytest.approx(solved.value, abs=1e-6)


def test_a_leader_that_does_not_play_a_setting_is_left_out(tmp_path: Path) -> None:
    chosen = {"fraction": 0.02, "seeds": 1, "settings": ["myopic follower"], "progress": False}
    done = reproduce("literature", tmp_path, leaders=["BC-HG", "twin followers"], **chosen)  # type: ignore[arg-type]
    assert [row.leader for row in done.summaries()] == ["BC-HG"]


def test_a_share_is_of_the_way_to_the_optimum() -> None:
    row = Summary("s", "l", "c", np.array([0.0, 1.0]), np.array([[1.0, 2.5], [2.0, 3.0]]), None, 0)
    shares = row.shares(3.0)
    assert shares is not None
    np.testing.assert_allclose(shares, [0.75, 1.0])
    assert row.shares(1.0) is None


def test_the_stated_optima_are_optima() -> None:
    toy = load("discrete_toy").settings
    game = sg.make("discrete_toy-v0")
    assert isinstance(game, sg.TabularGame)
    solved = exact.solve(game, 0.05, starts=8)
    assert toy["R = 1, discounted"].optimum == pytest.approx(solved.value, abs=1e-4)
    game = sg.make("thermal_control-v0")
    commitment = sg.train(game, "exact_gradient", sg.make_follower("maxent_lqr", temperature=0.1), iterations=1)
    (thermal,) = load("thermal_control").settings.values()
    assert thermal.optimum is not None
    assert commitment.value is not None
    assert commitment.value < thermal.optimum


def test_the_synthetic_problem_lies_on_the_run_of_the_public_code(tmp_path: Path) -> None:
    settings, leaders = ["the first 300 updates"], ["M-SoBiRL"]
    done = reproduce(
        "sobirl_synthetic", tmp_path, fraction=1 / 6, settings=settings, leaders=leaders, workers=1, progress=False
    )
    (row,) = done.summaries()
    assert row.published is not None
    known = dict(zip(row.published.updates, row.published.values, strict=True))
    compared = [at for at in row.updates if at in known]
    assert {0, 1, 4, 9, 19, 49} <= set(compared)
    for at in compared:
        assert row.mean[row.updates == at] == pytest.approx(known[at], rel=1e-7)


def test_values_are_those_of_training(tmp_path: Path) -> None:
    study = parse("cheap", CHEAP)
    done = reproduce(study, tmp_path, seeds=1, progress=False)
    (row,) = done.summaries()
    game = sg.make("discrete_toy-v0", horizon=10)
    run = sg.train(game, "bchg", "soft_value_iteration", iterations=40, seed=0, evaluate_every=1)
    at, values = run.column("recommended_value")
    np.testing.assert_allclose(row.updates, [*at, 40])
    np.testing.assert_allclose(row.mean[:-1], values, rtol=1e-9)
    assert row.mean[-1] == pytest.approx(run.value, rel=1e-9)


def test_nothing_computed_is_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = parse("cheap", CHEAP)
    half = reproduce(study, tmp_path, fraction=0.5, seeds=2, progress=False)
    whole = reproduce(study, tmp_path, seeds=3, progress=False)
    fresh = reproduce(study, tmp_path / "fresh", seeds=3, progress=False)
    for continued, alone in zip(whole.outcomes, fresh.outcomes, strict=True):
        # the half measured twice as often, and at the same transitions
        shared = [point for point in zip(*continued.curve, strict=True) if point[0] in alone.curve[0]]
        np.testing.assert_allclose(shared, list(zip(*alone.curve, strict=True)), rtol=1e-12)
    assert half.outcomes[0].transitions == 600

    def refuse(self: Trial, timeout: float | None = None) -> None:
        raise AssertionError("played again")

    monkeypatch.setattr(Trial, "play", refuse)
    again = reproduce(study, tmp_path, seeds=3, progress=False)
    assert [outcome.curve for outcome in again.outcomes] == [outcome.curve for outcome in whole.outcomes]


def test_a_killed_run_continues_to_the_same_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = parse("cheap", CHEAP)
    from stackelberg_games.agents.leaders.bchg import BCHG

    original, calls = BCHG.update, []

    def dying(self: BCHG, evidence: sg.Evidence) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 27:
            raise KeyboardInterrupt
        return original(self, evidence)

    monkeypatch.setattr(BCHG, "update", dying)
    with pytest.raises(KeyboardInterrupt):
        reproduce(study, tmp_path, seeds=1, progress=False)
    resumed = reproduce(study, tmp_path, seeds=1, progress=False)
    assert len(calls) < 27 + 40  # and not from the beginning
    fresh = reproduce(study, tmp_path / "fresh", seeds=1, progress=False)
    assert resumed.outcomes[0].curve == fresh.outcomes[0].curve


def test_what_is_written(tmp_path: Path) -> None:
    done = reproduce(parse("cheap", CHEAP), tmp_path, fraction=0.5, seeds=2, progress=False)
    save(done, tmp_path)
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored["fraction"] == 0.5
    assert stored["rows"][0]["published"]["values"] == [0.5, 1.5]
    assert stored["rows"][0]["mean"][-1] == pytest.approx(np.mean(stored["rows"][0]["final"]))
    with open(tmp_path / "results.csv") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["seed"] for row in rows} == {"0", "1"}
    assert (tmp_path / "cheap.svg").read_text().startswith("<?xml")


def test_a_run_that_fails_stops_no_other(tmp_path: Path) -> None:
    broken = {**CHEAP, "leader": [*CHEAP["leader"], {"label": "refuses", "id": "implicit"}]}
    done = reproduce(parse("broken", broken), tmp_path, fraction=0.1, seeds=1, progress=False)
    assert [outcome.status for outcome in done.outcomes] == ["done", "failed"]
    assert "UnsupportedGameError" in done.failed[0].error
    assert isinstance(done, Reproduction)
    save(done, tmp_path)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"settings": ["onyl"]}, "did you mean 'only'"),
        ({"leaders": ["x"]}, "no leader is called 'x'"),
        ({"fraction": 0.0}, "fraction=0.0"),
        ({"fraction": 1.5}, "fraction=1.5"),
        ({"seeds": 0}, "seeds=0"),
    ],
)
def test_bad_arguments_are_refused(change: dict[str, Any], what: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=what):
        reproduce(parse("cheap", CHEAP), tmp_path, **change)


def test_bad_files_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="not complete"):
        parse("bad", {"title": "t"})
    stray = [{"setting": "only", "leader": "nobody", "values": [[0, 1.0]]}]
    with pytest.raises(InvalidArgumentError, match="nobody"):
        parse("bad", {**CHEAP, "published": stray})


def test_the_command(tmp_path: Path) -> None:
    runner = CliRunner()
    listed = runner.invoke(main, ["reproduce"])
    assert [line.split()[0] for line in listed.output.splitlines()] == names()
    unknown = runner.invoke(main, ["reproduce", "four_room"])
    assert unknown.exit_code == 1
    assert "did you mean 'four_rooms'" in unknown.output
    with pytest.raises(UnknownIdError, match="thermal_control"):
        load("nonsense")
    arguments = ["discrete_toy", "--fraction", "0.004", "--seeds", "1", "--workers", "1", "--leader", "BC-HG"]
    done = runner.invoke(main, ["reproduce", *arguments, "--out", str(tmp_path), "--quiet"])
    assert done.exit_code == 0, done.output
    assert "27.15" in done.output
    assert (tmp_path / "discrete_toy.png").exists()
    short = runner.invoke(main, ["reproduce", *arguments[:2], "0.0001", *arguments[3:], "--out", str(tmp_path)])
    assert short.exit_code == 1
    assert "raise the fraction" in short.output

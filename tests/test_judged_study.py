"""The study of preferences: loss and true return side by side, in the table, the file and the picture."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from stackelberg_games.cli import main
from stackelberg_games.reproductions import load, reproduce
from stackelberg_games.reproductions.judged import FILE, HEADERS, ended, is_judged, lines, read


def test_a_tiny_study_shows_all_figures_together(tmp_path: Path) -> None:
    words = ["reproduce", "preference", "--fraction", "0.2", "--seeds", "2", "--workers", "1", "--quiet"]
    chosen = ["--setting", "decoy, temperature 0.5", "--leader", "anchored, direct"]
    exact = ["--leader", "anchored, direct, all pairs"]
    result = CliRunner().invoke(main, [*words, *exact, *chosen, "--out", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    for header in ("share", "F", "labels"):
        assert header in result.output
    rows = read(tmp_path / FILE)
    assert [(row.leader, row.seed, row.labels, row.transitions) for row in rows] == [
        ("anchored, direct, all pairs", 0, None, 2400),
        ("anchored, direct", 0, 40, 2400),
        ("anchored, direct", 1, 40, 2400),
    ]
    table = lines(rows)
    assert [line[2] for line in table] == ["1", "2"]
    assert all(len(line) == len(HEADERS) for line in table)
    assert f"{sum(row.values.share for row in rows[1:]) / 2:.3f} ±" in table[1][3]
    for suffix in ("png", "svg"):
        assert (tmp_path / f"preference.{suffix}").stat().st_size > 5000


def test_figures_are_those_of_the_reward_that_a_run_ended_with(tmp_path: Path) -> None:
    settings, leaders = ["open, temperature 0.1"], ["on-policy, direct"]
    done = reproduce("preference", tmp_path, fraction=0.1, seeds=1, settings=settings, leaders=leaders, progress=False)
    assert is_judged(done)
    (row,) = ended(done)
    assert -row.values.loss == pytest.approx(done.summaries()[0].values[0, -1], rel=1e-12)
    assert not is_judged(reproduce("discrete_toy", tmp_path / "toy", fraction=0.004, seeds=1, progress=False))


def test_settings_are_those_that_the_page_speaks_of() -> None:
    study = load("preference")
    assert list(study.settings) == [
        f"{variant}, temperature {tau}" for variant in ("open", "decoy") for tau in ("0.1", "0.5")
    ]
    assert {entry.seeds for label, entry in study.entries.items() if "all pairs" in label} == {1}

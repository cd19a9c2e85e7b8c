"""The scripts in ``examples/`` run, with small settings, and draw something."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parent.parent / "examples"
SETTINGS = {
    "first_steps": ["--iterations", "15"],
    "design_an_incentive": ["--iterations", "5", "--starts", "1"],
    "bring_your_own_follower": ["--iterations", "6", "--stages", "100"],
}


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_an_example_runs_and_draws(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "picture.png"
    load(name, monkeypatch).main([*SETTINGS[name], "--out", str(picture)])
    assert picture.stat().st_size > 10_000
    assert len(capsys.readouterr().out.splitlines()) >= 5


def test_the_city_gains_from_the_best_tolls(monkeypatch: pytest.MonkeyPatch) -> None:
    example = load("design_an_incentive", monkeypatch)
    game = example.toll_game()
    best = example.sg.exact.solve(game, example.TEMPERATURE, starts=2).value
    assert best > max(example.flat(game, index) for index in range(len(example.TOLLS))) + 5

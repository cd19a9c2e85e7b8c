"""The comparison with published code: a folder of the user's, made up here, and what is said of those who are not there."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
TOY = """
import sys, time
epochs = int(next(word for word in sys.argv if word.startswith("leader.n_epochs=")).split("=")[1])
open("written", "w").write(sys.argv[sys.argv.index("--config") + 1])
begun = time.process_time()
while time.process_time() - begun < 0.04 * epochs:
    pass
"""
SOBIRL = """
import torch
device = "cuda"
def f_grad_pi(x, policy):
    return policy
class RandMDP:
    def __init__(self, states, actions, args):
        assert device == "cpu"
        self.gamma, self.x = args.gamma, torch.ones(1)
        self.U, self.steps = torch.zeros((states, actions, states)), 0
    def generate_rewards(self):
        return torch.zeros(10, 5)
    def compute_P_pi(self, policy):
        return torch.eye(10)
    def hyper_grad_esti(self, x, policy, values, adjoint):
        return torch.ones(1)
    def soft_value_iteration(self, values, count):
        open("steps", "a").write("*")
        return values, None, torch.full((10, 5), 0.2)
"""


@pytest.fixture
def comparison(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("against_published")


def test_an_iteration_of_published_code_is_the_difference_of_two_runs(comparison: Any, tmp_path: Path) -> None:
    (tmp_path / "markov_game").mkdir()
    (tmp_path / "markov_game" / "train_discrete_toy.py").write_text(TOY)
    rows = list(comparison.published_rows([tmp_path / "nothing", tmp_path], sys.executable))
    assert [row.against for row in rows] == ["published toy"]
    assert rows[0].theirs() == pytest.approx(0.04, rel=0.5)  # whatever the interpreter takes to start
    assert {path.name for path in tmp_path.rglob("*")} <= {"markov_game", "train_discrete_toy.py", "__pycache__"}
    row = rows[0]._replace(ours=lambda: 0.01)
    table, without = comparison.measured([row], pairs=1)
    assert not without
    assert table[0][0].endswith("published toy")
    assert float(table[0][2]) == pytest.approx(40, rel=0.5)


def test_steps_of_m_sobirl_are_those_of_the_published_class(
    comparison: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "SyntheticProblem").mkdir()
    (tmp_path / "SyntheticProblem" / "RanMDP.py").write_text(SOBIRL)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    comparison.published_run.m_sobirl(tmp_path, "m_sobirl", 3)
    assert (tmp_path / "steps").read_text() == "***"


def test_what_cannot_be_measured_is_named(comparison: Any, tmp_path: Path) -> None:
    (tmp_path / "markov_game").mkdir()
    (tmp_path / "markov_game" / "train_bilevel_lqr.py").write_text("import garage_that_is_missing")
    (failing,) = comparison.published_rows([tmp_path], sys.executable)
    absent = failing._replace(against="nobody", needs=("no_such_package",))
    table, without = comparison.measured([failing._replace(ours=lambda: 1.0), absent], pairs=1)
    assert not table
    assert "No module named 'garage_that_is_missing'" in without[0]
    assert without[1].endswith("against nobody: install no_such_package")
    assert {row.against for row in comparison.hard_rows()} == {"quantecon", "mdpsolver"}

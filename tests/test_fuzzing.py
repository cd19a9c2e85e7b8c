"""A share of the fuzzing campaign, the same cases every time, and every finding that was mended."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings

import stackelberg_games as sg
from tests.fuzzing.arguments import CALLS
from tests.fuzzing.calls import run_call
from tests.fuzzing.campaign import CORPUS, TARGETS, corpus, options
from tests.fuzzing.target import Case, held

SHARE = {
    "tournament file": 150,
    "experiment file": 150,
    "sweep file": 60,
    "floor plan": 100,
    "checkpoint": 60,
    "run folder": 50,
    "store": 25,
    "stream of a black box": 12,
    "public calls": 400,
}
SETTINGS_OF = ("leader ", "follower ", "game ")


@pytest.mark.parametrize("name", TARGETS)
def test_a_share_of_the_campaign_finds_nothing(name: str) -> None:
    target = TARGETS[name]
    assert held(target, target.sound)
    tried = []

    @settings(options(SHARE[name]), derandomize=True)
    @given(target.cases)
    def explore(case: Case) -> None:
        tried.append(held(target, case))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explore()
    assert len(tried) >= 0.9 * SHARE[name]
    assert not all(tried), "no case was refused"


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_once_found_holds(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in corpus(TARGETS[name]):
            held(TARGETS[name], case)


def test_every_stored_case_belongs_to_a_target() -> None:
    files = {file.stem for file in CORPUS.glob("*.jsonl")}
    assert files
    assert files <= {name.replace(" ", "_") for name in TARGETS}


@pytest.mark.parametrize("name", [name for name in CALLS if not name.startswith(SETTINGS_OF)])
def test_the_calls_are_sound_before_they_are_mutated(name: str) -> None:
    run_call([name, []])


def test_the_command_reports_what_it_found(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.fuzzing",
        "--examples",
        "20",
        "--only",
        "floor plan",
        "--out",
        str(tmp_path),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "20 cases, 0 findings"
    assert json.loads((tmp_path / "floor_plan_0.current").read_text())["counts"]


NOT_CALLED = {
    *(
        "Algorithm",
        "Commitment",
        "Follower",
        "Game",
        "GradientAscent",
        "GradientLeader",
        "Leader",
        "Representation",
        "Values",
    ),
    *("Evidence", "LeaderView", "Step", "Tables", "Results", "SweepResults", "Run"),
    *("Certificate", "CriticTables", "PreferenceRows", "PreferenceValues", "Response", "Solution", "StateValues"),
    *("Coefficients", "Influence", "Tails", "exact", "hypergradient", "games", "leaders", "followers"),
}
"""Bases that are subclassed, records that the package makes itself, modules, and functions without arguments."""


def test_every_public_function_is_called() -> None:
    public = {*sg.__all__, *sg.exact.__all__}
    public |= {
        name
        for name, made in vars(sg.hypergradient).items()
        if getattr(made, "__module__", "") == sg.hypergradient.__name__ and not name.startswith("_")
    }
    public = {name for name in public if not name.startswith("_")}
    assert NOT_CALLED <= public
    assert public - NOT_CALLED == public & {*CALLS}

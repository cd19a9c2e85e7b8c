"""Followers that nobody knows: callables and processes, well behaved and not."""

from __future__ import annotations

import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stackelberg_games as sg
from stackelberg_games.adapters.stranger_process import StrangerProcess
from stackelberg_games.envs import discrete_toy_v0
from stackelberg_games.errors import FollowerError, InvalidArgumentError, UnsupportedGameError
from stackelberg_games.learning.asked_judges import Process

EXAMPLE = Path(__file__).parents[1] / "examples" / "black_box" / "follower.py"


def program(tmp_path: Path, body: str) -> list[str]:
    """A follower process that runs ``body`` for every turn; n counts them."""
    path = tmp_path / "follower.py"
    text = "import json, sys, time, os\nfor n, line in enumerate(sys.stdin):\n    turn = json.loads(line)\n"
    over = "    if turn['termination'] or turn['truncation']:\n        print(json.dumps({'action': None}), flush=True)\n        continue\n"
    path.write_text(text + over + textwrap.indent(textwrap.dedent(body), "    "))
    return [sys.executable, str(path)]


ANSWER = "print(json.dumps({'action': 1}), flush=True)"


def test_the_example_process_learns_and_the_leader_trains(tmp_path: Path) -> None:
    follower = sg.make_follower("black_box", command=[sys.executable, str(EXAMPLE)], practice=10)
    game = discrete_toy_v0.game(horizon=30)
    learned, drawn = (sg.train(game, "fixed", who, iterations=12, progress=False) for who in (follower, "black_box"))
    paid, guessed = ([row["follower_return"] for row in run.history] for run in (learned, drawn))
    assert np.mean(paid[-6:]) > np.mean(guessed) + 2.0
    assert learned.history[-1]["follower_transitions"] == 12 * 10 * 30
    follower.close()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("if n == 5: sys.exit(3)\n" + ANSWER, "exit status 3"),
        ("if n == 5: time.sleep(60)\n" + ANSWER, "did not answer within"),
        ("print('hello' if n == 5 else json.dumps({'action': 1}), flush=True)", "answered 'hello"),
        ("print(json.dumps({'action': 7 if n == 5 else 1}), flush=True)", "answered 7 at stage 5"),
        ("print(json.dumps({'action': 'left' if n == 5 else 1}), flush=True)", "answered 'left'"),
        ("print(json.dumps({'action': None if n == 5 else 1}), flush=True)", "answered None"),
        ("print(json.dumps([1]), flush=True)", "expected"),
    ],
)
def test_a_process_that_misbehaves_in_the_middle_of_an_episode_is_named(tmp_path: Path, body: str, words: str) -> None:
    follower = sg.make_follower("black_box", command=program(tmp_path, body), timeout=2.0)
    game = discrete_toy_v0.game(horizon=10)
    start = time.monotonic()
    with pytest.raises(FollowerError, match=words):
        sg.train(game, "policy_gradient", follower, iterations=3, progress=False)
    assert time.monotonic() - start < 20


def test_a_program_that_is_not_there_is_named() -> None:
    follower = sg.make_follower("black_box", command=["/nowhere/follower"])
    with pytest.raises(FollowerError, match="cannot start"):
        sg.train(sg.make("matrix-v0"), "policy_gradient", follower, iterations=1, progress=False)


def test_a_callable_that_raises_is_named() -> None:
    def stranger(*turn: Any) -> Any:
        raise ZeroDivisionError("oops")

    follower = sg.make_follower("black_box", stranger=stranger)
    with pytest.raises(FollowerError, match="ZeroDivisionError: oops"):
        sg.train(sg.make("matrix-v0"), "policy_gradient", follower, iterations=1, progress=False)


def test_finished_work_is_kept_and_the_run_goes_on(tmp_path: Path) -> None:
    calls = {"left": 25}

    def stranger(observation: Any, reward: float, termination: bool, truncation: bool, info: Any) -> Any:
        if termination or truncation:
            return None
        calls["left"] -= 1
        if calls["left"] == 0:
            raise RuntimeError("died")
        return 1

    def go(folder: Path) -> Any:
        follower = sg.make_follower("black_box", stranger=stranger)
        game = discrete_toy_v0.game(horizon=10)
        return sg.train(game, "policy_gradient", follower, iterations=4, episodes=1, directory=folder, progress=False)

    with pytest.raises(FollowerError, match="died"):
        go(tmp_path / "run")
    assert len((tmp_path / "run" / "history.jsonl").read_text().splitlines()) == 2
    calls["left"] = -1
    resumed = go(tmp_path / "run")
    calls["left"] = -1
    whole = go(tmp_path / "whole")
    assert resumed.history == whole.history


def test_practice_is_counted_and_deterministic() -> None:
    game = discrete_toy_v0.game(horizon=10)
    runs = [
        sg.train(game, "policy_gradient", sg.make_follower("black_box", practice=2), iterations=2, progress=False)
        for _ in range(2)
    ]
    assert runs[0].history == runs[1].history
    assert runs[0].history[-1]["follower_transitions"] == 2 * 2 * 10


def test_a_stranger_plays_continuous_games() -> None:
    def stranger(observation: Any, reward: float, termination: bool, truncation: bool, info: Any) -> Any:
        return None if termination or truncation else np.array([-0.5 * observation[1]])

    run = sg.train(
        sg.make("lqr-v0", horizon=5),
        "evolution_strategies",
        sg.make_follower("black_box", stranger=stranger),
        iterations=2,
        progress=False,
    )
    assert run.history[-1]["transitions"] == 2 * 3 * 5


def test_bad_settings_are_refused() -> None:
    for settings in ({"stranger": print, "command": ["x"]}, {"timeout": 0.0}, {"practice": -1}):
        with pytest.raises(InvalidArgumentError):
            sg.make_follower("black_box", **settings)


def test_a_copy_of_a_process_starts_its_own() -> None:
    import pickle

    stranger = StrangerProcess([sys.executable, str(EXAMPLE)], 5.0)
    turn: Any = (np.zeros(5), 0.0, False, False, {})
    assert stranger(*turn) in (0, 1, 2)
    twin = pickle.loads(pickle.dumps(stranger))
    assert twin(*turn) in (0, 1, 2)
    for one in (stranger, twin):
        one.close()
        one.close()


def test_programs_are_refused_by_name_where_there_are_no_process_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    follower = sg.make_follower("black_box", command=[sys.executable, str(EXAMPLE)])
    with pytest.raises(UnsupportedGameError, match=r"follower's `command` needs POSIX .* Windows .* give `stranger`"):
        follower.begin(sg.make("matrix-v0"))
    with pytest.raises(UnsupportedGameError, match=r"judge's `command` needs POSIX .* Windows"):
        Process([sys.executable])

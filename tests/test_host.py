"""What the caller or the machine has set: torch's modes and device, optimised Python, folders that nobody may write to."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
import torch

import stackelberg_games as sg
from stackelberg_games import files
from stackelberg_games.envs import discrete_toy_v0
from stackelberg_games.errors import CheckpointError, StoreError
from stackelberg_games.numerics.randomness import compiled

MODES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "another device": lambda: torch.device("meta"),  # stands for an accelerator
}
CALLS: dict[str, Callable[[], Any]] = {
    "train": lambda: trained("discrete_toy-v0", "bchg", "soft_value_iteration"),
    "train, configured": lambda: trained("random_mdp-v0", "hpgd", "soft_value_iteration"),
    "train, continuous": lambda: trained("lqr-v0", "bchg", "maxent_lqr"),
    "solve": lambda: sg.exact.solve(discrete_toy_v0.game(), 0.05, starts=2).value,
    "check": lambda: sg.gradient_check(sg.make("discrete_toy-v0"), "bchg", batches=2, episodes=2).cosine,
    "tournament": lambda: outcomes(cup().play(progress=False)),
    "faces": lambda: [steps(name) for name in ("discrete_toy-v0", "four_rooms-v0", "thermal_control-v0", "lqr-v0")],
    "networks": lambda: replies(),
}


def trained(game: str, leader: str, follower: str) -> Any:
    """The last record of a short training."""
    return sg.train(sg.make(game), leader, follower, iterations=2, progress=False).history[-1]


def cup() -> sg.Tournament:
    """Two leaders, one of them with gradients."""
    follower = ("soft_value_iteration", {"temperature": 0.1})
    return sg.Tournament("matrix-v0", ["bchg", "random_search"], follower, seeds=1, budget=60, references=False)


def outcomes(results: sg.Results) -> list[str]:
    """What was measured."""
    return [row.outcome.to_json() for row in results.rows if row.outcome is not None]


def steps(name: str) -> list[float]:
    """Rewards of some random moves in the AEC environment."""
    env, seen = sg.make(name).env(), []
    env.reset(seed=0)
    for number, agent in enumerate(env.agent_iter(8)):
        _, reward, termination, truncation, _ = env.last()
        env.action_space(agent).seed(number)
        seen.append(float(reward))
        env.step(None if termination or truncation else env.action_space(agent).sample())
    return seen


def replies() -> list[Any]:
    """What a leader with a network plays against fixed replies."""
    game = sg.make("discrete_toy-v0")
    env = sg.vector_env(game, 3, commitment=sg.MLPPolicy(game, (4,)))
    env.reset(seed=0)
    return [np.asarray(env.step(np.zeros(3, dtype=np.int64))[0]).tolist() for _ in range(3)]


@pytest.fixture(scope="module")
def usual() -> dict[str, Any]:
    """What the calls return where nothing is set."""
    return {name: call() for name, call in CALLS.items()}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CALLS)
def test_torchs_modes_of_the_caller_change_nothing(name: str, mode: str, usual: dict[str, Any]) -> None:
    with MODES[mode]():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_device()
        found = CALLS[name]()
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_device()) == before
    assert found == usual[name]


def test_a_commitment_made_in_inference_mode_trains_outside_it() -> None:
    game = sg.make("discrete_toy-v0")
    with torch.inference_mode():
        made = sg.TabularPolicy(game)
    run = sg.train(game, "bchg", "soft_value_iteration", iterations=2, commitment=made, progress=False)
    usual = sg.train(game, "bchg", "soft_value_iteration", iterations=2, progress=False)
    assert run.value == usual.value


def test_functions_are_compiled_where_nothing_can_be_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    real = numba.njit

    def uncached(*functions: Any, cache: bool = False, **options: Any) -> Any:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(*functions, **options)

    monkeypatch.setattr(numba, "njit", uncached)
    assert compiled(lambda x: x + 1)(1) == 2


OPTIMISED = """
import sys
from stackelberg_games.conformance import check_game
from tests.mistakes import CumulativeRewardsNotZeroed
from tests.plain_env import Ferry, wrapped
assert False, "the asserts are not stripped"
print(*[outcome.name for outcome in check_game(lambda **a: wrapped(Ferry(**a))).failed])
print(*[outcome.name for outcome in check_game(lambda **a: wrapped(CumulativeRewardsNotZeroed(**a))).failed])
"""


def test_the_battery_judges_alike_under_optimised_python() -> None:
    done = subprocess.run([sys.executable, "-O", "-c", OPTIMISED], check=False, capture_output=True, text=True)
    right, wrong = done.stdout.split("\n")[:2]
    assert right == "", done.stderr
    assert "api_of_raw_env" in wrong


def test_what_is_finished_is_read_where_nobody_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(iterations: int) -> sg.Run:
        how: dict[str, Any] = {"directory": tmp_path / "run", "progress": False}
        return sg.train(sg.make("discrete_toy-v0"), "bchg", "soft_value_iteration", iterations=iterations, **how)

    run, results = train(3), cup().play(tmp_path / "cup", progress=False)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    monkeypatch.setattr(files, "is_read_only", lambda folder: True)
    assert train(3).history == run.history
    assert outcomes(cup().play(tmp_path / "cup", progress=False)) == outcomes(results)
    with pytest.raises(CheckpointError, match="cannot be written to; its run has 3 iterations"):
        train(4)
    larger = sg.Tournament("matrix-v0", "random_search", "soft_value_iteration", seeds=1, budget=60, references=False)
    with pytest.raises(StoreError, match="cannot be written to; 1 of 1 matches are not played yet"):
        larger.play(tmp_path / "cup", progress=False)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before

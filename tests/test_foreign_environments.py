"""Environments that nobody here wrote become games and train: those of the script whose package is installed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILE = Path(__file__).parent.parent / "examples" / "foreign_environments.py"
USUAL = {
    "tictactoe",
    "connect_four",
    "rps",
    "pistonball",
    "cooperative_pong",
    "knights_archers_zombies",
    "simple_tag",
    "simple_speaker_listener",
    "simple_push",
    "simple_adversary",
    "FrozenLake",
    "CliffWalking",
    "Taxi",
    "Blackjack",
    "CartPole",
    "MountainCar",
    "Pendulum",
    "Acrobot",
    "MiniGrid",
}
"""Those that need no more than the extra [test]."""


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("foreign_environments", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["foreign_environments"] = module
    spec.loader.exec_module(module)
    return module


SCRIPT: Any = loaded()


def test_at_least_twenty_are_tried_and_most_with_the_usual_packages() -> None:
    names = [foreign.name for foreign in SCRIPT.CHOSEN]
    assert len(set(names)) == len(names) >= 20
    assert set(names) > USUAL
    assert {foreign.name for foreign in SCRIPT.CHOSEN if foreign.name in USUAL and foreign.missing} == set()
    for foreign in SCRIPT.CHOSEN:
        assert "evolution_strategies" in foreign.leaders
        assert set(foreign.leaders) & {"bchg", "policy_gradient"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("foreign", SCRIPT.CHOSEN, ids=lambda foreign: foreign.name)
def test_a_foreign_environment_trains(foreign: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if foreign.missing is not None:
        pytest.skip(f"needs {foreign.missing}")
    monkeypatch.setattr(SCRIPT, "UPDATES", 1)
    monkeypatch.setattr(SCRIPT, "STAGES", 5)
    for leader in foreign.leaders[:2]:
        assert SCRIPT.learn(foreign, leader) > 0

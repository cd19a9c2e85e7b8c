"""The templates for adding a game pass the battery as they stand, and the one from arrays trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import stackelberg_games as sg
from stackelberg_games.cli import main
from stackelberg_games.conformance.locate import locate

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize(
    ("template", "skipped"),
    [("arrays", 3), ("batched", 5), ("plain_aec", 9)],
)
def test_a_template_passes_the_battery(template: str, skipped: int) -> None:
    result = CliRunner().invoke(
        main, ["check", str(EXAMPLES / f"new_game_{'from_' * (template == 'arrays')}{template}.py")]
    )
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1].endswith(f" 0 failed, {skipped} skipped")


def test_the_game_from_arrays_trains() -> None:
    game: Any = locate(str(EXAMPLES / "new_game_from_arrays.py"))()
    first, last = (value_after(game, iterations) for iterations in (1, 60))
    best = sg.exact.solve(game, temperature=0.2, starts=4).value
    assert first < 0.8 * best
    assert 0.9 * best < last <= best + 1e-9


def value_after(game: Any, iterations: int) -> float:
    follower = sg.make_follower("soft_value_iteration", temperature=0.2)
    leader = sg.make_leader("bchg", learning_rate=0.1)
    value = sg.train(game, leader, follower, iterations=iterations, episodes=20, seed=0).value
    assert value is not None
    return value

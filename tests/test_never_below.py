"""No leader is worth more than the optimum that is found: as stored for many games, and again for some of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import stackelberg_games as sg
from stackelberg_games import exact
from tests.configured_games import configured

STORED = json.loads((Path(__file__).parents[1] / "docs" / "data" / "never_below.json").read_text())["rows"]
RANDOM = {row["game"].split(":")[0]: row for row in STORED if row["game"].startswith("random ")}


def close(value: float) -> float:
    """What an optimiser may leave."""
    return 1e-6 * max(1.0, abs(value))


def test_no_leader_passed_a_stored_optimum() -> None:
    assert len(RANDOM) >= 49
    assert {row["game"]: row["above"] for row in STORED if row["above"] > close(row["value"])} == {}
    assert all(len(row["leaders"]) == 5 for row in STORED)


@pytest.mark.parametrize("number", [1, 2, 26])
def test_an_optimum_is_what_was_stored_and_no_ascent_passes_it(number: int) -> None:
    game, temperature = configured(number)
    found = exact.solve(game, temperature)
    assert found.value >= RANDOM[f"random {number}"]["value"] - close(found.value)
    follower = sg.make_follower("soft_value_iteration", temperature=temperature)
    leader = sg.make_leader("exact_gradient", learning_rate=0.3)
    run = sg.train(game, leader, follower, iterations=60, episodes=1, stages=5, evaluate_every=0, progress=False)
    assert run.value is not None
    assert run.value <= found.value + close(found.value)

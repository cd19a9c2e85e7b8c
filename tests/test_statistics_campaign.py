"""A share of the simulated tournaments of ``benchmarks/tournament_statistics.py``, and what all of them found."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
TOURNAMENTS = 60


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("campaign", ROOT / "benchmarks" / "tournament_statistics.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["campaign"] = module
    spec.loader.exec_module(module)
    return module


campaign = _module()
STORED: dict[str, Any] = json.loads((ROOT / "docs" / "data" / "tournament_statistics.json").read_text())
SHARE = [(number, cell) for number, cell in enumerate(campaign.grid()) if number % 37 == 5]


@pytest.mark.parametrize(("number", "cell"), SHARE, ids=[str(number) for number, _ in SHARE])
def test_intervals_cover_what_they_promise(number: int, cell: Any) -> None:
    record = campaign.study(cell, number, TOURNAMENTS)
    for name in campaign.STATISTICS:
        if record[name] is not None:
            assert record[name]["coverage"] >= campaign.least(record[name]["tournaments"]), name
            assert record[name]["width"] > 0


def test_every_cell_of_the_stored_campaign_covers() -> None:
    assert STORED["tournaments"] >= 1000
    assert [campaign.Cell(*(row[name] for name in campaign.Cell._fields)) for row in STORED["cells"]] == list(
        campaign.grid()
    )
    for row in STORED["cells"]:
        for name in campaign.STATISTICS:
            if row[name] is not None:
                assert row[name]["coverage"] >= campaign.least(row[name]["tournaments"]), (name, row)
    printed = {name: sum(row[name] is not None for row in STORED["cells"]) for name in campaign.STATISTICS}
    assert printed["score"] == printed["pairs"] == printed["profile"] == len(STORED["cells"])
    assert printed["median"] == len(STORED["cells"]) // 3  # ten seeds; with fewer it is called a range


def test_no_stored_headline_is_contradicted() -> None:
    found = STORED["headlines"]
    assert min(found["truncated"], found["whole"]) >= 1000
    assert found["winner"] + found["tied"] + found["divided"] == found["whole"]
    assert found["contradicted"] == found["named too early"] == 0
    assert found["winner"] > 100
    assert found["wrong"] <= 0.05 * found["whole"]


def test_headlines_of_random_tournaments() -> None:
    found = campaign.headlines(100, 40)
    assert found["contradicted"] == found["named too early"] == 0
    assert found["winner"] > 0
    assert found["truncated"] > 0


def test_the_check_of_headlines_can_fail() -> None:
    """It finds the leaders that a name picked at random does not beat."""
    draws = campaign.np.random.default_rng(5)
    for _ in range(10):
        results, _, _ = campaign.tournament(draws, False)
        ahead = {leader: campaign.contradictions(results, leader) for leader in results.leaders}
        assert sum(not behind for behind in ahead.values()) <= 1

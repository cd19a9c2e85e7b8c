"""The report of a sweep: what it says, that it is whole, and that nothing in it is cut or comes alive."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stackelberg_games.tournaments.evaluation import Evaluation
from stackelberg_games.tournaments.match import BEST, Outcome
from stackelberg_games.tournaments.sweep_report import render_sweep, write_sweep_report
from stackelberg_games.tournaments.sweep_results import SweepResults
from tests.browser import CHROMIUM, Page, chromium

FOLLOWER = "soft_value_iteration(temperature=0.05,sweeps=1000)"
HOSTILE = "<script>document.title = 'alive'</script>"


def example(hostile: str = "discrete_toy-v0") -> SweepResults:
    """Four points of a search with three seeds, one of them given up, one failed; the second is best."""
    points, outcomes = [], {}
    for number, level in enumerate((1.0, 5.0, 3.0, 0.0)):
        seeds = range(1 if number == 3 else 3)
        keys = [f"{number}-{seed}" for seed in seeds]
        for seed, key in zip(seeds, keys, strict=True):
            outcomes[key] = Outcome("done", "TRAJECTORIES", (Evaluation(BEST, level + 0.1 * seed),))
        rates = {"leader.learning_rate": 0.1 * (number + 1), "leader.name": hostile}
        facts = {"game": hostile, "leader": "bchg", "follower": FOLLOWER, "task": "t", "information": "TRAJECTORIES"}
        points.append({"values": rates, "keys": keys, **facts})
    outcomes["2-1"] = replace(outcomes["2-1"], status="failed", evaluations=(), error=hostile)
    outcomes |= {f"r{seed}": Outcome("done", "TRAJECTORIES", (Evaluation(BEST, 4.0 + seed),)) for seed in range(2)}
    plan = {"version": "1", "samples": 4, "sampler": "tpe", "pruner": "median", "trials": 4, "search_seed": 0}
    played = {"seeds": [0, 1, 2], "report_seeds": [3, 4], "reports": {"1": ["r0", "r1"]}}
    return SweepResults({"kind": "sweep", **plan, **played, "points": points}, outcomes)


def test_it_says_what_was_chosen_by_which_seeds_and_what_it_is_worth_on_others() -> None:
    page = render_sweep(example())
    assert "Chosen: leader.learning_rate = 0.2" in page
    assert "1 given up early (median), seeds for tuning: 0 to 2" in page
    assert "Seeds for reporting: 3, 4; none of them has chosen anything." in page
    assert "1 run failed" in page
    rows = re.findall(r'<tr class="([^"]*)"><th scope="row" class="wrapped">leader.learning_rate = ([0-9.]+),', page)
    assert rows[0] == ("s2 first", "0.2")
    assert rows[1] == ("s0 first", "0.2")
    assert [rate for _, rate in rows[2:]] == ["0.3", "0.1", "0.4"]
    assert page.count("<small>given up</small>") == 1


def test_its_tables_are_those_that_are_written(tmp_path: Path) -> None:
    found = example()
    links = dict(re.findall(r'download="([^"]+)" href="data:[a-z/]+;base64,([A-Za-z0-9+/=]+)"', render_sweep(found)))
    for path in found.save(tmp_path):
        if path.suffix == ".csv":
            assert base64.b64decode(links.pop(path.name)) == path.read_bytes()
    assert list(links) == ["data.json"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    pytest.importorskip("websocket", reason="websocket-client is not installed")
    with chromium(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_nothing_is_cut_and_no_name_comes_alive(page: Page, tmp_path: Path, width: int, scheme: str) -> None:
    write_sweep_report(example(HOSTILE), tmp_path / "report.html")
    page.open(tmp_path / "report.html", width, 844, scheme)
    assert page.problems == []
    assert page.run("document.title") == "Stackelberg sweep"
    assert page.run("document.documentElement.scrollWidth") <= width
    boxes = "[...document.querySelectorAll('table.stack')].map(table => table.parentNode)"
    assert page.run(f"{boxes}.filter(box => box.scrollWidth > box.clientWidth).length") == 0
    assert page.run("document.querySelectorAll('script').length") == 0

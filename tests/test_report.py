"""The report, as a browser and a reader meet it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from stackelberg_games.cli import main
from stackelberg_games.tournaments import report
from stackelberg_games.tournaments.charts import Level, Line, line_chart, number, ticks
from stackelberg_games.tournaments.download import downloads
from stackelberg_games.tournaments.export import tables
from stackelberg_games.tournaments.figures import write_figures
from stackelberg_games.tournaments.match import Outcome
from stackelberg_games.tournaments.report import _followers, render, write_report
from stackelberg_games.tournaments.results import Results
from tests.browser import CHROMIUM, Page, chromium
from tests.made_up import made_up


def example() -> Results:
    """Two games, five leaders in three classes, two followers, six seeds; a clear winner in each class."""
    levels = np.array([9.0, 2.0, 8.0, 5.0, 7.0])[None, :, None, None]
    noise = np.random.default_rng(0).normal(scale=0.3, size=(2, 5, 2, 6))
    return made_up(levels + noise)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(example(), path, "A made-up cup")
    return path


class Tags(HTMLParser):
    """Every tag with its attributes, and whether the tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_file_is_whole_and_needs_nothing_else(file: Path) -> None:
    page = Tags(file.read_text(encoding="utf-8"))
    assert page.open == []
    for tag, attributes in page.found:
        for name in ("src", "href", "action"):
            target = attributes.get(name)
            assert target is None or target.startswith(("#", "data:")), (tag, target)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", file.read_text(encoding="utf-8"))


def test_the_data_are_in_the_page(file: Path, tmp_path: Path) -> None:
    page = Tags(file.read_text(encoding="utf-8"))
    links = {a["download"]: str(a["href"]) for tag, a in page.found if tag == "a" and "download" in a}
    written = {name: base64.b64decode(link.partition(";base64,")[2]) for name, link in links.items()}
    for path in example().save(tmp_path):
        if path.suffix == ".csv":
            assert written.pop(path.name) == path.read_bytes()
    data = json.loads(written.pop("data.json"))
    assert not written
    assert [row["leader"] for row in data["overview"]] == [row["leader"] for row in tables(example())["overview"]]


def test_names_stay_harmless_in_links_and_large_tables_are_named() -> None:
    name = "'><script>alert(1)</script>=cmd()"
    small, data = downloads({"t": [{"a": name, "b": float("nan")}]}, {"t": ["a", "b"]})
    assert re.fullmatch(r"data:text/csv;base64,[A-Za-z0-9+/=]+", small.address or "")
    assert re.fullmatch(r"data:application/json;base64,[A-Za-z0-9+/=]+", data.address or "")
    assert json.loads(base64.b64decode(str(data.address).partition(",")[2])) == {"t": [{"a": name, "b": None}]}
    large, rest = downloads({"t": [{"a": "x" * 100}] * 20_000}, {"t": ["a"]})
    assert (large.address, large.size) == (None, 2_020)
    assert json.loads(base64.b64decode(str(rest.address).partition(",")[2])) == {}


def test_the_first_lines_answer_the_four_questions(file: Path) -> None:
    text = _words(file.read_text(encoding="utf-8"))
    for expected in (
        "l 0 wins: it reaches 90 %",
        "the next best, l 3, 50 %",
        "+0.398",
        "l 0 against l 3: 120 of 120 pairs of different seeds won, more than half of them on 4 of 4 tasks",
        "95 % interval 81 % to 100 %",
        "1,000",
        "transitions a match",
        "l 4 sees less (RETURNS) and scores higher",
    ):
        assert expected in text, expected


def _words(html: str) -> str:
    """What the head of the page says, without tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html.split("</header>")[0].split("</style>")[1])).split())


def test_a_tie_is_called_a_tie() -> None:
    noise = np.random.default_rng(1).normal(5.0, 1.0, size=(1, 2, 1, 6))
    text = _words(render(made_up(noise, classes=["TRAJECTORIES"])))
    assert "do not show that it beats" in text
    assert "Who won? nobody" in text
    assert "wins" not in text


def test_unfinished_failed_and_scoreless_tournaments_are_reported() -> None:
    whole = example()
    outcomes = {row.key: row.outcome for row in whole.rows if row.outcome}
    assert "No leader has a score yet" in render(Results(whole.plan, {}))
    outcomes["0-0-0-0"] = Outcome("failed", error="Traceback\n<b>boom & bust</b>")
    del outcomes["0-0-0-1"]
    html = render(Results(whole.plan, outcomes))
    assert "No winner yet: 46 of 48 matches of class TRAJECTORIES are finished (1 failed)." in _words(html)
    assert "Who won?" not in html
    assert "1 of 132 matches failed" in html
    assert "1 has not been played" in html
    assert "22 of 24<small>1 failed</small>" in html
    assert "&lt;b&gt;boom &amp; bust&lt;/b&gt;" in html


def test_settings_that_differ_and_games_with_nothing_to_gain_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = example()
    assert "Settings that leaders were given" not in render(whole)
    assert "next to nothing to gain" not in render(whole)
    leaders = [
        {**entry, "settings": {"pace": 0.125} if k == 2 else {}} for k, entry in enumerate(whole.plan["leaders"])
    ]
    outcomes = {row.key: row.outcome for row in whole.rows if row.outcome}
    html = render(Results({**whole.plan, "leaders": leaders}, outcomes))
    table = html.partition("Settings that leaders were given")[2].partition("</table>")[0]
    assert re.findall(r"<td>(.*?)</td>", table)[1::2] == ["default", "default", "0.125", "default", "default"]
    monkeypatch.setattr(report, "NEAR", 1.5)  # everything is next to nothing then
    assert render(whole).count("there is next to nothing to gain") == len(whole.games)


def test_tasks_that_some_leader_has_not_played_and_wrong_optima_are_said() -> None:
    whole = example()
    outcomes = {row.key: row.outcome for row in whole.rows if row.outcome and not row.key.startswith("1-0-1-")}
    assert "scores on 3 of 4 tasks" in render(Results(whole.plan, outcomes))
    assert "l 0 in g 0, l 0 in g 1: runs ended above the exact optimum" in render(made_up(np.full((2, 1, 1, 3), 10.5)))


def test_followers_are_compared_over_the_matches_that_all_have_finished() -> None:
    whole = example()
    outcomes = {row.key: row.outcome for row in whole.rows if row.outcome and not row.key.startswith("1-0-1-")}
    first, second = _followers(Results(whole.plan, outcomes))
    shared = np.delete(whole.payoffs("follower", "as trained")[:, :, 0].reshape(10, 6), 5, axis=0)  # not g 1, l 0
    assert first["payoff"] == pytest.approx(shared.mean())
    assert first["gap"] == second["gap"] == pytest.approx(0.3)


def test_one_seed_and_one_leader_are_reported() -> None:
    html = render(made_up(np.full((1, 1, 1, 1), 5.0)))
    assert "reaches 50 % of what there is to gain" in _words(html)
    assert "from the lowest run to the highest" in html
    assert "nan" not in re.sub(r"data-sort=\"[^\"]*\"", "", html.split("<script>")[0].split("</style>")[1])


def test_the_report_is_reproducible(file: Path) -> None:
    assert render(example(), "A made-up cup") == file.read_text(encoding="utf-8")


def test_every_figure_is_written_twice(tmp_path: Path) -> None:
    files = write_figures(example(), tmp_path)
    names = {path.stem for path in files}
    assert names >= {
        "leaderboard",
        "cost",
        "robustness",
        "pairs_trajectories",
        "profile_trajectories",
        "payoff_g_0",
        "regret_g_1",
        "learning_g_0",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{name}.{s}" for name in names for s in ("png", "svg")
    )
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in files if path.suffix == ".png")
    assert all(b"<svg" in path.read_bytes()[:400] for path in files if path.suffix == ".svg")


def test_report_says_what_is_missing(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert result.exit_code == 1
    assert "holds no results" in result.output


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.000"),
        (-0.00001, "0.000"),
        (27.3156, "27.32"),
        (-1.5, "\u22121.500"),
        (0.4808, "0.481"),
        (12345.6, "12,346"),
        (None, "\u2013"),
        (float("nan"), "\u2013"),
    ],
)
def test_numbers_are_written_for_readers(value: float | None, text: str) -> None:
    assert number(value) == text


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0.0, 1.0) == [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
    assert ticks(-0.3, 27.9) == [0.0, 10.0, 20.0]
    assert ticks(1e-9, 5e-9)[0] >= 1e-9


def test_a_chart_without_data_says_so_and_a_flat_one_has_a_scale() -> None:
    empty = np.empty(0)
    assert "no data" in line_chart([Line("a", 0, empty, empty, empty, empty)], x_label="x", y_label="y")
    x, flat = np.array([1.0, 2.0]), np.array([3.0, 3.0])
    drawn = line_chart([Line("<a>", 9, x, flat, flat, flat)], [Level("top", 4.0, "optimum")], x_label="x", y_label="y")
    assert "nan" not in drawn.replace("data-chart", "")
    assert "<a>" not in drawn
    assert 'class="line s1 d1"' in drawn


needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    pytest.importorskip("websocket", reason="websocket-client is not installed")
    with chromium(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def _tip(page: Page) -> str:
    assert page.run("document.getElementById('tip').classList.contains('on')")
    return str(page.run("document.getElementById('tip').textContent"))


@needs_browser
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (1200, "dark"), (390, "light"), (390, "dark")])
def test_it_loads_without_complaint_at_every_width(page: Page, file: Path, width: int, scheme: str) -> None:
    page.open(file, width, 844, scheme)
    assert page.problems == []
    assert page.run("document.documentElement.scrollWidth") <= width
    listed = "[...document.querySelectorAll('table.stack')].map(table => table.parentNode)"
    assert page.run(f"{listed}.length") >= 3
    assert page.run(f"{listed}.filter(box => box.scrollWidth > box.clientWidth).length") == 0  # no column is cut
    assert page.run("document.querySelectorAll('svg.chart').length") == 2 * 2 + 2
    text, ground = (page.run(f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor"))
    bright = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (text, ground)]
    assert (bright[0] < bright[1]) == (scheme == "light")


@needs_browser
def test_tables_sort_both_ways_by_number_and_by_name(page: Page, file: Path) -> None:
    page.open(file)
    cells = "[...document.querySelector('#cost tbody').rows].map(r => r.cells[{}].textContent.trim())"
    before = page.run(cells.format(0))
    head = "document.querySelectorAll('#cost thead th')[{}]"
    page.run(head.format(0) + ".click()")
    names = page.run(cells.format(0))
    assert names == sorted(before)
    page.run(head.format(0) + ".click()")
    assert page.run(cells.format(0)) == sorted(before, reverse=True)
    scores = "[...document.querySelector('.board tbody').rows].map(r => Number(r.cells[2].dataset.sort))"
    score = "document.querySelectorAll('.board thead th')[2]"
    page.run(f"{score}.click()")
    assert page.run(scores) == sorted(page.run(scores), reverse=True)
    assert page.run(f"{score}.getAttribute('aria-sort')") == "descending"
    page.run(f"{score}.dispatchEvent(new KeyboardEvent('keydown', {{key: 'Enter'}}))")
    assert page.run(scores) == sorted(page.run(scores))
    assert page.problems == []


@needs_browser
def test_hovering_shows_values(page: Page, file: Path) -> None:
    page.open(file)
    page.hover(".heat.payoff td.cell[data-tip]", 0)
    assert "exact optimum against f 0: 10.00" in _tip(page)
    page.hover(".board .range[data-tip]")
    assert re.search(r"l 0: 0\.\d{4}, 95 % interval 0\.\d{4} to 0\.\d{4}", _tip(page))
    page.hover("svg.chart")
    shown = _tip(page)
    assert shown.startswith("transitions ")
    for name in ("l 0", "l 4", "exact optimum 10", "uniform random 0"):
        assert name in shown
    assert page.run("document.querySelector('svg.chart .cursor').style.visibility") == "visible"
    page.hover("h2")
    assert not page.run("document.getElementById('tip').classList.contains('on')")
    assert page.problems == []

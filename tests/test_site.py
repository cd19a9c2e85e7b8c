"""The site in a browser: nothing is cut, on a desk and on a phone, by day and by night."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.browser import CHROMIUM, Page, chromium

ROOT = Path(__file__).parents[1]
PAGES = (
    "index.html",
    "games/discrete_toy-v0.html",
    "leaders/bchg.html",
    "tutorials/train_and_look.html",
    "results.html",
    "standard_results.html",
    "preferences.html",
    "mathematics.html",
)
CUT = """(width => {
  const found = [], wide = document.documentElement.scrollWidth
  if (wide > width) found.push('the page is ' + wide + ' wide')
  for (const part of document.querySelectorAll('.md-content :is(math, table, pre, img, svg, p, li, h1, h2, h3)')) {
    const box = part.getBoundingClientRect()
    if (!box.width || !box.height) continue
    let around = part.parentElement, scrolls = false
    for (; around && !scrolls; around = around.parentElement)
      scrolls = ['auto', 'scroll'].includes(getComputedStyle(around).overflowX)
    if (!scrolls && (box.right > width + 1 || box.left < -1))
      found.push(part.localName + ' from ' + box.left + ' to ' + box.right + ': ' + part.textContent.slice(0, 60))
  }
  return found
})"""
"""What reaches beyond a width, and is not in a box that scrolls; a phone's own ``innerWidth`` grows with what it shows."""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once for all processes of the tests."""
    for module in ("mkdocs", "material", "mkdocstrings_handlers.python", "latex2mathml"):
        if importlib.util.find_spec(module.partition(".")[0]) is None:
            pytest.skip("the site needs the extra: pip install -e '.[docs]'")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if base.name.startswith("popen") else base  # where the processes of xdist have theirs
    with FileLock(shared / "site.lock"):
        if not (shared / "site").exists():
            command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(shared / "site")]
            built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            (shared / "site.log").write_text(f"{built.returncode}\n{built.stdout}{built.stderr}")
    return shared / "site"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    pytest.importorskip("websocket", reason="websocket-client is not installed")
    with chromium(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def show(page: Page, file: Path, width: int, height: int, scheme: str) -> None:
    """Open a page in a scheme, whatever was chosen on another page of the site."""
    page.open(file, width, height, scheme)
    page.run("localStorage.clear()")
    page.open(file, width, height, scheme)


def test_the_site_builds_without_a_warning(site: Path) -> None:
    status, _, said = (site.parent / "site.log").read_text().partition("\n")
    assert status == "0", said
    remote = re.compile(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="https?://', re.IGNORECASE)
    pages = list(site.rglob("*.html"))
    assert pages
    assert [page.name for page in pages if remote.search(page.read_text())] == []


LINKS = "# A page\n\n[itself](#a-page), [another](other.md)\n"
ENTRY = "# A page\n\n[an entry][stackelberg_games.frames.frame]\n\n::: stackelberg_games.frames\n"


def build(folder: Path, text: str) -> None:
    """Build a site of two pages as the site is built, but for what hooks write into it; raises where it has a warning."""
    config = pytest.importorskip("mkdocs.config", reason="the site needs the extra: pip install -e '.[docs]'")
    (folder / "docs").mkdir()
    (folder / "docs" / "index.md").write_text(text)
    (folder / "docs" / "other.md").write_text("# Another\n")
    (folder / "mkdocs.yml").write_text(
        f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: docs\nsite_dir: site\nhooks: []\nnav: [index.md, other.md]\n"
    )
    loaded = config.load_config(str(folder / "mkdocs.yml"))
    assert loaded.strict
    loaded.plugins.on_startup(command="build", dirty=False)
    importlib.import_module("mkdocs.commands.build").build(loaded)


@pytest.mark.parametrize("text", [LINKS, ENTRY], ids=["links", "entry"])
def test_a_page_without_a_fault_builds(tmp_path: Path, text: str) -> None:
    build(tmp_path, text)
    assert "A page" in (tmp_path / "site" / "index.html").read_text()


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (LINKS, "(other.md)", "(nobody.md)"),
        (LINKS, "(#a-page)", "(#nowhere)"),
        (LINKS, "(other.md)", "(/other.html)"),
        (ENTRY, "[stackelberg_games.frames.frame]", "[stackelberg_games.frames.nothing]"),
    ],
    ids=["page", "anchor", "absolute", "entry"],
)
def test_a_planted_fault_fails_the_build(tmp_path: Path, text: str, old: str, new: str) -> None:
    abort = pytest.importorskip("mkdocs.exceptions", reason="the site needs the extra: pip install -e '.[docs]'").Abort
    assert text.count(old) == 1
    with pytest.raises(abort, match="Aborted with 1 warning"):
        build(tmp_path, text.replace(old, new))


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut(site: Path, page: Page, width: int, height: int, scheme: str) -> None:
    for name in PAGES:
        show(page, site / name, width, height, scheme)
        assert page.run(f"{CUT}({width})") == [], name
        light = page.run(
            "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0)"
        )
        assert (light > 3 * 128) == (scheme == "light"), name
        if name.startswith(("games/", "leaders/")):
            assert page.run("document.querySelector('.md-content pre').getBoundingClientRect().bottom") < height, name


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize(
    "planted",
    [
        "<p style='width: 500px'>wide</p>",
        "<math><mrow><mi style='padding-left: 600px'>x</mi></mrow></math>",
        "<div style='overflow: hidden'><pre style='width: 600px'>cut off</pre></div>",
    ],
)
def test_what_is_cut_is_seen(site: Path, page: Page, planted: str) -> None:
    show(page, site / "index.html", 390, 844, "light")
    page.run(f"document.querySelector('.md-content h1').insertAdjacentHTML('afterend', {planted!r})")
    assert page.run(f"{CUT}(390)")

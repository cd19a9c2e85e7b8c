"""The notebooks of the tutorials: well formed, run from the first cell to the last, and printing what they say."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import pytest

from tests.test_docs import DOCS, _hook

nbformat = pytest.importorskip("nbformat", reason="needs the extra [notebooks]")
nbclient = pytest.importorskip("nbclient", reason="needs the extra [notebooks]")
pytest.importorskip("ipykernel", reason="needs the extra [notebooks]")
pytest.importorskip("mkdocs", reason="needs the extra [docs]")
pytest.importorskip("pandas", reason="needs the extra [frames]")

HOOK = _hook("notebooks")
PAGES: dict[str, str] = HOOK.tutorials(DOCS)


def printed(cell: Any) -> str:
    return "".join(out["text"] for out in cell.get("outputs", []) if out["output_type"] == "stream")


def test_every_tutorial_has_a_notebook() -> None:
    pages = {page.stem for page in (DOCS / "tutorials").glob("*.md")} - {"index"}
    assert {Path(path).stem for path in PAGES} == pages


@pytest.mark.parametrize("path", sorted(PAGES))
def test_a_notebook_runs_and_prints_what_it_says(path: str, tmp_path: Path) -> None:
    made = nbformat.from_dict(HOOK.notebook(PAGES[path]))
    nbformat.validate(made)
    said = [printed(cell) for cell in made.cells]
    assert any(said)
    prose = "".join(cell.source for cell in made.cells if cell.cell_type == "markdown")
    assert ".md)" not in prose
    client = nbclient.NotebookClient(made, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    checker = doctest.OutputChecker()
    for number, (cell, text) in enumerate(zip(made.cells, said, strict=True)):
        if text:
            assert checker.check_output(text, printed(cell), doctest.ELLIPSIS), f"cell {number}: {printed(cell)!r}"

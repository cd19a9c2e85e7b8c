"""Every tutorial is a notebook too: written from its page when the site is built.

A block of Python becomes a cell, the text block that follows it the cell's output, and all else Markdown. Links between pages
are left out, since a notebook lies elsewhere; pictures too, which its cells draw.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

FOLDER = "tutorials"
_CODE = re.compile(r"^```python\n(?P<code>.*?)^```$(?:\n\s*```text\n(?P<output>.*?)^```$)?", re.DOTALL | re.MULTILINE)
_PICTURE = re.compile(r"^!\[[^\n]*\n", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]+\)")


def notebook(page: str) -> dict[str, Any]:
    """A page as a notebook in the form 4.5, without outputs that were not printed on the page."""
    cells: list[dict[str, Any]] = []
    end = 0
    for match in _CODE.finditer(page):
        cells += _prose(page[end : match.start()])
        printed = match["output"]
        outputs = [] if printed is None else [{"name": "stdout", "output_type": "stream", "text": printed}]
        code = {"cell_type": "code", "source": match["code"].rstrip("\n"), "execution_count": None, "outputs": outputs}
        cells.append({**code, "metadata": {}})
        end = match.end()
    cells += _prose(page[end:])
    numbered = [{"id": f"cell-{number}", **cell} for number, cell in enumerate(cells)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": numbered, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def _prose(text: str) -> list[dict[str, Any]]:
    told = _LINK.sub(r"\1", _PICTURE.sub("", text)).strip()
    return [{"cell_type": "markdown", "source": told, "metadata": {}}] if told else []


def tutorials(docs: Path) -> dict[str, str]:
    """Pages by the path of their notebook, those that have code."""
    pages = {file: file.read_text() for file in sorted((docs / FOLDER).glob("*.md"))}
    return {f"{FOLDER}/{file.stem}.ipynb": text for file, text in pages.items() if _CODE.search(text)}


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Add the notebooks to the site."""
    for path, page in tutorials(Path(config["docs_dir"])).items():
        files.append(File.generated(config, path, content=json.dumps(notebook(page), indent=1)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Name the notebook at the end of its page."""
    if not page.file.src_uri.startswith(f"{FOLDER}/") or not _CODE.search(markdown):
        return markdown
    return f"{markdown}\n\nThis page [as a notebook]({Path(page.file.src_uri).stem}.ipynb).\n"

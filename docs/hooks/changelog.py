"""The changelog as a page: ``docs/changelog.md`` is the file of the checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MARK = "<!-- changelog -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the mark by everything but the title."""
    text = (Path(__file__).parents[2] / "CHANGELOG.md").read_text()
    return markdown.replace(MARK, text.partition("\n")[2])

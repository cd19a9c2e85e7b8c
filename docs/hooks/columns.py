"""Put what the columns of tables mean into hand-written pages, read off the code.

A line ``<!-- columns: tournaments -->`` becomes the tables of a tournament, ``sweeps`` those of a sweep.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackelberg_games.tournaments import export
from stackelberg_games.tournaments.sweep_results import SWEEP_COLUMNS


def described(tables: Mapping[str, Mapping[str, str]]) -> str:
    """Every table with its columns, as Markdown."""
    parts = []
    for name, columns in tables.items():
        rows = "\n".join(f"| `{column}` | {meaning} |" for column, meaning in columns.items())
        parts.append(f"**`{name}`**\n\n| column | meaning |\n|---|---|\n{rows}")
    return "\n\n".join(parts)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks of a page."""
    tables = {"tournaments": export.COLUMNS, "sweeps": SWEEP_COLUMNS}
    for name, columns in tables.items():
        markdown = markdown.replace(f"<!-- columns: {name} -->", described(columns))
    return markdown

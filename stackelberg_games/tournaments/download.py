"""The data of a report, in the page itself: links that hold files, as CSV and as JSON."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from stackelberg_games import files

LARGEST = 1_000_000
"""Bytes of a file that is put into a page."""
KINDS = {"csv": "text/csv", "json": "application/json"}


class Download(NamedTuple):
    """A file in a link.

    Attributes:
        name: of the file.
        size: in kilobytes, at least 1.
        address: a ``data:`` URL; its letters are those of base64, whatever the file holds. None where the file is too large.
    """

    name: str
    size: int
    address: str | None


def downloads(
    tables: Mapping[str, Sequence[Mapping[str, Any]]], columns: Mapping[str, Collection[str]]
) -> list[Download]:
    """Every table as CSV, and all of those that are not too large as one JSON file, ``data.json``.

    Args:
        tables: rows by table.
        columns: by table, in order.
    """
    found, kept = [], {}
    for name, rows in tables.items():
        heads = list(columns[name])
        values = [[row.get(column) for column in heads] for row in rows]
        written = _download(f"{name}.csv", files.csv_bytes(heads, values))
        found.append(written)
        if written.address is not None:
            kept[name] = [dict(zip(heads, map(_plain, row), strict=True)) for row in values]
    text = json.dumps(kept, separators=(",", ":"), allow_nan=False)
    return [*found, _download("data.json", text.encode())]


def _download(name: str, content: bytes) -> Download:
    kind = KINDS[name.rpartition(".")[2]]
    address = f"data:{kind};base64,{base64.b64encode(content).decode()}" if len(content) <= LARGEST else None
    return Download(name, max(1, round(len(content) / 1000)), address)


def _plain(value: Any) -> Any:
    """NaN and infinities, which JSON lacks, as null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value

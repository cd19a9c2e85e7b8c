"""Draw the rooms of the package and which of them import which, read off the code when the site is built.

A line ``<!-- rooms: drawing -->`` becomes the drawing, ``<!-- rooms: table -->`` what each room holds.
"""

from __future__ import annotations

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGE = "stackelberg_games"
EVERYWHERE = {"arrays", "errors", "_version"}
"""Files that every room may import; their arrows would say nothing."""
WIDTH, BOX, HEIGHT, GAP = 720, 126, 34, 38


def rooms() -> dict[str, list[Path]]:
    """Files of every room."""
    found: dict[str, list[Path]] = {}
    for path in sorted(ROOT.joinpath(PACKAGE).iterdir()):
        if path.is_dir() and (path / "__init__.py").exists():
            found[path.name] = sorted(path.resolve().rglob("*.py"))
        elif path.suffix == ".py" and not path.stem.startswith("_") and path.stem not in EVERYWHERE:
            found[path.stem] = [path]
    return found


@cache
def arrows() -> dict[str, set[str]]:
    """Rooms that each room imports anywhere, lazily too."""
    names = rooms()
    found: dict[str, set[str]] = {name: set() for name in names}
    for name, files in names.items():
        for file in files:
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
                    parts = [*str(node.module).split("."), *(alias.name for alias in node.names)]
                    found[name] |= {parts[1]} & names.keys() - {name}
    return found


def layers() -> list[list[str]]:
    """Rooms by the length of the longest way down, the ones that import nothing last."""
    graph, depth = arrows(), {}
    for name in TopologicalSorter(graph).static_order():
        depth[name] = 1 + max((depth[below] for below in graph[name]), default=-1)
    return [sorted(name for name in graph if depth[name] == level) for level in range(max(depth.values()), -1, -1)]


def direct() -> dict[str, set[str]]:
    """Arrows without those that a longer way says too."""
    graph = arrows()

    def reached(name: str) -> set[str]:
        return graph[name].union(*map(reached, graph[name]))

    return {name: below - set().union(*map(reached, below)) for name, below in graph.items()}


def drawing() -> str:
    """The rooms as boxes in rows, every arrow pointing down."""
    places: dict[str, tuple[float, float]] = {}
    rows = layers()
    for level, row in enumerate(rows):
        above = {
            name: [places[up][0] for up, below in direct().items() if name in below and up in places] for name in row
        }
        row = sorted(row, key=lambda name: sum(above[name]) / len(above[name]) if above[name] else 0.0)
        for number, name in enumerate(row):
            places[name] = (WIDTH * (number + 1) / (len(row) + 1), 8 + level * (HEIGHT + GAP))
    lines, boxes = [], []
    for name, (x, y) in places.items():
        for below in sorted(direct()[name]):
            end, top = places[below]
            middle = (y + HEIGHT + top) / 2
            lines.append(
                f'<path d="M{x:.0f} {y + HEIGHT} C{x:.0f} {middle:.0f} {end:.0f} {middle:.0f} {end:.0f} {top - 5}"/>'
            )
        boxes.append(
            f'<rect x="{x - BOX / 2:.0f}" y="{y}" width="{BOX}" height="{HEIGHT}" rx="5"/>'
            f'<text x="{x:.0f}" y="{y + HEIGHT / 2 + 4.5}">{name}</text>'
        )
    size = f'viewBox="0 0 {WIDTH} {16 + len(rows) * (HEIGHT + GAP) - GAP}"'
    head = '<marker id="tip" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    return (
        f'<svg class="rooms" role="img" aria-label="Rooms of the package and their imports" {size}>'
        f'<defs>{head}<path d="M0 0L8 4L0 8z"/></marker></defs>'
        f'<g class="arrows" marker-end="url(#tip)">{"".join(lines)}</g><g class="boxes">{"".join(boxes)}</g></svg>'
    )


def table() -> str:
    """What each room holds, by the first line of its text."""
    lines = ["| room | files | it holds |", "|---|---|---|"]
    for name in (name for row in layers() for name in row):
        files = rooms()[name]
        text = ast.get_docstring(ast.parse(next(f for f in files if f.stem in ("__init__", name)).read_text())) or ""
        lines.append(f"| `{name}` | {len(files)} | {text.partition(chr(10))[0].rstrip('.')} |")
    return "\n".join(lines)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in the marks of a page."""
    for mark, made in (("<!-- rooms: drawing -->", drawing), ("<!-- rooms: table -->", table)):
        if mark in markdown:
            markdown = markdown.replace(mark, made())
    return markdown

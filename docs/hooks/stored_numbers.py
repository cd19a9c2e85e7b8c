"""Put stored measurements into hand-written pages.

A line ``<!-- stored: NAME -->`` is replaced: ``performance/rollout`` by what that benchmark printed,
``results/discrete_toy`` by the table of that study.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from tables import stored

_MARK = re.compile(r"^<!-- stored: (\w+)/(\w+) -->$", re.MULTILINE)


def performance(name: str) -> str:
    """A benchmark's output with its command."""
    entry = stored("performance")[name]
    where = f"Python {entry['python']}, {entry['processor']}, {entry['date']}"
    return f"```text\n$ {entry['command']}\n\n{entry['output']}\n```\n\n<small>{where}.</small>"


def results(name: str) -> str:
    """Final values of a study by leader, one table for each case."""
    data = stored(name)
    parts = []
    for case in data["cases"]:
        lines = [
            f"**{case['title']}**, exact optimum {case['optimum']:.4f}",
            "",
            "| leader | class | interquartile mean | 95 % interval | worst seed | seeds within 1 % |",
            "|---|---|---|---|---|---|",
        ]
        for row in case["rows"]:
            low, high = row["interval"]
            lines.append(
                f"| [`{row['leader']}`](leaders/{row['leader']}.md) | `{row['information']}` | {row['iqm']:.3f} "
                f"| {low:.3f} to {high:.3f} | {row['worst']:.3f} | {row['near']} of {row['seeds']} |"
            )
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, f"<small>Stored by `{data['command']}`, {data['date']}.</small>"])


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks of a page."""
    makers = {"performance": performance, "results": results}
    return _MARK.sub(lambda match: makers[match[1]](match[2]), markdown)

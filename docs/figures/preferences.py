"""Table and figure of ``stackelberg reproduce preference`` for the documentation, from the folder that it wrote.

Run with ``python docs/figures/preferences.py runs/reproduce/preference``.
"""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path

from style import IMAGES

from stackelberg_games.reproductions import load
from stackelberg_games.reproductions.judged import FILE, HEADERS, draw_judged, lines, read

DATA = Path(__file__).parents[1] / "data" / "preferences.json"


def main() -> None:
    """Store the lines of the table, and draw."""
    rows = read(Path(sys.argv[1]) / FILE)
    command = "stackelberg reproduce preference"
    content = {"command": command, "date": date.today().isoformat(), "headers": list(HEADERS), "lines": lines(rows)}
    DATA.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draw_judged(load("preference"), rows, [IMAGES / "reproduce_preference.png"])


if __name__ == "__main__":
    main()

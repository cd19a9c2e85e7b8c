"""Store what ``stackelberg reproduce literature`` left in a folder. Run with ``python docs/figures/literature.py FOLDER``."""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path

from PIL import Image
from style import IMAGES

DATA = Path(__file__).parent.parent / "data" / "literature.json"
KEPT = ("setting", "leader", "information", "seeds", "failures", "optimum", "shares", "final")


def main(folder: str = "runs/reproduce/literature") -> None:
    """The numbers at the end of every run for the table, and the picture."""
    done = json.loads((Path(folder) / "results.json").read_text())
    rows = [
        {**{name: row[name] for name in KEPT}, "start": row["mean"][0], "mean": row["mean"][-1:]}
        for row in done["rows"]
    ]
    seeds = max(row["seeds"] for row in rows)
    facts = {"command": f"stackelberg reproduce literature --seeds {seeds}", "date": str(datetime.date.today())}
    DATA.write_text(json.dumps({"version": done["version"], **facts, "rows": rows}, indent=1) + "\n")
    picture = Image.open(Path(folder) / "literature.png").convert("RGB")
    picture.quantize(255).save(IMAGES / "reproduce_literature.png", optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

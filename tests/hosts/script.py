"""Trains, resumes, plays a tournament and writes its report; prints a digest of the numbers."""

import hashlib
import json
import sys
from pathlib import Path

import stackelberg_games as sg
from stackelberg_games.tournaments import tournament_file

SPEC = """
[tournament]
seeds = 2
budget = 300
points = 2
[[game]]
id = "matrix-v0"
label = "Münzwurf"
[[leader]]
id = "bchg"
[[leader]]
id = "random_search"
[[follower]]
id = "soft_value_iteration"
temperature = 0.1
"""


def main(out: Path) -> None:
    """Everything, in a folder."""
    game = sg.make("discrete_toy-v0", horizon=20)
    for iterations in (3, 5):  # the second goes on from the first
        folder = out / "run"
        run = sg.train(game, "bchg", "soft_value_iteration", iterations=iterations, directory=folder, progress=False)
    file = out / "cup.toml"
    file.write_text("\ufeff" + SPEC, encoding="utf-8")  # as some editors write it
    cup = tournament_file.load(file)
    results = cup.play(out / "cup", progress=False)
    results.save(out / "cup")
    results.report(out / "report.html")
    again = sg.Results.load(out / "cup")
    table = (out / "cup" / "results.csv").read_bytes()
    facts = [run.history, run.value, [row.outcome.to_json() for row in again.rows], table.hex()]
    print("digest", hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16])


if __name__ == "__main__":
    main(Path(sys.argv[1]))

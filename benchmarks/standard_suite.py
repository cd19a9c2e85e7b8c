"""The standard suite as it was played into a folder, for its page: scores by game, standings, and what it took.

    stackelberg tournament --suite standard --out runs/standard
    python benchmarks/standard_suite.py runs/standard

Leaders that are dear are played into the same folder with ``--leader``, one command more, and join the page as such.
"""

from __future__ import annotations

import argparse
import json
from datetime import date
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from stackelberg_games.tournaments import tournament_file
from stackelberg_games.tournaments.export import tables
from stackelberg_games.tournaments.results import Results
from stackelberg_games.tournaments.store import Store
from stackelberg_games.tournaments.suites import suite

DATA, PICTURE = Path("docs/data/standard_suite.json"), Path("docs/images/standard_suite.png")
APART = ("stackelberg_actor_critic", "lola")
"""Leaders whose updates take some ten times those of the others."""
RIVAL = "random_search"


def load(folder: Path, seeds: int) -> Results:
    """Everybody who was played into the folder; nothing is played here.

    Raises:
        SystemExit: a match of the suite itself is missing.
    """
    _, text = suite("standard")
    own = [leader.label for leader in tournament_file.parse(text).leaders]
    for leaders in ([*own, *APART], own):
        planned = tournament_file.parse(text, {"seeds": seeds}, leaders=leaders)
        results = Results(planned.plan(), kept(planned.matches, folder))
        if not results.missing:
            return results
    raise SystemExit(f"{results.missing} of {len(results.rows)} matches are not played")


def kept(matches: Any, folder: Path) -> Any:
    """Stored outcomes by key."""
    with Store(folder) as store:
        return store.outcomes([match.key for match in matches])


def by_game(results: Results, leader: str) -> dict[str, float]:
    """Mean score in every game, over followers and seeds."""
    scores = results.score_table(leader)
    games = [results.games[game] for game, _ in results.tasks]
    return {
        game: float(np.mean([row for row, of in zip(scores, games, strict=True) if of == game]))
        for game in results.games
    }


def summary(results: Results) -> dict[str, Any]:
    """What the page shows."""
    rows = tables(results)
    cpu = {leader: results.costs(leader)["cpu_seconds"] for leader in results.leaders}
    leaders = [
        {
            **{
                name: row[name]
                for name in ("leader", "information", "rank", "score", "low", "high", "follower_transitions")
            },
            "cpu_seconds": cpu[row["leader"]],
            "apart": row["leader"] in APART,
            "games": by_game(results, row["leader"]),
        }
        for row in rows["overview"]
    ]
    rival = [results.versus(RIVAL, leader) for leader in results.leaders if leader != RIVAL]
    spent = {True: 0.0, False: 0.0}
    for row in results.rows:
        assert row.outcome is not None
        spent[row.leader in APART] += row.outcome.cpu_seconds
    return {
        "command": "stackelberg tournament --suite standard --out runs/standard",
        "suite": suite("standard")[0],
        "date": date.today().isoformat(),
        "seeds": len(results.seeds),
        "matches": len(results.rows),
        "failed": len(results.failures),
        "cpu_seconds": spent[False],
        "cpu_seconds_apart": spent[True],
        "games": results.games,
        "followers": results.followers,
        "leaders": leaders,
        "random_search": {
            found.other: {
                shown: sorted({t.game for t in found.tasks if t.shown == shown}, key=results.games.index)
                for shown in ("better", "worse")
            }
            for found in rival
        },
    }


def draw(data: dict[str, Any], file: Path) -> None:
    """Scores by leader and game, as colours and numbers."""
    mpl.use("agg")
    from matplotlib.figure import Figure

    table = np.array([[row["games"][game] for game in data["games"]] for row in data["leaders"]])
    figure = Figure(figsize=(9, 0.42 * len(table) + 1.7), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.imshow(np.clip(table, 0, 1), cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (row, column), score in np.ndenumerate(table):
        ink = "white" if score < 0.5 else "black"
        axes.text(column, row, f"{score:.2f}", ha="center", va="center", fontsize=8, color=ink)
    axes.set_xticks(range(table.shape[1]), data["games"], rotation=35, ha="right")
    names = [f"{row['leader']}{' *' if row['apart'] else ''}" for row in data["leaders"]]
    axes.set_yticks(range(len(table)), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    file.parent.mkdir(exist_ok=True)
    figure.savefig(file, dpi=150)


def main() -> None:
    """Load, store, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    data = summary(load(options.folder, options.seeds))
    DATA.write_text(json.dumps(data, indent=1) + "\n")
    draw(data, PICTURE)
    print(
        f"{data['matches']} matches, {data['failed']} failed, {data['cpu_seconds']:.0f} s of processor time: {DATA}, {PICTURE}"
    )


if __name__ == "__main__":
    main()

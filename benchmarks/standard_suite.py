"""The standard suite as it was played into a folder, for its page: scores by game, standings, and what it took.

    stackelberg tournament --suite standard --out runs/standard
    python benchmarks/standard_suite.py runs/standard

Leaders that are dear, and those that cannot play all games, are played into the same folder, a command more for each:

    stackelberg tournament --suite standard --out runs/standard --leader bchg --leader stackelberg_actor_critic --leader lola
    stackelberg tournament --suite standard --out runs/standard --leader bchg --leader twin_followers \\
        --game "deceptive start" ...
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from stackelberg_games.tournaments import tournament_file
from stackelberg_games.tournaments.charts import UNKNOWN
from stackelberg_games.tournaments.export import tables
from stackelberg_games.tournaments.results import Results
from stackelberg_games.tournaments.store import Store
from stackelberg_games.tournaments.suites import suite

DATA, PICTURE = Path("docs/data/standard_suite.json"), Path("docs/images/standard_suite.png")
APART = ("stackelberg_actor_critic", "lola")
"""Leaders whose updates take some ten times those of the others."""
PARTIAL = {"twin_followers": ("short-sighted follower",)}
"""Leaders that cannot play some of the games."""
RIVAL, BESIDE = "random_search", "bchg"


def load(folder: Path, seeds: int) -> tuple[Results, dict[str, Results]]:
    """Everybody who was played into the folder, and the leaders of some games by themselves; nothing is played here.

    Raises:
        SystemExit: a match is missing.
    """
    _, text = suite("standard")
    planned = tournament_file.parse(text)
    labels = [game.label for game in planned.games]
    whole = read(folder, text, seeds, [*(leader.label for leader in planned.leaders), *APART], labels)
    return whole, {
        leader: read(folder, text, seeds, [leader, BESIDE, RIVAL], [label for label in labels if label not in left_out])
        for leader, left_out in PARTIAL.items()
    }


def read(folder: Path, text: str, seeds: int, leaders: Sequence[str], games: Sequence[str]) -> Results:
    """Stored results of some leaders in some games."""
    planned = tournament_file.parse(text, {"seeds": seeds}, leaders=leaders, games=games)
    results = Results(planned.plan(), kept(planned.matches, folder))
    if results.missing:
        raise SystemExit(f"{results.missing} of {len(results.rows)} matches of {', '.join(leaders)} are not played")
    return results


def kept(matches: Any, folder: Path) -> Any:
    """Stored outcomes by key."""
    with Store(folder) as store:
        return store.outcomes([match.key for match in matches])


def by_game(results: Results, leader: str) -> dict[str, float]:
    """Mean score in every game that was played, over followers and seeds."""
    scores = results.score_table(leader)
    games = [results.games[game] for game, _ in results.tasks]
    return {
        game: float(np.mean([row for row, of in zip(scores, games, strict=True) if of == game]))
        for game in results.games
    }


COLUMNS = ("leader", "information", "rank", "score", "low", "high", "follower_transitions")


def entries(results: Results) -> dict[str, dict[str, Any]]:
    """A row of the page for every leader, best first."""
    return {
        row["leader"]: {
            **{name: row[name] for name in COLUMNS},
            "cpu_seconds": results.costs(row["leader"])["cpu_seconds"],
            "apart": row["leader"] in APART,
            "games": by_game(results, row["leader"]),
        }
        for row in tables(results)["overview"]
    }


def partial(results: Results, leader: str) -> dict[str, Any]:
    """The row of a leader that cannot play all games, with what another one has in those that it plays."""
    found = entries(results)
    return {**found[leader], "rank": None, "apart": True, "beside": {BESIDE: found[BESIDE]["score"]}}


def spent(results: Results, leaders: Collection[str]) -> float:
    """Seconds of processor time of some leaders, or of everybody but them."""
    return sum(row.outcome.cpu_seconds for row in results.rows if row.outcome and row.leader in leaders)


def summary(results: Results, some: dict[str, Results]) -> dict[str, Any]:
    """What the page shows."""
    leaders = [*entries(results).values(), *(partial(found, leader) for leader, found in some.items())]
    rival = [results.versus(RIVAL, leader) for leader in results.leaders if leader != RIVAL]
    rival += [found.versus(RIVAL, leader) for leader, found in some.items()]
    own = [row.leader for row in results.rows if row.leader not in APART]
    apart = spent(results, APART) + sum(spent(found, [leader]) for leader, found in some.items())
    failed = len(results.failures) + sum(
        row.leader == leader for leader, found in some.items() for row in found.failures
    )
    return {
        "command": "stackelberg tournament --suite standard --out runs/standard",
        "suite": suite("standard")[0],
        "date": date.today().isoformat(),
        "seeds": len(results.seeds),
        "matches": len(results.rows)
        + sum(row.leader == leader for leader, found in some.items() for row in found.rows),
        "failed": failed,
        "cpu_seconds": spent(results, set(own)),
        "cpu_seconds_apart": apart,
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

    table = np.array([[row["games"].get(game, np.nan) for game in data["games"]] for row in data["leaders"]])
    figure = Figure(figsize=(9, 0.42 * len(table) + 1.7), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.imshow(np.clip(table, 0, 1), cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (row, column), score in np.ndenumerate(table):
        ink, text = (
            "white" if score < 0.5 else "black",
            UNKNOWN if np.isnan(score) else f"{score:.2f}".replace("-0.00", "0.00"),
        )
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=ink)
    axes.set_xticks(range(table.shape[1]), data["games"], rotation=35, ha="right")
    names = [f"{row['leader']}{' **' if 'beside' in row else ' *' if row['apart'] else ''}" for row in data["leaders"]]
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
    data = summary(*load(options.folder, options.seeds))
    DATA.write_text(json.dumps(data, indent=1) + "\n")
    draw(data, PICTURE)
    print(
        f"{data['matches']} matches, {data['failed']} failed, {data['cpu_seconds']:.0f} s of processor time: {DATA}, {PICTURE}"
    )


if __name__ == "__main__":
    main()

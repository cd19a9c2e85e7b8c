"""What this package costs beside others, by one protocol: alternating pairs, CPU seconds, ratios with their spread.

Run with ``OMP_NUM_THREADS=1 python benchmarks/against_published.py [--pairs 5] [--only TEXT] [--published FOLDER ...]``.
Both sides of a row take turns in one run, after a pair that is thrown away because it loads and compiles; the ratio is theirs over
ours, so that more than 1 means that we are faster, and is given as the median of the pairs with the least and the largest. quantecon,
mdpsolver, axelrod and PettingZoo (with pygame) install from PyPI; rows whose package is missing are named below the table.

``--published`` names folders in which the user keeps the published code of BC-HG (github.com/akimotolab/BC-HG) and of SoBiRL
(github.com/UCAS-YanYang/SoBiRL); nothing of it is stored here. It runs in processes of its own, in the interpreter of ``--python``,
twice: the difference of a long and a short run is what an iteration costs, so that imports and compilation do not count.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import faces
import four_rooms
import iteration
import large
import m_sobirl
import published_run
import tournament
from measuring import print_table, ratio

RUNNER = Path(__file__).with_name("published_run.py")
SPANS = {"toy": (2, 12), "lqr": (2, 12), "four_rooms": (50, 1050), "m_sobirl": (20, 220)}
"""Iterations of the short and of the long run of published code."""


class Row(NamedTuple):
    """One comparison.

    Attributes:
        what: is measured.
        against: whom.
        ours: CPU seconds of one, measured when it is called.
        theirs: the same.
        differs: in the work that both do.
        needs: modules that have to be installed.
    """

    what: str
    against: str
    ours: Callable[[], float]
    theirs: Callable[[], float]
    differs: str
    needs: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """Modules that it needs and that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


def hard_rows() -> Iterator[Row]:
    """Hard responses of one agent on a square; see ``large.py``."""
    for side, discount in large.HARD:
        solver = cache(partial(large.ours, side, discount))
        for name, other, remark in (
            ("quantecon", large.quantecon, "beside quantecon ours comes with a bound on the error in every state"),
            ("mdpsolver", large.mdpsolver, "mdpsolver stops at a tolerance of 1e-3, and ours comes with a bound"),
        ):
            if name == "quantecon" or discount <= 0.99:
                what = f"hard response, discount {discount}"
                yield Row(
                    what,
                    name,
                    lambda s=solver: solved(s()),
                    partial(fresh, other, side, discount),
                    remark,
                    (name,),
                )  # type: ignore[misc]


def solved(solve: Callable[[], Any]) -> float:
    """CPU seconds of a solver that is built already."""
    return large.seconds(solve)[0]


def fresh(build: Callable[[int, float], Callable[[], Any]], side: int, discount: float) -> float:
    """The same of one that has not solved yet: what has begins at the solution."""
    return solved(build(side, discount))


def face_rows() -> Iterator[Row]:
    """Rock, paper, scissors by both packages; see ``faces.py``."""
    for name, (ours, theirs) in faces.rps_contests().items():
        sides = (partial(turn, ours, faces.ACTIONS), partial(turn, theirs, faces.THEIR_ACTIONS))
        yield Row(
            name,
            "PettingZoo rps_v2",
            *sides,
            "rps_v2 is no Markov game and draws nothing",
            ("pygame",),
        )


def turn(make: Callable[[], Any], actions: dict[str, Any]) -> float:
    """CPU seconds of a turn."""
    return large.seconds(faces.aec, make(), faces.TURNS, actions)[0] / faces.TURNS


def tournament_rows() -> Iterator[Row]:
    """What a match costs beside its play."""
    remark = "Axelrod plays a turn and keeps matches in memory; ours plays nothing, and kill -9 loses no match that is stored"
    yield Row("bookkeeping of a match", "Axelrod", stored_match, axelrod_match, remark, ("axelrod",))


def stored_match(matches: int = 600) -> float:
    """CPU seconds of planning nothing, playing nothing and storing one match of ours."""
    cup = tournament.ten_leaders(matches)
    with tempfile.TemporaryDirectory() as folder:
        return tournament.kept(cup, tournament.idle(cup), workers=1, folder=folder)[0] / len(cup.matches)


def axelrod_match(repetitions: int = 60) -> float:
    """CPU seconds of a match of Axelrod's of one turn, all pairs of four players."""
    import axelrod

    players = [axelrod.TitForTat(), axelrod.Cooperator(), axelrod.Defector(), axelrod.Random()]
    cup = axelrod.Tournament(players, turns=1, repetitions=repetitions, seed=1)
    return large.seconds(partial(cup.play, progress_bar=False))[0] / (10 * repetitions)


def published_rows(folders: list[Path], python: str) -> Iterator[Row]:
    """Rows whose published code is in one of the folders."""
    ours: dict[str, tuple[str, Callable[[], float], str]] = {
        "toy": (
            "toy, MLP 64-64, 10 actor steps",
            trained("toy: MLP 64-64, 10 actor steps"),
            "the published toy reads the follower's values, and evaluates as its settings say",
        ),
        "lqr": (
            "linear-quadratic game, 10 actor steps",
            trained("lqr: gains, 10 actor steps"),
            "the published linear-quadratic leader fits networks, ours least squares",
        ),
        "four_rooms": (
            "Four Rooms, bchg",
            rooms,
            "the published Four Rooms plays 400 transitions an update, ours four episodes of at most 100",
        ),
        "m_sobirl": (
            "M-SoBiRL",
            lambda: statistics.median(m_sobirl.run(600)[0]),
            "the published M-SoBiRL differentiates each reward by itself",
        ),
    }
    for case, (what, mine, remark) in ours.items():
        folder = next((f for f in folders if (f / published_run.FILES[case]).exists()), None)
        if folder is not None:
            theirs = partial(published, python, folder, case)
            yield Row(what, f"published {case}", mine, theirs, remark)


def trained(label: str) -> Callable[[], float]:
    """CPU seconds of one of our training iterations; see ``iteration.py``."""
    return lambda: 1e-3 * iteration.milliseconds(*iteration.CASES[label], repeats=1)[0]


def rooms() -> float:
    """CPU seconds of one of our updates in Four Rooms, play and response included; see ``four_rooms.py``."""
    done = four_rooms.run(("bchg", 0.001, 400, True, 0))
    return float(done["seconds"] / done["updates"])


def published(python: str, folder: Path, case: str) -> float:
    """CPU seconds of an iteration of published code: a long run less a short one.

    Raises:
        RuntimeError: it fails; with the last line that it wrote.
    """
    spent = []
    for iterations in SPANS[case]:
        begun = children()
        done = subprocess.run(
            [python, RUNNER, folder, case, str(iterations)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise RuntimeError(f"{folder / published_run.FILES[case]} fails: {''.join(last)}")
        spent.append(children() - begun)
    return (spent[1] - spent[0]) / (SPANS[case][1] - SPANS[case][0])


def children() -> float:
    """CPU seconds of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(row: Row, pairs: int) -> tuple[str, ...]:
    """The cells of a row, after a pair that is thrown away."""
    times = [(row.ours(), row.theirs()) for _ in range(pairs + 1)][1:]
    ours, theirs = (f"{1e3 * statistics.median(column):.3g}" for column in zip(*times, strict=True))
    return f"{row.what}: {row.against}", ours, theirs, ratio(times)


def measured(rows: list[Row], pairs: int) -> tuple[list[tuple[str, ...]], list[str]]:
    """Cells of the rows that could be measured, and why the others could not."""
    table, without = [], []
    for row in rows:
        if lacks := row.missing():
            without.append(f"{row.what} against {row.against}: install {', '.join(lacks)}")
            continue
        try:
            table.append(compare(row, pairs))
        except RuntimeError as error:
            without.append(f"{row.what} against {row.against}: {error}")
    return table, without


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", default="", help="rows with this text in what they measure or against whom")
    parser.add_argument("--published", type=Path, nargs="*", default=[], help="folders with published code")
    parser.add_argument("--python", default=sys.executable, help="interpreter in which the published code runs")
    chosen = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    theirs = list(published_rows(chosen.published, chosen.python))
    rows = [
        row
        for row in (*hard_rows(), *face_rows(), *tournament_rows(), *theirs)
        if chosen.only in f"{row.what}: {row.against}"
    ]
    table, without = measured(rows, chosen.pairs)
    columns = ("what, beside whom", "ours ms", "theirs ms", "theirs / ours")
    print_table(f"{chosen.pairs} alternating pairs, CPU time of a solve, turn, match or iteration", columns, table)
    told = {cells[0] for cells in table}
    differing = {row.differs: None for row in rows if f"{row.what}: {row.against}" in told}
    print(*(f"What differs: {remark}." for remark in differing), sep="\n")
    absent = [case for case in published_run.FILES if not any(row.against == f"published {case}" for row in theirs)]
    if absent:
        without.append(f"published code ({', '.join(absent)}): give its folder by --published")
    for line in without:
        print(f"Not measured: {line}.")


if __name__ == "__main__":
    main()

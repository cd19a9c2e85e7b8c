"""Thousands of generated games, each in other words: do the exact functions say the same?

    OMP_NUM_THREADS=1 python benchmarks/invariance.py --games 10000 --workers 2

Every game is compared with itself under each change alone and under three drawn ones together (units and offsets of
both players' rewards, unreachable states, relabelled states, permuted actions, a leader action twice; and for hard
responses and strong optima a follower action twice and one that is dominated). A result deviates where it differs by
more than 1e-9 of what decides it. ``--corpus N`` stores N of the games for the default tests instead.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from joblib import Parallel, delayed

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from tests.invariance import TOLERANCE, deviations, results
from tests.same_games import ALL, ANY, Change, Instance, changed, instances, record

CHUNK = 250
"""Games after which results are stored."""

GAMES = st.one_of(instances(), instances(), instances(matrix=True))


def generated(count: int, seed: int) -> list[tuple[Instance, int]]:
    """Games by Hypothesis, and a seed for the changes of each."""
    found: list[tuple[Instance, int]] = []

    @seeded(seed)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(GAMES, st.integers(0, 2**32 - 1))
    def collect(game: Instance, number: int) -> None:
        found.append((game, number))

    collect()
    return found


def changes(number: int, *, soft: bool) -> list[list[str]]:
    """Each change alone, and three together."""
    names = sorted(ANY if soft else ALL)
    return [*([name] for name in names), np.random.default_rng(number).permutation(names)[:3].tolist()]


def compared(game: Instance, number: int) -> dict[str, Any]:
    """Deviations and refusals of one game under all changes."""
    out: dict[str, Any] = {"comparisons": 0, "results": 0, "worst": {}, "deviations": [], "refusals": []}
    before = Change.none(game)
    for soft in (False, True):
        own = results(before, soft=soft)
        for names in changes(number, soft=soft):
            out["comparisons"] += 1
            try:
                found = deviations(game, own, results(changed(before, names, number), soft=soft))
            except (ArithmeticError, AssertionError, ValueError) as error:  # counted and shown
                out["refusals"].append([names, f"{type(error).__name__}: {error}"])
                continue
            out["results"] += len(found)
            for name, gap in found.items():
                out["worst"][name] = max(out["worst"].get(name, 0.0), float(gap))
                if not gap <= TOLERANCE:
                    out["deviations"].append([names, name, float(gap), record(game, names, number)])
    return out


def summed(outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    """What the games so far came to."""
    worst: dict[str, float] = {}
    for outcome in outcomes:
        for name, gap in outcome["worst"].items():
            worst[name] = max(worst.get(name, 0.0), gap)
    gone_wrong = [entry for outcome in outcomes for entry in outcome["deviations"]]
    refused = [entry for outcome in outcomes for entry in outcome["refusals"]]
    return {
        "games": len(outcomes),
        "comparisons": sum(outcome["comparisons"] for outcome in outcomes),
        "results": sum(outcome["results"] for outcome in outcomes),
        "tolerance": TOLERANCE,
        "deviations": len(gone_wrong),
        "refusals": Counter(f"{message} ({'+'.join(names)})" for names, message in refused).most_common(20),
        "worst": worst,
        "examples": gone_wrong[:20],
    }


def campaign(count: int, seed: int, workers: int, out: Path) -> dict[str, Any]:
    """The whole run, stored after every few hundred games."""
    command = {"command": f"python benchmarks/invariance.py --games {count} --seed {seed}"}
    games, outcomes, found = generated(count, seed), [], {}
    for first in range(0, len(games), CHUNK):
        part = games[first : first + CHUNK]
        outcomes += Parallel(n_jobs=workers, batch_size=20)(delayed(compared)(*game) for game in part)
        found = command | summed(outcomes)
        out.write_text(json.dumps(found, indent=1) + "\n")
        print(f"{len(outcomes)} games, {found['deviations']} deviations", flush=True)
    return found


def corpus(count: int, seed: int) -> list[dict[str, Any]]:
    """Games that differ, with one change or three each."""
    drawn = generated(20 * count, seed)
    picked = [entry for entry in drawn if min(entry[0].shape) > 1 or entry[0].shape[0] == 1][: 4 * count : 4]
    names = sorted(ALL)
    stored = []
    for index, (game, number) in enumerate(picked[:count]):
        several = np.random.default_rng(number).permutation(names)[:3].tolist()
        stored.append(record(game, several if index % 2 else [names[index // 2 % len(names)]], number))
    return stored


def main() -> None:
    """Run and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--corpus", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/data/invariance.json")
    chosen = parser.parse_args()
    if chosen.corpus:
        lines = ",\n".join(json.dumps(entry) for entry in corpus(chosen.corpus, chosen.seed))
        (ROOT / "tests/invariance_corpus.json").write_text(f"[\n{lines}\n]\n")
        return
    found = campaign(chosen.games, chosen.seed, chosen.workers, chosen.out)
    print(json.dumps({name: entry for name, entry in found.items() if name != "examples"}, indent=1))


if __name__ == "__main__":
    main()

"""The command of the campaign; see the package."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzzing.campaign import TARGETS, campaign, child


def main() -> None:
    """Run a campaign, or, for a campaign, one of its chunks."""
    parser = argparse.ArgumentParser(description="Mutate every kind of input and every public call.")
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("fuzzing"), help="Folder of findings.")
    parser.add_argument("--only", choices=sorted(TARGETS))
    parser.add_argument("--child", nargs=4, metavar=("TARGET", "SEED", "EXAMPLES", "LOG"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        name, start, examples, log = chosen.child
        child(name, int(start), int(examples), Path(log))
        return
    found = campaign(chosen.examples, chosen.seed, chosen.workers, chosen.out, chosen.only)
    sys.exit(bool(found["findings"]))


if __name__ == "__main__":
    main()

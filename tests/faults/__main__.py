"""The command; see the package."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.faults.build import run

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        done = run(Path(folder), int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    print(done.stdout, end="")
    print(done.stderr, end="", file=sys.stderr)
    sys.exit(done.returncode)

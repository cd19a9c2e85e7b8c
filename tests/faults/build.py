"""Compiling the shim, and running the trials with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
COMPILER = shutil.which("cc") or shutil.which("gcc")


def run(folder: Path, every: int) -> subprocess.CompletedProcess[str]:
    """Compile the shim into a folder and run the trials at every so-manieth write."""
    assert COMPILER is not None
    library = folder / "shim.so"
    subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    environment = {**os.environ, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1", "TMPDIR": str(folder)}
    command = [sys.executable, "-W", "ignore", "-m", "tests.faults.trials", str(every)]
    return subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
